//! Where commands start and responses end, in both directions of a session after its login.
//!
//! A pure state machine that walks from packet header to packet header and passes over what lies between by its
//! length: nothing of a command or a row is copied, and the work is in the number of packets, not of bytes. It
//! decides nothing about a user or a rule, and it changes nothing: it stops before a statement that may have to be changed.
//!
//! Commands that were forwarded wait in a queue until their response has ended, so pipelining needs no special case.

mod backend;
mod client;
mod due;
mod transaction;
mod violation;
mod walk;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use self::backend::Responder;
use self::client::{Message, Sender};
use self::due::Due;
use self::transaction::Transaction;
pub use self::violation::Violation;
use super::Side;
use super::command::{Command, ResponseForm};
use super::packet::HEADER_BYTES;
use super::response::{Form, Status};
#[cfg(doc)]
use super::statement;

/// As much as must be seen of a command before it is forwarded: header, command, number of a statement.
pub const COMMAND_HEAD_BYTES: usize = HEADER_BYTES + 1 + 4;

/// Commands that may wait for their responses at once. Most drivers that pipeline send some hundreds, but a batch of
/// MariaDB's connectors may be of any size; the limit bounds what a client can make us remember.
const OUTSTANDING_LIMIT: usize = 16 * 1024;

/// Room for so many stays with a session that has none outstanding.
const KEPT_COMMANDS: usize = 64;

/// What to do with the bytes that the client sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientVerdict {
    /// So many bytes go to the backend.
    pub forward: usize,
    /// So many bytes behind those are dropped.
    pub skip: usize,
    /// What the next byte means.
    pub then: ClientThen,
}

/// What follows the bytes that a [`ClientVerdict`] speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientThen {
    /// Fewer than [`COMMAND_HEAD_BYTES`] bytes may be left over, or a statement of which more must be seen (at most
    /// [`statement::LONGEST_BYTES`] and its header); they are given again, with more behind them.
    ReadMore,
    /// A `COM_CHANGE_USER` packet begins. The session waits until nothing is outstanding, takes it out of the stream
    /// whole and deals with it; the tracker never sees it.
    ChangeUser,
    /// A command begins that may have to be changed, and has come whole. The session puts another in its place, or leaves
    /// it, says so by [`Tracker::was_read`], and gives what then stands there again.
    ///
    /// Under [`Leave::One`] that is every statement.
    Read,
    /// A command that is not in the table was dropped whole. The session waits until nothing is outstanding and
    /// answers with an error.
    Refuse {
        /// Its command byte.
        command: u8,
        /// The sequence number of its last packet; the answer has the next one.
        sequence: u8,
    },
    /// So many commands are outstanding, or so few are given leave to, that the next one waits until
    /// [`Tracker::takes_commands`].
    Full,
    /// `COM_QUIT` was forwarded; whatever follows is of no interest.
    Quit,
}

/// What follows the bytes that the backend sent; all of them go to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackendThen {
    /// Nothing special.
    ReadMore,
    /// The backend ended the session with an ERR that answers no command (4031 at `wait_timeout`). It has been given
    /// whole; what follows it is of no interest.
    Unasked {
        /// The server's error number.
        error_code: u16,
    },
}

/// Which commands may go on, apart from those that the session deals with itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// All.
    All,
    /// The next one, which must be short enough to be read if it is a statement.
    One,
    /// None: the one has gone on.
    None,
}

/// Walks both directions of a session; see the module.
#[derive(Debug)]
pub struct Tracker {
    form: Form,
    leave: Leave,
    /// Commands in the order in which they were forwarded, up to the last one whose response has not ended. Those
    /// without a response stay as long as they stand behind others.
    commands: VecDeque<Forwarded>,
    client: Sender,
    backend: Responder,
    transaction: Transaction,
    forwarded: u64,
}

/// A command that was forwarded.
#[derive(Debug, Clone, Copy)]
struct Forwarded {
    command: Command,
    /// The statement that it names, or 0.
    statement: u32,
    /// Sequence number that its response starts with: 1, or more once a longer command has been sent.
    response_sequence: u8,
}

impl Tracker {
    /// A session that has just logged in, outside a transaction.
    pub fn new(form: Form) -> Self {
        Self {
            form,
            leave: Leave::All,
            commands: VecDeque::new(),
            client: Sender::default(),
            backend: Responder::default(),
            transaction: Transaction::default(),
            forwarded: 0,
        }
    }

