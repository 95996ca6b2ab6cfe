//! The limits that a client can run into, by name: for the log, and to be counted.

use std::fmt;

use crate::metrics::Labels;

/// A limit of the configuration (`limits`), or a fixed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// `connections`
    Connections,
    /// `connections-before-login`
    ConnectionsBeforeLogin,
    /// `login-time`
    LoginTime,
    /// The longest packet of a login, which is fixed.
    LoginPacket,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Connections,
        Self::ConnectionsBeforeLogin,
        Self::LoginTime,
        Self::LoginPacket,
    ];

    /// Its key below `limits`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::ConnectionsBeforeLogin => "connections-before-login",
            Self::LoginTime => "login-time",
            Self::LoginPacket => "login-packet",
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
