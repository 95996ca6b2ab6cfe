//! What is known of a session, gathered on its way, for the one line in the log and for those who look on.

use std::sync::Arc;
use std::time::Instant;

use tracing::{debug, info, warn};

use super::counts::Outcome;
use super::denials::Verdict;
use super::end::End;
use super::failure::Failure;
use super::limit::Limit;
use super::live::{Entered, Known, Live, State};
use super::refusal::{BackendRefusal, Cause};
use crate::backend::Role;
use crate::protocol::err_packet::ErrPacket;
use crate::protocol::user_name::UserName;
use crate::rules::{ClientAddress, Denial};
use crate::tls::Negotiated;

/// One line for each session. Fields that are not known are left out.
macro_rules! session_line {
    ($level:ident, $record:expr, $outcome:expr) => {
        $level!(
            id = $record.id,
            user = $record.user,
            account = $record.account,
            client = %$record.client,
            via = $record.via.map(tracing::field::display),
            client_tls = $record.client_tls.map(|tls| tls.version),
            client_cipher = $record.client_tls.map(|tls| tls.cipher),
            client_subject = $record.subject,
            route = %$record.route,
            backend_id = $record.backend_id,
            backend_tls = $record.backend_tls.map(|tls| tls.version),
            bytes_from_client = $record.entered.live().bytes_from_client(),
            bytes_from_backend = $record.entered.live().bytes_from_backend(),
            seconds = $record.started.elapsed().as_secs_f64(),
            outcome = $outcome.to_string(),
            "session ended"
        )
    };
}

/// What is known of a session, gathered on its way, for its line in the log.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) id: u32,
    pub(super) client: ClientAddress,
    /// Until then an error is told in place of the greeting.
    pub(super) greeted: bool,
    /// The balancer that handed the connection on, if it told whose it is.
    pub(super) via: Option<ClientAddress>,
    pub(super) route: Role,
    pub(super) user: Option<String>,
    pub(super) account: Option<String>,
    pub(super) client_tls: Option<Negotiated>,
    pub(super) subject: Option<String>,
    pub(super) backend_tls: Option<Negotiated>,
    pub(super) backend_id: Option<u32>,
    /// The database named in the login; not logged.
    pub(super) database: Option<String>,
    /// Where others see it.
    entered: Entered,
    pub(super) started: Instant,
}

impl Record {
    pub(super) fn new(entered: Entered, route: Role) -> Self {
        let live = entered.live();
        Self {
            id: live.id,
            client: live.known().client,
            greeted: false,
            via: None,
            route,
            user: None,
            account: None,
            client_tls: None,
            subject: None,
            backend_tls: None,
            backend_id: None,
            database: None,
            started: live.since,
            entered,
        }
    }

    /// Lets others see what is known by now.
    pub(super) fn show(&self, state: State) {
        self.entered.show(Known {
            state,
            client: self.client,
            route: self.route,
            user: self.user.clone(),
            account: self.account.clone(),
            database: self.database.clone(),
            client_tls: self.client_tls,
            subject: self.subject.clone(),
            backend_tls: self.backend_tls,
            backend_id: self.backend_id,
        });
    }

    /// The client has been told that it is logged in.
    pub(super) fn logged_in(&self) {
        let counts = self.entered.sessions().counts();
        counts.logged_in.count();
        counts.login_times.observe(self.started.elapsed());
        self.show(State::Relaying);
    }

    /// A TLS handshake with the client is done.
    pub(super) fn over_tls(&mut self, tls: Negotiated) {
        self.client_tls = Some(tls);
    }

    /// Where the session's bytes are counted.
    pub(super) fn live(&self) -> Arc<Live> {
        Arc::clone(self.entered.live())
    }

    /// Somebody has ended the session. Cancel safe.
    pub(super) async fn killed(&self) {
        self.entered.killed().await;
    }

