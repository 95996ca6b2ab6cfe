//! What each frame begins with.

use super::super::packet::{HEADER_BYTES, Header};

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// Of what follows it.
    pub(super) payload_bytes: usize,
    /// Counts the frames of one exchange, from 0, modulo 256.
    pub(super) sequence: u8,
    /// Of the payload before compression; 0 where it is not compressed.
    pub(super) plain_bytes: usize,
}

impl FrameHeader {
    /// On the wire.
    pub(super) const BYTES: usize = 7;

    pub(super) fn decode(bytes: [u8; Self::BYTES]) -> Self {
        let [packet @ .., low, middle, high] = bytes;
        let Header {
            payload_bytes,
            sequence,
        } = Header::decode(packet);
        Self {
            payload_bytes,
            sequence,
            plain_bytes: u32::from_le_bytes([low, middle, high, 0]) as usize,
        }
    }

    pub(super) fn encode(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let packet = Header {
            payload_bytes: self.payload_bytes,
            sequence: self.sequence,
        };
        bytes[..HEADER_BYTES].copy_from_slice(&packet.encode());
        bytes[HEADER_BYTES..].copy_from_slice(&self.plain_bytes.to_le_bytes()[..3]);
        bytes
    }
}
