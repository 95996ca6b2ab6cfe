//! Who may pass, as the file says it: `accounts`, `default-require`, `require-secure-transport`, `cert-allowed-cn` of
//! clients, and `enforcement`.

use std::collections::BTreeMap;

use serde_saphyr::Spanned;

use super::file::{Account, File, Key, Security};
use super::problem::{Fault, Wrong};
use super::value::{choice, parse, parsed};
use super::warning::{Notice, Remark};
use crate::net::ListenAddress;
use crate::rules::{AccountName, AccountRule, ClientNames, Enforcement, Requirement, Settings};
use crate::tls::{Policy, ServerSettings, TlsVersion};

/// The rules. TLS and addresses are only looked at to find rules that nobody could satisfy.
pub(super) fn settings(
    file: &File,
    tls: &ServerSettings,
    listen: &[ListenAddress],
    remarks: &mut Vec<Remark>,
) -> Result<Settings, Fault> {
    let mut accounts: Vec<AccountRule> = Vec::new();
    let (mut asks_for_tls, mut asks_for_certificate) = (None, None);
    let entries = file.accounts.written().map(|written| &written.value);
    for entry in entries.into_iter().flatten() {
        let (user, require) = account(entry)?;
        let name: AccountName = parse(user)?;
        let requirement: Requirement = parse(require)?;
        if accounts.iter().any(|rule| rule.name == name) {
            return Err(Fault::value(user, Wrong::Twice));
        }
        if requirement != Requirement::None {
            asks_for_tls.get_or_insert(require);
        }
        if requirement.needs_certificate() {
            asks_for_certificate.get_or_insert(require);
        }
        remark_cipher(&requirement, &tls.policy, require, remarks);
        accounts.push(AccountRule { name, requirement });
    }
    let default_requirement = parsed(&file.default_require, Requirement::None)?;
    if let Some(require) = file.default_require.written() {
        if default_requirement != Requirement::None {
            asks_for_tls.get_or_insert(require);
        }
        if default_requirement.needs_certificate() {
            asks_for_certificate.get_or_insert(require);
        }
        remark_cipher(&default_requirement, &tls.policy, require, remarks);
    }
    if let Some(require) = asks_for_tls
        && !tls.wants_tls()
    {
        remarks.push(Remark::key(require, Notice::NoTls));
    } else if let Some(require) = asks_for_certificate
        && tls.sources.ca.is_none()
    {
        remarks.push(Remark::key(require, Notice::AdmitsNobody));
    }
    let client_names = client_names(&file.security.or_empty(), tls, remarks);
    refuse_unreachable(&file.require_secure_transport, tls, listen)?;
    let require_secure_transport = file.require_secure_transport.or(false);
    let enforcement = choice(
        &file.enforcement,
        &[
            ("enforce", Enforcement::Enforce),
            ("report", Enforcement::Report),
        ],
        Enforcement::Enforce,
    )?;
    if enforcement == Enforcement::Report {
        remarks.extend(
            file.enforcement
                .written()
                .map(|at| Remark::key(at, Notice::OnlyReports)),
        );
    }
    Ok(Settings {
        accounts,
        // `run` adds them
        admin_accounts: BTreeMap::new(),
        default_requirement,
        require_secure_transport,
        client_names,
        enforcement,
    })
}

/// `cert-allowed-cn` of a port.
pub(super) fn client_names(
    security: &Security,
    tls: &ServerSettings,
    remarks: &mut Vec<Remark>,
) -> Option<ClientNames> {
    let written = security.cert_allowed_cn.written()?;
    if written.value.is_empty() {
        remarks.push(Remark::key(written, Notice::NoNames));
    } else if tls.sources.ca.is_none() {
        remarks.push(Remark::key(written, Notice::AdmitsNobody));
    }
    Some(ClientNames::new(written.value.iter().cloned()))
}

fn remark_cipher(
    requirement: &Requirement,
    policy: &Policy,
    at: &Spanned<String>,
    remarks: &mut Vec<Remark>,
) {
    let allowed = [TlsVersion::Tls13, TlsVersion::Tls12].map(|version| policy.ciphers(version));
    let allowed = allowed.concat();
    if requirement
        .cipher()
        .is_some_and(|name| !allowed.contains(&name))
    {
        remarks.push(Remark::key(at, Notice::UnknownCipher { allowed }));
    }
}

/// Both keys of an account rule.
fn account(entry: &Spanned<Account>) -> Result<(&Spanned<String>, &Spanned<String>), Fault> {
    let Account { user, require } = &entry.value;
    let user = user
        .written()
        .ok_or_else(|| Fault::value(entry, Wrong::Missing("`user`")))?;
    let require = require
        .written()
        .ok_or_else(|| Fault::value(entry, Wrong::Missing("`require`")))?;
    Ok((user, require))
}

/// Without a certificate and without a Unix socket, no client could connect securely.
fn refuse_unreachable(
    required: &Key<bool>,
    tls: &ServerSettings,
    listen: &[ListenAddress],
) -> Result<(), Fault> {
    let has_socket = listen
        .iter()
        .any(|address| matches!(address, ListenAddress::Unix(_)));
    match required.written() {
        Some(written) if written.value && !tls.wants_tls() && !has_socket => Err(Fault::value(
            written,
            Wrong::Forbidden(
                "would refuse everybody: there is no certificate, `auto-tls` is off, and no Unix socket",
            ),
        )),
        _ => Ok(()),
    }
}
