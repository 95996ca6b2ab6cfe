//! mytls' own RSA key for passwords.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use tokio::task::spawn_blocking;
use tracing::{error, warn};

use crate::tls::{RsaKey, RsaKeyError};

/// The key that clients on an insecure side encrypt their password with: found or made when the first of them needs it.
///
/// Only where the backend's side is secure does one need it, so most installations never have one, and no start waits
/// for it.
#[derive(Debug, Clone)]
pub struct PasswordKey {
    state_dir: Option<PathBuf>,
    key: Arc<OnceLock<Option<RsaKey>>>,
}

impl PasswordKey {
    /// Kept in the state directory, if there is one.
    pub fn new(state_dir: Option<PathBuf>) -> Self {
        Self {
            state_dir,
            key: Arc::default(),
        }
    }

    /// None if it could not be made.
    pub(crate) async fn get(&self) -> Option<&RsaKey> {
        if self.key.get().is_none() {
            let Self { state_dir, key } = self.clone();
            // Not on a thread that serves sessions: it takes up to half a second. A login that is given up meanwhile
            // does not end it, and whoever comes meanwhile waits for the same key. A failure is left in the cell.
            let _ = spawn_blocking(move || {
                key.get_or_init(|| kept_or_in_memory(state_dir.as_deref()));
            })
            .await;
        }
        self.key.get()?.as_ref()
    }
}

/// A key that cannot be kept must not cost the login.
fn kept_or_in_memory(state_dir: Option<&Path>) -> Option<RsaKey> {
    let made = match RsaKey::kept_or_new(state_dir) {
        Err(error @ (RsaKeyError::File(_) | RsaKeyError::NotOurs { .. })) => {
            warn!(%error, "the RSA key for passwords is another at each start: clients that pinned one cannot log in");
            RsaKey::kept_or_new(None)
        }
        other => other,
    };
    made.inspect_err(|error| error!(%error, "there is no RSA key for passwords"))
        .ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn public_pem(key: Option<&RsaKey>) -> String {
        key.expect("made").public_pem().to_owned()
    }

    #[tokio::test]
    async fn a_damaged_file_costs_no_login_and_is_left_as_it_is() {
        let state = TempDir::new().expect("a folder");
        let file = state.path().join("password.key");
        fs::write(&file, "damaged").expect("written");
        let key = PasswordKey::new(Some(state.path().to_owned()));
        assert!(key.get().await.is_some());
        assert_eq!(fs::read_to_string(&file).expect("there"), "damaged");
    }

    #[tokio::test]
    async fn a_state_directory_that_cannot_be_made_costs_no_login() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let key = PasswordKey::new(Some(file.path().join("state")));
        assert!(key.get().await.is_some());
    }

    #[tokio::test]
    async fn a_key_is_made_when_it_is_needed_and_is_one_for_all() {
        let state = TempDir::new().expect("a folder");
        let key = PasswordKey::new(Some(state.path().to_owned()));
        assert!(!state.path().join("password.key").exists());
        let (one, other) = tokio::join!(key.get(), key.get());
        assert_eq!(public_pem(one), public_pem(other));
        let later = PasswordKey::new(Some(state.path().to_owned()));
        assert_eq!(public_pem(later.get().await), public_pem(one));
    }
}
