//! `SELECT`: the values that drivers ask for when they connect, and `performance_schema.tls_channel_status`.

use super::Parser;
use crate::admin::lexer::Kind;
use crate::admin::refusal::Refusal;
use crate::admin::statement::{
    ChannelColumn, Condition, Expression, Function, Item, Scope, Select, Statement,
};

/// As in MySQL.
const MOST_COLUMNS: usize = 4_096;

impl Parser<'_> {
    pub(super) fn select(&mut self) -> Result<Statement, Refusal> {
        if let Some(columns) = self.channel_columns() {
            return self.channel_status(columns);
        }
        let items = self.list(Self::item)?;
        if items.len() > MOST_COLUMNS {
            return Err(Refusal::TooManyColumns);
        }
        if self.word("FROM") && !self.word("DUAL") {
            return Err(self.unsupported_table());
        }
        let limit = self.limit()?;
        Ok(Statement::Select(Select { items, limit }))
    }

    /// Columns of `tls_channel_status` with the `FROM` behind them. They are told by their names alone, since no value
    /// that can be asked for has such a name.
    fn channel_columns(&mut self) -> Option<Vec<ChannelColumn>> {
        let begin = self.at;
        let columns = if self.symbol('*') {
            Some(ChannelColumn::ALL.to_vec())
        } else {
            self.list(Self::channel_column).ok()
        };
        let columns = columns.filter(|_| self.word("FROM"));
        if columns.is_none() {
            self.at = begin;
        }
        columns
    }

    fn channel_column(&mut self) -> Result<ChannelColumn, Refusal> {
        let error = self.error();
        let name = self.name()?;
        ChannelColumn::ALL
            .into_iter()
            .find(|column| column.name().eq_ignore_ascii_case(&name))
            .ok_or(error)
    }

    fn channel_status(&mut self, columns: Vec<ChannelColumn>) -> Result<Statement, Refusal> {
        if !self.is_channel_table()? {
            return Err(self.unsupported_table());
        }
        let mut conditions = Vec::new();
        if self.word("WHERE") {
            conditions.push(self.condition()?);
            while self.word("AND") {
                conditions.push(self.condition()?);
            }
        }
        Ok(Statement::ChannelStatus {
            columns,
            conditions,
        })
    }

    fn is_channel_table(&mut self) -> Result<bool, Refusal> {
        let begin = self.at;
        let database = self.name()?;
        let found = database.eq_ignore_ascii_case("performance_schema")
            && self.symbol('.')
            && self.name()?.eq_ignore_ascii_case("tls_channel_status");
        if !found {
            self.at = begin;
        }
        Ok(found)
    }

    fn condition(&mut self) -> Result<Condition, Refusal> {
        let column = self.channel_column()?;
        let like = self.word("LIKE");
        if !like {
            self.expect_symbol('=')?;
        }
        let text = self.text()?;
        Ok(Condition { column, like, text })
    }

    fn unsupported_table(&self) -> Refusal {
        match self.kind() {
            Some(Kind::Word(_) | Kind::Name(_)) => Refusal::Unsupported("SELECT … FROM".to_owned()),
            _ => self.error(),
        }
    }

    fn item(&mut self) -> Result<Item, Refusal> {
        let begin = self.at;
        let expression = self.expression()?;
        let text = self.text_between(begin, self.at);
        let name = if self.word("AS") {
            self.alias().ok_or_else(|| self.error())?
        } else if ["FROM", "LIMIT"].into_iter().any(|word| self.is_word(word)) {
            text
        } else {
            self.alias().unwrap_or(text)
        };
        Ok(Item { expression, name })
    }

    fn alias(&mut self) -> Option<String> {
        self.name().or_else(|_| self.text()).ok()
    }

    /// The source of some tokens, without the quotes of a text.
    fn text_between(&self, begin: usize, end: usize) -> String {
        match self.tokens.get(begin..end) {
            Some([token]) if let Kind::Text(text) = &token.kind => text.clone(),
            Some([first, .., last]) => self.sql[first.start..last.end].to_owned(),
            Some([only]) => self.sql[only.start..only.end].to_owned(),
            _ => String::new(),
        }
    }

    pub(super) fn expression(&mut self) -> Result<Expression, Refusal> {
        if self.symbol('@') {
            return if self.symbol('@') {
                let (scope, name) = self.variable_name()?;
                Ok(Expression::Variable {
                    scope: scope.unwrap_or(Scope::Session),
                    name,
                })
            } else {
                self.alias()
                    .map(Expression::UserVariable)
                    .ok_or_else(|| self.error())
            };
        }
        if self.word("NULL") {
            return Ok(Expression::Null);
        }
        if let Ok(number) = self.number() {
            return Ok(Expression::Number(number));
        }
        if let Ok(text) = self.text() {
            return Ok(Expression::Text(text));
        }
        self.function().map(Expression::Function)
    }

    /// Behind `@@`: `name`, `global.name`, `session.name`, `local.name`. In one token: behind `@` a name has points.
    pub(super) fn variable_name(&mut self) -> Result<(Option<Scope>, String), Refusal> {
        let error = self.error();
        let name = self.name()?.to_ascii_lowercase();
        let (scope, name) = match name.split_once('.') {
            None => (None, name.as_str()),
            Some(("global", name)) => (Some(Scope::Global), name),
            Some(("session" | "local", name)) => (Some(Scope::Session), name),
            Some(_) => return Err(error),
        };
        Ok((scope, name.to_owned()))
    }

    fn function(&mut self) -> Result<Function, Refusal> {
        let found = Function::ALL.into_iter().find(|(name, _)| self.word(name));
        let (name, function) = found.ok_or_else(|| self.error())?;
        // the one that may be called without
        if name == "CURRENT_USER" && self.kind() != Some(&Kind::Symbol('(')) {
            return Ok(function);
        }
        self.expect_symbol('(')?;
        self.expect_symbol(')')?;
        Ok(function)
    }
}
