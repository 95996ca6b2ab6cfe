//! A server's grant tables: the statement that reads them, and what its rows say. No I/O.
//!
//! What cannot be read refuses: an account whose requirement is odd admits nobody, a row that is odd ends the import.

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use super::query::Row;
use crate::protocol::server_kind::ServerKind;
use crate::rules::{AlternativeNames, Condition, ImportedAccount, Requirement};

/// Plugins that let in whoever the OS says is at the other end of a Unix socket.
const PEER_CREDENTIAL_PLUGINS: [&str; 2] = ["auth_socket", "unix_socket"];

/// Before the first statement: the server's defaults, or an `init_connect`, must change neither bytes nor rows. With
/// `autocommit` off a connection that is kept would never see a change.
pub(super) const PREPARE: &str = "SET character_set_client = utf8mb4, character_set_connection = utf8mb4, \
     character_set_results = utf8mb4, autocommit = 1, sql_mode = '', sql_select_limit = 18446744073709551615";

/// In which tables a server keeps its accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GrantTables {
    /// MySQL: `mysql.user`.
    MySql,
    /// MariaDB: the view `mysql.user`, which has roles too.
    MariaDb,
    /// MariaDB, where also the alternatives of an account's plugin count: the view does not show them.
    MariaDbWithAlternatives,
    /// TiDB: `mysql.user`, and requirements as JSON in `mysql.global_priv`.
    TiDb,
}

/// A row that is not as it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a row of the grant tables cannot be read: {0}")]
pub(crate) struct GarbledRow(&'static str);

impl GrantTables {
    /// Those of a server. Alternatives of a plugin count where one of them may be a peer credential.
    pub(super) fn of(server: ServerKind, on_unix_socket: bool) -> Self {
        match server {
            ServerKind::OldMySql | ServerKind::MySql => Self::MySql,
            ServerKind::MariaDb if on_unix_socket => Self::MariaDbWithAlternatives,
            ServerKind::MariaDb => Self::MariaDb,
            ServerKind::TiDb => Self::TiDb,
        }
    }

    /// Reads every account. `FROM` names whole tables, so that grants on columns suffice.
    pub(super) fn statement(self) -> &'static str {
        match self {
            Self::MySql => {
                "SELECT User, Host, ssl_type, ssl_cipher, x509_issuer, x509_subject, plugin FROM mysql.user"
            }
            Self::MariaDb => {
                "SELECT User, Host, ssl_type, ssl_cipher, x509_issuer, x509_subject, plugin, is_role \
                 FROM mysql.user"
            }
            // of a password's hash nothing is asked for
            Self::MariaDbWithAlternatives => {
                "SELECT u.User, u.Host, u.ssl_type, u.ssl_cipher, u.x509_issuer, u.x509_subject, u.plugin, u.is_role, \
                 IF(p.Priv IS NULL, NULL, IFNULL(JSON_EXTRACT(p.Priv, '$.plugin', '$.auth_or[*].plugin'), '[]')) \
                 FROM mysql.user u LEFT JOIN mysql.global_priv p ON p.User = u.User AND p.Host = u.Host"
            }
            Self::TiDb => {
                "SELECT u.User, u.Host, u.plugin, p.Priv \
                 FROM mysql.user u LEFT JOIN mysql.global_priv p ON p.User = u.User AND p.Host = u.Host"
            }
        }
    }

    /// What suffices for [`GrantTables::statement`], without the account.
    pub(super) fn grants(self) -> &'static str {
        match self {
            Self::MySql => {
                "GRANT SELECT (User, Host, ssl_type, ssl_cipher, x509_issuer, x509_subject, plugin) ON mysql.user"
            }
            Self::MariaDb => {
                "GRANT SELECT (User, Host, ssl_type, ssl_cipher, x509_issuer, x509_subject, plugin, is_role) ON mysql.user"
            }
            Self::MariaDbWithAlternatives => {
                "GRANT SELECT (User, Host, ssl_type, ssl_cipher, x509_issuer, x509_subject, plugin, is_role) ON mysql.user \
                 and, since the server is on a Unix socket and accounts may have unix_socket as an alternative, \
                 GRANT SELECT (User, Host, Priv) ON mysql.global_priv"
            }
            Self::TiDb => "GRANT SELECT ON mysql.user and GRANT SELECT ON mysql.global_priv",
        }
    }

    /// The account of a row; none where it is a role.
    pub(super) fn account(self, row: Row) -> Result<Option<ImportedAccount>, GarbledRow> {
        const WIDTH: GarbledRow = GarbledRow("it has more or fewer columns than were asked for");
        let account = match self {
            Self::MySql => {
                let [user, host, ssl_type, cipher, issuer, subject, plugin] =
                    row.try_into().map_err(|_| WIDTH)?;
                ImportedAccount {
                    requirement: of_columns(self, [ssl_type, cipher, issuer, subject]),
                    peer_credential: is_peer_credential(&plugin.unwrap_or_default()),
                    ..name(user, host)?
                }
            }
            Self::MariaDb | Self::MariaDbWithAlternatives => {
                let mut row = row;
                let alternatives = match self {
                    Self::MariaDbWithAlternatives => Some(row.pop().ok_or(WIDTH)?),
                    _ => None,
                };
                let [
                    user,
                    host,
                    ssl_type,
                    cipher,
                    issuer,
                    subject,
                    plugin,
                    is_role,
                ] = row.try_into().map_err(|_| WIDTH)?;
                match is_role.as_deref() {
                    Some(b"Y") => return Ok(None),
                    Some(b"N") => {}
                    _ => return Err(GarbledRow("`is_role` is neither Y nor N")),
                }
                ImportedAccount {
                    requirement: of_columns(self, [ssl_type, cipher, issuer, subject]),
                    peer_credential: is_peer_credential(&plugin.unwrap_or_default())
                        || alternatives.is_some_and(|names| has_peer_credential(names.as_deref())),
                    ..name(user, host)?
                }
            }
            Self::TiDb => {
                let [user, host, plugin, privileges] = row.try_into().map_err(|_| WIDTH)?;
                ImportedAccount {
                    requirement: of_json(privileges.as_deref()),
                    peer_credential: is_peer_credential(&plugin.unwrap_or_default()),
                    ..name(user, host)?
                }
            }
        };
        Ok(Some(account))
    }
}

