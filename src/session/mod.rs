//! The data port: one client connection with its backend connection, from accept to close.

use std::time::Duration;

/// `limits`, as far as they concern sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Client connections at once, all together.
    pub connections: usize,
    /// Client connections at once that have not logged in yet.
    pub connections_before_login: usize,
    /// One deadline from accept to the backend's OK.
    pub login_time: Duration,
}
