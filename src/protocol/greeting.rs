//! The server's greeting, `HandshakeV10`: read from backends, made for clients.
//!
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html>

use super::capabilities::Capabilities;
use super::packet::{Malformed, PayloadReader, put_nul_terminated};
use super::server_kind::ServerKind;

/// Length of the scramble's salt.
pub const SALT_BYTES: usize = 20;
/// That length as greetings have it: the NUL behind the salt counts.
const SALT_LENGTH: u8 = 21;

const PROTOCOL_VERSION: u8 = 10;
/// `SERVER_STATUS_AUTOCOMMIT`, what every server greets with.
const STATUS: u16 = 2;
/// Only a hint: the backend switches to the account's own plugin. MySQL 9 has no older one left.
const DEFAULT_AUTH_PLUGIN: &[u8] = b"caching_sha2_password";

/// What a backend told of itself, as far as mytls hands it on or acts by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendGreeting {
    /// Version text, as sent.
    pub version: Vec<u8>,
    /// The backend's own id of this connection.
    pub connection_id: u32,
    /// What it can do.
    pub capabilities: Capabilities,
    /// Its default collation; the low byte of the id.
    pub collation: u8,
}

impl BackendGreeting {
    /// MariaDB greets without bit 0.
    pub fn is_mariadb(&self) -> bool {
        !self.capabilities.contains(Capabilities::CLIENT_MYSQL)
    }

    /// Which kind of server greets.
    pub fn server_kind(&self) -> ServerKind {
        if self.is_mariadb() {
            ServerKind::MariaDb
        } else {
            ServerKind::of_version(&String::from_utf8_lossy(&self.version))
        }
    }

    /// Reads a greeting payload. The salt is left out: the backend sends a fresh one in its `AuthSwitchRequest`.
    pub fn decode(payload: &[u8]) -> Result<Self, Malformed> {
        let mut reader = PayloadReader::new(payload);
        if reader.u8("protocol version")? != PROTOCOL_VERSION {
            return Err(Malformed {
                field: "protocol version 10",
            });
        }
        let version = reader.until_nul("server version")?.to_vec();
        let connection_id = reader.u32("connection id")?;
        reader.bytes(8, "salt, part 1")?;
        reader.u8("filler")?;
        let low = reader.u16("capabilities, lower half")?;
        let collation = reader.u8("character set")?;
        reader.u16("status")?;
        let high = reader.u16("capabilities, upper half")?;
        reader.u8("salt length")?;
        reader.bytes(6, "reserved")?;
        let extended = reader.u32("reserved")?;
        let mysql = Capabilities::from_mysql(u32::from(low) | u32::from(high) << 16);
        let is_mariadb = !mysql.contains(Capabilities::CLIENT_MYSQL);
        Ok(Self {
            version,
            connection_id,
            capabilities: if is_mariadb {
                mysql.with_extended(extended)
            } else {
                mysql
            },
            collation,
        })
    }
}

/// The greeting that a client gets from mytls.
#[derive(Debug)]
pub struct ClientGreeting<'a> {
    /// Version text: on the data port that of the route's backend.
    pub version: &'a [u8],
    /// mytls' id of this session.
    pub connection_id: u32,
    /// Fresh random bytes without NUL. On the data port no scramble made with them is ever checked.
    pub salt: &'a [u8; SALT_BYTES],
    /// What is offered.
    pub capabilities: Capabilities,
    /// Collation of the strings that follow; on the data port that of the route's backend.
    pub collation: u8,
}

impl ClientGreeting<'_> {
    /// The greeting's payload.
    pub fn encode(&self) -> Vec<u8> {
        let [low_a, low_b, high_a, high_b] = self.capabilities.mysql().to_le_bytes();
        let (salt_1, salt_2) = self.salt.split_at(8);
        let mut payload = vec![PROTOCOL_VERSION];
        put_nul_terminated(&mut payload, self.version);
        payload.extend_from_slice(&self.connection_id.to_le_bytes());
        put_nul_terminated(&mut payload, salt_1);
        payload.extend_from_slice(&[low_a, low_b, self.collation]);
        payload.extend_from_slice(&STATUS.to_le_bytes());
        payload.extend_from_slice(&[high_a, high_b]);
        payload.push(SALT_LENGTH);
        payload.extend_from_slice(&[0; 6]);
        payload.extend_from_slice(&self.capabilities.extended().to_le_bytes());
        put_nul_terminated(&mut payload, salt_2);
        put_nul_terminated(&mut payload, DEFAULT_AUTH_PLUGIN);
        payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The greeting of a MySQL 5.5.2 that the manual shows, without its header.
    const FROM_THE_MANUAL: &[u8] = b"\x0a5.5.2-m2\x00\x0b\x00\x00\x00\x64\x76\x48\x40\x49\x2d\x43\x4a\x00\xff\xf7\x08\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x2a\x34\x64\x7c\x63\x5a\x77\x6b\x34\x5e\x5d\x3a\x00";

    #[test]
    fn a_cut_off_greeting_is_refused() {
        for end in 0..41 {
            assert!(
                BackendGreeting::decode(&FROM_THE_MANUAL[..end]).is_err(),
                "{end}"
            );
        }
        assert!(BackendGreeting::decode(&[&[9], &FROM_THE_MANUAL[1..]].concat()).is_err());
    }

    #[test]
    fn the_manuals_greeting_is_read() {
        let greeting = BackendGreeting::decode(FROM_THE_MANUAL).expect("the manual's own bytes");
        assert_eq!(greeting.version, b"5.5.2-m2");
        assert_eq!(greeting.connection_id, 11);
        assert_eq!(greeting.capabilities, Capabilities::from_mysql(0xF7FF));
        assert_eq!(greeting.collation, 8);
    }

    #[test]
    fn mariadb_greets_with_extended_capabilities() {
        // MariaDB 10.11.14: CLIENT_MYSQL cleared, the last four reserved bytes in use
        let bytes = b"\x0a5.5.5-10.11.14-MariaDB-0+deb12u2\x00\x1f\x00\x00\x00abcdefgh\x00\xfe\xf7\x2d\x02\x00\xff\x81\x15\x00\x00\x00\x00\x00\x00\x1d\x00\x00\x00abcdefghijkl\x00mysql_native_password\x00";
        let capabilities = BackendGreeting::decode(bytes)
            .expect("MariaDB's own bytes")
            .capabilities;
        assert_eq!(
            (capabilities.mysql(), capabilities.extended()),
            (0x81FF_F7FE, 0x1D)
        );
    }

    #[test]
    fn a_client_is_greeted_with_all_fields_in_their_places() {
        let payload = ClientGreeting {
            version: b"9.7.4",
            connection_id: 0x8000_0001,
            salt: b"abcdefghijklmnopqrst",
            capabilities: Capabilities::from_mysql(0xA1B2_C3D4).with_extended(0x1D),
            collation: 255,
        }
        .encode();
        assert_eq!(
            payload,
            b"\x0a9.7.4\x00\x01\x00\x00\x80abcdefgh\x00\xd4\xc3\xff\x02\x00\xb2\xa1\x15\x00\x00\x00\x00\x00\x00\x1d\x00\x00\x00ijklmnopqrst\x00caching_sha2_password\x00"
        );
    }
}
