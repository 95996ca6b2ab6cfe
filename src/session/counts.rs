//! What the sessions of the data port have come to since the start: counted here, for `SHOW STATUS` and for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::limit::Limit;
use super::refusal::{Abort, BackendRefusal, Refusal};
use crate::metrics::{Count, Counters, Histogram, labels};

/// From a point select on the same machine to a report.
const QUERY_BOUNDS: &[Duration] = &[
    Duration::from_micros(100),
    Duration::from_micros(200),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(10),
    Duration::from_secs(60),
];

/// From a script's one query to a pool's connection.
const SESSION_BOUNDS: &[Duration] = &[
    Duration::from_millis(100),
    Duration::from_secs(1),
    Duration::from_secs(10),
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(60 * 60),
    Duration::from_secs(6 * 60 * 60),
    Duration::from_secs(24 * 60 * 60),
    Duration::from_secs(7 * 24 * 60 * 60),
];

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did not log in: somebody said no.
    Refused,
    /// It did not log in: the login came to nothing.
    Aborted,
    /// `COM_QUIT`
    Quit,
    /// The client closed the connection.
    ClientClosed,
    /// The backend closed the connection.
    BackendClosed,
    /// The backend said that it ends the session, with an error that answers no command.
    BackendEnded,
    /// One side broke the protocol.
    Violation,
    /// A connection failed, or TLS on it.
    ConnectionFailed,
    /// A change of user was refused by mytls, or came to nothing.
    ChangeUser,
    /// After a new password, the account that the server chose was refused, or not told.
    NotConfirmed,
    /// Between transactions, for a drain.
    Drained,
    /// A drain was over before it was between transactions.
    Cut,
    /// `limits.idle-time`
    Idle,
    /// `limits.life-time`, between transactions.
    Old,
    /// `KILL` on the admin port.
    Killed,
}

labels! {
    Outcome, "outcome" {
        Refused => "refused",
        Aborted => "aborted",
        Quit => "quit",
        ClientClosed => "client_closed",
        BackendClosed => "backend_closed",
        BackendEnded => "backend_ended",
        Violation => "protocol_violation",
        ConnectionFailed => "connection_failed",
        ChangeUser => "change_user",
        NotConfirmed => "not_confirmed",
        Drained => "drained",
        Cut => "cut",
        Idle => "idle",
        Old => "old",
        Killed => "killed",
    }
}

/// Since the start.
#[derive(Debug)]
pub struct SessionCounts {
    /// Connections accepted.
    pub accepted: Count,
    most_at_once: AtomicU64,
    /// Logins that the client was told have succeeded.
    pub logged_in: Count,
    /// Sessions that are over.
    pub ended: Counters<Outcome>,
    /// Logins and changes of user that mytls refused.
    pub refused: Counters<Refusal>,
    /// Logins and changes of user that the backend refused.
    pub refused_by_backend: Counters<BackendRefusal>,
    /// Those that mytls would have refused were rules not only reported.
    pub would_be_refused: Counters<Refusal>,
    /// Logins that came to nothing.
    pub aborted: Counters<Abort>,
    /// How often a limit ended something, or kept it from beginning.
    pub limits: Counters<Limit>,
    /// From accept to the word that the client is logged in.
    pub login_times: Histogram,
    /// From accept to the end, of sessions that had logged in.
    pub session_times: Histogram,
    /// Of sessions that are over.
    pub(super) relayed: Relayed,
}

/// What was relayed: of one session, or of all that are over.
#[derive(Debug)]
pub struct Relayed {
    /// Bytes of commands, in clear.
    pub from_client: Count,
    /// Bytes of responses, in clear.
    pub from_backend: Count,
    /// Commands that went on to the backend.
    pub commands: Count,
    /// From the first byte of a command to the last of its response.
    pub command_times: Histogram,
}

impl SessionCounts {
    /// There are so many at once.
    pub(super) fn at_once(&self, sessions: usize) {
        self.most_at_once
            .fetch_max(sessions as u64, Ordering::Relaxed);
    }

    /// The most that there were at once.
    pub fn most_at_once(&self) -> u64 {
        self.most_at_once.load(Ordering::Relaxed)
    }
}

impl Default for SessionCounts {
    fn default() -> Self {
        Self {
            accepted: Count::default(),
            most_at_once: AtomicU64::default(),
            logged_in: Count::default(),
            ended: Counters::default(),
            refused: Counters::default(),
            refused_by_backend: Counters::default(),
            would_be_refused: Counters::default(),
            aborted: Counters::default(),
            limits: Counters::default(),
            // what takes seconds waits for a deadline, an import, a slow dial
            login_times: Histogram::of_round_trips(Duration::from_millis(1)),
            session_times: Histogram::new(SESSION_BOUNDS),
            relayed: Relayed::default(),
        }
    }
}

impl Relayed {
    /// Adds what another has.
    pub(super) fn absorb(&self, other: &Self) {
        self.from_client.add(other.from_client.get());
        self.from_backend.add(other.from_backend.get());
        self.commands.add(other.commands.get());
        self.command_times.absorb(&other.command_times);
    }
}

impl Default for Relayed {
    fn default() -> Self {
        Self {
            from_client: Count::default(),
            from_backend: Count::default(),
            commands: Count::default(),
            command_times: Histogram::new(QUERY_BOUNDS),
        }
    }
}
