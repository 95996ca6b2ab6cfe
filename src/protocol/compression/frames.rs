//! The frames of one session: header, numbers, and what is in them, as it comes and goes.

use thiserror::Error;

use super::super::packet::{Header, MAX_PAYLOAD_BYTES};
use super::algorithm::Algorithm;
use super::one_frame::{Codecs, Corrupt, Decompressor};

/// A packet's header, here of what follows, and behind it the length before compression in three bytes.
const FRAME_HEADER_BYTES: usize = 7;

/// Shorter ones travel as they are (`MIN_COMPRESS_LENGTH` in MySQL).
const SHORTEST_COMPRESSED_BYTES: usize = 50;

/// What is wrong with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// It begins no command and continues nothing.
    #[error("a compressed frame with number {got}, in place of {expected} or 0")]
    Sequence {
        /// What would continue the last one.
        expected: u8,
        /// What it has.
        got: u8,
    },
    /// It does not decompress.
    #[error("a compressed frame that is broken")]
    Corrupt,
    /// It says more, or less, than its header says.
    #[error("a compressed frame that is not {plain_bytes} bytes long as its header says")]
    Length {
        /// Its length before compression, by its header.
        plain_bytes: usize,
    },
    /// There is no memory to decompress it.
    #[error("a compressed frame for which there is no memory")]
    NoMemory,
}

/// What [`Frames::read`] has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Read {
    /// So many bytes of the wire are dealt with.
    pub taken: usize,
    /// So many bytes of packets were given.
    pub given: usize,
    /// There was no room for more; there may be more without another byte of the wire.
    pub is_full: bool,
}

/// Both directions of one session from its login on.
#[derive(Debug)]
pub struct Frames {
    algorithm: Algorithm,
    /// Of what would continue the last frame received.
    next_received: u8,
    /// Of the next frame sent.
    next_sent: u8,
    place: Place,
}

/// Where the last byte received stands.
#[derive(Debug)]
enum Place {
    /// In a header, behind so many bytes.
    Header {
        bytes: [u8; FRAME_HEADER_BYTES],
        filled: usize,
    },
    /// In a frame that is not compressed; so many bytes are left.
    Stored { left: usize },
    /// In a compressed frame.
    Packed(Packed),
}

/// A frame of which some is to come, or to be given.
#[derive(Debug)]
struct Packed {
    /// By the header.
    plain_bytes: usize,
    packed_left: usize,
    plain_left: usize,
    /// All room was used up, so there may be more to give.
    was_full: bool,
    decompressor: Decompressor,
}

/// Between two frames.
const BETWEEN: Place = Place::Header {
    bytes: [0; FRAME_HEADER_BYTES],
    filled: 0,
};

