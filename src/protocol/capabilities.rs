//! Capability flags: what client and server agree on in their greetings.
//!
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html>;
//! MariaDB's extended flags: <https://mariadb.com/docs/server/reference/clientserver-protocol/1-connecting/connection>

use std::ops::{BitAnd, BitOr};

/// A set of capability flags. The low 32 bits are MySQL's, the high 32 MariaDB's extended ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities(u64);

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident = $bit:literal;)*) => {
        impl Capabilities {
            $($(#[$doc])* pub const $name: Self = Self(1 << $bit);)*
        }
    };
}

flags! {
    /// `CLIENT_LONG_PASSWORD` in MySQL, always set. MariaDB calls it `CLIENT_MYSQL` and clears it to say "MariaDB".
    CLIENT_MYSQL = 0;
    /// An UPDATE counts the rows that it found, not those that it changed.
    FOUND_ROWS = 1;
    /// Longer column flags.
    LONG_FLAG = 2;
    /// The login names a database.
    CONNECT_WITH_DB = 3;
    /// `db.table.column` is not allowed.
    NO_SCHEMA = 4;
    /// An ODBC client.
    ODBC = 6;
    /// The client can do LOAD DATA LOCAL.
    LOCAL_FILES = 7;
    /// Spaces before a parenthesis are ignored.
    IGNORE_SPACE = 8;
    /// The protocol of MySQL 4.1; nothing older is spoken here.
    PROTOCOL_41 = 9;
    /// `interactive_timeout` in place of `wait_timeout`.
    INTERACTIVE = 10;
    /// The client switches to TLS after its `SSLRequest`.
    SSL = 11;
    /// The client ignores SIGPIPE; means nothing on the wire.
    IGNORE_SIGPIPE = 12;
    /// OK and EOF packets carry status flags.
    TRANSACTIONS = 13;
    /// Set by old clients; means nothing.
    RESERVED = 14;
    /// Authentication of MySQL 4.1; called `CLIENT_RESERVED2` since MySQL 8.0.
    SECURE_CONNECTION = 15;
    /// Several statements in one `COM_QUERY`.
    MULTI_STATEMENTS = 16;
    /// Several results of one `COM_QUERY`.
    MULTI_RESULTS = 17;
    /// Several results of one `COM_STMT_EXECUTE`.
    PS_MULTI_RESULTS = 18;
    /// Authentication by plugins that the packets name.
    PLUGIN_AUTH = 19;
    /// The login carries connection attributes.
    CONNECT_ATTRS = 20;
    /// The login's authentication data has a length-encoded length.
    PLUGIN_AUTH_LENENC_CLIENT_DATA = 21;
    /// A login with an expired password is let in, to change it.
    CAN_HANDLE_EXPIRED_PASSWORDS = 22;
    /// OK packets tell changes of session state.
    SESSION_TRACK = 23;
    /// An OK packet ends a result set, and nothing stands between its columns and rows.
    DEPRECATE_EOF = 24;
    /// The client can do without a result set's metadata.
    OPTIONAL_RESULTSET_METADATA = 25;
    /// `COM_QUERY` and `COM_STMT_EXECUTE` carry query attributes.
    QUERY_ATTRIBUTES = 27;
    /// Several factors of authentication.
    MULTI_FACTOR_AUTHENTICATION = 28;
    /// MariaDB: an ERR with code 0xFFFF reports progress.
    MARIADB_PROGRESS = 32;
    /// MariaDB: `COM_STMT_BULK_EXECUTE`.
    MARIADB_STMT_BULK_OPERATIONS = 34;
    /// MariaDB: column definitions carry extended type information.
    MARIADB_EXTENDED_METADATA = 35;
    /// MariaDB: a result set of a statement executed again leaves out its metadata.
    MARIADB_CACHE_METADATA = 36;
    /// MariaDB: a bulk execution is answered by a result set with what became of each row.
    MARIADB_BULK_UNIT_RESULTS = 37;
}

impl Capabilities {
    /// What mytls can carry: every flag whose effect on the packets the tracker knows, and the login's own.
    /// SSL is added or not by the port itself.
    pub const RELAYED: Self = Self(
        Self::FOUND_ROWS.0
            | Self::LONG_FLAG.0
            | Self::CONNECT_WITH_DB.0
            | Self::NO_SCHEMA.0
            | Self::ODBC.0
            | Self::LOCAL_FILES.0
            | Self::IGNORE_SPACE.0
            | Self::PROTOCOL_41.0
            | Self::INTERACTIVE.0
            | Self::IGNORE_SIGPIPE.0
            | Self::TRANSACTIONS.0
            | Self::RESERVED.0
            | Self::SECURE_CONNECTION.0
            | Self::MULTI_STATEMENTS.0
            | Self::MULTI_RESULTS.0
            | Self::PS_MULTI_RESULTS.0
            | Self::PLUGIN_AUTH.0
            | Self::CONNECT_ATTRS.0
            | Self::PLUGIN_AUTH_LENENC_CLIENT_DATA.0
            | Self::CAN_HANDLE_EXPIRED_PASSWORDS.0
            | Self::SESSION_TRACK.0
            | Self::DEPRECATE_EOF.0
            | Self::OPTIONAL_RESULTSET_METADATA.0
            | Self::QUERY_ATTRIBUTES.0
            | Self::MULTI_FACTOR_AUTHENTICATION.0
            | Self::MARIADB_PROGRESS.0
            | Self::MARIADB_STMT_BULK_OPERATIONS.0
            | Self::MARIADB_EXTENDED_METADATA.0
            | Self::MARIADB_CACHE_METADATA.0
            | Self::MARIADB_BULK_UNIT_RESULTS.0,
    );

    /// Without these, a client cannot be asked for a fresh scramble, so its login cannot be handed on.
    pub const REQUIRED: Self =
        Self(Self::PROTOCOL_41.0 | Self::SECURE_CONNECTION.0 | Self::PLUGIN_AUTH.0);

    /// From MySQL's 32 bits.
    pub fn from_mysql(bits: u32) -> Self {
        Self(u64::from(bits))
    }

    /// The same with MariaDB's extended 32 bits.
    #[must_use]
    pub fn with_extended(self, bits: u32) -> Self {
        Self(self.0 | u64::from(bits) << 32)
    }

    /// MySQL's 32 bits.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the low half is what is asked for"
    )]
    pub fn mysql(self) -> u32 {
        self.0 as u32
    }

    /// MariaDB's extended 32 bits.
    pub fn extended(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// True when every flag of `other` is set.
    pub fn contains(self, other: Self) -> bool {
        self & other == other
    }

    /// The flags that are not in `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// True when no flag is set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitAnd for Capabilities {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOr for Capabilities {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
