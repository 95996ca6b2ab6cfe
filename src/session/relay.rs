//! The hot path: bytes go both ways, walked by the tracker, until something happens that is not for the relay alone.
//!
//! One task polls both directions. What one read brings leaves in one vectored write; one side is not read while the
//! other has not taken everything, so at most one read's bytes are held for a slow peer.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use super::end::End;
use super::failure::broken_frame;
use super::live::Live;
use crate::net::buffers::{Buffers, with_buffers};
use crate::net::stream::{Stream, StreamError};
use crate::protocol::command::Command;
use crate::protocol::err_packet::ErrPacket;
use crate::protocol::packet::{HEADER_BYTES, Header};
use crate::protocol::tracker::{BackendThen, ClientThen, Leave, Tracker, Violation};
use crate::protocol::user_name::UserName;

/// While a command is held back, so much of what the client sends behind it is kept; the rest waits in the socket.
const HELD_BYTES: usize = 64 * 1024;

/// What the relay cannot deal with itself.
#[derive(Debug)]
pub(super) enum Event {
    /// A `COM_CHANGE_USER` begins in front of what is held; nothing is outstanding.
    ChangeUser,
    /// A command that may have to be changed begins in front of what is held, whole.
    Read,
    /// A command that is not relayed was dropped; nothing is outstanding.
    Refuse {
        /// Its byte.
        command: u8,
        /// Sequence number of its last packet.
        sequence: u8,
    },
    /// The client has sent one command since the backend was last asked for its account ([`Relay::unconfirmed`]), and
    /// nothing is outstanding.
    Answered,
    /// The relay was told to end, and nothing that the client has begun would be lost now.
    BetweenTransactions,
    /// The session is over.
    End(End),
}

/// Both sides of a session that has logged in.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) client: Stream,
    pub(super) backend: Stream,
    tracker: Tracker,
    /// What the client sent and the tracker has not consumed.
    held: Vec<u8>,
    /// The tracker has not seen `held` as it is now.
    held_is_news: bool,
    /// What the client sent last waits for the queue to be empty, or for a place in it.
    waiting: Option<ClientThen>,
    /// Whose account the backend would not tell yet. Behind each command it may, and until it does the next one waits:
    /// what follows a new password could be another account's.
    unconfirmed: Option<UserName>,
    /// Set for a drain: the relay returns between transactions.
    pub(super) ends_between_transactions: bool,
    /// When the client began to wait for the backend; none while nothing is outstanding.
    waits_since: Option<Instant>,
    /// Counts what goes by.
    live: Arc<Live>,
}

impl Relay {
    pub(super) fn new(
        mut client: Stream,
        backend: Stream,
        tracker: Tracker,
        unconfirmed: Option<UserName>,
        live: Arc<Live>,
    ) -> Self {
        let held = client.take_received();
        let mut relay = Self {
            client,
            backend,
            tracker,
            held_is_news: !held.is_empty(),
            held,
            waiting: None,
            unconfirmed: None,
            ends_between_transactions: false,
            waits_since: None,
            live,
        };
        relay.set_unconfirmed(unconfirmed);
        relay
    }

    /// Whose account the backend is still to tell.
    pub(super) fn unconfirmed(&self) -> Option<&UserName> {
        self.unconfirmed.as_ref()
    }

    /// Lets the next command go on alone, or all if the backend has told the account.
    pub(super) fn set_unconfirmed(&mut self, user: Option<UserName>) {
        self.tracker.give(match user {
            None => Leave::All,
            Some(_) => Leave::One,
        });
        self.unconfirmed = user;
    }

    /// Whether a command is under way.
    pub(super) fn has_command(&self) -> bool {
        self.tracker.outstanding() > 0
    }

    /// Whether a command is under way, or the client has not taken all of the answer.
    pub(super) fn awaits_answer(&self) -> bool {
        self.has_command() || self.client.has_unsent()
    }

    /// Relays until something happens. Cancel safe.
    pub(super) async fn run(&mut self) -> Event {
        poll_fn(|cx| with_buffers(|buffers| self.poll(cx, buffers))).await
    }

    /// Hands what is held to the client's stream, to read packets from it.
    pub(super) fn begin_packets(&mut self) {
        self.client.give_back(&std::mem::take(&mut self.held));
        self.client.set_next_sequence(0);
    }

    /// Takes back what came behind those packets.
    pub(super) fn end_packets(&mut self) {
        self.held = self.client.take_received();
        self.held_is_news = !self.held.is_empty();
    }

