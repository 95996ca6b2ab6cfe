//! Everything that the admin port is asked: one enum. `parser` makes it, `execute` carries it out.

use std::fmt;

use crate::backend::Role;
use crate::rules::{AccountName, Quoted, Requirement};
use crate::tls::OnError;

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Statement {
    /// `ALTER INSTANCE RELOAD TLS`
    ReloadTls {
        /// `FOR CHANNEL`; all without it.
        channel: Option<String>,
        /// `NO ROLLBACK ON ERROR` turns TLS off.
        on_error: OnError,
    },
    Show(Show),
    Kill {
        target: KillTarget,
        id: u64,
    },
    CreateUser {
        if_not_exists: bool,
        accounts: Vec<AccountName>,
        requirement: Requirement,
    },
    AlterUser {
        if_exists: bool,
        accounts: Vec<AccountName>,
        requirement: Requirement,
    },
    DropUser {
        if_exists: bool,
        accounts: Vec<AccountName>,
    },
    FlushPrivileges,
    /// `SET ROUTE TO`
    SetRoute {
        to: Role,
        drain: Drain,
    },
    /// Any other `SET`.
    Set(Vec<Assignment>),
    Select(Select),
    /// `SELECT … FROM performance_schema.tls_channel_status`
    ChannelStatus {
        columns: Vec<ChannelColumn>,
        conditions: Vec<Condition>,
    },
    Shutdown,
    Use(String),
    /// There are no transactions here, and drivers begin and end them unasked.
    Begin,
    Commit,
    Rollback,
}

/// `SHOW …`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Show {
    Status {
        scope: Scope,
        like: Option<String>,
    },
    Variables {
        scope: Scope,
        like: Option<String>,
    },
    Processlist {
        full: bool,
    },
    CreateUser(AccountName),
    Users,
    Denials {
        full: bool,
    },
    Certificates {
        full: bool,
    },
    Backends {
        full: bool,
    },
    /// `SHOW WARNINGS`, `SHOW ERRORS`
    Warnings,
    Databases {
        like: Option<String>,
    },
    Tables {
        full: bool,
        database: Option<String>,
        like: Option<String>,
    },
}

/// Whose status or variable. `LOCAL` is another word for `SESSION`, which is also what holds without a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Global,
    Session,
}

/// What `KILL` ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KillTarget {
    Connection,
    Query,
}

/// What happens to the sessions of the old route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drain {
    /// They go on.
    No,
    /// `DRAIN`: they end between transactions.
    Between,
    /// `DRAIN WITHIN n SECONDS`: and at the latest then.
    Within { seconds: u64 },
}

/// One assignment of `SET`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Assignment {
    /// `SET NAMES`, `SET CHARACTER SET`, `SET TRANSACTION`: of this connection, and without an effect here.
    OfSession,
    /// `SET @name = …`
    UserVariable,
    /// `SET [GLOBAL | SESSION] name = …`
    Variable {
        scope: Scope,
        name: String,
        /// As text, without quotes; none where it is an expression.
        value: Option<String>,
    },
}

/// `SELECT` without a table, as drivers begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Select {
    pub(super) items: Vec<Item>,
    pub(super) limit: Option<u64>,
}

/// One column of a [`Select`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) expression: Expression,
    /// Its alias, else its text.
    pub(super) name: String,
}

/// A value that can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expression {
    Null,
    Number(u64),
    Text(String),
    /// `@@name`, `@@global.name`
    Variable {
        scope: Scope,
        name: String,
    },
    /// `@name`
    UserVariable(String),
    Function(Function),
}

/// A function that can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Version,
    User,
    CurrentUser,
    Database,
    ConnectionId,
}

/// A column of `performance_schema.tls_channel_status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChannelColumn {
    Channel,
    Property,
    Value,
}

/// `WHERE column = text` or `column LIKE text`; all must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) column: ChannelColumn,
    pub(super) like: bool,
    pub(super) text: String,
}

impl Function {
    pub(super) const ALL: [(&'static str, Self); 8] = [
        ("VERSION", Self::Version),
        ("USER", Self::User),
        ("SESSION_USER", Self::User),
        ("SYSTEM_USER", Self::User),
        ("CURRENT_USER", Self::CurrentUser),
        ("DATABASE", Self::Database),
        ("SCHEMA", Self::Database),
        ("CONNECTION_ID", Self::ConnectionId),
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Version => "VERSION",
            Self::User => "USER",
            Self::CurrentUser => "CURRENT_USER",
            Self::Database => "DATABASE",
            Self::ConnectionId => "CONNECTION_ID",
        }
    }
}

impl ChannelColumn {
    pub(super) const ALL: [Self; 3] = [Self::Channel, Self::Property, Self::Value];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Channel => "CHANNEL",
            Self::Property => "PROPERTY",
            Self::Value => "VALUE",
        }
    }
}

/// A name in backquotes.
pub(super) struct Name<'a>(pub(super) &'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0.replace('`', "``"))
    }
}

/// ` LIKE …`, if there is one.
struct Like<'a>(&'a Option<String>);

impl fmt::Display for Like<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(pattern) => write!(f, " LIKE {}", Quoted(pattern)),
            None => Ok(()),
        }
    }
}

