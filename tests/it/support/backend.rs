//! A scripted backend: a thread for each connection that plays a server's part and writes down all that it saw.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustls::ServerConfig;

use super::handshake::{ChangeUser, Greeting, Login};
use super::plugin::Plugin;
use super::wire::{
    End, PATIENCE, Packet, Socket, TlsPeer, Wire, err, flag, message, ok, one_value,
};

/// What a backend saw of one connection, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// Accepted.
    Dialled,
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

type Script = dyn Fn(&mut Conversation) -> io::Result<()> + Send + Sync;
type CommandScript = dyn Fn(&mut Conversation, &Packet) -> io::Result<Answer> + Send + Sync;

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

/// How a server behaves; the same for every connection unless [`Backend::start_each`] says otherwise.
#[derive(Clone)]
pub(crate) struct Server {
    /// The first packet; without one the connection is closed.
    greeting: Option<Vec<u8>>,
    tls: Option<Arc<ServerConfig>>,
    login: Arc<Script>,
    command: Arc<CommandScript>,
}

impl Server {
    /// A server that greets thus, without TLS, and lets everybody in with [`Plugin::Native`].
    pub(crate) fn greeting(greeting: &Greeting) -> Self {
        let plain = Greeting {
            capabilities: greeting.capabilities & !flag::SSL,
            ..greeting.clone()
        };
        Self::first_packet(plain.payload())
    }

    pub(crate) fn mysql() -> Self {
        Self::greeting(&Greeting::mysql())
    }

    /// A server that closes every connection at once.
    pub(crate) fn hanging_up() -> Self {
        Self {
            greeting: None,
            ..Self::mysql()
        }
    }

    /// A server whose first packet is this, whatever it is.
    pub(crate) fn first_packet(payload: Vec<u8>) -> Self {
        Self {
            greeting: Some(payload),
            tls: None,
            login: Arc::new(|conversation| Plugin::Native.serve(conversation)),
            command: Arc::new(|_, _| Ok(Answer::Ordinary)),
        }
    }

    /// The greeting offers TLS, and it is spoken when asked for.
    pub(crate) fn tls(mut self, config: Arc<ServerConfig>) -> Self {
        if let Some(greeting) = self.greeting.as_deref().and_then(Greeting::parse) {
            let with_tls = Greeting {
                capabilities: greeting.capabilities | flag::SSL,
                ..greeting
            };
            self.greeting = Some(with_tls.payload());
        }
        self.tls = Some(config);
        self
    }

    /// What follows the login packet, up to and with OK or ERR.
    pub(crate) fn on_login(
        mut self,
        script: impl Fn(&mut Conversation) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.login = Arc::new(script);
        self
    }

    pub(crate) fn plugin(self, plugin: Plugin) -> Self {
        self.on_login(move |conversation| plugin.serve(conversation))
    }

    /// What a command is answered with.
    pub(crate) fn on_command(
        mut self,
        script: impl Fn(&mut Conversation, &Packet) -> io::Result<Answer> + Send + Sync + 'static,
    ) -> Self {
        self.command = Arc::new(script);
        self
    }
}

/// The events of every connection so far.
#[derive(Debug, Default)]
struct Record {
    connections: Mutex<Vec<Vec<Event>>>,
    changed: Condvar,
}

impl Record {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Vec<Event>>> {
        self.connections
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn begin(&self) -> usize {
        let mut connections = self.lock();
        connections.push(vec![Event::Dialled]);
        self.changed.notify_all();
        connections.len() - 1
    }

    fn add(&self, connection: usize, event: Event) {
        self.lock()[connection].push(event);
        self.changed.notify_all();
    }
}

/// A listening backend. Its threads end with their connections; the listener's ends with the test binary.
#[derive(Debug)]
pub(crate) struct Backend {
    /// As it stands in a configuration: `host: …, port: …` or `socket: …`.
    pub(crate) endpoint: String,
    pub(crate) speaks_tls: bool,
    record: Arc<Record>,
    /// Keeps the port of [`Backend::silent`] open.
    _silent: Option<TcpListener>,
}

impl Backend {
    /// Every connection meets this server.
    pub(crate) fn start(server: Server) -> Self {
        Self::start_each(move |_| server.clone())
    }

    /// The connection with this number, counted from 0, meets that server. mytls itself makes number 0, at start.
    pub(crate) fn start_each(server: impl Fn(usize) -> Server + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind a backend");
        let address = listener.local_addr().expect("a bound listener's address");
        let endpoint = format!("host: {}, port: {}", address.ip(), address.port());
        let accept = move || {
            listener
                .accept()
                .and_then(|(stream, _)| Socket::tcp(stream))
        };
        Self::serve(endpoint, accept, server)
    }

