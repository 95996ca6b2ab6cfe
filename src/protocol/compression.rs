//! The compressed protocol: behind the login, packets of both directions travel in frames. A frame holds a piece of the
//! stream of packets, compressed by itself or as it is; to the protocol it may be of any length and cut anywhere.
//!
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_compression.html>

mod algorithm;
mod codecs;
mod frame_header;
mod reader;
mod writer;

use thiserror::Error;

pub use self::algorithm::{Algorithm, WrongLevel};
pub use self::codecs::Codecs;
pub use self::reader::Read;
use self::reader::Reader;
use self::writer::Writer;

/// What is wrong with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// It begins no command and continues nothing.
    #[error("a compressed frame has number {got}, which continues nothing")]
    Sequence {
        /// Its number.
        got: u8,
    },
    /// It does not decompress.
    #[error("a compressed frame is broken")]
    Corrupt,
    /// It says more, or less, than its header says.
    #[error("a compressed frame is not {plain_bytes} bytes long as its header says")]
    Length {
        /// Its length before compression, by its header.
        plain_bytes: usize,
    },
    /// There is nothing to compress or decompress it with.
    #[error("no memory for a compressed frame")]
    NoMemory,
}

/// Both directions of one session from its login on.
#[derive(Debug)]
pub struct Frames {
    reader: Reader,
    writer: Writer,
}

impl Frames {
    /// A session whose login has just ended.
    pub fn new(algorithm: Algorithm) -> Self {
        Self {
            reader: Reader::new(algorithm),
            writer: Writer::new(algorithm),
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
        self.reader.read(wire, plain, codecs, self.writer.sequence)
    }

    /// What is written next answers what was read last, and is numbered behind it. Not to be called within a response: a
    /// command may come before the last one is answered, where a server would not have read it yet.
    pub fn answer(&mut self) {
        if let Some(sequence) = self.reader.answer_sequence() {
            self.writer.sequence = sequence;
        }
    }

    /// Takes packets, or pieces of them, and appends frames to `wire`.
    ///
    /// No frame ends within a short packet, and none but those of nearly 16 MiB within any: Connector/Python looks for the
    /// rest of a packet in one more frame and no further, and not for that of its header (run: 26.10).
    pub fn write(
        &mut self,
        plain: &[u8],
        wire: &mut Vec<u8>,
        codecs: &mut Codecs,
    ) -> Result<(), FrameError> {
        self.writer.write(plain, wire, codecs)
    }
}

#[cfg(test)]
mod tests;
