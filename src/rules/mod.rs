//! Who may pass: account rules, chosen as MySQL chooses an account, judged on what the client has shown.
//!
//! Pure: no I/O, no clock. The only maker of a [`Permit`].

use std::collections::{BTreeMap, HashSet};
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
mod in_force;
mod judgement;
mod name;
mod place;
mod quoted;
mod requirement;

pub use account::{AccountName, AccountNameError};
pub use alternative_names::{AlternativeNames, AlternativeNamesError};
pub use clause::{Clause, RequirementError};
pub use client_names::ClientNames;
pub use denial::Denial;
pub use host::{Host, HostError, Notation};
pub use identity::{Certificate, ClientAddress, Identity, Transport};
pub use imported::{Confirmed, ImportPolicy, ImportedAccount, ImportedAccounts, SeenAddress};
pub use in_force::InForce;
pub use judgement::Judgement;
pub use name::{Attribute, Name};
pub use place::Place;
pub use quoted::Unclosed;
pub(crate) use quoted::{Quoted, read as read_quoted};
pub use requirement::{Condition, Lacking, Requirement};

use accounts::{Account, Accounts};
use host::Client;

/// What mytls itself says about who may pass: the configuration, and the admin port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// The rules under `accounts`; each account at most once.
    pub accounts: Vec<AccountRule>,
    /// The rules made at the admin port.
    pub admin_accounts: BTreeMap<AccountName, Requirement>,
    /// What is required of a user that no account of either names (`default-require`).
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

/// Rules that can be judged by.
#[derive(Debug)]
pub struct Rules {
    /// In the order in which they are judged.
    places: [Accounts<Account>; 2],
    default: Judgement,
    settings: Settings,
}

impl Rules {
    /// Index the rules by user.
    pub fn new(settings: Settings) -> Result<Self, RulesError> {
        let (mut seen, mut file) = (HashSet::new(), Accounts::new());
        for AccountRule { name, requirement } in &settings.accounts {
            if !seen.insert(name) {
                return Err(RulesError::Duplicate(name.clone()));
            }
            file.add_rule(Place::File, name, requirement);
        }
        let mut admin = Accounts::new();
        for (name, requirement) in &settings.admin_accounts {
            admin.add_rule(Place::AdminPort, name, requirement);
        }
        Ok(Self {
            places: [file, admin],
            default: Judgement::new("default-require", settings.default_requirement.clone()),
            settings,
        })
    }

    /// What they were made of.
    pub fn settings(&self) -> &Settings {
        &self.settings
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
        let mut permit = match (
            self.judge(identity, &client, user),
            self.settings.enforcement,
        ) {
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

    /// First whether plaintext may come at all, then `cert-allowed-cn`, then the accounts of each place; the one that counts
    /// is returned, of several that of the file.
    fn judge(
        &self,
        identity: &Identity,
        client: &Client,
        user: &UserName,
    ) -> Result<&Judgement, Denial> {
        if self.settings.require_secure_transport && !identity.is_secure() {
            return Err(Denial::InsecureTransport);
        }
        if let Some(names) = &self.settings.client_names {
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
    ///
    /// A user who has accounts in a place, none of which admits the client's address, is refused, as in MySQL: with
    /// `default-require` or another place's account in their stead, a strict rule would be avoided by connecting from
    /// elsewhere. An anonymous account is an account of every user. So `default-require` is for users without any.
    fn counting<'a>(
        &'a self,
        client: &Client,
        user: &UserName,
    ) -> Result<(&'a Judgement, impl Iterator<Item = &'a Judgement>), Denial> {
        let [file, admin] = &self.places;
        let file = file.counting(Place::File, client, user)?;
        let admin = admin.counting(Place::AdminPort, client, user)?;
        let chosen = match (&file, &admin) {
            (Some((chosen, _)), _) | (None, Some((chosen, _))) => chosen,
            (None, None) => &self.default,
        };
        let all = file.into_iter().chain(admin).flat_map(|(_, all)| all);
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
    /// The account that was chosen, as MySQL prints it (`'app'@'%'`), with its [`Place`] where that is not the file; that of
    /// the file where both places have one; `default-require` when no account names the user; `none` when a place has no
    /// account that admits the client, which is only reported. For the log.
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
