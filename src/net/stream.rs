//! One connection, to a client or to a backend: packets while it logs in, bytes while it is relayed, TLS or not, and towards
//! a client compressed or not.
//!
//! rustls is driven directly: the relay gathers what one read brings into one vectored write, which a stream of
//! decrypted bytes in between would not let it.

use std::future::poll_fn;
use std::io::{self, BufRead, Write};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};
use tokio::io::ReadBuf;

use super::buffers::{Buffers, with_buffers};
use super::compressed::Compressed;
use super::socket::{RecordWriter, Socket};
use crate::protocol::Side;
use crate::protocol::compression::Algorithm;
use crate::protocol::proxy_header::Ends;
use crate::tls::TlsCounts;

mod error;
mod packets;

pub use error::StreamError;

/// While a peer is only watched for its end, so much of what it sends early is kept.
const EARLY_BYTES: usize = 64 * 1024;

/// Of an answer in plaintext to a TLS handshake, so much is kept: an ERR packet is shorter.
const PLAIN_ANSWER_BYTES: usize = 1024;

/// After the last byte, a peer's own last bytes are read and dropped for so long and so many, because closing a socket
/// with unread bytes resets it, and the reset can overtake what we sent.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 1024 * 1024;

/// One connection.
#[derive(Debug)]
pub struct Stream {
    side: Side,
    socket: Socket,
    tls: Option<Box<Connection>>,
    compressed: Option<Box<Compressed>>,
    /// The peer said that it sends no more.
    ended: bool,
    /// The peer is not who sent the bytes: it handed them on, from a network.
    handed_on: bool,
    /// In clear, received and not consumed.
    received: Vec<u8>,
    /// In plaintext, what the socket has not taken yet. With TLS, rustls holds it.
    unsent: Vec<u8>,
    /// Of the next packet, either way.
    sequence: u8,
}

impl Stream {
    /// A stream in plaintext; TLS may follow.
    pub fn new(side: Side, socket: Socket) -> Self {
        Self {
            side,
            socket,
            tls: None,
            compressed: None,
            ended: false,
            handed_on: false,
            received: Vec::new(),
            unsent: Vec::new(),
            sequence: 0,
        }
    }

    /// True for a Unix socket whose peer speaks for itself.
    pub fn is_unix_socket(&self) -> bool {
        matches!(self.socket, Socket::Unix(_)) && !self.handed_on
    }

    /// The peer hands on what somebody sent it over a network: that this side is a Unix socket says nothing then.
    pub fn set_handed_on(&mut self) {
        self.handed_on = true;
    }

    /// The ends of the connection, of which the peer's is the client's; none for a Unix socket.
    pub fn ends(&self) -> Option<Ends> {
        self.socket.ends()
    }

    /// True where nobody on the way can read: TLS, or a Unix socket.
    pub fn is_secure(&self) -> bool {
        self.tls.is_some() || self.is_unix_socket()
    }

    /// The TLS session, once there is one.
    pub fn tls(&self) -> Option<&Connection> {
        self.tls.as_deref()
    }

    /// What was received and not consumed. After a TLS handshake that failed because the peer answered in plaintext, that
    /// answer, as far as it had come.
    pub fn received(&self) -> &[u8] {
        &self.received
    }

    /// Takes so many bytes off what was received.
    pub fn consume(&mut self, count: usize) {
        self.received.drain(..count);
        if self.received.is_empty() {
            self.received = Vec::new();
        }
    }

