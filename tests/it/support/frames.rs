//! The compressed protocol, made and read by hand: <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_compression.html>
//!
//! zlib is `miniz_oxide`, which mytls does not use; zstd is what mytls uses, by its call for whole frames.

use std::io;

use super::packet::{LARGEST_PAYLOAD, packet};

/// What frames are compressed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Zlib,
    Zstd,
}

impl Method {
    pub(crate) const ALL: [Self; 2] = [Self::Zlib, Self::Zstd];

    pub(crate) fn compress(self, plain: &[u8]) -> Vec<u8> {
        match self {
            Self::Zlib => miniz_oxide::deflate::compress_to_vec_zlib(plain, 6),
            Self::Zstd => {
                let mut packed = Vec::with_capacity(zstd_safe::compress_bound(plain.len()));
                zstd_safe::compress(&mut packed, plain, 3).expect("compress");
                packed
            }
        }
    }

    fn decompress(self, packed: &[u8], plain_bytes: usize) -> io::Result<Vec<u8>> {
        match self {
            Self::Zlib => miniz_oxide::inflate::decompress_to_vec_zlib(packed)
                .map_err(|error| io::Error::other(error.to_string())),
            Self::Zstd => {
                let mut plain = Vec::with_capacity(plain_bytes);
                zstd_safe::decompress(&mut plain, packed)
                    .map_err(|code| io::Error::other(zstd_safe::get_error_name(code)))?;
                Ok(plain)
            }
        }
    }

    /// One compressed frame.
    pub(crate) fn frame(self, sequence: u8, plain: &[u8]) -> Vec<u8> {
        labelled(sequence, &self.compress(plain), plain.len())
    }
}

/// A frame whose header says that it holds `plain_bytes`; 0 where it is not compressed.
pub(crate) fn labelled(sequence: u8, payload: &[u8], plain_bytes: usize) -> Vec<u8> {
    let mut frame = packet(sequence, &[]);
    frame[..3].copy_from_slice(&payload.len().to_le_bytes()[..3]);
    frame.extend_from_slice(&plain_bytes.to_le_bytes()[..3]);
    frame.extend_from_slice(payload);
    frame
}

/// A client's side of a connection that is compressed.
#[derive(Debug)]
pub(crate) struct Frames {
    pub(crate) method: Method,
    /// Of the next frame, from whichever side.
    pub(crate) sequence: u8,
    /// What came in the last frame and was not read.
    pub(crate) unread: Vec<u8>,
    /// The lengths of the frames that came, before compression, and whether they were compressed.
    pub(crate) came: Vec<(usize, bool)>,
}

impl Frames {
    pub(crate) fn new(method: Method) -> Self {
        Self {
            method,
            sequence: 0,
            unread: Vec::new(),
            came: Vec::new(),
        }
    }

    /// Frames of at most 16 MiB, compressed if that makes sense.
    pub(crate) fn pack(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut frames = Vec::new();
        for piece in plain.chunks(LARGEST_PAYLOAD) {
            frames.extend(if piece.len() < 50 {
                labelled(self.sequence, piece, 0)
            } else {
                self.method.frame(self.sequence, piece)
            });
            self.sequence = self.sequence.wrapping_add(1);
        }
        frames
    }

    /// Reads the next frame; at the end nothing is unread behind it.
    pub(crate) fn fill(&mut self, wire: &mut impl io::Read) -> io::Result<()> {
        let mut header = [0; 7];
        if wire.read(&mut header[..1])? == 0 {
            return Ok(());
        }
        wire.read_exact(&mut header[1..])?;
        let length = |at: usize| {
            let [low, middle, high] = [header[at], header[at + 1], header[at + 2]].map(usize::from);
            low | middle << 8 | high << 16
        };
        let (packed_bytes, sequence, plain_bytes) = (length(0), header[3], length(4));
        if sequence != self.sequence {
            return Err(io::Error::other(format!(
                "frame {sequence} where {} was due",
                self.sequence
            )));
        }
        self.sequence = sequence.wrapping_add(1);
        let mut payload = vec![0; packed_bytes];
        wire.read_exact(&mut payload)?;
        self.unread = match plain_bytes {
            0 => payload,
            _ => self.method.decompress(&payload, plain_bytes)?,
        };
        if plain_bytes > 0 && self.unread.len() != plain_bytes {
            return Err(io::Error::other("a frame of another length than it says"));
        }
        self.came.push((self.unread.len(), plain_bytes > 0));
        Ok(())
    }
}
