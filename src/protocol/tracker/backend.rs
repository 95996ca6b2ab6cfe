//! The backend's direction: where responses start and end.

use super::super::command::{Command, ResponseForm};
use super::super::packet::{HEADER_BYTES, Header, MAX_PAYLOAD_BYTES};
use super::super::response::{FIRST_BYTE_OF_END, Failure, HEAD_BYTES, Head};
use super::client::Message;
use super::due::{After, Due};
use super::walk::Walk;
use super::{BackendThen, Forwarded, Side, Tracker, Violation};

/// The backend's direction.
#[derive(Debug, Default)]
pub(super) struct Responder {
    pub(super) walk: Walk,
    /// Header and first bytes of a packet that arrives in pieces.
    head: [u8; HEADER_BYTES + HEAD_BYTES],
    head_bytes: usize,
    /// What the next packet is, within the response to the first command of the queue.
    pub(super) due: Due,
    /// What happens when the packet under way has ended.
    after: After,
}

impl Responder {
    /// The sequence number that follows, in the response to the first command.
    pub(super) fn due_sequence(&self, first: Forwarded) -> u8 {
        match self.due {
            Due::Response => first.response_sequence,
            _ => self.walk.sequence,
        }
    }

    /// Whether all of the backend's packets have come whole.
    pub(super) fn is_between_packets(&self) -> bool {
        self.walk.is_over() && self.head_bytes == 0
    }
}

impl Tracker {
    /// Takes what the backend sent, each byte once. All of it goes to the client, unless it is an error.
    pub fn backend_bytes(&mut self, bytes: &[u8]) -> Result<BackendThen, Violation> {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = self.pass_rows(rest);
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

    /// Passes over rows that lie whole at the start of `bytes`: the hot loop. What may be anything else stops it, and
    /// takes the long way.
    fn pass_rows<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Responder {
            walk,
            head_bytes: 0,
            due: Due::Rows,
            ..
        } = &mut self.backend
        else {
            return bytes;
        };
        if !walk.is_over() {
            return bytes;
        }
        let mut rest = bytes;
        while let Some((header, payload)) = Header::split(rest)
            && header.sequence == walk.sequence
            && header.payload_bytes < MAX_PAYLOAD_BYTES
            && let Some((row, behind)) = payload.split_at_checked(header.payload_bytes)
            && let Some(..FIRST_BYTE_OF_END) = row.first()
        {
            walk.sequence = walk.sequence.wrapping_add(1);
            rest = behind;
        }
        rest
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
        for (place, byte) in bytes.iter().enumerate() {
            self.backend.head[self.backend.head_bytes] = *byte;
            self.backend.head_bytes += 1;
            let head = self.backend.head;
            if let Some((header, payload)) = Header::split(&head[..self.backend.head_bytes])
                && payload.len() == header.payload_bytes.min(HEAD_BYTES)
            {
                self.backend.head_bytes = 0;
                self.backend_packet(header, payload)?;
                self.backend.walk.left -= payload.len();
                return Ok(Some(place + 1));
            }
        }
        Ok(None)
    }

    /// Starts the backend's next packet.
    fn backend_packet(&mut self, header: Header, payload: &[u8]) -> Result<(), Violation> {
        if self.backend.walk.continues {
            return self.backend.walk.enter(Side::Backend, header);
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
        let failure = match first.command.response() {
            ResponseForm::Bare => None,
            _ => head.failure().map_err(malformed)?,
        };
        let is_error = matches!(failure, Some(Failure::Error { .. }));
        // A timeout or shutdown that crosses a command on its way: the backend counts from 0, and is gone.
        if is_error
            && self.backend.due == Due::Response
            && header.sequence == 0
            && first.response_sequence != 0
        {
            return self.unasked(header, head);
        }
        self.backend.walk.sequence = self.accepted_sequence(first, header.sequence, is_error)?;
        self.backend.walk.enter(Side::Backend, header)?;
        self.backend.after = match failure {
            Some(Failure::Error { .. }) => After::Failed,
            Some(Failure::Progress) => {
                if let Some(first) = self.commands.front_mut() {
                    first.response_sequence = self.backend.walk.sequence;
                }
                After::Stay
            }
            None => {
                if let (Command::StmtPrepare, Due::Response) = (first.command, self.backend.due) {
                    self.transaction
                        .prepared(head.prepare_ok(self.form).map_err(malformed)?.statement);
                }
                self.backend
                    .due
                    .meaning(self.form, first.command, head)
                    .map_err(malformed)?
            }
        };
        Ok(())
    }

    /// The sequence number that a packet must have, where a backend's own choice, `got`, may stand.
    fn accepted_sequence(
        &self,
        first: Forwarded,
        got: u8,
        is_error: bool,
    ) -> Result<u8, Violation> {
        // With semi-synchronous replication, source and replica count each in their own way.
        if self.backend.due == Due::Events {
            return Ok(got);
        }
        let starts = self.backend.due == Due::Response;
        let client_sends = self.client_sends_first_command();
        let due = self.backend.due_sequence(first);
        // A backend refuses a command that is too long (1153) as soon as it has read enough of it.
        if is_error && (client_sends || starts && got < due) {
            return Ok(got);
        }
        if client_sends {
            return Err(Violation::Early {
                command: first.command,
            });
        }
        Ok(due)
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
    pub(super) fn client_sends_first_command(&self) -> bool {
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
                if let Some(first) = self.commands.front() {
                    self.transaction.failed(first.command);
                }
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
}
