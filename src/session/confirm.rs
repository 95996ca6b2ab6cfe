//! After the backend's OK, before the client hears of it: which account did the server take the client for?
//!
//! A server chooses the account by the address that it sees, which is ours. So what was judged before dialling may be
//! another account than the one that the client is now, and that one's requirement must be met too. Only where grant
//! tables are imported.

use std::fmt;

use tokio::time::{Instant, timeout_at};

use super::at_once::AtOnce;
use super::end::End;
use super::failure::Failure;
use super::login::Login;
use super::record::Record;
use super::relay::Relay;
use super::{DataPort, Session, last_command};
use crate::backend::Backend;
use crate::backend::query::{QueryError, Row, query};
use crate::net::stream::Stream;
use crate::protocol::capabilities::Capabilities;
use crate::protocol::user_name::UserName;
use crate::rules::{Confirmed, Denial, ImportedAccounts, SeenAddress};

/// As bytes: a server turns characters that the client's character set lacks into `?`, and so one account into another.
const ACCOUNTS: &str = "SELECT CAST(CURRENT_USER() AS BINARY), CAST(@@proxy_user AS BINARY)";

/// For a server that knows no proxy users.
const ACCOUNT: &str = "SELECT CAST(CURRENT_USER() AS BINARY)";

/// Two names are far shorter.
const ANSWER_BYTES: usize = 64 * 1024;

/// `ER_UNKNOWN_SYSTEM_VARIABLE`
const UNKNOWN_SYSTEM_VARIABLE: u16 = 1193;

/// `ER_MUST_CHANGE_PASSWORD`
const MUST_CHANGE_PASSWORD: u16 = 1820;

/// Which account the server chose.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    /// It says it.
    Account(Chosen),
    /// It says nothing before the client has set a new password.
    PasswordExpired,
}

/// The account that a client logged in as.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Chosen {
    login: AccountText,
    /// The one whose privileges it has, where the other is a proxy user.
    became: Option<AccountText>,
}

/// An account's name, in the server's words.
#[derive(Debug, Clone, PartialEq, Eq)]
struct AccountText {
    user: String,
    host: String,
}

/// As servers print it.
impl fmt::Display for AccountText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'@'{}'", self.user, self.host)
    }
}

/// How sure it is which account the server chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Certainty {
    /// It was judged, or nothing is imported.
    Certain,
    /// The client must set a new password first. All accounts that it may be were judged; the server is to be asked again.
    PasswordExpired,
}

impl Certainty {
    /// The user, if the server is to be asked again.
    pub(super) fn unless_certain(self, user: UserName) -> Option<UserName> {
        match self {
            Self::Certain => None,
            Self::PasswordExpired => Some(user),
        }
    }
}

impl DataPort {
    /// Asks again on behalf of a client whose password had expired.
    pub(super) async fn confirm_again(
        &self,
        relay: &mut Relay,
        session: &Session,
        record: &mut Record,
    ) -> Result<(), End> {
        let Some(user) = relay.unconfirmed().cloned() else {
            return Ok(());
        };
        let deadline = Instant::now() + self.handles.limits.login_time;
        let at_once = AtOnce::of(&self.handles.stop.now, record.live());
        let login = Login {
            identity: &session.identity,
            user: &user,
            using_password: true,
            granted: session.wishes.granted,
        };
        let confirmed = login.confirm(
            &session.backend,
            (&mut relay.backend, session.seen),
            deadline,
            record,
        );
        match at_once.unless_asked(confirmed).await {
            Ok(confirmed) => {
                relay.set_unconfirmed(confirmed.unless_certain(user));
                Ok(())
            }
            Err(failure) => {
                let end = End::by(failure, End::NotConfirmed);
                if let End::NotConfirmed(failure) = &end
                    && let Some(reply) = failure.reply(session.identity.address)
                {
                    last_command(relay, &reply).await;
                }
                Err(end)
            }
        }
    }
}

