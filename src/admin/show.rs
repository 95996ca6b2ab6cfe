//! The tables of `SHOW …`, with MySQL's columns where MySQL has the statement.
//!
//! What an operator looks at fits into a terminal of 120 columns; with `FULL` it is all there and nothing is cut, as in
//! MySQL's own `SHOW FULL PROCESSLIST`.

use std::sync::Arc;

use super::channels::View;
use super::like::is_like;
use super::refusal::Refusal;
use super::statement::Name;
use super::statement::Scope;
use crate::backend::Backends;
use crate::protocol::result_set::{Column, ResultSet, Value};
use crate::rules::{AccountName, Place, Requirement, Rules};
use crate::session::{Live, Refusals, State, Verdict};
use crate::tls::{Expiry, Negotiated, openssl_date};

/// The one database, with the one table that can be asked.
pub(super) const DATABASE: &str = "performance_schema";
pub(super) const CHANNEL_STATUS: &str = "tls_channel_status";
/// What MySQL gives names and values room for, in characters.
const NAME: u32 = 64;
const VALUE: u32 = 1024;

/// So much of a sentence is shown without `FULL`.
const SENTENCE_CHARACTERS: usize = 32;

/// `SHOW STATUS` and `SHOW VARIABLES`: names and values of the table that MySQL takes them from.
pub(super) fn values(
    scope: Scope,
    what: &'static str,
    rows: Vec<(String, String)>,
    like: Option<&str>,
) -> ResultSet {
    let table = match (scope, what) {
        (Scope::Global, "status") => "global_status",
        (Scope::Global, _) => "global_variables",
        (Scope::Session, "status") => "session_status",
        (Scope::Session, _) => "session_variables",
    };
    ResultSet {
        columns: vec![
            Column::text("Variable_name", NAME)
                .not_null()
                .of(DATABASE, table),
            Column::text("Value", VALUE).of(DATABASE, table),
        ],
        rows: rows
            .into_iter()
            .filter(|(name, _)| like.is_none_or(|pattern| is_like(name, pattern)))
            .map(|(name, value)| vec![Some(name), Some(value)])
            .collect(),
    }
}

/// `SHOW [FULL] PROCESSLIST`: MySQL's columns and ours behind them. `Info` is NULL: mytls reads no statements.
pub(super) fn processlist(sessions: &[Arc<Live>], full: bool) -> ResultSet {
    let mut columns = vec![
        Column::number("Id", 22).not_null(),
        Column::text("User", 32).not_null(),
        Column::text("Host", 255).not_null(),
        Column::text("db", NAME),
        Column::text("Command", 16).not_null(),
        Column::small_number("Time", 8).not_null(),
        Column::text("State", 30),
        Column::text("Info", 100),
        Column::text("Route", 6).not_null(),
        Column::text("Tls", 7).not_null(),
    ];
    if full {
        columns.extend([
            Column::text("Tls_cipher", NAME).not_null(),
            Column::text("Tls_subject", VALUE),
            Column::text("Account", 320),
            Column::number("Backend_id", 21).unsigned(),
            Column::text("Backend_tls", 7).not_null(),
            Column::number("Bytes_from_client", 21)
                .not_null()
                .unsigned(),
            Column::number("Bytes_from_backend", 21)
                .not_null()
                .unsigned(),
        ]);
    }
    let rows = sessions.iter().map(|live| session(live, full)).collect();
    ResultSet { columns, rows }
}

fn session(live: &Live, full: bool) -> Vec<Value> {
    let known = live.known();
    let (command, state) = match known.state {
        State::LoggingIn => ("Connect", "logging in"),
        State::Connecting => ("Connect", "connecting"),
        State::Relaying => ("Relay", ""),
    };
    let version = |tls: Option<Negotiated>| Some(tls.map_or("", |tls| tls.version).to_owned());
    let mut row = vec![
        Some(live.id.to_string()),
        Some(
            known
                .user
                .unwrap_or_else(|| "unauthenticated user".to_owned()),
        ),
        Some(known.client.to_string()),
        known.database,
        Some(command.to_owned()),
        Some(live.since.elapsed().as_secs().to_string()),
        Some(state.to_owned()),
        None,
        Some(known.route.to_string()),
        version(known.client_tls),
    ];
    if full {
        row.extend([
            Some(known.client_tls.map_or("", |tls| tls.cipher).to_owned()),
            known.subject,
            known.account,
            known.backend_id.map(|id| id.to_string()),
            version(known.backend_tls),
            Some(live.bytes_from_client().to_string()),
            Some(live.bytes_from_backend().to_string()),
        ]);
    }
    row
}

