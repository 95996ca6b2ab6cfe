//! `from` (or `backend`) and `target-database`: where the servers are and how they are reached.

use std::path::Path;
use std::time::Duration;

use serde_saphyr::Spanned;

use super::address::{AddressError, MYSQL_PORT, is_local, parse_endpoint, parse_host};
use super::dm::DmFiles;
use super::file::{Backend, File, Key, OneOrMany};
use super::import::{self, Import};
use super::limits;
use super::problem::{Fault, Wrong};
use super::proxy_protocol;
use super::security;
use super::value::{choice, file_path};
use super::warning::Remark;
use crate::backend::{Endpoint, Role, Security, Settings};
use crate::net::socket::KeepAlive;
use crate::tls::SslMode;

/// The sections that are written, here or in DM's files, the source first.
pub(super) fn settings(
    file: &File,
    dm: &DmFiles,
    folder: &Path,
    remarks: &mut Vec<Remark>,
) -> Result<Vec<Settings>, Fault> {
    if let (Some(_), Some(second)) = (file.from.written(), file.backend.written()) {
        return Err(Fault::key(second, Wrong::Together("from")));
    }
    let sections = [
        (Role::Source, "from", &file.from),
        (Role::Source, "backend", &file.backend),
        (Role::Target, "target-database", &file.target_database),
    ];
    let import = Import::read(&file.import_accounts, folder, remarks)?;
    let reader = Reader {
        connect_time: limits::connect_time(file)?,
        keep_alive: limits::keep_alive(file)?,
        import,
    };
    let mut settings = Vec::new();
    for (role, name, key) in sections {
        let Some(section) = key.written() else {
            continue;
        };
        if dm.of(role).is_some() {
            return Err(Fault::key(section, Wrong::Together(DmFiles::option(role))));
        }
        if reader.import.is_none() {
            import::remark_unused(&section.value, remarks);
        }
        settings.push(reader.read(section, role, name, folder, remarks)?);
    }
    for file in dm.files() {
        let before = remarks.len();
        let read = reader.read(&file.section, file.role, file.key(), file.folder(), remarks);
        for remark in remarks.iter_mut().skip(before) {
            remark.set_dm(file.role);
        }
        settings.push(read.map_err(|fault| fault.in_dm(file.role))?);
    }
    settings.sort_by_key(|settings| settings.role != Role::Source);
    proxy_protocol::send(&file.proxy_protocol, &mut settings)?;
    Ok(settings)
}

/// Reads sections of backends.
struct Reader<'a> {
    connect_time: Duration,
    keep_alive: KeepAlive,
    import: Option<Import<'a>>,
}

impl Reader<'_> {
    /// `name` is the section's key, and `folder` that of relative paths.
    fn read(
        &self,
        section: &Spanned<Backend>,
        role: Role,
        name: &str,
        folder: &Path,
        remarks: &mut Vec<Remark>,
    ) -> Result<Settings, Fault> {
        let endpoints = endpoints(section, folder)?;
        let tls = security::client(&section.value.security, name, folder, remarks)?;
        match &tls {
            None => refuse_plaintext(section, &endpoints)?,
            Some(tls) => refuse_nameless(section, tls.mode, &endpoints)?,
        }
        let import = self.import.as_ref();
        let import = import.map(|import| import.of(&section.value, remarks));
        Ok(Settings {
            role,
            endpoints,
            security: tls.map_or(Security::Plaintext, Security::Tls),
            connect_time: self.connect_time,
            keep_alive: self.keep_alive,
            import: import.transpose()?,
            sends_proxy_header: false,
        })
    }
}

