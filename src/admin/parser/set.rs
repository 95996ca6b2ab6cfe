//! `SET …`

use super::Parser;
use crate::admin::lexer::Kind;
use crate::admin::refusal::Refusal;
use crate::admin::statement::{Assignment, Drain, Scope, Statement};
use crate::backend::Role;

impl Parser<'_> {
    pub(super) fn set(&mut self) -> Result<Statement, Refusal> {
        if self.words(&["ROUTE", "TO"]) {
            return self.set_route();
        }
        self.list(Self::assignment).map(Statement::Set)
    }

    fn set_route(&mut self) -> Result<Statement, Refusal> {
        let to = if self.word("SOURCE") {
            Role::Source
        } else if self.word("TARGET") {
            Role::Target
        } else {
            return Err(self.error());
        };
        let drain = if !self.word("DRAIN") {
            Drain::No
        } else if self.word("WITHIN") {
            let seconds = self.number()?;
            if !self.word("SECONDS") {
                self.expect_word("SECOND")?;
            }
            Drain::Within { seconds }
        } else {
            Drain::Between
        };
        Ok(Statement::SetRoute { to, drain })
    }

    fn assignment(&mut self) -> Result<Assignment, Refusal> {
        if self.word("NAMES") || self.words(&["CHARACTER", "SET"]) || self.word("CHARSET") {
            self.character_set()?;
            return Ok(Assignment::OfSession);
        }
        if self.symbol('@') {
            return self.at_variable();
        }
        let scope = self.scope();
        if self.word("TRANSACTION") {
            self.list(Self::transaction_trait)?;
            return Ok(Assignment::OfSession);
        }
        let name = self.name()?.to_ascii_lowercase();
        self.variable(scope, name)
    }

    /// `utf8mb4`, `'utf8mb4'`, `DEFAULT`, and `COLLATE …`. Nothing here depends on it: all of mytls' own names are ASCII.
    fn character_set(&mut self) -> Result<(), Refusal> {
        self.name().or_else(|_| self.text())?;
        if self.word("COLLATE") {
            self.name().or_else(|_| self.text())?;
        }
        Ok(())
    }

    fn at_variable(&mut self) -> Result<Assignment, Refusal> {
        if self.symbol('@') {
            let (scope, name) = self.variable_name()?;
            return self.variable(scope, name);
        }
        self.name().or_else(|_| self.text())?;
        self.equals()?;
        self.value()?;
        Ok(Assignment::UserVariable)
    }

    fn variable(&mut self, scope: Option<Scope>, name: String) -> Result<Assignment, Refusal> {
        self.equals()?;
        Ok(Assignment::Variable {
            scope: scope.unwrap_or(Scope::Session),
            name,
            value: self.value()?,
        })
    }

    /// `=` or `:=`
    fn equals(&mut self) -> Result<(), Refusal> {
        self.symbol(':');
        self.expect_symbol('=')
    }

    /// One word, text or number, else none: an expression, which is read up to the comma behind it.
    fn value(&mut self) -> Result<Option<String>, Refusal> {
        let begin = self.at;
        let mut depth = 0_usize;
        while let Some(kind) = self.kind() {
            match kind {
                Kind::Symbol('(') => depth += 1,
                Kind::Symbol(')' | ',') if depth == 0 => break,
                Kind::Symbol(')') => depth -= 1,
                Kind::Symbol(';') => break,
                _ => {}
            }
            self.at += 1;
        }
        if depth > 0 || self.at == begin {
            return Err(self.error());
        }
        Ok(match &self.tokens[begin..self.at] {
            [one] => match &one.kind {
                Kind::Word(text) | Kind::Name(text) | Kind::Text(text) | Kind::Number(text) => {
                    Some(text.clone())
                }
                Kind::Symbol(_) => return Err(self.error()),
            },
            _ => None,
        })
    }

    /// `ISOLATION LEVEL …`, `READ ONLY`, `READ WRITE`
    fn transaction_trait(&mut self) -> Result<(), Refusal> {
        let known = [
            &["ISOLATION", "LEVEL", "READ", "UNCOMMITTED"][..],
            &["ISOLATION", "LEVEL", "READ", "COMMITTED"],
            &["ISOLATION", "LEVEL", "REPEATABLE", "READ"],
            &["ISOLATION", "LEVEL", "SERIALIZABLE"],
            &["READ", "ONLY"],
            &["READ", "WRITE"],
        ];
        if known.into_iter().any(|words| self.words(words)) {
            Ok(())
        } else {
            Err(self.error())
        }
    }
}
