//! `cert-allowed-cn` of the data port: the common names of the *clients* that may come at all.

use std::collections::HashSet;
use std::sync::Arc;

use super::denial::Denial;
use super::identity::Certificate;

/// An allow-list; empty, it admits nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientNames(HashSet<String>);

impl ClientNames {
    /// Of these names, compared letter by letter.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().collect())
    }

    /// Whether it admits nobody.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses whoever has not shown one of them, also in plaintext and on a Unix socket.
    pub(crate) fn judge(&self, certificate: Option<&Arc<Certificate>>) -> Result<(), Denial> {
        let common_name = certificate.and_then(|certificate| certificate.common_name.as_ref());
        match common_name {
            Some(name) if self.0.contains(name) => Ok(()),
            _ => Err(Denial::CommonName {
                shown: certificate.map(Arc::clone),
            }),
        }
    }
}
