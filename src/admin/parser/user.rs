//! `CREATE`, `ALTER` and `DROP USER`, which here are about rules alone.

use std::fmt::Write as _;

use super::Parser;
use crate::admin::lexer::Kind;
use crate::admin::refusal::Refusal;
use crate::admin::statement::Statement;
use crate::protocol::user_name::UserName;
use crate::rules::{AccountName, Quoted, Requirement};

impl Parser<'_> {
    pub(super) fn create(&mut self) -> Result<Statement, Refusal> {
        if !self.word("USER") {
            return Err(self.unsupported("CREATE"));
        }
        Ok(Statement::CreateUser {
            if_not_exists: self.words(&["IF", "NOT", "EXISTS"]),
            accounts: self.list(Self::account)?,
            requirement: self.requirement()?,
        })
    }

    pub(super) fn alter_user(&mut self) -> Result<Statement, Refusal> {
        Ok(Statement::AlterUser {
            if_exists: self.words(&["IF", "EXISTS"]),
            accounts: self.list(Self::account)?,
            requirement: self.requirement()?,
        })
    }

    pub(super) fn drop(&mut self) -> Result<Statement, Refusal> {
        if !self.word("USER") {
            return Err(self.unsupported("DROP"));
        }
        Ok(Statement::DropUser {
            if_exists: self.words(&["IF", "EXISTS"]),
            accounts: self.list(Self::account)?,
        })
    }

    /// `'user'@'host'`; without a host it is `%`.
    pub(super) fn account(&mut self) -> Result<AccountName, Refusal> {
        let user = self.name().or_else(|_| self.text())?;
        let host = if self.symbol('@') {
            self.name().or_else(|_| self.text())?
        } else {
            "%".to_owned()
        };
        let meaningless = |error: &dyn std::error::Error| Refusal::Meaningless(error.to_string());
        Ok(AccountName {
            user: UserName::new(user).map_err(|error| meaningless(&error))?,
            host: host.parse().map_err(|error| meaningless(&error))?,
        })
    }

    /// `REQUIRE …`, to the end.
    fn requirement(&mut self) -> Result<Requirement, Refusal> {
        if self.is_word("IDENTIFIED") {
            return Err(Refusal::Passwords);
        }
        self.expect_word("REQUIRE")?;
        let begin = self.at;
        let mut text = String::new();
        while let Some(kind) = self.kind() {
            // a string takes all
            let _ = match kind {
                Kind::Word(word) => write!(text, "{word} "),
                Kind::Text(quoted) => write!(text, "{} ", Quoted(quoted)),
                Kind::Symbol(';') => break,
                Kind::Name(_) | Kind::Number(_) | Kind::Symbol(_) => return Err(self.error()),
            };
            self.at += 1;
        }
        if self.at == begin {
            return Err(self.error());
        }
        text.parse()
            .map_err(|error: crate::rules::RequirementError| {
                Refusal::Meaningless(error.to_string())
            })
    }
}
