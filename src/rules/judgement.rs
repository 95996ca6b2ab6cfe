//! One account's requirement, under the name that the log knows it by.

use std::fmt;
use std::sync::Arc;

use super::denial::Denial;
use super::identity::Transport;
use super::requirement::Requirement;

/// A requirement, and the account that it is of (or `default-require`) by the name it is logged under; that is shared, so
/// that permitting allocates nothing.
#[derive(Debug)]
pub struct Judgement {
    account: Arc<str>,
    requirement: Requirement,
}

impl Judgement {
    pub(super) fn new(account: impl Into<Arc<str>>, requirement: Requirement) -> Self {
        Self {
            account: account.into(),
            requirement,
        }
    }

    pub(super) fn account(&self) -> &Arc<str> {
        &self.account
    }

    /// The account and what it requires.
    pub(super) fn parts(&self) -> (&str, &Requirement) {
        (&self.account, &self.requirement)
    }

    /// Refuses whoever has not shown what is required.
    pub(super) fn judge(&self, transport: &Transport) -> Result<(), Denial> {
        match self.requirement.lacking(transport) {
            None => Ok(()),
            Some(lacking) => Err(Denial::Requirement {
                account: Arc::clone(&self.account),
                requirement: self.requirement.clone(),
                lacking,
            }),
        }
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} REQUIRE {}", self.account, self.requirement)
    }
}
