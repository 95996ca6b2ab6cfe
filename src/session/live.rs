//! The live sessions, for whoever looks after mytls: what is known of each, what they have moved, how to end one.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use rustls::crypto::SecureRandom;
use tokio_util::sync::CancellationToken;

use super::counts::{Relayed, SessionCounts};
use super::denials::{Denials, Refusals, Verdict};
use super::limit::Limit;
use super::place::Place;
use super::repeats::{LeftOut, Repeats};
use crate::backend::Role;
use crate::rules::ClientAddress;
use crate::tls::Negotiated;

/// Set in every id of ours, so that it does not look like a backend's own: a KILL that reaches another replica, or
/// comes after a restart, finds nothing.
pub(super) const OURS: u32 = 0x8000_0000;

/// All sessions of the data port, and what has been counted since the start.
#[derive(Debug, Clone, Default)]
pub struct Sessions(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    live: Mutex<HashMap<u32, Arc<Live>>>,
    counts: SessionCounts,
    denials: Mutex<Denials>,
    /// Of one minute, so that the log does not flood.
    refused: Mutex<Repeats>,
    /// The same of those who were let pass. By themselves, so that neither hides the other.
    reported: Mutex<Repeats>,
}

/// What sessions have come to since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Connections accepted.
    pub accepted: u64,
    /// The most connections at once.
    pub most_at_once: u64,
    /// Logins that the backend has confirmed.
    pub logged_in: u64,
    /// Logins and changes of user that were refused, by us or by the backend.
    pub refused: u64,
    /// Logins that came to nothing: clients that left, or broke the protocol.
    pub aborted: u64,
    /// Clients that ran into a limit, in the order of [`Limit::ALL`].
    pub limit_hits: [u64; Limit::ALL.len()],
}

/// One session.
#[derive(Debug)]
pub struct Live {
    /// The id that its client knows.
    pub id: u32,
    /// When it was accepted.
    pub since: Instant,
    known: Mutex<Known>,
    /// For those who want to kill it by its id.
    place: Mutex<Option<Place>>,
    /// What it has moved.
    pub(super) relayed: Relayed,
    killed: CancellationToken,
}

/// What is known of a session by now.
#[derive(Debug, Clone)]
pub struct Known {
    /// How far it is.
    pub state: State,
    /// Where the client came from; until its balancer has told that, the balancer.
    pub client: ClientAddress,
    /// Where it goes.
    pub route: Role,
    /// Whom its client says that it is.
    pub user: Option<String>,
    /// The rule that let it pass.
    pub account: Option<String>,
    /// The database named in the login.
    pub database: Option<String>,
    /// TLS with the client.
    pub client_tls: Option<Negotiated>,
    /// Of the client's certificate.
    pub subject: Option<String>,
    /// TLS with the backend.
    pub backend_tls: Option<Negotiated>,
    /// The backend's id of its connection.
    pub backend_id: Option<u32>,
}

/// How far a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its client has not said everything yet.
    LoggingIn,
    /// It may pass; the backend is dialled or authenticates it.
    Connecting,
    /// Logged in.
    Relaying,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::LoggingIn, Self::Connecting, Self::Relaying];

    /// As the metrics have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::LoggingIn => "logging_in",
            Self::Connecting => "connecting",
            Self::Relaying => "relaying",
        }
    }
}

/// A session is among the live ones for as long as this lives.
#[derive(Debug)]
pub(super) struct Entered {
    live: Arc<Live>,
    sessions: Sessions,
}

impl Sessions {
    /// Those there are now, in the order of their ids.
    pub fn all(&self) -> Vec<Arc<Live>> {
        let mut all: Vec<_> = self.live().values().map(Arc::clone).collect();
        all.sort_unstable_by_key(|live| live.id);
        all
    }

    /// How many there are now.
    pub fn count(&self) -> usize {
        self.live().len()
    }

    /// Ends a session; false if there is none with that id.
    pub fn kill(&self, id: u32) -> bool {
        let live = self.get(id);
        if let Some(live) = &live {
            live.killed.cancel();
        }
        live.is_some()
    }

    /// Who was refused, or would have been; the last one first.
    pub fn denials(&self) -> Vec<Refusals> {
        self.lock_denials().all()
    }

    /// What was counted since the start.
    pub fn totals(&self) -> Totals {
        let counts = self.counts();
        Totals {
            accepted: counts.accepted.get(),
            most_at_once: counts.most_at_once(),
            logged_in: counts.logged_in.get(),
            refused: counts.refused.total() + counts.refused_by_backend.total(),
            aborted: counts.aborted.total(),
            limit_hits: Limit::ALL.map(|limit| counts.limits.get(limit)),
        }
    }

    /// The same and more, in full.
    pub fn counts(&self) -> &SessionCounts {
        &self.0.counts
    }

