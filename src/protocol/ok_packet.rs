//! OK packets, as far as mytls reads them outside the relay.
//!
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html>

use super::packet::{Malformed, PayloadReader};

/// Status flags of an OK payload (with its first byte) under protocol 4.1.
pub fn status_of_ok(payload: &[u8]) -> Result<u16, Malformed> {
    let mut reader = PayloadReader::new(payload);
    reader.u8("OK packet")?;
    reader.length_encoded_integer("affected rows")?;
    reader.length_encoded_integer("last insert id")?;
    reader.u16("status flags")
}

/// What a statement without rows has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OkPacket {
    /// Rows that it changed.
    pub affected_rows: u64,
    /// How many rows `SHOW WARNINGS` has.
    pub warnings: u16,
}

impl OkPacket {
    /// Reads an OK payload (with its first byte) under protocol 4.1.
    pub fn decode(payload: &[u8]) -> Result<Self, Malformed> {
        let mut reader = PayloadReader::new(payload);
        reader.u8("OK packet")?;
        let affected_rows = reader.length_encoded_integer("affected rows")?;
        reader.length_encoded_integer("last insert id")?;
        reader.u16("status flags")?;
        Ok(Self {
            affected_rows,
            warnings: reader.u16("warnings")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_flags_stand_behind_two_length_encoded_integers() {
        // the manual's own example
        assert_eq!(status_of_ok(b"\x00\x00\x00\x02\x00\x00\x00"), Ok(2));
        assert_eq!(
            status_of_ok(b"\x00\xfc\x00\x01\xfd\x00\x00\x01\x03\x00"),
            Ok(3)
        );
        assert!(status_of_ok(b"\x00\x00\x00\x02").is_err());
    }

    #[test]
    fn rows_and_warnings_are_counted() {
        // the manual's own example, and one with numbers in it
        let ok = |affected_rows, warnings| OkPacket {
            affected_rows,
            warnings,
        };
        assert_eq!(
            OkPacket::decode(b"\x00\x00\x00\x02\x00\x00\x00"),
            Ok(ok(0, 0))
        );
        assert_eq!(
            OkPacket::decode(b"\x00\xfc\x00\x01\x00\x02\x00\x03\x00"),
            Ok(ok(256, 3))
        );
        assert!(OkPacket::decode(b"\x00\x00\x00\x02\x00\x00").is_err());
    }
}
