//! The kinds of servers that read what they are sent differently.

/// Which kind of server a backend is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerKind {
    /// MySQL before 8.0.
    OldMySql,
    /// MySQL 8.0 and later, Percona Server, and what else calls itself neither of the others.
    MySql,
    /// MariaDB.
    MariaDb,
    /// TiDB, which converts nothing: names are the bytes that it is sent.
    TiDb,
}

impl ServerKind {
    /// The longest name that any server knows, in characters.
    pub const LONGEST_NAME: usize = 128;

    /// The kind of server that greets with this version.
    pub fn of_version(version: &str) -> Self {
        let major = version
            .split('.')
            .next()
            .and_then(|major| major.parse::<u32>().ok());
        if version.contains("TiDB") {
            Self::TiDb
        } else if version.contains("MariaDB") {
            Self::MariaDb
        } else if major.is_some_and(|major| major >= 8) {
            Self::MySql
        } else {
            Self::OldMySql
        }
    }

    /// The longest name that it knows, in characters.
    /// <https://dev.mysql.com/doc/refman/9.7/en/user-names.html>
    pub fn longest_name(self) -> usize {
        match self {
            Self::OldMySql | Self::MySql | Self::TiDb => 32,
            Self::MariaDb => Self::LONGEST_NAME,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ServerKind::{MariaDb, MySql, OldMySql, TiDb};
    use super::*;

    #[test]
    fn servers_are_known_by_their_version() {
        for (version, server) in [
            ("9.7.4-2", MySql),
            ("8.0.36-28", MySql),
            ("5.7.44-log", OldMySql),
            ("5.5.5-10.11.18-MariaDB-0+deb12u1", MariaDb),
            ("11.8.6-MariaDB-0+deb13u1 from Debian", MariaDb),
            ("8.0.11-TiDB-v8.5.1", TiDb),
            ("", OldMySql),
        ] {
            assert_eq!(ServerKind::of_version(version), server, "{version}");
        }
    }
}
