//! The configuration, checked: every key known, every value parsed, built of each module's own settings type.
//!
//! `file` is the YAML as written; what is made of it here can be used without another check.

use std::error::Error as _;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::Level;

use crate::backend::{self, Endpoint, Role, Security};
use crate::net::ListenAddress;
use crate::net::socket::KeepAlive;
use crate::rules;
use crate::session::{self, TlsStatus};
use crate::tls::{self, Policy, SslMode};

mod accounts;
mod address;
mod admin;
mod backends;
mod changes;
mod dm;
mod environment;
mod file;
mod http;
mod import;
mod limits;
mod place;
mod problem;
mod proxy_protocol;
mod security;
mod value;
mod variables;
mod warning;

pub use address::AddressError;
pub use dm::Files;
pub use environment::Environment;
pub use place::Place;
pub use problem::{Problem, Wrong};
pub use proxy_protocol::BalancerError;
pub use warning::{Notice, Warning};

use dm::DmFiles;
use file::{File, Key, OneOrMany};
use limits::CONNECT_TIME;
use problem::Fault;
use value::{choice, file_path};
use warning::Remark;

/// Beside MySQL's own port, and reached from this machine alone until somebody says otherwise.
pub const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 3307);
/// Where the HTTP port listens if nothing else is said: this machine alone.
pub const HTTP_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9307);

/// Everything that `mytls serve` needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the data port listens; at least one.
    pub listen: Vec<ListenAddress>,
    /// TLS towards clients.
    pub client_tls: tls::ServerSettings,
    /// Refuse to start on bad certificates, in place of serving without them as far as that goes.
    pub require_valid_certificates: bool,
    /// Whether the data port looks at its certificates' files whenever a client comes.
    pub reread_certificates: bool,
    /// Who may pass.
    pub rules: rules::Settings,
    /// One or two, the source first.
    pub backends: Vec<backend::Settings>,
    /// Which of them new sessions go to.
    pub route: Role,
    /// Whose TLS the status variables of a session tell of.
    pub tls_status: TlsStatus,
    /// Whether clients are offered compression.
    pub compression: bool,
    /// Whose connections to the data port begin with a PROXY header.
    pub balancers: session::Balancers,
    /// The admin port, if there is to be one.
    pub admin: Option<crate::admin::Settings>,
    /// The HTTP port, if there is to be one.
    pub http: Option<crate::http::Settings>,
    /// Limits of sessions.
    pub limits: session::Limits,
    /// How long clients are still served as before after SIGTERM, while whoever sends them here is told to stop.
    pub drain_min: Duration,
    /// How long sessions may go on after that.
    pub drain_max: Duration,
    /// Where files that mytls makes itself are kept; `None` keeps them in memory.
    pub state_dir: Option<PathBuf>,
    /// Whether the process closes to itself what this configuration does not need.
    pub sandbox: bool,
    /// What the log looks like.
    pub log: Log,
    /// What it was read from, and is read from again.
    pub files: Vec<PathBuf>,
    /// What the writer of the file may not expect; to be logged.
    pub warnings: Vec<Warning>,
}

/// `log`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// How a line is written.
    pub format: LogFormat,
    /// The least severe that is written.
    pub level: Level,
}

