//! Packets and the integers and strings in them.
//!
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html>

use thiserror::Error;

/// Bytes of a packet's header: three of length, one of sequence.
pub const HEADER_BYTES: usize = 4;

/// The longest payload of one packet; one of exactly this length is continued in the next.
pub const MAX_PAYLOAD_BYTES: usize = 0xFF_FFFF;

/// First byte of an OK packet.
pub const OK: u8 = 0x00;
/// First byte of an ERR packet.
pub const ERR: u8 = 0xFF;
/// First byte of an EOF packet, and of an `AuthSwitchRequest` during a login.
pub const EOF: u8 = 0xFE;

/// The four bytes before each payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Length of the payload that follows.
    pub payload_bytes: usize,
    /// Counts the packets of one exchange, from 0, modulo 256.
    pub sequence: u8,
}

impl Header {
    /// Reads a header.
    pub fn decode(bytes: [u8; HEADER_BYTES]) -> Self {
        let [a, b, c, sequence] = bytes;
        Self {
            payload_bytes: u32::from_le_bytes([a, b, c, 0]) as usize,
            sequence,
        }
    }

    /// The header at the start of `bytes` and what follows it, unless it is cut off.
    pub fn split(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (header, rest) = bytes.split_first_chunk()?;
        Some((Self::decode(*header), rest))
    }

    /// The header's four bytes. Only the low 24 bits of the length are used.
    pub fn encode(self) -> [u8; HEADER_BYTES] {
        let [a, b, c, ..] = self.payload_bytes.to_le_bytes();
        [a, b, c, self.sequence]
    }
}

/// A payload ended before, or goes on behind, what its form demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{field} is missing, cut off or longer than its packet")]
pub struct Malformed {
    /// The field that could not be read, in words.
    pub field: &'static str,
}

/// Reads a payload from its start. Each call names the field that it reads, for the error.
#[derive(Debug, Clone, Copy)]
pub struct PayloadReader<'a> {
    rest: &'a [u8],
}

impl<'a> PayloadReader<'a> {
    /// Begins at the payload's first byte.
    pub fn new(payload: &'a [u8]) -> Self {
        Self { rest: payload }
    }

