//! The `security` sections of the configuration, as TLS takes them.

use crate::tls::{
    policy::Policy, sources::Sources, ssl_mode::SslMode, trust::backend_names::BackendNames,
};

/// `security` of a port that clients dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// Certificate, key, and the CA of client certificates.
    pub sources: Sources,
    /// Make a certificate when `sources.cert` and `sources.key` are not given.
    pub auto_tls: bool,
    /// Versions and cipher suites that are accepted.
    pub policy: Policy,
}

impl ServerSettings {
    /// Whether clients are to be offered TLS at all.
    pub fn wants_tls(&self) -> bool {
        self.auto_tls || self.sources.cert.is_some()
    }
}

/// `security` of a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSettings {
    /// Client certificate, key, and the CA of the backend's certificate.
    pub sources: Sources,
    /// How far the backend's certificate is checked.
    pub mode: SslMode,
    /// Versions and cipher suites that are offered.
    pub policy: Policy,
    /// The backends' certificates that are accepted (`cert-allowed-cn`), where it is written.
    pub backend_names: Option<BackendNames>,
}
