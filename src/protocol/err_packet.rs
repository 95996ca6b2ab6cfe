//! ERR packets: read from backends, made for clients.
//!
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_err_packet.html>

use std::borrow::Cow;

use super::packet::{ERR, Header, Malformed, PayloadReader};

/// An error as a client reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrPacket {
    /// MySQL's error number.
    pub code: u16,
    /// SQLSTATE, five characters; empty in an ERR that stands in place of a greeting.
    pub sql_state: Cow<'static, str>,
    /// Text for people.
    pub message: String,
}

impl ErrPacket {
    /// An error of mytls' own.
    pub fn new(code: u16, sql_state: &'static str, message: impl Into<String>) -> Self {
        debug_assert_eq!(sql_state.len(), 5, "an SQLSTATE has five characters");
        Self {
            code,
            sql_state: sql_state.into(),
            message: message.into(),
        }
    }

    /// The ERR packet that received bytes begin with, if it is one and whole.
    pub fn find(bytes: &[u8]) -> Option<Self> {
        let (header, rest) = Header::split(bytes)?;
        Self::decode(rest.get(..header.payload_bytes)?).ok()
    }

    /// Reads an ERR payload (with its first byte), with or without SQLSTATE.
    pub fn decode(payload: &[u8]) -> Result<Self, Malformed> {
        let mut reader = PayloadReader::new(payload);
        if reader.u8("ERR packet")? != ERR {
            return Err(Malformed {
                field: "ERR packet",
            });
        }
        let code = reader.u16("error code")?;
        let rest = reader.rest();
        let (sql_state, message) = match rest.split_first_chunk::<6>() {
            Some(([b'#', state @ ..], message)) => (state.as_slice(), message),
            _ => (&[][..], rest),
        };
        Ok(Self {
            code,
            sql_state: String::from_utf8_lossy(sql_state).into_owned().into(),
            message: String::from_utf8_lossy(message).into_owned(),
        })
    }

    /// The payload with SQLSTATE, for a client that has said hello.
    pub fn encode(&self) -> Vec<u8> {
        let mut payload = self.encode_in_place_of_greeting();
        payload.splice(3..3, std::iter::once(b'#').chain(self.sql_state.bytes()));
        payload
    }

    /// The payload without SQLSTATE: before a client has told its capabilities it would print one as text.
    pub fn encode_in_place_of_greeting(&self) -> Vec<u8> {
        let mut payload = vec![ERR];
        payload.extend_from_slice(&self.code.to_le_bytes());
        payload.extend_from_slice(self.message.as_bytes());
        payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The manual's own example of an ERR packet, without its header.
    const FROM_THE_MANUAL: &[u8] = b"\xff\x48\x04#HY000No tables used";

    #[test]
    fn a_cut_off_err_packet_is_refused() {
        for cut in [&b""[..], b"\xff", b"\xff\x48"] {
            assert!(ErrPacket::decode(cut).is_err(), "{cut:?}");
        }
        assert!(ErrPacket::decode(b"\x00\x48\x04").is_err());
    }

    #[test]
    fn an_err_packet_is_as_in_the_manual() {
        let error = ErrPacket::new(1096, "HY000", "No tables used");
        assert_eq!(error.encode(), FROM_THE_MANUAL);
        assert_eq!(ErrPacket::decode(FROM_THE_MANUAL), Ok(error));
    }

    #[test]
    fn in_place_of_a_greeting_there_is_no_sqlstate() {
        let bytes = b"\xff\x10\x04Too many connections";
        let error = ErrPacket::new(1040, "08004", "Too many connections");
        assert_eq!(error.encode_in_place_of_greeting(), bytes);
        assert_eq!(
            ErrPacket::decode(bytes).map(|read| (read.code, read.message)),
            Ok((1040, error.message))
        );
    }
}
