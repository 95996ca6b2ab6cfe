//! What can be wrong with a configuration file, in words for the person who wrote it.

use std::fmt;
use std::path::Path;

use serde_saphyr::{Location, MessageFormatter as _, Spanned, UserMessageFormatter};

use super::place::{Aim, Place};
use crate::backend::{Endpoint, Role};

/// What is wrong in a configuration file, and where.
#[derive(Debug)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What.
    pub wrong: Wrong,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place {
            file,
            line,
            column,
            key,
            ..
        } = &self.place;
        write!(f, "{}:{line}:{column}: ", file.display())?;
        if !key.is_empty() {
            write!(f, "{key}: ")?;
        }
        writeln!(f, "{}", self.wrong)?;
        self.place.write_excerpt(f)?;
        let help = match &self.wrong {
            Wrong::Yaml(_) | Wrong::Kind(_) | Wrong::UnknownKey { .. } => {
                self.place.line_shown().and_then(missing_quotes)
            }
            _ => None,
        };
        if let Some(help) = help {
            write!(f, "\n      = {help}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

/// What is wrong with a key or value.
#[derive(Debug, thiserror::Error)]
pub enum Wrong {
    /// The YAML parser's own words.
    #[error("{0}")]
    Yaml(String),
    /// No such key here.
    #[error("{}", unknown_key(*.nearest, .known))]
    UnknownKey {
        /// The known key that is spelt most like it, if one comes near.
        nearest: Option<&'static str>,
        /// Every key that is known here.
        known: Vec<&'static str>,
    },
    /// The same key twice.
    #[error("is written twice")]
    Twice,
    /// Another kind of value is needed.
    #[error("needs {0}")]
    Kind(String),
    /// What a file holds, where its path is due.
    #[error(
        "needs a file's path; what the file holds may stand under a key of its own, as it is (`…-bytes`) or in base64 (`…-base64`)"
    )]
    NoPath,
    /// One of a few words is needed.
    #[error("`{found}` is not one of {}", .choices.join(", "))]
    Choice {
        /// What is written.
        found: String,
        /// What may be written.
        choices: Vec<&'static str>,
    },
    /// The value does not parse; the error says why.
    #[error(transparent)]
    Value(Box<dyn std::error::Error + Send + Sync>),
    /// A value that parses but must not be.
    #[error("{0}")]
    Forbidden(&'static str),
    /// A number or duration beyond its bounds.
    #[error("must be from {lowest} to {highest}")]
    Range {
        /// The least.
        lowest: String,
        /// The most.
        highest: String,
    },
    /// A section lacks a key that it needs.
    #[error("needs {0}")]
    Missing(&'static str),
    /// Two keys that say the same or the opposite.
    #[error("cannot stand together with `{0}`")]
    Together(&'static str),
    /// A certificate, key or CA under more than one of its keys.
    #[error("only one of `{0}`, `{0}-base64` and `{0}-bytes` may be written")]
    SeveralForms(&'static str),
    /// A backend beyond this machine without TLS.
    #[error(
        "{0} would be reached in plaintext over the network: write `security:`, best with `ssl-ca`; if that network is \
         to be trusted, `allow-plaintext: true`"
    )]
    Plaintext(Endpoint),
    /// A certificate needs its key, and a key its certificate.
    #[error("needs `{0}` beside it: certificate and key work only together")]
    HalfPair(&'static str),
}

impl Wrong {
    /// Whether a secret stands there: behind its own key, misspelt, or where its file's path is due.
    fn is_about_a_secret(&self) -> bool {
        const SECRETS: [&str; 3] = ["password", "ssl-key-base64", "ssl-key-bytes"];
        match self {
            Self::UnknownKey { nearest, .. } => nearest.is_some_and(|key| SECRETS.contains(&key)),
            Self::NoPath => true,
            _ => false,
        }
    }
}

/// What everybody writes once: MySQL's own notation, which YAML reads as something else.
fn missing_quotes(line: &str) -> Option<&'static str> {
    if line.contains(": SAN '") {
        Some(r#"YAML needs quotes around a text with commas: "SAN 'DNS:a,URI:b'""#)
    } else if line.contains("'@'") {
        Some(r#"YAML needs quotes around an account: "'app'@'%'""#)
    } else if line.contains("]:") {
        Some(r#"YAML needs quotes around an address with brackets: "[::]:3307""#)
    } else {
        None
    }
}

fn unknown_key(nearest: Option<&str>, known: &[&str]) -> String {
    match nearest {
        Some(nearest) => format!("unknown key; the nearest known key is `{nearest}`"),
        None => format!("unknown key; known here: {}", known.join(", ")),
    }
}

/// A [`Problem`] before its place was looked up.
#[derive(Debug)]
pub(super) struct Fault {
    at: Location,
    aim: Aim,
    wrong: Wrong,
    /// In DM's file about this backend, not in mytls' own.
    of_dm: Option<Role>,
}

impl Fault {
    /// The value is wrong.
    pub(super) fn value<T>(at: &Spanned<T>, wrong: Wrong) -> Self {
        Self {
            at: at.referenced,
            aim: Aim::Value,
            wrong,
            of_dm: None,
        }
    }

    /// The key of this value is wrong.
    pub(super) fn key<T>(at: &Spanned<T>, wrong: Wrong) -> Self {
        Self {
            at: at.referenced,
            aim: Aim::KeyOfValue,
            wrong,
            of_dm: None,
        }
    }

    /// The key of the value at this position is wrong.
    pub(super) fn key_at(at: Location, wrong: Wrong) -> Self {
        Self {
            at,
            aim: Aim::KeyOfValue,
            wrong,
            of_dm: None,
        }
    }

    /// The value does not parse.
    pub(super) fn parse<T>(
        at: &Spanned<T>,
        error: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self::value(at, Wrong::Value(Box::new(error)))
    }

    /// It stands in DM's file.
    pub(super) fn in_dm(self, role: Role) -> Self {
        Self {
            of_dm: Some(role),
            ..self
        }
    }

    /// In which of DM's files it stands, if in one.
    pub(super) fn of_dm(&self) -> Option<Role> {
        self.of_dm
    }

    /// Looks the place up in the file's text.
    pub(super) fn into_problem(self, file: &Path, text: &str) -> Problem {
        let mut place = Place::find(file, text, self.at, self.aim);
        if self.wrong.is_about_a_secret() {
            place.hide_line();
        }
        Problem {
            place,
            wrong: self.wrong,
        }
    }
}

impl From<serde_saphyr::Error> for Fault {
    fn from(error: serde_saphyr::Error) -> Self {
        use serde_saphyr::Error;

        let at = error.location().unwrap_or(Location::UNKNOWN);
        let (aim, wrong) = match error.without_snippet() {
            Error::SerdeUnknownField {
                field, expected, ..
            } => (
                Aim::Key,
                Wrong::UnknownKey {
                    nearest: nearest(field, expected),
                    known: expected.clone(),
                },
            ),
            Error::DuplicateMappingKey { .. } => (Aim::Key, Wrong::Twice),
            Error::InvalidScalar { ty, .. } => {
                (Aim::Value, Wrong::Kind(scalar_in_words(ty).to_owned()))
            }
            Error::Unexpected { expected, .. } => {
                (Aim::Value, Wrong::Kind(node_in_words(expected).to_owned()))
            }
            Error::NullIntoString { .. } => (Aim::Value, Wrong::Kind("a value".to_owned())),
            Error::SerdeInvalidType { expected, .. } => (Aim::Value, Wrong::Kind(expected.clone())),
            other => (
                Aim::Value,
                Wrong::Yaml(UserMessageFormatter.format_message(other).into_owned()),
            ),
        };
        Self {
            at,
            aim,
            wrong,
            of_dm: None,
        }
    }
}

/// serde names the Rust type that it wanted.
fn scalar_in_words(rust_type: &'static str) -> &'static str {
    match rust_type {
        "boolean" => "`true` or `false`",
        "u8" => "a number from 0 to 255",
        "u16" => "a number from 0 to 65535",
        "u32" => "a whole number that is not negative",
        other => other,
    }
}

/// The YAML parser names the event that it wanted.
fn node_in_words(event: &'static str) -> &'static str {
    match event {
        "mapping start" => "keys and values below it, `key: value`",
        "sequence start" => "a list, `[a, b]`",
        "string scalar" => "one value, neither a list nor keys",
        other => other,
    }
}

/// The known key that is spelt most like this one, unless more than a third of it would have to change.
fn nearest(found: &str, known: &[&'static str]) -> Option<&'static str> {
    let found = found.to_lowercase().replace('_', "-");
    known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(&found, known), *known))
        .min()
        .filter(|(distance, known)| distance * 3 <= known.len().max(found.len()))
        .map(|(_, known)| known)
}
