//! A scripted backend: a thread for each connection that plays a server's part and writes down all that it saw.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustls::ServerConfig;

use super::conversation::{Answer, Conversation, Event, Record};
use super::handshake::{Greeting, Login};
use super::packet::{Packet, flag};
use super::plugin::Plugin;
use super::wire::{PATIENCE, Socket};

type Script = dyn Fn(&mut Conversation) -> io::Result<()> + Send + Sync;
type HeaderScript = dyn Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync;
type CommandScript = dyn Fn(&mut Conversation, &Packet) -> io::Result<Answer> + Send + Sync;

/// How a server behaves; the same for every connection unless [`Backend::start_each`] says otherwise.
#[derive(Clone)]
pub(crate) struct Server {
    /// The first packet; without one the connection is closed.
    pub(super) greeting: Option<Vec<u8>>,
    pub(super) tls: Option<Arc<ServerConfig>>,
    /// So many bytes of the greeting are sent, and then a TCP reset.
    pub(super) resets_after: Option<usize>,
    /// Connections begin with a PROXY header.
    pub(super) proxy_header: Option<Arc<HeaderScript>>,
    pub(super) login: Arc<Script>,
    pub(super) command: Arc<CommandScript>,
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
            resets_after: None,
            proxy_header: None,
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

    /// A server that sends so many bytes of its greeting, and then a TCP reset.
    pub(crate) fn resetting_after(bytes: usize) -> Self {
        Self {
            resets_after: Some(bytes),
            ..Self::mysql()
        }
    }

    /// Connections begin with a PROXY header. The packet that `refuse` gives for one is sent behind the greeting, as MySQL 9.7
    /// and MariaDB do: with sequence number 1, whatever has come meanwhile.
    pub(crate) fn behind_proxy_header(
        mut self,
        refuse: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        self.proxy_header = Some(Arc::new(refuse));
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
                thread::spawn(move || Conversation::hold(socket, &server, number, record));
            }
        });
        backend
    }

    /// Its TCP port.
    #[track_caller]
    pub(crate) fn port(&self) -> u16 {
        let (_, port) = self.endpoint.rsplit_once("port: ").expect("a TCP endpoint");
        port.parse().expect("a port")
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
            .filter_map(|event| event.login().cloned())
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
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// The first login packet.
    #[track_caller]
    pub(crate) fn login(&self) -> Login {
        self.wait_for("login", |events| {
            events.iter().find_map(Event::login).cloned()
        })
    }

    /// The first connection that logged in is over, within `time`; gives all its events.
    #[track_caller]
    pub(crate) fn closed_within(&self, time: Duration) -> Vec<Event> {
        self.wait_for_within(time, "end of a connection with a login", |events| {
            let over = matches!(events.last(), Some(Event::Closed(_) | Event::Failed(_)));
            (over && events.iter().any(|event| event.login().is_some())).then(|| events.to_vec())
        })
    }

    /// The same, and mytls broke off the authentication in a way that the server does not count: by an empty packet.
    #[track_caller]
    pub(crate) fn expect_ended_handshake_within(&self, time: Duration) {
        let events = self.closed_within(time);
        assert!(
            events.contains(&Event::AuthPacket(Vec::new())),
            "the handshake was cut: {events:#?}"
        );
    }
}
