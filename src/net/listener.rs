//! A port that clients dial: bound, and accepted from in spite of everything.

use std::fmt;
use std::io;
use std::iter;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tracing::{debug, warn};

use super::ListenAddress;
use super::socket::{KeepAlive, Socket};
use crate::rules::ClientAddress;

/// Connections that the kernel completes ahead of us.
const BACKLOG: u32 = 4096;

/// As `mysqld` makes its socket: who may connect is decided by login, not by file mode.
const SOCKET_MODE: u32 = 0o777;

/// After an accept failed, nearly always for want of descriptors or memory. Long enough for sessions to end, short enough to be
/// unnoticed; and a loop without it takes a whole core.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(100);

/// A port could not be opened.
#[derive(Debug, Error)]
#[error("listen on {address}: {source}")]
pub struct ListenError {
    address: String,
    source: io::Error,
}

impl ListenError {
    /// `source` is why.
    pub fn new(address: &ListenAddress, source: io::Error) -> Self {
        Self {
            address: address.to_string(),
            source,
        }
    }
}

/// An open port.
#[derive(Debug)]
pub enum Listener {
    /// A TCP port.
    Tcp(TcpListener, Keeper),
    /// A Unix socket; its file is removed with it.
    Unix(UnixListener, SocketFile),
}

/// Whose a port is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeper {
    /// It closes with us.
    Ours,
    /// Whoever has handed it down keeps it open, and the clients in its queue for the next of us.
    Handed,
}

/// A socket's file.
#[derive(Debug)]
pub enum SocketFile {
    /// Removed when the port closes.
    Ours(PathBuf),
    /// Of whoever has handed the socket down.
    Handed(PathBuf),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Self::Ours(path) = self
            && let Err(error) = std::fs::remove_file(&path)
        {
            warn!(path = %path.display(), %error, "remove socket file");
        }
    }
}

/// A port that was opened for us, and handed down.
#[derive(Debug)]
pub enum Handed {
    /// A TCP port.
    Tcp(std::net::TcpListener),
    /// A Unix socket.
    Unix(std::os::unix::net::UnixListener),
}

impl Handed {
    /// Where it listens.
    pub fn address(&self) -> io::Result<ListenAddress> {
        Ok(match self {
            Self::Tcp(tcp) => ListenAddress::Tcp(tcp.local_addr()?),
            Self::Unix(unix) => ListenAddress::Unix(path_of(unix)?),
        })
    }
}

impl Listener {
    /// Opens a port.
    pub fn bind(address: &ListenAddress) -> Result<Self, ListenError> {
        match address {
            ListenAddress::Tcp(tcp) => bind_tcp(*tcp),
            ListenAddress::Unix(path) => bind_unix(path),
        }
        .map_err(|source| ListenError::new(address, source))
    }

    /// Takes a port that was handed down.
    pub fn of(handed: Handed) -> io::Result<Self> {
        Ok(match handed {
            Handed::Tcp(tcp) => {
                tcp.set_nonblocking(true)?;
                Self::Tcp(TcpListener::from_std(tcp)?, Keeper::Handed)
            }
            Handed::Unix(unix) => {
                unix.set_nonblocking(true)?;
                let file = SocketFile::Handed(path_of(&unix)?);
                Self::Unix(UnixListener::from_std(unix)?, file)
            }
        })
    }

