//! Frames as they come, in whatever pieces, and the packets in them.

use super::FrameError;
use super::algorithm::Algorithm;
use super::codecs::{Codecs, Corrupt, Decompressor};
use super::frame_header::FrameHeader;

/// What [`Frames::read`](super::Frames::read) has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Read {
    /// So many bytes of the wire are dealt with.
    pub taken: usize,
    /// So many bytes of packets were given.
    pub given: usize,
    /// There was no room for more; there may be more without another byte of the wire.
    pub is_full: bool,
}

/// One direction of one session.
#[derive(Debug)]
pub(super) struct Reader {
    algorithm: Algorithm,
    /// Of what would continue the last frame.
    sequence: u8,
    /// A frame has come since an answer was numbered.
    is_unanswered: bool,
    place: Place,
}

/// Where the last byte stands.
#[derive(Debug)]
enum Place {
    /// In a header, behind so many bytes.
    Header {
        bytes: [u8; FrameHeader::BYTES],
        filled: usize,
    },
    /// In a frame that is not compressed; so many bytes are left.
    Stored { left: usize },
    /// In a compressed frame.
    Packed(Unpacking),
}

/// A compressed frame of which some is to come, or to be given.
#[derive(Debug)]
struct Unpacking {
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
    bytes: [0; FrameHeader::BYTES],
    filled: 0,
};

impl Reader {
    pub(super) fn new(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            sequence: 0,
            is_unanswered: false,
            place: BETWEEN,
        }
    }

    /// What the next answer's first frame is numbered, if a frame has come since the last one's.
    pub(super) fn answer_sequence(&mut self) -> Option<u8> {
        std::mem::take(&mut self.is_unanswered).then_some(self.sequence)
    }

    /// `written_sequence` is that of the next frame the other way, which a frame that comes may continue.
    pub(super) fn read(
        &mut self,
        wire: &[u8],
        plain: &mut [u8],
        codecs: &mut Codecs,
        written_sequence: u8,
    ) -> Result<Read, FrameError> {
        let mut read = Read::default();
        loop {
            let came = &wire[read.taken..];
            let room = &mut plain[read.given..];
            match &mut self.place {
                Place::Header { bytes, filled } => {
                    let more = came.len().min(FrameHeader::BYTES - *filled);
                    bytes[*filled..][..more].copy_from_slice(&came[..more]);
                    *filled += more;
                    read.taken += more;
                    if *filled < FrameHeader::BYTES {
                        return Ok(read);
                    }
                    let bytes = *bytes;
                    self.place = self.enter(bytes, codecs, written_sequence)?;
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
                    if !packed.go_on(came, room, &mut read)? {
                        return Ok(read);
                    }
                    if let Place::Packed(packed) = std::mem::replace(&mut self.place, BETWEEN) {
                        codecs.keep_decompressor(packed.decompressor);
                    }
                }
            }
        }
    }

    /// Begins a frame.
    fn enter(
        &mut self,
        header: [u8; FrameHeader::BYTES],
        codecs: &mut Codecs,
        written_sequence: u8,
    ) -> Result<Place, FrameError> {
        let FrameHeader {
            payload_bytes,
            sequence,
            plain_bytes,
        } = FrameHeader::decode(header);
        // a command may come before the last one is answered
        let continues = [0, self.sequence, written_sequence].contains(&sequence);
        self.sequence = sequence.wrapping_add(1);
        self.is_unanswered = true;
        if !continues {
            return Err(FrameError::Sequence { got: sequence });
        }
        if plain_bytes == 0 {
            return Ok(Place::Stored {
                left: payload_bytes,
            });
        }
        let decompressor = codecs.decompressor(self.algorithm);
        Ok(Place::Packed(Unpacking {
            plain_bytes,
            packed_left: payload_bytes,
            plain_left: plain_bytes,
            was_full: false,
            decompressor: decompressor.ok_or(FrameError::NoMemory)?,
        }))
    }
}

impl Unpacking {
    /// Goes on decompressing; true when the frame has ended as it must.
    fn go_on(
        &mut self,
        mut came: &[u8],
        mut room: &mut [u8],
        read: &mut Read,
    ) -> Result<bool, FrameError> {
        let wrong_length = FrameError::Length {
            plain_bytes: self.plain_bytes,
        };
        loop {
            if room.is_empty() && self.plain_left > 0 {
                self.was_full = true;
                read.is_full = true;
                return Ok(false);
            }
            let packed = &came[..self.packed_left.min(came.len())];
            // an algorithm holds something back only where it had no room
            if packed.is_empty() && self.packed_left > 0 && !self.was_full {
                return Ok(false);
            }
            // one byte of room is enough to see what goes beyond the length
            let mut beyond = [0];
            let plain = if self.plain_left == 0 {
                &mut beyond[..]
            } else {
                let most = self.plain_left.min(room.len());
                &mut room[..most]
            };
            let most = plain.len();
            let step = self
                .decompressor
                .step(packed, plain)
                .map_err(|Corrupt| FrameError::Corrupt)?;
            if self.plain_left == 0 && step.given > 0 {
                return Err(wrong_length);
            }
            self.was_full = step.given == most;
            self.packed_left -= step.taken;
            self.plain_left -= step.given;
            read.taken += step.taken;
            read.given += step.given;
            if step.ended {
                return match (self.packed_left, self.plain_left) {
                    (0, 0) => Ok(true),
                    (0, _) => Err(wrong_length),
                    _ => Err(FrameError::Corrupt),
                };
            }
            // it takes nothing of what it has, or waits for bytes that the frame does not have
            let stands_still = step.taken == 0 && step.given == 0;
            if stands_still && (!packed.is_empty() || self.packed_left == 0) {
                return Err(FrameError::Corrupt);
            }
            came = &came[step.taken..];
            room = &mut room[step.given..];
        }
    }
}
