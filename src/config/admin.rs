//! `admin`: the port for SQL about mytls itself.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use serde_saphyr::Spanned;

use super::accounts::client_names;
use super::file::{Admin, AdminUser, Key};
use super::problem::{Fault, Wrong};
use super::security;
use super::value::{file_path, parse};
use super::warning::{Notice, Remark};
use crate::admin::{Settings, UserSettings};
use crate::backend::own_account::PasswordSource;
use crate::protocol::user_name::UserName;
use crate::rules::Requirement;
use crate::tls::ServerSettings;

/// Beside the data port's, and reached from this machine alone until somebody says otherwise.
pub(super) const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 3308);

/// None where `admin` is not written: then there is no such port.
pub(super) fn settings(
    key: &Key<Admin>,
    folder: &Path,
    remarks: &mut Vec<Remark>,
) -> Result<Option<Settings>, Fault> {
    let Some(written) = key.written() else {
        return Ok(None);
    };
    let admin = &written.value;
    let tls = security::server(&admin.security, "admin.security", folder)?;
    let client_names = client_names(&admin.security.or_empty(), &tls, remarks);
    let mut users: Vec<UserSettings> = Vec::new();
    for entry in admin
        .users
        .written()
        .into_iter()
        .flat_map(|users| &users.value)
    {
        let user = user(entry, &tls, folder, remarks)?;
        if users.iter().any(|other| other.name == user.name) {
            return Err(Fault::value(entry, Wrong::Twice));
        }
        users.push(user);
    }
    if users.is_empty() {
        return Err(Fault::value(
            written,
            Wrong::Missing("`users`: without one nobody could log in"),
        ));
    }
    Ok(Some(Settings {
        listen: super::listen(&admin.listen, LISTEN, folder)?,
        tls,
        client_names,
        users,
    }))
}

fn user(
    entry: &Spanned<AdminUser>,
    tls: &ServerSettings,
    folder: &Path,
    remarks: &mut Vec<Remark>,
) -> Result<UserSettings, Fault> {
    let AdminUser {
        user,
        password_file,
        require,
    } = &entry.value;
    let user = user
        .written()
        .ok_or_else(|| Fault::value(entry, Wrong::Missing("`user`")))?;
    let name = UserName::new(user.value.as_str()).map_err(|error| Fault::parse(user, error))?;
    let requirement: Requirement = match require.written() {
        Some(require) => parse(require)?,
        None => Requirement::None,
    };
    if password_file.written().is_none() && !requirement.needs_certificate() {
        return Err(Fault::value(
            entry,
            Wrong::Missing(
                "`password-file`, or `require` with X509 or more: anybody could log in by the name alone",
            ),
        ));
    }
    if let Some(require) = require.written() {
        if requirement != Requirement::None && !tls.wants_tls() {
            remarks.push(Remark::key(require, Notice::NoTls));
        } else if requirement.needs_certificate() && tls.sources.ca.is_none() {
            remarks.push(Remark::key(require, Notice::AdmitsNobody));
        }
    }
    let path = password_file.written();
    let password_file = path.map(|path| file_path(path, folder)).transpose()?;
    if let (Some(written), Some(path)) = (path, &password_file)
        && PasswordSource::File(path.clone()).exposed_file().is_some()
    {
        remarks.push(Remark::key(written, Notice::ExposedPassword));
    }
    Ok(UserSettings {
        name,
        password_file,
        requirement,
    })
}