    /// Puts another payload in the place of the one that begins in front of what is held, if `change` gives one for it; then
    /// it may go on.
    pub(super) fn change_command(
        &mut self,
        change: impl FnOnce(&[u8], &Stream) -> Option<Vec<u8>>,
    ) {
        if let Some((header, rest)) = Header::split(&self.held)
            && let Some(payload) = rest.get(..header.payload_bytes)
            && let Some(changed) = change(payload, &self.client)
        {
            let new_header = Header {
                payload_bytes: changed.len(),
                ..header
            };
            let packet = [&new_header.encode()[..], &changed].concat();
            self.held
                .splice(..HEADER_BYTES + header.payload_bytes, packet);
        }
        self.tracker.was_read();
    }

    /// The session changed the user; `status` is that of the backend's OK.
    pub(super) fn user_changed(&mut self, status: u16) {
        self.tracker.user_changed(status);
    }

    /// Answers a command in the backend's place, with the next run.
    pub(super) fn answer(&mut self, sequence: u8, error: &ErrPacket) -> Result<(), End> {
        self.client.set_next_sequence(sequence.wrapping_add(1));
        Ok(self.client.queue_packet(&error.encode())?)
    }

    /// Closes both sides; each gets what was sent to it, and a last word.
    pub(super) async fn close(mut self, end: &End) {
        if end.is_ours() && self.tracker.is_between_commands() {
            self.backend.set_next_sequence(0);
            // one that is only closed counts as aborted at the server
            let _ = self.backend.queue_packet(&[Command::Quit as u8]);
        }
        let last_word = match end {
            End::Stream(StreamError::Frame(_, error)) if self.tracker.outstanding() == 0 => {
                Some((1, broken_frame(*error)))
            }
            _ => end.last_word(),
        };
        if let Some((sequence, error)) = last_word {
            self.client.set_next_sequence(sequence);
            // it is closed next, either way
            let _ = self.client.queue_packet(&error.encode());
        }
        tokio::join!(self.client.close(), self.backend.close());
    }

