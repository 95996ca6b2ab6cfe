//! A TCP or Unix stream socket, set up as every connection of mytls wants it.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::protocol::proxy_header::Ends;

/// A peer that is silent for so long is asked whether it is still there …
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
/// … again after each of these …
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// … and given up when it has left so many unanswered.
const KEEPALIVE_PROBES: u32 = 6;

/// A connected socket.
#[derive(Debug)]
pub enum Socket {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix socket.
    Unix(UnixStream),
}

impl Socket {
    /// Takes a TCP stream: small packets leave at once, dead peers are noticed.
    ///
    /// `TCP_USER_TIMEOUT` is left alone. It also ends connections to peers that live and do not read for that long (run),
    /// as clients that work on a row before they fetch the next do: how long they may take is the server's
    /// `net_write_timeout`, which Connector/J sets to ten minutes.
    pub fn tcp(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let socket = SockRef::from(&stream);
        socket.set_tcp_keepalive(
            &TcpKeepalive::new()
                .with_time(KEEPALIVE_IDLE)
                .with_interval(KEEPALIVE_INTERVAL)
                .with_retries(KEEPALIVE_PROBES),
        )?;
        Ok(Self::Tcp(stream))
    }

    /// The ends of the connection, of which the peer's is the client's; none for a Unix socket and for a connection that
    /// is gone.
    pub fn ends(&self) -> Option<Ends> {
        match self {
            Self::Tcp(stream) => Some(Ends::new(
                stream.peer_addr().ok()?,
                stream.local_addr().ok()?,
            )),
            Self::Unix(_) => None,
        }
    }

    /// Whether the peer is on this machine, for certain.
    pub fn stays_on_this_machine(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream
                .peer_addr()
                .is_ok_and(|peer| peer.ip().to_canonical().is_loopback()),
            Self::Unix(_) => true,
        }
    }

    /// The peer's address; an error for a Unix socket and for a connection that is gone.
    pub fn peer_address(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.peer_addr(),
            Self::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }

    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    /// Shuts down writing; the peer reads the end of the stream behind what was written.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// Lets rustls write to a socket: several records in one system call, `WouldBlock` when the task will be woken.
pub(super) struct RecordWriter<'a, 'b> {
    pub(super) socket: &'a mut Socket,
    pub(super) cx: &'a mut Context<'b>,
}

impl io::Write for RecordWriter<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        now(self.socket.poll_write(self.cx, bytes))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        now(self.socket.poll_write_vectored(self.cx, slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn now<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // It takes minutes to see it happen.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_peer_that_lives_and_reads_nothing_is_not_given_up() -> io::Result<()> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let stream = TcpStream::connect(listener.local_addr()?).await?;
        let Socket::Tcp(stream) = Socket::tcp(stream)? else {
            return Err(io::ErrorKind::Other.into());
        };
        let options = SockRef::from(&stream);
        assert_eq!(options.tcp_user_timeout()?, None);
        assert!(options.keepalive()?, "dead peers must still be noticed");
        Ok(())
    }
}
