//! Where commands start and responses end, in both directions of a session after its login.
//!
//! A pure state machine that walks from packet header to packet header and passes over what lies between by its
//! length: nothing of a command or a row is copied, and the work is in the number of packets, not of bytes. It
//! decides nothing about a user or a rule, and it rewrites nothing.
//!
//! Commands that were forwarded wait in a queue until their response has ended, so pipelining needs no special case.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;

use super::command::{Command, ResponseForm};
use super::response::{
    FULL_PACKET_BYTES, Failure, FirstPacket, Form, HEAD_BYTES, Head, PrepareOk, Status,
};

/// Length of a packet's header: three bytes of length, one of sequence number.
const HEADER_BYTES: usize = 4;

/// As much as must be seen of a command before it is forwarded: header, command, number of a statement.
pub const COMMAND_HEAD_BYTES: usize = HEADER_BYTES + 1 + 4;

/// Commands that may wait for their responses at once. Drivers that pipeline send some hundreds; the limit bounds
/// what a client can make us remember.
const OUTSTANDING_LIMIT: usize = 16 * 1024;

/// Stands for "the statement prepared last" in `MariaDB`'s pipelined `COM_STMT_EXECUTE`.
const LAST_PREPARED: u32 = u32::MAX;

/// One of the two ends of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The end that sends commands.
    Client,
    /// The end that answers them.
    Backend,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Backend => "backend",
        })
    }
}

/// Why a session cannot go on: what one side sent is not the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A packet is missing, or one side has lost count.
    #[error("the {side} sent a packet with sequence number {got} where {expected} was due")]
    Sequence {
        /// Who sent it.
        side: Side,
        /// The number that was due.
        expected: u8,
        /// The number in its header.
        got: u8,
    },
    /// A command without a command byte, or without the number of its statement.
    #[error("the client sent a command that is too short")]
    ShortCommand,
    /// The client sends commands and never reads responses.
    #[error("the client has {OUTSTANDING_LIMIT} commands outstanding")]
    TooManyCommands,
    /// A response with no command that it could belong to.
    #[error("the backend sent a packet that nobody asked for")]
    Unasked,
    /// A response other than ERR while the client still sends its command or file.
    #[error("the backend answered {} before the client had sent all of it", .command.name())]
    Early {
        /// The command answered.
        command: Command,
    },
    /// A LOCAL INFILE request while more commands are on their way: client and server would disagree about what is
    /// file and what is command.
    #[error("the backend asked for a file while another command was in flight")]
    FileRequestAmongCommands,
    /// A response that is none of the forms which its command has.
    #[error("the backend's response to {} is malformed: {reason}", .command.name())]
    MalformedResponse {
        /// The command answered.
        command: Command,
        /// What is wrong.
        reason: &'static str,
    },
}

impl Violation {
    /// Who broke the protocol.
    pub const fn side(&self) -> Side {
        match self {
            Self::Sequence { side, .. } => *side,
            Self::ShortCommand | Self::TooManyCommands => Side::Client,
            Self::Unasked
            | Self::Early { .. }
            | Self::FileRequestAmongCommands
            | Self::MalformedResponse { .. } => Side::Backend,
        }
    }

    /// Whether a sequence number was wrong (error 1156); everything else is a malformed packet (error 1835).
    pub const fn is_out_of_order(&self) -> bool {
        matches!(self, Self::Sequence { .. })
    }
}

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
    /// Fewer than [`COMMAND_HEAD_BYTES`] bytes may be left over; they are given again, with more behind them.
    ReadMore,
    /// A `COM_CHANGE_USER` packet begins. The session waits until nothing is outstanding, takes it out of the stream
    /// whole and deals with it; the tracker never sees it.
    ChangeUser,
    /// A command that is not in the table was dropped whole. The session waits until nothing is outstanding and
    /// answers with an error.
    Refuse {
        /// Its command byte.
        command: u8,
        /// The sequence number of its last packet; the answer has the next one.
        sequence: u8,
    },
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

/// Walks both directions of a session; see the module.
#[derive(Debug)]
pub struct Tracker {
    form: Form,
    /// Commands in the order in which they were forwarded, up to the last one whose response has not ended. Those
    /// without a response stay as long as they stand behind others.
    commands: VecDeque<Forwarded>,
    client: Sender,
    backend: Answerer,
    transaction: Transaction,
}

