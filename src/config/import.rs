//! `import-accounts`, and the `user` and `password` of a backend's section: mytls' own account there.

use std::path::Path;
use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_saphyr::Spanned;
use zeroize::Zeroizing;

use super::file::{Backend, ImportAccounts, Key};
use super::problem::{Fault, Wrong};
use super::value::{Zero, choice, duration, file_path};
use super::warning::{Notice, Remark};
use crate::backend::import::ImportSettings;
use crate::backend::own_account::{OwnAccount, PasswordSource};
use crate::protocol::user_name::UserName;

const INTERVAL: Duration = Duration::from_secs(60);

/// `import-accounts`, before it is known of which backend.
pub(super) struct Import<'a> {
    section: &'a Spanned<ImportAccounts>,
    /// For every backend, if it is named there.
    account: Option<OwnAccount>,
    interval: Duration,
    ignore_hosts: bool,
    report_only: bool,
}

impl<'a> Import<'a> {
    /// None if it is not written.
    pub(super) fn read(
        key: &'a Key<ImportAccounts>,
        folder: &Path,
        remarks: &mut Vec<Remark>,
    ) -> Result<Option<Self>, Fault> {
        let Some(section) = key.written() else {
            return Ok(None);
        };
        let ImportAccounts {
            user,
            password,
            password_file,
            interval,
            hosts,
            enforcement,
        } = &section.value;
        if let (Some(_), Some(second)) = (password.written(), password_file.written()) {
            return Err(Fault::key(second, Wrong::Together("password")));
        }
        let without_user = password.written().or(password_file.written());
        let account = match (user.written(), without_user) {
            (Some(user), _) => Some(OwnAccount {
                user: user_name(user)?,
                password: match password_file.written() {
                    Some(path) => file(path, folder, remarks)?,
                    None => inline(password, remarks),
                },
            }),
            (None, Some(password)) => {
                return Err(Fault::key(password, Wrong::Missing("`user` beside it")));
            }
            (None, None) => None,
        };
        let ignore_hosts = choice(hosts, &[("enforce", false), ("ignore", true)], false)?;
        let report_only = choice(enforcement, &[("enforce", false), ("report", true)], false)?;
        for (relaxed, key, notice) in [
            (ignore_hosts, hosts, Notice::HostsIgnored),
            (report_only, enforcement, Notice::ImportReported),
        ] {
            remarks.extend(
                key.written()
                    .filter(|_| relaxed)
                    .map(|written| Remark::key(written, notice)),
            );
        }
        Ok(Some(Self {
            section,
            account,
            interval: duration(interval, INTERVAL, Zero::Refused)?,
            ignore_hosts,
            report_only,
        }))
    }

    /// For one backend: with the account of `import-accounts`, or that of the backend's section.
    pub(super) fn of(
        &self,
        backend: &Backend,
        remarks: &mut Vec<Remark>,
    ) -> Result<ImportSettings, Fault> {
        let account = match (&self.account, backend.user.written()) {
            (Some(account), _) => account.clone(),
            (None, Some(user)) => OwnAccount {
                user: user_name(user)?,
                password: inline(&backend.password, remarks),
            },
            (None, None) => {
                return Err(Fault::key(
                    self.section,
                    Wrong::Missing(
                        "an account that may read the server's grant tables: write `user` and `password-file` below it, \
                         or `user` and `password` in the section of each server",
                    ),
                ));
            }
        };
        Ok(ImportSettings {
            account,
            interval: self.interval,
            ignore_hosts: self.ignore_hosts,
            report_only: self.report_only,
        })
    }
}

/// Without an import nobody logs in with a section's account; a file of DM's may have one all the same.
pub(super) fn remark_unused(backend: &Backend, remarks: &mut Vec<Remark>) {
    let account = [backend.user.location(), backend.password.location()];
    remarks.extend(
        account
            .into_iter()
            .flatten()
            .map(|at| Remark::key_at(at, Notice::UnusedAccount)),
    );
}

fn user_name(text: &Spanned<String>) -> Result<UserName, Fault> {
    if text.value.is_empty() {
        return Err(Fault::value(text, Wrong::Kind("a user's name".to_owned())));
    }
    UserName::new(text.value.as_str()).map_err(|error| Fault::parse(text, error))
}

fn inline(password: &Key<String>, remarks: &mut Vec<Remark>) -> PasswordSource {
    match password.written() {
        Some(written) if !written.value.is_empty() => {
            if looks_encrypted(&written.value) {
                remarks.push(Remark::key(written, Notice::EncryptedPassword));
            }
            PasswordSource::Inline(Zeroizing::new(written.value.clone()))
        }
        _ => PasswordSource::None,
    }
}

fn file(
    path: &Spanned<String>,
    folder: &Path,
    remarks: &mut Vec<Remark>,
) -> Result<PasswordSource, Fault> {
    let source = PasswordSource::File(file_path(path, folder)?);
    if source.exposed_file().is_some() {
        remarks.push(Remark::key(path, Notice::ExposedPassword));
    }
    Ok(source)
}

/// Whether a password has the form that `dmctl encrypt` prints: base64 of 16 random bytes, `@`, and the ciphertext. Nothing
/// but the form tells, so DM takes one that it cannot decrypt as it stands.
fn looks_encrypted(password: &str) -> bool {
    const RANDOM_BYTES: usize = 16;
    BASE64
        .decode(password)
        .is_ok_and(|bytes| bytes.get(RANDOM_BYTES) == Some(&b'@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dmctl_encrypts_is_recognized() {
        // as DM's manual prints them
        for encrypted in [
            "MKxn0Qo3m3XOyjCnhEMtsUCm83EhGQDZ/T4=",
            "VjX8cEeTX+qcvZ3bPaO4h0C80pe/1aU=",
            "fCxfQ9XKCezSzuCD0Wf5dUD+LsKegSg=",
        ] {
            assert!(looks_encrypted(encrypted), "{encrypted}");
        }
        for plain in [
            "",
            "secret",
            "abc!@#123",
            "sixteen-bytes-xx@and-more",
            "4/B9O42YWCQ=",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert!(!looks_encrypted(plain), "{plain}");
        }
    }
}