/// The backend that new sessions go to.
pub(super) fn route(key: &Key<String>, backends: &[Settings]) -> Result<Role, Fault> {
    let first = backends
        .first()
        .map_or(Role::Source, |backend| backend.role);
    let role = choice(
        key,
        &[("source", Role::Source), ("target", Role::Target)],
        first,
    )?;
    match key.written() {
        Some(text) if !backends.iter().any(|backend| backend.role == role) => Err(Fault::value(
            text,
            Wrong::Missing(match role {
                Role::Source => "a section `from`",
                Role::Target => "a section `target-database`",
            }),
        )),
        _ => Ok(role),
    }
}

/// One of `host` (with `port`), `socket`, `endpoints`.
fn endpoints(section: &Spanned<Backend>, folder: &Path) -> Result<Vec<Endpoint>, Fault> {
    let Backend {
        host,
        port,
        socket,
        endpoints,
        ..
    } = &section.value;
    match (host.written(), socket.written(), endpoints.written()) {
        (None, None, None) => Err(Fault::key(
            section,
            Wrong::Missing("`host`, `socket` or `endpoints`"),
        )),
        (Some(_), Some(second), _) => Err(Fault::key(second, Wrong::Together("host"))),
        (Some(_), _, Some(second)) => Err(Fault::key(second, Wrong::Together("host"))),
        (None, Some(_), Some(second)) => Err(Fault::key(second, Wrong::Together("socket"))),
        (Some(host), None, None) => Ok(vec![tcp(host, port)?]),
        (None, Some(path), None) => {
            refuse_port(port, "socket")?;
            Ok(vec![Endpoint::Unix(file_path(path, folder)?)])
        }
        (None, None, Some(list)) => {
            refuse_port(port, "endpoints")?;
            let texts = OneOrMany::strings(list);
            if texts.is_empty() {
                return Err(Fault::value(list, Wrong::Missing("at least one endpoint")));
            }
            texts
                .iter()
                .map(|text| {
                    parse_endpoint(&text.value, folder).map_err(|error| Fault::parse(text, error))
                })
                .collect()
        }
    }
}

fn tcp(host: &Spanned<String>, port: &Key<u16>) -> Result<Endpoint, Fault> {
    let port = match port.written() {
        Some(zero) if zero.value == 0 => {
            let (lowest, highest) = ("1".to_owned(), u16::MAX.to_string());
            return Err(Fault::value(zero, Wrong::Range { lowest, highest }));
        }
        port => port.map_or(MYSQL_PORT, |port| port.value),
    };
    match parse_host(&host.value) {
        Ok(host) => Ok(Endpoint::Tcp { host, port }),
        Err(AddressError::Host(text)) if text.contains(':') => Err(Fault::value(
            host,
            Wrong::Forbidden("is the host alone: its port stands under `port`"),
        )),
        Err(error) => Err(Fault::parse(host, error)),
    }
}

fn refuse_port(port: &Key<u16>, other: &'static str) -> Result<(), Fault> {
    port.written()
        .map_or(Ok(()), |port| Err(Fault::key(port, Wrong::Together(other))))
}

fn refuse_plaintext(section: &Spanned<Backend>, endpoints: &[Endpoint]) -> Result<(), Fault> {
    let remote = endpoints.iter().find(|endpoint| !is_local(endpoint));
    match remote {
        Some(remote) if !section.value.allow_plaintext.or(false) => {
            Err(Fault::key(section, Wrong::Plaintext(remote.clone())))
        }
        _ => Ok(()),
    }
}

/// A socket has no host name that a certificate could be compared with.
fn refuse_nameless(
    section: &Spanned<Backend>,
    mode: SslMode,
    endpoints: &[Endpoint],
) -> Result<(), Fault> {
    let has_socket = endpoints
        .iter()
        .any(|endpoint| matches!(endpoint, Endpoint::Unix(_)));
    if mode == SslMode::VerifyIdentity && has_socket {
        return Err(Fault::key(
            section,
            Wrong::Forbidden(
                "a Unix socket has no host name for VERIFY_IDENTITY to compare: write VERIFY_CA",
            ),
        ));
    }
    Ok(())
}