    /// The TCP address with the port that was really opened.
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener, _) => listener.local_addr().ok(),
            Self::Unix(..) => None,
        }
    }

    /// Waits for the next client, whose connection is kept alive so. Failures are logged and waited out: one client's bad luck is nobody else's.
    ///
    /// Cancel safe.
    pub async fn accept(&self, keep_alive: KeepAlive) -> (Socket, ClientAddress) {
        let mut is_told = false;
        loop {
            match self.accept_once(keep_alive).await {
                Ok(client) => return client,
                // the client was gone before it was accepted
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {
                    debug!(%error, "accept");
                }
                Err(error) => {
                    if !is_told {
                        warn!(%error, "accept: waiting for sessions to end");
                        is_told = true;
                    }
                    tokio::time::sleep(ACCEPT_BACK_OFF).await;
                }
            }
        }
    }

    /// Closes the port. Gives the clients that the kernel has connected and nobody has accepted, which would be reset
    /// otherwise. One that connects between the last accept and the close, microseconds later, is. Those in the queue of a
    /// port that was handed down wait for the next of us.
    pub fn close(self, keep_alive: KeepAlive) -> impl Iterator<Item = (Socket, ClientAddress)> {
        let (tcp, unix) = match self {
            Self::Tcp(_, Keeper::Handed) | Self::Unix(_, SocketFile::Handed(_)) => (None, None),
            Self::Tcp(listener, Keeper::Ours) => (listener.into_std().ok(), None),
            // nobody finds the way to a Unix socket of ours without its file
            Self::Unix(listener, _file) => (None, listener.into_std().ok()),
        };
        // tokio would have to be told of each by the kernel first
        let accept = move || {
            if let Some(listener) = &tcp {
                let (stream, peer) = listener.accept()?;
                stream.set_nonblocking(true)?;
                let socket = Socket::tcp(TcpStream::from_std(stream)?, keep_alive)?;
                return Ok((socket, ClientAddress::from(peer.ip())));
            }
            let unix = unix.as_ref().ok_or(io::ErrorKind::WouldBlock)?;
            let (stream, _) = unix.accept()?;
            stream.set_nonblocking(true)?;
            let socket = Socket::Unix(UnixStream::from_std(stream)?);
            Ok((socket, ClientAddress::UnixSocket))
        };
        queued(accept)
    }

    async fn accept_once(&self, keep_alive: KeepAlive) -> io::Result<(Socket, ClientAddress)> {
        match self {
            Self::Tcp(listener, _) => {
                let (stream, peer) = listener.accept().await?;
                // fails only where the client is gone already
                let socket = Socket::tcp(stream, keep_alive)
                    .map_err(|_| io::ErrorKind::ConnectionAborted)?;
                Ok((socket, ClientAddress::from(peer.ip())))
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Socket::Unix(stream), ClientAddress::UnixSocket))
            }
        }
    }
}

impl fmt::Display for Listener {
    /// The address that it listens on, with the port that was really opened.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(listener, _) => match listener.local_addr() {
                Ok(address) => address.fmt(f),
                Err(error) => error.fmt(f),
            },
            Self::Unix(_, SocketFile::Ours(path) | SocketFile::Handed(path)) => {
                write!(f, "unix:{}", path.display())
            }
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Those who wait in a queue, until nobody does. One who cannot be accepted is passed over, for those behind.
fn queued<T>(accept: impl FnMut() -> io::Result<T>) -> impl Iterator<Item = T> {
    iter::repeat_with(accept)
        // those that come meanwhile must not keep the port open
        .take(BACKLOG as usize)
        .take_while(
            |accepted| !matches!(accepted, Err(error) if error.kind() == io::ErrorKind::WouldBlock),
        )
        .filter_map(Result::ok)
}

fn bind_tcp(address: SocketAddr) -> io::Result<Listener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(Listener::Tcp(socket.listen(BACKLOG)?, Keeper::Ours))
}

fn bind_unix(path: &Path) -> io::Result<Listener> {
    remove_stale(path)?;
    let listener = UnixListener::bind(path)?;
    let file = SocketFile::Ours(path.to_owned());
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(SOCKET_MODE))?;
    Ok(Listener::Unix(listener, file))
}

/// One without a file (of Linux' abstract name space) is shown as `@`.
fn path_of(listener: &std::os::unix::net::UnixListener) -> io::Result<PathBuf> {
    let address = listener.local_addr()?;
    let path = address.as_pathname().unwrap_or(Path::new("@"));
    Ok(path.to_owned())
}

/// Removes a socket that nobody listens on any more. One in use, or a file of another kind, is left alone.
fn remove_stale(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {
            match std::os::unix::net::UnixStream::connect(path) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    std::fs::remove_file(path)
                }
                _ => Err(io::ErrorKind::AddrInUse.into()),
            }
        }
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "a file that is not a socket is there",
        )),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_who_cannot_be_accepted_is_passed_over() {
        let aborted = || Err(io::ErrorKind::ConnectionAborted.into());
        let nobody = || Err(io::ErrorKind::WouldBlock.into());
        let mut queue = [aborted(), Ok(1), aborted(), Ok(2), nobody(), Ok(3)].into_iter();
        let accept = || queue.next().unwrap_or_else(nobody);
        assert_eq!(queued(accept).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn an_endless_queue_comes_to_an_end() {
        assert_eq!(queued(|| Ok(())).count(), BACKLOG as usize);
        let failing = || Err::<(), _>(io::ErrorKind::ConnectionAborted.into());
        assert_eq!(queued(failing).count(), 0);
    }
}
