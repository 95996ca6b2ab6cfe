//! SQL text as words, numbers, strings and symbols: as much as it takes to recognize a statement.
//!
//! Servers read a text by the session's character set and `sql_mode`, which are not known here. A text that could be
//! read in more than one way is therefore not divided at all: one with a byte that is not ASCII, with a backslash before
//! a quote, or with something left open.

/// What a [`Token`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keyword, or a name without quotes.
    Word,
    /// Digits and nothing else.
    Number,
    /// `'…'` or `"…"`.
    Quoted,
    /// A name in backticks.
    Name,
    /// A comment whose content some servers carry out, `/*!…*/` or `/*M!…*/`, or a hint, `/*+…*/`.
    Conditional,
    /// Any other character.
    Symbol(u8),
}

/// A part of a text, with neither blanks nor comments around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    /// As written, quotes and all.
    pub(super) text: &'a str,
    /// Where it begins in the whole text.
    pub(super) at: usize,
}

impl Token<'_> {
    /// Where it ends in the whole text.
    pub(super) fn end(&self) -> usize {
        self.at + self.text.len()
    }

    pub(super) fn is_symbol(&self, symbol: u8) -> bool {
        self.kind == Kind::Symbol(symbol)
    }

    /// Whether a statement may end in it and another begin.
    pub(super) fn may_divide(&self) -> bool {
        self.is_symbol(b';') || self.kind == Kind::Conditional && self.text.contains(';')
    }

    /// Whether it is one of these keywords, in whatever case.
    pub(super) fn is_any(&self, keywords: &[&str]) -> bool {
        self.kind == Kind::Word
            && keywords
                .iter()
                .any(|keyword| self.text.eq_ignore_ascii_case(keyword))
    }

    /// Whether it is this name, in whatever case, with backticks or without.
    pub(super) fn names(&self, name: &str) -> bool {
        let written = match self.kind {
            Kind::Word => self.text,
            Kind::Name => self.text.trim_matches('`'),
            _ => return false,
        };
        written.eq_ignore_ascii_case(name)
    }
}

/// Divides a whole text.
pub(super) fn tokens(text: &str) -> Option<Vec<Token<'_>>> {
    if !text.is_ascii() {
        return None;
    }
    let mut tokens = Vec::new();
    let mut rest = text.as_bytes();
    loop {
        rest = pass_blanks(rest)?;
        let at = text.len() - rest.len();
        let Some(&first) = rest.first() else {
            return Some(tokens);
        };
        let (kind, length) = match first {
            b'\'' | b'"' => (Kind::Quoted, quoted_length(rest)?),
            b'`' => (Kind::Name, quoted_length(rest)?),
            // only these comments are left
            b'/' if rest.starts_with(b"/*") => {
                (Kind::Conditional, rest.len() - behind(rest, b"*/")?.len())
            }
            _ if is_word_byte(first) => {
                let word = rest.iter().take_while(|byte| is_word_byte(**byte));
                let length = word.clone().count();
                let is_number = word.clone().all(u8::is_ascii_digit);
                (if is_number { Kind::Number } else { Kind::Word }, length)
            }
            symbol => (Kind::Symbol(symbol), 1),
        };
        rest = &rest[length..];
        tokens.push(Token {
            kind,
            text: &text[at..at + length],
            at,
        });
    }
}

/// Passes over blanks and comments. `None`: a comment does not end.
pub(super) fn pass_blanks(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text;
    loop {
        rest = rest.trim_ascii_start();
        rest = match rest {
            [b'/', b'*', b'!' | b'+', ..] | [b'/', b'*', b'M', b'!', ..] => return Some(rest),
            [b'/', b'*', comment @ ..] => behind(comment, b"*/")?,
            [b'#', line @ ..] => behind(line, b"\n").unwrap_or_default(),
            [b'-', b'-'] => &[],
            [b'-', b'-', blank, ..] if blank.is_ascii_whitespace() => {
                behind(&rest[2..], b"\n").unwrap_or_default()
            }
            _ => return Some(rest),
        };
    }
}

/// What stands behind the first `end`.
fn behind<'a>(text: &'a [u8], end: &[u8]) -> Option<&'a [u8]> {
    let place = text.windows(end.len()).position(|window| window == end)?;
    Some(&text[place + end.len()..])
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$'
}

/// Length of what the quote at the start of `text` encloses, with both quotes. A doubled quote is one of the content.
fn quoted_length(text: &[u8]) -> Option<usize> {
    let quote = *text.first()?;
    let mut length = 1;
    loop {
        match text.get(length..)? {
            [] | [b'\\', b'\'' | b'"', ..] => return None,
            [first, second, ..] if *first == quote && *second == quote => length += 2,
            [first, ..] if *first == quote => return Some(length + 1),
            [_, ..] => length += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Kind::{Conditional, Name, Number, Quoted, Symbol, Word};
    use super::*;

    #[test]
    fn a_text_that_can_be_read_in_two_ways_is_not_divided() {
        for text in [
            "KILL 'a",
            "KILL \"a",
            "KILL `a",
            "KILL /* a",
            "KILL /*! a",
            r"SHOW STATUS LIKE 'a\'b'",
            "SHOW STATUS LIKE 's\u{df}l'",
        ] {
            assert_eq!(tokens(text), None, "{text}");
        }
    }

    #[test]
    fn a_text_is_divided_as_servers_divide_it() {
        let cases: &[(&str, &[(Kind, &str)])] = &[
            ("", &[]),
            (" \t\r\n", &[]),
            ("-- a\n--\tb\n# c\n/* d\n */", &[]),
            ("a --", &[(Word, "a")]),
            (
                "a--5",
                &[
                    (Word, "a"),
                    (Symbol(b'-'), "-"),
                    (Symbol(b'-'), "-"),
                    (Number, "5"),
                ],
            ),
            (
                "KILL/**/5;",
                &[(Word, "KILL"), (Number, "5"), (Symbol(b';'), ";")],
            ),
            (
                "'it''s' \"a'b\" `c``d`",
                &[(Quoted, "'it''s'"), (Quoted, "\"a'b\""), (Name, "`c``d`")],
            ),
            (r"'Ssl\_%'", &[(Quoted, r"'Ssl\_%'")]),
            (
                "/*!50000 QUERY */5",
                &[(Conditional, "/*!50000 QUERY */"), (Number, "5")],
            ),
            (
                "/*M! a */ /*+ b */",
                &[(Conditional, "/*M! a */"), (Conditional, "/*+ b */")],
            ),
            (
                "0x80 5e3 a1$_",
                &[(Word, "0x80"), (Word, "5e3"), (Word, "a1$_")],
            ),
            ("a.b", &[(Word, "a"), (Symbol(b'.'), "."), (Word, "b")]),
        ];
        for (text, expected) in cases {
            let divided = tokens(text).expect("unambiguous");
            let parts: Vec<_> = divided
                .iter()
                .map(|token| (token.kind, token.text))
                .collect();
            assert_eq!(parts, *expected, "{text}");
            for token in divided {
                assert_eq!(&text[token.at..token.end()], token.text);
            }
        }
    }
}
