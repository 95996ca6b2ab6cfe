//! From packet header to packet header in one direction.

use super::super::packet::{Header, MAX_PAYLOAD_BYTES};
use super::{Side, Violation};

/// One direction's place within a packet.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Walk {
    /// Payload bytes of the packet under way that have not come yet.
    pub(super) left: usize,
    /// The packet under way, or the last one, is full: the next one goes on with it.
    pub(super) continues: bool,
    /// Sequence number of the next packet.
    pub(super) sequence: u8,
}

impl Walk {
    /// Starts a packet: its number must be the next one.
    pub(super) fn enter(&mut self, side: Side, header: Header) -> Result<(), Violation> {
        if header.sequence != self.sequence {
            return Err(Violation::Sequence {
                side,
                expected: self.sequence,
                got: header.sequence,
            });
        }
        self.sequence = header.sequence.wrapping_add(1);
        self.left = header.payload_bytes;
        self.continues = header.payload_bytes == MAX_PAYLOAD_BYTES;
        Ok(())
    }

    /// Passes over so much of the packet as there is, and says how much.
    pub(super) fn pass(&mut self, available: usize) -> usize {
        let passed = self.left.min(available);
        self.left -= passed;
        passed
    }

    /// Whether the packet, and what continues it, has come whole.
    pub(super) const fn is_over(&self) -> bool {
        self.left == 0 && !self.continues
    }
}
