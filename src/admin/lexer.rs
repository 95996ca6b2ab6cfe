//! A statement's text becomes tokens, as MySQL cuts it: comments, quotes, names, numbers.
//!
//! <https://dev.mysql.com/doc/refman/9.7/en/comments.html>

use super::refusal::Refusal;
use crate::rules::read_quoted;

/// The version that we speak as, as `/*!80400 … */` counts it: what such a comment holds is part of the statement, unless
/// it asks for a newer one.
const VERSION: u32 = 80_400;

/// So much of the text stands in an error, as in MySQL.
const NEAR_CHARACTERS: usize = 80;

/// A piece of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Where it begins and ends in the text, in bytes.
    pub(super) start: usize,
    pub(super) end: usize,
}

/// What a [`Token`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keyword or a plain name.
    Word(String),
    /// A name in backquotes; never a keyword.
    Name(String),
    /// In single or double quotes.
    Text(String),
    /// Digits, perhaps with a point among them.
    Number(String),
    /// Anything else.
    Symbol(char),
}

/// All tokens of a text.
pub(super) fn tokens(sql: &str) -> Result<Vec<Token>, Refusal> {
    let mut lexer = Lexer {
        sql,
        at: 0,
        in_version_comment: false,
    };
    let mut tokens = Vec::new();
    while lexer.skip_blanks()? {
        let start = lexer.at;
        let is_host = matches!(
            tokens.as_slice(),
            [.., Token { kind: Kind::Symbol('@'), end, .. }] if *end == start
        );
        let kind = lexer.next(is_host)?;
        tokens.push(Token {
            kind,
            start,
            end: lexer.at,
        });
    }
    Ok(tokens)
}

/// What the error says about a place in a text.
pub(super) fn syntax_error(sql: &str, at: usize) -> Refusal {
    let (before, near) = sql.split_at_checked(at).unwrap_or((sql, ""));
    Refusal::Syntax {
        near: near.chars().take(NEAR_CHARACTERS).collect(),
        line: before.matches('\n').count() + 1,
    }
}

struct Lexer<'a> {
    sql: &'a str,
    at: usize,
    /// Between `/*!` and its `*/`.
    in_version_comment: bool,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.sql.get(self.at..).unwrap_or_default()
    }

    fn error(&self) -> Refusal {
        syntax_error(self.sql, self.at)
    }

    /// Moves to the next token; false at the end.
    fn skip_blanks(&mut self) -> Result<bool, Refusal> {
        loop {
            let rest = self.rest();
            let blanks = rest.len() - rest.trim_start().len();
            if blanks > 0 {
                self.at += blanks;
            } else if rest.starts_with('#') || is_dash_comment(rest) {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if let Some(behind) = rest.strip_prefix("/*!") {
                self.version_comment(behind)?;
            } else if rest.starts_with("/*") {
                self.comment()?;
            } else if self.in_version_comment && rest.starts_with("*/") {
                self.in_version_comment = false;
                self.at += 2;
            } else if !rest.is_empty() {
                return Ok(true);
            } else if self.in_version_comment {
                return Err(self.error());
            } else {
                return Ok(false);
            }
        }
    }

    fn comment(&mut self) -> Result<(), Refusal> {
        // the star of `/*` ends nothing
        let behind = self.rest().get(2..).unwrap_or_default();
        let length = behind.find("*/").ok_or_else(|| self.error())?;
        self.at += 2 + length + 2;
        Ok(())
    }

    /// `/*! … */` is part of the statement, and `/*!90000 … */` for those who speak that version. They do not nest.
    fn version_comment(&mut self, behind: &str) -> Result<(), Refusal> {
        if self.in_version_comment {
            return Err(self.error());
        }
        let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
        let version = behind.get(..digits.min(6)).filter(|_| digits >= 5);
        let newer =
            version.is_some_and(|text| text.parse().is_ok_and(|asked: u32| asked > VERSION));
        if newer {
            return self.comment();
        }
        self.in_version_comment = true;
        self.at += 3 + version.map_or(0, str::len);
        Ok(())
    }

    /// The token that begins here. A plain host, which follows `@`, may have points in it.
    fn next(&mut self, is_host: bool) -> Result<Kind, Refusal> {
        let rest = self.rest();
        if let Some(quoted) = read_quoted(rest) {
            let (text, behind) = quoted.map_err(|_| self.error())?;
            self.at += rest.len() - behind.len();
            return Ok(if rest.starts_with('`') {
                Kind::Name(text)
            } else {
                Kind::Text(text)
            });
        }
        let in_word = |c: char| is_word(c) || is_host && c == '.';
        let word = &rest[..rest.find(|c| !in_word(c)).unwrap_or(rest.len())];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let kind = if digits > 0 && digits == word.len() && !is_host {
            Kind::Number(number(rest, digits).to_owned())
        } else if let Some(first) = rest.chars().next().filter(|_| word.is_empty()) {
            Kind::Symbol(first)
        } else {
            Kind::Word(word.to_owned())
        };
        self.at += match &kind {
            Kind::Number(text) => text.len(),
            Kind::Symbol(symbol) => symbol.len_utf8(),
            _ => word.len(),
        };
        Ok(kind)
    }
}