/// A command that was forwarded.
#[derive(Debug, Clone, Copy)]
struct Forwarded {
    command: Command,
    /// The statement that it names, or 0.
    statement: u32,
    /// Sequence number that its response starts with; known once the command's last packet has come.
    response_sequence: u8,
}

/// The client's direction.
#[derive(Debug)]
struct Sender {
    walk: Walk,
    message: Message,
    /// The client has a command that is held back ([`ClientThen::ChangeUser`], [`ClientThen::Refuse`]).
    holds_back: bool,
}

/// What the client is in the middle of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    /// Nothing: the next byte starts a command.
    None,
    Command,
    /// A command that is dropped.
    Refused(u8),
    /// `COM_QUIT` on its way; then the end.
    Quitting,
    Gone,
    /// A file, packet after packet; an empty one ends it.
    File,
    /// That empty packet.
    FileEnd,
}

/// The backend's direction.
#[derive(Debug)]
struct Answerer {
    walk: Walk,
    /// Header and first bytes of a packet that arrives in pieces.
    head: [u8; HEADER_BYTES + HEAD_BYTES],
    head_bytes: usize,
    /// What the next packet is, within the response to the first command of the queue.
    due: Due,
    /// What happens when the packet under way has ended.
    after: After,
    /// The statement that the last `COM_STMT_PREPARE` made.
    last_prepared: u32,
}

/// A backend's packet by its place in a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// The first packet of a response.
    Response,
    /// The first packet of a further result.
    NextResult,
    /// Definitions, so many; what they stand before.
    Definitions(u64, Before),
    /// The EOF behind definitions.
    EndOfDefinitions(Before),
    Rows,
}

/// What definitions stand before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// The rows of a result set.
    Rows,
    /// So many definitions of a prepared statement's columns.
    Columns(u16),
    /// The end of the response.
    Nothing,
}

/// What the end of a backend's packet means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Stay,
    Next(Due),
    /// The response has ended without an OK or EOF.
    Done,
    /// An OK or EOF has ended a result, and with it the response unless the flags say that more follows.
    Ended(Status),
    Failed,
    File,
    Unasked(u16),
}

/// What is known about the backend's state between commands.
#[derive(Debug, Default)]
struct Transaction {
    /// Flags of the last OK or EOF.
    open: bool,
    /// An ERR came since: a procedure can leave a transaction open behind one.
    failed_since: bool,
    /// A statement was sent part of its parameters.
    long_data: bool,
    /// Statements with an open cursor; the backend limits their number (`max_prepared_stmt_count`).
    cursors: BTreeSet<u32>,
}

/// One direction's place within a packet.
#[derive(Debug, Default)]
struct Walk {
    /// Payload bytes of the packet under way that have not come yet.
    left: usize,
    /// The packet under way, or the last one, is full: the next one goes on with it.
    continues: bool,
    /// Sequence number of the next packet.
    sequence: u8,
}

impl Walk {
    /// Starts a packet: its number must be the next one.
    fn enter(&mut self, side: Side, header: Header) -> Result<(), Violation> {
        if header.sequence != self.sequence {
            return Err(Violation::Sequence {
                side,
                expected: self.sequence,
                got: header.sequence,
            });
        }
        self.sequence = header.sequence.wrapping_add(1);
        self.left = header.payload_bytes;
        self.continues = header.payload_bytes == FULL_PACKET_BYTES;
        Ok(())
    }

    /// Passes over so much of the packet as there is, and says how much.
    fn pass(&mut self, available: usize) -> usize {
        let passed = self.left.min(available);
        self.left -= passed;
        passed
    }

    /// Whether the packet, and what continues it, has come whole.
    const fn is_over(&self) -> bool {
        self.left == 0 && !self.continues
    }
}

/// A packet's header.
#[derive(Debug, Clone, Copy)]
struct Header {
    payload_bytes: usize,
    sequence: u8,
}

