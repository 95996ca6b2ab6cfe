//! The account rules of the admin port: kept in the state directory, and with that in force.
//!
//! What is kept is read whole or not at all: a rule that restricts somebody must not vanish with a damaged line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::{fs, io};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::rules::{AccountName, InForce, Requirement};
use crate::tls::{Store, StoreError};

/// Its name in the state directory.
const FILE: &str = "accounts.json";
/// Of what is in it. A newer mytls may write another.
const VERSION: u32 = 1;

/// What is required of each account.
pub type AccountRules = BTreeMap<AccountName, Requirement>;

/// Why the rules that are kept cannot be read or changed.
#[derive(Debug, Error)]
pub enum RuleFileError {
    /// The operating system does not give it.
    #[error("read the account rules of the admin port from {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// It is not what was written.
    #[error(
        "the account rules of the admin port in {} cannot be read: {reason}; restore the file, or move it away to do \
         without its rules",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It cannot be locked or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where the rules are kept: the state directory, or nowhere but in memory.
#[derive(Debug)]
pub struct RuleFile {
    directory: Option<PathBuf>,
    /// One change at a time.
    changing: Mutex<()>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u32,
    accounts: Vec<Entry>,
}

/// As under `accounts` of the configuration.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    user: String,
    require: String,
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl RuleFile {
    /// That of a state directory; without one, rules live as long as the process.
    pub fn new(directory: Option<&Path>) -> Self {
        Self {
            directory: directory.map(Path::to_owned),
            changing: Mutex::default(),
        }
    }

    /// Where it is or would be; none where rules are not kept.
    pub fn path(&self) -> Option<PathBuf> {
        self.directory
            .as_deref()
            .map(|directory| directory.join(FILE))
    }

    /// What is kept. Writes nothing.
    pub fn read(&self) -> Result<AccountRules, RuleFileError> {
        let Some(path) = self.path() else {
            return Ok(AccountRules::new());
        };
        match fs::read(&path) {
            Ok(bytes) => parse(&bytes).map_err(|reason| RuleFileError::Damaged { path, reason }),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(AccountRules::new())
            }
            Err(error) => Err(RuleFileError::Read { path, error }),
        }
    }

    /// Changes the rules: first what is kept, then what is in force. If `change` or the disk says no, nothing is changed.
    ///
    /// What another mytls has kept in the same directory meanwhile is not lost, and is in force here from then on, too.
    /// Blocks: on the disk.
    pub(super) fn change<T, E: From<RuleFileError>>(
        &self,
        rules: &InForce,
        change: impl FnOnce(&mut AccountRules) -> Result<T, E>,
    ) -> Result<T, E> {
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = self.directory.as_deref();
        let mut store = Store::open(directory).map_err(RuleFileError::Store)?;
        let before = match directory {
            Some(_) => self.read()?,
            None => rules.load().settings().admin_accounts.clone(),
        };
        let mut after = before.clone();
        let changed = change(&mut after);
        if changed.is_err() || after == before {
            put_in_force(rules, before);
            return changed;
        }
        if let Err(error) = store.write(FILE, &print(&after), 0o600) {
            // it may have come so far that the new rules are there
            put_in_force(rules, self.read()?);
            return Err(RuleFileError::Store(error).into());
        }
        put_in_force(rules, after);
        changed
    }
}

fn put_in_force(rules: &InForce, accounts: AccountRules) {
    if rules.load().settings().admin_accounts != accounts {
        rules
            .change(|settings| settings.admin_accounts = accounts)
            .expect("only the file's rules can contradict each other, and they are those in force");
    }
}

fn parse(bytes: &[u8]) -> Result<AccountRules, String> {
    let Versioned { version } = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if version != VERSION {
        return Err(format!(
            "it is of version {version}, and this mytls knows {VERSION}"
        ));
    }
    let written: Written = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let mut accounts = AccountRules::new();
    for Entry { user, require } in written.accounts {
        let name: AccountName = user.parse().map_err(|error| format!("{user:?}: {error}"))?;
        let requirement = require
            .parse()
            .map_err(|error| format!("{require:?}: {error}"))?;
        if accounts.insert(name, requirement).is_some() {
            return Err(format!("{user} has more than one rule"));
        }
    }
    Ok(accounts)
}

