//! A statement's text is read: recursive descent over the tokens, one function for each kind of statement.

mod select;
mod set;
mod show;
#[cfg(test)]
mod tests;
mod user;

use super::lexer::{Kind, Token, syntax_error, tokens};
use super::refusal::Refusal;
use super::statement::{KillTarget, Statement};
use crate::tls::OnError;

/// What other SQL begins with: not ours, and no mistake in spelling either.
const OTHER_STATEMENTS: [&str; 34] = [
    "ANALYZE",
    "CALL",
    "CHANGE",
    "CHECK",
    "CLONE",
    "DEALLOCATE",
    "DELETE",
    "DESC",
    "DESCRIBE",
    "DO",
    "EXECUTE",
    "EXPLAIN",
    "GRANT",
    "HANDLER",
    "HELP",
    "INSERT",
    "INSTALL",
    "LOAD",
    "LOCK",
    "OPTIMIZE",
    "PREPARE",
    "PURGE",
    "RENAME",
    "REPAIR",
    "REPLACE",
    "RESET",
    "RESTART",
    "REVOKE",
    "STOP",
    "TABLE",
    "TRUNCATE",
    "UNINSTALL",
    "UNLOCK",
    "UPDATE",
];

/// Reads one statement; a `;` may follow it.
pub(super) fn parse(sql: &str) -> Result<Statement, Refusal> {
    let mut parser = Parser {
        sql,
        tokens: tokens(sql)?,
        at: 0,
    };
    if parser
        .tokens
        .iter()
        .all(|token| token.kind == Kind::Symbol(';'))
    {
        return Err(Refusal::Empty);
    }
    let statement = parser.statement()?;
    parser.symbol(';');
    parser.end()?;
    Ok(statement)
}

/// The tokens, and how far they are read.
struct Parser<'a> {
    sql: &'a str,
    tokens: Vec<Token>,
    at: usize,
}

