//! Connection attributes: what a client tells of itself, and what mytls tells the backend of the client.
//!
//! <https://dev.mysql.com/doc/refman/en/performance-schema-connection-attribute-tables.html>

use super::capabilities::Capabilities;
use super::packet::{Malformed, PayloadReader, put_length_encoded_bytes};

/// Names that begin so are mytls' own: a client's are dropped, so that none can be forged.
const OURS: &[u8] = b"_mytls_";

/// The most that servers take, all attributes together. A login with more is a broken handshake to them, which counts
/// towards `max_connect_errors` (run: MySQL 9.7, MariaDB).
const MOST_BYTES: usize = 0xFFFF;

/// A client's connection attributes, checked to be whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes<'a> {
    /// Pairs of length-encoded strings.
    pairs: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// Reads the attributes that a packet ends with, if `flags` and the packet have any.
    pub(super) fn read(
        reader: &mut PayloadReader<'a>,
        flags: Capabilities,
    ) -> Result<Self, Malformed> {
        if !flags.contains(Capabilities::CONNECT_ATTRS) || reader.is_empty() {
            return Ok(Self::default());
        }
        let attributes = Self {
            pairs: reader.length_encoded_bytes("connection attributes")?,
        };
        let mut pairs = PayloadReader::new(attributes.pairs);
        while !pairs.is_empty() {
            read_pair(&mut pairs)?;
        }
        Ok(attributes)
    }

    /// The attributes for the backend, encoded without their length in all: `ours` first, because a server keeps only
    /// the first 512 bytes, then the client's other than those that look like ours. What would make them more than any
    /// server takes is left out.
    pub fn encode_behind(&self, ours: &[(&str, String)]) -> Vec<u8> {
        let mut encoded = Vec::with_capacity(MOST_BYTES.min(self.pairs.len() + 256));
        for (name, value) in ours {
            put_pair(&mut encoded, name.as_bytes(), value.as_bytes());
        }
        let mut pairs = PayloadReader::new(self.pairs);
        while let Ok((name, value)) = read_pair(&mut pairs) {
            if !name.to_ascii_lowercase().starts_with(OURS) {
                put_pair(&mut encoded, name, value);
            }
        }
        encoded
    }
}

/// Appends a pair, if there is room for it.
fn put_pair(encoded: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    let before = encoded.len();
    put_length_encoded_bytes(encoded, name);
    put_length_encoded_bytes(encoded, value);
    if encoded.len() > MOST_BYTES {
        encoded.truncate(before);
    }
}

fn read_pair<'a>(pairs: &mut PayloadReader<'a>) -> Result<(&'a [u8], &'a [u8]), Malformed> {
    let name = pairs.length_encoded_bytes("connection attribute's name")?;
    let value = pairs.length_encoded_bytes("connection attribute's value")?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Attributes<'_>, Malformed> {
        Attributes::read(&mut PayloadReader::new(bytes), Capabilities::CONNECT_ATTRS)
    }

    #[test]
    fn attributes_with_lying_lengths_are_refused() {
        for lie in [
            &b"\x05\x01a\x01b"[..],
            b"\x04\x01a\x02b",
            b"\x02\x01a",
            b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x01\xff",
        ] {
            assert!(read(lie).is_err(), "{lie:?}");
        }
    }

    #[test]
    fn a_clients_attributes_cannot_pass_for_ours() {
        let clients =
            read(b"\x23\x0d_mytls_client\x02no\x04_pid\x0242\x07_MYTLS_\x01x").expect("whole");
        assert_eq!(
            clients.encode_behind(&[("_mytls_a", "1".to_owned())]),
            b"\x08_mytls_a\x011\x04_pid\x0242"
        );
    }

    #[test]
    fn no_more_is_sent_than_servers_take() {
        let large = |name: &[u8], value_bytes: u8| {
            let value = [
                &[0xfd, 0, value_bytes, 0][..],
                &vec![b'v'; usize::from(value_bytes) << 8],
            ];
            [&[1], name, &value.concat()].concat()
        };
        let pairs = [large(b"a", 0x80), large(b"b", 0x80), large(b"c", 0x70)].concat();
        let clients = Attributes { pairs: &pairs };
        let encoded = clients.encode_behind(&[("_mytls_a", "1".to_owned())]);
        assert!(encoded.len() <= 65_535, "{}", encoded.len());
        assert_eq!(
            encoded.len(),
            11 + 2 + 3 + 0x8000 + 2 + 3 + 0x7000,
            "a and c fit"
        );
        let ours = [("_mytls_client_subject", "x".repeat(70_000))];
        assert_eq!(Attributes::default().encode_behind(&ours), b"");
    }

    #[test]
    fn no_attributes_are_fine() {
        assert_eq!(read(b""), Ok(Attributes::default()));
        assert_eq!(read(b"\x00"), Ok(Attributes::default()));
    }
}
