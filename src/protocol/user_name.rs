//! A user's name, made canonical once: what the rules judge is what the backend gets.
//!
//! Servers are lenient: they take quotes off, cut what is too long, convert from the announced character set, and put
//! `?` for what they cannot convert. Each would make two names one. Here such a name is refused instead.

use std::fmt;

use super::character_set::CharacterSet;
use super::server_kind::ServerKind;

/// A user's name as a server understands it. Names are equal when their characters are, as in MySQL.
///
/// `Debug` escapes control characters: a name that comes from a client is logged that way.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserName(String);

/// Why a name cannot be made canonical, or not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UserNameError {
    /// MySQL and MariaDB would cut it.
    #[error("user name is longer than {limit} characters")]
    TooLong {
        /// The most that the server knows.
        limit: usize,
    },
    /// Unknown here, or its bytes below 0x80 are not ASCII.
    #[error("user name is in a character set that is not supported (collation {collation})")]
    CharacterSet {
        /// The collation id announced.
        collation: u16,
    },
    /// Not a character of the announced character set, or not one that all servers read alike.
    #[error("user name has a character that cannot be converted (collation {collation})")]
    Character {
        /// The collation id announced.
        collation: u16,
    },
    /// Servers put `?` in its place.
    #[error("user name has a character above U+FFFF")]
    AboveBasicPlane,
    /// On the wire a NUL ends the name.
    #[error("user name has a NUL")]
    Nul,
    /// Servers take quotes off in a login and leave them in `COM_CHANGE_USER`.
    #[error("user name is in single quotes")]
    Quoted,
}

impl UserName {
    /// A name that was not sent by a client: from a configuration, a grant table.
    pub fn new(name: impl Into<String>) -> Result<Self, UserNameError> {
        Self::canonical(name.into(), ServerKind::LONGEST_NAME)
    }

    /// The name in a login packet, without its NUL. `collation` is byte 8 of that packet, alone: servers take no other
    /// (run: MySQL 9.7, MariaDB 10.11 and 11.8). All of them take one pair of single quotes off.
    pub fn from_login(
        bytes: &[u8],
        collation: u8,
        server: ServerKind,
    ) -> Result<Self, UserNameError> {
        let name = decode(bytes, collation.into(), server)?;
        let name = match in_quotes(&name) {
            Some(inner) => inner.to_owned(),
            None => name,
        };
        Self::canonical(name, server.longest_name())
    }

    /// The name in `COM_CHANGE_USER`, without its NUL, and the collation id of two bytes.
    pub fn from_change_user(
        bytes: &[u8],
        collation: u16,
        server: ServerKind,
    ) -> Result<Self, UserNameError> {
        Self::canonical(decode(bytes, collation, server)?, server.longest_name())
    }

