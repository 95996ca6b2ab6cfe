//! What can be wrong with a source of certificates and keys, in words that name the cure.

use std::{fmt, io};

use rustls::pki_types::UnixTime;

use crate::tls::{certificate::flaw::timestamp, sources::PemSource, ssl_mode::SslMode};

/// A source that cannot be used: which one, why, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct MaterialError {
    place: String,
    problem: Problem,
}

impl MaterialError {
    pub(crate) fn new(place: Place<'_>, problem: Problem) -> Self {
        Self {
            place: place.to_string(),
            problem,
        }
    }

    /// What is wrong with it.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    #[cfg(test)]
    pub(crate) fn into_problem(self) -> Problem {
        self.problem
    }
}

/// The configuration key and the file that an error is about.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    /// One of the sources.
    Source(&'static str, &'a PemSource),
    /// A key of `security` without a source.
    Key(&'static str),
}

impl<'a> Place<'a> {
    pub(crate) fn new(key: &'static str, source: &'a PemSource) -> Self {
        Self::Source(key, source)
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(key, PemSource::File(path) | PemSource::Read { path, .. }) => {
                write!(f, "{key} {}", path.display())
            }
            Self::Source(_, PemSource::Inline { key, .. }) => f.write_str(key),
            Self::Key(key) => f.write_str(key),
        }
    }
}

