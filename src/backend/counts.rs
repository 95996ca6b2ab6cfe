//! What has come of the dials of a backend since the start: those for clients, and those of mytls itself.

use std::time::Duration;

use super::connect::{ConnectError, HOST_IS_BLOCKED};
use crate::metrics::{Count, Counters, Histogram, labels};

/// Why a dial failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialFailure {
    /// Nobody answered, or the name is not known.
    Dial,
    /// `limits.connect-time`
    TooSlow,
    /// The server refused the connection: too many, or not from this host.
    Refused,
    /// The server blocks this host (1129).
    HostBlocked,
    /// What answered is no MySQL server.
    Greeting,
    /// The connection failed before its greeting.
    Connection,
    /// The server has no TLS.
    NoTls,
    /// Our own certificates for it cannot be used.
    OwnCertificates,
    /// TLS failed: either side's certificate was not accepted, or the two have no TLS in common.
    Tls,
    /// The server ended the connection behind our PROXY header.
    ProxyHeader,
    /// The server can do less than it could.
    Lacking,
}

labels! {
    DialFailure, "reason" {
        Dial => "no_answer",
        TooSlow => "too_slow",
        Refused => "refused",
        HostBlocked => "host_blocked",
        Greeting => "no_mysql_greeting",
        Connection => "connection_failed",
        NoTls => "no_tls",
        OwnCertificates => "own_certificates",
        Tls => "tls",
        ProxyHeader => "proxy_header",
        Lacking => "lacking_capability",
    }
}

impl From<&ConnectError> for DialFailure {
    fn from(error: &ConnectError) -> Self {
        match error {
            ConnectError::Dial { .. } => Self::Dial,
            ConnectError::TooSlow { .. } => Self::TooSlow,
            ConnectError::Refused(error, _) if error.code == HOST_IS_BLOCKED => Self::HostBlocked,
            ConnectError::Refused(..) => Self::Refused,
            ConnectError::Greeting(_) => Self::Greeting,
            ConnectError::Stream(_) => Self::Connection,
            ConnectError::NoTls => Self::NoTls,
            ConnectError::NoCertificates(_) => Self::OwnCertificates,
            ConnectError::Tls(_) | ConnectError::Certificate(_) => Self::Tls,
            ConnectError::ProxyHeaderRefused(_) | ConnectError::ProxyHeader(_) => Self::ProxyHeader,
            ConnectError::Lacking(_) => Self::Lacking,
        }
    }
}

/// Of one backend.
#[derive(Debug)]
pub struct DialCounts {
    /// Endpoints that were dialled.
    pub dials: Count,
    /// Dials that failed.
    pub failures: Counters<DialFailure>,
    /// Endpoints that were not dialled, because they rest after a failure.
    pub withheld: Count,
    /// How long the others took, until greeting and TLS were done.
    pub times: Histogram,
}

impl Default for DialCounts {
    fn default() -> Self {
        Self {
            dials: Count::default(),
            failures: Counters::default(),
            withheld: Count::default(),
            times: Histogram::of_round_trips(Duration::from_millis(1)),
        }
    }
}
