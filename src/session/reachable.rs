//! Whom a client means that names the id of another's session.

use std::sync::Arc;

use super::live::{Live, Sessions};
use super::place::Place;
use crate::backend::Server;

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

/// As long as this lives, whoever names the session's id means the backend connection at its place.
#[derive(Debug)]
pub(super) struct Reachable {
    live: Arc<Live>,
    pub(super) place: Place,
}

impl Reachable {
    /// The session has a backend connection.
    pub(super) fn at(live: Arc<Live>, place: Place) -> Self {
        *live.lock_place() = Some(place.clone());
        Self { live, place }
    }
}

impl Drop for Reachable {
    fn drop(&mut self) {
        *self.live.lock_place() = None;
    }
}

impl Sessions {
    /// Whom an id that a client names means to the server that it is connected to.
    pub(super) fn meant(&self, id: u32, server: &Server) -> Meant {
        let Some(live) = self.get(id) else {
            return Meant::Nobody;
        };
        match &*live.lock_place() {
            Some(place) if place.server == *server => Meant::Here(place.id),
            Some(_) | None => Meant::Elsewhere,
        }
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::aws_lc_rs;

    use super::*;
    use crate::backend::Role;
    use crate::rules::ClientAddress;

    fn server(role: Role, port: u16) -> Server {
        Server::at(role, ([127, 0, 0, 1], port).into())
    }

    #[test]
    fn an_id_means_a_session_only_to_its_own_server_and_while_it_is_there() {
        let sessions = Sessions::default();
        let random = aws_lc_rs::default_provider().secure_random;
        let (here, there) = (server(Role::Source, 1), server(Role::Source, 2));
        let other_role = server(Role::Target, 1);
        let session = sessions
            .enter(random, ClientAddress::UnixSocket, Role::Source)
            .expect("random bytes");
        let id = session.live().id;
        assert_eq!(sessions.meant(id, &here), Meant::Elsewhere, "not logged in");
        let place = Place {
            server: here.clone(),
            id: 7,
        };
        let reachable = Reachable::at(Arc::clone(session.live()), place);
        assert_eq!(sessions.meant(id, &there), Meant::Elsewhere);
        assert_eq!(sessions.meant(id, &other_role), Meant::Elsewhere);
        assert_eq!(sessions.meant(7, &here), Meant::Nobody, "the server's own");
        assert_eq!(sessions.meant(id, &here), Meant::Here(7));
        drop(reachable);
        assert_eq!(sessions.meant(id, &here), Meant::Elsewhere, "closing");
        drop(session);
        assert_eq!(sessions.meant(id, &here), Meant::Nobody, "closed");
    }
}
