//! The import of a backend's accounts out of its own grant tables, kept up by one task.
//!
//! `client` logs in and asks, `grant_tables` knows what for; here it is decided when, and what holds meanwhile. Nothing
//! is judged here.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use thiserror::Error;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, trace, warn};

use super::client::{Client, LoginError};
use super::grant_tables::{GarbledRow, GrantTables, PREPARE};
use super::own_account::OwnAccount;
use super::query::QueryError;
use super::{Backend, Role};
use crate::protocol::user_name::UserName;
use crate::rules::{ImportPolicy, ImportedAccount, ImportedAccounts};

/// Imports start no closer to each other, whoever asks for them.
const PAUSE: Duration = Duration::from_secs(1);

/// What a server gets to answer with its accounts.
const ANSWER: Duration = Duration::from_secs(30);

/// Room for about 100,000 accounts.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// The account may not read a table, or not all columns of it.
const TABLE_ACCESS_DENIED: u16 = 1142;
const COLUMN_ACCESS_DENIED: u16 = 1143;

/// `import-accounts`, for one backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportSettings {
    /// Whom mytls logs in as.
    pub account: OwnAccount,
    /// How long after the beginning of an import the next begins (`import-accounts.interval`).
    pub interval: Duration,
    /// Do not refuse users none of whose accounts admits the client's address (`import-accounts.hosts: ignore`).
    pub ignore_hosts: bool,
    /// Report what imported accounts would refuse, and let it pass (`import-accounts.enforcement: report`).
    pub report_only: bool,
}

/// The accounts of a backend, as far as they were imported.
#[derive(Debug)]
pub struct Import {
    role: Role,
    account: OwnAccount,
    interval: Duration,
    policy: ImportPolicy,
    on_unix_socket: bool,
    progress: watch::Sender<Progress>,
}

/// Imports are counted from 1.
#[derive(Debug, Default)]
struct Progress {
    /// The last that somebody waits for.
    asked: u64,
    /// The last that has begun.
    started: u64,
    /// The last that is over, well or not.
    finished: u64,
    /// Of the last that went well.
    latest: Option<Arc<ImportedAccounts>>,
    /// Of the same.
    tally: Option<Tally>,
    /// So many failed.
    failures: u64,
    /// Why the last that is over failed, if it did.
    failure: Option<Arc<str>>,
    /// There will be no more.
    ended: bool,
}

/// What the last import that went well has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// How many accounts.
    pub accounts: usize,
    /// When it was over.
    pub at: SystemTime,
}

/// Why there are no accounts to judge a user by.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotImported {
    /// No import ever went well.
    #[error("the server's accounts were never imported: {0}")]
    Never(Arc<str>),
    /// What is asked for is not among the accounts of the last import that went well, and the one that was waited for
    /// failed.
    #[error("the last import does not have this account, and the next one failed: {0}")]
    Failed(Arc<str>),
    /// mytls is ending and imports no more.
    #[error("mytls is ending: nothing is imported any more")]
    Ended,
}