impl Frames {
    /// A session whose login has just ended.
    pub fn new(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            next_received: 0,
            next_sent: 0,
            place: BETWEEN,
        }
    }

    /// Takes frames, or pieces of them, and gives the packets in them, as far as there is room. Frames may be of any
    /// length: nothing is kept of them but what an algorithm must look back over.
    pub fn read(
        &mut self,
        wire: &[u8],
        plain: &mut [u8],
        codecs: &mut Codecs,
    ) -> Result<Read, FrameError> {
        let mut read = Read::default();
        loop {
            let came = &wire[read.taken..];
            let room = &mut plain[read.given..];
            match &mut self.place {
                Place::Header { bytes, filled } => {
                    let more = came.len().min(FRAME_HEADER_BYTES - *filled);
                    bytes[*filled..][..more].copy_from_slice(&came[..more]);
                    *filled += more;
                    read.taken += more;
                    if *filled < FRAME_HEADER_BYTES {
                        return Ok(read);
                    }
                    let bytes = *bytes;
                    self.place = self.enter(bytes, codecs)?;
                }
                Place::Stored { left: 0 } => self.place = BETWEEN,
                Place::Stored { left } => {
                    let more = (*left).min(came.len()).min(room.len());
                    if more == 0 {
                        read.is_full = room.is_empty();
                        return Ok(read);
                    }
                    room[..more].copy_from_slice(&came[..more]);
                    *left -= more;
                    read.taken += more;
                    read.given += more;
                }
                Place::Packed(packed) => {
                    let ended = packed.go_on(came, room, &mut read)?;
                    if !ended {
                        return Ok(read);
                    }
                    if let Place::Packed(packed) = std::mem::replace(&mut self.place, BETWEEN) {
                        codecs.end(packed.decompressor);
                    }
                }
            }
        }
    }

    /// Begins a frame.
    fn enter(
        &mut self,
        header: [u8; FRAME_HEADER_BYTES],
        codecs: &mut Codecs,
    ) -> Result<Place, FrameError> {
        let [a, b, c, sequence, d, e, f] = header;
        let Header {
            payload_bytes,
            sequence,
        } = Header::decode([a, b, c, sequence]);
        // a command may come before the last one is answered
        if ![0, self.next_received, self.next_sent].contains(&sequence) {
            return Err(FrameError::Sequence {
                expected: self.next_received,
                got: sequence,
            });
        }
        self.next_received = sequence.wrapping_add(1);
        self.next_sent = self.next_received;
        let plain_bytes = Header::decode([d, e, f, 0]).payload_bytes;
        if plain_bytes == 0 {
            return Ok(Place::Stored {
                left: payload_bytes,
            });
        }
        Ok(Place::Packed(Packed {
            plain_bytes,
            packed_left: payload_bytes,
            plain_left: plain_bytes,
            was_full: false,
            decompressor: codecs.begin(self.algorithm).ok_or(FrameError::NoMemory)?,
        }))
    }

    /// Appends frames with these bytes of packets to `wire`.
    pub fn write(&mut self, plain: &[u8], wire: &mut Vec<u8>, codecs: &mut Codecs) {
        for piece in plain.chunks(MAX_PAYLOAD_BYTES) {
            self.write_frame(piece, wire, codecs);
        }
    }

    fn write_frame(&mut self, plain: &[u8], wire: &mut Vec<u8>, codecs: &mut Codecs) {
        let start = wire.len();
        let body = start + FRAME_HEADER_BYTES;
        wire.resize(body + plain.len(), 0);
        let packed = if plain.len() < SHORTEST_COMPRESSED_BYTES {
            None
        } else {
            codecs.compress(self.algorithm, plain, &mut wire[body..])
        };
        let (payload_bytes, plain_bytes) = match packed {
            Some(packed) => (packed, plain.len()),
            None => {
                wire[body..].copy_from_slice(plain);
                (plain.len(), 0)
            }
        };
        wire.truncate(body + payload_bytes);
        let header = Header {
            payload_bytes,
            sequence: self.next_sent,
        };
        let [d, e, f, ..] = plain_bytes.to_le_bytes();
        wire[start..][..4].copy_from_slice(&header.encode());
        wire[start + 4..][..3].copy_from_slice(&[d, e, f]);
        self.next_sent = self.next_sent.wrapping_add(1);
    }
}

impl Packed {
    /// Goes on decompressing; true when the frame has ended as it must.
    fn go_on(
        &mut self,
        came: &[u8],
        room: &mut [u8],
        read: &mut Read,
    ) -> Result<bool, FrameError> {
        let wrong_length = FrameError::Length {
            plain_bytes: self.plain_bytes,
        };
        let (mut came, mut room) = (came, room);
        loop {
            if room.is_empty() && self.plain_left > 0 {
                self.was_full = true;
                read.is_full = true;
                return Ok(false);
            }
            let packed = &came[..self.packed_left.min(came.len())];
            // an algorithm may hold something back only where it had no room
            if packed.is_empty() && self.packed_left > 0 && !self.was_full {
                return Ok(false);
            }
            // whatever goes beyond is seen by one byte
            let mut beyond = [0];
            let plain = if self.plain_left == 0 {
                &mut beyond[..]
            } else {
                let most = self.plain_left.min(room.len());
                &mut room[..most]
            };
            let most = plain.len();
            let step = self.decompressor.step(packed, plain).map_err(|Corrupt| FrameError::Corrupt)?;
            if self.plain_left == 0 && step.given > 0 {
                return Err(wrong_length);
            }
            self.was_full = step.given == most;
            self.packed_left -= step.taken;
            self.plain_left -= step.given;
            read.taken += step.taken;
            read.given += step.given;
            came = &came[step.taken..];
            room = &mut room[step.given..];
            if step.ended {
                return match (self.packed_left, self.plain_left) {
                    (0, 0) => Ok(true),
                    (0, _) => Err(wrong_length),
                    _ => Err(FrameError::Corrupt),
                };
            }
            if step.taken == 0 && step.given == 0 {
                // it waits for bytes that the frame does not have, or takes none that it has
                if self.packed_left == 0 || !packed.is_empty() {
                    return Err(FrameError::Corrupt);
                }
            }
        }
    }
}
