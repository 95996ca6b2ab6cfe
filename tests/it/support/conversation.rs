//! One connection of the scripted backend: what scripts are written with, and the record of what it saw.

use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::backend::Server;
use super::handshake::{ChangeUser, Login};
use super::packet::{
    COLUMN, EOF, Packet, err, flag, message, ok, ok_as_end, one_value, packet, text_row,
};
use super::wire::{End, Socket, TlsPeer, Transport, Wire};

/// What a backend saw of one connection, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// Accepted.
    Dialled,
    /// A PROXY header, of whatever length it says.
    ProxyHeader(Vec<u8>),
    /// The 32 bytes of an `SSLRequest`.
    SslRequest(Vec<u8>),
    /// TLS is up.
    Tls(TlsPeer),
    /// The login packet.
    Login(Login),
    /// A packet of the peer after the login packet and before our OK or ERR.
    AuthPacket(Vec<u8>),
    /// We sent OK.
    LoggedIn,
    /// A command.
    Command(Packet),
    /// A `COM_CHANGE_USER`.
    ChangeUser(ChangeUser),
    /// The connection is over, and how.
    Closed(End),
    /// The connection is over: it went otherwise than the script says.
    Failed(String),
}

impl Event {
    /// The login packet, if it is one.
    pub(super) fn login(&self) -> Option<&Login> {
        match self {
            Self::Login(login) => Some(login),
            _ => None,
        }
    }
}

/// What a command script did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It answered.
    Done,
    /// The ordinary answer is wanted.
    Ordinary,
    /// The connection is to be closed.
    Close,
}

/// A command script that knows about transactions.
pub(crate) fn transactional(
    conversation: &mut Conversation,
    command: &Packet,
) -> io::Result<Answer> {
    const IN_TRANSACTION: u16 = 1;
    match &command.payload[..] {
        b"\x03BEGIN" => conversation.send(&ok(2 | IN_TRANSACTION))?,
        b"\x03COMMIT" => conversation.send(&ok(2))?,
        _ => return Ok(Answer::Ordinary),
    }
    Ok(Answer::Done)
}

/// The events of every connection so far.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) connections: Mutex<Vec<Vec<Event>>>,
    pub(super) changed: Condvar,
}

impl Record {
    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<Vec<Event>>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self) -> usize {
        let mut connections = self.lock();
        connections.push(vec![Event::Dialled]);
        self.changed.notify_all();
        connections.len() - 1
    }

    pub(super) fn add(&self, connection: usize, event: Event) {
        self.lock()[connection].push(event);
        self.changed.notify_all();
    }
}

/// One connection, seen from the server.
pub(crate) struct Conversation {
    wire: Wire,
    /// The number of the packet that is to be sent next.
    sequence: u8,
    login: Option<Login>,
    /// Which connection this is, from 0.
    pub(crate) number: usize,
    record: Arc<Record>,
}

