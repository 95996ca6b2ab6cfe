//! The client's direction: where commands and files start and end.

use super::super::command::Command;
use super::super::packet::{HEADER_BYTES, Header, MAX_PAYLOAD_BYTES};
use super::super::statement::{LONGEST_BYTES, Look};
use super::walk::Walk;
use super::{
    ClientThen, ClientVerdict, Forwarded, Leave, OUTSTANDING_LIMIT, Side, Tracker, Violation,
};

/// What a replica's packets begin with in semi-synchronous replication (`kPacketMagicNum` in MySQL and MariaDB).
const ACKNOWLEDGEMENT: u8 = 0xef;

/// The client's direction.
#[derive(Debug, Default)]
pub(super) struct Sender {
    pub(super) walk: Walk,
    pub(super) message: Message,
    /// The client has a command that is held back ([`ClientThen::ChangeUser`], [`ClientThen::Refuse`], [`ClientThen::Read`]).
    pub(super) holds_back: bool,
    /// The next command is not to be read (again).
    pub(super) was_read: bool,
}

impl Sender {
    /// Whether the client is in the middle of nothing.
    pub(super) fn is_idle(&self) -> bool {
        self.message == Message::None
    }
}

/// What the client is in the middle of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Message {
    /// Nothing: the next byte starts a command.
    #[default]
    None,
    /// A command that is forwarded.
    Command,
    /// A command that is dropped.
    Refused(u8),
    /// `COM_QUIT` on its way; then the end.
    Quitting,
    /// `COM_QUIT` has been forwarded.
    Gone,
    /// A file, packet after packet; an empty one ends it.
    File,
    /// That empty packet.
    FileEnd,
    /// A replica's word that it has an event.
    Acknowledgement,
}

/// What came of the bytes that should start a packet of the client.
enum Begun {
    /// A header was read.
    Packet,
    /// It cannot be told yet.
    TooFewBytes,
    /// A `COM_CHANGE_USER` stands there, untouched.
    ChangeUser,
    /// A command stands there that is one too many just now.
    Full,
    /// A command stands there that may have to be changed.
    Read,
}

impl Tracker {
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
                    Begun::Full => {
                        verdict.then = ClientThen::Full;
                        break;
                    }
                    Begun::Read => {
                        verdict.then = ClientThen::Read;
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

    /// Numbers the packets of a file anew: in compressed frames clients number them as frames (see
    /// [`Frames`](super::super::compression::Frames)). To be called with the bytes that [`client_bytes`](Self::client_bytes)
    /// is given next.
    pub fn number_file(&self, bytes: &mut [u8]) {
        if self.client.message != Message::File {
            return;
        }
        let Walk {
            left,
            mut continues,
            mut sequence,
        } = self.client.walk;
        let mut rest = bytes.get_mut(left..).unwrap_or_default();
        while let Some((header, behind)) = rest.split_first_chunk_mut() {
            let payload_bytes = Header::decode(*header).payload_bytes;
            *header = Header {
                payload_bytes,
                sequence,
            }
            .encode();
            if payload_bytes == 0 && !continues {
                break;
            }
            continues = payload_bytes == MAX_PAYLOAD_BYTES;
            sequence = sequence.wrapping_add(1);
            rest = behind.get_mut(payload_bytes..).unwrap_or_default();
        }
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
        if header.payload_bytes == 0 {
            return Err(Violation::ShortCommand);
        }
        let Some((&byte, arguments)) = payload.split_first() else {
            return Ok(Begun::TooFewBytes);
        };
        let mut walk = Walk::default();
        if byte == ACKNOWLEDGEMENT && self.streams_events() {
            // counted in the replica's own way
            walk.sequence = header.sequence;
            walk.enter(Side::Client, header)?;
            self.client.walk = walk;
            self.client.message = Message::Acknowledgement;
            return Ok(Begun::Packet);
        }
        walk.enter(Side::Client, header)?;
        let message = match Command::from_byte(byte) {
            None => Message::Refused(byte),
            Some(Command::ChangeUser) => {
                self.client.holds_back = true;
                return Ok(Begun::ChangeUser);
            }
            Some(Command::Quit) => Message::Quitting,
            Some(Command::Query)
                if self.leave != Leave::All && header.payload_bytes > LONGEST_BYTES =>
            {
                Message::Refused(byte)
            }
            Some(command) => {
                let statement = match arguments.first_chunk() {
                    _ if !command.names_statement() => 0,
                    _ if header.payload_bytes < 1 + 4 => return Err(Violation::ShortCommand),
                    Some(number) => u32::from_le_bytes(*number),
                    None => return Ok(Begun::TooFewBytes),
                };
                if self.leave == Leave::None
                    || self.commands.len() >= OUTSTANDING_LIMIT
                    || self.streams_events()
                {
                    self.client.holds_back = true;
                    return Ok(Begun::Full);
                }
                match self.look(command, header, arguments) {
                    Look::Pass => {}
                    Look::Read => {
                        self.client.holds_back = true;
                        return Ok(Begun::Read);
                    }
                    Look::Wait => {
                        self.client.holds_back = true;
                        return Ok(Begun::TooFewBytes);
                    }
                }
                self.client.was_read = false;
                self.forwarded(command, statement);
                Message::Command
            }
        };
        self.client.walk = walk;
        self.client.message = message;
        Ok(Begun::Packet)
    }

    /// Whether a command may have to be changed.
    fn look(&self, command: Command, header: Header, arguments: &[u8]) -> Look {
        if self.client.was_read || header.payload_bytes > LONGEST_BYTES {
            return Look::Pass;
        }
        let whole = header.payload_bytes - 1;
        if self.leave == Leave::One && command == Command::Query {
            return if arguments.len() < whole {
                Look::Wait
            } else {
                Look::Read
            };
        }
        match arguments.get(..whole) {
            Some(arguments) => Look::at(command, arguments, true, self.form.query_attributes),
            None => Look::at(command, arguments, false, self.form.query_attributes),
        }
    }

    /// Puts a command that begins to be forwarded into the queue.
    fn forwarded(&mut self, command: Command, statement: u32) {
        if self.leave == Leave::One {
            self.leave = Leave::None;
        }
        self.forwarded = self.forwarded.saturating_add(1);
        self.commands.push_back(Forwarded {
            command,
            statement,
            response_sequence: 1,
        });
        self.pass_silent_commands();
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
            Message::None | Message::Acknowledgement => {}
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
}
