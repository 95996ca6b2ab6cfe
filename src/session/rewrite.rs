//! Statements that are changed on their way, because what the backend answers would be true for mytls and not for the
//! client. The backend still answers, so the order of answers is kept.

use super::DataPort;
use super::identify::Wishes;
use super::place::Place;
use super::reachable::Meant;
use super::tls_status::{TlsStatus, of_client};
use crate::net::stream::Stream;
use crate::protocol::capabilities::Capabilities;
use crate::protocol::statement::{Statement, is_single, nothing};

/// An id that no connection has: servers count up from 1 and would have to have counted through all of them. Of `KILL` with
/// it they say 1094 (run: MySQL 9.7, MariaDB 10.11 and 11.8).
const NOBODY: u32 = u32::MAX;

/// What a server gets that waits for a new password, in place of several statements: the second could already be another
/// account's. It answers that the password is to be changed.
pub(super) fn one_statement(payload: &[u8], wishes: &Wishes) -> Option<Vec<u8>> {
    let query_attributes = wishes.granted.contains(Capabilities::QUERY_ATTRIBUTES);
    (!is_single(payload, query_attributes)).then(|| nothing(query_attributes))
}

impl DataPort {
    /// The payload to send in place of this one, if it is to be changed.
    pub(super) fn rewritten(
        &self,
        payload: &[u8],
        client: &Stream,
        wishes: &Wishes,
        place: &Place,
    ) -> Option<Vec<u8>> {
        let query_attributes = wishes.granted.contains(Capabilities::QUERY_ATTRIBUTES);
        match Statement::read(payload, query_attributes)? {
            Statement::Kill(kill) => match self.handles.sessions.meant(kill.id, &place.server) {
                Meant::Nobody => None,
                // its number there may be somebody else's here
                Meant::Elsewhere => Some(kill.with_id(NOBODY)),
                Meant::Here(id) => Some(kill.with_id(id)),
            },
            Statement::Status(question) => match self.handles.tls_status {
                TlsStatus::Backend => None,
                TlsStatus::Client => {
                    // what new connections get, as in a server
                    let tls = self.handles.tls.current();
                    let acceptor = tls.as_deref().map(|generation| &generation.tls);
                    let values = of_client(client, acceptor, wishes.server);
                    question.with_values(wishes.server, &values)
                }
            },
        }
    }
}
