//! A connection that speaks in packets: over TCP or a Unix socket, in plaintext or under TLS, in either role.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, ServerConfig, ServerConnection, StreamOwned,
};

use super::frames::{Frames, Method};
use super::packet::{LARGEST_PAYLOAD, Packet, packet};

/// How long any read or wait may take before a test fails; long, because test machines are busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Where bytes go: TCP or a Unix socket.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// A TCP socket that sends each write at once and gives up reading after [`PATIENCE`].
    pub(crate) fn tcp(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self::Tcp(stream))
    }

    /// The same for a Unix socket.
    pub(crate) fn unix(stream: UnixStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self::Unix(stream))
    }

    fn set_write_timeout(&self, time: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_write_timeout(Some(time)),
            Self::Unix(stream) => stream.set_write_timeout(Some(time)),
        }
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(how),
            Self::Unix(stream) => stream.shutdown(how),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection, in plaintext or under TLS in either role.
enum Stream {
    Plain(Socket),
    TlsClient(Box<StreamOwned<ClientConnection, Socket>>),
    TlsServer(Box<StreamOwned<ServerConnection, Socket>>),
    /// Only while TLS starts, or after it failed to.
    Gone,
}

/// What a TLS server knows of its peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsPeer {
    /// DER.
    pub(crate) certificate: Option<Vec<u8>>,
    /// Whether the session was an old one.
    pub(crate) resumed: bool,
}

/// What bytes travel in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Plaintext,
    Tls,
    UnixSocket,
}

impl Transport {
    pub(crate) const ALL: [Self; 3] = [Self::Plaintext, Self::Tls, Self::UnixSocket];
}

/// How a connection came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// EOF, after a `close_notify` if there was TLS.
    Clean,
    /// EOF under TLS without `close_notify`.
    Truncated,
    /// A TCP reset.
    Reset,
}

/// A connection that speaks in packets, in compressed frames or not.
pub(crate) struct Wire(Stream, Option<Frames>);

impl fmt::Debug for Wire {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Wire")
    }
}

impl Wire {
    pub(crate) fn new(socket: Socket) -> Self {
        Self(Stream::Plain(socket), None)
    }

    /// From here on packets travel in frames.
    pub(crate) fn compress(&mut self, method: Method) {
        self.1 = Some(Frames::new(method));
    }

    /// The frames of a connection that is compressed.
    pub(crate) fn frames(&mut self) -> &mut Frames {
        self.1.as_mut().expect("a compressed connection")
    }

    /// The next frame begins a command.
    pub(crate) fn begin_command(&mut self) {
        if let Some(frames) = &mut self.1 {
            frames.sequence = 0;
        }
    }

    /// Sends frames, or pieces of them, with headers of their own.
    pub(crate) fn write_frames(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    pub(crate) fn read_packet(&mut self) -> io::Result<Packet> {
        let mut header = [0; 4];
        self.read_exact(&mut header)?;
        let length = u32::from_le_bytes([header[0], header[1], header[2], 0]);
        let mut payload = vec![0; usize::try_from(length).expect("24 bits")];
        self.read_exact(&mut payload)?;
        Ok(Packet {
            sequence: header[3],
            payload,
        })
    }

    /// A PROXY header of version 2: 16 bytes, of which the last two say how many follow.
    pub(crate) fn read_proxy_header(&mut self) -> io::Result<Vec<u8>> {
        let mut header = vec![0; 16];
        self.read_exact(&mut header)?;
        let length = u16::from_be_bytes([header[14], header[15]]);
        let mut rest = vec![0; length.into()];
        self.read_exact(&mut rest)?;
        header.extend(rest);
        Ok(header)
    }

    /// Reads a message of any length; the sequence number is its first packet's.
    pub(crate) fn read_message(&mut self) -> io::Result<Packet> {
        let mut whole = self.read_packet()?;
        let mut last = whole.payload.len();
        while last == LARGEST_PAYLOAD {
            let next = self.read_packet()?;
            last = next.payload.len();
            whole.payload.extend(next.payload);
        }
        Ok(whole)
    }

    pub(crate) fn write_packet(&mut self, sequence: u8, payload: &[u8]) -> io::Result<()> {
        self.write_all(&packet(sequence, payload))
    }

    /// Reads and drops whatever still comes, and says how it ended.
    pub(crate) fn read_end(&mut self) -> io::Result<End> {
        let mut buffer = [0; 4096];
        loop {
            match self.read(&mut buffer) {
                Ok(0) => return Ok(End::Clean),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    return Ok(End::Truncated);
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
                    ) =>
                {
                    return Ok(End::Reset);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Starts TLS as its client and finishes the handshake; `first` is sent in one write before the `ClientHello`.
    pub(crate) fn start_tls_as_client(
        &mut self,
        config: &Arc<ClientConfig>,
        first: &[u8],
    ) -> io::Result<()> {
        let name = ServerName::try_from("localhost").expect("a valid name");
        let mut tls = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        let mut hello = first.to_vec();
        tls.write_tls(&mut hello)?;
        self.write_all(&hello)?;
        let mut socket = self.take_socket()?;
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)?;
        }
        self.0 = Stream::TlsClient(Box::new(StreamOwned::new(tls, socket)));
        Ok(())
    }

    /// Starts TLS as its server and finishes the handshake.
    pub(crate) fn start_tls_as_server(
        &mut self,
        config: &Arc<ServerConfig>,
    ) -> io::Result<TlsPeer> {
        let mut socket = self.take_socket()?;
        let mut tls = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)?;
        }
        let peer = TlsPeer {
            certificate: tls
                .peer_certificates()
                .and_then(<[_]>::first)
                .map(|leaf| leaf.to_vec()),
            resumed: tls.handshake_kind() == Some(HandshakeKind::Resumed),
        };
        self.0 = Stream::TlsServer(Box::new(StreamOwned::new(tls, socket)));
        Ok(peer)
    }

