//! Why a statement is not carried out: MySQL's numbers, in words that help.

use crate::protocol::err_packet::ErrPacket;
use crate::rules::AccountName;

/// What the admin port can do, for those who ask for more.
const SUPPORTED: &str = "ALTER INSTANCE RELOAD TLS, SHOW STATUS, SHOW VARIABLES, SHOW PROCESSLIST, KILL, SHOW CERTIFICATES, \
     SHOW BACKENDS, \
     SET ROUTE TO source or target [DRAIN [WITHIN n SECONDS]], CREATE USER, ALTER USER, DROP USER (… REQUIRE), SHOW USERS, SHOW CREATE USER, SHOW DENIALS, FLUSH PRIVILEGES, SELECT … FROM performance_schema.tls_channel_status, SHUTDOWN";

/// Why a statement is not carried out. The text is what the client reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// Nothing but blanks and comments.
    #[error("Query was empty")]
    Empty,
    /// It stops making sense.
    #[error(
        "You have an error in your SQL syntax; check what mytls supports for the right syntax to use near '{near}' at line {line}"
    )]
    Syntax {
        /// The text from there, not all of it.
        near: String,
        /// From 1.
        line: usize,
    },
    /// A part of it can be read but cannot be meant.
    #[error("You have an error in your SQL syntax; {0}")]
    Meaningless(String),
    /// SQL, but not ours.
    #[error("mytls doesn't support '{0}'; what it does: {SUPPORTED}")]
    Unsupported(String),
    /// `CREATE USER … IDENTIFIED BY`.
    #[error(
        "mytls doesn't support 'IDENTIFIED': passwords are the backend's; an account here is only what REQUIRE says, and \
         the users of this port stand under `admin.users` of the configuration"
    )]
    Passwords,
    /// Neither ours nor one that drivers ask for.
    #[error("Unknown system variable '{0}'")]
    UnknownVariable(String),
    /// It says what is in force, and cannot be changed while mytls runs.
    #[error("Variable '{0}' is a read only variable")]
    ReadOnly(String),
    /// `SET SESSION` of what holds for all of mytls.
    #[error("Variable '{0}' is a GLOBAL variable and should be set with SET GLOBAL")]
    GlobalVariable(String),
    /// The route stays as it was.
    #[error("Variable 'route' can't be set to the value of '{to}': {reason}")]
    Route {
        /// As it was written.
        to: String,
        /// Why.
        reason: String,
    },
    /// A warning.
    #[error(
        "The route is set until mytls ends: there is no state directory to keep it in, and the next start takes the `route` of \
         the configuration"
    )]
    RouteNotKept,
    /// `KILL` of an id that no session has.
    #[error("Unknown thread id: {0}")]
    UnknownSession(u64),
    /// Nothing was done, since some of the accounts exist, or do not.
    #[error("Operation {operation} failed for {}", each(accounts, reason))]
    Operation {
        /// The statement's first words.
        operation: &'static str,
        /// The accounts that stand in the way.
        accounts: Vec<AccountName>,
        /// Why.
        reason: &'static str,
    },
    /// It was left as it was; a note.
    #[error("Authorization ID {0} already exists.")]
    AccountExists(AccountName),
    /// There was nothing to do; a note.
    #[error("Authorization ID {0} does not exist.")]
    NoAccount(AccountName),
    /// There is a limit.
    #[error(
        "there cannot be more than {0} account rules at the admin port; more can stand in the configuration file"
    )]
    TooManyAccounts(usize),
    /// It is done, for as long as the process lives; a warning.
    #[error(
        "there is no state directory: account rules made here are lost when mytls ends; write `state-dir`, or `accounts`"
    )]
    OnlyInMemory,
    /// The state directory does not take it.
    #[error("nothing was changed: {0}")]
    NotKept(String),
    /// mytls is ending.
    #[error("Server shutdown in progress")]
    Ending,
    /// `FOR CHANNEL` of a name that no channel has.
    #[error("There is no channel '{name}'; there are: {channels}")]
    UnknownChannel {
        /// As it was written.
        name: String,
        /// Those there are.
        channels: String,
    },
    /// Certificates could not be loaded; the reason names file, problem and cure.
    #[error("Failed to set up SSL: {0}")]
    Tls(String),
    /// More than MySQL has.
    #[error("Too many columns")]
    TooManyColumns,
    /// `SHOW TABLES` without a database.
    #[error("No database selected")]
    NoDatabase,
    /// `COM_FIELD_LIST`.
    #[error("Table '{0}' doesn't exist")]
    UnknownTable(String),
    /// What is no UTF-8 cannot be looked at.
    #[error("Invalid utf8mb4 character string in the statement")]
    NotUtf8,
    /// `COM_STMT_PREPARE`.
    #[error("This command is not supported in the prepared statement protocol yet")]
    Prepared,
    /// A command byte that this port does not know.
    #[error("Unknown command")]
    UnknownCommand,
}

