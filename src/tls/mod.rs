//! Certificates, keys and TLS policy of every side: what is shown, who is trusted, and what a peer has shown.
//!
//! Nothing here knows MySQL's protocol: it turns settings into rustls configurations and judges certificates.
//!
//! [`Acceptor`] is TLS towards clients, [`Connector`] TLS towards a backend. Each is one immutable generation: loaded and
//! checked whole, never changed. A [`Channel`] is one place's generation in force, and what replaces it: a reload that was
//! asked for, or files that have changed (`snapshot`); `expiry` tells before one runs out. Sources become material in `pem` and `material`, or are made in
//! `auto`; `authorities` judges chains, `signature` handshakes; a peer's flaws have their words in `refusal`, those of our
//! own files in `problem`. [`RsaKey`] and [`Password`] are no part of TLS: they are for a side without; `store` keeps what
//! is made.

mod acceptor;
mod authorities;
mod auto;
mod backend_names;
mod certificate;
mod channel;
mod connector;
mod dates;
mod description;
mod expiry;
mod failure;
mod flaw;
mod material;
mod names;
mod negotiated;
mod password;
mod pem;
mod problem;
mod refusal;
mod rsa;
mod signature;
mod snapshot;
mod store;
#[cfg(test)]
mod testing;

use std::{fmt, path::PathBuf, sync::Arc};

use rustls::{
    SupportedProtocolVersion,
    crypto::{CryptoProvider, aws_lc_rs},
    version::{TLS12, TLS13},
};
use zeroize::Zeroizing;

pub use self::{
    acceptor::{Acceptor, AcceptorError},
    auto::{AutoCa, AutoError},
    backend_names::BackendNames,
    channel::{
        Certificates, Channel, ChannelName, Generation, LoadError, OnError, Reread, UnknownChannel,
    },
    connector::{Connector, ConnectorError, server_name},
    dates::CertificateDates,
    description::describe,
    expiry::{Expiry, ExpiryNotice, ExpiryWatch, Stage, openssl_date},
    failure::handshake_reason,
    flaw::Flaw,
    negotiated::{CIPHERS, Negotiated},
    password::Password,
    pem::client_chain,
    problem::{MaterialError, Problem},
    refusal::CertificateRefusal,
    rsa::{RsaKey, RsaKeyError, RsaPublicKey},
    store::{Keep, StoreError},
};

/// Where one piece of PEM comes from.
#[derive(Clone, PartialEq, Eq)]
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
    /// A file as it was read, so that what was looked at for changes is what is loaded.
    Read {
        /// The file, for errors.
        path: PathBuf,
        /// Its bytes.
        pem: Zeroizing<Vec<u8>>,
    },
}

/// Without the text, which may be a private key.
impl fmt::Debug for PemSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Read { path, pem: _ } => f
                .debug_struct("Read")
                .field("path", path)
                .finish_non_exhaustive(),
            Self::Inline { key, pem: _ } => f
                .debug_struct("Inline")
                .field("key", key)
                .finish_non_exhaustive(),
        }
    }
}

/// The PEM sources of one place: with or without a CA, certificate and key both or neither.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// Who may sign the peer's certificate.
    pub ca: Option<PemSource>,
    /// Our certificate with its intermediates.
    pub cert: Option<PemSource>,
    /// Our private key.
    pub key: Option<PemSource>,
}

impl Sources {
    /// Each with its key in the configuration.
    fn each(&self) -> [(&'static str, &Option<PemSource>); 3] {
        let Self { ca, cert, key } = self;
        [("ssl-ca", ca), ("ssl-cert", cert), ("ssl-key", key)]
    }

    /// The same, to be replaced.
    fn each_mut(&mut self) -> [(&'static str, &mut Option<PemSource>); 3] {
        let Self { ca, cert, key } = self;
        [("ssl-ca", ca), ("ssl-cert", cert), ("ssl-key", key)]
    }
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

impl TlsVersion {
    /// Of the sessions that have this cipher, one of [`CIPHERS`].
    pub fn of_cipher(name: &str) -> Self {
        if name.starts_with("TLS_") {
            Self::Tls13
        } else {
            Self::Tls12
        }
    }

    /// This version and all that are newer.
    fn and_later(self) -> &'static [&'static SupportedProtocolVersion] {
        const FROM_12: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
        const FROM_13: &[&SupportedProtocolVersion] = &[&TLS13];
        match self {
            Self::Tls12 => FROM_12,
            Self::Tls13 => FROM_13,
        }
    }
}

impl fmt::Display for TlsVersion {
    /// As in `tls-version`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        })
    }
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

impl ServerSettings {
    /// Whether clients are to be offered TLS at all.
    pub fn wants_tls(&self) -> bool {
        self.auto_tls || self.sources.cert.is_some()
    }
}

/// How far a backend's certificate is checked; MySQL's `--ssl-mode` without the modes that fall back to plaintext.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    /// Encrypted, certificate not verified.
    Required,
    /// The chain leads to `ssl-ca` (without one it is refused at load); names are not compared.
    VerifyCa,
    /// The same, and the certificate names the host.
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
    /// The backends' certificates that are accepted (`cert-allowed-cn`), where it is written.
    pub backend_names: Option<BackendNames>,
}

/// The one cryptography. Always named, never the process-wide default: that is a global, and panics when a second provider
/// is compiled in.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