/// An account of which only the name is known yet.
fn name(user: Option<Vec<u8>>, host: Option<Vec<u8>>) -> Result<ImportedAccount, GarbledRow> {
    let text = |value: Option<Vec<u8>>| {
        value
            .and_then(|value| String::from_utf8(value).ok())
            .ok_or(GarbledRow("`User` or `Host` is NULL or no text"))
    };
    Ok(ImportedAccount {
        user: text(user)?,
        host: text(host)?,
        requirement: Requirement::None,
        peer_credential: false,
    })
}

fn is_peer_credential(plugin: &[u8]) -> bool {
    PEER_CREDENTIAL_PLUGINS
        .iter()
        .any(|name| name.as_bytes().eq_ignore_ascii_case(plugin))
}

/// Whether one of the plugins in a JSON list is one; also if it cannot be read.
fn has_peer_credential(names: Option<&[u8]>) -> bool {
    serde_json::from_slice::<Vec<String>>(names.unwrap_or_default()).map_or(true, |names| {
        names.iter().any(|name| is_peer_credential(name.as_bytes()))
    })
}

/// What is required of an account, with the names and numbers that TiDB and MariaDB store. A key that is not known might
/// restrict, so it is an error.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Stored {
    ssl_type: i64,
    ssl_cipher: String,
    x509_issuer: String,
    x509_subject: String,
    san: String,
}

/// By the columns `ssl_type`, `ssl_cipher`, `x509_issuer`, `x509_subject`.
fn of_columns(tables: GrantTables, columns: [Option<Vec<u8>>; 4]) -> Requirement {
    let texts = columns.map(|value| value.and_then(|value| String::from_utf8(value).ok()));
    let [
        Some(ssl_type),
        Some(ssl_cipher),
        Some(x509_issuer),
        Some(x509_subject),
    ] = texts
    else {
        return Requirement::Impossible("a column of it is NULL or no text".to_owned());
    };
    let ssl_type = match ssl_type.as_str() {
        "" => 0,
        "ANY" => 1,
        "X509" => 2,
        "SPECIFIED" => 3,
        other => return Requirement::Impossible(format!("its ssl_type is {other:?}")),
    };
    let stored = Stored {
        ssl_type,
        ssl_cipher,
        x509_issuer,
        x509_subject,
        san: String::new(),
    };
    requirement(tables, stored)
}

/// By TiDB's `global_priv.Priv`. No row and an empty text are no requirement; what does not parse refuses the user, as
/// in TiDB.
fn of_json(text: Option<&[u8]>) -> Requirement {
    match text {
        None | Some([]) => Requirement::None,
        // an object first: serde reads the fields of a struct out of a list too
        Some(text) => match serde_json::from_slice(text)
            .map(Value::Object)
            .and_then(serde_json::from_value)
        {
            Ok(stored) => requirement(GrantTables::TiDb, stored),
            Err(error) => {
                Requirement::Impossible(format!("its global_priv.Priv does not parse: {error}"))
            }
        },
    }
}

fn requirement(tables: GrantTables, stored: Stored) -> Requirement {
    let Stored {
        ssl_type,
        ssl_cipher,
        x509_issuer,
        x509_subject,
        san,
    } = stored;
    // TiDB refuses a user with a list that does not parse, whatever is required
    let san = match (!san.is_empty()).then(|| san.parse()).transpose() {
        Ok(san) => san,
        Err(error) => return Requirement::Impossible(format!("its san does not parse: {error}")),
    };
    match ssl_type {
        -1 | 0 => Requirement::None,
        1 => Requirement::Ssl,
        2 => Requirement::X509,
        3 => specified(tables, ssl_cipher, x509_issuer, x509_subject, san),
        other => Requirement::Impossible(format!("its ssl_type is {other}")),
    }
}

/// An empty text is no condition. Without any, MySQL still wants a certificate, MariaDB only TLS; and MariaDB compares
/// the cipher without looking for a certificate (run: MySQL 9.7, MariaDB 10.11 and 11.8). Texts count as they stand, a
/// list of ciphers too, which no session meets (run).
fn specified(
    tables: GrantTables,
    cipher: String,
    issuer: String,
    subject: String,
    san: Option<AlternativeNames>,
) -> Requirement {
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    let (cipher, issuer, subject) = (given(cipher), given(issuer), given(subject));
    let wants_certificate = issuer.is_some() || subject.is_some() || san.is_some();
    match (tables, cipher) {
        (GrantTables::MariaDb | GrantTables::MariaDbWithAlternatives, cipher)
            if !wants_certificate =>
        {
            cipher.map_or(Requirement::Ssl, Requirement::Cipher)
        }
        (_, None) if !wants_certificate => Requirement::X509,
        (_, cipher) => Requirement::Specified(
            [
                subject.map(Condition::Subject),
                issuer.map(Condition::Issuer),
                cipher.map(Condition::Cipher),
                san.map(Condition::San),
            ]
            .into_iter()
            .flatten()
            .collect(),
        ),
    }
}

#[cfg(test)]
mod tests;
