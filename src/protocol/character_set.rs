//! The character sets of names on the wire, as far as all servers agree about them.

use super::server_kind::ServerKind;
use super::user_name::UserNameError;

/// How names are converted from one collation's character set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Conversion {
    collation: u16,
    character_set: CharacterSet,
}

/// What of a character set matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CharacterSet {
    /// utf8mb3 and utf8mb4: they differ above U+FFFF only.
    Utf8,
    /// MySQL's latin1, which is Windows' code page 1252.
    Latin1,
    /// Any whose bytes below 0x80 are ASCII; others are not read.
    Ascii,
}

impl Conversion {
    /// For the names in a packet that announces this collation.
    pub(super) fn of(collation: u16, server: ServerKind) -> Result<Self, UserNameError> {
        match CharacterSet::of(collation, server) {
            Some(character_set) => Ok(Self {
                collation,
                character_set,
            }),
            None => Err(UserNameError::CharacterSet { collation }),
        }
    }

    /// Text from the wire.
    pub(super) fn decode(self, bytes: &[u8]) -> Result<String, UserNameError> {
        match self.character_set {
            CharacterSet::Latin1 => {
                Some(bytes.iter().map(|&byte| latin1_character(byte)).collect())
            }
            CharacterSet::Ascii if !bytes.is_ascii() => None,
            CharacterSet::Utf8 | CharacterSet::Ascii => {
                str::from_utf8(bytes).ok().map(str::to_owned)
            }
        }
        .ok_or(UserNameError::Character {
            collation: self.collation,
        })
    }

    /// Text for the wire.
    pub(super) fn encode(self, name: &str) -> Result<Vec<u8>, UserNameError> {
        match self.character_set {
            CharacterSet::Latin1 => name.chars().map(latin1_byte).collect(),
            CharacterSet::Ascii if !name.is_ascii() => None,
            CharacterSet::Utf8 | CharacterSet::Ascii => Some(name.as_bytes().to_vec()),
        }
        .ok_or(UserNameError::Character {
            collation: self.collation,
        })
    }
}

impl CharacterSet {
    /// The character set of a collation id, as `SHOW COLLATION` lists them; `None` is refused.
    ///
    /// A server that does not know an id takes its own default in its place (run), which could be any. So characters
    /// beyond ASCII count only under ids that every server of this kind knows.
    #[expect(clippy::match_same_arms, reason = "one arm for each reason")]
    fn of(collation: u16, server: ServerKind) -> Option<Self> {
        match (collation, server) {
            (33 | 45 | 46 | 83 | 192..=215 | 223..=247, _) => Some(Self::Utf8),
            // utf8mb4_0900_ai_ci, which clients of MySQL 8 and later announce. MariaDB 11.8 knows it, 10.11 does not.
            (255, ServerKind::MySql | ServerKind::TiDb) => Some(Self::Utf8),
            (
                5 | 8 | 15 | 31 | 47..=49 | 94,
                ServerKind::OldMySql | ServerKind::MySql | ServerKind::MariaDb,
            ) => Some(Self::Latin1),
            // swe7: `[` is `Ä`.
            (10 | 82, _) => None,
            // ucs2, utf16, utf32: servers refuse them.
            (35 | 54..=56 | 60..=62 | 90, _) => None,
            // No collation; `filename` to MariaDB, which refuses it.
            (17, _) => None,
            // 0 is sent for "none": the server's default.
            (0..=99 | 248..=250, _) => Some(Self::Ascii),
            // Further collations of utf8mb3 and utf8mb4, each known to some servers only: MySQL 8's UCA 9.0.0,
            // MariaDB's own and its UCA 14.0.0.
            (255..=323 | 576..=579 | 608..=611 | 2048..=2559, _) => Some(Self::Ascii),
            _ => None,
        }
    }
}

/// 0x80 to 0x9F of code page 1252. In its five holes MySQL has control characters.
const LATIN1_80_TO_9F: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8D}', 'Ž', '\u{8F}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9D}', 'ž', 'Ÿ',
];

fn latin1_character(byte: u8) -> char {
    match byte {
        0x80..=0x9F => LATIN1_80_TO_9F[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

fn latin1_byte(character: char) -> Option<u8> {
    (0..=u8::MAX).find(|&byte| latin1_character(byte) == character)
}

#[cfg(test)]
mod tests {
    use super::*;

    // `SELECT HEX(CONVERT(_latin1 x'8081…9F' USING utf8mb4))`, MySQL 9.7 and MariaDB.
    #[test]
    fn latin1_is_read_as_mysql_converts_it() {
        let utf8 = "E282ACC281E2809AC692E2809EE280A6E280A0E280A1CB86E280B0C5A0E280B9C592C28DC5BDC28F\
                    C290E28098E28099E2809CE2809DE280A2E28093E28094CB9CE284A2C5A1E280BAC593C29DC5BEC5B8";
        let bytes: Vec<u8> = (0x80..=0x9F).collect();
        let text = Conversion::of(8, ServerKind::MySql).and_then(|latin1| latin1.decode(&bytes));
        let expected =
            (0..utf8.len() / 2).map(|at| u8::from_str_radix(&utf8[2 * at..2 * at + 2], 16));
        let expected: Vec<u8> = expected.collect::<Result<_, _>>().expect("hexadecimal");
        assert_eq!(text.as_deref().map(str::as_bytes), Ok(&expected[..]));
    }
}
