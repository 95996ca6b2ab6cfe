//! Statements that may have to be changed on their way, because the backend's answer would be true for mytls and not for
//! the client: `KILL` with an id that mytls gave out, and questions about the TLS of the session.
//!
//! The first look is for the relay's hot path: it allocates nothing, and a usual statement is let pass by its first
//! letters. Reading it is for the few that are left.

mod kill;
mod status;
mod token;

pub use self::kill::Kill;
pub use self::status::{StatusQuestion, Values};
use self::token::{Token, pass_blanks, tokens};
use super::command::Command;
use super::query_attributes::text_behind;
#[cfg(test)]
use super::server_kind::ServerKind;

/// The longest payload that is looked at: every form has room in it, with the comments that frameworks put in front. A
/// longer one is passed on as it is.
pub const LONGEST_BYTES: usize = 4096;

/// What the first look at a command says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Nothing in it has to be changed.
    Pass,
    /// It must be read.
    Read,
    /// It cannot be told before more of it has come.
    Wait,
}

impl Look {
    /// Looks at a command's arguments, as far as they have come. `is_whole`: nothing more comes.
    ///
    /// `query_attributes`: the session has `CLIENT_QUERY_ATTRIBUTES`.
    pub fn at(command: Command, arguments: &[u8], is_whole: bool, query_attributes: bool) -> Self {
        let later = if is_whole { Self::Pass } else { Self::Wait };
        match command {
            Command::ProcessKill if is_whole => Self::Read,
            Command::ProcessKill => Self::Wait,
            Command::Query | Command::StmtPrepare => text(command, arguments, query_attributes)
                .and_then(|text| Self::at_text(text, is_whole))
                .unwrap_or(later),
            _ => Self::Pass,
        }
    }

    /// `None`: it ends too early to tell.
    fn at_text(text: &[u8], is_whole: bool) -> Option<Self> {
        let text = pass_blanks(text)?;
        let word = match text.first()?.to_ascii_uppercase() {
            b'K' => &b"KILL"[..],
            b'S' => match text.get(1)?.to_ascii_uppercase() {
                b'E' => &b"SELECT"[..],
                b'H' => &b"SHOW"[..],
                _ => return Some(Self::Pass),
            },
            // may become a comment
            b'/' | b'-' if text.len() < 4 && !is_whole => return None,
            _ => return Some(Self::Pass),
        };
        let known = word.len().min(text.len());
        if !text[..known].eq_ignore_ascii_case(&word[..known]) {
            return Some(Self::Pass);
        }
        Some(if !is_whole {
            Self::Wait
        } else if known == word.len() && (word == b"KILL" || names_ssl(text)) {
            Self::Read
        } else {
            Self::Pass
        })
    }
}

/// Whether `ssl` stands anywhere in a text. Written without a branch, so that it is compiled to vector instructions.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "lazy operators would be branches"
)]
fn names_ssl(text: &[u8]) -> bool {
    let letters = text
        .iter()
        .zip(text.iter().skip(1))
        .zip(text.iter().skip(2));
    letters.fold(false, |found, ((first, second), third)| {
        found | ((first | 0x20 == b's') & (second | 0x20 == b's') & (third | 0x20 == b'l'))
    })
}

/// A command's text; none where its attributes do not end.
fn text(command: Command, arguments: &[u8], query_attributes: bool) -> Option<&[u8]> {
    if query_attributes && command == Command::Query {
        text_behind(arguments)
    } else {
        Some(arguments)
    }
}

/// Whether a whole payload surely has no more than one statement: in a `COM_QUERY` servers also take several, divided by
/// `;`.
pub fn is_single(payload: &[u8], query_attributes: bool) -> bool {
    const QUERY: u8 = Command::Query as u8;
    let [QUERY, arguments @ ..] = payload else {
        return true;
    };
    let Some(text) = text(Command::Query, arguments, query_attributes) else {
        return false;
    };
    let end_or_blank = |byte: &u8| *byte == b';' || byte.is_ascii_whitespace();
    let trailing = text.iter().rev().take_while(|byte| end_or_blank(byte));
    let text = &text[..text.len() - trailing.count()];
    // in no character set that clients may announce is it a part of another character
    if !text.contains(&b';') {
        return true;
    }
    let divided = str::from_utf8(text).ok().and_then(tokens);
    divided.is_some_and(|tokens| !tokens.iter().any(Token::may_divide))
}

/// The payload of a `COM_QUERY` that does nothing, to stand in place of another.
pub fn nothing(query_attributes: bool) -> Vec<u8> {
    // no attributes, in one set
    let attributes = if query_attributes { &[0, 1][..] } else { &[] };
    [&[Command::Query as u8], attributes, b"DO 1"].concat()
}