    /// What all sessions have relayed, those that are over and those there are now; and of the latter how far each is, and
    /// where it goes.
    pub fn relayed(&self) -> (Relayed, Vec<(State, Role)>) {
        let relayed = Relayed::default();
        let live: Vec<_> = {
            // under the lock, so that none is on both sides, or on none
            let live = self.live();
            relayed.absorb(&self.0.counts.relayed);
            live.values().map(Arc::clone).collect()
        };
        let now = |session: Arc<Live>| {
            relayed.absorb(&session.relayed);
            let known = session.lock();
            (known.state, known.route)
        };
        let now = live.into_iter().map(now).collect();
        (relayed, now)
    }

    /// One more, with an id that no other has; `None` only if the system gives no random bytes.
    pub(super) fn enter(
        &self,
        random: &dyn SecureRandom,
        client: ClientAddress,
        route: Role,
    ) -> Option<Entered> {
        let mut all = self.live();
        let (id, vacant) = loop {
            let mut bytes = [0; 4];
            random.fill(&mut bytes).ok()?;
            let id = OURS | u32::from_ne_bytes(bytes);
            if let Entry::Vacant(vacant) = all.entry(id) {
                break (id, vacant);
            }
        };
        let live = Arc::new(Live::new(id, client, route));
        vacant.insert(Arc::clone(&live));
        self.counts().accepted.count();
        self.counts().at_once(all.len());
        drop(all);
        Some(Entered {
            live,
            sessions: self.clone(),
        })
    }

    /// The one with this id.
    pub(super) fn get(&self, id: u32) -> Option<Arc<Live>> {
        self.live().get(&id).map(Arc::clone)
    }

    pub(super) fn note_denial(
        &self,
        user: Option<&str>,
        client: ClientAddress,
        verdict: Verdict,
        reason: &str,
    ) {
        let now = SystemTime::now();
        self.lock_denials().note(user, client, verdict, reason, now);
    }

    /// Whether the log is to have a line of this; else it is counted.
    pub(super) fn shows(&self, verdict: Verdict, reason: &str) -> bool {
        self.lock_repeats(verdict).admit(reason)
    }

    /// What it does not have since this was last asked for.
    pub(super) fn take_left_out(&self, verdict: Verdict) -> Vec<LeftOut> {
        self.lock_repeats(verdict).take_left_out()
    }

    fn lock_repeats(&self, verdict: Verdict) -> MutexGuard<'_, Repeats> {
        let repeats = match verdict {
            Verdict::Refused => &self.0.refused,
            Verdict::Reported => &self.0.reported,
        };
        repeats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_denials(&self) -> MutexGuard<'_, Denials> {
        self.0
            .denials
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn live(&self) -> MutexGuard<'_, HashMap<u32, Arc<Live>>> {
        self.0.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    /// Somebody has ended the session. Cancel safe.
    pub(super) async fn killed(&self) {
        self.killed.cancelled().await;
    }

    fn new(id: u32, client: ClientAddress, route: Role) -> Self {
        Self {
            id,
            since: Instant::now(),
            known: Mutex::new(Known {
                state: State::LoggingIn,
                client,
                route,
                user: None,
                account: None,
                database: None,
                client_tls: None,
                subject: None,
                backend_tls: None,
                backend_id: None,
            }),
            place: Mutex::default(),
            relayed: Relayed::default(),
            killed: CancellationToken::new(),
        }
    }

    /// What is known of it by now.
    pub fn known(&self) -> Known {
        self.lock().clone()
    }

    /// Where it goes.
    pub fn route(&self) -> Role {
        self.lock().route
    }

    /// Bytes of commands, in clear.
    pub fn bytes_from_client(&self) -> u64 {
        self.relayed.from_client.get()
    }

    /// Bytes of responses, in clear.
    pub fn bytes_from_backend(&self) -> u64 {
        self.relayed.from_backend.get()
    }

    pub(super) fn lock_place(&self) -> MutexGuard<'_, Option<Place>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entered {
    /// What others see of it from now on.
    pub(super) fn show(&self, known: Known) {
        *self.live.lock() = known;
    }

    /// Where its bytes are counted.
    pub(super) fn live(&self) -> &Arc<Live> {
        &self.live
    }

    pub(super) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Somebody has ended it. Cancel safe.
    pub(super) async fn killed(&self) {
        self.live.killed().await;
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut live = self.sessions.live();
        live.remove(&self.live.id);
        self.sessions.0.counts.relayed.absorb(&self.live.relayed);
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::aws_lc_rs;

    use super::*;

    #[tokio::test]
    async fn a_session_can_be_seen_and_ended_while_it_lives() {
        let sessions = Sessions::default();
        let random = aws_lc_rs::default_provider().secure_random;
        let entered = sessions
            .enter(random, ClientAddress::UnixSocket, Role::Source)
            .expect("random bytes");
        let id = entered.live().id;
        entered.live().relayed.from_client.add(5);
        let seen = sessions.all();
        assert_eq!((seen[0].id, seen[0].bytes_from_client()), (id, 5));
        assert!(!sessions.kill(id ^ 1), "another id");
        assert!(sessions.kill(id));
        entered.killed().await;
        drop(entered);
        assert!(sessions.all().is_empty() && !sessions.kill(id));
        let totals = sessions.totals();
        assert_eq!((totals.accepted, totals.most_at_once), (1, 1));
    }
}