    /// Takes what was received and not consumed: bytes that came early.
    pub fn take_received(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.received)
    }

    /// Puts bytes back in front of what comes next.
    pub fn give_back(&mut self, bytes: &[u8]) {
        self.received.splice(..0, bytes.iter().copied());
    }

    // ---- TLS -------------------------------------------------------------------------------------------------------

    /// Becomes the server of a TLS session. Whatever was received already belongs to TLS.
    pub async fn accept_tls(
        &mut self,
        config: Arc<ServerConfig>,
        counts: &TlsCounts,
    ) -> Result<(), StreamError> {
        let tls =
            ServerConnection::new(config).map_err(|error| StreamError::Tls(self.side, error))?;
        self.handshake(tls.into(), counts).await
    }

    /// Becomes the client of a TLS session.
    pub async fn connect_tls(
        &mut self,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        counts: &TlsCounts,
    ) -> Result<(), StreamError> {
        let tls = ClientConnection::new(config, name)
            .map_err(|error| StreamError::Tls(self.side, error))?;
        self.handshake(tls.into(), counts).await
    }

    async fn handshake(&mut self, tls: Connection, counts: &TlsCounts) -> Result<(), StreamError> {
        let handshake = counts.begin();
        if let Err(error) = self.shake_hands(tls).await {
            handshake.failed(error.handshake_failure());
            return Err(error);
        }
        if let Some(tls) = self.tls() {
            handshake.done(tls);
        }
        Ok(())
    }

    async fn shake_hands(&mut self, mut tls: Connection) -> Result<(), StreamError> {
        // the relay bounds what is unsent by not reading the other side
        tls.set_buffer_limit(None);
        self.tls = Some(Box::new(tls));
        let early = self.take_received();
        if !early.is_empty() {
            let mut plain = Vec::new();
            self.decrypt(&early, &mut plain)?;
            self.received = plain;
        }
        while self.tls.as_ref().is_some_and(|tls| tls.is_handshaking()) {
            self.flush().await?;
            poll_fn(|cx| {
                with_buffers(|buffers| {
                    ready!(self.poll_read(cx, buffers))?;
                    self.received.extend_from_slice(&buffers.plain);
                    Poll::Ready(Ok(()))
                })
            })
            .await?;
            if self.ended {
                return Err(StreamError::Closed(self.side));
            }
        }
        self.flush().await
    }

    /// Feeds bytes from the wire to TLS; what they say in clear is appended to `plain`.
    fn decrypt(&mut self, mut wire: &[u8], plain: &mut Vec<u8>) -> Result<(), StreamError> {
        let Some(tls) = &mut self.tls else {
            return Ok(());
        };
        let all = wire;
        while !wire.is_empty() {
            // rustls takes 4 KiB at a time, and nothing behind a close_notify
            if tls
                .read_tls(&mut wire)
                .map_err(|error| StreamError::Io(self.side, error))?
                == 0
            {
                break;
            }
            let state = match tls.process_new_packets() {
                Ok(state) => state,
                Err(error) => {
                    if let rustls::Error::InvalidMessage(_) = error
                        && tls.is_handshaking()
                    {
                        self.received = all[..all.len().min(PLAIN_ANSWER_BYTES)].to_vec();
                    }
                    return Err(StreamError::Tls(self.side, error));
                }
            };
            self.ended |= state.peer_has_closed();
            let mut left = state.plaintext_bytes_to_read();
            while left > 0 {
                let mut reader = tls.reader();
                let Ok(chunk) = reader.fill_buf() else { break };
                let length = chunk.len();
                plain.extend_from_slice(chunk);
                reader.consume(length);
                left = left.saturating_sub(length.max(1));
            }
        }
        Ok(())
    }

    // ---- compression -----------------------------------------------------------------------------------------------

    /// From here on packets travel in compressed frames, both ways. Whatever was received already is such frames.
    pub fn compress(&mut self, algorithm: Algorithm) {
        let early = self.take_received();
        self.compressed = Some(Box::new(Compressed::new(algorithm, early)));
    }

    /// True where packets travel in compressed frames.
    pub fn is_compressed(&self) -> bool {
        self.compressed.is_some()
    }

    /// What is sent next answers what was received last: compressed frames are numbered behind those that came. Packets
    /// of our own always do.
    pub fn answer(&mut self) {
        if let Some(compressed) = &mut self.compressed {
            compressed.answer();
        }
    }

    fn poll_decompressed<'b>(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &'b mut Buffers,
    ) -> Poll<Result<&'b mut [u8], StreamError>> {
        buffers.make_room_for_decompressed();
        let side = self.side;
        let failed = |error| StreamError::Frame(side, error);
        while let Some(compressed) = &mut self.compressed {
            ready!(compressed.poll_turn(cx));
            let given = if compressed.has_more() {
                compressed.read_more(&mut buffers.decompressed)
            } else if self.ended {
                break;
            } else {
                let count = ready!(self.poll_read(cx, buffers))?;
                let came = if self.tls.is_some() {
                    &buffers.plain[..]
                } else {
                    &buffers.wire[..count]
                };
                match &mut self.compressed {
                    Some(compressed) => compressed.read(came, &mut buffers.decompressed),
                    None => break,
                }
            }
            .map_err(failed)?;
            if given > 0 {
                return Poll::Ready(Ok(&mut buffers.decompressed[..given]));
            }
        }
        Poll::Ready(Ok(&mut []))
    }

    // ---- bytes, for the relay --------------------------------------------------------------------------------------

    /// Receives something in clear. Ready with nothing means that the peer sends no more.
    pub fn poll_receive<'b>(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &'b mut Buffers,
    ) -> Poll<Result<&'b mut [u8], StreamError>> {
        if self.compressed.is_some() {
            return self.poll_decompressed(cx, buffers);
        }
        while !self.ended {
            let count = ready!(self.poll_read(cx, buffers))?;
            if self.tls.is_none() {
                return Poll::Ready(Ok(&mut buffers.wire[..count]));
            }
            if !buffers.plain.is_empty() {
                return Poll::Ready(Ok(&mut buffers.plain));
            }
        }
        Poll::Ready(Ok(&mut []))
    }

    /// Reads from the socket once, into `wire`, and with TLS decrypts into `plain`, which may stay empty.
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &mut Buffers,
    ) -> Poll<Result<usize, StreamError>> {
        let Buffers { wire, plain, .. } = buffers;
        plain.clear();
        let mut buffer = ReadBuf::new(wire);
        ready!(self.socket.poll_read(cx, &mut buffer))
            .map_err(|error| StreamError::Io(self.side, error))?;
        let count = buffer.filled().len();
        self.ended |= count == 0;
        if self.tls.is_some() {
            let decrypted = self.decrypt(&wire[..count], plain);
            // answers of TLS itself: a handshake's next flight, a key update, an alert. What cannot leave now leaves
            // with the next flush, which is also where a failure shows.
            let _ = self.poll_flush_wire(cx);
            decrypted?;
        }
        Poll::Ready(Ok(count))
    }

    /// Sends bytes as far as the socket takes them; the rest goes with [`Stream::poll_flush`].
    pub fn poll_send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Result<(), StreamError> {
        match self.compressed.take() {
            None => self.poll_send_wire(cx, bytes),
            Some(mut compressed) => {
                let sent = compressed.write(bytes, |frames| self.poll_send_wire(cx, frames));
                self.compressed = Some(compressed);
                sent.map_err(|error| StreamError::Frame(self.side, error))?
            }
        }
    }

    /// The same of bytes as they are on the wire, or under TLS.
    fn poll_send_wire(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Result<(), StreamError> {
        let mut rest = bytes;
        if self.tls.is_none() && self.unsent.is_empty() {
            while let (false, Poll::Ready(written)) =
                (rest.is_empty(), self.socket.poll_write(cx, rest))
            {
                match written {
                    Ok(0) => {
                        return Err(StreamError::Io(self.side, io::ErrorKind::WriteZero.into()));
                    }
                    Ok(written) => rest = &rest[written..],
                    Err(error) => return Err(StreamError::Io(self.side, error)),
                }
            }
        }
        self.queue_wire(rest)?;
        match self.poll_flush_wire(cx) {
            Poll::Ready(flushed) => flushed,
            Poll::Pending => Ok(()),
        }
    }

    /// Whether something that was sent has not left yet.
    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty() || self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Ready when everything that was sent has left, and other tasks have had their turn.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        if let Some(compressed) = &mut self.compressed {
            ready!(compressed.poll_turn(cx));
        }
        self.poll_flush_wire(cx)
    }

    /// Waits until everything that was sent has left. Cancel safe.
    pub async fn flush(&mut self) -> Result<(), StreamError> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    fn poll_flush_wire(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        let failed = |error| StreamError::Io(self.side, error);
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                match tls.write_tls(&mut RecordWriter {
                    socket: &mut self.socket,
                    cx,
                }) {
                    Ok(0) => return Poll::Ready(Err(failed(io::ErrorKind::WriteZero.into()))),
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        return Poll::Pending;
                    }
                    Err(error) => return Poll::Ready(Err(failed(error))),
                }
            }
        }
        while !self.unsent.is_empty() {
            let written = ready!(self.socket.poll_write(cx, &self.unsent)).map_err(failed)?;
            self.unsent.drain(..written);
            if self.unsent.is_empty() {
                self.unsent = Vec::new();
            }
        }
        Poll::Ready(Ok(()))
    }

    fn queue_wire(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        let Some(tls) = &mut self.tls else {
            self.unsent.extend_from_slice(bytes);
            return Ok(());
        };
        tls.writer()
            .write_all(bytes)
            .map_err(|error| StreamError::Io(self.side, error))
    }

    // ---- the end ---------------------------------------------------------------------------------------------------

    /// Waits for the peer to go away. What it sends early is kept, up to a bound; behind that it waits in the socket, and
    /// the peer's end is not seen. Cancel safe.
    pub async fn gone(&mut self) -> StreamError {
        while self.received.len() <= EARLY_BYTES {
            if let Err(error) = self.fill().await {
                return error;
            }
        }
        std::future::pending().await
    }

    /// Ends the connection so that the peer reads everything that was sent: flush, `close_notify`, no more writing,
    /// then a bounded wait for the peer's own end. Errors matter no more.
    pub async fn close(mut self) {
        let goodbye = async {
            if let Some(tls) = &mut self.tls {
                tls.send_close_notify();
            }
            self.flush().await.ok()?;
            poll_fn(|cx| self.socket.poll_shutdown(cx)).await.ok()?;
            let mut discarded = 0;
            while discarded < LINGER_BYTES {
                let count = poll_fn(|cx| self.poll_discard(cx)).await.ok()?;
                if count == 0 {
                    break;
                }
                discarded += count;
            }
            Some(())
        };
        let _ = tokio::time::timeout(LINGER, goodbye).await;
    }

    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        with_buffers(|buffers| {
            let mut buffer = ReadBuf::new(&mut buffers.wire);
            ready!(self.socket.poll_read(cx, &mut buffer))?;
            Poll::Ready(Ok(buffer.filled().len()))
        })
    }
}
