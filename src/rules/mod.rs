//! Who may pass: account rules, chosen as MySQL chooses an account, judged on what the client has shown.
//!
//! Pure: no I/O, no clock. The only maker of a [`Permit`].

use std::collections::HashSet;
use std::ptr;
use std::sync::Arc;

use crate::protocol::user_name::UserName;

mod account;
mod accounts;
mod alternative_names;
mod clause;
mod client_names;
mod denial;
mod host;
mod identity;
mod imported;
mod judgement;
mod name;
mod quoted;
mod requirement;

pub use account::{AccountName, AccountNameError};
pub use alternative_names::{AlternativeNames, AlternativeNamesError};
pub use clause::{Clause, RequirementError};
pub use client_names::ClientNames;
pub use denial::Denial;
pub use host::{Host, HostError, Notation};
pub use identity::{Certificate, ClientAddress, Identity, Transport};
pub use imported::{Confirmed, ImportPolicy, ImportedAccount, ImportedAccounts};
pub use judgement::Judgement;
pub use name::{Attribute, Name};
pub use quoted::Unclosed;
pub(crate) use quoted::{Quoted, read as read_quoted};
pub use requirement::{Condition, Lacking, Requirement};

use accounts::{Account, Accounts, counting};
use host::Client;

/// What the configuration says about who may pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// The rules under `accounts`; each account at most once.
    pub accounts: Vec<AccountRule>,
    /// What is required of a user that no account names (`default-require`).
    pub default_requirement: Requirement,
    /// Refuse plaintext over TCP whatever the account (`require-secure-transport`).
    pub require_secure_transport: bool,
    /// The clients' certificates that may come at all (`cert-allowed-cn`), where it is written.
    pub client_names: Option<ClientNames>,
    /// What becomes of a client that one of the above refuses (`enforcement`).
    pub enforcement: Enforcement,
}

/// Whether rules refuse.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Enforcement {
    /// They do.
    #[default]
    Enforce,
    /// They only tell whom they would refuse, to find out who would be locked out before it happens.
    Report,
}

/// One entry of `accounts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRule {
    /// Whom the rule is about.
    pub name: AccountName,
    /// What a client must show to pass as that account.
    pub requirement: Requirement,
}

/// Why settings do not make rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// Two rules for one account: which of them counts would be chance.
    #[error("account {0} has more than one rule")]
    Duplicate(AccountName),
}

/// The rules in force.
#[derive(Debug)]
pub struct Rules {
    accounts: Accounts<Account>,
    default: Judgement,
    require_secure_transport: bool,
    client_names: Option<ClientNames>,
    enforcement: Enforcement,
}

impl Rules {
    /// Index the rules by user.
    pub fn new(settings: Settings) -> Result<Self, RulesError> {
        let mut seen = HashSet::new();
        let mut accounts = Accounts::new();
        for AccountRule { name, requirement } in settings.accounts {
            if !seen.insert(name.clone()) {
                return Err(RulesError::Duplicate(name));
            }
            let account = Account {
                rank: name.rank(),
                judgement: Judgement::new(name.to_string(), requirement),
                host: Some(name.host),
            };
            if name.user.is_anonymous() {
                accounts.add_everybodys(account);
            } else {
                accounts.add(name.user.as_str(), account);
            }
        }
        Ok(Self {
            accounts,
            default: Judgement::new("default-require", settings.default_requirement),
            require_secure_transport: settings.require_secure_transport,
            client_names: settings.client_names,
            enforcement: settings.enforcement,
        })
    }

    /// Judges a login or a `COM_CHANGE_USER`: by what mytls adds, and where the server's accounts are imported, by those.
    /// All must permit.
    pub fn authorize(
        &self,
        identity: &Identity,
        user: &UserName,
        imported: Option<&ImportedAccounts>,
    ) -> Result<Permit, Denial> {
        let client = Client::new(identity.address);
        let mut permit = match (self.judge(identity, &client, user), self.enforcement) {
            (Ok(chosen), _) => Permit {
                account: Arc::clone(chosen.account()),
                reported: Vec::new(),
            },
            (Err(denial), Enforcement::Enforce) => return Err(denial),
            (Err(denial), Enforcement::Report) => Permit {
                account: self.account_of(&client, user),
                reported: vec![denial],
            },
        };
        if let Some(imported) = imported {
            permit
                .reported
                .extend(imported.judge(identity, &client, user)?);
        }
        Ok(permit)
    }

