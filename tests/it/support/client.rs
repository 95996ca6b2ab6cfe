//! A raw client: every step by itself, so that a test can stop, split or garble any of them.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use socket2::{Domain, Type};

use super::handshake::{Greeting, Login};
use super::packet::{ErrorPacket, Packet, flag, message, packet};
use super::plugin::ClientPlugin;
use super::wire::{End, Socket, Wire};

/// A connection to mytls. Methods panic where the connection does not do what they are named after.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) wire: Wire,
    /// The number of the packet that comes next, from whichever side.
    pub(crate) sequence: u8,
}

impl Client {
    /// Connected; nothing read.
    #[track_caller]
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::connected(TcpStream::connect(address).expect("connect to mytls"))
    }

    /// Over a connection that somebody else has made.
    #[track_caller]
    pub(crate) fn connected(stream: TcpStream) -> Self {
        Self::over(Socket::tcp(stream).expect("set socket options"))
    }

    /// Connected from this address; nothing read.
    #[track_caller]
    pub(crate) fn connect_from(from: [u8; 4], to: SocketAddr) -> Self {
        let socket = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let from = SocketAddr::from((from, 0));
        socket.bind(&from.into()).expect("bind an address");
        socket.connect(&to.into()).expect("connect to mytls");
        Self::over(Socket::tcp(socket.into()).expect("set socket options"))
    }

    /// Connected, and greeted.
    #[track_caller]
    pub(crate) fn greeted(address: SocketAddr) -> Self {
        let mut client = Self::connect(address);
        client.greeting();
        client
    }

    /// Connected to a Unix socket; nothing read.
    #[track_caller]
    pub(crate) fn connect_unix(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("connect to mytls' socket");
        Self::over(Socket::unix(stream).expect("set socket options"))
    }

    fn over(socket: Socket) -> Self {
        Self {
            wire: Wire::new(socket),
            sequence: 0,
        }
    }

    #[track_caller]
    pub(crate) fn greeting(&mut self) -> Greeting {
        let first = self.read();
        Greeting::parse(&first.payload)
            .unwrap_or_else(|| panic!("no greeting but {:?}", first.error()))
    }

    /// `SSLRequest` and a whole TLS handshake.
    #[track_caller]
    pub(crate) fn start_tls(&mut self, login: &Login, tls: &Arc<ClientConfig>) {
        let request = packet(self.sequence, &ssl_request(login));
        self.wire
            .start_tls_as_client(tls, &request)
            .expect("start TLS");
        self.sequence += 1;
    }

    /// Sends the login packet; its SSL flag is set under TLS.
    #[track_caller]
    pub(crate) fn send_login(&mut self, login: &Login) {
        let ssl = if self.wire.tls().is_some() {
            flag::SSL
        } else {
            0
        };
        self.send(&login.clone().with_flags(ssl, 0).payload());
    }

    /// Answers the server's plugins until its OK or ERR, which it gives.
    #[track_caller]
    pub(crate) fn authenticate(&mut self, mut plugin: ClientPlugin) -> Packet {
        loop {
            let packet = self.read();
            if packet.is_ok() || packet.error().is_some() {
                return packet;
            }
            if let Some(answer) = plugin.answer(&packet.payload, self.wire.transport()) {
                self.send(&answer);
            }
        }
    }

    /// A whole login in plaintext that succeeds.
    #[track_caller]
    pub(crate) fn logged_in(address: SocketAddr, login: &Login) -> Self {
        let mut client = Self::greeted(address);
        client.send_login(login);
        client.welcomed();
        client
    }

    /// A whole login under TLS that succeeds.
    #[track_caller]
    pub(crate) fn logged_in_over_tls(
        address: SocketAddr,
        login: &Login,
        tls: &Arc<ClientConfig>,
    ) -> Self {
        let mut client = Self::greeted(address);
        client.start_tls(login, tls);
        client.send_login(login);
        client.welcomed();
        client
    }

    /// A whole login that may be refused, or broken off at any step.
    pub(crate) fn try_to_log_in(
        address: SocketAddr,
        login: &Login,
        tls: Option<&Arc<ClientConfig>>,
    ) -> io::Result<Result<Self, ErrorPacket>> {
        let mut wire = Wire::new(Socket::tcp(TcpStream::connect(address)?)?);
        let mut last = wire.read_packet()?;
        if let Some(error) = last.error() {
            return Ok(Err(error));
        }
        let mut added = 0;
        if let Some(tls) = tls {
            wire.start_tls_as_client(tls, &packet(1, &ssl_request(login)))?;
            (added, last.sequence) = (flag::SSL, 1);
        }
        let first = login.clone().with_flags(added, 0).payload();
        wire.write_packet(last.next_sequence(), &first)?;
        let mut plugin = ClientPlugin::with_password();
        loop {
            last = wire.read_packet()?;
            if let Some(error) = last.error() {
                return Ok(Err(error));
            }
            if last.is_ok() {
                return Ok(Ok(Self { wire, sequence: 0 }));
            }
            if let Some(answer) = plugin.answer(&last.payload, wire.transport()) {
                wire.write_packet(last.next_sequence(), &answer)?;
            }
        }
    }

    #[track_caller]
    fn welcomed(&mut self) {
        let last = self.authenticate(ClientPlugin::with_password());
        assert!(last.is_ok(), "refused with {:?}", last.error());
        self.sequence = 0;
    }

    /// Sends one packet with the next sequence number.
    #[track_caller]
    pub(crate) fn send(&mut self, payload: &[u8]) {
        self.wire
            .write_packet(self.sequence, payload)
            .expect("send a packet");
        self.sequence = self.sequence.wrapping_add(1);
    }

    /// Sends a command of any length.
    #[track_caller]
    pub(crate) fn command(&mut self, payload: &[u8]) {
        self.wire.begin_command();
        self.send_raw(&message(0, payload));
        let sent = Packet {
            sequence: 0,
            payload: payload.to_vec(),
        };
        self.sequence = sent.next_sequence();
    }

    /// `COM_QUERY`.
    #[track_caller]
    pub(crate) fn query(&mut self, sql: &str) {
        self.command(&[&[0x03], sql.as_bytes()].concat());
    }

    /// Sends bytes with headers of their own.
    #[track_caller]
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        self.wire.write_all(bytes).expect("send bytes");
    }

    /// The next packet, which must have the next sequence number.
    #[track_caller]
    pub(crate) fn read(&mut self) -> Packet {
        let packet = self.wire.read_packet().expect("read a packet");
        assert_eq!(
            packet.sequence, self.sequence,
            "wrong sequence number of {packet:?}"
        );
        self.sequence = self.sequence.wrapping_add(1);
        packet
    }

    /// A number of packets that start a new answer.
    #[track_caller]
    pub(crate) fn read_answer(&mut self, packets: u8) -> Vec<Packet> {
        self.sequence = 1;
        (0..packets).map(|_| self.read()).collect()
    }

    /// The whole answer to [`Client::query`], as the ordinary backend gives it: that very text in one row.
    #[track_caller]
    pub(crate) fn expect_echo(&mut self, sql: &str) {
        let rows = self.read_answer(4);
        let value = super::packet::length_encoded_bytes(sql.as_bytes());
        assert_eq!(rows[2].payload, value, "the row does not hold the query");
    }

    /// The next packet is an ERR.
    #[track_caller]
    pub(crate) fn error(&mut self) -> ErrorPacket {
        let packet = self.read();
        packet
            .error()
            .unwrap_or_else(|| panic!("no ERR but {packet:?}"))
    }

    /// The next packet is the ERR 1045 with which servers deny a user a login.
    #[track_caller]
    pub(crate) fn expect_access_denied(&mut self, sequence: u8, user: &str) {
        let error = self.error();
        assert_eq!(
            (error.sequence, error.code_and_state()),
            (sequence, (1045, "28000"))
        );
        assert_eq!(
            error.message,
            format!("Access denied for user '{user}'@'127.0.0.1' (using password: YES)")
        );
    }

    /// Nothing more comes, and the end is clean.
    #[track_caller]
    pub(crate) fn expect_clean_end(&mut self) {
        let mut byte = [0];
        let read = self.wire.read(&mut byte).expect("an end and not a break");
        assert_eq!(read, 0, "a byte where the end was due: {byte:?}");
    }

    /// The connection ends in whatever way; bytes before that are dropped.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) -> End {
        self.wire.read_end().expect("an end")
    }
}

/// The 32 bytes that ask for TLS.
pub(crate) fn ssl_request(login: &Login) -> Vec<u8> {
    login.clone().with_flags(flag::SSL, 0).head()
}
