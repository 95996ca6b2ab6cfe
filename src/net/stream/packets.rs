//! Packets and their numbers, for greeting, login and commands of our own.
//!
//! One of them may hold a password, so what they leave behind is wiped: the packet made, the bytes consumed, the
//! thread's buffers. Out of reach are rustls' buffers, those of zlib and zstd, what a Unix socket did not take at once,
//! and the kernel.

use std::future::poll_fn;
use std::task::{Poll, ready};

use zeroize::{Zeroize as _, Zeroizing};

use super::{Stream, StreamError};
use crate::net::buffers::with_buffers;
use crate::protocol::packet::{HEADER_BYTES, Header};

impl Stream {
    /// Sets the sequence number of the next packet, either way.
    pub fn set_next_sequence(&mut self, sequence: u8) {
        self.sequence = sequence;
    }

    /// Reads one packet of at most `limit` bytes of payload.
    ///
    /// Cancel safe: what was read of a packet stays for the next call.
    pub async fn read_packet(&mut self, limit: usize) -> Result<Vec<u8>, StreamError> {
        loop {
            if let Some(payload) = self.next_packet(limit)? {
                return Ok(payload);
            }
            self.fill().await?;
        }
    }

    fn next_packet(&mut self, limit: usize) -> Result<Option<Vec<u8>>, StreamError> {
        let Some(header) = self.received.first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let Header {
            payload_bytes,
            sequence,
        } = Header::decode(*header);
        if sequence != self.sequence {
            return Err(StreamError::Sequence {
                side: self.side,
                expected: self.sequence,
                got: sequence,
            });
        }
        if payload_bytes > limit {
            // the answer to it is numbered behind it
            self.sequence = sequence.wrapping_add(1);
            return Err(StreamError::TooLarge {
                side: self.side,
                bytes: payload_bytes,
                limit,
            });
        }
        let end = HEADER_BYTES + payload_bytes;
        if self.received.len() < end {
            return Ok(None);
        }
        let payload = self.received[HEADER_BYTES..end].to_vec();
        self.received[HEADER_BYTES..end].zeroize();
        self.received.drain(..end);
        if self.received.is_empty() {
            // a large login must not leave its buffer to the session
            self.received = Vec::new();
        }
        self.sequence = sequence.wrapping_add(1);
        Ok(Some(payload))
    }

    /// Writes one packet and waits until it has left. `payload` is shorter than 16 MiB.
    ///
    /// Not cancel safe: a packet may have left in part.
    pub async fn write_packet(&mut self, payload: &[u8]) -> Result<(), StreamError> {
        self.queue_packet(payload)?;
        self.flush().await
    }

    /// The same without the wait: the packet leaves with the next flush, at the latest when the connection is closed.
    pub fn queue_packet(&mut self, payload: &[u8]) -> Result<(), StreamError> {
        let header = Header {
            payload_bytes: payload.len(),
            sequence: self.sequence,
        };
        self.sequence = self.sequence.wrapping_add(1);
        let packet = Zeroizing::new([&header.encode(), payload].concat());
        self.queue(&packet)
    }

    /// Writes bytes that are no packet, and waits until they have left. Not cancel safe: they may have left in part.
    pub async fn write_bytes(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        self.queue(bytes)?;
        self.flush().await
    }

    fn queue(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        match self.compressed.take() {
            None => self.queue_wire(bytes),
            Some(mut compressed) => {
                compressed.answer();
                let queued = compressed.write(bytes, |frames| self.queue_wire(frames));
                self.compressed = Some(compressed);
                queued.map_err(|error| StreamError::Frame(self.side, error))?
            }
        }
    }

    /// Receives something more; an error at the peer's end. Cancel safe.
    pub async fn fill(&mut self) -> Result<(), StreamError> {
        poll_fn(|cx| {
            with_buffers(|buffers| {
                let bytes = ready!(self.poll_receive(cx, buffers))?;
                if bytes.is_empty() {
                    return Poll::Ready(Err(StreamError::Closed(self.side)));
                }
                self.received.extend_from_slice(bytes);
                // what few frames say in clear may be less than themselves
                let count = if self.compressed.is_some() {
                    usize::MAX
                } else {
                    bytes.len()
                };
                buffers.wipe(count);
                Poll::Ready(Ok(()))
            })
        })
        .await
    }
}