impl Login<'_> {
    /// Asks the server on the client's own connection, which is between commands, and judges the answer.
    ///
    /// Not cancel safe: after an error the connection must not be used.
    pub(super) async fn confirm(
        self,
        backend: &Backend,
        (stream, seen): (&mut Stream, SeenAddress),
        deadline: Instant,
        record: &mut Record,
    ) -> Result<Certainty, Failure> {
        let Some(import) = backend.import() else {
            return Ok(Certainty::Certain);
        };
        let asked = timeout_at(deadline, ask(stream, self.granted)).await;
        let answer = match asked.map_err(|_| Failure::TooSlow)? {
            Ok(rows) => Answer::Account(chosen(&rows).ok_or_else(|| self.no_account_named())?),
            Err(QueryError::Refused(error)) if error.code == MUST_CHANGE_PASSWORD => {
                Answer::PasswordExpired
            }
            Err(QueryError::Refused(error)) => return Err(Failure::NotConfirmed(error)),
            Err(error) => {
                let route = backend.role();
                return Err(Failure::Confirm { route, error });
            }
        };
        let mut judged = match import.latest() {
            Some(imported) => self.judge(&imported, &answer, seen, record),
            None => Err(Denial::NotImported),
        };
        // made since the last import
        if matches!(judged, Err(Denial::UnknownAccount { .. })) {
            let imported = timeout_at(deadline, import.next()).await;
            let imported = imported
                .map_err(|_| Failure::TooSlow)?
                .map_err(|error| self.not_imported(error))?;
            judged = self.judge(&imported, &answer, seen, record);
        }
        judged.map_err(|denial| self.denied(denial))?;
        Ok(match answer {
            Answer::Account(Chosen { login, became }) => {
                record.account = Some(became.unwrap_or(login).to_string());
                Certainty::Certain
            }
            Answer::PasswordExpired => Certainty::PasswordExpired,
        })
    }

    fn no_account_named(self) -> Failure {
        Failure::NoAccountNamed {
            user: self.user.as_str().to_owned(),
            using_password: self.using_password,
        }
    }

    fn judge(
        self,
        imported: &ImportedAccounts,
        answer: &Answer,
        seen: SeenAddress,
        record: &Record,
    ) -> Result<(), Denial> {
        let confirmed: Vec<Confirmed> = match answer {
            Answer::PasswordExpired => vec![imported.confirm_expired(self.identity, self.user)?],
            Answer::Account(Chosen { login, became }) => {
                let Self { identity, user, .. } = self;
                let login = (login.user.as_str(), login.host.as_str());
                let login = imported.confirm_login(identity, user, login, seen)?;
                match became {
                    None => vec![login],
                    Some(AccountText { user, host }) => {
                        vec![login, imported.confirm(identity, user, host)?]
                    }
                }
            }
        };
        for each in &confirmed {
            if let Some(denial) = each.reported() {
                record.log_reported(self.user, each.account(), denial);
            }
        }
        Ok(())
    }
}

/// The rows of the server's answer.
async fn ask(stream: &mut Stream, granted: Capabilities) -> Result<Vec<Row>, QueryError> {
    match query(stream, granted, ACCOUNTS, ANSWER_BYTES).await {
        Err(QueryError::Refused(error)) if error.code == UNKNOWN_SYSTEM_VARIABLE => {
            query(stream, granted, ACCOUNT, ANSWER_BYTES).await
        }
        answer => answer,
    }
}

/// What the server's only row says, if it can be read.
fn chosen(rows: &[Row]) -> Option<Chosen> {
    let [row] = rows else { return None };
    let (current, proxy) = match row.as_slice() {
        [Some(current)] | [Some(current), None] => (current, None),
        [Some(current), Some(proxy)] => (current, Some(proxy).filter(|proxy| !proxy.is_empty())),
        _ => return None,
    };
    let current = split(str::from_utf8(current).ok()?, "@")?;
    let Some(proxy) = proxy else {
        return Some(Chosen {
            login: current,
            became: None,
        });
    };
    let quoted = str::from_utf8(proxy).ok()?;
    let inner = quoted.strip_prefix('\'')?.strip_suffix('\'')?;
    Some(Chosen {
        login: split(inner, "'@'")?,
        became: Some(current),
    })
}

/// A host has no `@`, a user name may.
fn split(text: &str, between: &str) -> Option<AccountText> {
    let (user, host) = text.rsplit_once(between)?;
    Some(AccountText {
        user: user.to_owned(),
        host: host.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[Option<&[u8]>]) -> Row {
        values
            .iter()
            .map(|value| value.map(<[u8]>::to_vec))
            .collect()
    }

    fn account(user: &str, host: &str) -> AccountText {
        AccountText {
            user: user.to_owned(),
            host: host.to_owned(),
        }
    }

    fn only(user: &str, host: &str) -> Chosen {
        Chosen {
            login: account(user, host),
            became: None,
        }
    }

    #[test]
    fn what_names_no_account_is_none() {
        for rows in [
            &[][..],
            &[row(&[])],
            &[row(&[None, None])],
            &[row(&[Some(b"app"), None])],
            &[row(&[Some(b"app@\xff"), None])],
            &[row(&[Some(b"app@%"), Some(b"proxy@%")])],
            &[row(&[Some(b"app@%"), Some(b"'")])],
            &[row(&[Some(b"app@%"), Some(b"'proxy'")])],
            &[row(&[Some(b"app@%"), None, None])],
            &[row(&[Some(b"app@%"), None]), row(&[Some(b"app@%"), None])],
        ] {
            assert_eq!(chosen(rows), None, "{rows:?}");
        }
    }

    /// The texts are MySQL 9.7's and MariaDB's.
    #[test]
    fn accounts_are_read_as_servers_print_them() {
        for (values, expected) in [
            (
                &[Some(&b"app@127.0.0.%"[..]), None][..],
                only("app", "127.0.0.%"),
            ),
            (&[Some(b"app@%")], only("app", "%")),
            (&[Some(b"app@%"), Some(b"")], only("app", "%")),
            (
                &[Some(b"cf_o'n@x@127.0.0.%"), None],
                only("cf_o'n@x", "127.0.0.%"),
            ),
            (&[Some(b"@localhost"), None], only("", "localhost")),
            (
                &[Some(b"cf_base@%"), Some(b"'cf_p'x'@'%'")],
                Chosen {
                    login: account("cf_p'x", "%"),
                    became: Some(account("cf_base", "%")),
                },
            ),
        ] {
            assert_eq!(chosen(&[row(values)]), Some(expected), "{values:?}");
        }
    }
}
