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

    /// What is asked just now; never [`Asked::EndNow`], for which there is [`next`](Self::next).
    pub(super) fn asked(&mut self) -> Asked {
        let drains = self.drain.borrow_and_update().is_some();
        self.told = if drains || self.stop.politely.is_cancelled() {
            Asked::EndBetweenTransactions
        } else {
            Asked::GoOn
        };
        self.told
    }

    /// What is asked, as soon as it is something else than was told before. Cancel safe.
    pub(super) async fn next(&mut self) -> Asked {
        loop {
            let told = self.told;
            let asked = self.asked();
            if asked != told {
                return asked;
            }
            let until = *self.drain.borrow();
            tokio::select! {
                biased;
                () = self.stop.now.cancelled() => return Asked::EndNow,
                () = at(until) => return Asked::EndNow,
                () = self.stop.politely.cancelled(), if !self.stop.politely.is_cancelled() => {}
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