/// A command in which something has to be changed.
#[derive(Debug)]
pub enum Statement<'a> {
    /// It names a connection to end, or whose query to end.
    Kill(Kill<'a>),
    /// It may ask for the TLS of the session.
    Status(StatusQuestion<'a>),
}

impl<'a> Statement<'a> {
    /// Reads a whole payload that [`Look::at`] says must be read. `None`: nothing in it is to be changed, or it could be
    /// understood in more than one way.
    pub fn read(payload: &'a [u8], query_attributes: bool) -> Option<Self> {
        let (&byte, arguments) = payload.split_first()?;
        let command = Command::from_byte(byte)?;
        if command == Command::ProcessKill {
            return Kill::read_binary(payload).map(Self::Kill);
        }
        let text = str::from_utf8(text(command, arguments, query_attributes)?).ok()?;
        let tokens = tokens(text)?;
        match tokens.first()? {
            first if first.is_any(&["KILL"]) => Kill::read(payload, text, &tokens).map(Self::Kill),
            first if first.is_any(&["SHOW", "SELECT"]) => {
                Some(Self::Status(StatusQuestion::new(payload, text, tokens)))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const QUERY: Command = Command::Query;

    #[test]
    fn a_usual_statement_passes_by_its_first_letters() {
        for text in [
            "",
            "INSERT INTO ssl VALUES ('KILL 5')",
            "SELECT c FROM sbtest1 WHERE id=5042",
            "SET NAMES utf8mb4 /* ssl */",
            "SHOW TABLES",
            "/*!40101 SET NAMES utf8 */ KILL 5",
            "/*+ hint */ SELECT 'ssl'",
            "/* no end KILL 5",
            "# KILL 5",
            "-- KILL 5",
            "--KILL 5",
            "/",
            "-",
            "k",
            "s",
            "se",
        ] {
            let look = Look::at(QUERY, text.as_bytes(), true, false);
            assert_eq!(look, Look::Pass, "{text}");
        }
        for command in [Command::Ping, Command::InitDb, Command::StmtExecute] {
            assert_eq!(Look::at(command, b"KILL 5", true, false), Look::Pass);
        }
    }

    #[test]
    fn comments_in_front_are_looked_through() {
        for text in [
            "KILL 5",
            " \t\r\n kill 5",
            "/* ApplicationName=DBeaver 24 - Main */ KILL QUERY 5",
            "/**/KILL 5",
            "-- a\n# b\n/* c */KILL 5",
            "SHOW STATUS LIKE 'Ssl_cipher'",
            "select * from performance_schema.session_status where variable_name = 'SSL_VERSION'",
        ] {
            for command in [Command::Query, Command::StmtPrepare] {
                assert_eq!(
                    Look::at(command, text.as_bytes(), true, false),
                    Look::Read,
                    "{text}"
                );
            }
            let behind_attributes = [b"\x00\x01", text.as_bytes()].concat();
            assert_eq!(
                Look::at(QUERY, &behind_attributes, true, true),
                Look::Read,
                "{text}"
            );
            assert_eq!(
                Look::at(Command::StmtPrepare, text.as_bytes(), true, true),
                Look::Read,
                "a statement to prepare has no attributes: {text}"
            );
        }
        assert_eq!(
            Look::at(Command::ProcessKill, &[1, 0, 0, 0x80], true, false),
            Look::Read
        );
    }

    #[test]
    fn what_may_be_several_statements_is_not_taken_for_one() {
        for text in [
            "SELECT 1; SELECT 2",
            "SELECT 1;;SELECT 2;",
            "SELECT 1/*!;SELECT 2*/",
            "SELECT 1/*M!100000 ;SELECT 2*/",
            r"SELECT '\'; SELECT 2 -- '",
            "SELECT '\u{eb}'; SELECT 2",
        ] {
            let payload = [b"\x03", text.as_bytes()].concat();
            assert!(!is_single(&payload, false), "{text}");
            let payload = [b"\x03\x00\x01", text.as_bytes()].concat();
            assert!(!is_single(&payload, true), "{text}");
        }
        assert!(!is_single(b"\x03\x01\x01", true), "attributes cut short");
    }

    #[test]
    fn one_statement_is_one() {
        for text in [
            "",
            "SELECT 1",
            "SELECT 1; ;\n",
            "SELECT ';', \";\", `;` -- ; \n /* ; */ ;",
            "SELECT '\u{eb}';",
            r"SELECT '\\'",
        ] {
            let payload = [b"\x03", text.as_bytes()].concat();
            assert!(is_single(&payload, false), "{text}");
        }
        assert!(is_single(b"\x0c;;;;", true), "no text at all");
    }

    proptest! {
        /// However a text is cut, the look at what there is agrees with that at the whole of it, or waits for it.
        #[test]
        fn a_cut_text_is_never_judged_too_early(
            front in "(/\\* a \\*/|-- b\n|#c\n| |/\\*!1 d \\*/){0,3}",
            text in "(KILL|kiLL|KIL|SELECT|SEL|SHOW|SHO|SET|INSERT|/|-|--|/\\*)( ssl| 5|;|\n){0,3}",
        ) {
            let whole = front + &text;
            let judged = Look::at(QUERY, whole.as_bytes(), true, false);
            for length in 0..whole.len() {
                let early = Look::at(QUERY, &whole.as_bytes()[..length], false, false);
                prop_assert!(early == Look::Wait || early == judged, "{early:?} at {length}, {judged:?} of {whole:?}");
            }
        }

        #[test]
        fn no_payload_makes_the_reader_panic(
            payload in prop::collection::vec(any::<u8>(), 0..64),
            text in "(KILL|SHOW STATUS|SELECT)[ -~]{0,40}",
            command in prop::sample::select(vec![0x03_u8, 0x0c, 0x16]),
            attributes: bool,
        ) {
            for payload in [payload, [&[command], text.as_bytes()].concat()] {
                let _ = is_single(&payload, attributes);
                let _ = Look::at(QUERY, &payload, true, attributes);
                match Statement::read(&payload, attributes) {
                    Some(Statement::Kill(kill)) => drop(kill.with_id(1)),
                    Some(Statement::Status(question)) => {
                        drop(question.with_values(ServerKind::MySql, &[("Ssl_cipher", String::new())]));
                    }
                    None => {}
                }
            }
        }
    }
}
