//! A distinguished name, compared as MySQL's `REQUIRE SUBJECT` and `ISSUER` do: as a line of text.
//!
//! The line is that of OpenSSL's `X509_NAME_oneline`, which was not made to be compared: it does not escape `\`, shows
//! bytes of every kind of string alike, and before OpenSSL 3.0 escaped neither `/` nor `+`, so that two names may print
//! alike (MDEV-40398). A name here knows which lines are its own and nobody else's; no rule fits it by another.

use std::fmt;

/// A subject or an issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// As OpenSSL 3 prints it.
    line: String,
    /// As OpenSSL before 3.0 did, where that is another line and still only this name's.
    older_line: Option<String>,
    /// Whether any name that prints so is this one.
    unmistakable: bool,
}

/// A part of a name: `CN=dm`.
#[derive(Debug, Clone, Copy)]
pub struct Attribute<'a> {
    /// OpenSSL's short name (`CN`), or the number (`1.2.3.4`).
    pub kind: &'a str,
    /// The value's bytes.
    pub value: &'a [u8],
    /// The value as text, if kind of string and bytes leave no doubt which.
    pub text: Option<&'a str>,
}

impl Attribute<'_> {
    /// `\` is not escaped: `\/` could be a `/` inside a value, or the end of one in `\`; `\xEB` text, or a byte. That of
    /// `DOMAIN\user` is nothing else. NUL is in no honest name.
    fn is_unmistakable(&self) -> bool {
        self.text.is_some_and(|text| {
            let mut behind_backslashes = text.split('\\').skip(1);
            !text.contains('\0')
                && behind_backslashes.all(|rest| {
                    rest.starts_with(|next: char| next.is_ascii_alphanumeric() && next != 'x')
                })
        })
    }

    /// Whether, without escapes, a part of the value would look like another attribute.
    fn looks_like_several(&self) -> bool {
        let mut behind_separator = self
            .value
            .iter()
            .skip_while(|byte| !SEPARATORS.contains(byte));
        behind_separator.any(|byte| *byte == b'=')
    }
}

const SEPARATORS: &[u8] = b"/+";

