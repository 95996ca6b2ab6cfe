//! Authentication plugins, as far as a relay of their packets must know them, and the packets that carry them.
//!
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html>

use super::greeting::SALT_BYTES;
use super::packet::{EOF, ERR, Malformed, OK, PayloadReader};

/// Length of an answer of `mysql_native_password`, which may also be empty.
const NATIVE_BYTES: usize = 20;
/// First byte of an `AuthMoreData` packet.
const MORE_DATA: u8 = 0x01;
/// Length of an answer of `client_ed25519`.
const ED25519_BYTES: usize = 64;

/// Whether authentication data says that there is a password. MySQL's shell sends one NUL for an empty one.
pub fn is_password(auth_data: &[u8]) -> bool {
    !matches!(auth_data, [] | [0])
}

/// How a plugin treats the password once the scramble is not enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthPlugin {
    /// `caching_sha2_password`, and TiDB's `tidb_sm3_password`, which speaks the same: `01 04` asks for the password,
    /// in clear on a secure side, RSA-encrypted on an insecure one.
    CachingSha2,
    /// `sha256_password`: asks for the password at once, in the same two ways.
    Sha256,
    /// `mysql_clear_password`, `dialog`: always in clear.
    ClearText,
    /// `mysql_native_password`.
    Native,
    /// MariaDB's `client_ed25519`.
    Ed25519,
    /// MariaDB's `parsec`.
    Parsec,
    /// Any other: its packets mean the same on either kind of side.
    Opaque,
}

impl AuthPlugin {
    /// By the name that an `AuthSwitchRequest` carries.
    pub fn by_name(name: &[u8]) -> Self {
        match name {
            b"caching_sha2_password" | b"tidb_sm3_password" => Self::CachingSha2,
            b"sha256_password" => Self::Sha256,
            b"mysql_clear_password" | b"dialog" => Self::ClearText,
            b"mysql_native_password" => Self::Native,
            b"client_ed25519" => Self::Ed25519,
            b"parsec" => Self::Parsec,
            _ => Self::Opaque,
        }
    }

    /// Whether a password may go in clear over a Unix socket. `sha256_password` trusts TLS alone: it encrypts there too
    /// (run: MySQL 9.7 and its shell).
    pub fn trusts_unix_sockets(self) -> bool {
        self != Self::Sha256
    }

    /// How a client on an insecure side asks for the RSA key to encrypt the password with, where the plugin knows that.
    pub fn key_request(self) -> Option<u8> {
        match self {
            Self::CachingSha2 => Some(0x02),
            Self::Sha256 => Some(0x01),
            Self::ClearText | Self::Native | Self::Ed25519 | Self::Parsec | Self::Opaque => None,
        }
    }

    /// "No password", as a server takes it. An empty answer is not always that: to `01 04` and to `client_ed25519` it is
    /// a broken handshake, which counts towards `max_connect_errors` (run: MySQL 9.7, MariaDB).
    pub fn no_password(self) -> &'static [u8] {
        match self {
            Self::CachingSha2 | Self::Sha256 => &[0],
            Self::Ed25519 => &[0; ED25519_BYTES],
            Self::Native | Self::ClearText | Self::Parsec | Self::Opaque => &[],
        }
    }

    /// What the backend gets for a client's answer: the same, unless its length makes it one that servers count as a
    /// broken handshake. Else anybody could get our address blocked.
    pub fn presentable(self, answer: &[u8]) -> &[u8] {
        match (self, answer.len()) {
            (Self::Native, 0 | NATIVE_BYTES) | (Self::Ed25519, ED25519_BYTES) => answer,
            (Self::Native, _) => &[0; NATIVE_BYTES],
            (Self::Ed25519, _) | (Self::CachingSha2, 0) => self.no_password(),
            _ => answer,
        }
    }
}

/// What a backend says while it authenticates a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginReply {
    /// Logged in.
    Ok,
    /// Refused.
    Err,
    /// `AuthSwitchRequest` or `AuthNextFactor`: the named plugin goes on, and it is the client's turn.
    Switch(AuthPlugin),
    /// `AuthSwitchRequest` without a name: the scramble of before MySQL 4.1.
    SwitchToOldPassword,
    /// `caching_sha2_password`: the scramble was enough; the OK follows by itself.
    FastAuthSucceeded,
    /// `caching_sha2_password`: the scramble was not enough; the password itself is asked for.
    FullAuthentication,
    /// Anything else a plugin says: it is the client's turn.
    PluginData,
}