/// `log.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// `key=value`, for people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// Why there is no configuration. The process ends with status 64.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("read {}", path.display())]
    Read {
        /// As it was named.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is wrong.
    #[error(transparent)]
    File(Box<Problem>),
    /// The file names no server.
    #[error("{}: no backend: write `from:` (or `backend:`) with `host:`", path.display())]
    NoBackend {
        /// As it was named.
        path: PathBuf,
    },
    /// A file of DM's without what it is read for.
    #[error("{}: there is no `{key}` in it: is it another of DM's files?", path.display())]
    NoSection {
        /// As it was named.
        path: PathBuf,
        /// The key.
        key: &'static str,
    },
    /// `--backend` is no address.
    #[error("--backend")]
    Backend(#[source] AddressError),
}

impl ConfigError {
    /// For the log: without the excerpt of the file.
    pub fn in_one_line(&self) -> String {
        let text = self.to_string();
        let first = text.lines().next().unwrap_or_default();
        match self.source() {
            Some(cause) => format!("{first}: {cause}"),
            None => first.to_owned(),
        }
    }
}

impl Config {
    /// Reads and checks a file.
    pub fn load(path: &Path, environment: &Environment) -> Result<Self, ConfigError> {
        Self::load_files(&Files::from(path), environment)
    }

    /// Reads and checks a file, DM's files, or both together.
    pub fn load_files(files: &Files, environment: &Environment) -> Result<Self, ConfigError> {
        let dm = DmFiles::read(files)?;
        let config = match &files.config {
            Some(path) => Self::parse(path, &read(path)?, &dm, environment),
            None => Self::parse(Path::new(""), "", &dm, environment),
        }?;
        let Files {
            config: own,
            source,
            task,
        } = files;
        Ok(Self {
            files: [own, source, task].into_iter().flatten().cloned().collect(),
            ..config
        })
    }

    /// Checks a file's text; `path` is for errors, and its folder for relative paths.
    fn parse(
        path: &Path,
        text: &str,
        dm: &DmFiles,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut remarks = Vec::new();
        let own = (path, text);
        let config = File::parse(text)
            .and_then(|file| Self::check(&file, dm, folder, environment, &mut remarks))
            .map_err(|fault| {
                let (path, text) = dm.place(fault.of_dm(), own);
                ConfigError::File(Box::new(fault.into_problem(path, text)))
            })?;
        if config.backends.is_empty() {
            return Err(ConfigError::NoBackend {
                path: path.to_owned(),
            });
        }
        let mut warnings: Vec<Warning> = remarks
            .into_iter()
            .map(|remark| {
                let (path, text) = dm.place(remark.of_dm(), own);
                remark.into_warning(path, text)
            })
            .collect();
        warnings.sort_by_key(|warning| warning.place.as_ref().map(|place| place.line));
        Ok(Self { warnings, ..config })
    }

    fn check(
        file: &File,
        dm: &DmFiles,
        folder: &Path,
        environment: &Environment,
        remarks: &mut Vec<Remark>,
    ) -> Result<Self, Fault> {
        let (drain_min, drain_max) = limits::drain(file)?;
        let listen = listen(&file.listen, LISTEN, folder)?;
        let client_tls = security::server(&file.security, "security", folder)?;
        let rules = accounts::settings(file, &client_tls, &listen, remarks)?;
        let backends = backends::settings(file, dm, folder, remarks)?;
        let state_dir = match file.state_dir.written() {
            Some(path) => Some(file_path(path, folder)?),
            None => environment.state_dir(),
        };
        if state_dir.is_none() && client_tls.auto_tls {
            remarks.push(Remark::general(Notice::NoStateDirectory));
        }
        let admin = admin::settings(&file.admin, folder, remarks)?;
        let http = http::settings(&file.http, folder, remarks)?;
        Ok(Self {
            listen,
            client_tls,
            admin,
            http,
            require_valid_certificates: file.require_valid_certificates.or(false),
            reread_certificates: file.reread_certificates.or(false),
            rules,
            route: backends::route(&file.route, &backends)?,
            backends,
            balancers: proxy_protocol::balancers(&file.proxy_protocol, remarks)?,
            tls_status: choice(
                &file.tls_status,
                &[
                    ("client", TlsStatus::Client),
                    ("backend", TlsStatus::Backend),
                ],
                TlsStatus::Client,
            )?,
            compression: file.compression.or(false),
            limits: limits::of_sessions(file)?,
            drain_min,
            drain_max,
            state_dir,
            sandbox: file.sandbox.or(true),
            log: log(&file.log)?,
            files: Vec::new(),
            warnings: Vec::new(),
        })
    }

    /// What holds when there is no file but only a backend's address: auto-tls, loopback. A backend that is not on this
    /// machine is reached over TLS or not at all; without a CA its certificate cannot be verified, which is a warning. One on
    /// this machine is spoken to as it offers: MySQL makes itself a certificate, MariaDB before 11.4 does not.
    pub fn for_backend(endpoint: &str, environment: &Environment) -> Result<Self, ConfigError> {
        let here = Path::new("");
        let endpoint = address::parse_endpoint(endpoint, here).map_err(ConfigError::Backend)?;
        let mut remarks = Vec::new();
        let (file, dm) = (File::default(), DmFiles::default());
        let config = Self::check(&file, &dm, here, environment, &mut remarks)
            .expect("defaults are right, and a test loads them");
        let unverified = unverified();
        let security = match &endpoint {
            Endpoint::Unix(_) => Security::Plaintext,
            Endpoint::Tcp { .. } if address::is_local(&endpoint) => Security::AsOffered(unverified),
            Endpoint::Tcp { .. } | Endpoint::Resolved { .. } => {
                remarks.push(Remark::general(Notice::NotVerified));
                Security::Tls(unverified)
            }
        };
        let backend = backend::Settings {
            role: Role::Source,
            endpoints: vec![endpoint],
            security,
            connect_time: CONNECT_TIME,
            keep_alive: KeepAlive::default(),
            import: None,
            sends_proxy_header: false,
        };
        let warnings = remarks
            .into_iter()
            .map(|remark| remark.into_warning(here, ""))
            .collect();
        Ok(Self {
            backends: vec![backend],
            warnings,
            ..config
        })
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })
}