    /// First whether plaintext may come at all, then `cert-allowed-cn`, then the accounts of the file; the one that counts
    /// is returned.
    fn judge(
        &self,
        identity: &Identity,
        client: &Client,
        user: &UserName,
    ) -> Result<&Judgement, Denial> {
        if self.require_secure_transport && !identity.is_secure() {
            return Err(Denial::InsecureTransport);
        }
        if let Some(names) = &self.client_names {
            names.judge(identity.transport.certificate())?;
        }
        let (chosen, mut all) = self.counting(client, user)?;
        all.try_for_each(|judgement| judgement.judge(&identity.transport))?;
        chosen.judge(&identity.transport)?;
        Ok(chosen)
    }

    /// For the log, the account of a client that is let pass although it would be refused.
    fn account_of(&self, client: &Client, user: &UserName) -> Arc<str> {
        match self.counting(client, user) {
            Ok((chosen, _)) => Arc::clone(chosen.account()),
            Err(_) => "none".into(),
        }
    }

    /// The accounts of the file that [`Rules::authorize`] judges for a client from there, for a person to read.
    pub fn accounts(
        &self,
        address: ClientAddress,
        user: &UserName,
    ) -> Result<Vec<&Judgement>, Denial> {
        let client = Client::new(address);
        let (chosen, all) = self.counting(&client, user)?;
        let mut accounts = vec![chosen];
        accounts.extend(all.filter(|other| !ptr::eq(*other, chosen)));
        Ok(accounts)
    }

    /// Every account of the file with what it requires, in the order of their names; `default-require` last.
    pub fn all(&self) -> Vec<(&str, &Requirement)> {
        let mut all: Vec<_> = self
            .accounts
            .all()
            .map(|account| account.judgement.parts())
            .collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        all.push(self.default.parts());
        all
    }

    /// What an account of the file requires, by its name as MySQL prints it.
    pub fn requirement_of(&self, account: &str) -> Option<&Requirement> {
        let all = self.accounts.all().map(|account| account.judgement.parts());
        all.into_iter()
            .find_map(|(name, requirement)| (name == account).then_some(requirement))
    }

    /// The account that counts, and all that must permit with it.
    ///
    /// A user who has accounts, none of which admits the client's address, is refused, as in MySQL: with
    /// `default-require` in their place, a strict rule would be avoided by connecting from elsewhere. An anonymous
    /// account is an account of every user. So `default-require` is for users without any.
    fn counting<'a>(
        &'a self,
        client: &Client,
        user: &UserName,
    ) -> Result<(&'a Judgement, impl Iterator<Item = &'a Judgement>), Denial> {
        let accounts = self.accounts.of(user.as_str());
        let is_named = accounts.clone().next().is_some();
        let (chosen, all) = counting(accounts, client);
        let chosen = match chosen {
            Some(chosen) => chosen,
            None if !is_named => &self.default,
            None => {
                return Err(Denial::NoAccount {
                    address: client.address(),
                });
            }
        };
        Ok((chosen, all))
    }
}

/// Proof that the rules let this client pass as this user. Only [`Rules::authorize`] makes one, and a backend is
/// dialled for a client only with one.
#[derive(Debug, Clone)]
pub struct Permit {
    account: Arc<str>,
    /// Empty but where something is only reported: an empty list allocates nothing.
    reported: Vec<Denial>,
}

impl Permit {
    /// The account of the file that was chosen, as MySQL prints it (`'app'@'%'`); `default-require` when no account names
    /// the user; `none` when none admits the client, which is only reported. For the log.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// What would have refused the client, had it not been asked to be only reported; at most one denial of each place.
    /// For the log.
    pub fn reported(&self) -> &[Denial] {
        &self.reported
    }
}

#[cfg(test)]
mod tests;