impl Header {
    /// The header at the start of `bytes` and what follows it.
    fn split(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let ([low, middle, high, sequence], rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        let header = Self {
            payload_bytes: usize::from(*low) | usize::from(*middle) << 8 | usize::from(*high) << 16,
            sequence: *sequence,
        };
        Some((header, rest))
    }
}

impl Tracker {
    /// A session that has just logged in, outside a transaction.
    pub fn new(form: Form) -> Self {
        Self {
            form,
            commands: VecDeque::new(),
            client: Sender {
                walk: Walk::default(),
                message: Message::None,
                holds_back: false,
            },
            backend: Answerer {
                walk: Walk::default(),
                head: [0; HEADER_BYTES + HEAD_BYTES],
                head_bytes: 0,
                due: Due::Response,
                after: After::Stay,
                last_prepared: 0,
            },
            transaction: Transaction::default(),
        }
    }

    /// Commands that were forwarded and whose response has not ended.
    pub fn outstanding(&self) -> usize {
        self.commands.len()
    }

    /// Whether ending the session now loses the client nothing that it has begun, as far as the protocol shows it.
    pub fn is_between_transactions(&self) -> bool {
        self.commands.is_empty()
            && self.client.message == Message::None
            && !self.transaction.open
            && !self.transaction.failed_since
            && !self.transaction.long_data
            && self.transaction.cursors.is_empty()
    }

    /// The session changed the user by itself; `status` is that of the backend's OK.
    pub fn user_changed(&mut self, status: u16) {
        self.transaction = Transaction {
            open: Status(status).in_transaction(),
            ..Transaction::default()
        };
    }

    /// Takes what the client sent: the rest that a [`ClientVerdict`] left over, and what came since.
    pub fn client_bytes(&mut self, bytes: &[u8]) -> Result<ClientVerdict, Violation> {
        self.client.holds_back = false;
        let mut verdict = ClientVerdict {
            forward: 0,
            skip: 0,
            then: ClientThen::ReadMore,
        };
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.client.message == Message::Gone {
                verdict.skip += rest.len();
                verdict.then = ClientThen::Quit;
                break;
            }
            let passed = if self.client.walk.left > 0 {
                self.client.walk.pass(rest.len())
            } else {
                match self.client_packet(rest)? {
                    Begun::Packet => HEADER_BYTES,
                    Begun::TooFewBytes => break,
                    Begun::ChangeUser => {
                        verdict.then = ClientThen::ChangeUser;
                        break;
                    }
                }
            };
            match self.client.message {
                Message::Refused(_) => verdict.skip += passed,
                _ => verdict.forward += passed,
            }
            rest = &rest[passed..];
            if self.client.walk.is_over() {
                verdict.then = self.client_message_is_over();
                if verdict.then != ClientThen::ReadMore {
                    break;
                }
            }
        }
        Ok(verdict)
    }

    /// Starts the client's next packet.
    fn client_packet(&mut self, bytes: &[u8]) -> Result<Begun, Violation> {
        let Some((header, payload)) = Header::split(bytes) else {
            return Ok(Begun::TooFewBytes);
        };
        if self.client.message == Message::None {
            return self.client_command(header, payload);
        }
        let is_file_end = self.client.message == Message::File
            && !self.client.walk.continues
            && header.payload_bytes == 0;
        self.client.walk.enter(Side::Client, header)?;
        if is_file_end {
            self.client.message = Message::FileEnd;
        }
        Ok(Begun::Packet)
    }

    /// Starts the client's next command.
    fn client_command(&mut self, header: Header, payload: &[u8]) -> Result<Begun, Violation> {
        let mut walk = Walk::default();
        walk.enter(Side::Client, header)?;
        if header.payload_bytes == 0 {
            return Err(Violation::ShortCommand);
        }
        let Some((&byte, arguments)) = payload.split_first() else {
            return Ok(Begun::TooFewBytes);
        };
        let message = match Command::from_byte(byte) {
            None => Message::Refused(byte),
            Some(Command::ChangeUser) => {
                self.client.holds_back = true;
                return Ok(Begun::ChangeUser);
            }
            Some(Command::Quit) => Message::Quitting,
            Some(command) => {
                let statement = match arguments.first_chunk() {
                    _ if !command.names_statement() => 0,
                    _ if header.payload_bytes < 1 + 4 => return Err(Violation::ShortCommand),
                    Some(number) => u32::from_le_bytes(*number),
                    None => return Ok(Begun::TooFewBytes),
                };
                self.forwarded(command, statement)?;
                Message::Command
            }
        };
        self.client.walk = walk;
        self.client.message = message;
        Ok(Begun::Packet)
    }

