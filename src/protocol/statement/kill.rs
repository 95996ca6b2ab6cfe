//! `KILL`: whom it names.
//!
//! <https://dev.mysql.com/doc/refman/9.7/en/kill.html>, <https://mariadb.com/kb/en/kill/>

use std::ops::Range;

use super::token::{Kind, Token};

/// A command that names a connection by its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kill<'a> {
    /// The connection's id.
    pub id: u32,
    /// The command up to the id.
    before: &'a [u8],
    behind: &'a [u8],
    /// Whether the id stands there in digits.
    in_digits: bool,
}

impl<'a> Kill<'a> {
    /// `COM_PROCESS_KILL`, the whole payload.
    pub(super) fn read_binary(payload: &'a [u8]) -> Option<Self> {
        let (before, id) = payload.split_first_chunk::<1>()?;
        Some(Self {
            id: u32::from_le_bytes(id.try_into().ok()?),
            before,
            behind: &[],
            in_digits: false,
        })
    }

    /// `KILL [HARD | SOFT] [CONNECTION | QUERY] number [;]`. MariaDB's `QUERY ID` and `USER` name no connection, and what an
    /// expression comes to only the server knows.
    ///
    /// `payload` is the whole payload, which `text`, divided into `tokens`, ends.
    pub(super) fn read(payload: &'a [u8], text: &str, tokens: &[Token<'_>]) -> Option<Self> {
        let Number { id, span } = Number::killed(tokens)?;
        let text_at = payload.len() - text.len();
        Some(Self {
            id,
            before: &payload[..text_at + span.start],
            behind: &payload[text_at + span.end..],
            in_digits: true,
        })
    }

    /// The payload that names another connection.
    pub fn with_id(&self, id: u32) -> Vec<u8> {
        if self.in_digits {
            [self.before, id.to_string().as_bytes(), self.behind].concat()
        } else {
            [self.before, &id.to_le_bytes(), self.behind].concat()
        }
    }
}

/// A connection's id as it stands in a text.
#[derive(Debug, PartialEq, Eq)]
struct Number {
    id: u32,
    /// With its sign.
    span: Range<usize>,
}

impl Number {
    /// That of a `KILL`.
    fn killed(tokens: &[Token<'_>]) -> Option<Self> {
        let (kill, mut rest) = tokens.split_first()?;
        if !kill.is_any(&["KILL"]) {
            return None;
        }
        for optional in [&["HARD", "SOFT"], &["CONNECTION", "QUERY"]] {
            if let [first, behind @ ..] = rest
                && (first.is_any(optional) || is_conditional(first, optional))
            {
                rest = behind;
            }
        }
        if let [before @ .., last] = rest
            && last.is_symbol(b';')
        {
            rest = before;
        }
        let (is_negative, number) = match rest {
            [number] => (false, number),
            [sign, number] if sign.is_symbol(b'-') => (true, number),
            [sign, number] if sign.is_symbol(b'+') => (false, number),
            _ => return None,
        };
        if number.kind != Kind::Number {
            return None;
        }
        Some(Self {
            id: connection_id(number.text, is_negative)?,
            span: rest.first()?.at..number.end(),
        })
    }
}

/// Old shells write `KILL /*!50000 QUERY */ 5`.
fn is_conditional(token: &Token<'_>, keywords: &[&str]) -> bool {
    token.kind == Kind::Conditional
        && keywords.iter().any(|keyword| {
            token
                .text
                .trim_start_matches("/*!")
                .trim_end_matches("*/")
                .trim_start_matches(|each: char| each.is_ascii_digit())
                .trim_ascii()
                .eq_ignore_ascii_case(keyword)
        })
}

/// The id that a number means. Ids have 32 bits; drivers that read the one in the greeting as a signed number print it as
/// such a one, or with the sign carried on to 64 bits.
fn connection_id(digits: &str, is_negative: bool) -> Option<u32> {
    let number: i128 = digits.parse().ok()?;
    let signed = if is_negative { -number } else { number };
    if let Ok(id) = u32::try_from(signed) {
        return Some(id);
    }
    let signed = match u64::try_from(signed) {
        Ok(unsigned) => unsigned.cast_signed(),
        Err(_) => i64::try_from(signed).ok()?,
    };
    // what is left of 2^32 and more that is no such sign is an id that no connection has
    i32::try_from(signed).ok().map(i32::cast_unsigned)
}

#[cfg(test)]
mod tests {
    use super::super::token::tokens;
    use super::*;

