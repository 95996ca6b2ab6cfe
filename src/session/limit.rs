//! The limits that a client can run into, by name: for the log, and to be counted.

use std::fmt;

use crate::metrics::Labels;

/// A limit of the configuration (`limits`), or a fixed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// `connections`
    Connections,
    /// `connections-per-client`
    ConnectionsPerClient,
    /// `connections-before-login`
    ConnectionsBeforeLogin,
    /// `handshakes`
    Handshakes,
    /// `login-time`
    LoginTime,
    /// The longest packet of a login, which is fixed.
    LoginPacket,
    /// `connect-time`
    ConnectTime,
    /// `idle-time`
    IdleTime,
    /// `life-time`
    LifeTime,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Connections,
        Self::ConnectionsPerClient,
        Self::ConnectionsBeforeLogin,
        Self::Handshakes,
        Self::LoginTime,
        Self::LoginPacket,
        Self::ConnectTime,
        Self::IdleTime,
        Self::LifeTime,
    ];

    /// Its key below `limits`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::ConnectionsPerClient => "connections-per-client",
            Self::ConnectionsBeforeLogin => "connections-before-login",
            Self::Handshakes => "handshakes",
            Self::LoginTime => "login-time",
            Self::LoginPacket => "login-packet",
            Self::ConnectTime => "connect-time",
            Self::IdleTime => "idle-time",
            Self::LifeTime => "life-time",
        }
    }
}

impl fmt::Display for Limit {
    /// As a path in the configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "limits.{}", self.name())
    }
}

impl Labels for Limit {
    const COUNT: usize = Self::ALL.len();

    fn position(self) -> usize {
        self as usize
    }

    fn texts(position: usize) -> Vec<(&'static str, &'static str)> {
        vec![("limit", Self::ALL[position].name())]
    }
}