    /// On a Unix socket.
    pub(crate) fn start_unix(path: &Path, server: Server) -> Self {
        let listener = UnixListener::bind(path).expect("bind a backend's socket");
        let everybody = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(path, everybody).expect("open the socket to another OS user");
        let accept = move || {
            listener
                .accept()
                .and_then(|(stream, _)| Socket::unix(stream))
        };
        Self::serve(format!("socket: {}", path.display()), accept, move |_| {
            server.clone()
        })
    }

    /// An address that nobody listens on.
    pub(crate) fn nobody() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind a port");
        let address: SocketAddr = listener.local_addr().expect("a bound listener's address");
        Self {
            endpoint: format!("host: {}, port: {}", address.ip(), address.port()),
            speaks_tls: false,
            record: Arc::default(),
            _silent: None,
        }
    }

    /// An address whose connections are never accepted, only queued by the kernel.
    pub(crate) fn silent() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind a port");
        let port = listener
            .local_addr()
            .expect("a bound listener's address")
            .port();
        Self {
            endpoint: format!("host: 127.0.0.1, port: {port}"),
            _silent: Some(listener),
            ..Self::nobody()
        }
    }

    fn serve(
        endpoint: String,
        accept: impl Fn() -> io::Result<Socket> + Send + 'static,
        server: impl Fn(usize) -> Server + Send + 'static,
    ) -> Self {
        let record = Arc::new(Record::default());
        let speaks_tls = server(0).tls.is_some();
        let backend = Self {
            endpoint,
            speaks_tls,
            record: Arc::clone(&record),
            _silent: None,
        };
        thread::spawn(move || {
            while let Ok(socket) = accept() {
                let number = record.begin();
                let server = server(number);
                let record = Arc::clone(&record);
                thread::spawn(move || {
                    let mut conversation = Conversation {
                        wire: Wire::new(socket),
                        sequence: 0,
                        login: None,
                        number,
                        record,
                    };
                    let event = match conversation.play(&server) {
                        Ok(end) => Event::Closed(end),
                        Err(error) => Event::Failed(error.to_string()),
                    };
                    // The peer must see the end of the connection before the test reads that it ended.
                    let Conversation { wire, record, .. } = conversation;
                    drop(wire);
                    record.add(number, event);
                });
            }
        });
        backend
    }

    /// How many connections were made.
    pub(crate) fn dials(&self) -> usize {
        self.record.lock().len()
    }

    /// The events of each connection so far.
    pub(crate) fn events(&self) -> Vec<Vec<Event>> {
        self.record.lock().clone()
    }

    /// Every login packet so far.
    pub(crate) fn logins(&self) -> Vec<Login> {
        self.record
            .lock()
            .iter()
            .flatten()
            .filter_map(|event| as_login(event).cloned())
            .collect()
    }

    /// The first thing that `pick` finds in the events of a connection, waited for.
    #[track_caller]
    pub(crate) fn wait_for<T>(&self, what: &str, pick: impl Fn(&[Event]) -> Option<T>) -> T {
        self.wait_for_within(PATIENCE, what, pick)
    }

    /// The same, within a time that is itself what is tested.
    #[track_caller]
    pub(crate) fn wait_for_within<T>(
        &self,
        time: Duration,
        what: &str,
        pick: impl Fn(&[Event]) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + time;
        let mut connections = self.record.lock();
        loop {
            if let Some(found) = connections.iter().find_map(|events| pick(events)) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "no {what} at the backend within {time:?}; it saw {connections:#?}"
            );
            connections = self
                .record
                .changed
                .wait_timeout(connections, left)
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .0;
        }
    }

    /// The first login packet.
    #[track_caller]
    pub(crate) fn login(&self) -> Login {
        self.wait_for("login", |events| events.iter().find_map(as_login).cloned())
    }

    /// The first connection that logged in is over, within `time`; gives all its events.
    #[track_caller]
    pub(crate) fn closed_within(&self, time: Duration) -> Vec<Event> {
        self.wait_for_within(time, "end of a connection with a login", |events| {
            let over = matches!(events.last(), Some(Event::Closed(_) | Event::Failed(_)));
            (over && events.iter().any(|event| as_login(event).is_some())).then(|| events.to_vec())
        })
    }
}

fn as_login(event: &Event) -> Option<&Login> {
    match event {
        Event::Login(login) => Some(login),
        _ => None,
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
    fn play(&mut self, server: &Server) -> io::Result<End> {
        let Some(greeting) = &server.greeting else {
            return Ok(End::Clean);
        };
        self.send(greeting)?;
        let Some(first) = self.read_or_end()? else {
            return Ok(End::Clean);
        };
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

    /// Sends bytes with headers of their own.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        io::Write::write_all(&mut self.wire, bytes)
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

    /// Waits for the peer to close, and says how it did.
    pub(crate) fn read_end(&mut self) -> io::Result<End> {
        self.wire.read_end()
    }

    /// Writes an event down.
    pub(crate) fn note(&self, event: Event) {
        self.record.add(self.number, event);
    }
}