impl Refusal {
    /// What the client gets.
    pub(super) fn packet(&self) -> ErrPacket {
        let (code, state) = match self {
            Self::Empty => (1065, "42000"),
            Self::Syntax { .. } | Self::Meaningless(_) => (1064, "42000"),
            Self::Unsupported(_) | Self::Passwords => (1235, "42000"),
            Self::UnknownVariable(_) => (1193, "HY000"),
            Self::ReadOnly(_) => (1238, "HY000"),
            Self::GlobalVariable(_) => (1229, "HY000"),
            Self::Route { .. } => (1231, "42000"),
            Self::UnknownSession(_) => (1094, "HY000"),
            Self::Operation { .. } => (1396, "HY000"),
            Self::AccountExists(_) => (3163, "HY000"),
            Self::NoAccount(_) => (3162, "HY000"),
            Self::TooManyAccounts(_) | Self::OnlyInMemory | Self::RouteNotKept => (1105, "HY000"),
            Self::NotKept(_) => (1026, "HY000"),
            Self::Ending => (1053, "08S01"),
            Self::UnknownChannel { .. } => (1149, "42000"),
            Self::Tls(_) => (3888, "HY000"),
            Self::TooManyColumns => (1117, "HY000"),
            Self::NoDatabase => (1046, "3D000"),
            Self::UnknownTable(_) => (1146, "42S02"),
            Self::NotUtf8 => (1300, "HY000"),
            Self::Prepared => (1295, "HY000"),
            Self::UnknownCommand => (1047, "08S01"),
        };
        ErrPacket::new(code, state, self.to_string())
    }
    /// The word of `SHOW WARNINGS`.
    pub(super) fn level(&self) -> &'static str {
        match self {
            Self::AccountExists(_) | Self::NoAccount(_) => "Note",
            Self::Tls(_) | Self::OnlyInMemory | Self::RouteNotKept => "Warning",
            Self::Empty
            | Self::Syntax { .. }
            | Self::Meaningless(_)
            | Self::Unsupported(_)
            | Self::Passwords
            | Self::UnknownVariable(_)
            | Self::ReadOnly(_)
            | Self::GlobalVariable(_)
            | Self::Route { .. }
            | Self::UnknownSession(_)
            | Self::Operation { .. }
            | Self::TooManyAccounts(_)
            | Self::NotKept(_)
            | Self::Ending
            | Self::UnknownChannel { .. }
            | Self::TooManyColumns
            | Self::NoDatabase
            | Self::UnknownTable(_)
            | Self::NotUtf8
            | Self::Prepared
            | Self::UnknownCommand => "Error",
        }
    }
}

/// As MySQL lists them.
fn each(accounts: &[AccountName], reason: &str) -> String {
    let accounts = accounts
        .iter()
        .map(|account| format!("{account} ({reason})"));
    accounts.collect::<Vec<_>>().join(",")
}
