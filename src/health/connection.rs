//! A blocking connection with one deadline over all that is done with it.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::backend::Endpoint;

/// For one answer. Kubernetes gives a command one second by default, Docker thirty.
const PATIENCE: Duration = Duration::from_secs(3);

/// A socket with one deadline over everything that is done with it.
pub(super) struct Connection {
    socket: Socket,
    deadline: Instant,
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Connection {
    /// Dials.
    pub(super) fn open(endpoint: &Endpoint) -> io::Result<Self> {
        let deadline = Instant::now() + PATIENCE;
        let socket = match endpoint {
            Endpoint::Unix(path) => Socket::Unix(UnixStream::connect(path)?),
            Endpoint::Tcp { host, port } => {
                Socket::Tcp(dial((host.as_str(), *port).to_socket_addrs()?, deadline)?)
            }
            Endpoint::Resolved { address, .. } => Socket::Tcp(dial([*address], deadline)?),
        };
        Ok(Self { socket, deadline })
    }

    /// Never zero, which would mean "for ever".
    fn left(&self) -> io::Result<Option<Duration>> {
        left(self.deadline).map(Some)
    }
}

/// The first address that answers.
fn dial(
    addresses: impl IntoIterator<Item = SocketAddr>,
    deadline: Instant,
) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        match TcpStream::connect_timeout(&address, left(deadline)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(left)
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left()?;
        let read = match &mut self.socket {
            Socket::Tcp(tcp) => tcp.set_read_timeout(left).and_then(|()| tcp.read(buffer)),
            Socket::Unix(unix) => unix.set_read_timeout(left).and_then(|()| unix.read(buffer)),
        };
        read.map_err(in_words)
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.left()?;
        let written = match &mut self.socket {
            Socket::Tcp(tcp) => tcp.set_write_timeout(left).and_then(|()| tcp.write(bytes)),
            Socket::Unix(unix) => unix
                .set_write_timeout(left)
                .and_then(|()| unix.write(bytes)),
        };
        written.map_err(in_words)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A socket's time-out calls itself "resource temporarily unavailable".
fn in_words(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}
