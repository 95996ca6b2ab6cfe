//! The authentication plugins, both parts of each: what the scripted backend sends, and how a client answers it.

use std::io;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

use super::conversation::Conversation;
use super::rsa::{SERVER_KEY, encrypt};
use super::wire::Transport;

/// The password of every account; no log may ever show it.
pub(crate) const PASSWORD: &str = "planted-Pa55word";

/// The backend's salt; differs from every greeting's.
pub(crate) const SALT: &[u8; 20] = b"backend-salt-20bytes";

/// What an account of the scripted backend is authenticated with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plugin {
    /// `mysql_native_password`.
    Native,
    /// `caching_sha2_password` with the server's cache warm: `01 03`, then OK with no turn of the client.
    CachingSha2Warm,
    /// `caching_sha2_password` with the cache cold: `01 04`, then the password itself.
    CachingSha2Full,
    /// `sha256_password`: the password itself.
    Sha256,
    /// MariaDB's `client_ed25519`.
    Ed25519,
    /// MariaDB's `parsec`: an empty packet asks for its extended salt.
    Parsec,
    /// `mysql_clear_password`.
    Clear,
    /// An account without a password.
    Empty,
    /// MySQL's second factor: native password, then `02` names the next plugin.
    TwoFactors,
}

impl Plugin {
    pub(crate) const ALL: [Self; 9] = [
        Self::Native,
        Self::CachingSha2Warm,
        Self::CachingSha2Full,
        Self::Sha256,
        Self::Ed25519,
        Self::Parsec,
        Self::Clear,
        Self::Empty,
        Self::TwoFactors,
    ];

    /// Whether the client sends the password in clear, whatever its side.
    pub(crate) fn needs_secure_sides(self) -> bool {
        matches!(self, Self::Clear | Self::TwoFactors)
    }

    /// The client's part.
    pub(crate) fn client(self) -> ClientPlugin {
        if self == Self::Empty {
            ClientPlugin::default()
        } else {
            ClientPlugin::with_password()
        }
    }

    /// The server's part, from behind the login packet to its OK or ERR.
    pub(crate) fn serve(self, conversation: &mut Conversation) -> io::Result<()> {
        let salt = &[&SALT[..], b"\0"].concat();
        let right = match self {
            Self::Native => {
                conversation.switch("mysql_native_password", salt)?;
                conversation.read()? == native_scramble(SALT)
            }
            Self::CachingSha2Warm => {
                conversation.switch("caching_sha2_password", salt)?;
                let right = conversation.read()? == caching_sha2_scramble(PASSWORD, SALT);
                if right {
                    conversation.more(&[0x03])?;
                }
                right
            }
            Self::CachingSha2Full => {
                conversation.switch("caching_sha2_password", salt)?;
                conversation.read()?;
                conversation.more(&[0x04])?;
                self.password_itself(conversation, CACHING_SHA2_KEY_REQUEST)?
            }
            Self::Sha256 => {
                conversation.switch("sha256_password", salt)?;
                self.password_itself(conversation, SHA256_KEY_REQUEST)?
            }
            Self::Ed25519 => {
                let nonce = [0xa5; 32];
                conversation.switch("client_ed25519", &nonce)?;
                conversation.read()? == stand_in_signature(&nonce)
            }
            Self::Parsec => {
                let scramble = [0x5a; 32];
                conversation.switch("parsec", &scramble)?;
                let asked = conversation.read()?;
                // The extended salt has no header byte of its own: iterations and salt behind a `P`.
                conversation.send(b"P\x00eighteen-byte-salt")?;
                asked.is_empty()
                    && conversation.read()?
                        == [&[7; 32], &stand_in_signature(&scramble)[..]].concat()
            }
            Self::Clear => {
                conversation.switch("mysql_clear_password", b"")?;
                conversation.read()? == password_and_nul()
            }
            Self::Empty => {
                conversation.switch("mysql_native_password", salt)?;
                conversation.read()?.is_empty()
            }
            Self::TwoFactors => {
                conversation.switch("mysql_native_password", salt)?;
                let first = conversation.read()? == native_scramble(SALT);
                conversation.send(b"\x02mysql_clear_password\0")?;
                conversation.read()? == password_and_nul() && first
            }
        };
        if right {
            conversation.welcome()
        } else {
            conversation.refuse()
        }
    }

    /// Whether the password itself goes in clear: `sha256_password` trusts TLS alone (run: MySQL 9.7 and its shell).
    pub(crate) fn in_clear(self, transport: Transport) -> bool {
        match transport {
            Transport::Plaintext => false,
            Transport::Tls => true,
            Transport::UnixSocket => self != Self::Sha256,
        }
    }

    /// As MySQL takes a password: in clear, or encrypted for its key, which it gives if it is asked.
    fn password_itself(self, conversation: &mut Conversation, key_request: u8) -> io::Result<bool> {
        let answer = conversation.read()?;
        if self.in_clear(conversation.transport()) {
            return Ok(answer == password_and_nul());
        }
        let ciphertext = if answer == [key_request] {
            conversation.more(SERVER_KEY.public_pem.as_bytes())?;
            conversation.read()?
        } else {
            answer
        };
        Ok(SERVER_KEY.decrypt(&ciphertext, SALT) == Some(password_and_nul()))
    }
}

