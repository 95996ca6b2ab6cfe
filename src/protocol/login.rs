//! The client's first packets: `SSLRequest` and `HandshakeResponse41`. Read from clients, made for backends.
//!
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_response.html>

use std::fmt;

use super::attributes::Attributes;
use super::auth_plugin::is_password;
use super::capabilities::Capabilities;
use super::packet::{Malformed, PayloadReader, put_length_encoded_bytes, put_nul_terminated};

/// Length of an `SSLRequest`'s payload, and of the head that every login begins with.
pub const HEAD_BYTES: usize = 32;

/// Named in every login that mytls sends. No server knows it, so each answers with an `AuthSwitchRequest` that names
/// the account's own plugin and carries a salt of its own, which the client can answer (its first scramble was made
/// with *our* salt and fits no server).
pub const UNKNOWN_AUTH_PLUGIN: &[u8] = b"mytls_asks_for_the_plugin";

/// Stands in place of the client's authentication data, which may be a password in clear
/// (`mysql --default-auth=mysql_clear_password` sends one unasked). As long as a scramble.
const FILLER_AUTH_DATA: [u8; 20] = [0; 20];

/// What mytls sends as authentication data: nothing of the client's, but as empty as the client's, since servers
/// tell by that whether a password was used.
pub(super) fn filler_auth_data(using_password: bool) -> &'static [u8] {
    if using_password {
        &FILLER_AUTH_DATA
    } else {
        &[]
    }
}

/// The first 32 bytes of a login, which are the whole of an `SSLRequest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginHead {
    /// What the client wants and can do.
    pub capabilities: Capabilities,
    /// The longest packet that the client will take.
    pub max_packet_bytes: u32,
    /// Low byte of the collation id; it names the character set of the strings that follow.
    pub collation: u8,
}

impl LoginHead {
    /// Reads the head of a payload and leaves the rest in the reader.
    fn read(reader: &mut PayloadReader<'_>) -> Result<Self, Malformed> {
        let mysql = Capabilities::from_mysql(reader.u32("capabilities")?);
        let max_packet_bytes = reader.u32("max packet size")?;
        let collation = reader.u8("character set")?;
        reader.bytes(19, "filler")?;
        let extended = reader.u32("filler")?;
        let is_mariadb = !mysql.contains(Capabilities::CLIENT_MYSQL);
        Ok(Self {
            capabilities: if is_mariadb {
                mysql.with_extended(extended)
            } else {
                mysql
            },
            max_packet_bytes,
            collation,
        })
    }

    /// Reads the head of a client's first payload.
    pub fn decode(payload: &[u8]) -> Result<Self, Malformed> {
        Self::read(&mut PayloadReader::new(payload))
    }

    /// An `SSLRequest`'s payload.
    pub fn encode(&self) -> [u8; HEAD_BYTES] {
        let mut head = [0; HEAD_BYTES];
        head[..4].copy_from_slice(&self.capabilities.mysql().to_le_bytes());
        head[4..8].copy_from_slice(&self.max_packet_bytes.to_le_bytes());
        head[8] = self.collation;
        head[28..].copy_from_slice(&self.capabilities.extended().to_le_bytes());
        head
    }
}

/// What a client proves itself with; it may be a password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AuthData<'a>(pub &'a [u8]);

/// Never shown.
impl fmt::Debug for AuthData<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthData")
    }
}

/// A client's login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login<'a> {
    /// The head of this packet (not of an `SSLRequest` before it).
    pub head: LoginHead,
    /// User name as sent, in the announced character set.
    pub user: &'a [u8],
    /// Whether authentication data came with it.
    pub using_password: bool,
    /// The data itself, which concerns mytls alone: it is made with our salt, or a password.
    pub auth_data: AuthData<'a>,
    /// The plugin that made it; may be empty.
    pub auth_plugin: &'a [u8],
    /// Database, if one is named; may be empty.
    pub database: Option<&'a [u8]>,
    /// Connection attributes.
    pub attributes: Attributes<'a>,
    /// Level of zstd that the client asks for; only where its flags say that it can do zstd.
    pub zstd_level: Option<u8>,
}

