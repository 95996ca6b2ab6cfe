//! The packets of a login: greeting, `SSLRequest`, login, change of user. Every field can be set to anything.

use super::packet::{Fields, flag, length_encoded, length_encoded_bytes};

/// [`Protocol::HandshakeV10`](https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Greeting {
    pub(crate) version: String,
    pub(crate) connection_id: u32,
    /// Without its closing NUL.
    pub(crate) salt: Vec<u8>,
    pub(crate) capabilities: u32,
    pub(crate) charset: u8,
    pub(crate) status: u16,
    /// MariaDB's four bytes of capabilities, which stand where MySQL has zeros.
    pub(crate) extended: u32,
    pub(crate) plugin: String,
}

impl Greeting {
    /// As MySQL 9.7 greets: every capability up to bit 31 but 29, `utf8mb4_0900_ai_ci`.
    pub(crate) fn mysql() -> Self {
        Self {
            version: "9.7.0".to_owned(),
            connection_id: 8,
            salt: b"\x5f\x13Np<J\x0e\x22rRs\x1a\x19\x5b\x67.gPg\x7f".to_vec(),
            capabilities: 0xdfff_ffff,
            charset: 255,
            status: 2,
            extended: 0,
            plugin: "caching_sha2_password".to_owned(),
        }
    }

    /// As MariaDB 11.8 greets: bit 0 clear, capabilities of its own (here progress and bulk), native password.
    pub(crate) fn mariadb() -> Self {
        Self {
            version: "11.8.3-MariaDB-deb13".to_owned(),
            capabilities: 0x81ff_fffe,
            charset: 45,
            extended: 0x1d,
            plugin: "mysql_native_password".to_owned(),
            ..Self::mysql()
        }
    }

    /// As TiDB 8.5 greets: fewer capabilities than it honours, `utf8mb4_bin`.
    pub(crate) fn tidb() -> Self {
        Self {
            version: "8.0.11-TiDB-v8.5.1".to_owned(),
            capabilities: 0x051b_aeaf,
            charset: 46,
            plugin: "mysql_native_password".to_owned(),
            ..Self::mysql()
        }
    }

    pub(crate) fn payload(&self) -> Vec<u8> {
        let [c0, c1, c2, c3] = self.capabilities.to_le_bytes();
        let mut payload = vec![10];
        payload.extend(self.version.bytes());
        payload.push(0);
        payload.extend(self.connection_id.to_le_bytes());
        payload.extend(&self.salt[..8]);
        payload.extend([0, c0, c1, self.charset]);
        payload.extend(self.status.to_le_bytes());
        payload.extend([c2, c3]);
        payload.push(u8::try_from(self.salt.len() + 1).expect("a short salt"));
        payload.extend([0; 6]);
        payload.extend(self.extended.to_le_bytes());
        payload.extend(&self.salt[8..]);
        payload.push(0);
        payload.extend(self.plugin.bytes());
        payload.push(0);
        payload
    }

    pub(crate) fn parse(payload: &[u8]) -> Option<Self> {
        let mut fields = Fields(payload);
        if fields.byte()? != 10 {
            return None;
        }
        let version = fields.until_nul();
        let connection_id = fields.u32()?;
        let mut salt = fields.bytes(8)?.to_vec();
        fields.byte()?;
        let low = fields.u16()?;
        let charset = fields.byte()?;
        let status = fields.u16()?;
        let high = fields.u16()?;
        let salt_length = usize::from(fields.byte()?);
        fields.bytes(6)?;
        let extended = fields.u32()?;
        salt.extend(fields.bytes(salt_length.checked_sub(9)?.max(12))?);
        fields.byte()?;
        Some(Self {
            version: String::from_utf8(version).ok()?,
            connection_id,
            salt,
            capabilities: u32::from(low) | u32::from(high) << 16,
            charset,
            status,
            extended,
            plugin: String::from_utf8(fields.until_nul()).ok()?,
        })
    }
}

/// What clients of our day ask for, the SSL bit aside.
const ORDINARY: u32 = flag::LONG_PASSWORD
    | flag::LONG_FLAG
    | flag::LOCAL_FILES
    | flag::PROTOCOL_41
    | flag::TRANSACTIONS
    | flag::SECURE_CONNECTION
    | flag::MULTI_STATEMENTS
    | flag::MULTI_RESULTS
    | flag::PS_MULTI_RESULTS
    | flag::PLUGIN_AUTH
    | flag::CONNECT_ATTRS
    | flag::PLUGIN_AUTH_LENENC
    | flag::DEPRECATE_EOF;

