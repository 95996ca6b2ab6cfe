//! Why a peer's certificate is not accepted, for the operator's log.

use std::{fmt, sync::Arc};

use rustls::{
    CertificateError, OtherError,
    pki_types::{CertificateDer, UnixTime},
};

use super::certificate::{names, timestamp};
use crate::rules::Certificate;

/// A certificate that was not accepted: which one, and what is wrong with it.
///
/// Never shown to a client: it tells a stranger whom we trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRefusal {
    subject: String,
    issuer: String,
    flaw: Flaw,
}

impl CertificateRefusal {
    pub(super) fn new(certificate: Option<&CertificateDer<'_>>, flaw: Flaw) -> Self {
        match certificate.map(names) {
            Some(Ok(Certificate { subject, issuer })) => Self {
                subject,
                issuer,
                flaw,
            },
            Some(Err(_)) | None => Self {
                subject: String::new(),
                issuer: String::new(),
                flaw,
            },
        }
    }

    /// What is wrong.
    pub fn flaw(&self) -> &Flaw {
        &self.flaw
    }

    /// The refusal that one of our verifiers put into a handshake error.
    pub fn of(error: &rustls::Error) -> Option<&Self> {
        match error {
            rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) => {
                inner.downcast_ref()
            }
            _ => None,
        }
    }
}

impl fmt::Display for CertificateRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.subject.is_empty() && self.issuer.is_empty() {
            return write!(f, "certificate: {}", self.flaw);
        }
        write!(
            f,
            "certificate {} issued by {}: {}",
            self.subject, self.issuer, self.flaw
        )
    }
}

impl std::error::Error for CertificateRefusal {}

impl From<CertificateRefusal> for rustls::Error {
    fn from(refusal: CertificateRefusal) -> Self {
        Self::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refusal))))
    }
}

/// What is wrong with a certificate or its chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Not X.509, or not as RFC 5280 has it.
    #[error("it is malformed")]
    Malformed,
    /// X.509 version 1, where only version 3 is accepted.
    #[error(
        "it is X.509 version 1, which cannot say what it may be used for; sign it again with `openssl x509 -req … -extfile \
         FILE`, where FILE has the line `basicConstraints=CA:FALSE`"
    )]
    Version1,
    /// It or a certificate above it has run out.
    #[error("it, or a certificate above it, expired at {}", timestamp(*.not_after))]
    Expired {
        /// Its last moment.
        not_after: UnixTime,
    },
    /// It or a certificate above it is not valid yet.
    #[error("it, or a certificate above it, is not valid before {}", timestamp(*.not_before))]
    NotYetValid {
        /// Its first moment.
        not_before: UnixTime,
    },
    /// No chain leads from it to a trusted certificate.
    #[error("no chain leads from it to a certificate in ssl-ca that is valid now")]
    UnknownIssuer,
    /// A signature in its chain, or its own in the handshake, does not fit.
    #[error(
        "a signature does not fit: an issuer of the same name has another key, or the algorithm is not supported"
    )]
    BadSignature,
    /// Extended key usage is present and lacks what is needed.
    #[error("its extended key usage does not include {needed}")]
    WrongPurpose {
        /// `clientAuth` or `serverAuth`.
        needed: &'static str,
    },
    /// A CA's certificate, shown as one's own.
    #[error("it is a CA's certificate, which may not be shown as one's own")]
    CaAsLeaf,
    /// It names other hosts.
    #[error("it is for {}, not for {expected}", .presented.join(", "))]
    OtherName {
        /// The host that was dialled.
        expected: String,
        /// The names in it.
        presented: Vec<String>,
    },
    /// It names no host at all.
    #[error(
        "it names no host (no subjectAltName), as those that MySQL makes for itself; ssl-mode VERIFY_CA compares no names"
    )]
    NoName,
    /// A resumed session without certificates.
    #[error("none was shown")]
    None,
    /// A certificate was shown although no `ssl-ca` says whom to trust.
    #[error("there is no ssl-ca to judge it by")]
    NoAuthorities,
    /// What is rare enough to have no words of ours.
    #[error("{0}")]
    Other(webpki::Error),
}
