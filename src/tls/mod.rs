//! Certificates, keys and TLS policy of every side: what is shown, who is trusted, and what a peer has shown.
//!
//! Nothing here knows MySQL: it turns settings into rustls configurations and judges certificates.

use std::path::PathBuf;

/// Where one piece of PEM comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PemSource {
    /// A file (`ssl-ca`, `ssl-cert`, `ssl-key`), absolute or relative to the configuration file's folder, already joined.
    File(PathBuf),
    /// Written in the configuration (`ssl-ca-base64`, `ssl-ca-bytes` …); `key` is the key's whole path, for errors.
    Inline {
        /// The configuration key it stands under, e.g. `from.security.ssl-ca-base64`.
        key: String,
        /// The PEM text.
        pem: Vec<u8>,
    },
}

/// The PEM sources of one place. Each subset is legal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// Who may sign the peer's certificate.
    pub ca: Option<PemSource>,
    /// Our certificate with its intermediates.
    pub cert: Option<PemSource>,
    /// Our private key.
    pub key: Option<PemSource>,
}

/// The lowest TLS version that is spoken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// RFC 5246.
    #[default]
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// `security` of a port that clients dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// Certificate, key, and the CA of client certificates.
    pub sources: Sources,
    /// Make a certificate when `sources.cert` and `sources.key` are not given.
    pub auto_tls: bool,
    /// The lowest version accepted.
    pub lowest_version: TlsVersion,
}

/// How far a backend's certificate is checked; MySQL's `--ssl-mode` without the modes that fall back to plaintext.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    /// Encrypted, certificate not verified.
    Required,
    /// The chain leads to `ssl-ca`; names are not compared.
    VerifyCa,
    /// The chain leads to `ssl-ca` (or, without one, is refused at load) and the certificate names the host.
    VerifyIdentity,
}

/// `security` of a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSettings {
    /// Client certificate, key, and the CA of the backend's certificate.
    pub sources: Sources,
    /// How far the backend's certificate is checked.
    pub mode: SslMode,
    /// The lowest version offered.
    pub lowest_version: TlsVersion,
}
