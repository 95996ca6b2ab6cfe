//! The end of mytls: new clients are turned away, sessions asked to end, those that are left cut.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::session::Stop;
use crate::signals::Ends;

/// What sessions that are cut get to close their connections.
pub const CUT: Duration = Duration::from_secs(2);

/// Where mytls is between its start and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Clients are welcome.
    Serving,
    /// Clients are served, and whoever sends them here is told to stop (`drain.min`).
    NotReady,
    /// No client is accepted; sessions are asked to end, and cut at `drain.max`.
    Draining,
}

/// The [`Phase`], for whoever shows it or waits for it. Only the drain changes it.
#[derive(Debug)]
pub struct Phases(watch::Sender<Phase>);

impl Default for Phases {
    fn default() -> Self {
        Self(watch::Sender::new(Phase::Serving))
    }
}

impl Phases {
    /// To read now, or to wait for.
    pub fn watch(&self) -> watch::Receiver<Phase> {
        self.0.subscribe()
    }

    /// Goes on to the next one.
    pub fn enter(&self, phase: Phase) {
        self.0.send_replace(phase);
    }
}

/// Serves on as before for `least`, so that whoever sends clients here can stop first. A second signal ends that: true.
pub async fn serve_on(phases: &Phases, least: Duration, ends: &mut Ends) -> bool {
    phases.enter(Phase::NotReady);
    if least.is_zero() {
        return false;
    }
    info!(
        seconds = least.as_secs_f64(),
        "not ready; clients are served on"
    );
    tokio::select! {
        () = sleep(least) => false,
        () = ends.asked_to_end() => true,
    }
}

/// Lets sessions end: between transactions until `most` or a second signal, then at once.
pub async fn drain(sessions: &TaskTracker, stop: &Stop, most: Duration, ends: &mut Ends) {
    info!(
        sessions = sessions.len(),
        seconds = most.as_secs_f64(),
        "draining: no new clients"
    );
    sessions.close();
    stop.politely.cancel();
    tokio::select! {
        () = sessions.wait() => {}
        () = sleep(most) => {}
        () = ends.asked_to_end() => {}
    }
    if !sessions.is_empty() {
        warn!(
            sessions = sessions.len(),
            "cutting the sessions that are left"
        );
        stop.now.cancel();
        if timeout(CUT, sessions.wait()).await.is_err() {
            warn!(sessions = sessions.len(), "sessions did not close in time");
        }
    }
}
