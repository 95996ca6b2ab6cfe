//! The route in the state directory: what `SET ROUTE` has set last, for the next start.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::Role;
use crate::tls::{Store, StoreError};

const FILE: &str = "route";

/// Where the route is kept.
#[derive(Debug, Clone, Default)]
pub struct KeptRoute {
    directory: Option<PathBuf>,
}

/// Why it is not known which route was kept.
#[derive(Debug, Error)]
pub(super) enum KeptRouteError {
    /// The file cannot be read.
    #[error("{0}")]
    File(#[from] StoreError),
    /// Damaged, or written by another version of mytls.
    #[error("{} does not say what mytls writes there", .0.display())]
    Unknown(PathBuf),
}

impl KeptRoute {
    /// In the state directory; without one it is not kept.
    pub fn new(directory: Option<&Path>) -> Self {
        Self {
            directory: directory.map(Path::to_owned),
        }
    }

    /// Whether there is a place for it.
    pub(super) fn is_kept(&self) -> bool {
        self.directory.is_some()
    }

    /// What was set last; none if nothing ever was. Blocks on the disk.
    pub(super) fn read(&self) -> Result<Option<Role>, KeptRouteError> {
        let store = Store::open(self.directory.as_deref())?;
        let Some((path, found)) = store.read(FILE)? else {
            return Ok(None);
        };
        let role = Role::ALL.into_iter().find(|role| text(*role) == found);
        role.map(Some).ok_or(KeptRouteError::Unknown(path))
    }

    /// Keeps it, whole or not at all. Blocks on the disk.
    pub(super) fn write(&self, route: Role) -> Result<(), StoreError> {
        Store::open(self.directory.as_deref())?.write(FILE, &text(route), 0o600)
    }
}

/// The whole file.
fn text(route: Role) -> String {
    format!("version: 1\nroute: {route}\n")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_not_known_is_an_error_and_stays_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let kept = KeptRoute::new(Some(folder.path()));
        let file = folder.path().join(FILE);
        for text in [
            "",
            "target",
            "version: 1\nroute: target",
            "version: 1\nroute: nowhere\n",
            "version: 2\nroute: target\n",
            "version: 1\nroute: target\nroute: source\n",
            "\0\0\0",
        ] {
            fs::write(&file, text).expect("write");
            let error = kept.read().expect_err(text);
            assert!(matches!(error, KeptRouteError::Unknown(_)), "{text:?}");
            assert_eq!(fs::read_to_string(&file).expect("read"), text);
        }
    }

    #[test]
    fn last_one_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let kept = KeptRoute::new(Some(folder.path()));
        assert_eq!(kept.read().expect("nothing"), None);
        for role in [Role::Target, Role::Source, Role::Target] {
            kept.write(role).expect("written");
            let anew = KeptRoute::new(Some(folder.path()));
            assert_eq!(anew.read().expect("read"), Some(role));
        }
        let written = fs::read_to_string(folder.path().join(FILE)).expect("read");
        assert_eq!(written, "version: 1\nroute: target\n");
    }

    #[test]
    fn without_a_directory_nothing_is_kept() {
        let kept = KeptRoute::default();
        assert!(!kept.is_kept());
        kept.write(Role::Target).expect("no place, no error");
        assert_eq!(kept.read().expect("nothing"), None);
    }
}