impl LoginReply {
    /// What a payload says while `plugin` is talking. An empty one is a plugin's.
    pub fn read(payload: &[u8], plugin: AuthPlugin) -> Self {
        match payload {
            [OK, ..] => Self::Ok,
            [ERR, ..] => Self::Err,
            [EOF] => Self::SwitchToOldPassword,
            // AuthSwitchRequest; AuthNextFactor (MySQL 8.0.27) has the same form behind another first byte
            [EOF | 0x02, rest @ ..] => {
                let name = PayloadReader::new(rest).until_nul_or_end();
                Self::Switch(AuthPlugin::by_name(name))
            }
            [0x01, 0x03] if plugin == AuthPlugin::CachingSha2 => Self::FastAuthSucceeded,
            [0x01, 0x04] if plugin == AuthPlugin::CachingSha2 => Self::FullAuthentication,
            _ => Self::PluginData,
        }
    }
}

/// The salt in an `AuthSwitchRequest` or `AuthNextFactor`, as the plugins that encrypt a password use it.
pub fn switch_salt(payload: &[u8]) -> Result<[u8; SALT_BYTES], Malformed> {
    let (_, data) = switch_parts(payload)?;
    PayloadReader::new(data).array("auth switch: salt")
}

/// The plugin's name in an `AuthSwitchRequest` or `AuthNextFactor`, and what it says first.
pub fn switch_parts(payload: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let mut reader = PayloadReader::new(payload);
    reader.u8("auth switch")?;
    let name = reader.until_nul("auth switch: plugin name")?;
    Ok((name, reader.rest()))
}

/// The payload of an `AuthSwitchRequest`.
pub fn switch_request(plugin: &[u8], salt: &[u8; SALT_BYTES]) -> Vec<u8> {
    [&[EOF], plugin, &[0], salt, &[0]].concat()
}

/// The payload of an `AuthMoreData`.
pub fn more_data(data: &[u8]) -> Vec<u8> {
    [&[MORE_DATA], data].concat()
}

/// What an `AuthMoreData` carries, if it is one.
pub fn read_more_data(payload: &[u8]) -> Option<&[u8]> {
    payload.strip_prefix(&[MORE_DATA])
}

#[cfg(test)]
mod tests {
    use super::*;

    // As MySQL 9.7, MariaDB 10.11 and 11.8 count them.
    #[test]
    fn answers_that_servers_count_as_broken_handshakes_are_replaced() {
        use AuthPlugin::{CachingSha2, Ed25519, Native, Opaque, Sha256};
        let table: [(AuthPlugin, &[u8], &[u8]); 12] = [
            (Native, b"12345", &[0; 20]),
            (Native, &[7; 21], &[0; 20]),
            (Native, &[7; 20], &[7; 20]),
            (Native, b"", b""),
            (Ed25519, b"", &[0; 64]),
            (Ed25519, b"12345", &[0; 64]),
            (Ed25519, &[7; 64], &[7; 64]),
            (CachingSha2, b"", b"\0"),
            (CachingSha2, &[7; 32], &[7; 32]),
            (Sha256, b"", b""),
            (Sha256, b"\x01", b"\x01"),
            (Opaque, b"", b""),
        ];
        for (plugin, answer, sent) in table {
            assert_eq!(plugin.presentable(answer), sent, "{plugin:?} {answer:?}");
        }
    }

    #[test]
    fn a_salt_is_twenty_bytes_behind_the_plugin_name() {
        let salt = b"twenty-bytes-of-salt";
        let whole = [b"\xfesha256_password\0", &salt[..], b"\0"].concat();
        assert_eq!(switch_salt(&whole), Ok(*salt));
        for broken in [&whole[..35], &whole[..5], b"\xfe", b""] {
            assert!(switch_salt(broken).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn a_backend_reply_is_read_as_the_manual_names_it() {
        use AuthPlugin::{CachingSha2, ClearText, Ed25519, Opaque, Sha256};
        let table: [(&[u8], AuthPlugin, LoginReply); 11] = [
            (b"\x00\x00\x00\x02\x00\x00\x00", Opaque, LoginReply::Ok),
            (b"\xff\x15\x04#28000no", Opaque, LoginReply::Err),
            (b"\xfe", Opaque, LoginReply::SwitchToOldPassword),
            (
                b"\xfecaching_sha2_password\x00salt\x00",
                Opaque,
                LoginReply::Switch(CachingSha2),
            ),
            (
                b"\xfesha256_password\x00salt\x00",
                Opaque,
                LoginReply::Switch(Sha256),
            ),
            (
                b"\xfeclient_ed25519\x00salt",
                CachingSha2,
                LoginReply::Switch(Ed25519),
            ),
            (
                b"\x02mysql_clear_password\x00",
                Opaque,
                LoginReply::Switch(ClearText),
            ),
            (b"\x01\x03", CachingSha2, LoginReply::FastAuthSucceeded),
            (b"\x01\x04", CachingSha2, LoginReply::FullAuthentication),
            (b"\x01\x04", Opaque, LoginReply::PluginData),
            (b"", Opaque, LoginReply::PluginData),
        ];
        for (payload, plugin, expected) in table {
            assert_eq!(
                LoginReply::read(payload, plugin),
                expected,
                "{payload:?} {plugin:?}"
            );
        }
    }
}
