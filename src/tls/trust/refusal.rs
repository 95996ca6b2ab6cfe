//! Why a peer's certificate is not accepted, for the operator's log.

use std::{fmt, sync::Arc};

use rustls::{CertificateError, OtherError, pki_types::CertificateDer};

use crate::tls::certificate::{flaw::Flaw, names::names};

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
    pub(crate) fn new(certificate: Option<&CertificateDer<'_>>, flaw: Flaw) -> Self {
        match certificate.map(names) {
            Some(Ok(names)) => Self {
                subject: names.subject.to_string(),
                issuer: names.issuer.to_string(),
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
