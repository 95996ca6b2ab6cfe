//! One certificate as a block of lines, its names in `REQUIRE`'s own words. Safe for a terminal, whatever it contains.

use std::io::{self, Write};

use rustls::pki_types::{CertificateDer, UnixTime};

use crate::rules::{AlternativeNames, Condition, Name};
use crate::tls::{Description, Part};

/// How much is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Whose it is, until when, and what is wrong with it.
    Brief,
    /// All of it.
    Full,
}

/// Prints a certificate; false if it cannot be read, or is not valid now.
pub fn print(
    out: &mut impl Write,
    certificate: &CertificateDer<'_>,
    part: Part,
    detail: Detail,
    now: UnixTime,
) -> io::Result<bool> {
    let description = match Description::of(certificate) {
        Ok(description) => description,
        Err(flaw) => {
            line(out, "WARNING", &flaw.to_string())?;
            return Ok(false);
        }
    };
    let names = &description.names;
    condition(out, "subject", &names.subject, Condition::Subject)?;
    condition(out, "issuer", &names.issuer, Condition::Issuer)?;
    alternative_names(out, &names.alternative_names)?;
    line(out, "valid", &description.validity(now))?;
    if detail == Detail::Full {
        let key = format!(
            "{}; signed with {}",
            description.key.name, description.signature.name
        );
        line(out, "key", &key)?;
        line(out, "for", &purpose(&description))?;
        line(out, "serial", &description.serial)?;
        line(out, "SHA-256", &description.fingerprint)?;
    }
    for warning in description.warnings(part, now) {
        line(out, "WARNING", &warning)?;
    }
    Ok(description.is_valid(now))
}

/// One line of a block.
pub(super) fn line(out: &mut impl Write, what: &str, text: &str) -> io::Result<()> {
    writeln!(out, "  {what:<8} {}", printable(text))
}

/// A name as a condition of `REQUIRE`, if it can be one.
fn condition(
    out: &mut impl Write,
    what: &str,
    name: &Name,
    condition: fn(String) -> Condition,
) -> io::Result<()> {
    let text = name.to_string();
    if name.is_written(&text) {
        writeln!(out, "  {}", condition(text))
    } else {
        let text = format!("{text} (no rule can name it: other names print so too)");
        line(out, what, &text)
    }
}

fn alternative_names(out: &mut impl Write, names: &AlternativeNames) -> io::Result<()> {
    if *names == AlternativeNames::default() {
        return Ok(());
    }
    let text = names.to_string();
    // a name with a comma in it would be read as two
    if printable(&text) == text && text.parse().as_ref() == Ok(names) {
        writeln!(out, "  {}", Condition::San(names.clone()))
    } else {
        line(out, "names", &format!("{text} (as a whole in no rule)"))
    }
}

fn purpose(description: &Description) -> String {
    match (description.is_ca, description.purposes.as_slice()) {
        (true, []) => "signing others (CA)".to_owned(),
        (true, purposes) => format!("signing others (CA) for {}", purposes.join(", ")),
        (false, []) => "servers and clients (it says nothing of its use)".to_owned(),
        (false, purposes) => purposes.join(", "),
    }
}

/// Only what a terminal shows as it is, letters of all scripts among it; a certificate, or a server, may say anything.
pub fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for each in text.chars() {
        if each.is_alphanumeric() || matches!(each, ' '..='~' | '…') {
            printable.push(each);
        } else {
            printable.extend(each.escape_default());
        }
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_moves_the_cursor_or_turns_the_line_round() {
        let hostile = "a\u{1b}[2Jb\nc\u{202e}d\u{7f}\u{9b}\\\u{eb}…";
        assert_eq!(
            printable(hostile),
            "a\\u{1b}[2Jb\\nc\\u{202e}d\\u{7f}\\u{9b}\\\u{eb}…"
        );
    }
}
