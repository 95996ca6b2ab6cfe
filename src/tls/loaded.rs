//! What every generation of TLS says of itself, whatever side it is for.

pub(crate) mod acceptor;
pub(crate) mod chain;
pub(crate) mod connector;
pub(crate) mod expiry;
pub(crate) mod material;

use crate::tls::{loaded::expiry::Expiry, sources::oddity::MaterialWarning};

/// What a channel loads.
pub trait Loaded: Send + Sync + 'static {
    /// The certificates that it shows and trusts, its own first.
    fn certificates(&self) -> &[Expiry];

    /// What is odd about the files, and can be lived with.
    fn warnings(&self) -> &[MaterialWarning];
}
