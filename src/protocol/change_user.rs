//! `COM_CHANGE_USER`: a second login on the same connection.
//!
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_change_user.html>

use super::attributes::Attributes;
use super::auth_plugin::is_password;
use super::capabilities::Capabilities;
use super::login::{UNKNOWN_AUTH_PLUGIN, filler_auth_data};
use super::packet::{Malformed, PayloadReader, put_length_encoded_bytes, put_nul_terminated};

/// The command's byte.
pub const COM_CHANGE_USER: u8 = 0x11;

/// A client's `COM_CHANGE_USER`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeUser<'a> {
    /// User name as sent, in the character set of `collation`.
    pub user: &'a [u8],
    /// Whether authentication data came with it.
    pub using_password: bool,
    /// Database; empty for none.
    pub database: &'a [u8],
    /// Collation id.
    pub collation: u16,
    /// Connection attributes.
    pub attributes: Attributes<'a>,
}

impl<'a> ChangeUser<'a> {
    /// Reads the command's payload. One that names no character set is refused: what its user name means is not
    /// certain then.
    pub fn decode(payload: &'a [u8], flags: Capabilities) -> Result<Self, Malformed> {
        let mut reader = PayloadReader::new(payload);
        if reader.u8("command")? != COM_CHANGE_USER {
            return Err(Malformed { field: "command" });
        }
        let user = reader.until_nul("user name")?;
        let length = reader.u8("authentication data")?;
        let auth_data = reader.bytes(usize::from(length), "authentication data")?;
        let database = reader.until_nul("database")?;
        let collation = reader.u16("character set")?;
        // the plugin is the backend's to choose
        reader.until_nul_or_end();
        Ok(Self {
            user,
            using_password: is_password(auth_data),
            database,
            collation,
            attributes: Attributes::read(&mut reader, flags)?,
        })
    }
}

/// The `COM_CHANGE_USER` that mytls sends to a backend in a client's name.
#[derive(Debug)]
pub struct BackendChangeUser<'a> {
    /// The canonical name, in the character set of `collation`.
    pub user: &'a [u8],
    /// Whether the client sent authentication data.
    pub using_password: bool,
    /// Database; empty for none.
    pub database: &'a [u8],
    /// Collation id.
    pub collation: u16,
    /// Encoded connection attributes, without their length. Always sent where the login announced attributes: without
    /// them servers refuse the command.
    pub attributes: &'a [u8],
}

impl BackendChangeUser<'_> {
    /// The command's payload, for a connection with these capabilities.
    pub fn encode(&self, capabilities: Capabilities) -> Vec<u8> {
        let mut payload = vec![COM_CHANGE_USER];
        put_nul_terminated(&mut payload, self.user);
        put_length_encoded_bytes(&mut payload, filler_auth_data(self.using_password));
        put_nul_terminated(&mut payload, self.database);
        payload.extend_from_slice(&self.collation.to_le_bytes());
        put_nul_terminated(&mut payload, UNKNOWN_AUTH_PLUGIN);
        if capabilities.contains(Capabilities::CONNECT_ATTRS) {
            put_length_encoded_bytes(&mut payload, self.attributes);
        }
        payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMAND: &[u8] =
        b"\x11app\x00\x03xyzdb\x00\xff\x00caching_sha2_password\x00\x04\x01a\x01b";

    #[test]
    fn a_change_of_user_without_a_character_set_is_refused() {
        assert!(ChangeUser::decode(b"\x11app\x00\x00db\x00", Capabilities::REQUIRED).is_err());
        assert!(ChangeUser::decode(b"\x11app\x00\x00db\x00\xff", Capabilities::REQUIRED).is_err());
        assert!(
            ChangeUser::decode(b"\x11app\x00\x09xyzdb\x00\xff\x00", Capabilities::REQUIRED)
                .is_err()
        );
    }

    #[test]
    fn a_change_of_user_is_read_as_the_manual_lays_it_out() {
        let read = ChangeUser::decode(COMMAND, Capabilities::CONNECT_ATTRS).expect("whole");
        assert_eq!(
            (read.user, read.database, read.collation),
            (&b"app"[..], &b"db"[..], 255)
        );
        assert!(read.using_password);
        assert_eq!(read.attributes.encode_behind(&[]), b"\x01a\x01b");
    }

    #[test]
    fn the_backend_gets_the_same_without_the_authentication_data() {
        let command = BackendChangeUser {
            user: b"app",
            using_password: false,
            database: b"db",
            collation: 255,
            attributes: b"\x01a\x01b",
        };
        assert_eq!(
            command.encode(Capabilities::CONNECT_ATTRS),
            b"\x11app\x00\x00db\x00\xff\x00mytls_asks_for_the_plugin\x00\x04\x01a\x01b"
        );
    }
}