    /// Commands that were forwarded and whose response has not ended.
    pub fn outstanding(&self) -> usize {
        self.commands.len()
    }

    /// Commands that were forwarded so far; without `COM_QUIT`, and `COM_CHANGE_USER`, which the tracker never sees.
    pub fn forwarded_so_far(&self) -> u64 {
        self.forwarded
    }

    /// Whether a client that was held back by [`ClientThen::Full`] may go on. Not at the first gap, so that it goes on
    /// for a while.
    pub fn takes_commands(&self) -> bool {
        self.leave != Leave::None
            && self.commands.len() <= OUTSTANDING_LIMIT / 2
            && !self.streams_events()
    }

    /// Whether the last command asked for the binary log. A server reads no command before that has ended, which may be
    /// never.
    fn streams_events(&self) -> bool {
        self.commands
            .back()
            .is_some_and(|last| last.command.response() == ResponseForm::Events)
    }

    /// Gives commands leave to go on.
    pub fn give(&mut self, leave: Leave) {
        self.leave = leave;
    }

    /// Whether the one command that had leave to go on has gone on whole, and its response has ended.
    pub fn has_spent_leave(&self) -> bool {
        self.leave == Leave::None && self.commands.is_empty() && self.client.is_idle()
    }

    /// Whether nothing is under way: neither a command nor a response.
    pub fn is_between_commands(&self) -> bool {
        self.commands.is_empty() && self.client.is_idle()
    }

    /// Whether ending the session now loses the client nothing that it has begun, as far as the protocol shows it. A
    /// replica comes again and goes on where it was.
    pub fn is_between_transactions(&self) -> bool {
        let is_replica_alone =
            self.commands.len() == 1 && self.streams_events() && self.backend.is_between_packets();
        (self.commands.is_empty() || is_replica_alone)
            && self.client.is_idle()
            && self.transaction.is_none()
    }

    /// The sequence number of an ERR that the session may put in place of what the backend sends next: the client
    /// waits for a response and has no part of a packet. Ask before giving the tracker the backend's bytes, since bytes
    /// with a [`Violation`] do not reach the client.
    pub fn error_sequence(&self) -> Option<u8> {
        let first = *self.commands.front()?;
        let client_listens =
            self.backend.is_between_packets() && !self.client_sends_first_command();
        client_listens.then(|| self.backend.due_sequence(first))
    }

    /// Whether a response begins with the backend's next byte.
    pub fn response_begins(&self) -> bool {
        self.backend.due == Due::Response && self.backend.is_between_packets()
    }

    /// Whether what the client sends now belongs to a response that has begun: a file, or a replica's acknowledgement.
    pub fn is_clients_turn(&self) -> bool {
        self.client.message == Message::File || self.streams_events()
    }

    /// The command before which [`ClientThen::Read`] stopped is now as it is to be forwarded.
    pub fn was_read(&mut self) {
        self.client.was_read = true;
    }

    /// The session changed the user by itself; `status` is that of the backend's OK.
    pub fn user_changed(&mut self, status: u16) {
        self.transaction = Transaction::of_new_session(Status(status));
    }

    /// An OK or EOF has ended a result.
    fn result_is_over(&mut self, status: Status) {
        let Some(first) = self.commands.front() else {
            return;
        };
        self.transaction
            .ended(first.command, first.statement, status);
        if status.more_results() && first.command.response() == ResponseForm::Results {
            self.backend.due = Due::NextResult;
        } else {
            self.response_is_over();
        }
    }

    /// The first command of the queue has got its response.
    fn response_is_over(&mut self) {
        self.backend.due = Due::Response;
        self.commands.pop_front();
        self.pass_silent_commands();
    }

    /// Removes commands from the front of the queue that get no response, and the room of many that have got theirs.
    fn pass_silent_commands(&mut self) {
        while let Some(first) = self.commands.front()
            && first.command.response() == ResponseForm::Silence
        {
            self.transaction.silent(first.command, first.statement);
            self.commands.pop_front();
        }
        if self.commands.is_empty() && self.commands.capacity() > KEPT_COMMANDS {
            self.commands = VecDeque::new();
        }
    }
}