    fn poll(&mut self, cx: &mut Context<'_>, buffers: &mut Buffers) -> Poll<Event> {
        // a command that comes when the session is to end is not forwarded
        if self.is_to_end(cx) {
            return Poll::Ready(Event::BetweenTransactions);
        }
        loop {
            let from_backend = self.poll_backend(cx, buffers);
            if let Poll::Ready(Err(end)) = from_backend {
                return Poll::Ready(Event::End(end));
            }
            let from_client = self.poll_client(cx, buffers);
            if let Poll::Ready(Err(end)) = from_client {
                return Poll::Ready(Event::End(end));
            }
            if let Some(event) = self.due(cx) {
                return Poll::Ready(event);
            }
            if from_backend.is_pending() && from_client.is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Backend to client, once.
    fn poll_backend(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &mut Buffers,
    ) -> Poll<Result<(), End>> {
        ready!(self.client.poll_flush(cx))?;
        let bytes = ready!(self.backend.poll_receive(cx, buffers))?;
        if bytes.is_empty() {
            return Poll::Ready(Err(End::BackendClosed));
        }
        if self.tracker.response_begins() {
            self.client.answer();
        }
        let error_sequence = self.tracker.error_sequence();
        let then = self
            .tracker
            .backend_bytes(bytes)
            .map_err(|violation| End::Violation {
                violation,
                error_sequence,
            })?;
        self.client.poll_send(cx, bytes)?;
        self.live.relayed.from_backend.add(bytes.len() as u64);
        if self.tracker.outstanding() == 0
            && let Some(since) = self.waits_since.take()
        {
            self.live.relayed.command_times.observe(since.elapsed());
        }
        Poll::Ready(match then {
            BackendThen::ReadMore => Ok(()),
            BackendThen::Unasked { error_code } => Err(End::BackendEnded(error_code)),
        })
    }

    /// Client to backend, once.
    fn poll_client(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &mut Buffers,
    ) -> Poll<Result<(), End>> {
        if self.waiting == Some(ClientThen::Full) && self.tracker.takes_commands() {
            self.waiting = None;
        }
        if self.waiting.is_some() {
            return self.poll_behind_held(cx, buffers);
        }
        ready!(self.backend.poll_flush(cx))?;
        if self.held_is_news {
            self.held_is_news = false;
        } else {
            let bytes = ready!(self.client.poll_receive(cx, buffers))?;
            if bytes.is_empty() {
                return Poll::Ready(Err(End::ClientClosed));
            }
            if self.held.is_empty() {
                number(&self.tracker, &mut self.client, bytes);
                let (consumed, then) = forward(&mut self.tracker, &mut self.backend, cx, bytes)?;
                self.has_forwarded(consumed);
                self.held.extend_from_slice(&bytes[consumed..]);
                self.follow(then);
                return Poll::Ready(Ok(()));
            }
            self.held.extend_from_slice(bytes);
        }
        number(&self.tracker, &mut self.client, &mut self.held);
        let (consumed, then) = forward(&mut self.tracker, &mut self.backend, cx, &self.held)?;
        self.has_forwarded(consumed);
        self.held.drain(..consumed);
        if self.held.is_empty() {
            self.held = Vec::new();
        }
        self.follow(then);
        Poll::Ready(Ok(()))
    }

    /// Counts what came from the client. One who pipelines is timed from its first command to the last response: to time
    /// each command would take a clock for each, and nearly nobody does.
    fn has_forwarded(&mut self, bytes: usize) {
        let relayed = &self.live.relayed;
        relayed.from_client.add(bytes as u64);
        relayed.commands.reach(self.tracker.forwarded_so_far());
        if self.waits_since.is_none() && self.tracker.outstanding() > 0 {
            self.waits_since = Some(Instant::now());
        }
    }

    /// While a command is held back, the client's end must still be seen.
    fn poll_behind_held(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &mut Buffers,
    ) -> Poll<Result<(), End>> {
        if self.held.len() >= HELD_BYTES {
            return Poll::Pending;
        }
        let bytes = ready!(self.client.poll_receive(cx, buffers))?;
        if bytes.is_empty() {
            return Poll::Ready(Err(End::ClientClosed));
        }
        self.held.extend_from_slice(bytes);
        Poll::Ready(Ok(()))
    }

    fn follow(&mut self, then: ClientThen) {
        if then != ClientThen::ReadMore {
            self.waiting = Some(then);
            self.held_is_news = !self.held.is_empty();
        }
    }

    /// What the session must deal with now.
    fn due(&mut self, cx: &mut Context<'_>) -> Option<Event> {
        if self.tracker.has_spent_leave() {
            return Some(Event::Answered);
        }
        // a client that reads none of its answers gets no more of them
        let mut may_answer =
            || self.tracker.outstanding() == 0 && self.client.poll_flush(cx).is_ready();
        match self.waiting {
            Some(ClientThen::ChangeUser) if may_answer() => {
                self.waiting = None;
                return Some(Event::ChangeUser);
            }
            Some(ClientThen::Read) => {
                self.waiting = None;
                return Some(Event::Read);
            }
            Some(ClientThen::Refuse { command, sequence }) if may_answer() => {
                self.waiting = None;
                return Some(Event::Refuse { command, sequence });
            }
            // what it asked for before still belongs to the client
            Some(ClientThen::Quit) if may_answer() => {
                return Some(Event::End(End::Quit));
            }
            _ => {}
        }
        self.is_to_end(cx).then_some(Event::BetweenTransactions)
    }

    /// Whether nothing would be lost now, of what has come for the client neither.
    fn is_to_end(&mut self, cx: &mut Context<'_>) -> bool {
        self.ends_between_transactions
            && self.held.is_empty()
            && self.tracker.is_between_transactions()
            && self.client.poll_flush(cx).is_ready()
    }
}

/// Numbers what came in compressed frames within a response, and what answers it.
fn number(tracker: &Tracker, client: &mut Stream, bytes: &mut [u8]) {
    if client.is_compressed() && tracker.is_clients_turn() {
        client.answer();
        tracker.number_file(bytes);
    }
}

/// Sends the client's bytes as far as they are to be forwarded; says how many are done with and what follows.
fn forward(
    tracker: &mut Tracker,
    backend: &mut Stream,
    cx: &mut Context<'_>,
    bytes: &[u8],
) -> Result<(usize, ClientThen), End> {
    let verdict = tracker
        .client_bytes(bytes)
        .map_err(|violation| End::Violation {
            violation,
            error_sequence: (tracker.outstanding() == 0).then_some(match violation {
                Violation::Sequence { got, .. } => got.wrapping_add(1),
                _ => 1,
            }),
        })?;
    if verdict.forward > 0 {
        backend.poll_send(cx, &bytes[..verdict.forward])?;
    }
    Ok((verdict.forward + verdict.skip, verdict.then))
}