/// `SHOW [FULL] CERTIFICATES`: every certificate in force.
pub(super) fn certificates(channels: &[View], now: u64, full: bool) -> ResultSet {
    let mut columns = vec![
        Column::text("Channel", 16).not_null(),
        Column::text("What", 32).not_null(),
        Column::number("Days_left", 21).not_null(),
        Column::text("Subject", VALUE).not_null(),
        Column::text("Not_after", 24).not_null(),
    ];
    if full {
        columns.extend([
            Column::text("Not_before", 24).not_null(),
            Column::text("Issuer", VALUE).not_null(),
            Column::text("Serial", NAME).not_null(),
            Column::text("File", VALUE).not_null(),
        ]);
    }
    let row = |view: &View, certificate: &Expiry| {
        let mut row = vec![
            view.name.to_string(),
            certificate.what.to_owned(),
            certificate.days_left(now).to_string(),
            certificate.subject.clone(),
            openssl_date(certificate.not_after),
        ];
        if full {
            row.extend([
                openssl_date(certificate.not_before),
                certificate.issuer.clone(),
                certificate.serial.clone(),
                view.source(certificate.what),
            ]);
        }
        row.into_iter().map(Some).collect()
    };
    let rows = channels
        .iter()
        .flat_map(|view| view.certificates.iter().map(move |each| row(view, each)))
        .collect();
    ResultSet { columns, rows }
}

/// A sentence, or without `FULL` as much of it as a table of 120 columns has room for.
fn sentence(text: String, full: bool) -> String {
    if full || text.chars().count() <= SENTENCE_CHARACTERS {
        return text;
    }
    let begin = text.chars().take(SENTENCE_CHARACTERS - 1);
    begin.chain(['…']).collect()
}

/// `SHOW [FULL] BACKENDS`
pub(super) fn backends(backends: &Backends, sessions: &[Arc<Live>], full: bool) -> ResultSet {
    let mut columns = vec![
        Column::text("Route", 6).not_null(),
        Column::text("Current", 3).not_null(),
        Column::text("Endpoint", 255).not_null(),
        Column::text("Tls", 3).not_null(),
        Column::number("Sessions", 21).not_null().unsigned(),
        Column::text("State", VALUE).not_null(),
    ];
    if full {
        columns.push(Column::text("Version", NAME));
    }
    let routes: Vec<_> = sessions.iter().map(|live| live.route()).collect();
    let current = backends.routed().role();
    let mut rows = Vec::new();
    for backend in backends.all() {
        let role = backend.role();
        let version = backend
            .greeting()
            .map(|greeting| String::from_utf8_lossy(&greeting.version).into_owned());
        let count = routes.iter().filter(|route| **route == role).count();
        for (endpoint, state) in backend.states(count) {
            let mut row = vec![
                Some(role.to_string()),
                Some(if role == current { "YES" } else { "NO" }.to_owned()),
                Some(endpoint),
                Some(
                    if backend.channel().is_some() {
                        "YES"
                    } else {
                        "NO"
                    }
                    .to_owned(),
                ),
                Some(count.to_string()),
                Some(sentence(state.to_string(), full)),
            ];
            if full {
                row.push(version.clone());
            }
            rows.push(row);
        }
    }
    ResultSet { columns, rows }
}

/// `SHOW USERS`: the rules of the data port by their place, and what holds for whoever none of mytls' own names. Rules of a
/// server are those of the last import.
pub(super) fn users(rules: &Rules, backends: &Backends) -> ResultSet {
    let row = |account: &str, requirement: &Requirement, place: &str| {
        vec![
            Some(account.to_owned()),
            Some(requirement.to_string()),
            Some(place.to_owned()),
        ]
    };
    let settings = rules.settings();
    let mut own: Vec<_> = (settings.accounts.iter())
        .map(|rule| (rule.name.to_string(), &rule.requirement, Place::File))
        .collect();
    let made_here = settings.admin_accounts.iter();
    own.extend(made_here.map(|(name, rule)| (name.to_string(), rule, Place::AdminPort)));
    own.sort_by(|(one, ..), (other, ..)| one.cmp(other));
    let mut rows: Vec<_> = own
        .iter()
        .map(|(account, requirement, place)| row(account, requirement, &place.to_string()))
        .collect();
    let default = &settings.default_requirement;
    rows.push(row("default-require", default, &Place::File.to_string()));
    for backend in backends.all() {
        let Some(imported) = backend.import().and_then(|import| import.latest()) else {
            continue;
        };
        let place = backend.role().to_string();
        rows.extend(imported.all().into_iter().map(|(account, requirement)| {
            let account = account.strip_prefix("imported ").unwrap_or(account);
            row(account, requirement, &place)
        }));
    }
    ResultSet {
        columns: vec![
            Column::text("Account", 320).not_null(),
            Column::text("Require", VALUE).not_null(),
            Column::text("Place", 16).not_null(),
        ],
        rows,
    }
}