    /// The bytes to send, in a login and in `COM_CHANGE_USER` alike, where this collation is announced.
    pub fn encode(&self, collation: u16, server: ServerKind) -> Result<Vec<u8>, UserNameError> {
        character_set(collation, server)?
            .encode(&self.0)
            .ok_or(UserNameError::Character { collation })
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the empty name, which in an account stands for everybody.
    pub fn is_anonymous(&self) -> bool {
        self.0.is_empty()
    }

    fn canonical(name: String, limit: usize) -> Result<Self, UserNameError> {
        if name.contains('\0') {
            Err(UserNameError::Nul)
        } else if name.chars().any(|character| character > '\u{FFFF}') {
            Err(UserNameError::AboveBasicPlane)
        } else if name.chars().nth(limit).is_some() {
            Err(UserNameError::TooLong { limit })
        } else if in_quotes(&name).is_some() {
            Err(UserNameError::Quoted)
        } else {
            Ok(Self(name))
        }
    }
}

/// What is between a pair of single quotes; one alone is no pair.
fn in_quotes(name: &str) -> Option<&str> {
    name.strip_prefix('\'')?.strip_suffix('\'')
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn decode(bytes: &[u8], collation: u16, server: ServerKind) -> Result<String, UserNameError> {
    character_set(collation, server)?
        .decode(bytes)
        .ok_or(UserNameError::Character { collation })
}

fn character_set(collation: u16, server: ServerKind) -> Result<CharacterSet, UserNameError> {
    CharacterSet::of(collation, server).ok_or(UserNameError::CharacterSet { collation })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::server_kind::ServerKind::{MariaDb, MySql, OldMySql, TiDb};

    const UTF8MB4: u8 = 45;
    const UTF8MB4_0900: u8 = 255;
    const LATIN1: u8 = 8;
    const ALL: [ServerKind; 4] = [OldMySql, MySql, MariaDb, TiDb];

    fn login(bytes: &[u8], collation: u8, server: ServerKind) -> Result<String, UserNameError> {
        UserName::from_login(bytes, collation, server).map(|name| name.to_string())
    }

    fn change_user(
        bytes: &[u8],
        collation: u16,
        server: ServerKind,
    ) -> Result<String, UserNameError> {
        UserName::from_change_user(bytes, collation, server).map(|name| name.to_string())
    }

    #[test]
    fn names_that_a_server_would_cut_are_refused() {
        for (server, limit) in [(OldMySql, 32), (MySql, 32), (TiDb, 32), (MariaDb, 128)] {
            let too_long = "é".repeat(limit + 1);
            let denied = Err(UserNameError::TooLong { limit });
            assert_eq!(login(too_long.as_bytes(), UTF8MB4, server), denied);
            assert_eq!(
                change_user(too_long.as_bytes(), UTF8MB4.into(), server),
                denied
            );
            assert_eq!(
                login(format!("'{too_long}'").as_bytes(), UTF8MB4, server),
                denied
            );
            let longest = "é".repeat(limit);
            assert_eq!(
                login(longest.as_bytes(), UTF8MB4, server),
                Ok(longest.clone())
            );
            assert_eq!(
                login(format!("'{longest}'").as_bytes(), UTF8MB4, server),
                Ok(longest)
            );
        }
    }

    // To MySQL 9.7 `r\xFF` is `r`, to MariaDB `r?`; a surrogate is three bytes to MariaDB.
    #[test]
    fn bytes_that_are_no_characters_are_refused() {
        for bytes in [
            &b"r\xFF"[..],
            b"r\xED\xA0\x80",
            b"r\xC3",
            b"\xC0\xAF",
            b"\x80",
            b"r\xE9",
        ] {
            for collation in [33, UTF8MB4, 46, 83, 192, 215, 223, 224, 247, UTF8MB4_0900] {
                let denied = Err(UserNameError::Character {
                    collation: collation.into(),
                });
                for server in ALL {
                    assert_eq!(
                        login(bytes, collation, server),
                        denied,
                        "{bytes:?} {collation} {server:?}"
                    );
                    assert_eq!(change_user(bytes, collation.into(), server), denied);
                }
            }
        }
    }

    // `a😀` logs in as `a?`.
    #[test]
    fn characters_above_the_basic_plane_are_refused() {
        for collation in [33, UTF8MB4, UTF8MB4_0900] {
            assert_eq!(
                login("a😀".as_bytes(), collation, MySql),
                Err(UserNameError::AboveBasicPlane)
            );
        }
        assert_eq!(UserName::new("a😀"), Err(UserNameError::AboveBasicPlane));
    }

    #[test]
    fn names_with_a_nul_are_refused() {
        assert_eq!(login(b"app\0x", LATIN1, MySql), Err(UserNameError::Nul));
        assert_eq!(change_user(b"app\0x", 45, MySql), Err(UserNameError::Nul));
        assert_eq!(UserName::new("\0"), Err(UserNameError::Nul));
    }

    // A server would take off in a login what it leaves in COM_CHANGE_USER.
    #[test]
    fn names_that_stay_in_quotes_are_refused() {
        for quoted in ["''app''", "''''", "'''''"] {
            assert_eq!(
                login(quoted.as_bytes(), UTF8MB4, MySql),
                Err(UserNameError::Quoted),
                "{quoted}"
            );
        }
        for quoted in ["'app'", "''"] {
            assert_eq!(
                change_user(quoted.as_bytes(), 45, MySql),
                Err(UserNameError::Quoted),
                "{quoted}"
            );
            assert_eq!(
                UserName::new(quoted),
                Err(UserNameError::Quoted),
                "{quoted}"
            );
        }
    }

    #[test]
    fn character_sets_that_are_not_like_ascii_are_refused() {
        for collation in [
            10, 17, 35, 54, 55, 56, 60, 61, 62, 82, 90, 100, 101, 128, 159, 160, 183, 251, 254,
        ] {
            let denied = Err(UserNameError::CharacterSet {
                collation: collation.into(),
            });
            for server in ALL {
                assert_eq!(login(b"app", collation, server), denied, "{collation}");
                assert_eq!(
                    change_user(b"app", collation.into(), server),
                    denied,
                    "{collation}"
                );
            }
        }
        for collation in [
            324,
            512,
            640,
            672,
            736,
            1034,
            1106,
            2560,
            2816,
            3072,
            5000,
            u16::MAX,
        ] {
            assert_eq!(
                change_user(b"app", collation, MariaDb),
                Err(UserNameError::CharacterSet { collation })
            );
        }
    }

    // Under an id that it does not know, MariaDB 10.11 reads C3 A9 as `Ã©`, its default being latin1; a MySQL whose
    // default is utf8mb4 reads it as `é`. TiDB reads all bytes as UTF-8.
    #[test]
    fn characters_that_servers_read_differently_are_refused() {
        for (bytes, collation, server) in [
            (&b"r\xC3\xA9"[..], 0, MySql),
            (b"r\xC3\xA9", 76, MySql),
            (b"r\xC3\xA9", 255, MariaDb),
            (b"r\xC3\xA9", 255, OldMySql),
            (b"r\xC3\xA9", 8, TiDb),
            (b"r\xE9", 11, MySql),
            (b"r\xE9", 14, MySql),
            (b"r\xE9", 28, MySql),
            (b"r\xE9", 63, MySql),
            (b"r\xC3\xA9", 248, MySql),
        ] {
            let denied = Err(UserNameError::Character { collation });
            let collation = u8::try_from(collation).expect("one byte");
            assert_eq!(
                login(bytes, collation, server),
                denied,
                "{bytes:?} {collation} {server:?}"
            );
        }
        for (collation, server) in [
            (256, MySql),
            (305, MySql),
            (576, MariaDb),
            (2304, MariaDb),
            (2304, MySql),
        ] {
            let denied = Err(UserNameError::Character { collation });
            assert_eq!(
                change_user(b"r\xC3\xA9", collation, server),
                denied,
                "{collation} {server:?}"
            );
        }
    }

    // As `USER()` told after a login: MySQL 9.7, MariaDB 10.11 and 11.8 alike.
    #[test]
    fn names_are_read_as_servers_read_them() {
        for (bytes, collation, name) in [
            (&b"app"[..], 0, "app"),
            (b"app", 8, "app"),
            (b"app", 63, "app"),
            (b"app", 95, "app"),
            (b"app", 255, "app"),
            (b"r\xE9", 8, "ré"),
            (b"r\xC3\xA9", 33, "ré"),
            (b"r\xC3\xA9", 45, "ré"),
            (b"r\x81\x8D", 8, "r\u{81}\u{8D}"),
            (b"'app'", 8, "app"),
            (b"''", 8, ""),
            (b"'", 8, "'"),
            (b"'app", 8, "'app"),
            (b"", 8, ""),
            (b"r ", 8, "r "),
            (b"\xE9", 94, "é"),
        ] {
            for server in [OldMySql, MySql, MariaDb] {
                assert_eq!(
                    login(bytes, collation, server).as_deref(),
                    Ok(name),
                    "{bytes:?} {collation}"
                );
            }
        }
        assert_eq!(login(b"r\xC3\xA9", 255, MySql).as_deref(), Ok("ré"));
        assert_eq!(login(b"r\xC3\xA9", 255, TiDb).as_deref(), Ok("ré"));
        assert_eq!(change_user(b"app", 2304, MariaDb).as_deref(), Ok("app"));
        assert_eq!(change_user(b"app", 305, MySql).as_deref(), Ok("app"));
    }

    #[test]
    fn names_that_a_collation_cannot_express_are_not_sent() {
        for (name, collation, server) in [
            ("é", 11, MySql),
            ("é", 255, MariaDb),
            ("Ω", 8, MySql),
            ("\u{80}", 8, MySql),
            ("é", 8, TiDb),
        ] {
            let name = UserName::new(name).expect("a user name");
            assert_eq!(
                name.encode(collation, server),
                Err(UserNameError::Character { collation })
            );
        }
        let name = UserName::new("app").expect("a user name");
        assert_eq!(
            name.encode(35, MySql),
            Err(UserNameError::CharacterSet { collation: 35 })
        );
    }

    #[test]
    fn names_are_sent_in_the_announced_character_set() {
        for (name, collation, bytes) in [
            ("é", 8, &b"\xE9"[..]),
            ("é", 45, b"\xC3\xA9"),
            ("€", 8, b"\x80"),
            ("app", 28, b"app"),
            ("", 8, b""),
        ] {
            let name = UserName::new(name).expect("a user name");
            assert_eq!(
                name.encode(collation, MySql).as_deref(),
                Ok(bytes),
                "{name} {collation}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, collation: u16, server in prop::sample::select(&ALL[..])) {
            let _ = UserName::from_login(&bytes, collation.to_le_bytes()[0], server);
            let _ = UserName::from_change_user(&bytes, collation, server);
        }

        /// What was judged is what the backend reads.
        #[test]
        fn what_is_sent_is_read_as_the_same_name(
            bytes in prop_oneof!["'{0,2}[a-zé€Ω']{0,40}'{0,2}".prop_map(String::into_bytes), any::<Vec<u8>>()],
            collation in prop_oneof![Just(LATIN1), Just(UTF8MB4), Just(UTF8MB4_0900), any::<u8>()],
            server in prop::sample::select(&ALL[..]),
        ) {
            if let Ok(name) = UserName::from_login(&bytes, collation, server) {
                let sent = name.encode(collation.into(), server).expect("it came in this collation");
                prop_assert_eq!(UserName::from_login(&sent, collation, server), Ok(name.clone()));
                prop_assert_eq!(UserName::from_change_user(&sent, collation.into(), server), Ok(name));
            }
        }
    }
}