/// [`Protocol::HandshakeResponse41`](https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_response.html):
/// what a client sends, and what a backend read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) flags: u32,
    pub(crate) max_packet: u32,
    pub(crate) charset: u8,
    /// MySQL's zeros; MariaDB's extended capabilities are its last four bytes.
    pub(crate) filler: [u8; 23],
    pub(crate) user: Vec<u8>,
    pub(crate) auth: Vec<u8>,
    pub(crate) database: Option<Vec<u8>>,
    pub(crate) plugin: Option<String>,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) zstd_level: Option<u8>,
}

impl Login {
    /// A login as a MySQL 9 client sends it: utf8mb4, attributes, and a scramble that fits no backend.
    pub(crate) fn of(user: &str) -> Self {
        Self {
            flags: ORDINARY,
            max_packet: 1 << 24,
            charset: 255,
            filler: [0; 23],
            user: user.as_bytes().to_vec(),
            auth: b"not-the-backend-salt-of-32-bytes".to_vec(),
            database: None,
            plugin: Some("caching_sha2_password".to_owned()),
            attributes: vec![("_client_name".to_owned(), "raw".to_owned())],
            zstd_level: None,
        }
    }

    pub(crate) fn without_password(mut self) -> Self {
        self.auth.clear();
        self
    }

    pub(crate) fn database(mut self, name: &str) -> Self {
        self.flags |= flag::CONNECT_WITH_DB;
        self.database = Some(name.as_bytes().to_vec());
        self
    }

    pub(crate) fn with_flags(mut self, add: u32, remove: u32) -> Self {
        self.flags = self.flags & !remove | add;
        self
    }

    /// The first 32 bytes, which an `SSLRequest` repeats.
    pub(crate) fn head(&self) -> Vec<u8> {
        let mut head = self.flags.to_le_bytes().to_vec();
        head.extend(self.max_packet.to_le_bytes());
        head.push(self.charset);
        head.extend(self.filler);
        head
    }

    pub(crate) fn payload(&self) -> Vec<u8> {
        let mut payload = self.head();
        payload.extend(&self.user);
        payload.push(0);
        if self.flags & flag::PLUGIN_AUTH_LENENC == 0 {
            payload.push(u8::try_from(self.auth.len()).expect("a short answer"));
            payload.extend(&self.auth);
        } else {
            payload.extend(length_encoded_bytes(&self.auth));
        }
        if let Some(database) = &self.database {
            payload.extend(database);
            payload.push(0);
        }
        if let Some(plugin) = &self.plugin {
            payload.extend(plugin.bytes());
            payload.push(0);
        }
        if self.flags & flag::CONNECT_ATTRS != 0 {
            payload.extend(attributes_field(&self.attributes));
        }
        payload.extend(self.zstd_level);
        payload
    }

    /// Reads a login by its own flags.
    pub(crate) fn parse(payload: &[u8]) -> Option<Self> {
        let mut fields = Fields(payload);
        let flags = fields.u32()?;
        let has = |bit| flags & bit != 0;
        let mut login = Self {
            flags,
            max_packet: fields.u32()?,
            charset: fields.byte()?,
            filler: fields.bytes(23)?.try_into().ok()?,
            user: fields.until_nul(),
            auth: Vec::new(),
            database: None,
            plugin: None,
            attributes: Vec::new(),
            // backends are never asked for compression, so it would be too much
            zstd_level: None,
        };
        login.auth = if has(flag::PLUGIN_AUTH_LENENC) {
            fields.length_encoded_bytes()?
        } else {
            let length = usize::from(fields.byte()?);
            fields.bytes(length)?.to_vec()
        };
        if has(flag::CONNECT_WITH_DB) {
            login.database = Some(fields.until_nul());
        }
        if has(flag::PLUGIN_AUTH) {
            login.plugin = Some(String::from_utf8(fields.until_nul()).ok()?);
        }
        if has(flag::CONNECT_ATTRS) {
            login.attributes = parse_attributes(&mut fields)?;
        }
        fields.0.is_empty().then_some(login)
    }
}

/// [`COM_CHANGE_USER`](https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_change_user.html).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChangeUser {
    pub(crate) user: Vec<u8>,
    pub(crate) auth: Vec<u8>,
    pub(crate) database: Vec<u8>,
    /// `None`: the packet ends before it.
    pub(crate) charset: Option<u16>,
    pub(crate) plugin: Option<String>,
    pub(crate) attributes: Vec<(String, String)>,
}

