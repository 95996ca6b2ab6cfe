//! `'user'@'host'`: read, printed, ranked as MySQL does.

use std::fmt;
use std::str::FromStr;

use super::host::{Host, HostError, HostRank};
use crate::protocol::user_name::{UserName, UserNameError};

/// An account's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AccountName {
    /// Whom; the anonymous user is everybody.
    pub user: UserName,
    /// From where.
    pub host: Host,
}

/// Which of the accounts that admit a client counts: the smallest. Host before user, as in MySQL.
pub(super) type Rank = (HostRank, bool);

/// Why a text is no account name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountNameError {
    /// The user part cannot be a user of a server.
    #[error(transparent)]
    User(#[from] UserNameError),
    /// The host part.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A quote that does not end.
    #[error("{0} is not closed")]
    OpenQuote(char),
    /// Something else where a part should be, or behind the last.
    #[error("expected 'user'@'host', with quotes around what is not a plain word, at `{at}`")]
    Syntax {
        /// The text from where it stops making sense.
        at: String,
    },
}

impl AccountName {
    pub(super) fn rank(&self) -> Rank {
        (self.host.rank(), self.user.is_anonymous())
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'@'{}'", self.user, self.host)
    }
}

impl FromStr for AccountName {
    type Err = AccountNameError;

    fn from_str(text: &str) -> Result<Self, AccountNameError> {
        let (user, host) = text.rsplit_once('@').unwrap_or((text, "%"));
        Ok(Self {
            user: UserName::new(user.trim_matches('\''))?,
            host: host.trim_matches('\'').parse()?,
        })
    }
}