impl Name {
    /// Of the relative names in a name, each of one attribute or, joined by `+`, of several.
    pub fn new(relative_names: &[Vec<Attribute<'_>>]) -> Self {
        let attributes = || relative_names.iter().flatten();
        let unmistakable = attributes().all(Attribute::is_unmistakable)
            && relative_names
                .iter()
                .all(|attributes| !attributes.is_empty());
        let line = one_line(relative_names, SEPARATORS);
        // It printed `/` in place of the `+` that joins.
        let is_older_its_own = relative_names
            .iter()
            .all(|attributes| attributes.len() == 1)
            && !attributes().any(Attribute::looks_like_several);
        let older_line = is_older_its_own
            .then(|| one_line(relative_names, b""))
            .filter(|older| *older != line);
        Self {
            line,
            older_line,
            unmistakable,
        }
    }

    /// Whether a rule's text is this name, in either of OpenSSL's escapings, and could not be another.
    pub fn is_written(&self, text: &str) -> bool {
        self.unmistakable && (self.line == text || self.older_line.as_deref() == Some(text))
    }

    /// Whether rules can name it at all.
    pub(super) fn is_unmistakable(&self) -> bool {
        self.unmistakable
    }
}

impl fmt::Display for Name {
    /// As OpenSSL 3 prints it: printable ASCII, safe to log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

fn one_line(relative_names: &[Vec<Attribute<'_>>], escaped: &[u8]) -> String {
    let mut line = String::new();
    for attributes in relative_names {
        for (position, Attribute { kind, value, .. }) in attributes.iter().enumerate() {
            line.push(if position == 0 { '/' } else { '+' });
            line.push_str(kind);
            line.push('=');
            push_value(&mut line, value, escaped);
        }
    }
    line
}

/// What is not printable ASCII is `\xHH`.
fn push_value(line: &mut String, value: &[u8], escaped: &[u8]) {
    for &byte in value {
        if !matches!(byte, b' '..=b'~') {
            line.push_str("\\x");
            for digit in [byte >> 4, byte & 0x0F] {
                line.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
            }
            continue;
        }
        if escaped.contains(&byte) {
            line.push('\\');
        }
        line.push(char::from(byte));
    }
}

#[cfg(test)]
impl Name {
    /// Of relative names that have one attribute each.
    pub(crate) fn of(attributes: &[(&str, &str)]) -> Self {
        let relative_names: Vec<_> = attributes
            .iter()
            .map(|(kind, value)| vec![Attribute::of(kind, value)])
            .collect();
        Self::new(&relative_names)
    }
}

#[cfg(test)]
impl<'a> Attribute<'a> {
    fn of(kind: &'a str, value: &'a str) -> Self {
        Self {
            kind,
            value: value.as_bytes(),
            text: Some(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    // MDEV-40398: each of these lines is, or was, printed for more than one name.
    #[test]
    fn a_line_that_could_be_another_name_fits_nobody() {
        for (name, line) in [
            // before 3.0: one attribute, or two
            (Name::of(&[("CN", "dm/O=Lab")]), "/CN=dm/O=Lab"),
            (Name::of(&[("O", "a/b=c"), ("CN", "dm")]), "/O=a/b=c/CN=dm"),
            // before 3.0: one attribute, or in 3.0 two that belong together
            (Name::of(&[("CN", "dm+O=Lab")]), "/CN=dm+O=Lab"),
            // a value that ends in a backslash, or one with a slash
            (Name::of(&[("O", "a\\"), ("CN", "dm")]), "/O=a\\/CN=dm"),
            (Name::of(&[("CN", "a\\/b")]), "/CN=a\\\\/b"),
            (Name::of(&[("CN", "a\\\\b")]), "/CN=a\\\\b"),
            // the text `\xEB`, or the byte
            (Name::of(&[("CN", "Zo\\xEB")]), "/CN=Zo\\xEB"),
            (Name::of(&[("CN", "dm\0")]), "/CN=dm\\x00"),
        ] {
            assert!(!name.is_written(line), "{name} {line}");
        }
    }

    #[test]
    fn attributes_that_belong_together_are_not_taken_for_others() {
        let together = [vec![
            Attribute::of("O", "Lab"),
            Attribute::of("OU", "clients"),
        ]];
        let name = Name::new(&together);
        assert!(!name.is_written("/O=Lab/OU=clients"));
        assert!(!Name::of(&[("O", "Lab"), ("OU", "clients")]).is_written("/O=Lab+OU=clients"));
        assert!(name.is_written("/O=Lab+OU=clients"));
        let slash = Name::new(&[vec![Attribute::of("O", "a/b"), Attribute::of("OU", "c")]]);
        assert!(!slash.is_written("/O=a/b+OU=c") && !slash.is_written("/O=a/b/OU=c"));
        assert!(slash.is_written(r"/O=a\/b+OU=c"));
    }

    // U+646D in two-byte characters are the bytes of `dm`.
    #[test]
    fn bytes_that_are_not_surely_that_text_fit_nobody() {
        let attribute = Attribute {
            kind: "CN",
            value: b"dm",
            text: None,
        };
        let name = Name::new(&[vec![attribute]]);
        assert_eq!(name.to_string(), "/CN=dm");
        assert!(!name.is_written("/CN=dm"));
        assert!(!Name::new(&[vec![Attribute::of("CN", "dm")], vec![]]).is_written("/CN=dm"));
    }

    #[test]
    fn names_compare_whole_and_exactly() {
        let name = Name::of(&[("O", "Lab"), ("CN", "dm")]);
        for line in [
            "",
            "/",
            "/O=Lab",
            "/CN=dm",
            "/O=Lab/CN=d",
            "/O=Lab/CN=dm ",
            "/O=Lab/CN=dm/",
            "/O=Lab/CN=DM",
            "/CN=dm/O=Lab",
            "O=Lab, CN=dm",
            "/O=Lab/CN=dmx",
        ] {
            assert!(!name.is_written(line), "{line}");
        }
        assert!(name.is_written("/O=Lab/CN=dm"));
    }

    #[test]
    fn both_escapings_are_taken() {
        for (value, line, older) in [
            ("HTTP/db.test", "/CN=HTTP\\/db.test", "/CN=HTTP/db.test"),
            ("a+b", "/CN=a\\+b", "/CN=a+b"),
            ("LAB\\dm/a", "/CN=LAB\\dm\\/a", "/CN=LAB\\dm/a"),
            ("k=v/w", "/CN=k=v\\/w", "/CN=k=v/w"),
            ("Zo\u{eb}", "/CN=Zo\\xC3\\xAB", "/CN=Zo\\xC3\\xAB"),
        ] {
            let name = Name::of(&[("CN", value)]);
            assert!(name.is_written(line), "{line}");
            assert!(name.is_written(older), "{older}");
        }
        // Only what is escaped is ever in doubt.
        assert!(Name::of(&[("CN", "dm/O=Lab")]).is_written("/CN=dm\\/O=Lab"));
    }

    /// All values of at most so many of these parts.
    fn values(parts: usize) -> Vec<String> {
        const PARTS: [&str; 8] = ["a", "/", "+", "CN=", "\\", "xC3", "xAB", "\u{eb}"];
        let mut values = vec![String::new()];
        for _ in 0..parts {
            let longer = values
                .iter()
                .flat_map(|value| PARTS.map(|part| format!("{value}{part}")));
            values = values.iter().cloned().chain(longer).collect();
            values.sort_unstable();
            values.dedup();
        }
        values
    }

    /// Every short name that separators, backslashes and escapes can be woven into.
    #[test]
    fn no_line_fits_two_names() {
        let mut names: Vec<Name> = values(4)
            .iter()
            .map(|value| Name::of(&[("CN", value)]))
            .collect();
        for one in &values(2) {
            for other in &values(2) {
                names.push(Name::of(&[("CN", one), ("CN", other)]));
                names.push(Name::new(&[vec![
                    Attribute::of("CN", one),
                    Attribute::of("CN", other),
                ]]));
            }
        }
        let mut fitting: HashMap<&str, &Name> = HashMap::new();
        for name in names.iter().filter(|name| name.unmistakable) {
            for line in [Some(&name.line), name.older_line.as_ref()]
                .into_iter()
                .flatten()
            {
                assert!(name.is_written(line));
                let other = fitting.insert(line, name);
                assert_eq!(other, None, "{line} fits {name:?} too");
            }
        }
        assert!(fitting.len() > 5000, "only {} lines", fitting.len());
    }
}
