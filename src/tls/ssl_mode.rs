//! `ssl-mode` of a backend.

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
