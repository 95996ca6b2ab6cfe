//! Connection ids of live sessions.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::SecureRandom;

/// Set in every id of ours, so that it does not look like a backend's own: a KILL that reaches another replica, or
/// comes after a restart, finds nothing.
const OURS: u32 = 0x8000_0000;

/// The ids in use.
#[derive(Debug, Clone)]
pub(super) struct Registry {
    random: &'static dyn SecureRandom,
    ids: Arc<Mutex<HashSet<u32>>>,
}

/// An id, unique among live sessions for as long as this lives.
#[derive(Debug)]
pub(super) struct SessionId {
    id: u32,
    registry: Registry,
}

impl Registry {
    pub(super) fn new(random: &'static dyn SecureRandom) -> Self {
        Self {
            random,
            ids: Arc::default(),
        }
    }

    /// Takes an id that no live session has; `None` only if the system gives no random bytes.
    pub(super) fn enter(&self) -> Option<SessionId> {
        loop {
            let mut bytes = [0; 4];
            self.random.fill(&mut bytes).ok()?;
            let id = OURS | u32::from_ne_bytes(bytes);
            if self
                .ids
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(id)
            {
                return Some(SessionId {
                    id,
                    registry: self.clone(),
                });
            }
        }
    }
}

impl SessionId {
    pub(super) fn get(&self) -> u32 {
        self.id
    }
}

impl Drop for SessionId {
    fn drop(&mut self) {
        self.registry
            .ids
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.id);
    }
}
