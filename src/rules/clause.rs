//! `REQUIRE …` read: the words, clauses and quotes of MySQL's `CREATE USER`, and TiDB's `SAN`.

use std::fmt;
use std::str::FromStr;

use super::alternative_names::AlternativeNamesError;
use super::quoted::{self, Unclosed};
use super::requirement::{Condition, Requirement};

/// The keyword of a [`Condition`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clause {
    /// The certificate's subject.
    Subject,
    /// The certificate's issuer.
    Issuer,
    /// The session's cipher.
    Cipher,
    /// The certificate's subject alternative names, as in TiDB.
    San,
}

/// Why a text is no requirement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequirementError {
    /// One clause twice, which MySQL refuses too.
    #[error("{clause} is written twice")]
    Repeated {
        /// The clause.
        clause: Clause,
    },
    /// A subject or issuer that no certificate has.
    #[error(
        r"{clause} is written as OpenSSL prints it in one line, '/O=Lab/CN=dm', other than printable ASCII as \\xHH, and not `{text}`"
    )]
    NotOneLine {
        /// The clause.
        clause: Clause,
        /// Its text.
        text: String,
    },
    /// No name of a cipher, which in MySQL would be no condition.
    #[error("CIPHER needs the name of a cipher")]
    NoCipher,
    /// A list of alternative names that cannot be read.
    #[error(transparent)]
    San(#[from] AlternativeNamesError),
    /// A clause's text has a quote that does not end.
    #[error(transparent)]
    Unclosed(#[from] Unclosed),
    /// No requirement.
    #[error(
        "expected NONE, SSL, X509, or SUBJECT, ISSUER, CIPHER and SAN, each with a quoted text, but found `{at}`"
    )]
    Syntax {
        /// The text from where it stops making sense.
        at: String,
    },
}

impl FromStr for Requirement {
    type Err = RequirementError;

    /// What follows `REQUIRE`, its words in any case.
    fn from_str(text: &str) -> Result<Self, RequirementError> {
        let text = text.trim();
        for (word, requirement) in [
            ("NONE", Self::None),
            ("SSL", Self::Ssl),
            ("X509", Self::X509),
        ] {
            if text.eq_ignore_ascii_case(word) {
                return Ok(requirement);
            }
        }
        clauses(text)?
            .into_iter()
            .map(|(clause, text)| clause.condition(text))
            .collect::<Result<_, _>>()
            .map(Self::Specified)
    }
}

/// `SUBJECT 'a' AND ISSUER 'b'`; at least one. MySQL lets `AND` be left out.
fn clauses(text: &str) -> Result<Vec<(Clause, String)>, RequirementError> {
    let mut clauses: Vec<(Clause, String)> = Vec::new();
    let mut rest = text;
    loop {
        let syntax_error = RequirementError::Syntax {
            at: rest.to_owned(),
        };
        let (keyword, after) = word(rest);
        let Some(clause) = Clause::ALL
            .into_iter()
            .find(|clause| keyword.eq_ignore_ascii_case(clause.name()))
        else {
            return Err(syntax_error);
        };
        let (value, after) = quoted::read(after).ok_or(syntax_error)??;
        if clauses.iter().any(|(earlier, _)| *earlier == clause) {
            return Err(RequirementError::Repeated { clause });
        }
        clauses.push((clause, value));
        rest = after.trim_start();
        if rest.is_empty() {
            return Ok(clauses);
        }
        let (joint, after) = word(rest);
        if joint.eq_ignore_ascii_case("AND") {
            rest = after;
        }
    }
}

/// The letters that a text starts with, and what follows behind blanks.
fn word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_at(
        text.find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(text.len()),
    );
    (word, rest.trim_start())
}

impl Clause {
    const ALL: [Self; 4] = [Self::Subject, Self::Issuer, Self::Cipher, Self::San];

