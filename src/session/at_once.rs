//! What ends a login or a change of user at once: the end of mytls, or `KILL`.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::live::Live;

/// What a dial that has begun gets all the same. With what the backend then gets to end the login it is less than
/// [`CUT`](crate::drain::CUT).
const DIAL: Duration = Duration::from_millis(500);

/// Who may ask a session to end at once.
#[derive(Debug)]
pub(super) struct AtOnce {
    stop: CancellationToken,
    live: Arc<Live>,
}

impl AtOnce {
    pub(super) fn of(stop: &CancellationToken, live: Arc<Live>) -> Self {
        Self {
            stop: stop.clone(),
            live,
        }
    }

    /// Why it is to end, as soon as it is. Cancel safe.
    pub(super) async fn asked(&self) -> Failure {
        tokio::select! {
            biased;
            () = self.live.killed() => Failure::Killed,
            () = self.stop.cancelled() => Failure::Draining,
        }
    }

    /// Does this work, unless it is to end before.
    pub(super) async fn unless_asked<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            biased;
            done = work => done,
            failure = self.asked() => Err(failure),
        }
    }

    /// The same, and unless it is too late: neither side can hold it up by taking nothing.
    pub(super) async fn in_time<T>(
        &self,
        deadline: Instant,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        timeout_at(deadline, self.unless_asked(work))
            .await
            .unwrap_or(Err(Failure::TooSlow))
    }

    /// Like [`unless_asked`](Self::unless_asked) for a dial, which has time to come to its end: a handshake that is cut
    /// counts against us at the server.
    pub(super) async fn unless_overdue<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let asked = async {
            let failure = self.asked().await;
            sleep(DIAL).await;
            failure
        };
        tokio::select! {
            biased;
            done = work => done,
            failure = asked => Err(failure),
        }
    }
}
