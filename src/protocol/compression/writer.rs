//! Packets as they come, in whatever pieces, and the frames that they leave in.

use super::super::packet::{HEADER_BYTES, Header, MAX_PAYLOAD_BYTES};
use super::FrameError;
use super::algorithm::Algorithm;
use super::codecs::{Codecs, Compressor};
use super::frame_header::FrameHeader;

/// Shorter frames travel as they are (`MIN_COMPRESS_LENGTH` in MySQL).
const SHORTEST_COMPRESSED_BYTES: usize = 50;

/// A packet that has come in part waits for the rest up to this length; a longer one is compressed as it comes.
const HELD_BYTES: usize = 128 * 1024;

/// The longest frame before compression. What cannot be compressed grows a little, and the length has three bytes; the rest
/// of the longest packet is short enough to be held.
const LONGEST_BYTES: usize = MAX_PAYLOAD_BYTES - HELD_BYTES + HEADER_BYTES;

/// One direction of one session.
#[derive(Debug)]
pub(super) struct Writer {
    algorithm: Algorithm,
    /// Of the next frame.
    pub(super) sequence: u8,
    /// The beginning of a packet, or what is left of one behind its frame.
    held: Vec<u8>,
    /// So much of a packet is still to come behind its frame.
    packet_left: usize,
    /// A long packet that has come in part.
    open: Option<Open>,
}

/// A frame of which not all has come.
#[derive(Debug)]
struct Open {
    plain_bytes: usize,
    left: usize,
    compressor: Compressor,
    packed: Vec<u8>,
}

/// What the next frame is to be.
enum Next {
    /// So many bytes, which have come.
    Whole(usize),
    /// So many bytes, which have not all come.
    Begins(usize),
    /// It cannot be told yet.
    Wait,
}

impl Writer {
    pub(super) fn new(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            sequence: 0,
            held: Vec::new(),
            packet_left: 0,
            open: None,
        }
    }

    pub(super) fn write(
        &mut self,
        plain: &[u8],
        wire: &mut Vec<u8>,
        codecs: &mut Codecs,
    ) -> Result<(), FrameError> {
        let mut held = std::mem::take(&mut self.held);
        let rest = if held.is_empty() {
            self.write_all(plain, wire, codecs)?
        } else {
            held.extend_from_slice(plain);
            self.write_all(&held, wire, codecs)?
        };
        self.held = rest.to_vec();
        Ok(())
    }

    /// Gives back what is not to leave yet.
    fn write_all<'a>(
        &mut self,
        plain: &'a [u8],
        wire: &mut Vec<u8>,
        codecs: &mut Codecs,
    ) -> Result<&'a [u8], FrameError> {
        let mut rest = plain;
        loop {
            if let Some(mut open) = self.open.take() {
                let (now, later) = rest.split_at(open.left.min(rest.len()));
                rest = later;
                open.go_on(now).ok_or(FrameError::NoMemory)?;
                if open.left > 0 {
                    self.open = Some(open);
                    return Ok(rest);
                }
                self.put_header(wire, open.packed.len(), open.plain_bytes);
                wire.extend_from_slice(&open.packed);
                codecs.keep_compressor(open.compressor);
                continue;
            }
            match self.next(rest) {
                Next::Whole(bytes) => {
                    let (now, later) = rest.split_at(bytes);
                    rest = later;
                    self.packet_left = 0;
                    self.write_whole(now, wire, codecs)?;
                }
                Next::Begins(packet_bytes) => {
                    let plain_bytes = packet_bytes.min(LONGEST_BYTES);
                    self.packet_left = packet_bytes - plain_bytes;
                    let compressor = codecs.compressor(self.algorithm, plain_bytes);
                    self.open = Some(Open {
                        plain_bytes,
                        left: plain_bytes,
                        compressor: compressor.ok_or(FrameError::NoMemory)?,
                        packed: Vec::new(),
                    });
                }
                Next::Wait => return Ok(rest),
            }
        }
    }

    /// As many packets as have come whole, or the one that has come in part.
    fn next(&self, plain: &[u8]) -> Next {
        if self.packet_left > 0 {
            return if plain.len() >= self.packet_left {
                Next::Whole(self.packet_left)
            } else {
                Next::Wait
            };
        }
        let mut whole = 0;
        while let Some((header, payload)) = Header::split(&plain[whole..]) {
            let packet_bytes = HEADER_BYTES + header.payload_bytes;
            if payload.len() >= header.payload_bytes && whole + packet_bytes <= LONGEST_BYTES {
                whole += packet_bytes;
            } else if whole == 0 && packet_bytes > HELD_BYTES {
                return Next::Begins(packet_bytes);
            } else {
                break;
            }
        }
        if whole > 0 {
            Next::Whole(whole)
        } else {
            Next::Wait
        }
    }

    /// One frame of what is there; as it is where that is shorter.
    fn write_whole(
        &mut self,
        plain: &[u8],
        wire: &mut Vec<u8>,
        codecs: &mut Codecs,
    ) -> Result<(), FrameError> {
        let start = wire.len();
        let sequence = self.sequence;
        self.put_header(wire, plain.len(), 0);
        let body = wire.len();
        if plain.len() >= SHORTEST_COMPRESSED_BYTES {
            let mut compressor = codecs
                .compressor(self.algorithm, plain.len())
                .ok_or(FrameError::NoMemory)?;
            compressor
                .step(plain, true, wire)
                .ok_or(FrameError::NoMemory)?;
            codecs.keep_compressor(compressor);
            let packed_bytes = wire.len() - body;
            if packed_bytes < plain.len() {
                let header = FrameHeader {
                    payload_bytes: packed_bytes,
                    sequence,
                    plain_bytes: plain.len(),
                };
                wire[start..body].copy_from_slice(&header.encode());
                return Ok(());
            }
        }
        wire.truncate(body);
        wire.extend_from_slice(plain);
        Ok(())
    }

    /// Begins a frame; `plain_bytes` is 0 where it is not compressed.
    fn put_header(&mut self, wire: &mut Vec<u8>, payload_bytes: usize, plain_bytes: usize) {
        let header = FrameHeader {
            payload_bytes,
            sequence: self.sequence,
            plain_bytes,
        };
        wire.extend_from_slice(&header.encode());
        self.sequence = self.sequence.wrapping_add(1);
    }
}

impl Open {
    /// Nothing when there is no memory for it.
    fn go_on(&mut self, plain: &[u8]) -> Option<()> {
        self.left -= plain.len();
        self.compressor
            .step(plain, self.left == 0, &mut self.packed)
    }
}
