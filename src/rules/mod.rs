//! Who may pass: account rules, chosen as MySQL chooses an account, judged on what the client has shown.
//!
//! Pure: no I/O, no clock. The only maker of a [`Permit`].

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::protocol::user_name::UserName;

pub mod account;
pub mod host;
pub mod identity;
pub mod requirement;

pub use account::AccountName;
pub use identity::{Certificate, ClientAddress, Identity, Transport};
pub use requirement::{Lacking, Requirement, RequirementError};

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
    named: HashMap<UserName, Vec<Candidate>>,
    /// Accounts without a user name compete for every user.
    anonymous: Vec<Candidate>,
    default_requirement: Requirement,
    require_secure_transport: bool,
    /// What a permit by `default-require` is logged as; kept so that permitting allocates nothing.
    no_account: Arc<str>,
}

/// A rule with what is worked out once.
#[derive(Debug)]
struct Candidate {
    rule: AccountRule,
    rank: Rank,
    printed: Arc<str>,
}

impl Rules {
    /// Index the rules by user name.
    pub fn new(settings: Settings) -> Result<Self, RulesError> {
        let mut named: HashMap<UserName, Vec<Candidate>> = HashMap::new();
        let mut anonymous: Vec<Candidate> = Vec::new();
        for rule in settings.accounts {
            let user = &rule.name.user;
            let candidates = if user.is_anonymous() {
                &mut anonymous
            } else {
                named.entry(user.clone()).or_default()
            };
            candidates.push(Candidate {
                rank: rule.name.rank(),
                printed: rule.name.to_string().into(),
                rule,
            });
        }
        for candidates in named.values_mut().chain([&mut anonymous]) {
            candidates
                .sort_by(|a, b| (a.rank, &a.rule.name.host).cmp(&(b.rank, &b.rule.name.host)));
            if let Some(pair) = candidates
                .windows(2)
                .find(|pair| pair[0].rule.name == pair[1].rule.name)
            {
                return Err(RulesError::Duplicate(pair[0].rule.name.clone()));
            }
        }
        Ok(Self {
            named,
            anonymous,
            default_requirement: settings.default_requirement,
            require_secure_transport: settings.require_secure_transport,
            no_account: "default-require".into(),
        })
    }

    /// Judge a login or a COM_CHANGE_USER.
    ///
    /// One account counts, the one that MySQL would choose. mytls resolves no names, so an account with a host name
    /// may or may not be the one: then the account that is chosen without it must exist, and all must permit.
    /// Accounts between which MySQL has no order must all permit as well.
    ///
    /// `default-require` speaks only for users that no account names (an anonymous account names everybody). A named
    /// user from a host that none of its accounts admits is refused, as MySQL does: otherwise a strict rule would be
    /// left behind by connecting from elsewhere.
    pub fn authorize(&self, identity: &Identity, user: &UserName) -> Result<Permit, Denial> {
        if self.require_secure_transport && !identity.is_secure() {
            return Err(Denial::InsecureTransport);
        }
        let named = self.named.get(user).map_or(&[][..], Vec::as_slice);
        if named.is_empty() && self.anonymous.is_empty() {
            return match self.default_requirement.lacking(&identity.transport) {
                None => Ok(Permit {
                    account: Arc::clone(&self.no_account),
                }),
                Some(lacking) => Err(Denial::Requirement {
                    account: Arc::clone(&self.no_account),
                    requirement: self.default_requirement.clone(),
                    lacking,
                }),
            };
        }
        let client = Client::new(identity.address);
        let candidates = || named.iter().chain(&self.anonymous);
        let Some(chosen) = candidates()
            .filter(|candidate| candidate.rule.name.host.fit(&client) == Fit::Certain)
            .min_by_key(|candidate| candidate.rank)
        else {
            return Err(Denial::NoAccount {
                address: identity.address,
            });
        };
        candidates()
            .filter(|candidate| {
                candidate.rank <= chosen.rank && candidate.rule.name.host.fit(&client) != Fit::No
            })
            .try_for_each(|candidate| candidate.judge(&identity.transport))?;
        Ok(Permit {
            account: Arc::clone(&chosen.printed),
        })
    }
}

impl Candidate {
    fn judge(&self, transport: &Transport) -> Result<(), Denial> {
        match self.rule.requirement.lacking(transport) {
            None => Ok(()),
            Some(lacking) => Err(Denial::Requirement {
                account: Arc::clone(&self.printed),
                requirement: self.rule.requirement.clone(),
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
            Self::InsecureTransport => {
                f.write_str("require-secure-transport is on and the client has no TLS")
            }
            Self::NoAccount { address } => {
                write!(
                    f,
                    "no account of this user admits {address} for certain (host names are not resolved)"
                )
            }
            Self::Requirement {
                account,
                requirement,
                lacking,
            } => {
                write!(
                    f,
                    "{account} requires {requirement} and the client has {lacking}"
                )
            }
        }
    }
}
