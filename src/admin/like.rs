//! `LIKE`, as MySQL compares names: letters of either case are one.
//!
//! <https://dev.mysql.com/doc/refman/9.7/en/string-comparison-functions.html#operator_like>

/// Whether a text has the form of a pattern: `%` is any text, `_` any character, and what follows `\` itself.
pub(super) fn is_like(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.chars().map(|c| c.to_ascii_lowercase()).collect();
    let pattern = parts(pattern);
    let (mut at, mut next) = (0, 0);
    // where to go on when the last `%` has to take one character more
    let mut last_any: Option<(usize, usize)> = None;
    loop {
        match pattern.get(next) {
            Some(Part::Any) => {
                last_any = Some((at, next));
                next += 1;
                continue;
            }
            Some(part) if text.get(at).is_some_and(|c| part.is(*c)) => {
                at += 1;
                next += 1;
                continue;
            }
            None if at == text.len() => return true,
            _ => {}
        }
        match last_any {
            Some((begin, any)) if begin < text.len() => {
                last_any = Some((begin + 1, any));
                (at, next) = (begin + 1, any + 1);
            }
            _ => return false,
        }
    }
}

/// A piece of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Any,
    One,
    Only(char),
}

impl Part {
    fn is(self, c: char) -> bool {
        match self {
            Self::Any | Self::One => true,
            Self::Only(only) => only == c,
        }
    }
}

fn parts(pattern: &str) -> Vec<Part> {
    let mut characters = pattern.chars();
    let mut parts = Vec::new();
    while let Some(c) = characters.next() {
        parts.push(match c {
            '%' => Part::Any,
            '_' => Part::One,
            // at the end it is itself
            '\\' => Part::Only(characters.next().unwrap_or('\\').to_ascii_lowercase()),
            other => Part::Only(other.to_ascii_lowercase()),
        });
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    // Each was asked of MySQL 9.7 with `SELECT text LIKE pattern`.
    #[test]
    fn texts_are_compared_as_mysql_does() {
        for (text, pattern, expected) in [
            ("", "", true),
            ("a", "", false),
            ("", "%", true),
            ("", "_", false),
            ("Ssl_cipher", "ssl%", true),
            ("Ssl_cipher", "SSL_CIPHER", true),
            ("Ssl_cipher", "Ssl", false),
            ("Ssl_cipher", "%cipher", true),
            ("Ssl_cipher", "%ciphe", false),
            ("Ssl_cipher", "Ssl\\_cipher", true),
            ("Sslxcipher", "Ssl\\_cipher", false),
            ("Sslxcipher", "Ssl_cipher", true),
            ("aXbXc", "%x%x%", true),
            ("aXbc", "%x%x%", false),
            ("aab", "%ab", true),
            ("abab", "%ab", true),
            ("a%", "a\\%", true),
            ("ab", "a\\%", false),
            ("a\\", "a\\\\", true),
            ("a\\", "a\\", true),
            ("ab", "\\a\\b", true),
            ("é", "_", true),
        ] {
            assert_eq!(
                is_like(text, pattern),
                expected,
                "{text:?} LIKE {pattern:?}"
            );
        }
    }

    #[test]
    fn a_pattern_of_many_wildcards_is_soon_compared() {
        let text = "a".repeat(5_000);
        assert!(!is_like(&text, &format!("{}b", "%a".repeat(500))));
    }
}