    fn name(self) -> &'static str {
        match self {
            Self::Subject => "SUBJECT",
            Self::Issuer => "ISSUER",
            Self::Cipher => "CIPHER",
            Self::San => "SAN",
        }
    }

    /// An empty text, which in MySQL is no condition, is a mistake.
    fn condition(self, text: String) -> Result<Condition, RequirementError> {
        let is_one_line =
            || text.starts_with('/') && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        match self {
            Self::Subject if is_one_line() => Ok(Condition::Subject(text)),
            Self::Issuer if is_one_line() => Ok(Condition::Issuer(text)),
            Self::Subject | Self::Issuer => {
                Err(RequirementError::NotOneLine { clause: self, text })
            }
            Self::Cipher if text.is_empty() => Err(RequirementError::NoCipher),
            Self::Cipher => Ok(Condition::Cipher(text)),
            Self::San => Ok(Condition::San(text.parse()?)),
        }
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_requirement_is_refused() {
        for (text, at) in [
            ("", ""),
            ("X508", "X508"),
            ("SSL AND X509", "SSL AND X509"),
            ("SSL AND SUBJECT '/CN=a'", "SSL AND SUBJECT '/CN=a'"),
            ("SUBJECT", "SUBJECT"),
            ("SUBJECT /CN=dm", "SUBJECT /CN=dm"),
            ("SUBJECT '/CN=a' AND", ""),
            (
                "SUBJECT '/CN=a' AND AND ISSUER '/CN=b'",
                "AND ISSUER '/CN=b'",
            ),
            ("SUBJECT '/CN=a', ISSUER '/CN=b'", ", ISSUER '/CN=b'"),
            ("SUBJECT '/CN=a' OR ISSUER '/CN=b'", "OR ISSUER '/CN=b'"),
            ("SUBJECT '/CN=a' AND SSL", "SSL"),
            ("REQUIRE SSL", "REQUIRE SSL"),
        ] {
            assert_eq!(
                text.parse::<Requirement>(),
                Err(RequirementError::Syntax { at: at.into() }),
                "{text}"
            );
        }
        let twice = "SUBJECT '/CN=a' AND subject '/CN=b'".parse::<Requirement>();
        assert_eq!(
            twice,
            Err(RequirementError::Repeated {
                clause: Clause::Subject
            })
        );
        assert!(matches!(
            "SUBJECT '/CN=a".parse::<Requirement>(),
            Err(RequirementError::Unclosed(_))
        ));
    }

    #[test]
    fn what_no_client_could_show_is_refused() {
        for (text, clause, wrong) in [
            ("SUBJECT ''", Clause::Subject, ""),
            ("SUBJECT 'CN=dm,O=Lab'", Clause::Subject, "CN=dm,O=Lab"),
            ("ISSUER '/CN=Zo\u{eb}'", Clause::Issuer, "/CN=Zo\u{eb}"),
            (r"ISSUER '/CN=a\0'", Clause::Issuer, "/CN=a\0"),
        ] {
            let error = RequirementError::NotOneLine {
                clause,
                text: wrong.to_owned(),
            };
            assert_eq!(text.parse::<Requirement>(), Err(error), "{text}");
        }
        assert_eq!(
            "CIPHER ''".parse::<Requirement>(),
            Err(RequirementError::NoCipher)
        );
        assert!(matches!(
            "SAN 'EMAIL:a'".parse::<Requirement>(),
            Err(RequirementError::San(_))
        ));
    }

    #[test]
    fn requirements_are_read_as_in_create_user() {
        for (text, printed) in [
            ("NONE", "NONE"),
            ("none", "NONE"),
            (" Ssl ", "SSL"),
            ("x509", "X509"),
            ("subject \"/CN=dm\"", "SUBJECT '/CN=dm'"),
            (r"SUBJECT '/CN=a\\/b'", r"SUBJECT '/CN=a\\/b'"),
            (
                "Cipher'AES'ISSUER '/CN=it''s'",
                "CIPHER 'AES' AND ISSUER '/CN=it''s'",
            ),
            (
                "SAN ' uri:a ,dns:b' and issuer `/CN=a`",
                "SAN 'DNS:b,URI:a' AND ISSUER '/CN=a'",
            ),
        ] {
            let read = text.parse::<Requirement>();
            let read = read.unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(read.to_string(), printed, "{text}");
            assert_eq!(printed.parse(), Ok(read), "{text}");
        }
        assert_eq!(
            r"SUBJECT '/CN=a\\/b'".parse::<Requirement>(),
            Ok(Requirement::Specified(vec![Condition::Subject(
                r"/CN=a\/b".to_owned()
            )]))
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "((SUBJECT|ISSUER|CIPHER|SAN|AND|'/[a-z']*'|'(DNS|uri):[a-z,:''é]*'|\\PC)[ ]?){0,6}") {
            if let Ok(read) = text.parse::<Requirement>() {
                prop_assert_eq!(read.to_string().parse(), Ok(read));
            }
        }
    }
}