impl<'a> Login<'a> {
    /// Reads a login by `flags`: those of the `SSLRequest` before it, if there was one, since MySQL and MariaDB go by
    /// these. They must hold [`Capabilities::REQUIRED`].
    pub fn decode(payload: &'a [u8], flags: Capabilities) -> Result<Self, Malformed> {
        let mut reader = PayloadReader::new(payload);
        let head = LoginHead::read(&mut reader)?;
        let user = reader.until_nul("user name")?;
        let auth_data = if flags.contains(Capabilities::PLUGIN_AUTH_LENENC_CLIENT_DATA) {
            reader.length_encoded_bytes("authentication data")?
        } else {
            let length = reader.u8("authentication data")?;
            reader.bytes(usize::from(length), "authentication data")?
        };
        let database = flags
            .contains(Capabilities::CONNECT_WITH_DB)
            .then(|| reader.until_nul_or_end());
        let auth_plugin = reader.until_nul_or_end();
        let attributes = Attributes::read(&mut reader, flags)?;
        let zstd_level = flags
            .contains(Capabilities::ZSTD_COMPRESSION)
            .then(|| reader.u8("level of zstd").ok())
            .flatten();
        Ok(Self {
            head,
            user,
            using_password: is_password(auth_data),
            auth_data: AuthData(auth_data),
            auth_plugin,
            database,
            attributes,
            zstd_level,
        })
    }
}

/// The login that mytls sends to a backend in a client's name.
#[derive(Debug)]
pub struct BackendLogin<'a> {
    /// The same as in the `SSLRequest` before it, if there was one.
    pub head: LoginHead,
    /// The canonical name, in the announced character set.
    pub user: &'a [u8],
    /// Whether the client sent authentication data.
    pub using_password: bool,
    /// Database, if the client named one.
    pub database: Option<&'a [u8]>,
    /// Encoded connection attributes, without their length.
    pub attributes: &'a [u8],
}

impl BackendLogin<'_> {
    /// The login's payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut payload = self.head.encode().to_vec();
        put_nul_terminated(&mut payload, self.user);
        // a length below 251 has the same form with and without PLUGIN_AUTH_LENENC_CLIENT_DATA
        put_length_encoded_bytes(&mut payload, filler_auth_data(self.using_password));
        if self
            .head
            .capabilities
            .contains(Capabilities::CONNECT_WITH_DB)
        {
            put_nul_terminated(&mut payload, self.database.unwrap_or_default());
        }
        put_nul_terminated(&mut payload, UNKNOWN_AUTH_PLUGIN);
        if self.head.capabilities.contains(Capabilities::CONNECT_ATTRS) {
            put_length_encoded_bytes(&mut payload, self.attributes);
        }
        payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The `HandshakeResponse41` with attributes that the manual shows (MySQL 5.6.6), without its header.
    const FROM_THE_MANUAL: &[u8] = b"\x8d\xa6\x0f\x00\x00\x00\x00\x01\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00pam\x00\x14\xab\x09\xee\xf6\xbc\xb1\x32\x3e\x61\x14\x38\x65\xc0\x99\x1d\x95\x7d\x75\xd4\x47test\x00mysql_native_password\x00";

    fn flags() -> Capabilities {
        LoginHead::decode(FROM_THE_MANUAL)
            .expect("a whole head")
            .capabilities
    }

    #[test]
    fn a_login_cut_off_before_its_authentication_data_ends_is_refused() {
        for end in 0..57 {
            assert!(
                Login::decode(&FROM_THE_MANUAL[..end], flags()).is_err(),
                "{end}"
            );
        }
    }

    #[test]
    fn the_manuals_login_is_read() {
        let login = Login::decode(FROM_THE_MANUAL, flags()).expect("the manual's own bytes");
        assert_eq!(login.user, b"pam");
        assert_eq!(login.database, Some(&b"test"[..]));
        assert_eq!(
            (login.head.collation, login.head.max_packet_bytes),
            (8, 0x0100_0000)
        );
        assert!(login.using_password);
        assert_eq!(login.auth_plugin, b"mysql_native_password");
        assert_eq!(login.auth_data.0.len(), 20);
    }

    #[test]
    fn database_and_plugin_may_be_missing_at_the_end_although_flagged() {
        let login = Login::decode(&FROM_THE_MANUAL[..57], flags()).expect("clients send this");
        assert_eq!(login.database, Some(&b""[..]));
    }

    #[test]
    fn a_backend_login_carries_no_byte_of_the_clients_authentication_data() {
        let head = LoginHead {
            capabilities: Capabilities::REQUIRED
                | Capabilities::CONNECT_WITH_DB
                | Capabilities::CONNECT_ATTRS,
            max_packet_bytes: 0x0100_0000,
            collation: 45,
        };
        let mut login = BackendLogin {
            head,
            user: b"app",
            using_password: true,
            database: Some(b"db"),
            attributes: b"\x01a\x01b",
        };
        let begin = b"\x08\x82\x18\x00\x00\x00\x00\x01\x2d\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00app\x00";
        let end = b"db\x00mytls_asks_for_the_plugin\x00\x04\x01a\x01b";
        assert_eq!(login.encode(), [&begin[..], &[20], &[0; 20], end].concat());
        login.using_password = false;
        assert_eq!(login.encode(), [&begin[..], &[0], end].concat());
    }
}