    fn take_socket(&mut self) -> io::Result<Socket> {
        match std::mem::replace(&mut self.0, Stream::Gone) {
            Stream::Plain(socket) => Ok(socket),
            _ => Err(io::Error::other("TLS inside TLS")),
        }
    }

    /// The TLS version and cipher in use; `None` in plaintext.
    pub(crate) fn tls(&self) -> Option<(rustls::ProtocolVersion, rustls::CipherSuite)> {
        let Stream::TlsClient(stream) = &self.0 else {
            return None;
        };
        Some((
            stream.conn.protocol_version()?,
            stream.conn.negotiated_cipher_suite()?.suite(),
        ))
    }

    /// What the bytes travel in.
    /// The certificate that the server has shown to this client.
    pub(crate) fn server_certificate(&self) -> Option<&[u8]> {
        match &self.0 {
            Stream::TlsClient(stream) => Some(stream.conn.peer_certificates()?.first()?.as_ref()),
            Stream::Plain(_) | Stream::TlsServer(_) | Stream::Gone => None,
        }
    }

    pub(crate) fn transport(&self) -> Transport {
        match &self.0 {
            Stream::Plain(Socket::Unix(_)) => Transport::UnixSocket,
            Stream::Plain(Socket::Tcp(_)) | Stream::Gone => Transport::Plaintext,
            Stream::TlsClient(_) | Stream::TlsServer(_) => Transport::Tls,
        }
    }

    /// TLS 1.3: asks for new keys both ways.
    pub(crate) fn refresh_keys(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Stream::TlsClient(tls) => tls.conn.refresh_traffic_keys(),
            Stream::TlsServer(tls) => tls.conn.refresh_traffic_keys(),
            Stream::Plain(_) | Stream::Gone => return Err(io::Error::other("no TLS")),
        }
        .map_err(io::Error::other)
    }

    /// Whether the TLS session was resumed.
    pub(crate) fn tls_resumed(&self) -> bool {
        matches!(&self.0, Stream::TlsClient(stream) if stream.conn.handshake_kind() == Some(HandshakeKind::Resumed))
    }

    /// Our own port, of a TCP connection.
    pub(crate) fn local_port(&self) -> u16 {
        match self.socket().expect("a connection") {
            Socket::Tcp(stream) => stream.local_addr().expect("an address").port(),
            Socket::Unix(_) => panic!("a Unix socket has no port"),
        }
    }

    /// How long a write may take from now on; it is not meant to succeed.
    pub(crate) fn set_write_patience(&self, time: Duration) {
        self.socket()
            .and_then(|socket| socket.set_write_timeout(time))
            .expect("set a timeout");
    }

    /// Makes its close a TCP reset, which overtakes what was sent and not yet read.
    pub(crate) fn reset_on_close(&self) {
        match self.socket().expect("a connection") {
            Socket::Tcp(stream) => socket2::SockRef::from(stream)
                .set_linger(Some(Duration::ZERO))
                .expect("set a socket option"),
            Socket::Unix(_) => panic!("a Unix socket knows no reset"),
        }
    }

    /// Says that no more bytes will come, and leaves the other direction open.
    pub(crate) fn finish_writing(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Stream::TlsClient(stream) => {
                stream.conn.send_close_notify();
                stream.flush()?;
            }
            Stream::TlsServer(stream) => {
                stream.conn.send_close_notify();
                stream.flush()?;
            }
            Stream::Plain(_) | Stream::Gone => {}
        }
        self.socket()?.shutdown(Shutdown::Write)
    }

    fn socket(&self) -> io::Result<&Socket> {
        match &self.0 {
            Stream::Plain(socket) => Ok(socket),
            Stream::TlsClient(stream) => Ok(&stream.sock),
            Stream::TlsServer(stream) => Ok(&stream.sock),
            Stream::Gone => Err(ErrorKind::NotConnected.into()),
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(frames) = &mut self.1 else {
            return self.0.read(buffer);
        };
        if frames.unread.is_empty() {
            frames.fill(&mut self.0)?;
        }
        let count = frames.unread.len().min(buffer.len());
        buffer[..count].copy_from_slice(&frames.unread[..count]);
        frames.unread.drain(..count);
        Ok(count)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(frames) = &mut self.1 else {
            return self.0.write(bytes);
        };
        self.0.write_all(&frames.pack(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::TlsClient(stream) => stream.read(buffer),
            Self::TlsServer(stream) => stream.read(buffer),
            Self::Gone => Err(ErrorKind::NotConnected.into()),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::TlsClient(stream) => stream.write(bytes),
            Self::TlsServer(stream) => stream.write(bytes),
            Self::Gone => Err(ErrorKind::NotConnected.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::TlsClient(stream) => stream.flush(),
            Self::TlsServer(stream) => stream.flush(),
            Self::Gone => Err(ErrorKind::NotConnected.into()),
        }
    }
}
