//! The accounts of a server's own grant tables, judged on the client's own TLS session.
//!
//! Twice: before the server is dialled, by the account that it would choose for the client's address; and after its OK,
//! by the account that it says it has chosen, for it sees the address of mytls.

use std::sync::Arc;

use super::account::Rank;
use super::accounts::{Account, Accounts, counting};
use super::denial::Denial;
use super::host::{Client, Fit, Host, Notation};
use super::identity::{ClientAddress, Identity};
use super::judgement::Judgement;
use super::quoted::Quoted;
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

/// Whose address a server sees, and chooses the account by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeenAddress {
    /// That of mytls, whose connection it is.
    Mytls,
    /// The client's, which a PROXY header has told the server.
    Client,
}

/// The accounts of a server's grant tables, of one import.
#[derive(Debug)]
pub struct ImportedAccounts {
    accounts: Accounts<Imported>,
    policy: ImportPolicy,
}

#[derive(Debug)]
struct Imported {
    account: Account,
    /// As read, to be found again.
    host: String,
    peer_credential: bool,
}

/// Proof that the account which the server has chosen lets this client pass. Only [`ImportedAccounts`] makes one.
#[derive(Debug, Clone)]
pub struct Confirmed {
    account: Arc<str>,
    reported: Option<Denial>,
}

impl Confirmed {
    /// The account, by the name that it is logged under (`imported 'app'@'%'`); the first of several.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// What would have refused the client, had `import-accounts.enforcement` not been `report`.
    pub fn reported(&self) -> Option<&Denial> {
        self.reported.as_ref()
    }
}

impl ImportedAccounts {
    /// Indexes the accounts by user. `server` is the kind of server that they were read from: each chooses in an order of
    /// its own.
    pub fn new(accounts: Vec<ImportedAccount>, server: ServerKind, policy: ImportPolicy) -> Self {
        let mut index = Accounts::new();
        for account in accounts {
            let user = account.user.clone();
            let imported = Imported::new(account, server);
            if user.is_empty() && gives_anonymous_accounts_to_everybody(server) {
                index.add_everybodys(imported);
            } else {
                index.add(&user, imported);
            }
        }
        Self {
            accounts: index,
            policy,
        }
    }

    /// Every account with what it requires, in the order of their names.
    pub fn all(&self) -> Vec<(&str, &Requirement)> {
        let mut all: Vec<_> = self
            .accounts
            .all()
            .map(|imported| imported.account.judgement.parts())
            .collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        all
    }

    /// Whether an account is named so, or an anonymous one names everybody.
    pub fn holds(&self, user: &UserName) -> bool {
        self.accounts.of(user.as_str()).next().is_some()
    }

    /// Judges a client before the server is dialled, by the account that the server would choose for its address. What
    /// is not refused but reported is returned.
    pub(super) fn judge(
        &self,
        identity: &Identity,
        client: &Client,
        user: &UserName,
    ) -> Result<Option<Denial>, Denial> {
        let accounts = self.accounts.of(user.as_str());
        if accounts.clone().next().is_none() {
            return Err(Denial::NotImported);
        }
        // The server sees our address, not the client's: any of them might be chosen.
        self.refuse_peer_credentials(accounts.clone())?;
        let (chosen, mut all) = counting(accounts.map(|imported| &imported.account), client);
        let judged = if chosen.is_none() && !self.policy.ignore_hosts {
            Err(Denial::NoImportedAccount {
                address: client.address(),
            })
        } else {
            all.try_for_each(|judgement| judgement.judge(&identity.transport))
        };
        self.relax(judged)
    }

    /// Judges a client after the server's OK, by the account that the server says it has logged in as: `CURRENT_USER()`,
    /// or `@@proxy_user` where that is one, split at the last `@` and without quotes.
    ///
    /// It must be the one that the server would have chosen for the client's own address: another has a password, a lock
    /// and privileges of its own.
    pub fn confirm_login(
        &self,
        identity: &Identity,
        login: &UserName,
        (user, host): (&str, &str),
        seen: SeenAddress,
    ) -> Result<Confirmed, Denial> {
        let confirmed = self.confirm(identity, user, host)?;
        if self.policy.ignore_hosts {
            return Ok(confirmed);
        }
        let accounts = self.accounts.of(login.as_str());
        let accounts = accounts.map(|imported| &imported.account);
        let client = Client::new(identity.address);
        let (own, mut all) = counting(accounts.clone(), &client);
        let account = &confirmed.account;
        let counts = all.any(|judgement| judgement.account() == account);
        // A host name that the server finds for mytls is the client's only on the same machine. One that it finds for the
        // client is the client's, but it cannot be `localhost`: then somebody between took the header off.
        let local = Client::new(ClientAddress::UnixSocket);
        let may_be_its_name = |other: &&Account| {
            seen == SeenAddress::Client
                && other.fit(&client) == Fit::Possible
                && other.fit(&local) == Fit::No
        };
        let fits = identity.address.is_this_machine()
            || accounts
                .filter(|other| other.fit(&client) == Fit::Certain || may_be_its_name(other))
                .any(|other| other.judgement.account() == account);
        let judged = match own.map(Judgement::account) {
            Some(own) if !(counts && fits) => Err(Denial::OtherAccount {
                account: Arc::clone(account),
                own: Arc::clone(own),
            }),
            // without one it was refused, or reported
            _ => Ok(()),
        };
        let reported = self.relax(judged)?;
        Ok(Confirmed {
            reported: confirmed.reported.or(reported),
            ..confirmed
        })
    }