    /// Tells of a client that is let pass, but would be refused were rules not only reported. `user` and `account` are
    /// those that it asks for, at login or in `COM_CHANGE_USER`.
    pub(super) fn log_reported(&self, user: &UserName, account: &str, denial: &Denial) {
        let (sessions, reason) = (self.entered.sessions(), denial.to_string());
        sessions.counts().would_be_refused.count(denial.into());
        sessions.note_denial(Some(user.as_str()), self.client, Verdict::Reported, &reason);
        if !sessions.shows(Verdict::Reported, &format!("{user}: {reason}")) {
            return;
        }
        warn!(
            id = self.id,
            ?user,
            account,
            client = %self.client,
            via = self.via.map(tracing::field::display),
            client_tls = self.client_tls.map(|tls| tls.version),
            client_subject = self.subject,
            reason,
            "would be refused"
        );
    }

    /// Remembers whom mytls itself has refused.
    fn note(&self, failure: &Failure) {
        let user = match failure {
            Failure::RefusedByBackend(_) => return,
            // in a change of user it is another
            Failure::Denied { user, .. }
            | Failure::NotImported { user, .. }
            | Failure::OwnOsUser { user, .. } => Some(user.as_str()),
            _ => self.user.as_deref(),
        };
        let reason = failure.to_string();
        let sessions = self.entered.sessions();
        sessions.note_denial(user, self.client, Verdict::Refused, &reason);
    }

    /// The backend refused a change of user.
    pub(super) fn count_refused_by_backend(&self, error: &ErrPacket) {
        let counts = self.entered.sessions().counts();
        counts.refused_by_backend.count(BackendRefusal::from(error));
    }

    /// Counts who said no, and remembers whom mytls itself has refused.
    fn count_refusal(&self, failure: &Failure) {
        let counts = self.entered.sessions().counts();
        match failure.cause() {
            Cause::Refused(refusal) => counts.refused.count(refusal),
            Cause::RefusedByBackend(refusal) => counts.refused_by_backend.count(refusal),
            Cause::Aborted(_) => return,
        }
        self.note(failure);
    }

    /// Counts a session that had logged in, and writes its line.
    pub(super) fn log_end(&self, end: &End) {
        let counts = self.entered.sessions().counts();
        counts.ended.count(end.outcome());
        counts.session_times.observe(self.started.elapsed());
        if let End::ChangeUser(failure) | End::NotConfirmed(failure) = end {
            self.count_refusal(failure);
        }
        self.count_limit(end.limit());
        match end {
            End::Quit
            | End::ClientClosed
            | End::BackendClosed
            | End::BackendEnded(_)
            | End::Drained
            | End::Idle
            | End::Old
            | End::Killed => {
                session_line!(info, self, end);
            }
            End::Violation { .. }
            | End::Stream(_)
            | End::NotConfirmed(_)
            | End::ChangeUser(_)
            | End::Cut => {
                session_line!(warn, self, end);
            }
        }
    }

    /// Counts a login that failed, whether or not its line is written.
    pub(super) fn count_failure(&self, failure: &Failure) {
        self.count_limit(failure.limit());
        let counts = self.entered.sessions().counts();
        match failure.cause() {
            Cause::Refused(_) | Cause::RefusedByBackend(_) => {
                counts.ended.count(Outcome::Refused);
                self.count_refusal(failure);
            }
            Cause::Aborted(abort) => {
                counts.ended.count(Outcome::Aborted);
                counts.aborted.count(abort);
            }
        }
    }

    fn count_limit(&self, hit: Option<Limit>) {
        if let Some(limit) = hit {
            self.entered.sessions().counts().limits.count(limit);
        }
    }

    /// Writes the line of a login that failed. A probe that connects and leaves is nothing to read about.
    pub(super) fn log_failure(&self, failure: &Failure) {
        match failure {
            Failure::Left => session_line!(debug, self, failure),
            Failure::RefusedByBackend(_) | Failure::Draining | Failure::Killed => {
                session_line!(info, self, failure);
            }
            _ => session_line!(warn, self, failure),
        }
    }
}
