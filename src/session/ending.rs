//! How a session is asked to end: with mytls, or because new ones go to another backend.

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::backend::Backend;

/// How all sessions are asked to end.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// Between transactions.
    pub politely: CancellationToken,
    /// At once.
    pub now: CancellationToken,
}

/// What is asked of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Nothing, or nothing any more.
    GoOn,
    /// To end as soon as nothing would be lost.
    EndBetweenTransactions,
    /// To end, whatever is lost.
    EndNow,
}

/// Whatever may ask one session to end.
#[derive(Debug)]
pub(super) struct Ending {
    stop: Stop,
    /// Of its backend: when it is cut, while it is asked to end.
    drain: watch::Receiver<Option<Instant>>,
    told: Asked,
}

impl Ending {
    pub(super) fn of(stop: &Stop, backend: &Backend) -> Self {
        Self {
            stop: stop.clone(),
            drain: backend.drain(),
            told: Asked::GoOn,
        }
    }

    /// What is asked, as soon as it is something else than was told before; at first, anything but to go on. Cancel safe.
    pub(super) async fn next(&mut self) -> Asked {
        loop {
            let until = *self.drain.borrow_and_update();
            let ends_with_mytls = self.stop.politely.is_cancelled();
            let asked = if ends_with_mytls || until.is_some() {
                Asked::EndBetweenTransactions
            } else {
                Asked::GoOn
            };
            if asked != self.told {
                self.told = asked;
                return asked;
            }
            tokio::select! {
                biased;
                () = self.stop.now.cancelled() => return Asked::EndNow,
                () = at(until) => return Asked::EndNow,
                () = self.stop.politely.cancelled(), if !ends_with_mytls => {}
                Ok(()) = self.drain.changed() => {}
            }
        }
    }
}

/// Waits until then, or forever.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
