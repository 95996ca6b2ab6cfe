//! The places that have TLS of their own.

use std::fmt;

/// A place with TLS of its own, as `ALTER INSTANCE RELOAD TLS FOR CHANNEL` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChannelName {
    /// The data port.
    MysqlMain,
    /// The admin port.
    MysqlAdmin,
    /// The backend of `from`.
    Source,
    /// The backend of `target-database`.
    Target,
}

impl ChannelName {
    /// Every place that may have TLS.
    pub const ALL: [Self; 4] = [
        Self::MysqlMain,
        Self::MysqlAdmin,
        Self::Source,
        Self::Target,
    ];

    fn text(self) -> &'static str {
        match self {
            Self::MysqlMain => "mysql_main",
            Self::MysqlAdmin => "mysql_admin",
            Self::Source => "source",
            Self::Target => "target",
        }
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// A name that no channel has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no channel {0:?}")]
pub struct UnknownChannel(pub String);

impl std::str::FromStr for ChannelName {
    type Err = UnknownChannel;

    fn from_str(text: &str) -> Result<Self, UnknownChannel> {
        Self::ALL
            .into_iter()
            .find(|name| name.text() == text)
            .ok_or_else(|| UnknownChannel(text.to_owned()))
    }
}