    /// Puts a command that begins to be forwarded into the queue.
    fn forwarded(&mut self, command: Command, statement: u32) -> Result<(), Violation> {
        if self.commands.len() >= OUTSTANDING_LIMIT {
            return Err(Violation::TooManyCommands);
        }
        self.commands.push_back(Forwarded {
            command,
            statement,
            response_sequence: 0,
        });
        self.pass_silent_commands();
        Ok(())
    }

    /// Ends what the client was sending.
    fn client_message_is_over(&mut self) -> ClientThen {
        let sequence = self.client.walk.sequence;
        let message = std::mem::replace(&mut self.client.message, Message::None);
        match message {
            Message::Refused(command) => {
                self.client.holds_back = true;
                return ClientThen::Refuse {
                    command,
                    sequence: sequence.wrapping_sub(1),
                };
            }
            Message::Quitting | Message::Gone => {
                self.client.message = Message::Gone;
                return ClientThen::Quit;
            }
            Message::File => self.client.message = Message::File,
            Message::None => {}
            Message::Command | Message::FileEnd => {
                // What was sent is the last of the queue, or was answered already and the queue is empty.
                if let Some(last) = self.commands.back_mut() {
                    last.response_sequence = sequence;
                }
                if message == Message::FileEnd {
                    self.backend.walk.sequence = sequence;
                }
            }
        }
        ClientThen::ReadMore
    }

