//! The servers behind mytls: where they are, how they are reached, what they said when last greeted.

use std::path::PathBuf;
use std::time::Duration;

use crate::tls;

/// Which of the two backends of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The key `from` (alias `backend`).
    Source,
    /// The key `target-database`.
    Target,
}

/// One address of a backend, as written in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// `host:port`; the name is resolved at each connect.
    Tcp {
        /// Name or address, without brackets.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// A Unix socket's path.
    Unix(PathBuf),
}

/// A backend's section, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Which section it was.
    pub role: Role,
    /// Tried in order; at least one.
    pub endpoints: Vec<Endpoint>,
    /// TLS towards it; `None` is plaintext, which `config` allows only to loopback, a Unix socket, or where
    /// `allow-plaintext: true` is written.
    pub tls: Option<tls::ClientSettings>,
    /// One deadline over name resolution, dialling every endpoint, greeting and TLS (`limits.connect-time`).
    pub connect_time: Duration,
}
