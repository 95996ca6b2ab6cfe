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
}
