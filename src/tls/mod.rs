//! Certificates, keys and TLS policy of every side: what is shown, who is trusted, and what a peer has shown.
//!
//! Nothing here knows MySQL's protocol: it turns settings into rustls configurations and judges certificates.
//!
//! [`Acceptor`] is TLS towards clients, [`Connector`] TLS towards a backend. Each is one immutable generation: loaded and
//! checked whole, never changed. A [`Channel`] has one place's generation in force, and replaces it: by a reload that was
//! asked for, or when files have changed (`snapshot`), and has its `counts`; `expiry` tells before a certificate runs out. Sources become material
//! in `pem` and `material` (ours is checked in `chain`), or are made in `auto`, which shares `issuing` with [`SigningCa`];
//! `authorities` judges chains, with `revocations`, `signature` handshakes; [`Policy`] says which versions and suites there
//! are. `description` and `inventory` say to a person what there is. A peer's flaws have their words in `flaw`, problems of
//! our own files in `problem`, and what they can live with in `oddity`. [`RsaKey`] and [`Password`] are no part of TLS: they
//! are for a side without; `store` keeps what is made, also for other modules.

mod acceptor;
mod algorithm;
mod authorities;
mod auto;
mod backend_names;
mod ca;
mod certificate;
mod chain;
mod channel;
mod channel_name;
mod cipher_list;
mod connector;
mod counts;
mod dates;
mod description;
mod expiry;
mod failure;
mod flaw;
mod inventory;
mod issuing;
mod loaded;
mod material;
mod names;
mod negotiated;
mod oddity;
mod password;
mod pem;
mod policy;
mod problem;
mod refusal;
mod revocations;
mod rsa;
mod signature;
mod snapshot;
mod store;
#[cfg(test)]
mod testing;

use std::{fmt, path::PathBuf, sync::Arc};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use zeroize::Zeroizing;

pub(crate) use self::store::Store;
pub use self::{
    acceptor::{Acceptor, AcceptorError},
    algorithm::Algorithm,
    auto::{AutoCa, AutoError},
    backend_names::BackendNames,
    ca::{NewIdentity, Request, SigningCa, SigningCaError},
    channel::{Channel, Generation, LoadError, OnError, Reread},
    channel_name::{ChannelName, UnknownChannel},
    cipher_list::{CipherList, CipherListError},
    connector::{Connector, ConnectorError, server_name},
    counts::{
        Handshake, HandshakeFailure, KeyExchange, LoadCause, LoadResult, Resumption, TlsCounts,
    },
    dates::{CertificateDates, openssl_date},
    description::{Description, Part, describe},
    expiry::{Expiry, ExpiryNotice, ExpiryWatch, Stage},
    failure::handshake_reason,
    flaw::Flaw,
    inventory::{Item, PublicHalf, RevocationSummary, Signer, Signers, certificates_in, inventory},
    issuing::{HostName, IssueError, NewKey, NoHostName},
    loaded::Loaded,
    negotiated::{CIPHERS, Negotiated},
    oddity::{MaterialWarning, Oddity},
    password::Password,
    pem::client_chain,
    policy::Policy,
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
    /// Whom the CA has revoked. Not without a CA.
    pub crl: Option<PemSource>,
}

impl Sources {
    /// Each with its key in the configuration.
    fn each(&self) -> [(&'static str, &Option<PemSource>); 4] {
        let Self { ca, cert, key, crl } = self;
        [
            ("ssl-ca", ca),
            ("ssl-cert", cert),
            ("ssl-key", key),
            ("ssl-crl", crl),
        ]
    }

    /// The same, to be replaced.
    fn each_mut(&mut self) -> [(&'static str, &mut Option<PemSource>); 4] {
        let Self { ca, cert, key, crl } = self;
        [
            ("ssl-ca", ca),
            ("ssl-cert", cert),
            ("ssl-key", key),
            ("ssl-crl", crl),
        ]
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
    /// Versions and cipher suites that are accepted.
    pub policy: Policy,
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

impl SslMode {
    /// Whether the certificate must lead to `ssl-ca`.
    pub const fn verifies(self) -> bool {
        match self {
            Self::Required => false,
            Self::VerifyCa | Self::VerifyIdentity => true,
        }
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

/// The one cryptography. Always named, never the process-wide default: that is a global, and panics when a second provider
/// is compiled in.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