impl fmt::Debug for Conversation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Conversation")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl Conversation {
    /// Plays the server's part on a new connection, from its greeting to its end.
    pub(super) fn hold(socket: Socket, server: &Server, number: usize, record: Arc<Record>) {
        let mut conversation = Self {
            wire: Wire::new(socket),
            sequence: 0,
            login: None,
            number,
            record,
        };
        let event = match conversation.play(server) {
            Ok(end) => Event::Closed(end),
            Err(error) => Event::Failed(error.to_string()),
        };
        // The peer must see the end of the connection before the test reads that it ended.
        let Self { wire, record, .. } = conversation;
        drop(wire);
        record.add(number, event);
    }

    fn play(&mut self, server: &Server) -> io::Result<End> {
        let Some(greeting) = &server.greeting else {
            return Ok(End::Clean);
        };
        if let Some(bytes) = server.resets_after {
            self.reset_on_close();
            self.send_raw(&packet(0, greeting)[..bytes])?;
            return Ok(End::Reset);
        }
        let header = match &server.proxy_header {
            Some(_) => self.wire.read_proxy_header()?,
            None => Vec::new(),
        };
        if !header.is_empty() {
            self.note(Event::ProxyHeader(header.clone()));
        }
        self.send(greeting)?;
        let Some(first) = self.read_or_end()? else {
            return Ok(End::Clean);
        };
        let refusal = server
            .proxy_header
            .as_ref()
            .and_then(|refuse| refuse(&header));
        if let Some(refusal) = refusal {
            self.wire.write_packet(1, &refusal)?;
            return self.wire.read_end();
        }
        let login = if first.payload.len() == 32 {
            self.note(Event::SslRequest(first.payload));
            let Some(tls) = &server.tls else {
                return Err(io::Error::other("SSLRequest to a server without TLS"));
            };
            let peer = self.wire.start_tls_as_server(tls)?;
            self.note(Event::Tls(peer));
            match self.read_or_end()? {
                Some(login) => login,
                None => return Ok(End::Clean),
            }
        } else {
            first
        };
        let login = Login::parse(&login.payload)
            .ok_or_else(|| io::Error::other("a login that cannot be read"))?;
        self.note(Event::Login(login.clone()));
        self.login = Some(login);
        (server.login)(self)?;
        while let Some(command) = self.read_command()? {
            match (server.command)(self, &command)? {
                Answer::Done => {}
                Answer::Ordinary => self.answer(&command, server)?,
                Answer::Close => return Ok(End::Clean),
            }
        }
        self.wire.read_end()
    }

    fn read_command(&mut self) -> io::Result<Option<Packet>> {
        let command = match self.wire.read_message() {
            Ok(command) => command,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        };
        self.sequence = command.next_sequence();
        match ChangeUser::parse(&command.payload) {
            Some(change) => self.note(Event::ChangeUser(change)),
            None => self.note(Event::Command(command.clone())),
        }
        Ok((command.payload != [0x01]).then_some(command))
    }

    /// A server's ordinary answer: a row for a query, OK for anything else, a whole login for `COM_CHANGE_USER`.
    fn answer(&mut self, command: &Packet, server: &Server) -> io::Result<()> {
        match command.payload.first() {
            Some(0x03) => self.send_raw(&one_value(&command.payload[1..])),
            Some(0x11) => (server.login)(self),
            _ => self.send(&ok(2)),
        }
    }

    /// The packet that this connection logged in with.
    pub(crate) fn login(&self) -> &Login {
        self.login
            .as_ref()
            .expect("scripts run after the login packet")
    }

    /// Sends one packet with the next sequence number.
    pub(crate) fn send(&mut self, payload: &[u8]) -> io::Result<()> {
        self.wire.write_packet(self.sequence, payload)?;
        self.sequence = self.sequence.wrapping_add(1);
        Ok(())
    }

    /// Sends a message of any length with the next sequence numbers.
    pub(crate) fn send_message(&mut self, payload: &[u8]) -> io::Result<()> {
        let sent = Packet {
            sequence: self.sequence,
            payload: payload.to_vec(),
        };
        self.send_raw(&message(sent.sequence, payload))?;
        self.sequence = sent.next_sequence();
        Ok(())
    }

    /// Sends a text result set with one row, in the form that the login asked for.
    pub(crate) fn send_row(&mut self, values: &[Option<&[u8]>]) -> io::Result<()> {
        let deprecate_eof = self.login().flags & flag::DEPRECATE_EOF != 0;
        self.send(&[u8::try_from(values.len()).expect("few columns")])?;
        for _ in values {
            self.send(COLUMN)?;
        }
        if !deprecate_eof {
            self.send(EOF)?;
        }
        self.send(&text_row(values))?;
        if deprecate_eof {
            self.send(&ok_as_end(2))
        } else {
            self.send(EOF)
        }
    }

    /// Sends bytes with headers of their own.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        io::Write::write_all(&mut self.wire, bytes)
    }

    /// What the bytes travel in.
    pub(crate) fn transport(&self) -> Transport {
        self.wire.transport()
    }

    /// The peer's next packet during a login.
    pub(crate) fn read(&mut self) -> io::Result<Vec<u8>> {
        let packet = self.wire.read_packet()?;
        if packet.sequence != self.sequence {
            return Err(io::Error::other(format!(
                "packet {} where {} was due",
                packet.sequence, self.sequence
            )));
        }
        self.sequence = packet.sequence.wrapping_add(1);
        self.note(Event::AuthPacket(packet.payload.clone()));
        Ok(packet.payload)
    }

    /// The peer's next packet of whatever kind, not written down.
    pub(crate) fn read_raw(&mut self) -> io::Result<Packet> {
        let packet = self.wire.read_packet()?;
        self.sequence = packet.sequence.wrapping_add(1);
        Ok(packet)
    }

    fn read_or_end(&mut self) -> io::Result<Option<Packet>> {
        match self.wire.read_packet() {
            Ok(packet) => {
                self.sequence = packet.sequence.wrapping_add(1);
                Ok(Some(packet))
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// [`AuthSwitchRequest`](https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_auth_switch_request.html).
    pub(crate) fn switch(&mut self, plugin: &str, data: &[u8]) -> io::Result<()> {
        let mut payload = vec![0xfe];
        payload.extend(plugin.bytes());
        payload.push(0);
        payload.extend(data);
        self.send(&payload)
    }

    /// `AuthMoreData`.
    pub(crate) fn more(&mut self, data: &[u8]) -> io::Result<()> {
        self.send(&[&[0x01], data].concat())
    }

    /// Ends a login well.
    pub(crate) fn welcome(&mut self) -> io::Result<()> {
        self.note(Event::LoggedIn);
        self.send(&ok(2))
    }

    /// Ends a login badly, as MySQL says it.
    pub(crate) fn refuse(&mut self) -> io::Result<()> {
        self.send(&err(1045, "28000", "Access denied for user"))
    }

    /// TLS 1.3: asks for new keys both ways.
    pub(crate) fn refresh_keys(&mut self) -> io::Result<()> {
        self.wire.refresh_keys()
    }

    /// Makes the end of the connection a TCP reset.
    pub(crate) fn reset_on_close(&self) {
        self.wire.reset_on_close();
    }

    /// Waits for the peer to close, and says how it did.
    pub(crate) fn read_end(&mut self) -> io::Result<End> {
        self.wire.read_end()
    }

    /// Writes an event down.
    pub(crate) fn note(&self, event: Event) {
        self.record.add(self.number, event);
    }
}