impl ChangeUser {
    pub(crate) fn to(user: &str) -> Self {
        Self {
            user: user.as_bytes().to_vec(),
            auth: b"not-the-backend-salt".to_vec(),
            database: Vec::new(),
            charset: Some(255),
            plugin: Some("caching_sha2_password".to_owned()),
            attributes: vec![("_client_name".to_owned(), "raw".to_owned())],
        }
    }

    pub(crate) fn payload(&self) -> Vec<u8> {
        let mut payload = vec![0x11];
        payload.extend(&self.user);
        payload.push(0);
        payload.push(u8::try_from(self.auth.len()).expect("a short answer"));
        payload.extend(&self.auth);
        payload.extend(&self.database);
        payload.push(0);
        if let Some(charset) = self.charset {
            payload.extend(charset.to_le_bytes());
            if let Some(plugin) = &self.plugin {
                payload.extend(plugin.bytes());
                payload.push(0);
                payload.extend(attributes_field(&self.attributes));
            }
        }
        payload
    }

    pub(crate) fn parse(payload: &[u8]) -> Option<Self> {
        let mut fields = Fields(payload.strip_prefix(&[0x11])?);
        let user = fields.until_nul();
        let length = usize::from(fields.byte()?);
        let auth = fields.bytes(length)?.to_vec();
        let database = fields.until_nul();
        let charset = fields.u16();
        let plugin = charset.map(|_| fields.until_nul());
        let attributes = if fields.0.is_empty() {
            Vec::new()
        } else {
            parse_attributes(&mut fields)?
        };
        let plugin = plugin.map(String::from_utf8).transpose().ok()?;
        Some(Self {
            user,
            auth,
            database,
            charset,
            plugin,
            attributes,
        })
    }
}

fn attributes_field(attributes: &[(String, String)]) -> Vec<u8> {
    let pairs: Vec<u8> = attributes
        .iter()
        .flat_map(|(key, value)| {
            [
                length_encoded_bytes(key.as_bytes()),
                length_encoded_bytes(value.as_bytes()),
            ]
        })
        .flatten()
        .collect();
    [length_encoded(pairs.len()), pairs].concat()
}

fn parse_attributes(fields: &mut Fields<'_>) -> Option<Vec<(String, String)>> {
    let length = fields.length_encoded()?;
    let mut pairs = Fields(fields.bytes(length)?);
    let mut attributes = Vec::new();
    while !pairs.0.is_empty() {
        let key = String::from_utf8(pairs.length_encoded_bytes()?).ok()?;
        let value = String::from_utf8(pairs.length_encoded_bytes()?).ok()?;
        attributes.push((key, value));
    }
    Some(attributes)
}

/// The example of the protocol's documentation (a packet of the `mysql` shell), read and made again.
#[test]
fn login_is_read_and_made_as_documented() {
    let documented = b"\x8d\xa6\x0f\x00\x00\x00\x00\x01\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0pam\0\
        \x14\xab\x09\xee\xf6\xbc\xb1\x32\x3e\x61\x14\x38\x65\xc0\x99\x1d\x95\x7d\x75\xd4\x47test\0mysql_native_password\0";
    let login = Login::parse(documented).expect("the documented login");
    assert_eq!(
        (&login.user[..], login.charset, login.max_packet),
        (&b"pam"[..], 8, 1 << 24)
    );
    assert_eq!(login.database.as_deref(), Some(&b"test"[..]));
    assert_eq!(login.plugin.as_deref(), Some("mysql_native_password"));
    assert_eq!(login.payload(), documented);
}

/// The greeting of a MySQL 5.5 with plugins, as the documentation prints it.
#[test]
fn greeting_is_read_and_made_as_documented() {
    let documented = b"\x0a5.5.2-m2\0\x0b\0\0\0\x64\x76\x48\x40\x49\x2d\x43\x4a\0\xff\xf7\x08\x02\0\x0f\x80\x15\
        \0\0\0\0\0\0\0\0\0\0\x2a\x34\x64\x7c\x63\x5a\x77\x6b\x34\x5e\x5d\x3a\0mysql_native_password\0";
    let greeting = Greeting::parse(documented).expect("the documented greeting");
    assert_eq!(
        (
            greeting.version.as_str(),
            greeting.connection_id,
            greeting.charset
        ),
        ("5.5.2-m2", 11, 8)
    );
    assert_eq!(greeting.capabilities, 0x800f_f7ff);
    assert_eq!(greeting.payload(), documented);
}