/// With commas between.
struct List<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, each) in self.0.iter().enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            write!(f, "{comma}{each}")?;
        }
        Ok(())
    }
}

fn when(condition: bool, words: &'static str) -> &'static str {
    if condition { words } else { "" }
}

/// As it is read; for the log, which tells who did what.
impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Statement::ReloadTls { channel, on_error } => {
                f.write_str("ALTER INSTANCE RELOAD TLS")?;
                if let Some(channel) = channel {
                    write!(f, " FOR CHANNEL {}", Name(channel))?;
                }
                f.write_str(when(*on_error == OnError::TurnOff, " NO ROLLBACK ON ERROR"))
            }
            Statement::Show(show) => write!(f, "SHOW {show}"),
            Statement::Kill { target, id } => {
                let query = when(*target == KillTarget::Query, "QUERY ");
                write!(f, "KILL {query}{id}")
            }
            Statement::CreateUser {
                if_not_exists,
                accounts,
                requirement,
            } => {
                let condition = when(*if_not_exists, "IF NOT EXISTS ");
                let accounts = List(accounts);
                write!(f, "CREATE USER {condition}{accounts} REQUIRE {requirement}")
            }
            Statement::AlterUser {
                if_exists,
                accounts,
                requirement,
            } => {
                let condition = when(*if_exists, "IF EXISTS ");
                let accounts = List(accounts);
                write!(f, "ALTER USER {condition}{accounts} REQUIRE {requirement}")
            }
            Statement::DropUser {
                if_exists,
                accounts,
            } => {
                let condition = when(*if_exists, "IF EXISTS ");
                write!(f, "DROP USER {condition}{}", List(accounts))
            }
            Statement::FlushPrivileges => f.write_str("FLUSH PRIVILEGES"),
            Statement::SetRoute { to, drain } => write!(f, "SET ROUTE TO {to}{drain}"),
            Statement::Set(assignments) => write!(f, "SET {}", List(assignments)),
            Statement::Select(Select { items, limit }) => {
                write!(f, "SELECT {}", List(items))?;
                match limit {
                    Some(limit) => write!(f, " LIMIT {limit}"),
                    None => Ok(()),
                }
            }
            Statement::ChannelStatus {
                columns,
                conditions,
            } => {
                let columns = List(columns);
                write!(
                    f,
                    "SELECT {columns} FROM performance_schema.tls_channel_status"
                )?;
                for (position, condition) in conditions.iter().enumerate() {
                    let joint = if position == 0 { " WHERE" } else { " AND" };
                    write!(f, "{joint} {condition}")?;
                }
                Ok(())
            }
            Statement::Shutdown => f.write_str("SHUTDOWN"),
            Statement::Use(database) => write!(f, "USE {}", Name(database)),
            Statement::Begin => f.write_str("BEGIN"),
            Statement::Commit => f.write_str("COMMIT"),
            Statement::Rollback => f.write_str("ROLLBACK"),
        }
    }
}

impl fmt::Display for Show {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { scope, like } => write!(f, "{scope} STATUS{}", Like(like)),
            Self::Variables { scope, like } => write!(f, "{scope} VARIABLES{}", Like(like)),
            Self::Processlist { full } => write!(f, "{}PROCESSLIST", when(*full, "FULL ")),
            Self::CreateUser(account) => write!(f, "CREATE USER {account}"),
            Self::Users => f.write_str("USERS"),
            Self::Denials { full } => write!(f, "{}DENIALS", when(*full, "FULL ")),
            Self::Certificates { full } => write!(f, "{}CERTIFICATES", when(*full, "FULL ")),
            Self::Backends { full } => write!(f, "{}BACKENDS", when(*full, "FULL ")),
            Self::Warnings => f.write_str("WARNINGS"),
            Self::Databases { like } => write!(f, "DATABASES{}", Like(like)),
            Self::Tables {
                full,
                database,
                like,
            } => {
                write!(f, "{}TABLES", when(*full, "FULL "))?;
                if let Some(database) = database {
                    write!(f, " FROM {}", Name(database))?;
                }
                write!(f, "{}", Like(like))
            }
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Global => "GLOBAL",
            Self::Session => "SESSION",
        })
    }
}

impl fmt::Display for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::No => Ok(()),
            Self::Between => f.write_str(" DRAIN"),
            Self::Within { seconds } => write!(f, " DRAIN WITHIN {seconds} SECONDS"),
        }
    }
}

impl fmt::Display for Assignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OfSession => f.write_str("NAMES utf8mb4"),
            Self::UserVariable => f.write_str("@a = NULL"),
            Self::Variable { scope, name, value } => {
                write!(f, "{scope} {} = ", Name(name))?;
                match value {
                    Some(value) => write!(f, "{}", Quoted(value)),
                    None => f.write_str("(…)"),
                }
            }
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} AS {}", self.expression, Name(&self.name))
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => Quoted(text).fmt(f),
            Self::Variable { scope, name } => write!(f, "@@{scope}.{name}"),
            Self::UserVariable(name) => write!(f, "@{name}"),
            Self::Function(function) => write!(f, "{}()", function.name()),
        }
    }
}

impl fmt::Display for ChannelColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = if self.like { "LIKE" } else { "=" };
        write!(f, "{} {operator} {}", self.column, Quoted(&self.text))
    }
}