    /// The same for the account that a proxy user became: only what it requires counts.
    pub fn confirm(
        &self,
        identity: &Identity,
        user: &str,
        host: &str,
    ) -> Result<Confirmed, Denial> {
        let same = |imported: &&Imported| imported.host.eq_ignore_ascii_case(host);
        let accounts = self.accounts.named(user).filter(same);
        self.confirm_all(identity, accounts).unwrap_or_else(|| {
            Err(Denial::UnknownAccount {
                account: account_name(user, host),
            })
        })
    }

    /// Judges a client whose password has expired, so that the server tells no account: every account that it could be
    /// must permit.
    pub fn confirm_expired(
        &self,
        identity: &Identity,
        user: &UserName,
    ) -> Result<Confirmed, Denial> {
        self.confirm_all(identity, self.accounts.of(user.as_str()))
            .unwrap_or(Err(Denial::NotImported))
    }

    /// `None` if there is not even one.
    fn confirm_all<'a>(
        &self,
        identity: &Identity,
        mut accounts: impl Iterator<Item = &'a Imported> + Clone,
    ) -> Option<Result<Confirmed, Denial>> {
        let first = accounts.clone().next()?;
        let judged =
            self.refuse_peer_credentials(accounts.clone())
                .and_then(|()| {
                    self.relax(accounts.try_for_each(|imported| {
                        imported.account.judgement.judge(&identity.transport)
                    }))
                });
        Some(judged.map(|reported| Confirmed {
            account: Arc::clone(first.account.judgement.account()),
            reported,
        }))
    }

    /// Never relaxed: it is no matter of what the client shows.
    fn refuse_peer_credentials<'a>(
        &self,
        mut accounts: impl Iterator<Item = &'a Imported>,
    ) -> Result<(), Denial> {
        if !self.policy.refuse_peer_credentials {
            return Ok(());
        }
        match accounts.find(|imported| imported.peer_credential) {
            None => Ok(()),
            Some(imported) => Err(Denial::PeerCredential {
                account: Arc::clone(imported.account.judgement.account()),
            }),
        }
    }

    fn relax(&self, judged: Result<(), Denial>) -> Result<Option<Denial>, Denial> {
        match judged {
            Ok(()) => Ok(None),
            Err(denial) if self.policy.report_only => Ok(Some(denial)),
            Err(denial) => Err(denial),
        }
    }
}

impl Imported {
    fn new(account: ImportedAccount, server: ServerKind) -> Self {
        let ImportedAccount {
            user,
            host,
            requirement,
            peer_credential,
        } = account;
        let read = read_host(&host, server);
        let rank = match &read {
            Some(read) => Rank::on(server, read, user.is_empty()),
            None => Rank::UNKNOWN,
        };
        let name = format!("imported {}", account_name(&user, &host));
        Self {
            account: Account {
                host: read,
                rank,
                judgement: Judgement::new(name, requirement),
            },
            host,
            peer_credential,
        }
    }
}

/// Servers store any text as a host, and compare it as text. `None` where it is not certain whom it admits.
fn read_host(text: &str, server: ServerKind) -> Option<Host> {
    let host: Host = text.parse().ok()?;
    let is_read = match &host {
        // run: MariaDB takes it for a name; TiDB and MySQL before 8.0.23 know netmasks only
        Host::Network(_, Notation::PrefixLength) => server == ServerKind::MySql,
        Host::Network(_, Notation::Netmask)
        | Host::Address(_)
        | Host::Name(_)
        | Host::Pattern(_) => true,
    };
    // run: `::ffff:10.0.0.1` admits nobody
    (is_read && host.to_string() == text.to_lowercase()).then_some(host)
}

/// TiDB's are for clients that send an empty name.
/// <https://github.com/pingcap/tidb/blob/master/pkg/privilege/privileges/cache.go>
fn gives_anonymous_accounts_to_everybody(server: ServerKind) -> bool {
    match server {
        ServerKind::OldMySql | ServerKind::MySql | ServerKind::MariaDb => true,
        ServerKind::TiDb => false,
    }
}

fn account_name(user: &str, host: &str) -> String {
    format!("{}@{}", Quoted(user), Quoted(host))
}

#[cfg(test)]
mod tests;
