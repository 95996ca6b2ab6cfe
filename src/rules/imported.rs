//! The accounts of a server's own grant tables. A stand-in that only holds them.

use super::requirement::Requirement;
use crate::protocol::server_kind::ServerKind;
use crate::protocol::user_name::UserName;

/// One account of a server's grant tables, as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedAccount {
    /// Whom; empty: the anonymous user. It need not be a name that a client can send.
    pub user: String,
    /// From where. It need not be a host that anybody can read: servers store everything.
    pub host: String,
    /// What a client must show to pass as that account.
    pub requirement: Requirement,
    /// It is authenticated by the OS user at the other end of a Unix socket (`auth_socket`, `unix_socket`).
    pub peer_credential: bool,
}

/// How imported accounts are enforced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportPolicy {
    /// Do not refuse users none of whose accounts admits the client's address (`import-accounts.hosts: ignore`).
    pub ignore_hosts: bool,
    /// Report which requirements and hosts would refuse a client, and let it pass (`import-accounts.enforcement: report`).
    pub report_only: bool,
    /// Refuse accounts with a peer credential: the server is on a Unix socket, where it would see mytls' own OS user.
    pub refuse_peer_credentials: bool,
}

/// The accounts of a server's grant tables, of one import.
#[derive(Debug)]
pub struct ImportedAccounts {
    accounts: Vec<ImportedAccount>,
}

impl ImportedAccounts {
    /// Keeps the accounts.
    pub fn new(accounts: Vec<ImportedAccount>, _server: ServerKind, _policy: ImportPolicy) -> Self {
        Self { accounts }
    }

    /// Whether an account is named so, or an anonymous one names everybody.
    pub fn holds(&self, user: &UserName) -> bool {
        self.accounts
            .iter()
            .any(|account| account.user.is_empty() || account.user == user.as_str())
    }
}
