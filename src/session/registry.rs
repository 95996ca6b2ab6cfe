//! The live sessions: the ids that their clients know, and where their backend connections are.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::crypto::SecureRandom;

use crate::backend::Server;

/// Set in every id of ours, so that it does not look like a backend's own: a KILL that reaches another replica, or
/// comes after a restart, finds nothing.
const OURS: u32 = 0x8000_0000;

/// Where a session's backend connection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) server: Server,
    /// The server's own id of the connection.
    pub(super) id: u32,
}

/// Whom an id means to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meant {
    /// No session of ours.
    Nobody,
    /// A session that has no connection to this server, or none yet.
    Elsewhere,
    /// The session with this id of the server's.
    Here(u32),
}

/// The ids in use.
#[derive(Debug, Clone)]
pub(super) struct Registry {
    random: &'static dyn SecureRandom,
    sessions: Arc<Mutex<HashMap<u32, Option<Place>>>>,
}

/// An id, unique among live sessions for as long as this lives.
#[derive(Debug)]
pub(super) struct SessionId {
    id: u32,
    registry: Registry,
}

/// As long as this lives, whoever names the session's id means the backend connection at its place.
#[derive(Debug)]
pub(super) struct Reachable<'a> {
    id: &'a SessionId,
    pub(super) place: Place,
}

impl Registry {
    pub(super) fn new(random: &'static dyn SecureRandom) -> Self {
        Self {
            random,
            sessions: Arc::default(),
        }
    }

    /// Takes an id that no live session has; `None` only if the system gives no random bytes.
    pub(super) fn enter(&self) -> Option<SessionId> {
        loop {
            let mut bytes = [0; 4];
            self.random.fill(&mut bytes).ok()?;
            let id = OURS | u32::from_ne_bytes(bytes);
            if let Entry::Vacant(entry) = self.sessions().entry(id) {
                entry.insert(None);
                return Some(SessionId {
                    id,
                    registry: self.clone(),
                });
            }
        }
    }

    /// Whom an id that a client names means to the server that it is connected to.
    pub(super) fn meant(&self, id: u32, server: &Server) -> Meant {
        match self.sessions().get(&id) {
            None => Meant::Nobody,
            Some(Some(place)) if place.server == *server => Meant::Here(place.id),
            Some(_) => Meant::Elsewhere,
        }
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<u32, Option<Place>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionId {
    pub(super) fn get(&self) -> u32 {
        self.id
    }

    /// The session has a backend connection.
    pub(super) fn reachable_at(&self, place: Place) -> Reachable<'_> {
        self.set(Some(place.clone()));
        Reachable { id: self, place }
    }

    fn set(&self, place: Option<Place>) {
        self.registry.sessions().insert(self.id, place);
    }
}

impl Drop for SessionId {
    fn drop(&mut self) {
        self.registry.sessions().remove(&self.id);
    }
}

impl Drop for Reachable<'_> {
    fn drop(&mut self) {
        self.id.set(None);
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::aws_lc_rs;

    use super::*;
    use crate::backend::Role;

    fn registry() -> Registry {
        Registry::new(aws_lc_rs::default_provider().secure_random)
    }

    fn server(role: Role, port: u16) -> Server {
        Server::at(role, ([127, 0, 0, 1], port).into())
    }

    #[test]
    fn an_id_means_a_session_only_to_its_own_server_and_while_it_is_there() {
        let registry = registry();
        let (here, there) = (server(Role::Source, 1), server(Role::Source, 2));
        let other_role = server(Role::Target, 1);
        let session = registry.enter().expect("random bytes");
        let id = session.get();
        assert_eq!(registry.meant(id, &here), Meant::Elsewhere, "not logged in");
        let place = Place {
            server: here.clone(),
            id: 7,
        };
        let reachable = session.reachable_at(place);
        assert_eq!(registry.meant(id, &there), Meant::Elsewhere);
        assert_eq!(registry.meant(id, &other_role), Meant::Elsewhere);
        assert_eq!(registry.meant(7, &here), Meant::Nobody, "the server's own");
        assert_eq!(registry.meant(id, &here), Meant::Here(7));
        drop(reachable);
        assert_eq!(registry.meant(id, &here), Meant::Elsewhere, "closing");
        drop(session);
        assert_eq!(registry.meant(id, &here), Meant::Nobody, "closed");
    }
}
