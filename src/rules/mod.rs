//! Who may pass: account rules, chosen as MySQL chooses an account, judged on what the client has shown.
//!
//! Pure: no I/O, no clock. The only maker of a [`Permit`].

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ptr;
use std::sync::Arc;

use crate::protocol::user_name::UserName;

mod account;
mod alternative_names;
mod clause;
mod client_names;
mod host;
mod identity;
mod imported;
mod name;
mod quoted;
mod requirement;

pub use account::{AccountName, AccountNameError};
pub use alternative_names::{AlternativeNames, AlternativeNamesError};
pub use clause::{Clause, RequirementError};
pub use client_names::ClientNames;
pub use host::{Host, HostError, Notation};
pub use identity::{Certificate, ClientAddress, Identity, Transport};
pub use imported::{ImportPolicy, ImportedAccount, ImportedAccounts};
pub use name::{Attribute, Name};
pub use quoted::Unclosed;
pub use requirement::{Condition, Lacking, Requirement};

use account::Rank;
use host::{Client, Fit};

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
    named: HashMap<UserName, Vec<Account>>,
    /// These compete for every user.
    anonymous: Vec<Account>,
    default: Judgement,
    require_secure_transport: bool,
    client_names: Option<ClientNames>,
}

/// A rule with what is worked out once.
#[derive(Debug)]
struct Account {
    host: Host,
    rank: Rank,
    judgement: Judgement,
}

/// A requirement, and the account that it is of (or `default-require`) by the name it is logged under; that is shared, so
/// that permitting allocates nothing.
#[derive(Debug)]
pub struct Judgement {
    account: Arc<str>,
    requirement: Requirement,
}

impl Rules {
    /// Index the rules by user.
    pub fn new(settings: Settings) -> Result<Self, RulesError> {
        let mut seen = HashSet::new();
        let mut named: HashMap<UserName, Vec<Account>> = HashMap::new();
        let mut anonymous = Vec::new();
        for AccountRule { name, requirement } in settings.accounts {
            if !seen.insert(name.clone()) {
                return Err(RulesError::Duplicate(name));
            }
            let rank = name.rank();
            let judgement = Judgement {
                account: name.to_string().into(),
                requirement,
            };
            let AccountName { user, host } = name;
            let accounts = if user.is_anonymous() {
                &mut anonymous
            } else {
                named.entry(user).or_default()
            };
            accounts.push(Account {
                host,
                rank,
                judgement,
            });
        }
        Ok(Self {
            named,
            anonymous,
            default: Judgement {
                account: "default-require".into(),
                requirement: settings.default_requirement,
            },
            require_secure_transport: settings.require_secure_transport,
            client_names: settings.client_names,
        })
    }

    /// Judge a login or a `COM_CHANGE_USER`.
    ///
    /// First whether plaintext may come at all, then `cert-allowed-cn`, then the accounts.
    ///
    /// One account counts, the one that MySQL would choose. mytls resolves no names, so an account with a host name may
    /// or may not be the one: there must be an account without it, and both must permit. The same holds where MySQL's
    /// choice is chance (`10.%` and `10._.0.1`).
    ///
    /// A user who has accounts, none of which admits the client's address, is refused, as in MySQL: with
    /// `default-require` in their place, a strict rule would be avoided by connecting from elsewhere. An anonymous
    /// account is an account of every user. So `default-require` is for users without any.
    pub fn authorize(&self, identity: &Identity, user: &UserName) -> Result<Permit, Denial> {
        if self.require_secure_transport && !identity.is_secure() {
            return Err(Denial::InsecureTransport);
        }
        if let Some(names) = &self.client_names {
            names.judge(identity.transport.certificate())?;
        }
        let client = Client::new(identity.address);
        let (chosen, all) = self.counting(&client, user)?;
        for judgement in all {
            judgement.of(&identity.transport)?;
        }
        chosen.of(&identity.transport)
    }

    /// The accounts that [`Rules::authorize`] judges for a client from there, for a person to read.
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

    /// The account that counts, and all that must permit with it.
    fn counting<'a>(
        &'a self,
        client: &Client,
        user: &UserName,
    ) -> Result<(&'a Judgement, impl Iterator<Item = &'a Judgement>), Denial> {
        let named = self.named.get(user).map_or(&[][..], Vec::as_slice);
        let accounts = named.iter().chain(&self.anonymous);
        let best = accounts
            .clone()
            .filter(|account| account.host.fit(client) == Fit::Certain)
            .min_by_key(|account| account.rank);
        let chosen = match best {
            Some(account) => &account.judgement,
            None if named.is_empty() && self.anonymous.is_empty() => &self.default,
            None => {
                return Err(Denial::NoAccount {
                    address: client.address(),
                });
            }
        };
        let must_permit = move |account: &&Account| {
            best.is_some_and(|best| account.rank <= best.rank)
                && account.host.fit(client) != Fit::No
        };
        let all = accounts
            .filter(must_permit)
            .map(|account| &account.judgement);
        Ok((chosen, all))
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} REQUIRE {}", self.account, self.requirement)
    }
}

impl Judgement {
    fn of(&self, transport: &Transport) -> Result<Permit, Denial> {
        let account = Arc::clone(&self.account);
        match self.requirement.lacking(transport) {
            None => Ok(Permit { account }),
            Some(lacking) => Err(Denial::Requirement {
                account,
                requirement: self.requirement.clone(),
                lacking,
            }),
        }
    }
}

/// Proof that the rules let this client pass as this user. Only [`Rules::authorize`] makes one, and a backend is
/// dialled for a client only with one.
#[derive(Debug, Clone)]
pub struct Permit {
    account: Arc<str>,
}

impl Permit {
    /// The account that was chosen, as MySQL prints it (`'app'@'%'`); `default-require` when no account names the
    /// user. For the log.
    pub fn account(&self) -> &str {
        &self.account
    }
}

/// Why the rules do not let this client pass. For the operator: a client hears only an error code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// Plaintext over TCP although `require-secure-transport` is on (3159).
    InsecureTransport,
    /// `cert-allowed-cn` is written and does not have this client's common name (1045).
    CommonName {
        /// Its certificate, if it sent one.
        shown: Option<Arc<Certificate>>,
    },
    /// The user has accounts, but none that surely admits this address (1045).
    NoAccount {
        /// Where the client came from.
        address: ClientAddress,
    },
    /// The client has not shown what an account requires (1045).
    Requirement {
        /// The account, as [`Permit::account`] prints it.
        account: Arc<str>,
        /// What it requires.
        requirement: Requirement,
        /// What of it is missing.
        lacking: Lacking,
    },
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InsecureTransport => f.write_str(
                "require-secure-transport is on, and the client speaks plaintext over TCP",
            ),
            Self::CommonName { shown: None } => f.write_str(
                "cert-allowed-cn is set, and the client has not shown a client certificate",
            ),
            Self::CommonName { shown: Some(shown) } => write!(
                f,
                "the certificate {} has not exactly one common name that is in cert-allowed-cn",
                shown.subject
            ),
            Self::NoAccount { address } => {
                write!(
                    f,
                    "no account of this user admits {address} (host names are not resolved)"
                )
            }
            Self::Requirement {
                account,
                requirement,
                lacking,
            } => {
                write!(
                    f,
                    "{account} has REQUIRE {requirement}, and the client has not shown {lacking}"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests;
