//! `mytls ctl`: asks the admin ports of one mytls or of many, and prints what they answer.
//!
//! `word` and `statements` make SQL of what was typed, `fleet` asks, `print` prints; `prompt` is all of that at a terminal.

mod failure;
mod fleet;
mod password;
mod print;
mod prompt;
mod security;
mod statements;
mod word;

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;
use tokio::runtime::{self, Runtime};

pub use self::password::{PasswordError, PasswordFrom};
pub use self::print::Form;
pub use self::security::{Mode, SecurityError, TlsOptions};
pub use self::word::{WORDS, WordError, sql_of};

use self::failure::Failure;
use self::fleet::{Fleet, Reply};
use self::print::Printer;
use self::statements::{Statement, Statements};
use crate::backend::own_account::OwnAccount;
use crate::backend::{Endpoint, Security};
use crate::protocol::user_name::UserName;
use crate::tls::LoadError;

/// What `mytls ctl` is told to do.
#[derive(Debug)]
pub struct Order {
    /// Whom to ask, and how each is reached; at least one. A name stands for all its addresses.
    pub servers: Vec<(Endpoint, Security)>,
    /// Whom to log in as.
    pub user: UserName,
    /// With which password.
    pub password: PasswordFrom,
    /// What to ask: SQL, several statements perhaps. Without it they come from standard input.
    pub sql: Option<String>,
    /// How answers are printed; what suits standard output without it.
    pub form: Option<Form>,
    /// Where the prompt keeps its history; nowhere without it.
    pub history: Option<PathBuf>,
}

/// Why nobody was asked, or not to the end.
#[derive(Debug, Error)]
pub enum CtlError {
    /// There is no password to log in with.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// A file about TLS.
    #[error("{0}")]
    Certificates(Arc<LoadError>),
    /// No sockets, or nowhere to print to.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The terminal.
    #[error("read the terminal: {0}")]
    Prompt(#[from] rustyline::error::ReadlineError),
}

/// Does it. False if any server did not do all that it was asked for; what went wrong has been written to `errors` then, with
/// the server's address, or in JSON to `out`.
pub fn ctl(order: Order, out: &mut impl Write, errors: &mut impl Write) -> Result<bool, CtlError> {
    let account = OwnAccount {
        user: order.user,
        password: order.password.get()?,
    };
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (fleet, unknown) = runtime.block_on(Fleet::new(order.servers, account));
    if let Some(fault) = fleet.fault() {
        return Err(CtlError::Certificates(fault));
    }
    let form = order.form.unwrap_or_else(Form::usual);
    let mut ctl = Ctl {
        printer: Printer::new(form, fleet.len() + unknown.len() > 1),
        runtime,
        fleet,
        out,
        errors,
    };
    let good = unknown.is_empty();
    for failure in &unknown {
        ctl.print_failure(None, failure)?;
    }
    let all_done = match order.sql {
        Some(sql) => ctl.run(sql.as_bytes())?,
        None if io::stdin().is_terminal() => {
            ctl.log_in()? && prompt::run(&mut ctl, order.history.as_deref())?
        }
        None => ctl.run(io::stdin().lock())?,
    };
    ctl.runtime.block_on(ctl.fleet.close());
    Ok(good && all_done)
}

/// Servers, and where their answers go.
struct Ctl<'a, O, E> {
    runtime: Runtime,
    fleet: Fleet,
    printer: Printer,
    out: &'a mut O,
    errors: &'a mut E,
}

impl<O: Write, E: Write> Ctl<'_, O, E> {
    /// Runs what is read, each statement as soon as it is whole. A server that fails at one is not asked the next.
    fn run(&mut self, mut sql: impl BufRead) -> Result<bool, CtlError> {
        let mut statements = Statements::default();
        let mut line = String::new();
        while self.fleet.len() > 0 && sql.read_line(&mut line)? > 0 {
            for statement in statements.add(&line) {
                if !self.ask(&statement)? {
                    self.fleet.drop_failed();
                }
            }
            line.clear();
        }
        if let Some(statement) = statements.rest() {
            self.ask(&statement)?;
            self.fleet.drop_failed();
        }
        Ok(self.fleet.is_whole())
    }

    /// Asks all servers, and prints the answers in the order of their addresses.
    fn ask(&mut self, statement: &Statement) -> Result<bool, CtlError> {
        let replies = self.runtime.block_on(self.fleet.ask(&statement.sql));
        self.printer.begin();
        let mut good = true;
        for reply in replies {
            match reply {
                Ok(reply) => self.print_reply(statement, &reply)?,
                Err(failure) => {
                    self.print_failure(Some(statement), &failure)?;
                    good = false;
                }
            }
        }
        self.out.flush()?;
        Ok(good)
    }

    /// Logs in everywhere; false if nowhere.
    fn log_in(&mut self) -> Result<bool, CtlError> {
        let failures = self.runtime.block_on(self.fleet.log_in());
        for failure in &failures {
            self.print_failure(None, failure)?;
        }
        Ok(failures.len() < self.fleet.len())
    }

    fn print_reply(&mut self, statement: &Statement, reply: &Reply) -> io::Result<()> {
        self.printer.reply(self.out, statement, reply)?;
        for warning in &reply.warnings {
            writeln!(self.errors, "mytls: {}: warning: {warning}", reply.address)?;
        }
        Ok(())
    }

    fn print_failure(
        &mut self,
        statement: Option<&Statement>,
        failure: &Failure,
    ) -> io::Result<()> {
        if self.printer.tells_failures() {
            Printer::failure(self.out, statement, failure)
        } else {
            writeln!(self.errors, "mytls: {failure}")
        }
    }
}
