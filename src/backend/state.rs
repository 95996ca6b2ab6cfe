//! How it stands with each endpoint of a backend, for people.

use std::fmt;

use tokio::time::Instant;

use super::Backend;

/// How it stands with an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointState {
    /// It is not dialled for a while, for this reason.
    LeftAlone(String),
    /// The backend has not greeted yet.
    NotSeen,
    /// The sessions of the backend are asked to end.
    Draining {
        /// Until those that are left are cut.
        seconds: u64,
    },
    /// New sessions go there, or would.
    Ready,
}

impl Backend {
    /// Every endpoint with its state; `sessions` are those that the backend has.
    pub fn states(&self, sessions: usize) -> Vec<(String, EndpointState)> {
        let is_seen = self.greeting().is_some();
        let end = self.drain().borrow().filter(|_| sessions > 0);
        let left = end.map(|end| end.saturating_duration_since(Instant::now()).as_secs());
        let state = |resting| match (resting, is_seen, left) {
            (Some(reason), ..) => EndpointState::LeftAlone(reason),
            (None, false, _) => EndpointState::NotSeen,
            (None, true, Some(seconds)) => EndpointState::Draining { seconds },
            (None, true, None) => EndpointState::Ready,
        };
        let endpoints = self.endpoints().into_iter();
        endpoints
            .map(|(endpoint, resting)| (endpoint, state(resting)))
            .collect()
    }
}

impl fmt::Display for EndpointState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeftAlone(reason) => write!(f, "left alone: {reason}"),
            Self::NotSeen => f.write_str("not seen yet"),
            Self::Draining { seconds } => write!(f, "draining; cut in {seconds} s"),
            Self::Ready => f.write_str("ready"),
        }
    }
}