/// `SHOW CREATE USER`: MySQL's column, and the place. An account may have a rule in both. `None` if it has none.
pub(super) fn create_user(rules: &Rules, account: &AccountName) -> Option<ResultSet> {
    let AccountName { user, host } = account;
    let statement = |requirement: &Requirement, place: Place| {
        let (user, host) = (Name(user.as_str()), host.to_string());
        let host = Name(&host);
        vec![
            Some(format!("CREATE USER {user}@{host} REQUIRE {requirement}")),
            Some(place.to_string()),
        ]
    };
    let settings = rules.settings();
    let in_file = settings.accounts.iter().find(|rule| rule.name == *account);
    let in_file = in_file.map(|rule| statement(&rule.requirement, Place::File));
    let made_here = settings.admin_accounts.get(account);
    let made_here = made_here.map(|requirement| statement(requirement, Place::AdminPort));
    let rows: Vec<_> = in_file.into_iter().chain(made_here).collect();
    let columns = vec![
        Column::text(format!("CREATE USER for {user}@{host}"), 256).not_null(),
        Column::text("Place", 16).not_null(),
    ];
    (!rows.is_empty()).then_some(ResultSet { columns, rows })
}

/// `SHOW [FULL] DENIALS`
pub(super) fn denials(refusals: Vec<Refusals>, full: bool) -> ResultSet {
    let time = |time| Some(humantime::format_rfc3339_seconds(time).to_string());
    let row = |refusals: Refusals| {
        let verdict = match refusals.verdict {
            Verdict::Refused => "refused",
            Verdict::Reported => "reported",
        };
        let mut row = vec![
            refusals.user,
            Some(refusals.client.to_string()),
            Some(verdict.to_owned()),
            Some(refusals.count.to_string()),
            time(refusals.last),
            Some(sentence(refusals.reason, full)),
        ];
        if full {
            row.push(time(refusals.first));
        }
        row
    };
    let mut columns = vec![
        Column::text("User", 128),
        Column::text("Host", 255).not_null(),
        Column::text("Verdict", 8).not_null(),
        Column::number("Count", 21).not_null().unsigned(),
        Column::text("Last", 20).not_null(),
        Column::text("Reason", VALUE).not_null(),
    ];
    if full {
        columns.push(Column::text("First", 20).not_null());
    }
    ResultSet {
        columns,
        rows: refusals.into_iter().map(row).collect(),
    }
}

/// `SHOW WARNINGS`: what became of the last statement.
pub(super) fn warnings(warnings: &[Refusal]) -> ResultSet {
    let row = |warning: &Refusal| {
        let packet = warning.packet();
        vec![
            Some(warning.level().to_owned()),
            Some(packet.code.to_string()),
            Some(packet.message),
        ]
    };
    ResultSet {
        columns: vec![
            Column::text("Level", 7).not_null(),
            Column::small_number("Code", 5).not_null().unsigned(),
            Column::text("Message", 512).not_null(),
        ],
        rows: warnings.iter().map(row).collect(),
    }
}

/// `SHOW DATABASES`
pub(super) fn databases(like: Option<&str>) -> ResultSet {
    let name = like.map_or("Database".to_owned(), |pattern| {
        format!("Database ({pattern})")
    });
    ResultSet {
        columns: vec![Column::text(name, NAME).not_null()],
        rows: names(&[DATABASE], like, false),
    }
}

/// `SHOW TABLES`
pub(super) fn tables(database: &str, full: bool, like: Option<&str>) -> ResultSet {
    let pattern = like.map_or(String::new(), |pattern| format!(" ({pattern})"));
    let mut columns = vec![Column::text(format!("Tables_in_{database}{pattern}"), NAME).not_null()];
    if full {
        columns.push(Column::text("Table_type", 11).not_null());
    }
    let known: &[&str] = if database.eq_ignore_ascii_case(DATABASE) {
        &[CHANNEL_STATUS]
    } else {
        &[]
    };
    ResultSet {
        columns,
        rows: names(known, like, full),
    }
}

fn names(names: &[&str], like: Option<&str>, with_type: bool) -> Vec<Vec<Value>> {
    names
        .iter()
        .filter(|name| like.is_none_or(|pattern| is_like(name, pattern)))
        .map(|name| {
            let mut row = vec![Some((*name).to_owned())];
            row.extend(with_type.then(|| Some("BASE TABLE".to_owned())));
            row
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_cut_by_characters_unless_all_of_it_is_wanted() {
        let (room, long) = ("é".repeat(32), "é".repeat(33));
        assert_eq!(sentence(room.clone(), false), room);
        assert_eq!(sentence(long.clone(), false), "é".repeat(31) + "…");
        assert_eq!(sentence(long.clone(), true), long);
    }
}
