//! Where a rule of ours stands. The grant tables of a server are a third place, with a judgement of their own (`imported`).

use std::fmt;

use super::account::AccountName;

/// A place of rules that mytls itself has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// `accounts` of the configuration file.
    File,
    /// `CREATE USER` at the admin port.
    AdminPort,
}

impl Place {
    /// What an account of this place is called in the log: the file's by its name alone.
    pub(super) fn name_of(self, account: &AccountName) -> String {
        match self {
            Self::File => account.to_string(),
            Self::AdminPort => format!("{account} ({self})"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::AdminPort => "admin port",
        })
    }
}
