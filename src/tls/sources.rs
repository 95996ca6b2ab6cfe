//! What a place's certificates, keys and revocation lists are made from, before anything is made of them.
//!
//! PEM is read in `pem`; `problem` has words for what cannot be used, `oddity` for what can and should be looked at.

pub(crate) mod oddity;
pub(crate) mod pem;
pub(crate) mod problem;

use std::{fmt, path::PathBuf};

use zeroize::Zeroizing;

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
    pub(crate) fn each(&self) -> [(&'static str, &Option<PemSource>); 4] {
        let Self { ca, cert, key, crl } = self;
        [
            ("ssl-ca", ca),
            ("ssl-cert", cert),
            ("ssl-key", key),
            ("ssl-crl", crl),
        ]
    }

    /// The same, to be replaced.
    pub(crate) fn each_mut(&mut self) -> [(&'static str, &mut Option<PemSource>); 4] {
        let Self { ca, cert, key, crl } = self;
        [
            ("ssl-ca", ca),
            ("ssl-cert", cert),
            ("ssl-key", key),
            ("ssl-crl", crl),
        ]
    }
}