impl Parser<'_> {
    fn statement(&mut self) -> Result<Statement, Refusal> {
        if self.word("SHOW") {
            return self.show().map(Statement::Show);
        }
        if self.word("SELECT") {
            return self.select();
        }
        if self.word("SET") {
            return self.set();
        }
        if self.word("ALTER") {
            return self.alter();
        }
        if self.word("CREATE") {
            return self.create();
        }
        if self.word("DROP") {
            return self.drop();
        }
        if self.word("KILL") {
            return self.kill();
        }
        if self.word("FLUSH") {
            return self.flush();
        }
        if self.word("USE") {
            return self.name().map(Statement::Use);
        }
        if self.word("SHUTDOWN") {
            return Ok(Statement::Shutdown);
        }
        self.transaction()
    }

    /// `ALTER INSTANCE RELOAD TLS …` or `ALTER USER`
    fn alter(&mut self) -> Result<Statement, Refusal> {
        if self.word("USER") {
            return self.alter_user();
        }
        if !self.words(&["INSTANCE", "RELOAD", "TLS"]) {
            return Err(self.unsupported("ALTER"));
        }
        let channel = if self.words(&["FOR", "CHANNEL"]) {
            Some(self.name()?)
        } else {
            None
        };
        let on_error = if self.words(&["NO", "ROLLBACK", "ON", "ERROR"]) {
            OnError::TurnOff
        } else {
            OnError::Keep
        };
        Ok(Statement::ReloadTls { channel, on_error })
    }

    fn kill(&mut self) -> Result<Statement, Refusal> {
        let target = if self.word("QUERY") {
            KillTarget::Query
        } else {
            self.word("CONNECTION");
            KillTarget::Connection
        };
        let id = self.number()?;
        Ok(Statement::Kill { target, id })
    }

    fn flush(&mut self) -> Result<Statement, Refusal> {
        if self.word("PRIVILEGES") {
            Ok(Statement::FlushPrivileges)
        } else {
            Err(self.unsupported("FLUSH"))
        }
    }

    fn transaction(&mut self) -> Result<Statement, Refusal> {
        let statement = if self.words(&["START", "TRANSACTION"]) {
            for words in [
                &["READ", "ONLY"][..],
                &["READ", "WRITE"],
                &["WITH", "CONSISTENT", "SNAPSHOT"],
            ] {
                self.words(words);
            }
            return Ok(Statement::Begin);
        } else if self.word("BEGIN") {
            Statement::Begin
        } else if self.word("COMMIT") {
            Statement::Commit
        } else if self.word("ROLLBACK") {
            Statement::Rollback
        } else {
            return Err(
                match OTHER_STATEMENTS.iter().find(|word| self.is_word(word)) {
                    Some(word) => Refusal::Unsupported((*word).to_owned()),
                    None => self.error(),
                },
            );
        };
        self.word("WORK");
        Ok(statement)
    }

    // ---- tokens ----------------------------------------------------------------------------------------------------

    fn kind(&self) -> Option<&Kind> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.kind(), Some(Kind::Word(found)) if found.eq_ignore_ascii_case(word))
    }

    /// Reads a keyword if it is there.
    fn word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    /// Reads several keywords if all of them are there.
    fn words(&mut self, words: &[&str]) -> bool {
        let begin = self.at;
        let found = words.iter().all(|word| self.word(word));
        if !found {
            self.at = begin;
        }
        found
    }

    /// Reads a sign if it is there.
    fn symbol(&mut self, symbol: char) -> bool {
        let found = self.kind() == Some(&Kind::Symbol(symbol));
        self.at += usize::from(found);
        found
    }

    fn expect_word(&mut self, word: &str) -> Result<(), Refusal> {
        if self.word(word) {
            Ok(())
        } else {
            Err(self.error())
        }
    }

    fn expect_symbol(&mut self, symbol: char) -> Result<(), Refusal> {
        if self.symbol(symbol) {
            Ok(())
        } else {
            Err(self.error())
        }
    }

    /// A name, plain or in backquotes.
    fn name(&mut self) -> Result<String, Refusal> {
        match self.kind() {
            Some(Kind::Word(name) | Kind::Name(name)) => {
                let name = name.clone();
                self.at += 1;
                Ok(name)
            }
            _ => Err(self.error()),
        }
    }

    /// A quoted text.
    fn text(&mut self) -> Result<String, Refusal> {
        match self.kind() {
            Some(Kind::Text(text)) => {
                let text = text.clone();
                self.at += 1;
                Ok(text)
            }
            _ => Err(self.error()),
        }
    }

    /// A whole number.
    fn number(&mut self) -> Result<u64, Refusal> {
        match self.kind() {
            Some(Kind::Number(digits)) => {
                let number = digits.parse().map_err(|_| self.error())?;
                self.at += 1;
                Ok(number)
            }
            _ => Err(self.error()),
        }
    }

    /// One or more, with commas between.
    fn list<T>(
        &mut self,
        one: impl Fn(&mut Self) -> Result<T, Refusal>,
    ) -> Result<Vec<T>, Refusal> {
        let mut list = vec![one(self)?];
        while self.symbol(',') {
            list.push(one(self)?);
        }
        Ok(list)
    }

    fn end(&self) -> Result<(), Refusal> {
        match self.kind() {
            None => Ok(()),
            Some(_) => Err(self.error()),
        }
    }

    /// The statement is wrong from here on.
    fn error(&self) -> Refusal {
        let at = self.tokens.get(self.at);
        syntax_error(self.sql, at.map_or(self.sql.len(), |token| token.start))
    }

    /// What begins so is not ours; the next word is named too.
    fn unsupported(&self, begin: &str) -> Refusal {
        match self.kind() {
            Some(Kind::Word(word)) => {
                Refusal::Unsupported(format!("{begin} {}", word.to_ascii_uppercase()))
            }
            _ => self.error(),
        }
    }
}