    /// Takes what the backend sent, each byte once. All of it goes to the client, unless it is an error.
    pub fn backend_bytes(&mut self, bytes: &[u8]) -> Result<BackendThen, Violation> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let passed = if self.backend.walk.left > 0 {
                self.backend.walk.pass(rest.len())
            } else {
                let Some(passed) = self.backend_head(rest)? else {
                    break;
                };
                passed
            };
            rest = &rest[passed..];
            if self.backend.walk.is_over()
                && let Some(error_code) = self.backend_packet_is_over()?
            {
                return Ok(BackendThen::Unasked { error_code });
            }
        }
        Ok(BackendThen::ReadMore)
    }

    /// Reads header and first bytes of the backend's next packet: how many bytes of `bytes` those are. `None`: all of
    /// them were taken, and more are needed.
    fn backend_head(&mut self, bytes: &[u8]) -> Result<Option<usize>, Violation> {
        // Nearly always they lie in one piece and are read where they are.
        if self.backend.head_bytes == 0
            && let Some((header, payload)) = Header::split(bytes)
            && let Some(head) = payload.get(..header.payload_bytes.min(HEAD_BYTES))
        {
            self.backend_packet(header, head)?;
            self.backend.walk.left -= head.len();
            return Ok(Some(HEADER_BYTES + head.len()));
        }
        let mut passed = 0;
        for byte in bytes {
            let mut head = self.backend.head;
            head[self.backend.head_bytes] = *byte;
            self.backend.head = head;
            self.backend.head_bytes += 1;
            passed += 1;
            let seen = &head[..self.backend.head_bytes];
            if let Some((header, payload)) = Header::split(seen)
                && payload.len() == header.payload_bytes.min(HEAD_BYTES)
            {
                self.backend.head_bytes = 0;
                self.backend_packet(header, payload)?;
                self.backend.walk.left -= payload.len();
                return Ok(Some(passed));
            }
        }
        Ok(None)
    }

    /// Starts the backend's next packet.
    fn backend_packet(&mut self, header: Header, payload: &[u8]) -> Result<(), Violation> {
        let walk = &mut self.backend.walk;
        if walk.continues {
            return walk.enter(Side::Backend, header);
        }
        let head = Head {
            payload_bytes: header.payload_bytes,
            payload,
        };
        let Some(&first) = self.commands.front() else {
            return self.unasked(header, head);
        };
        let malformed = |reason| Violation::MalformedResponse {
            command: first.command,
            reason,
        };
        let failure = match (first.command.response(), self.backend.due) {
            (ResponseForm::Bare, Due::Response) => None,
            _ => head.failure().map_err(malformed)?,
        };
        let client_sends = self.client_sends_first_command();
        if self.backend.due == Due::Response && !client_sends {
            self.backend.walk.sequence = first.response_sequence;
        }
        if let Some(Failure::Error { .. }) = failure {
            // A timeout or shutdown that crosses a command on its way: the backend counts from 0, and is gone.
            if self.backend.due == Due::Response
                && header.sequence == 0
                && self.backend.walk.sequence != 0
            {
                return self.unasked(header, head);
            }
            // It may refuse a command or a file that has not come whole, at any packet.
            if client_sends {
                self.backend.walk.sequence = header.sequence;
            }
        } else if client_sends {
            return Err(Violation::Early {
                command: first.command,
            });
        }
        self.backend.walk.enter(Side::Backend, header)?;
        self.backend.after = match failure {
            Some(Failure::Error { .. }) => After::Failed,
            Some(Failure::Progress) => {
                if let Some(first) = self.commands.front_mut() {
                    first.response_sequence = self.backend.walk.sequence;
                }
                After::Stay
            }
            None => self.meaning(first.command, head).map_err(malformed)?,
        };
        Ok(())
    }

    /// What a packet that is no ERR means at its place.
    fn meaning(&mut self, command: Command, head: Head<'_>) -> Result<After, &'static str> {
        let form = self.form;
        Ok(match self.backend.due {
            Due::Rows => match head.end_of_rows(form)? {
                Some(status) => After::Ended(status),
                None => After::Stay,
            },
            Due::Definitions(left, before) => {
                definitions_left(form, left.saturating_sub(1), before)
            }
            Due::EndOfDefinitions(before) => {
                let status = head.end_of_definitions()?;
                match before {
                    // The rows stay behind the cursor.
                    Before::Rows if command == Command::StmtExecute && status.cursor_exists() => {
                        After::Ended(status)
                    }
                    Before::Nothing => After::Ended(status),
                    Before::Rows | Before::Columns(_) => behind_definitions(form, before),
                }
            }
            Due::NextResult => first_of_result(form, head)?,
            Due::Response => match command.response() {
                ResponseForm::Results => first_of_result(form, head)?,
                ResponseForm::Status => After::Ended(head.status()?),
                ResponseForm::Bare => After::Done,
                ResponseForm::Rows | ResponseForm::Definitions => match head.end_of_rows(form)? {
                    Some(status) => After::Ended(status),
                    None => After::Next(Due::Rows),
                },
                ResponseForm::Prepared => {
                    let prepared = head.prepare_ok(form)?;
                    self.backend.last_prepared = prepared.statement;
                    behind_prepare_ok(form, prepared)
                }
                ResponseForm::Silence | ResponseForm::Login => return Err("it has none"),
            },
        })
    }

    /// Starts a packet that belongs to no command: an ERR tells why the backend is gone, anything else is an error.
    fn unasked(&mut self, header: Header, head: Head<'_>) -> Result<(), Violation> {
        let Ok(Some(Failure::Error { code })) = head.failure() else {
            return Err(Violation::Unasked);
        };
        self.backend.walk.sequence = header.sequence;
        self.backend.after = After::Unasked(code);
        self.backend.walk.enter(Side::Backend, header)
    }

    /// Whether the first command of the queue, or the file that it wants, is still being sent.
    fn client_sends_first_command(&self) -> bool {
        let sends = matches!(
            self.client.message,
            Message::Command | Message::File | Message::FileEnd
        );
        sends && self.commands.len() == 1
    }

    /// Ends the backend's packet. An error number: the backend has ended the session.
    fn backend_packet_is_over(&mut self) -> Result<Option<u16>, Violation> {
        match std::mem::replace(&mut self.backend.after, After::Stay) {
            After::Stay => {}
            After::Next(due) => self.backend.due = due,
            After::Done => self.response_is_over(),
            After::Ended(status) => self.result_is_over(status),
            After::Failed => {
                self.transaction.failed_since = true;
                self.response_is_over();
            }
            After::File => self.file_is_wanted()?,
            After::Unasked(error_code) => return Ok(Some(error_code)),
        }
        Ok(None)
    }

    /// Lets the client send a file.
    fn file_is_wanted(&mut self) -> Result<(), Violation> {
        if self.commands.len() > 1 || self.client.message != Message::None || self.client.holds_back
        {
            return Err(Violation::FileRequestAmongCommands);
        }
        self.backend.due = Due::NextResult;
        self.client.message = Message::File;
        self.client.walk = Walk {
            sequence: self.backend.walk.sequence,
            ..Walk::default()
        };
        Ok(())
    }

    /// An OK or EOF has ended a result.
    fn result_is_over(&mut self, status: Status) {
        self.transaction.open = status.in_transaction();
        self.transaction.failed_since = false;
        let Some(&first) = self.commands.front() else {
            return;
        };
        let statement = match first.statement {
            LAST_PREPARED => self.backend.last_prepared,
            number => number,
        };
        let cursors = &mut self.transaction.cursors;
        match first.command {
            Command::StmtExecute if status.cursor_exists() => {
                cursors.insert(statement);
            }
            Command::StmtExecute | Command::StmtReset => {
                cursors.remove(&statement);
            }
            Command::StmtFetch if status.last_row_sent() => {
                cursors.remove(&statement);
            }
            Command::ResetConnection => self.user_changed(status.0),
            _ => {}
        }
        if status.more_results() && first.command.response() == ResponseForm::Results {
            self.backend.due = Due::NextResult;
        } else {
            self.response_is_over();
        }
    }

    /// The first command of the queue has got its response.
    fn response_is_over(&mut self) {
        self.backend.due = Due::Response;
        if let Some(first) = self.commands.pop_front()
            && matches!(first.command, Command::StmtExecute | Command::StmtReset)
        {
            self.transaction.long_data = false;
        }
        self.pass_silent_commands();
    }

    /// Removes commands from the front of the queue that get no response.
    fn pass_silent_commands(&mut self) {
        while let Some(first) = self.commands.front()
            && first.command.response() == ResponseForm::Silence
        {
            match first.command {
                Command::StmtSendLongData => self.transaction.long_data = true,
                Command::StmtClose => {
                    self.transaction.long_data = false;
                    self.transaction.cursors.remove(&first.statement);
                }
                _ => {}
            }
            self.commands.pop_front();
        }
    }
}