/// A server to look at and no more: over TLS if it offers that, whatever certificate it shows.
pub fn server_to_look_at(address: &str) -> Result<backend::Settings, AddressError> {
    Ok(backend::Settings {
        role: Role::Source,
        endpoints: vec![address::parse_endpoint(address, Path::new(""))?],
        security: Security::AsOffered(unverified()),
        connect_time: CONNECT_TIME,
        keep_alive: KeepAlive::default(),
        import: None,
        sends_proxy_header: false,
    })
}

/// TLS that encrypts and verifies nothing.
fn unverified() -> tls::ClientSettings {
    tls::ClientSettings {
        sources: tls::Sources::default(),
        mode: SslMode::Required,
        policy: Policy::default(),
        backend_names: None,
    }
}

/// Reads an address to listen on, as `--listen` has it.
pub fn parse_listen(text: &str) -> Result<ListenAddress, AddressError> {
    address::parse_listen(text, Path::new(""))
}

/// Reads an address of an admin port.
pub fn parse_admin_address(text: &str) -> Result<Endpoint, AddressError> {
    address::parse_endpoint_at(text, Path::new(""), admin::LISTEN.port())
}

/// Reads an address of an HTTP port.
pub fn parse_http_address(text: &str) -> Result<Endpoint, AddressError> {
    address::parse_endpoint_at(text, Path::new(""), HTTP_LISTEN.port())
}

/// Whether the way to this endpoint stays on this machine.
pub fn is_local(endpoint: &Endpoint) -> bool {
    address::is_local(endpoint)
}

/// `listen`.
fn listen(
    key: &Key<OneOrMany>,
    default: SocketAddr,
    folder: &Path,
) -> Result<Vec<ListenAddress>, Fault> {
    let Some(written) = key.written() else {
        return Ok(vec![ListenAddress::Tcp(default)]);
    };
    let texts = OneOrMany::strings(written);
    if texts.is_empty() {
        return Err(Fault::value(
            written,
            Wrong::Missing("at least one address"),
        ));
    }
    texts
        .iter()
        .map(|text| {
            address::parse_listen(&text.value, folder).map_err(|error| Fault::parse(text, error))
        })
        .collect()
}

/// `log`.
fn log(key: &Key<file::Log>) -> Result<Log, Fault> {
    let file::Log { format, level } = key.or_empty();
    let levels = [
        ("error", Level::ERROR),
        ("warn", Level::WARN),
        ("info", Level::INFO),
        ("debug", Level::DEBUG),
        ("trace", Level::TRACE),
    ];
    Ok(Log {
        format: choice(
            &format,
            &[("text", LogFormat::Text), ("json", LogFormat::Json)],
            LogFormat::Text,
        )?,
        level: choice(&level, &levels, Level::INFO)?,
    })
}

#[cfg(test)]
mod tests;
