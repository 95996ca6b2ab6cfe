//! Where a session's backend connection is.

use crate::backend::Server;

/// Where a session's backend connection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) server: Server,
    /// The server's own id of the connection.
    pub(super) id: u32,
}