/// How a client asks for a server's RSA key.
pub(crate) const CACHING_SHA2_KEY_REQUEST: u8 = 0x02;
/// The same in `sha256_password`.
pub(crate) const SHA256_KEY_REQUEST: u8 = 0x01;

/// A client's memory between the packets of a login: which plugin it answers for.
#[derive(Debug, Default)]
pub(crate) struct ClientPlugin {
    name: String,
    salt: Vec<u8>,
    password: Option<&'static str>,
    /// A server's RSA key that it did not ask for.
    pinned: Option<Vec<u8>>,
}

impl ClientPlugin {
    pub(crate) fn with_password() -> Self {
        Self::with(PASSWORD)
    }

    /// With another password.
    pub(crate) fn with(password: &'static str) -> Self {
        Self {
            password: Some(password),
            ..Self::default()
        }
    }

    /// It knows the server's RSA key, and does not ask for it.
    pub(crate) fn pinned(mut self, public_pem: &[u8]) -> Self {
        self.pinned = Some(public_pem.to_vec());
        self
    }

    /// It has answered a greeting with this salt.
    pub(crate) fn greeted_with(mut self, salt: &[u8]) -> Self {
        self.salt = salt.to_vec();
        self
    }

    /// The answer to a server's packet; `None` where it is the server's turn again.
    pub(crate) fn answer(&mut self, packet: &[u8], transport: Transport) -> Option<Vec<u8>> {
        match packet {
            [0xfe | 0x02, rest @ ..] => {
                let name_end = rest
                    .iter()
                    .position(|&byte| byte == 0)
                    .expect("a plugin name ends in NUL");
                self.name = String::from_utf8_lossy(&rest[..name_end]).into_owned();
                self.salt = rest[name_end + 1..].to_vec();
                Some(self.first_answer(transport))
            }
            [0x01, 0x03] => None,
            [0x01, 0x04] => Some(self.password_itself(Plugin::CachingSha2Full, transport)),
            [0x01, pem @ ..] => Some(encrypt(pem, &self.password_and_nul(), &self.salt)),
            [b'P', ..] => Some([&[7; 32], &stand_in_signature(&self.salt)[..]].concat()),
            other => panic!("a packet that no plugin knows: {other:?}"),
        }
    }

    fn first_answer(&self, transport: Transport) -> Vec<u8> {
        let Some(password) = self.password else {
            return Vec::new();
        };
        let salt = self.salt.strip_suffix(&[0]).unwrap_or(&self.salt);
        match self.name.as_str() {
            "mysql_native_password" => native_scramble(salt),
            "caching_sha2_password" => caching_sha2_scramble(password, salt),
            "sha256_password" => self.password_itself(Plugin::Sha256, transport),
            "mysql_clear_password" => self.password_and_nul(),
            "client_ed25519" => stand_in_signature(&self.salt),
            "parsec" => Vec::new(),
            other => panic!("a plugin that no account has: {other}"),
        }
    }

    /// In clear where that may be; else encrypted, or first the question for the key.
    fn password_itself(&self, plugin: Plugin, transport: Transport) -> Vec<u8> {
        match &self.pinned {
            _ if plugin.in_clear(transport) => self.password_and_nul(),
            Some(pem) => encrypt(pem, &self.password_and_nul(), &self.salt),
            None if plugin == Plugin::Sha256 => vec![SHA256_KEY_REQUEST],
            None => vec![CACHING_SHA2_KEY_REQUEST],
        }
    }

    fn password_and_nul(&self) -> Vec<u8> {
        [self.password.unwrap_or_default().as_bytes(), b"\0"].concat()
    }
}

fn password_and_nul() -> Vec<u8> {
    [PASSWORD.as_bytes(), b"\0"].concat()
}

/// SHA1(password) XOR SHA1(salt, SHA1(SHA1(password))).
fn native_scramble(salt: &[u8]) -> Vec<u8> {
    let sha1 = |bytes: &[u8]| digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec();
    let once = sha1(PASSWORD.as_bytes());
    xor(&once, &sha1(&[salt, &sha1(&once)].concat()))
}

/// SHA256(password) XOR SHA256(SHA256(SHA256(password)), salt).
pub(crate) fn caching_sha2_scramble(password: &str, salt: &[u8]) -> Vec<u8> {
    let sha256 = |bytes: &[u8]| digest(&SHA256, bytes).as_ref().to_vec();
    let once = sha256(password.as_bytes());
    xor(&once, &sha256(&[&sha256(&once)[..], salt].concat()))
}

fn xor(left: &[u8], right: &[u8]) -> Vec<u8> {
    left.iter()
        .zip(right)
        .map(|(left, right)| left ^ right)
        .collect()
}

/// 64 bytes where Ed25519 would sign: bound to the salt, which is all that matters to a proxy.
fn stand_in_signature(salt: &[u8]) -> Vec<u8> {
    let half = digest(&SHA256, &[PASSWORD.as_bytes(), salt].concat());
    [half.as_ref(), half.as_ref()].concat()
}
