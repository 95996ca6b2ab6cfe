//! What the status page shows, gathered at one moment.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use rustls::pki_types::UnixTime;

use super::Handles;
use super::probe::Probe;
use crate::backend::{EndpointState, Role};
use crate::session::{Refusals, State, Totals, Verdict};
use crate::tls::{ChannelName, Expiry};

/// So many reasons are shown.
const REASONS: usize = 20;

/// Everything on the page.
#[derive(Debug)]
pub(super) struct Status {
    /// What `/readyz` says.
    pub(super) readiness: String,
    pub(super) is_ready: bool,
    pub(super) uptime: Duration,
    /// Where new sessions go.
    pub(super) route: Role,
    pub(super) sessions: [(State, usize); 3],
    pub(super) totals: Totals,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) certificates: Vec<Certificate>,
    pub(super) reasons: Vec<Reason>,
    /// Those for which there was no room.
    pub(super) more_reasons: usize,
}

/// One address of a server.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) role: Role,
    pub(super) address: String,
    pub(super) has_tls: bool,
    /// Of its server.
    pub(super) sessions: usize,
    pub(super) state: EndpointState,
    pub(super) version: String,
}

/// A certificate in force.
#[derive(Debug)]
pub(super) struct Certificate {
    pub(super) channel: ChannelName,
    pub(super) expiry: Expiry,
    /// Whole days; below zero when it is over.
    pub(super) days_left: i64,
}

/// Why clients were refused, whoever they were.
#[derive(Debug)]
pub(super) struct Reason {
    pub(super) verdict: Verdict,
    pub(super) text: String,
    pub(super) count: u64,
    pub(super) last: SystemTime,
}

impl Status {
    pub(super) async fn of(handles: &Handles) -> Self {
        let readiness = Probe::Ready.ask(handles).await;
        let live: Vec<_> = (handles.sessions.all().iter())
            .map(|live| live.known())
            .map(|known| (known.state, known.route))
            .collect();
        let in_state = |state| live.iter().filter(|(each, _)| *each == state).count();
        let to = |role| live.iter().filter(|(_, each)| *each == role).count();
        let all_reasons = reasons(handles.sessions.denials());
        let more_reasons = all_reasons.len().saturating_sub(REASONS);
        Self {
            readiness: readiness.in_a_line(),
            is_ready: readiness.is_good(),
            uptime: Duration::from_secs(handles.started.elapsed().as_secs()),
            route: handles.backends.routed().role(),
            sessions: [State::LoggingIn, State::Connecting, State::Relaying]
                .map(|state| (state, in_state(state))),
            totals: handles.sessions.totals(),
            endpoints: endpoints(handles, to),
            certificates: certificates(handles, UnixTime::now().as_secs()),
            reasons: all_reasons.into_iter().take(REASONS).collect(),
            more_reasons,
        }
    }
}

fn endpoints(handles: &Handles, sessions: impl Fn(Role) -> usize) -> Vec<Endpoint> {
    let mut all = Vec::new();
    for backend in handles.backends.all() {
        let (role, greeting) = (backend.role(), backend.greeting());
        let version = greeting.map(|greeting| String::from_utf8_lossy(&greeting.version).into());
        let sessions = sessions(role);
        let states = backend.states(sessions).into_iter();
        all.extend(states.map(|(address, state)| Endpoint {
            role,
            address,
            has_tls: backend.channel().is_some(),
            sessions,
            state,
            version: version.clone().unwrap_or_default(),
        }));
    }
    all
}

/// Those that run out first come first.
fn certificates(handles: &Handles, now: u64) -> Vec<Certificate> {
    let mut all: Vec<_> = (handles.expiries)()
        .into_iter()
        .map(|(channel, expiry)| Certificate {
            channel,
            days_left: expiry.days_left(now),
            expiry,
        })
        .collect();
    all.sort_by_key(|certificate| certificate.expiry.not_after);
    all
}

/// The one that was seen last comes first.
fn reasons(refusals: Vec<Refusals>) -> Vec<Reason> {
    let mut by_text: HashMap<_, Reason> = HashMap::new();
    for refusals in refusals {
        let key = (refusals.verdict, refusals.reason.clone());
        let reason = by_text.entry(key).or_insert(Reason {
            verdict: refusals.verdict,
            text: refusals.reason,
            count: 0,
            last: refusals.last,
        });
        reason.count = reason.count.saturating_add(refusals.count);
        reason.last = reason.last.max(refusals.last);
    }
    let mut all: Vec<_> = by_text.into_values().collect();
    all.sort_by(|one, other| (other.last, &one.text).cmp(&(one.last, &other.text)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::ClientAddress;

    #[test]
    fn a_reason_counts_for_all_who_were_refused_for_it() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let refused = |user: &str, verdict, reason: &str, count, last| Refusals {
            user: Some(user.to_owned()),
            client: ClientAddress::UnixSocket,
            verdict,
            reason: reason.to_owned(),
            count,
            first: at(1),
            last: at(last),
        };
        let all = reasons(vec![
            refused("a", Verdict::Refused, "no TLS", 2, 9),
            refused("b", Verdict::Refused, "no TLS", 3, 20),
            refused("a", Verdict::Reported, "no TLS", 1, 10),
            refused("a", Verdict::Refused, "expired", 1, 15),
        ]);
        let seen: Vec<_> = all
            .iter()
            .map(|reason| {
                (
                    reason.verdict,
                    reason.text.as_str(),
                    reason.count,
                    reason.last,
                )
            })
            .collect();
        let expected = [
            (Verdict::Refused, "no TLS", 5, at(20)),
            (Verdict::Refused, "expired", 1, at(15)),
            (Verdict::Reported, "no TLS", 1, at(10)),
        ];
        assert_eq!(seen, expected);
    }
}
