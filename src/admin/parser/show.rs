//! `SHOW …`

use super::Parser;
use crate::admin::refusal::Refusal;
use crate::admin::statement::{Scope, Show};

impl Parser<'_> {
    pub(super) fn show(&mut self) -> Result<Show, Refusal> {
        if let Some(show) = self.show_values()? {
            return Ok(show);
        }
        let full = self.word("FULL");
        for (word, show) in [
            ("PROCESSLIST", Show::Processlist { full }),
            ("DENIALS", Show::Denials { full }),
            ("CERTIFICATES", Show::Certificates { full }),
            ("BACKENDS", Show::Backends { full }),
        ] {
            if self.word(word) {
                return Ok(show);
            }
        }
        if self.word("TABLES") {
            return self.show_tables(full);
        }
        if full {
            return Err(self.unsupported("SHOW FULL"));
        }
        if self.word("USERS") {
            return Ok(Show::Users);
        }
        if self.words(&["CREATE", "USER"]) {
            return self.account().map(Show::CreateUser);
        }
        if self.word("WARNINGS") || self.word("ERRORS") {
            self.limit()?;
            return Ok(Show::Warnings);
        }
        if self.word("DATABASES") || self.word("SCHEMAS") {
            let like = self.like("DATABASES")?;
            return Ok(Show::Databases { like });
        }
        Err(self.unsupported("SHOW"))
    }

    /// `[GLOBAL | SESSION | LOCAL] STATUS | VARIABLES [LIKE …]`
    fn show_values(&mut self) -> Result<Option<Show>, Refusal> {
        let scope = self.scope();
        if self.word("STATUS") {
            let (scope, like) = (scope.unwrap_or(Scope::Session), self.like("STATUS")?);
            return Ok(Some(Show::Status { scope, like }));
        }
        if self.word("VARIABLES") {
            let (scope, like) = (scope.unwrap_or(Scope::Session), self.like("VARIABLES")?);
            return Ok(Some(Show::Variables { scope, like }));
        }
        match scope {
            Some(_) => Err(self.error()),
            None => Ok(None),
        }
    }

    fn show_tables(&mut self, full: bool) -> Result<Show, Refusal> {
        let database = if self.word("FROM") || self.word("IN") {
            Some(self.name()?)
        } else {
            None
        };
        let like = self.like("TABLES")?;
        Ok(Show::Tables {
            full,
            database,
            like,
        })
    }

    /// `GLOBAL`, `SESSION` or `LOCAL`
    pub(super) fn scope(&mut self) -> Option<Scope> {
        if self.word("GLOBAL") {
            Some(Scope::Global)
        } else if self.word("SESSION") || self.word("LOCAL") {
            Some(Scope::Session)
        } else {
            None
        }
    }

    /// `LIKE 'pattern'`; what else MySQL allows here is not ours.
    fn like(&mut self, what: &str) -> Result<Option<String>, Refusal> {
        if self.word("LIKE") {
            self.text().map(Some)
        } else if self.is_word("WHERE") {
            Err(Refusal::Unsupported(format!("SHOW {what} … WHERE")))
        } else {
            Ok(None)
        }
    }

    /// `LIMIT n`
    pub(super) fn limit(&mut self) -> Result<Option<u64>, Refusal> {
        if self.word("LIMIT") {
            self.number().map(Some)
        } else {
            Ok(None)
        }
    }
}