    fn read(text: &str) -> Option<Kill<'_>> {
        Kill::read(text.as_bytes(), text, &tokens(text)?)
    }

    #[test]
    fn what_names_no_connection_by_a_number_is_left_alone() {
        for text in [
            "KILL",
            "KILL QUERY",
            "KILL QUERY ID 5",
            "KILL USER app",
            "KILL SOFT USER app@localhost",
            "KILL CONNECTION_ID()",
            "KILL (5)",
            "KILL 5 + 1",
            "KILL 5.0",
            "KILL 5, 6",
            "KILL 5; KILL 6",
            "KILL 5;;",
            "KILL '5'",
            "KILL @id",
            "KILL ?",
            "KILL - - 5",
            "KILL QUERY QUERY 5",
            "KILL QUERY HARD 5",
            "KILL /*!50000 USER */ 5",
            "KILL /*+ QUERY */ 5",
            "KILL 4294967296",
            "KILL -2147483649",
            "KILL 6442450945",
            "KILL 18446744071562067967",
            "KILL 340282366920938463463374607431768211456",
            "SKILL 5",
            "SELECT 5",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    /// Each was run on MySQL 9.7 or MariaDB 10.11 and 11.8 (`HARD` and `SOFT` exist only there).
    #[test]
    fn every_form_that_names_a_connection_is_read() {
        for (text, id, number) in [
            ("KILL 5", 5, "5"),
            ("kill\n5", 5, "5"),
            ("KiLL QueRY 5 ;", 5, "5"),
            ("KILL CONNECTION /* of app */ 5", 5, "5"),
            ("KILL HARD 5", 5, "5"),
            ("KILL SOFT QUERY 5", 5, "5"),
            ("KILL /*!50000 QUERY */ 5", 5, "5"),
            ("KILL /*!50000 query*/5", 5, "5"),
            ("/* ApplicationName=x */ KILL 5", 5, "5"),
            ("-- it\nKILL 5 # hangs", 5, "5"),
            ("KILL +5", 5, "+5"),
            ("KILL 2147483649", 0x8000_0001, "2147483649"),
            ("KILL QUERY -2147483647", 0x8000_0001, "-2147483647"),
            ("KILL QUERY - 2147483647", 0x8000_0001, "- 2147483647"),
            (
                "KILL 18446744071562067969",
                0x8000_0001,
                "18446744071562067969",
            ),
            ("KILL -1", u32::MAX, "-1"),
            ("KILL 4294967295", u32::MAX, "4294967295"),
        ] {
            let kill = read(text).expect(text);
            assert_eq!(kill.id, id, "{text}");
            let (before, behind) = text.rsplit_once(number).expect("a part of it");
            let expected = format!("{before}77{behind}");
            assert_eq!(kill.with_id(77), expected.as_bytes(), "{text}");
        }
    }

    #[test]
    fn what_stands_before_the_text_stays() {
        let (payload, text) = (b"\x03\x00\x01KILL 5;", "KILL 5;");
        let kill = Kill::read(payload, text, &tokens(text).expect("unambiguous"));
        let changed = kill.expect("a KILL").with_id(77);
        assert_eq!(changed, b"\x03\x00\x01KILL 77;");
    }

    #[test]
    fn a_binary_kill_has_four_bytes_of_id() {
        for short_or_long in [
            &b"\x0c"[..],
            b"\x0c\x05\x00\x00",
            b"\x0c\x05\x00\x00\x00\x00",
        ] {
            assert_eq!(Kill::read_binary(short_or_long), None);
        }
        let kill = Kill::read_binary(b"\x0c\x01\x00\x00\x80").expect("a KILL");
        assert_eq!(kill.id, 0x8000_0001);
        assert_eq!(kill.with_id(0x0102), b"\x0c\x02\x01\x00\x00");
    }
}
