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

/// A silent peer is asked so many times more whether it is still there, then given up …
const KEEPALIVE_PROBES: u32 = 6;
/// … each a part of its silence behind the other, and never more than this.
const LONGEST_KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// The kernel counts in seconds.
const SHORTEST_KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);

/// How a peer that is gone without a word is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepAlive {
    /// One that is silent for so long is asked whether it is still there (`limits.keep-alive`, 60 s). From 1 s to 9 h.
    pub after: Option<Duration>,
    /// One that leaves bytes unacknowledged for so long is given up (`limits.unacknowledged-time`): `TCP_USER_TIMEOUT`.
    ///
    /// Without one the kernel takes a quarter of an hour. It is not for everybody, since it also ends connections to
    /// peers that live and do not read for that long (run), as clients that work on a row before they fetch the next do: how
    /// long they may take is the server's `net_write_timeout`, which Connector/J sets to ten minutes.
    pub unacknowledged: Option<Duration>,
}

impl Default for KeepAlive {
    fn default() -> Self {
        Self {
            after: Some(Duration::from_secs(60)),
            unacknowledged: None,
        }
    }
}

/// A connected socket.
#[derive(Debug)]
pub enum Socket {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix socket.
    Unix(UnixStream),
}

/// A socket between two runtimes.
#[derive(Debug)]
pub(super) enum Moving {
    /// Over TCP.
    Tcp(std::net::TcpStream),
    /// Over a Unix socket.
    Unix(std::os::unix::net::UnixStream),
}

impl Socket {
    /// Takes a TCP stream: small packets leave at once, dead peers are noticed so. The end of a process on the other side of a
    /// Unix socket shows by itself.
    pub fn tcp(stream: TcpStream, keep_alive: KeepAlive) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let socket = SockRef::from(&stream);
        match keep_alive.after {
            None => socket.set_keepalive(false)?,
            Some(silence) => {
                let interval = (silence / KEEPALIVE_PROBES)
                    .clamp(SHORTEST_KEEPALIVE_INTERVAL, LONGEST_KEEPALIVE_INTERVAL);
                socket.set_tcp_keepalive(
                    &TcpKeepalive::new()
                        .with_time(silence)
                        .with_interval(interval)
                        .with_retries(KEEPALIVE_PROBES),
                )?;
            }
        }
        // macOS has no such option
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(keep_alive.unacknowledged)?;
        Ok(Self::Tcp(stream))
    }

    /// Leaves the runtime that waits for its events. One of another lets it [arrive](Self::arrive).
    pub(super) fn leave(self) -> io::Result<Moving> {
        Ok(match self {
            Self::Tcp(stream) => Moving::Tcp(stream.into_std()?),
            Self::Unix(stream) => Moving::Unix(stream.into_std()?),
        })
    }

    /// From here on the current runtime waits for its events.
    pub(super) fn arrive(moving: Moving) -> io::Result<Self> {
        Ok(match moving {
            Moving::Tcp(stream) => Self::Tcp(TcpStream::from_std(stream)?),
            Moving::Unix(stream) => Self::Unix(UnixStream::from_std(stream)?),
        })
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

    async fn connected(keep_alive: KeepAlive) -> io::Result<Socket> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        Socket::tcp(
            TcpStream::connect(listener.local_addr()?).await?,
            keep_alive,
        )
    }

    // It takes minutes to see it happen.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_peer_that_lives_and_reads_nothing_is_not_given_up() -> io::Result<()> {
        let Socket::Tcp(stream) = connected(KeepAlive::default()).await? else {
            return Err(io::ErrorKind::Other.into());
        };
        let options = SockRef::from(&stream);
        assert_eq!(options.tcp_user_timeout()?, None);
        assert!(options.keepalive()?, "dead peers must still be noticed");
        Ok(())
    }

    #[tokio::test]
    async fn every_silence_that_the_configuration_takes_the_kernel_takes() -> io::Result<()> {
        for seconds in [1, 5, 60, 9 * 60 * 60] {
            let silence = Some(Duration::from_secs(seconds));
            connected(KeepAlive {
                after: silence,
                unacknowledged: silence,
            })
            .await?;
        }
        connected(KeepAlive {
            after: None,
            unacknowledged: None,
        })
        .await?;
        Ok(())
    }
}