fn print(accounts: &AccountRules) -> String {
    let entry = |(name, requirement): (&AccountName, &Requirement)| Entry {
        user: name.to_string(),
        require: requirement.to_string(),
    };
    let written = Written {
        version: VERSION,
        accounts: accounts.iter().map(entry).collect(),
    };
    let mut text = serde_json::to_string_pretty(&written)
        .expect("strings and a number are written to memory without an error");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use proptest::prelude::*;

    use super::*;
    use crate::rules::Settings;

    const KEPT: &str = r#"{
  "version": 1,
  "accounts": [
    {
      "user": "'app'@'%'",
      "require": "X509"
    }
  ]
}
"#;

    fn app() -> AccountRules {
        [("'app'@'%'", "X509")]
            .map(|(name, requirement)| {
                let name = name.parse().expect("a name");
                (name, requirement.parse().expect("a requirement"))
            })
            .into()
    }

    fn in_force() -> InForce {
        InForce::new(Settings::default()).expect("rules")
    }

    fn damaged(text: &[u8]) -> String {
        let folder = tempfile::tempdir().expect("make a folder");
        let file = RuleFile::new(Some(folder.path()));
        let path = file.path().expect("it is kept");
        fs::write(&path, text).expect("write");
        let rules = in_force();
        let error = file.read().expect_err("damaged");
        let change = file.change(&rules, |accounts| {
            accounts.clear();
            Ok::<_, RuleFileError>(())
        });
        assert!(change.is_err(), "{text:?} was written over");
        assert_eq!(fs::read(&path).expect("it is there"), text);
        assert!(matches!(error, RuleFileError::Damaged { .. }), "{error:?}");
        error.to_string()
    }

    #[test]
    fn a_file_that_is_cut_short_anywhere_is_refused_and_not_written_over() {
        for length in 0..KEPT.trim_end().len() {
            damaged(&KEPT.as_bytes()[..length]);
        }
    }

    #[test]
    fn what_was_not_written_so_is_refused_with_the_reason() {
        for (from, to, reason) in [
            ("1,", "2,", "it is of version 2"),
            ("X509", "X508", "\"X508\": expected NONE, SSL, X509"),
            ("'app'@'%'", "'app", "\"'app\": the text is not closed"),
            ("\"require\"", "\"requires\"", "unknown field `requires`"),
            ("accounts", "account", "unknown field `account`"),
            (
                "}\n  ]",
                "}, {\"user\": \"app\", \"require\": \"SSL\"} ]",
                "app has more than one rule",
            ),
            ("}\n  ]", "} ]}, {", "trailing characters"),
        ] {
            let text = KEPT.replacen(from, to, 1);
            let error = damaged(text.as_bytes());
            assert!(error.contains(reason), "{error}");
            assert!(error.contains("accounts.json"), "{error}");
        }
        let error = damaged(
            b"{\"version\": 1, \"accounts\": [{\"user\": \"a\xff\", \"require\": \"SSL\"}]}",
        );
        assert!(error.contains("invalid unicode"), "{error}");
        damaged(&[0; 100]);
    }

    #[test]
    fn what_cannot_be_read_is_no_empty_list() {
        let folder = tempfile::tempdir().expect("make a folder");
        let file = RuleFile::new(Some(folder.path()));
        fs::create_dir(file.path().expect("it is kept")).expect("make a folder");
        assert!(matches!(file.read(), Err(RuleFileError::Read { .. })));
    }

    #[test]
    fn where_nothing_was_kept_there_are_no_rules() {
        let folder = tempfile::tempdir().expect("make a folder");
        let no_folder = folder.path().join("file");
        fs::write(&no_folder, "").expect("write");
        for directory in [
            None,
            Some(folder.path()),
            Some(&folder.path().join("none")),
            Some(&no_folder),
        ] {
            let read = RuleFile::new(directory).read().expect("none");
            assert!(read.is_empty());
        }
        assert!(!folder.path().join("none").exists());
    }

    #[test]
    fn a_change_that_cannot_be_kept_is_not_in_force() {
        let folder = tempfile::tempdir().expect("make a folder");
        let no_folder = folder.path().join("file");
        fs::write(&no_folder, "").expect("write");
        let rules = in_force();
        let change = RuleFile::new(Some(&no_folder)).change(&rules, |accounts| {
            *accounts = app();
            Ok::<_, RuleFileError>(())
        });
        assert!(matches!(change, Err(RuleFileError::Store(_))), "{change:?}");
        assert!(rules.load().settings().admin_accounts.is_empty());
    }

    #[test]
    fn a_change_is_kept_for_its_owner_only_and_in_force() {
        let folder = tempfile::tempdir().expect("make a folder");
        let directory = folder.path().join("state");
        let rules = in_force();
        let file = RuleFile::new(Some(&directory));
        let change = file.change(&rules, |accounts| {
            *accounts = app();
            Ok::<_, RuleFileError>(())
        });
        change.expect("changed");
        assert_eq!(rules.load().settings().admin_accounts, app());
        let path = file.path().expect("it is kept");
        assert_eq!(fs::read_to_string(&path).expect("read"), KEPT);
        let mode = fs::metadata(&path)
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(file.read().expect("read"), app());
    }

    #[test]
    fn what_another_mytls_has_kept_meanwhile_is_not_lost() {
        let folder = tempfile::tempdir().expect("make a folder");
        let (one, other) = (
            RuleFile::new(Some(folder.path())),
            RuleFile::new(Some(folder.path())),
        );
        let (rules_of_one, rules_of_other) = (in_force(), in_force());
        for (file, rules, user) in [(&one, &rules_of_one, "a"), (&other, &rules_of_other, "b")] {
            let change = file.change(rules, |accounts| {
                accounts.insert(user.parse().expect("a name"), Requirement::Ssl);
                Ok::<_, RuleFileError>(())
            });
            change.expect("changed");
        }
        assert_eq!(one.read().expect("read").len(), 2);
        assert_eq!(rules_of_other.load().settings().admin_accounts.len(), 2);
    }

    proptest! {
        #[test]
        fn what_is_kept_is_read_back(
            entries in prop::collection::vec(("\\PC{0,9}", "[a-zé.%_\\\\:/0-9]{0,9}", "(NONE|SSL|X509|(SUBJECT|ISSUER) '/[ -~]{0,9}'|CIPHER '\\PC{1,9}'|SAN 'DNS:[a-z]{1,9}')"), 0..9)
        ) {
            let quoted = |text: &str| crate::rules::Quoted(text).to_string();
            let rule = |(user, host, requirement): (String, String, String)| {
                let name: AccountName = format!("{}@{}", quoted(&user), quoted(&host)).parse().ok()?;
                Some((name, requirement.parse().ok()?))
            };
            let accounts: AccountRules = entries.into_iter().filter_map(rule).collect();
            prop_assert_eq!(parse(print(&accounts).as_bytes()), Ok(accounts));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, text: String) {
            let _ = parse(&bytes);
            let entry = serde_json::json!({ "version": 1, "accounts": [{ "user": text, "require": text }] });
            let _ = parse(entry.to_string().as_bytes());
        }
    }
}
