//! Questions about the TLS of a session: `SHOW STATUS` and `SELECT` from the tables of status variables.
//!
//! The question stays what it was, and the server answers it; only the table that it is put to is replaced by one in
//! which the values of this session's TLS are those of the client's side. So which names a pattern fits, in which order
//! they come, and whatever else the statement says is the server's to decide. Of what `SHOW STATUS` shows, MySQL's tables
//! lack the `Com_…` counters.
//!
//! <https://dev.mysql.com/doc/refman/9.7/en/show-status.html>, <https://mariadb.com/kb/en/show-status/>

use std::fmt::Write as _;
use std::ops::Range;

use super::super::server_kind::ServerKind;
use super::token::{Kind, Token};

/// The values that are the client's: names as MySQL writes them, and what they are.
pub type Values = [(&'static str, String)];

/// What may follow a table in a `FROM` without being its alias, where a derived table may stand too.
const BEHIND_TABLE: [&str; 17] = [
    "WHERE",
    "GROUP",
    "HAVING",
    "ORDER",
    "LIMIT",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "JOIN",
    "INNER",
    "CROSS",
    "LEFT",
    "RIGHT",
    "NATURAL",
    "STRAIGHT_JOIN",
    "ON",
    "USING",
];

/// What may follow a table and makes us leave the statement alone.
const FOREIGN: [&str; 9] = [
    "FOR",
    "FORCE",
    "IGNORE",
    "INTO",
    "LOCK",
    "PARTITION",
    "PROCEDURE",
    "USE",
    "WINDOW",
];

/// A statement that may ask for the TLS of the session.
#[derive(Debug)]
pub struct StatusQuestion<'a> {
    /// The command up to its text.
    before: &'a [u8],
    text: &'a str,
    tokens: Vec<Token<'a>>,
}

impl<'a> StatusQuestion<'a> {
    /// `payload` is the whole payload, which `text`, divided into `tokens`, ends.
    pub(super) fn new(payload: &'a [u8], text: &'a str, tokens: Vec<Token<'a>>) -> Self {
        Self {
            before: &payload[..payload.len() - text.len()],
            text,
            tokens,
        }
    }

    /// The payload that asks the same and that this kind of server answers with `values`, which have neither quotes nor
    /// backslashes in them. `None`: it asks for something else, or in a way that is not covered.
    pub fn with_values(&self, server: ServerKind, values: &Values) -> Option<Vec<u8>> {
        let text = with_values(self.text, &self.tokens, server, values)?;
        Some([self.before, text.as_bytes()].concat())
    }
}

fn with_values(
    text: &str,
    tokens: &[Token<'_>],
    server: ServerKind,
    values: &Values,
) -> Option<String> {
    let first = tokens.first()?;
    if first.is_any(&["SHOW"]) {
        show(text, tokens, server, values)
    } else {
        select(text, tokens, server, values)
    }
}

/// `SHOW [GLOBAL | SESSION | LOCAL] STATUS {LIKE 'pattern' | WHERE condition} [;]`
fn show(text: &str, tokens: &[Token<'_>], server: ServerKind, values: &Values) -> Option<String> {
    let (scope, rest) = match tokens {
        [_show, global, rest @ ..] if global.is_any(&["GLOBAL"]) => ("global", rest),
        [_show, session, rest @ ..] if session.is_any(&["SESSION", "LOCAL"]) => ("session", rest),
        [_show, rest @ ..] => ("session", rest),
        [] => return None,
    };
    let [status, filter, rest @ ..] = rest else {
        return None;
    };
    let rest = match rest {
        [before @ .., last] if last.is_symbol(b';') => before,
        _ => rest,
    };
    if !status.is_any(&["STATUS"]) || rest.iter().any(|token| token.is_symbol(b';')) {
        return None;
    }
    let condition = &text[rest.first()?.at..rest.last()?.end()];
    let condition = match rest {
        [pattern] if filter.is_any(&["LIKE"]) && pattern.kind == Kind::Quoted => {
            format!("Variable_name LIKE {condition}")
        }
        _ if filter.is_any(&["WHERE"]) => condition.to_owned(),
        _ => return None,
    };
    let rows = match server {
        ServerKind::MySql => format!(
            "SELECT VARIABLE_NAME AS Variable_name, {} AS Value FROM performance_schema.{scope}_status",
            case(values)
        ),
        ServerKind::MariaDb => format!(
            "SELECT {MARIADB_NAME} AS Variable_name, {} AS Value FROM information_schema.{scope}_status",
            case(values)
        ),
        ServerKind::TiDb => literal_rows(values),
        ServerKind::OldMySql => return None,
    };
    Some(format!(
        "SELECT * FROM ({rows}) AS {scope}_status WHERE {condition}"
    ))
}

/// MariaDB's table has names in capitals. `SHOW STATUS` writes the first letter so, and none in those of Galera.
const MARIADB_NAME: &str = "IF(VARIABLE_NAME LIKE 'WSREP%', LOWER(VARIABLE_NAME), \
     CONCAT(LEFT(VARIABLE_NAME, 1), LOWER(SUBSTRING(VARIABLE_NAME, 2))))";

/// A variable's value: one of `values`, or the server's.
fn case(values: &Values) -> String {
    let mut case = "CASE VARIABLE_NAME".to_owned();
    for (name, value) in values {
        // neither has a quote or a backslash in it
        let _ = write!(case, " WHEN '{name}' THEN '{value}'");
    }
    case + " ELSE VARIABLE_VALUE END"
}

/// TiDB's table of status variables is empty. Its `SHOW STATUS` disregards case, which comparing with literals may not.
fn literal_rows(values: &Values) -> String {
    let mut rows = String::new();
    for (name, value) in values {
        let union = if rows.is_empty() { "" } else { " UNION ALL " };
        let _ = write!(
            rows,
            "{union}SELECT _utf8mb4'{name}' COLLATE utf8mb4_general_ci AS Variable_name, _utf8mb4'{value}' AS Value"
        );
    }
    rows
}

/// Any `SELECT` from `performance_schema.session_status` and the tables like it.
fn select(text: &str, tokens: &[Token<'_>], server: ServerKind, values: &Values) -> Option<String> {
    if tokens
        .iter()
        .rev()
        .skip(1)
        .any(|token| token.is_symbol(b';'))
    {
        return None;
    }
    let mut rewritten = String::new();
    let mut done = 0;
    for place in 0..tokens.len() {
        let Some(table) = Table::at(tokens, place, server) else {
            continue;
        };
        let alias = table.alias()?;
        rewritten.push_str(&text[done..table.span.start]);
        let _ = write!(
            rewritten,
            "(SELECT VARIABLE_NAME AS {}, {} AS {} FROM {}){alias}",
            spelled(tokens, "VARIABLE_NAME"),
            case(values),
            spelled(tokens, "VARIABLE_VALUE"),
            &text[table.span.clone()],
        );
        done = table.span.end;
    }
    (done > 0).then(|| rewritten + &text[done..])
}

/// A column's name as the statement's first list of columns has it: a table gives a column the name that it is asked for
/// by, a derived table the one that it was given itself.
fn spelled<'a>(tokens: &[Token<'a>], column: &'a str) -> &'a str {
    tokens
        .iter()
        .take_while(|token| !token.is_any(&["FROM"]))
        .find(|token| token.names(column))
        .map_or(column, |token| token.text)
}

/// A table of status variables, named with its schema.
struct Table<'t, 'a> {
    before: Option<&'t Token<'a>>,
    name: &'t Token<'a>,
    behind: Option<&'t Token<'a>>,
    span: Range<usize>,
}

impl<'t, 'a> Table<'t, 'a> {
    fn at(tokens: &'t [Token<'a>], place: usize, server: ServerKind) -> Option<Self> {
        let schemas: &[&str] = match server {
            ServerKind::MySql => &["performance_schema"],
            ServerKind::MariaDb => &["performance_schema", "information_schema"],
            // there is nothing in it
            ServerKind::TiDb | ServerKind::OldMySql => &[],
        };
        let [schema, dot, name, rest @ ..] = tokens.get(place..)? else {
            return None;
        };
        let is_table = schemas.iter().any(|each| schema.names(each))
            && dot.is_symbol(b'.')
            && (name.names("session_status") || name.names("global_status"));
        is_table.then(|| Self {
            before: place.checked_sub(1).and_then(|place| tokens.get(place)),
            name,
            behind: rest.first(),
            span: schema.at..name.end(),
        })
    }

    /// What a derived table in its place needs behind it to be called the same. `None`: it does not stand where a table
    /// is named, or something follows that a derived table may not have.
    fn alias(&self) -> Option<String> {
        if !self.before?.is_any(&["FROM", "JOIN"]) {
            return None;
        }
        let own = || Some(format!(" AS {}", self.name.text));
        let Some(behind) = self.behind else {
            return own();
        };
        match behind.kind {
            Kind::Symbol(b')' | b',' | b';') => own(),
            Kind::Word if behind.is_any(&BEHIND_TABLE) => own(),
            Kind::Word if behind.is_any(&FOREIGN) => None,
            // its own alias, with or without AS
            Kind::Word | Kind::Name => Some(String::new()),
            Kind::Number | Kind::Quoted | Kind::Conditional | Kind::Symbol(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::token::tokens;
    use super::ServerKind::{MariaDb, MySql, OldMySql, TiDb};
    use super::*;

    fn asked(text: &str, server: ServerKind) -> Option<String> {
        let values = [
            ("Ssl_cipher", "C".to_owned()),
            ("Ssl_version", "V".to_owned()),
        ];
        let payload = [b"\x03", text.as_bytes()].concat();
        let question = StatusQuestion::new(&payload, text, tokens(text)?);
        let asked = question.with_values(server, &values)?;
        let (command, text) = asked.split_first().expect("a command byte");
        assert_eq!(*command, 0x03);
        Some(String::from_utf8(text.to_vec()).expect("ASCII"))
    }

    #[test]
    fn other_statements_are_left_alone() {
        for text in [
            "",
            "SHOW",
            "SHOW STATUS",
            "SHOW GLOBAL STATUS",
            "SHOW STATUS LIKE",
            "SHOW STATUS WHERE",
            "SHOW STATUS;",
            "SHOW STATUS LIKE ;",
            "SHOW STATUS LIKE ssl",
            "SHOW STATUS LIKE 'ssl%' 'x'",
            "SHOW STATUS LIKE 'ssl%'; SELECT 1",
            "SHOW STATUS LIKE 'ssl%';;",
            "SHOW STATUS WHERE Variable_name = 'Ssl_cipher'; SELECT 1",
            "SHOW VARIABLES LIKE 'ssl%'",
            "SHOW GLOBAL VARIABLES LIKE 'ssl%'",
            "SHOW TABLE STATUS LIKE 'ssl%'",
            "SHOW MASTER STATUS",
            "SHOW GLOBAL SESSION STATUS LIKE 'ssl%'",
            "SELECT 'Ssl_cipher'",
            "SELECT * FROM session_status WHERE VARIABLE_NAME = 'Ssl_cipher'",
            "SELECT * FROM other.session_status WHERE VARIABLE_NAME = 'Ssl_cipher'",
            "SELECT * FROM performance_schema.session_variables WHERE VARIABLE_NAME LIKE 'ssl%'",
            "SELECT * FROM performance_schema.status_by_thread WHERE VARIABLE_NAME LIKE 'ssl%'",
            "SELECT performance_schema.session_status.VARIABLE_VALUE FROM performance_schema.session_status",
            "SELECT * FROM sslusers, performance_schema.session_status",
            "SELECT * FROM performance_schema.session_status FOR UPDATE",
            "SELECT * FROM performance_schema.session_status USE INDEX (PRIMARY)",
            "SELECT * FROM performance_schema.session_status /*! AS ssl */",
            "SELECT * FROM performance_schema.session_status; SELECT 1",
        ] {
            for server in [OldMySql, MySql, MariaDb, TiDb] {
                assert_eq!(asked(text, server), None, "{text} on {server:?}");
            }
        }
    }

    #[test]
    fn servers_without_such_a_table_are_not_asked_for_it() {
        let select =
            "SELECT * FROM performance_schema.session_status WHERE VARIABLE_NAME = 'Ssl_cipher'";
        assert_eq!(asked(select, OldMySql), None);
        assert_eq!(asked(select, TiDb), None);
        assert_eq!(asked("SHOW STATUS LIKE 'ssl%'", OldMySql), None);
        assert_eq!(
            asked("SELECT * FROM information_schema.session_status", MySql),
            None
        );
    }

    /// What the servers answer to these is in `tests/lab`: here it is what they are asked.
    #[test]
    fn show_status_asks_the_table_that_it_shows() {
        let mysql = |scope: &str, condition: &str| {
            format!(
                "SELECT * FROM (SELECT VARIABLE_NAME AS Variable_name, CASE VARIABLE_NAME WHEN 'Ssl_cipher' THEN 'C' \
                 WHEN 'Ssl_version' THEN 'V' ELSE VARIABLE_VALUE END AS Value \
                 FROM performance_schema.{scope}_status) AS {scope}_status WHERE {condition}"
            )
        };
        for (text, scope, condition) in [
            (
                "SHOW STATUS LIKE 'ssl%'",
                "session",
                "Variable_name LIKE 'ssl%'",
            ),
            (
                "show global status like 'Ssl_cipher';",
                "global",
                "Variable_name LIKE 'Ssl_cipher'",
            ),
            (
                r#"SHOW SESSION STATUS LIKE "ssl\_%" -- x"#,
                "session",
                r#"Variable_name LIKE "ssl\_%""#,
            ),
            (
                "/* app */ SHOW LOCAL STATUS LIKE 'it''s ssl'",
                "session",
                "Variable_name LIKE 'it''s ssl'",
            ),
            (
                "SHOW GLOBAL STATUS WHERE Variable_name IN ('Ssl_cipher', 'Uptime') AND Value <> '' ;",
                "global",
                "Variable_name IN ('Ssl_cipher', 'Uptime') AND Value <> ''",
            ),
            (
                "SHOW STATUS WHERE `Variable_name` = ?",
                "session",
                "`Variable_name` = ?",
            ),
        ] {
            assert_eq!(asked(text, MySql), Some(mysql(scope, condition)), "{text}");
        }
        assert_eq!(
            asked("SHOW STATUS LIKE 'ssl%'", MariaDb).as_deref(),
            Some(
                "SELECT * FROM (SELECT IF(VARIABLE_NAME LIKE 'WSREP%', LOWER(VARIABLE_NAME), \
                 CONCAT(LEFT(VARIABLE_NAME, 1), LOWER(SUBSTRING(VARIABLE_NAME, 2)))) AS Variable_name, \
                 CASE VARIABLE_NAME WHEN 'Ssl_cipher' THEN 'C' WHEN 'Ssl_version' THEN 'V' ELSE VARIABLE_VALUE END AS Value \
                 FROM information_schema.session_status) AS session_status WHERE Variable_name LIKE 'ssl%'"
            )
        );
        assert_eq!(
            asked("SHOW STATUS LIKE 'ssl%'", TiDb).as_deref(),
            Some(
                "SELECT * FROM (SELECT _utf8mb4'Ssl_cipher' COLLATE utf8mb4_general_ci AS Variable_name, _utf8mb4'C' AS Value \
                 UNION ALL SELECT _utf8mb4'Ssl_version' COLLATE utf8mb4_general_ci AS Variable_name, _utf8mb4'V' AS Value) \
                 AS session_status WHERE Variable_name LIKE 'ssl%'"
            )
        );
    }

    #[test]
    fn a_select_keeps_everything_but_the_table() {
        let derived = |name: &str, value: &str, table: &str| {
            format!(
                "(SELECT VARIABLE_NAME AS {name}, CASE VARIABLE_NAME WHEN 'Ssl_cipher' THEN 'C' WHEN 'Ssl_version' THEN 'V' \
                 ELSE VARIABLE_VALUE END AS {value} FROM {table})"
            )
        };
        let (name, value) = ("VARIABLE_NAME", "VARIABLE_VALUE");
        for (text, server, expected) in [
            (
                "SELECT * FROM performance_schema.session_status WHERE variable_name = 'Ssl_cipher';",
                MySql,
                format!(
                    "SELECT * FROM {} AS session_status WHERE variable_name = 'Ssl_cipher';",
                    derived(name, value, "performance_schema.session_status")
                ),
            ),
            (
                "select variable_value as v from `performance_schema` . `Global_Status` s where s.variable_name like 'ssl%'",
                MySql,
                format!(
                    "select variable_value as v from {} s where s.variable_name like 'ssl%'",
                    derived(
                        name,
                        "variable_value",
                        "`performance_schema` . `Global_Status`"
                    )
                ),
            ),
            (
                "SELECT `variable_name`, Variable_Value FROM information_schema.SESSION_STATUS",
                MariaDb,
                format!(
                    "SELECT `variable_name`, Variable_Value FROM {} AS SESSION_STATUS",
                    derived(
                        "`variable_name`",
                        "Variable_Value",
                        "information_schema.SESSION_STATUS"
                    )
                ),
            ),
            (
                "SELECT (SELECT VARIABLE_VALUE FROM performance_schema.session_status WHERE VARIABLE_NAME='Ssl_version'), \
                 s.VARIABLE_VALUE FROM t JOIN performance_schema.session_status AS s ON 1",
                MySql,
                format!(
                    "SELECT (SELECT VARIABLE_VALUE FROM {0} AS session_status WHERE VARIABLE_NAME='Ssl_version'), \
                     s.VARIABLE_VALUE FROM t JOIN {0} AS s ON 1",
                    derived(name, value, "performance_schema.session_status")
                ),
            ),
        ] {
            assert_eq!(asked(text, server), Some(expected), "{text}");
        }
    }
}
