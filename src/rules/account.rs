//! `'user'@'host'`: read, printed, ranked as MySQL does.

use std::fmt;
use std::str::FromStr;

use super::host::{Host, HostError, HostRank};
use super::quoted::{self, Quoted, Unclosed};
use crate::protocol::server_kind::ServerKind;
use crate::protocol::user_name::{UserName, UserNameError};

/// An account's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountName {
    /// Whom; the anonymous user is everybody.
    pub user: UserName,
    /// From where.
    pub host: Host,
}

/// Which of the accounts that admit a client counts: the smallest, and host before user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    host: HostRank,
    anonymous: bool,
}

impl Rank {
    /// Before all others, so that none can be chosen in its place: where it cannot be known whom a host admits.
    pub(super) const UNKNOWN: Self = Self {
        host: HostRank::Unknown,
        anonymous: false,
    };

    /// That of an account on such a server, as far as it is certain there: accounts that may be in either order have the
    /// same.
    pub(super) fn on(server: ServerKind, host: &Host, anonymous: bool) -> Self {
        let (host, user_counts) = match server {
            ServerKind::MySql => (host.rank(), true),
            ServerKind::OldMySql | ServerKind::MariaDb | ServerKind::TiDb => {
                let host = host.coarse_rank(server);
                // Only where hosts are alike does the user count, and two patterns seldom are.
                (host, !matches!(host, HostRank::Pattern(_)))
            }
        };
        Self {
            host,
            anonymous: anonymous && user_counts,
        }
    }
}

/// Why a text is no account name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountNameError {
    /// The user part is no name that a server could hear from a client.
    #[error(transparent)]
    User(#[from] UserNameError),
    /// The host part admits nobody or cannot be read.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A part's quote does not end.
    #[error(transparent)]
    Unclosed(#[from] Unclosed),
    /// Something else where a part should be, or behind the last.
    #[error("expected 'user'@'host', in quotes where it is not a plain word, but found `{at}`")]
    Syntax {
        /// The text from where it stops making sense.
        at: String,
    },
}

impl AccountName {
    /// As in MySQL.
    pub(super) fn rank(&self) -> Rank {
        Rank::on(ServerKind::MySql, &self.host, self.user.is_anonymous())
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", Quoted(&self.user), Quoted(&self.host))
    }
}

impl FromStr for AccountName {
    type Err = AccountNameError;

    /// As in MySQL's `CREATE USER`; without a host it is `%`.
    fn from_str(text: &str) -> Result<Self, AccountNameError> {
        let (user, rest) = part(text, |c| {
            c == '_' || c == '$' || c.is_ascii_alphanumeric() || !c.is_ascii()
        })?;
        let (host, rest) = match rest.strip_prefix('@') {
            Some(rest) => part(rest, |c| {
                matches!(c, '_' | '$' | '.') || c.is_ascii_alphanumeric()
            })?,
            None => ("%".to_owned(), rest),
        };
        if !rest.is_empty() {
            return Err(AccountNameError::Syntax {
                at: rest.to_owned(),
            });
        }
        Ok(Self {
            user: UserName::new(user)?,
            host: host.parse()?,
        })
    }
}

/// One part, quoted or of plain characters only, and what follows it.
fn part(text: &str, is_plain: impl Fn(char) -> bool) -> Result<(String, &str), AccountNameError> {
    let text = text.trim_start();
    if let Some(quoted) = quoted::read(text) {
        let (part, rest) = quoted?;
        return Ok((part, rest.trim_start()));
    }
    let (part, rest) = text.split_at(text.find(|c| !is_plain(c)).unwrap_or(text.len()));
    if part.is_empty() {
        return Err(AccountNameError::Syntax {
            at: text.to_owned(),
        });
    }
    Ok((part.to_owned(), rest.trim_start()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_account_name_is_refused() {
        for (text, at) in [
            ("", ""),
            ("@", "@"),
            ("@localhost", "@localhost"),
            ("app@", ""),
            ("app@%", "%"),
            ("app@my-host", "-host"),
            ("my-app@localhost", "-app@localhost"),
            ("'app'@'%' x", "x"),
            ("'app'@'%'@'%'", "@'%'"),
            ("app host", "host"),
            ("app@'10.%'.1", ".1"),
        ] {
            assert_eq!(
                text.parse::<AccountName>(),
                Err(AccountNameError::Syntax { at: at.into() }),
                "{text}"
            );
        }
        assert!(matches!(
            "'app@'%'".parse::<AccountName>(),
            Err(AccountNameError::Syntax { .. })
        ));
        assert!(matches!(
            "'app'@'%".parse::<AccountName>(),
            Err(AccountNameError::Unclosed(_))
        ));
        assert!(matches!(
            "'app'@'10.0.0.1/8'".parse::<AccountName>(),
            Err(AccountNameError::Host(_))
        ));
        assert_eq!(
            "'a\\0'".parse::<AccountName>(),
            Err(AccountNameError::User(UserNameError::Nul))
        );
    }

    #[test]
    fn account_names_are_read_as_in_create_user() {
        for (text, printed) in [
            ("'app'@'%'", "'app'@'%'"),
            ("app@localhost", "'app'@'localhost'"),
            ("`app`@`10.%`", "'app'@'10.%'"),
            ("\"app\"@\"10.0.0.0/8\"", "'app'@'10.0.0.0/8'"),
            (" 'app' @ 'LocalHost' ", "'app'@'localhost'"),
            ("''@'%'", "''@'%'"),
            ("app", "'app'@'%'"),
            ("'app'@''", "'app'@'%'"),
            ("app@10.0.0.1", "'app'@'10.0.0.1'"),
            ("'o''neil'@'%'", "'o''neil'@'%'"),
            ("'App'@'::1'", "'App'@'::1'"),
            ("josé@localhost", "'josé'@'localhost'"),
            (r"'app'@'my\_host'", r"'app'@'my\\_host'"),
        ] {
            assert_eq!(
                text.parse::<AccountName>().map(|name| name.to_string()),
                Ok(printed.into()),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(text in "['\"`]?[a-z'\\\\é@]{0,9}['\"`]?(@['`][a-z0-9.%_\\\\':/]{0,9}['`])?") {
            if let Ok(name) = text.parse::<AccountName>() {
                prop_assert_eq!(name.to_string().parse::<AccountName>(), Ok(name));
            }
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = text.parse::<AccountName>();
        }
    }
}
