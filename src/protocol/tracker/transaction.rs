//! What the backend keeps for a session between commands, as far as the protocol shows it.

use std::collections::BTreeSet;

use super::super::command::Command;
use super::super::response::Status;

/// Stands for "the statement prepared last" in MariaDB's pipelined commands.
const LAST_PREPARED: u32 = u32::MAX;

/// Things that would be lost if the session ended.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    /// The last OK or EOF said so.
    open: bool,
    /// An ERR came since: a procedure can leave a transaction open behind one, and an ERR does not tell.
    failed_since: bool,
    /// Parts of a parameter were sent, and no statement has used them yet.
    long_data: bool,
    /// Statements with an open cursor. The backend limits their number (`max_prepared_stmt_count`).
    cursors: BTreeSet<u32>,
    /// The statement that the last `COM_STMT_PREPARE` made.
    last_prepared: u32,
}

impl Transaction {
    /// What a new session, a changed user or a reset connection begins with.
    pub(super) fn of_new_session(status: Status) -> Self {
        Self {
            open: status.in_transaction(),
            ..Self::default()
        }
    }

    /// Whether nothing would be lost.
    pub(super) fn is_none(&self) -> bool {
        !self.open && !self.failed_since && !self.long_data && self.cursors.is_empty()
    }

    /// The backend has prepared a statement.
    pub(super) fn prepared(&mut self, statement: u32) {
        self.last_prepared = statement;
    }

    /// An OK or EOF has ended a result of a command.
    pub(super) fn ended(&mut self, command: Command, statement: u32, status: Status) {
        self.open = status.in_transaction();
        self.failed_since = false;
        let statement = self.resolved(statement);
        match command {
            Command::StmtExecute | Command::StmtBulkExecute | Command::StmtReset => {
                self.long_data = false;
                if status.cursor_exists() {
                    self.cursors.insert(statement);
                } else {
                    self.cursors.remove(&statement);
                }
            }
            Command::StmtFetch if status.last_row_sent() => {
                self.cursors.remove(&statement);
            }
            Command::ResetConnection => *self = Self::of_new_session(status),
            _ => {}
        }
    }

    /// A command has ended with an ERR.
    pub(super) fn failed(&mut self, command: Command) {
        self.failed_since = true;
        if matches!(command, Command::StmtExecute | Command::StmtBulkExecute) {
            self.long_data = false;
        }
    }

    /// A command that gets no response has reached its turn.
    pub(super) fn silent(&mut self, command: Command, statement: u32) {
        match command {
            Command::StmtSendLongData => self.long_data = true,
            Command::StmtClose => {
                self.long_data = false;
                self.cursors.remove(&self.resolved(statement));
            }
            _ => {}
        }
    }

    fn resolved(&self, statement: u32) -> u32 {
        match statement {
            LAST_PREPARED => self.last_prepared,
            number => number,
        }
    }
}
