//! Quoted text as MySQL reads it: in `'`, `"` or `` ` ``, the quote itself doubled, `\` escapes but in backquotes.

use std::fmt;

/// A quote that does not end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text is not closed: {0} is missing")]
pub struct Unclosed(char);

/// The quoted text that `input` starts with, and what follows it; `None` if `input` starts with something else.
pub(crate) fn read(input: &str) -> Option<Result<(String, &str), Unclosed>> {
    let quote = input
        .chars()
        .next()
        .filter(|first| matches!(first, '\'' | '"' | '`'))?;
    Some(read_to(quote, &input[1..]).ok_or(Unclosed(quote)))
}

fn read_to(quote: char, input: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut rest = input.chars();
    loop {
        match rest.next()? {
            '\\' if quote != '`' => match rest.next()? {
                '0' => text.push('\0'),
                'b' => text.push('\u{8}'),
                'n' => text.push('\n'),
                'r' => text.push('\r'),
                't' => text.push('\t'),
                'Z' => text.push('\u{1A}'),
                // Kept whole, so that a host pattern can hold a literal `%` or `_`.
                wildcard @ ('%' | '_') => text.extend(['\\', wildcard]),
                other => text.push(other),
            },
            closing if closing == quote => match rest.as_str().strip_prefix(quote) {
                Some(after_pair) => {
                    text.push(quote);
                    rest = after_pair.chars();
                }
                None => return Some((text, rest.as_str())),
            },
            other => text.push(other),
        }
    }
}

/// Prints a text in single quotes, so that [`read`] gives it back.
pub(crate) struct Quoted<T>(pub(crate) T);

impl<T: fmt::Display> fmt::Display for Quoted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "'{}'",
            self.0.to_string().replace('\\', "\\\\").replace('\'', "''")
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_that_does_not_end_is_refused() {
        for (input, quote) in [
            ("'", '\''),
            ("'app", '\''),
            ("'app''", '\''),
            ("\"app'", '"'),
            ("`app", '`'),
            (r"'app\", '\''),
            (r"'app\'", '\''),
        ] {
            assert_eq!(read(input), Some(Err(Unclosed(quote))), "{input}");
        }
    }

    #[test]
    fn text_is_read_as_mysql_reads_it() {
        for (input, text, rest) in [
            ("''", "", ""),
            ("'app'@x", "app", "@x"),
            ("'o''neil'", "o'neil", ""),
            (r"'o\'neil'", "o'neil", ""),
            (r#""say ""hi""""#, r#"say "hi""#, ""),
            ("`a``b`", "a`b", ""),
            (r"`a\b`", r"a\b", ""),
            (r"'a\\b\tc\x'", "a\\b\tcx", ""),
            (r"'a\_b\%'", r"a\_b\%", ""),
        ] {
            assert_eq!(read(input), Some(Ok((text.to_owned(), rest))), "{input}");
        }
        assert_eq!(read("app"), None);
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(text: String) {
            let printed = Quoted(&text).to_string();
            prop_assert_eq!(read(&printed), Some(Ok((text, ""))));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = read(&text);
        }
    }
}