/// What came of the bytes that should start a packet of the client.
enum Begun {
    /// A header was read.
    Packet,
    /// It cannot be told yet.
    TooFewBytes,
    /// A `COM_CHANGE_USER` stands there, untouched.
    ChangeUser,
}

/// What the first packet of a result means.
fn first_of_result(form: Form, head: Head<'_>) -> Result<After, &'static str> {
    Ok(match head.first_of_result(form)? {
        FirstPacket::Ok(status) => After::Ended(status),
        FirstPacket::LocalInfile => After::File,
        FirstPacket::Columns { definitions } => definitions_left(form, definitions, Before::Rows),
    })
}

/// What follows `COM_STMT_PREPARE_OK`.
fn behind_prepare_ok(form: Form, prepared: PrepareOk) -> After {
    let definitions = |count| if prepared.has_definitions { count } else { 0 };
    let columns = definitions(prepared.columns);
    match (prepared.parameters, prepared.columns) {
        (0, 0) => After::Done,
        (0, _) => definitions_left(form, u64::from(columns), Before::Nothing),
        (parameters, has_columns) => {
            let before = if has_columns == 0 {
                Before::Nothing
            } else {
                Before::Columns(columns)
            };
            definitions_left(form, u64::from(definitions(parameters)), before)
        }
    }
}

/// What follows when so many definitions are left.
fn definitions_left(form: Form, left: u64, before: Before) -> After {
    match left {
        0 if form.deprecate_eof => behind_definitions(form, before),
        0 => After::Next(Due::EndOfDefinitions(before)),
        _ => After::Next(Due::Definitions(left, before)),
    }
}

/// What follows the last definition and its EOF.
fn behind_definitions(form: Form, before: Before) -> After {
    match before {
        Before::Rows => After::Next(Due::Rows),
        Before::Columns(columns) => definitions_left(form, u64::from(columns), Before::Nothing),
        Before::Nothing => After::Done,
    }
}

#[cfg(test)]
mod recorded;
