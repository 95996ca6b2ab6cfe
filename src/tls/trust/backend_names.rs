//! `cert-allowed-cn` of a backend's `security`: the common names that *backends'* certificates may have.

use std::collections::HashSet;

use rustls::pki_types::CertificateDer;

use crate::tls::certificate::{flaw::Flaw, names::common_name, parse};

/// An allow-list; empty, it admits nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackendNames(HashSet<String>);

impl BackendNames {
    /// Of these names, compared letter by letter.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().collect())
    }

    /// Whether it admits nobody.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a certificate that was verified has one of them.
    pub(crate) fn judge(&self, leaf: &CertificateDer<'_>) -> Result<(), Flaw> {
        let certificate = parse(leaf)?;
        match common_name(certificate.subject()) {
            Some(name) if self.0.contains(name) => Ok(()),
            _ => Err(Flaw::NotAllowed),
        }
    }
}