    /// True when every byte was read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Everything that was not read yet.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// A fixed number of bytes.
    pub fn bytes(&mut self, count: usize, field: &'static str) -> Result<&'a [u8], Malformed> {
        let (read, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(Malformed { field })?;
        self.rest = rest;
        Ok(read)
    }

    /// A fixed number of bytes that is known beforehand.
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], Malformed> {
        let (read, rest) = self.rest.split_first_chunk().ok_or(Malformed { field })?;
        self.rest = rest;
        Ok(*read)
    }

    /// `int<1>`
    pub fn u8(&mut self, field: &'static str) -> Result<u8, Malformed> {
        self.array(field).map(u8::from_le_bytes)
    }

    /// `int<2>`
    pub fn u16(&mut self, field: &'static str) -> Result<u16, Malformed> {
        self.array(field).map(u16::from_le_bytes)
    }

    /// `int<4>`
    pub fn u32(&mut self, field: &'static str) -> Result<u32, Malformed> {
        self.array(field).map(u32::from_le_bytes)
    }

    /// `string<NUL>`, without its NUL.
    pub fn until_nul(&mut self, field: &'static str) -> Result<&'a [u8], Malformed> {
        let end = self
            .rest
            .iter()
            .position(|&byte| byte == 0)
            .ok_or(Malformed { field })?;
        let read = self.bytes(end, field)?;
        self.bytes(1, field)?;
        Ok(read)
    }

    /// `string<NUL>` that may also end with its packet, as several servers and clients send their last string.
    pub fn until_nul_or_end(&mut self) -> &'a [u8] {
        match self.until_nul("") {
            Ok(read) => read,
            Err(_) => self.rest(),
        }
    }

    /// `int<lenenc>`
    pub fn length_encoded_integer(&mut self, field: &'static str) -> Result<u64, Malformed> {
        let width = match self.u8(field)? {
            small @ 0..=0xFA => return Ok(u64::from(small)),
            0xFC => 2,
            0xFD => 3,
            0xFE => 8,
            0xFB | 0xFF => return Err(Malformed { field }),
        };
        let mut wide = [0; 8];
        wide[..width].copy_from_slice(self.bytes(width, field)?);
        Ok(u64::from_le_bytes(wide))
    }

    /// `string<lenenc>`
    pub fn length_encoded_bytes(&mut self, field: &'static str) -> Result<&'a [u8], Malformed> {
        let length = self.length_encoded_integer(field)?;
        self.bytes(
            usize::try_from(length).map_err(|_| Malformed { field })?,
            field,
        )
    }
}

/// Appends `int<lenenc>`.
pub fn put_length_encoded_integer(payload: &mut Vec<u8>, value: u64) {
    let bytes = value.to_le_bytes();
    match value {
        0..=0xFA => payload.push(bytes[0]),
        0xFB..=0xFFFF => {
            payload.push(0xFC);
            payload.extend_from_slice(&bytes[..2]);
        }
        0x1_0000..=0xFF_FFFF => {
            payload.push(0xFD);
            payload.extend_from_slice(&bytes[..3]);
        }
        _ => {
            payload.push(0xFE);
            payload.extend_from_slice(&bytes);
        }
    }
}

/// Appends `string<lenenc>`.
pub fn put_length_encoded_bytes(payload: &mut Vec<u8>, value: &[u8]) {
    put_length_encoded_integer(payload, value.len() as u64);
    payload.extend_from_slice(value);
}

/// Appends `string<NUL>`.
pub fn put_nul_terminated(payload: &mut Vec<u8>, value: &[u8]) {
    payload.extend_from_slice(value);
    payload.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values from the manual's table of length-encoded integers.
    const LENGTH_ENCODED: [(u64, &[u8]); 6] = [
        (0, &[0x00]),
        (250, &[0xFA]),
        (251, &[0xFC, 0xFB, 0x00]),
        (0xFFFF, &[0xFC, 0xFF, 0xFF]),
        (0x1_0000, &[0xFD, 0x00, 0x00, 0x01]),
        (
            0x100_0000,
            &[0xFE, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00],
        ),
    ];

    #[test]
    fn a_cut_off_length_encoded_integer_is_refused() {
        for (_, bytes) in LENGTH_ENCODED {
            let cut = &bytes[..bytes.len() - 1];
            assert!(
                PayloadReader::new(cut).length_encoded_integer("n").is_err(),
                "{cut:?}"
            );
        }
        assert!(
            PayloadReader::new(&[0xFB])
                .length_encoded_integer("n")
                .is_err()
        );
        assert!(
            PayloadReader::new(&[0xFF; 9])
                .length_encoded_integer("n")
                .is_err()
        );
    }

    #[test]
    fn a_string_longer_than_its_packet_is_refused() {
        assert!(
            PayloadReader::new(&[4, b'a', b'b', b'c'])
                .length_encoded_bytes("s")
                .is_err()
        );
        assert!(
            PayloadReader::new(&[0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, b'a'])
                .length_encoded_bytes("s")
                .is_err()
        );
        assert!(PayloadReader::new(b"abc").until_nul("s").is_err());
    }

    #[test]
    fn length_encoded_integers_are_as_the_manual_shows() {
        for (value, bytes) in LENGTH_ENCODED {
            let mut written = Vec::new();
            put_length_encoded_integer(&mut written, value);
            assert_eq!(written, bytes);
            assert_eq!(
                PayloadReader::new(bytes).length_encoded_integer("n"),
                Ok(value)
            );
        }
    }

    #[test]
    fn a_header_counts_its_payload_in_three_bytes() {
        let header = Header::decode([0x01, 0x02, 0x03, 0x2A]);
        assert_eq!((header.payload_bytes, header.sequence), (0x03_0201, 42));
        assert_eq!(header.encode(), [0x01, 0x02, 0x03, 0x2A]);
    }
}
