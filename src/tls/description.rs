//! What a certificate says, for a person.

use rustls::pki_types::CertificateDer;

use super::certificate::{Validity, parse};
use super::flaw::timestamp;
use super::names::name;

/// What a certificate says, in one line for a person.
pub fn describe(der: &CertificateDer<'_>) -> String {
    match parse(der) {
        Ok(certificate) => format!(
            "subject {}, issuer {}, valid from {} until {}",
            name(certificate.subject()),
            name(certificate.issuer()),
            timestamp(Validity::of(&certificate).not_before),
            timestamp(Validity::of(&certificate).not_after),
        ),
        Err(flaw) => flaw.to_string(),
    }
}
