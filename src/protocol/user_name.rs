//! A user's name, made canonical once: what the rules judge is what the backend gets.

use std::fmt;

/// A user's name as a server understands it, in UTF-8. Names are equal when their characters are: MySQL compares them
/// byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserName(String);

/// A name as it stands in a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireName<'a> {
    /// Its bytes, without the NUL or the length around them.
    pub bytes: &'a [u8],
    /// The collation id announced in the same packet.
    pub collation: u16,
}

/// How many characters a server keeps of a name. It cuts off the rest in silence, so that two names become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameLimit {
    /// MySQL and TiDB: 32.
    MySql,
    /// MariaDB: 128.
    MariaDb,
}

/// Why a name cannot be made canonical.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UserNameError {
    /// The server would cut it.
    #[error("user name is longer than {limit} characters")]
    TooLong {
        /// How many a server keeps.
        limit: usize,
    },
    /// The announced character set is unknown here, or its letters are not ASCII.
    #[error("user name is in a character set that is not supported (collation id {collation})")]
    CharacterSet {
        /// The id announced.
        collation: u16,
    },
    /// A byte that is no character in the announced character set, or none that is known here.
    #[error("user name has a byte that cannot be decoded (collation id {collation})")]
    Undecodable {
        /// The id announced.
        collation: u16,
    },
    /// Servers turn it into `?`, so that two names become one.
    #[error("user name has a character above U+FFFF")]
    AboveBmp,
    /// On the wire a NUL ends the name.
    #[error("user name has a NUL")]
    Nul,
}

impl UserName {
    /// A name from a configuration or a grant table.
    pub fn new(name: impl Into<String>) -> Result<Self, UserNameError> {
        Self::checked(name.into(), NameLimit::MariaDb)
    }

    /// The name in a login. All servers remove one pair of single quotes around it.
    pub fn from_login(wire: WireName<'_>, limit: NameLimit) -> Result<Self, UserNameError> {
        let name = wire.decode()?;
        let unquoted = name
            .strip_prefix('\'')
            .and_then(|rest| rest.strip_suffix('\''));
        Self::checked(unquoted.map(str::to_owned).unwrap_or(name), limit)
    }

    /// The name in a COM_CHANGE_USER. Here quotes are part of the name.
    pub fn from_change_user(wire: WireName<'_>, limit: NameLimit) -> Result<Self, UserNameError> {
        Self::checked(wire.decode()?, limit)
    }

    fn checked(name: String, limit: NameLimit) -> Result<Self, UserNameError> {
        let limit = limit.characters();
        if name.contains('\0') {
            Err(UserNameError::Nul)
        } else if name.chars().any(|c| c > '\u{FFFF}') {
            Err(UserNameError::AboveBmp)
        } else if name.chars().count() > limit {
            Err(UserNameError::TooLong { limit })
        } else {
            Ok(Self(name))
        }
    }

    /// The bytes for a login under this collation id. A name that has quotes of its own gets a pair more, for the
    /// server to remove.
    pub fn to_login(&self, collation: u16) -> Result<Vec<u8>, UserNameError> {
        if self.0.len() > 1 && self.0.starts_with('\'') && self.0.ends_with('\'') {
            encode(&format!("'{}'", self.0), collation)
        } else {
            encode(&self.0, collation)
        }
    }

    /// The bytes for a COM_CHANGE_USER under this collation id.
    pub fn to_change_user(&self, collation: u16) -> Result<Vec<u8>, UserNameError> {
        encode(&self.0, collation)
    }

    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the empty name, which in an account stands for everybody.
    pub fn is_anonymous(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl NameLimit {
    /// How many characters are kept.
    pub const fn characters(self) -> usize {
        match self {
            Self::MySql => 32,
            Self::MariaDb => 128,
        }
    }
}

impl WireName<'_> {
    fn decode(&self) -> Result<String, UserNameError> {
        let undecodable = UserNameError::Undecodable {
            collation: self.collation,
        };
        match CharacterSet::of(self.collation)? {
            CharacterSet::Utf8 => str::from_utf8(self.bytes)
                .map(str::to_owned)
                .map_err(|_| undecodable),
            CharacterSet::Latin1 => Ok(self
                .bytes
                .iter()
                .map(|&byte| latin1_character(byte))
                .collect()),
            CharacterSet::Ascii if self.bytes.is_ascii() => {
                Ok(self.bytes.iter().map(|&byte| char::from(byte)).collect())
            }
            CharacterSet::Ascii => Err(undecodable),
        }
    }
}

fn encode(name: &str, collation: u16) -> Result<Vec<u8>, UserNameError> {
    let undecodable = UserNameError::Undecodable { collation };
    match CharacterSet::of(collation)? {
        CharacterSet::Utf8 => Ok(name.as_bytes().to_vec()),
        CharacterSet::Latin1 => name
            .chars()
            .map(|c| latin1_byte(c).ok_or(undecodable))
            .collect(),
        CharacterSet::Ascii if name.is_ascii() => Ok(name.as_bytes().to_vec()),
        CharacterSet::Ascii => Err(undecodable),
    }
}

/// What of a character set matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CharacterSet {
    /// utf8mb3 and utf8mb4: above U+FFFF is refused anyway.
    Utf8,
    /// MySQL's latin1, which is Windows' code page 1252.
    Latin1,
    /// ASCII, and every other character set whose bytes below 0x80 are ASCII: of these only such names are taken.
    Ascii,
}

impl CharacterSet {
    /// The character set of a collation id (`SHOW COLLATION`).
    fn of(collation: u16) -> Result<Self, UserNameError> {
        match collation {
            33 | 76 | 83 | 192..=215 | 223 | 45 | 46 | 224..=247 | 255..=323 => Ok(Self::Utf8),
            576..=578
            | 608..=610
            | 2048..=2559
            | 1057
            | 1069
            | 1070
            | 1107
            | 1216
            | 1248
            | 1238
            | 1270 => Ok(Self::Utf8),
            5 | 8 | 15 | 31 | 47 | 48 | 49 | 94 => Ok(Self::Latin1),
            10 | 82 | 35 | 90 | 54..=56 | 60..=62 | 17 | 100 => {
                Err(UserNameError::CharacterSet { collation })
            }
            1..=99 | 248..=250 => Ok(Self::Ascii),
            _ => Err(UserNameError::CharacterSet { collation }),
        }
    }
}

/// 0x80 to 0x9F of code page 1252; its five holes are control characters in MySQL.
const CP1252: [char; 32] = [
    '\u{20AC}', '\u{81}', '\u{201A}', '\u{192}', '\u{201E}', '\u{2026}', '\u{2020}', '\u{2021}',
    '\u{2C6}', '\u{2030}', '\u{160}', '\u{2039}', '\u{152}', '\u{8D}', '\u{17D}', '\u{8F}',
    '\u{90}', '\u{2018}', '\u{2019}', '\u{201C}', '\u{201D}', '\u{2022}', '\u{2013}', '\u{2014}',
    '\u{2DC}', '\u{2122}', '\u{161}', '\u{203A}', '\u{153}', '\u{9D}', '\u{17E}', '\u{178}',
];

fn latin1_character(byte: u8) -> char {
    match byte {
        0x80..=0x9F => CP1252[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

fn latin1_byte(character: char) -> Option<u8> {
    (0..=u8::MAX).find(|&byte| latin1_character(byte) == character)
}
