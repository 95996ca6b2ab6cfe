//! An account's `REQUIRE` clause: read, printed, judged.

use std::fmt;
use std::str::FromStr;

use super::identity::Transport;
use super::quoted::{self, Unclosed};

/// What a client must have shown (`REQUIRE …`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Requirement {
    /// Nothing.
    #[default]
    None,
    /// A TLS session. A Unix socket does not stand in for it, as in MySQL.
    Ssl,
    /// A TLS session with a client certificate that was verified.
    X509,
}

/// What of a requirement a client has not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lacking {
    /// It speaks without TLS.
    Tls,
    /// It sent no certificate.
    Certificate,
}

/// Why a text is no requirement that can be enforced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequirementError {
    /// Right in MySQL, but this version cannot judge it, and a rule that is not judged must not look like one.
    #[error("REQUIRE {clause} is not supported yet")]
    NotBuilt {
        /// The first such clause.
        clause: Clause,
    },
    /// One clause twice, which MySQL refuses too.
    #[error("{clause} is written twice")]
    Repeated {
        /// The clause.
        clause: Clause,
    },
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

/// A clause about the certificate's or the session's contents.
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

impl Requirement {
    /// What the client has not shown, if anything.
    pub fn lacking(&self, transport: &Transport) -> Option<Lacking> {
        match (self, transport) {
            (Self::None, _)
            | (Self::Ssl, Transport::Tls { .. })
            | (
                Self::X509,
                Transport::Tls {
                    certificate: Some(_),
                },
            ) => None,
            (Self::X509, Transport::Tls { certificate: None }) => Some(Lacking::Certificate),
            (Self::Ssl | Self::X509, Transport::Plaintext) => Some(Lacking::Tls),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Ssl => "SSL",
            Self::X509 => "X509",
        }
    }
}

impl FromStr for Requirement {
    type Err = RequirementError;

    /// What follows `REQUIRE` in MySQL's `CREATE USER`, its words in any case.
    fn from_str(text: &str) -> Result<Self, RequirementError> {
        let text = text.trim();
        for requirement in [Self::None, Self::Ssl, Self::X509] {
            if text.eq_ignore_ascii_case(requirement.name()) {
                return Ok(requirement);
            }
        }
        let (clause, _) = clauses(text)?.swap_remove(0);
        Err(RequirementError::NotBuilt { clause })
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
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls => "TLS",
            Self::Certificate => "a client certificate",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rules::identity::Certificate;

    const TLS: Transport = Transport::Tls { certificate: None };

    fn x509() -> Transport {
        let certificate = Certificate {
            subject: "/CN=dm".into(),
            issuer: "/CN=ca".into(),
        };
        Transport::Tls {
            certificate: Some(certificate),
        }
    }

    #[test]
    fn less_than_required_is_seen() {
        for (requirement, transport, lacking) in [
            (Requirement::Ssl, Transport::Plaintext, Lacking::Tls),
            (Requirement::X509, Transport::Plaintext, Lacking::Tls),
            (Requirement::X509, TLS, Lacking::Certificate),
        ] {
            assert_eq!(
                requirement.lacking(&transport),
                Some(lacking),
                "{requirement} {transport:?}"
            );
        }
    }

    #[test]
    fn what_is_required_suffices() {
        for (requirement, transport) in [
            (Requirement::None, Transport::Plaintext),
            (Requirement::None, TLS),
            (Requirement::Ssl, TLS),
            (Requirement::Ssl, x509()),
            (Requirement::X509, x509()),
        ] {
            assert_eq!(
                requirement.lacking(&transport),
                None,
                "{requirement} {transport:?}"
            );
        }
    }

    #[test]
    fn clauses_that_are_not_built_are_told_from_mistakes() {
        for (text, clause) in [
            ("SUBJECT '/CN=dm'", Clause::Subject),
            ("issuer \"/CN=ca\"", Clause::Issuer),
            ("Cipher'ECDHE-RSA-AES128-GCM-SHA256'", Clause::Cipher),
            ("SAN 'DNS:a,URI:b'", Clause::San),
            (
                "SUBJECT '/O=Lab/OU=clients/CN=dm' AND ISSUER '/O=Lab/CN=Lab Intermediate CA'",
                Clause::Subject,
            ),
            ("ISSUER 'it''s' SUBJECT ''", Clause::Issuer),
        ] {
            assert_eq!(
                text.parse::<Requirement>(),
                Err(RequirementError::NotBuilt { clause }),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_requirement_is_refused() {
        for (text, at) in [
            ("", ""),
            ("X508", "X508"),
            ("SSL AND X509", "SSL AND X509"),
            ("SSL AND SUBJECT 'a'", "SSL AND SUBJECT 'a'"),
            ("SUBJECT", "SUBJECT"),
            ("SUBJECT /CN=dm", "SUBJECT /CN=dm"),
            ("SUBJECT 'a' AND", ""),
            ("SUBJECT 'a', ISSUER 'b'", ", ISSUER 'b'"),
            ("SUBJECT 'a' OR ISSUER 'b'", "OR ISSUER 'b'"),
            ("SUBJECT 'a' AND SSL", "SSL"),
            ("REQUIRE SSL", "REQUIRE SSL"),
        ] {
            assert_eq!(
                text.parse::<Requirement>(),
                Err(RequirementError::Syntax { at: at.into() }),
                "{text}"
            );
        }
        let twice = "SUBJECT 'a' AND subject 'b'".parse::<Requirement>();
        assert_eq!(
            twice,
            Err(RequirementError::Repeated {
                clause: Clause::Subject
            })
        );
        assert!(matches!(
            "SUBJECT 'a".parse::<Requirement>(),
            Err(RequirementError::Unclosed(_))
        ));
    }

    #[test]
    fn words_are_read_in_any_case() {
        for (text, requirement) in [
            ("NONE", Requirement::None),
            ("none", Requirement::None),
            (" Ssl ", Requirement::Ssl),
            ("x509", Requirement::X509),
        ] {
            assert_eq!(text.parse(), Ok(requirement.clone()), "{text}");
            assert_eq!(requirement.to_string().parse(), Ok(requirement));
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "((SUBJECT|ISSUER|AND|'[a-z']*'|\\PC)[ ]?){0,6}") {
            let _ = text.parse::<Requirement>();
        }
    }
}