/// `--` and a blank, or the end.
fn is_dash_comment(rest: &str) -> bool {
    rest.strip_prefix("--").is_some_and(|behind| {
        behind
            .chars()
            .next()
            .is_none_or(|c| c.is_whitespace() || c.is_control())
    })
}

fn is_word(c: char) -> bool {
    c == '_' || c == '$' || c.is_ascii_alphanumeric() || !c.is_ascii()
}

/// The digits, and those behind a point.
fn number(rest: &str, digits: usize) -> &str {
    let fraction = rest[digits..].strip_prefix('.').map_or(0, |behind| {
        behind.bytes().take_while(u8::is_ascii_digit).count()
    });
    let length = if fraction == 0 {
        digits
    } else {
        digits + 1 + fraction
    };
    &rest[..length]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(sql: &str) -> Vec<Kind> {
        tokens(sql)
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
            .into_iter()
            .map(|token| token.kind)
            .collect()
    }

    fn word(text: &str) -> Kind {
        Kind::Word(text.to_owned())
    }

    #[test]
    fn what_does_not_end_is_refused_where_it_begins() {
        for (sql, near, line) in [
            ("KILL 'a", "'a", 1),
            ("KILL\n\n\"a", "\"a", 3),
            ("KILL /* a", "/* a", 1),
            ("KILL /*!50000 1", "", 1),
            ("KILL /*! /*! 1 */ */", "/*! 1 */ */", 1),
            ("KILL /*!99999 1", "/*!99999 1", 1),
        ] {
            let near = near.to_owned();
            assert_eq!(tokens(sql), Err(Refusal::Syntax { near, line }), "{sql}");
        }
    }

    #[test]
    fn comments_are_no_part_of_a_statement() {
        for sql in [
            "KILL 1",
            " \t\r\nKILL 1\n",
            "# a\nKILL# b\n1 # c",
            "-- a\nKILL--\t'\n1 --",
            "/* '; */KILL/**/1/***/",
            "/* a -- b */ KILL 1",
            "KILL /*! 1 */",
            "KILL /*!50105 1*/",
            "KILL /*!080400 1*/",
            "KILL /*!80401 2 */ 1",
            "KILL /*!999999 2 */ 1",
            "KILL /*/ 2 */ 1",
        ] {
            let number = Kind::Number("1".to_owned());
            assert_eq!(kinds(sql), [word("KILL"), number], "{sql}");
        }
    }

    // Run on MySQL 9.7: without a blank behind it, `--` is two signs; the version has five or six digits.
    #[test]
    fn what_only_looks_like_a_comment_is_none() {
        assert_eq!(
            kinds("1--2"),
            [
                Kind::Number("1".to_owned()),
                Kind::Symbol('-'),
                Kind::Symbol('-'),
                Kind::Number("2".to_owned())
            ]
        );
        assert_eq!(kinds("/*!1234 */"), [Kind::Number("1234".to_owned())]);
    }

    #[test]
    fn names_texts_and_numbers_are_told_apart() {
        assert_eq!(
            kinds(r#"a `b``c` 'd''e\'' "f" 1.5 1a @@x.y 'u'@10.0.0.1 ü"#),
            [
                word("a"),
                Kind::Name("b`c".to_owned()),
                Kind::Text("d'e'".to_owned()),
                Kind::Text("f".to_owned()),
                Kind::Number("1.5".to_owned()),
                word("1a"),
                Kind::Symbol('@'),
                Kind::Symbol('@'),
                word("x.y"),
                Kind::Text("u".to_owned()),
                Kind::Symbol('@'),
                word("10.0.0.1"),
                word("ü"),
            ]
        );
    }

    #[test]
    fn an_error_shows_eighty_characters() {
        let sql = "é".repeat(100);
        let Refusal::Syntax { near, .. } = syntax_error(&sql, 2) else {
            panic!("a syntax error");
        };
        assert_eq!(near.chars().count(), 80);
    }
}
