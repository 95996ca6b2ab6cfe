//! The versions of TLS that are spoken.

use std::fmt;

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
    /// Of the sessions that have this cipher, one of [`CIPHERS`](crate::tls::CIPHERS).
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
