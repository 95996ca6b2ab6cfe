//! The character sets of names on the wire, as far as all servers agree about them.

use super::server_kind::ServerKind;

/// What of a character set matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CharacterSet {
    /// utf8mb3 and utf8mb4: they differ above U+FFFF only.
    Utf8,
    /// MySQL's latin1, which is Windows' code page 1252.
    Latin1,
    /// Any whose bytes below 0x80 are ASCII; others are not read.
    Ascii,
}

impl CharacterSet {
    /// Text from the wire, unless some of it is no character here.
    pub(super) fn decode(self, bytes: &[u8]) -> Option<String> {
        match self {
            Self::Latin1 => Some(bytes.iter().map(|&byte| latin1_character(byte)).collect()),
            Self::Ascii if !bytes.is_ascii() => None,
            Self::Utf8 | Self::Ascii => str::from_utf8(bytes).ok().map(str::to_owned),
        }
    }

    /// Text for the wire, unless some of it is no character here.
    pub(super) fn encode(self, name: &str) -> Option<Vec<u8>> {
        match self {
            Self::Latin1 => name.chars().map(latin1_byte).collect(),
            Self::Ascii if !name.is_ascii() => None,
            Self::Utf8 | Self::Ascii => Some(name.as_bytes().to_vec()),
        }
    }

    /// The character set of a collation id, as `SHOW COLLATION` lists them; `None` is refused.
    ///
    /// A server that does not know an id takes its own default in its place (run), which could be any. So characters
    /// beyond ASCII count only under ids that every server of this kind knows.
    #[expect(clippy::match_same_arms, reason = "one arm for each reason")]
    pub(super) fn of(collation: u16, server: ServerKind) -> Option<Self> {
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
        let text = CharacterSet::of(8, ServerKind::MySql).and_then(|latin1| latin1.decode(&bytes));
        let expected =
            (0..utf8.len() / 2).map(|at| u8::from_str_radix(&utf8[2 * at..2 * at + 2], 16));
        let expected: Vec<u8> = expected.collect::<Result<_, _>>().expect("hexadecimal");
        assert_eq!(text.as_deref().map(str::as_bytes), Some(&expected[..]));
    }
}
