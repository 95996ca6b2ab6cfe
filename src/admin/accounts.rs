//! `CREATE`, `ALTER` and `DROP USER`: what they do to the account rules, as MySQL does it to its accounts.

use std::sync::Arc;

use tokio::task::spawn_blocking;
use tracing::warn;

use super::AdminPort;
use super::answer::Answer;
use super::refusal::Refusal;
use super::rule_file::{AccountRules, RuleFileError};
use crate::rules::{AccountName, Requirement};

/// More are for a file or for the server's own grant tables.
const MOST_ACCOUNTS: usize = 10_000;
/// MySQL's `max_error_count`.
const MOST_WARNINGS: usize = 1_024;

const EXISTS: &str = "User account already exists";
pub(super) const DOES_NOT_EXIST: &str = "User account does not exist";

/// The statement, and what it requires.
#[derive(Debug)]
pub(super) enum Operation {
    Create(Requirement),
    Alter(Requirement),
    Drop,
}

impl AdminPort {
    /// Carries a statement out, for all its accounts or for none. `leniently` (`IF [NOT] EXISTS`), accounts to whom it cannot
    /// be done are left as they are. It holds for logins and changes of user from then on.
    pub(super) async fn change_accounts(
        &self,
        operation: Operation,
        accounts: Vec<AccountName>,
        leniently: bool,
    ) -> Result<Answer, Refusal> {
        let (file, rules) = (
            Arc::clone(&self.parts.rule_file),
            Arc::clone(&self.parts.rules),
        );
        let is_kept = file.path().is_some();
        let changing = spawn_blocking(move || {
            file.change(&rules, |rules| operation.apply(accounts, leniently, rules))
        });
        let mut notes = changing.await.map_err(|_| Refusal::Ending)??;
        notes.truncate(MOST_WARNINGS);
        if !is_kept {
            warn!(
                "there is no state directory: account rules of the admin port end with this process"
            );
            notes.insert(0, Refusal::OnlyInMemory);
        }
        Ok(if notes.is_empty() {
            Answer::Done
        } else {
            Answer::Warned(notes)
        })
    }
}

impl Operation {
    /// Returns what is to be said about accounts that were left as they are. After an error the rules are worth nothing.
    fn apply(
        self,
        accounts: Vec<AccountName>,
        leniently: bool,
        rules: &mut AccountRules,
    ) -> Result<Vec<Refusal>, Refusal> {
        let mut left = Vec::new();
        for name in accounts {
            let exists = rules.contains_key(&name);
            match (&self, exists) {
                (Self::Create(requirement), false) | (Self::Alter(requirement), true) => {
                    rules.insert(name, requirement.clone());
                }
                (Self::Drop, true) => {
                    rules.remove(&name);
                }
                (Self::Create(_), true) | (Self::Alter(_) | Self::Drop, false) => {
                    left.push(name);
                }
            }
        }
        let (operation, reason, note): (_, _, fn(AccountName) -> Refusal) = match self {
            Self::Create(_) => ("CREATE USER", EXISTS, Refusal::AccountExists),
            Self::Alter(_) => ("ALTER USER", DOES_NOT_EXIST, Refusal::NoAccount),
            Self::Drop => ("DROP USER", DOES_NOT_EXIST, Refusal::NoAccount),
        };
        if rules.len() > MOST_ACCOUNTS {
            return Err(Refusal::TooManyAccounts(MOST_ACCOUNTS));
        }
        if left.is_empty() || leniently {
            return Ok(left.into_iter().map(note).collect());
        }
        Err(Refusal::Operation {
            operation,
            accounts: left,
            reason,
        })
    }
}

impl From<RuleFileError> for Refusal {
    fn from(error: RuleFileError) -> Self {
        Self::NotKept(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<AccountName> {
        let name = |name: &&str| name.parse().expect("a name");
        names.iter().map(name).collect()
    }

    fn rules(of: &[&str]) -> AccountRules {
        let ssl = |name| (name, Requirement::Ssl);
        names(of).into_iter().map(ssl).collect()
    }

    fn apply(
        operation: Operation,
        accounts: &[&str],
        leniently: bool,
        rules: &mut AccountRules,
    ) -> Result<Vec<String>, String> {
        match operation.apply(names(accounts), leniently, rules) {
            Ok(notes) => Ok(notes.iter().map(ToString::to_string).collect()),
            Err(refusal) => Err(refusal.to_string()),
        }
    }

    // The words are those of MySQL 9.7.
    #[test]
    fn what_cannot_be_done_to_an_account_is_said_in_mysqls_words() {
        use Operation::{Alter, Create, Drop};
        let none = || Requirement::None;
        for (operation, accounts, message) in [
            (
                Create(none()),
                &["b", "a", "'a'@'%'"][..],
                "Operation CREATE USER failed for 'a'@'%' (User account already exists),'a'@'%' (User account already \
                 exists)",
            ),
            (
                Create(none()),
                &["d", "d"],
                "Operation CREATE USER failed for 'd'@'%' (User account already exists)",
            ),
            (
                Alter(none()),
                &["a", "nope", "a@localhost"],
                "Operation ALTER USER failed for 'nope'@'%' (User account does not exist),'a'@'localhost' (User account \
                 does not exist)",
            ),
            (
                Drop,
                &["a", "a"],
                "Operation DROP USER failed for 'a'@'%' (User account does not exist)",
            ),
        ] {
            let refused = apply(operation, accounts, false, &mut rules(&["a"]));
            assert_eq!(refused, Err(message.to_owned()));
        }
    }

    #[test]
    fn who_asks_leniently_is_told_what_was_left() {
        let mut kept = rules(&["a"]);
        let notes = apply(
            Operation::Create(Requirement::X509),
            &["b", "a"],
            true,
            &mut kept,
        );
        let note = "Authorization ID 'a'@'%' already exists.";
        assert_eq!(notes, Ok(vec![note.to_owned()]));
        assert_eq!(kept[&names(&["a"])[0]], Requirement::Ssl);
        assert_eq!(kept[&names(&["b"])[0]], Requirement::X509);

        let notes = apply(Operation::Drop, &["nope", "a"], true, &mut kept);
        let note = "Authorization ID 'nope'@'%' does not exist.";
        assert_eq!(notes, Ok(vec![note.to_owned()]));
        assert_eq!(kept.len(), 1);
    }

    #[test]
    fn there_is_an_end_to_them() {
        let mut kept: AccountRules = (0..MOST_ACCOUNTS)
            .map(|number| format!("user{number}").parse().expect("a name"))
            .map(|name| (name, Requirement::Ssl))
            .collect();
        let one_more = apply(
            Operation::Create(Requirement::None),
            &["more"],
            false,
            &mut kept,
        );
        assert!(one_more.is_err());
    }
}