/// Why an import failed.
#[derive(Debug, Error)]
pub(crate) enum ImportError {
    /// No login.
    #[error("{0}")]
    Login(#[from] LoginError),
    /// The account lacks privileges.
    #[error("{refused}: {user} needs {grants}")]
    Denied {
        /// In the server's words.
        refused: QueryError,
        /// Who.
        user: UserName,
        /// What suffices.
        grants: &'static str,
    },
    /// No rows.
    #[error("{0}")]
    Query(#[from] QueryError),
    /// Odd rows.
    #[error("{0}")]
    Garbled(#[from] GarbledRow),
    /// No answer.
    #[error("the backend did not send its accounts within {} s", ANSWER.as_secs())]
    TooSlow,
}

/// A successful import.
#[derive(Debug)]
pub(crate) struct Imported {
    accounts: ImportedAccounts,
    /// How many there are.
    pub(crate) count: usize,
}

impl Import {
    pub(super) fn new(settings: ImportSettings, role: Role, on_unix_socket: bool) -> Self {
        let ImportSettings {
            account,
            interval,
            ignore_hosts,
            report_only,
        } = settings;
        Self {
            role,
            account,
            interval,
            policy: ImportPolicy {
                ignore_hosts,
                report_only,
                refuse_peer_credentials: on_unix_socket,
            },
            on_unix_socket,
            progress: watch::Sender::default(),
        }
    }

    /// The accounts to judge this user by: those of the last import if they hold the name, else those of the next import
    /// to start.
    ///
    /// Cancel safe. Not bounded: the caller has a deadline.
    pub async fn accounts_for(
        &self,
        user: &UserName,
    ) -> Result<Arc<ImportedAccounts>, NotImported> {
        let held = self.progress.borrow().holding(user);
        match held {
            Some(accounts) => Ok(accounts),
            None => self.next().await,
        }
    }

    /// The accounts of the next import to start. Cancel safe. Not bounded: the caller has a deadline.
    pub async fn next(&self) -> Result<Arc<ImportedAccounts>, NotImported> {
        let mut progress = self.progress.subscribe();
        let next = progress.borrow().started + 1;
        self.ask_for(next);
        let now = progress
            .wait_for(|now| now.finished >= next || now.ended)
            .await
            .map_err(|_| NotImported::Ended)?;
        match (&now.latest, &now.failure) {
            _ if now.finished < next => Err(NotImported::Ended),
            (Some(accounts), None) => Ok(Arc::clone(accounts)),
            (Some(_), Some(why)) => Err(NotImported::Failed(Arc::clone(why))),
            (None, Some(why)) => Err(NotImported::Never(Arc::clone(why))),
            (None, None) => Err(NotImported::Ended),
        }
    }

    /// The accounts of the last import that went well.
    pub fn latest(&self) -> Option<Arc<ImportedAccounts>> {
        self.progress.borrow().latest.clone()
    }

    /// What it has brought; none if no import ever went well.
    pub fn tally(&self) -> Option<Tally> {
        self.progress.borrow().tally
    }

    /// How many imports are over, and how many of them have failed.
    pub fn counts(&self) -> (u64, u64) {
        let now = self.progress.borrow();
        (now.finished, now.failures)
    }

    /// Asks for an import as soon as may be.
    pub fn request(&self) {
        let next = self.progress.borrow().started + 1;
        self.ask_for(next);
    }

    fn ask_for(&self, number: u64) {
        self.progress.send_if_modified(|now| {
            let is_new = now.asked < number;
            now.asked = now.asked.max(number);
            is_new
        });
    }

    /// Imports at once, on the interval, and when asked, until `closing`; the connection is kept in between.
    ///
    /// An import that fails is tried again after 1 s, then 2 s, 4 s … up to the interval. Only the first failure for one
    /// reason is logged.
    pub async fn keep(&self, backend: &Backend, closing: CancellationToken) {
        let mut kept = None;
        closing
            .run_until_cancelled(self.keep_importing(backend, &mut kept))
            .await;
        self.progress.send_modify(|now| now.ended = true);
        if let Some(client) = kept {
            client.close().await;
        }
    }

    async fn keep_importing(&self, backend: &Backend, kept: &mut Option<Client>) {
        let mut progress = self.progress.subscribe();
        let mut retry = PAUSE;
        loop {
            let started = Instant::now();
            self.progress.send_modify(|now| now.started += 1);
            let result = self.import(backend, kept).await;
            let pause = if result.is_ok() {
                retry = PAUSE;
                self.interval
            } else {
                let pause = retry.min(self.interval);
                retry = pause * 2;
                pause
            };
            self.finish(result);
            let asked = progress.wait_for(|now| now.asked > now.started);
            // by either it is time, unless it is too soon for both
            let _ = timeout_at(started + pause, asked).await;
            sleep_until(started + PAUSE).await;
        }
    }

    /// Lets everybody know how an import went.
    fn finish(&self, result: Result<Imported, ImportError>) {
        let before = self.progress.borrow().failure.clone();
        let had_accounts = self.progress.borrow().latest.is_some();
        let failure = match result {
            Ok(Imported { accounts, count }) => {
                self.progress.send_modify(|now| {
                    now.latest = Some(Arc::new(accounts));
                    now.tally = Some(Tally {
                        accounts: count,
                        at: SystemTime::now(),
                    });
                    now.failure = None;
                    now.finished = now.started;
                });
                // behind it, so that whoever reads this finds them in force
                if before.is_some() || !had_accounts {
                    info!(route = %self.role, accounts = count, "accounts are imported");
                }
                return;
            }
            Err(error) => error.to_string(),
        };
        if before.as_deref() != Some(&failure) {
            let meanwhile = if had_accounts {
                "those of the last import stay in force, and other users are refused"
            } else {
                "until they are, nobody may log in"
            };
            // quoted: a hostile server's text must not make lines of its own
            warn!(route = %self.role, error = failure, "accounts cannot be imported; {meanwhile}");
        }
        self.progress.send_modify(|now| {
            now.failure = Some(failure.into());
            now.failures += 1;
            now.finished = now.started;
        });
    }

    /// Imports once, on a connection of its own.
    pub(crate) async fn once(&self, backend: &Backend) -> Result<Imported, ImportError> {
        let mut kept = None;
        let result = self.import(backend, &mut kept).await;
        if let Some(client) = kept {
            client.close().await;
        }
        result
    }

    /// On the kept connection if it still works, else on a new one, which is kept if all goes well.
    async fn import(
        &self,
        backend: &Backend,
        kept: &mut Option<Client>,
    ) -> Result<Imported, ImportError> {
        if let Some(mut client) = kept.take() {
            // A server may have closed it, as servers do with idle connections: that is no failure.
            if let Ok(imported) = self.read(&mut client).await {
                *kept = Some(client);
                return Ok(imported);
            }
            client.close().await;
        }
        let mut client = Client::log_in(backend, &self.account).await?;
        let prepared = timeout(ANSWER, client.query(PREPARE, MOST_BYTES)).await;
        let result = match prepared {
            Err(_) => Err(ImportError::TooSlow),
            Ok(Err(error)) => Err(error.into()),
            Ok(Ok(_)) => self.read(&mut client).await,
        };
        if result.is_ok() {
            *kept = Some(client);
        } else {
            client.close().await;
        }
        result
    }

    async fn read(&self, client: &mut Client) -> Result<Imported, ImportError> {
        let server = client.server();
        let tables = GrantTables::of(server, self.on_unix_socket);
        let rows = timeout(ANSWER, client.query(tables.statement(), MOST_BYTES))
            .await
            .map_err(|_| ImportError::TooSlow)?
            .map_err(|error| self.explained(error, tables))?;
        let mut accounts = Vec::new();
        for row in rows {
            accounts.extend(tables.account(row)?);
        }
        for account in &accounts {
            let ImportedAccount {
                user,
                host,
                requirement,
                peer_credential,
            } = account;
            let requirement = requirement.to_string();
            trace!(route = %self.role, user, host, requirement, peer_credential, "imported");
        }
        let count = accounts.len();
        let accounts = ImportedAccounts::new(accounts, server, self.policy);
        Ok(Imported { accounts, count })
    }

    fn explained(&self, error: QueryError, tables: GrantTables) -> ImportError {
        match error {
            QueryError::Refused(ref refused)
                if matches!(refused.code, TABLE_ACCESS_DENIED | COLUMN_ACCESS_DENIED) =>
            {
                ImportError::Denied {
                    refused: error,
                    user: self.account.user.clone(),
                    grants: tables.grants(),
                }
            }
            other => other.into(),
        }
    }
}

impl Progress {
    fn holding(&self, user: &UserName) -> Option<Arc<ImportedAccounts>> {
        self.latest
            .as_ref()
            .filter(|accounts| accounts.holds(user))
            .map(Arc::clone)
    }
}

#[cfg(test)]
mod tests;