/// What is wrong with a source, and the cure where there is one.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// No such file.
    #[error("there is no such file")]
    Missing,
    /// The operating system does not let us read it.
    #[error("the user that mytls runs as may not read it (permission denied)")]
    Unreadable,
    /// Any other failure of the operating system.
    #[error("cannot be read: {0}")]
    Read(io::Error),
    /// Not the size of a certificate file.
    #[error("is larger than {most_mib} MiB, so it is not the PEM file that it should be")]
    TooLarge {
        /// The largest that is read.
        most_mib: u64,
    },
    /// A folder.
    #[error("is a folder; name one file in it")]
    Directory,
    /// Nothing, or only white space.
    #[error("is empty")]
    Empty,
    /// UTF-8 with a byte order mark.
    #[error(
        "begins with a byte order mark, which hides its first line; save it as UTF-8 without one"
    )]
    ByteOrderMark,
    /// Text in two-byte units.
    #[error("is UTF-16 text; save it as UTF-8 without a byte order mark")]
    Utf16,
    /// DER.
    #[error("is DER, not PEM; convert it: `openssl {tool} -inform DER -in FILE -out FILE.pem`")]
    Der {
        /// The command of `openssl` that converts it.
        tool: &'static str,
    },
    /// A PKCS#12 bundle.
    #[error(
        "is a PKCS#12 bundle, not PEM; take it apart: `openssl pkcs12 -in FILE -nokeys -out cert.pem` and `openssl pkcs12 \
         -in FILE -nocerts -nodes -out key.pem`"
    )]
    Pkcs12,
    /// A key that needs a password.
    #[error(
        "the key is encrypted, and there is nobody to ask for its password; decrypt it: `openssl pkey -in FILE -out FILE.plain`"
    )]
    EncryptedKey,
    /// PEM without a certificate.
    #[error("has no certificate in it, only: {found}")]
    NoCertificate {
        /// The labels of what it holds.
        found: String,
    },
    /// PEM without a revocation list.
    #[error(
        "has no revocation list (X509 CRL) in it, only: {found}; make one: `openssl ca -gencrl -out FILE`"
    )]
    NoRevocationList {
        /// The labels of what it holds.
        found: String,
    },
    /// A section that is labelled a revocation list and is none.
    #[error("revocation list {number} in it is damaged; take it from the CA again")]
    BadRevocationList {
        /// Counted from 1.
        number: usize,
    },
    /// A kind of list that says less, or something else, than who of its issuer is revoked.
    #[error(
        "revocation list {number} in it is a delta, is indirect, or has a critical extension that is not supported; take \
         the CA's complete list"
    )]
    UnsupportedRevocationList {
        /// Counted from 1.
        number: usize,
    },
    /// A list of somebody whom `ssl-ca` does not have.
    #[error(
        "revocation list {number} in it is of {issuer}, which is not in ssl-ca; add that CA's certificate there, also if \
         it is an intermediate one, or take the list out"
    )]
    RevocationListIssuer {
        /// Counted from 1.
        number: usize,
        /// The issuer's name.
        issuer: String,
    },
    /// A list that its issuer did not sign.
    #[error(
        "revocation list {number} in it is not signed by the key that ssl-ca has for {issuer}, or with an algorithm that \
         is not supported (as SHA-1); take it from that CA again"
    )]
    RevocationListSignature {
        /// Counted from 1.
        number: usize,
        /// The issuer's name.
        issuer: String,
    },
    /// PEM without a private key.
    #[error("has no private key in it, only: {found}")]
    NoKey {
        /// The labels of what it holds.
        found: String,
    },
    /// A section without its end.
    #[error("ends inside a section (no -----END line): it was cut short or is being written")]
    Truncated,
    /// Damaged base64.
    #[error("a line between -----BEGIN and -----END is not base64: the file is damaged")]
    Base64,
    /// A broken marker line.
    #[error("a -----BEGIN or -----END line is damaged")]
    Marker,
    /// A section that is labelled a certificate and is none.
    #[error("certificate {number} in it is not a valid X.509 certificate")]
    BadCertificate {
        /// Counted from 1.
        number: usize,
    },
    /// A key that we cannot use.
    #[error(
        "the key is damaged or of a kind that is not supported (RSA of 2048 bits or more, P-256, P-384, P-521, Ed25519 are)"
    )]
    UnsupportedKey,
    /// The key belongs to no certificate of the chain.
    #[error("the key does not belong to this certificate")]
    KeyMismatch,
    /// The key belongs to another certificate of the chain.
    #[error(
        "the key belongs to certificate {number} in it; one's own certificate must be the first, then its issuers"
    )]
    ChainOrder {
        /// Counted from 1.
        number: usize,
    },
    /// `ssl-cert` without `ssl-key`.
    #[error("is given without ssl-key; give both (they may be the same file) or neither")]
    KeyNotGiven,
    /// `ssl-key` without `ssl-cert`.
    #[error("is given without ssl-cert; give both or neither")]
    CertificateNotGiven,
    /// Our own certificate has run out.
    #[error("the certificate expired at {}; renew it", timestamp(*.not_after))]
    Expired {
        /// Its last moment.
        not_after: UnixTime,
    },
    /// Our own certificate is for later.
    #[error("the certificate is not valid before {}; is the clock right?", timestamp(*.not_before))]
    NotYetValid {
        /// Its first moment.
        not_before: UnixTime,
    },
    /// All of `ssl-ca` is out of its dates.
    #[error("no certificate in it is valid now: all have expired or are for later")]
    NoValidAuthority,
    /// All of `ssl-ca` that is in its dates has keys that are too short.
    #[error(
        "its certificates have RSA keys of less than 2048 bits, and no signature by such a key is accepted; make a new CA"
    )]
    WeakAuthority,
    /// A certificate that we show has a key that is too short.
    #[error(
        "certificate {number} in it has an RSA key of {bits} bits, and the other side would refuse less than 2048; make a new \
         one"
    )]
    WeakKey {
        /// Counted from 1.
        number: usize,
        /// The length.
        bits: usize,
    },
    /// A certificate that we show is signed by a broken hash.
    #[error(
        "certificate {number} in it is signed with {hash}, and the other side would refuse it; sign it again with \
         `openssl x509 -req -sha256 …`"
    )]
    WeakSignature {
        /// Counted from 1.
        number: usize,
        /// Its name.
        hash: &'static str,
    },
    /// Our server certificate is X.509 version 1.
    #[error(
        "the certificate is X.509 version 1, which many clients refuse; sign it again with `openssl x509 -req … -extfile \
         FILE`, where FILE has the lines `basicConstraints=CA:FALSE` and `subjectAltName=DNS:…`"
    )]
    Version1,
    /// Our own certificate is for something else.
    #[error(
        "the certificate's extended key usage does not include {needed}, so the other side would refuse it"
    )]
    WrongPurpose {
        /// `clientAuth` or `serverAuth`.
        needed: &'static str,
    },
    /// `ssl-crl` without `ssl-ca`.
    #[error("is given without ssl-ca, by which its revocation lists are verified")]
    AuthorityNotGiven,
    /// A mode that verifies, and nothing to verify with.
    #[error("is not given, and ssl-mode {} verifies the backend's certificate by it", mode_name(*.mode))]
    CaNotGiven {
        /// The mode.
        mode: SslMode,
    },
}

const fn mode_name(mode: SslMode) -> &'static str {
    match mode {
        SslMode::Required => "REQUIRED",
        SslMode::VerifyCa => "VERIFY_CA",
        SslMode::VerifyIdentity => "VERIFY_IDENTITY",
    }
}
