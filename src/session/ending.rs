//! How a session is asked to end: with mytls, because new ones go to another backend, or for its age.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::end::End;
use super::live::{Live, OURS};
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
    /// When it is too old.
    old: Option<Instant>,
    told: Asked,
}

impl Ending {
    pub(super) fn of(
        stop: &Stop,
        backend: &Backend,
        live: &Live,
        life_time: Option<Duration>,
    ) -> Self {
        let old = life_time.map(|time| Instant::from_std(live.since) + spread(time, live.id));
        Self {
            // of its own, since each wake looks at them: all sessions would wait for each other's looks
            stop: Stop {
                politely: stop.politely.child_token(),
                now: stop.now.child_token(),
            },
            drain: backend.drain(),
            old,
            told: Asked::GoOn,
        }
    }

    /// What is asked just now; never [`Asked::EndNow`], for which there is [`next`](Self::next).
    pub(super) fn asked(&mut self) -> Asked {
        let drains = self.drain.borrow_and_update().is_some();
        self.told = if drains || self.stop.politely.is_cancelled() || self.is_old() {
            Asked::EndBetweenTransactions
        } else {
            Asked::GoOn
        };
        self.told
    }

    /// Why a session ends between transactions.
    pub(super) fn reason(&self) -> End {
        if self.drain.borrow().is_some() || self.stop.politely.is_cancelled() {
            End::Drained
        } else {
            End::Old
        }
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
            let is_old = self.is_old();
            tokio::select! {
                biased;
                () = self.stop.now.cancelled() => return Asked::EndNow,
                () = at(until) => return Asked::EndNow,
                () = self.stop.politely.cancelled(), if !self.stop.politely.is_cancelled() => {}
                () = at(self.old), if !is_old => {}
                Ok(()) = self.drain.changed() => {}
            }
        }
    }

    fn is_old(&self) -> bool {
        self.old.is_some_and(|old| old <= Instant::now())
    }
}

/// Waits until then, or forever.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Nine to eleven tenths of this, so that sessions that began together do not end together. Ids are random.
fn spread(time: Duration, id: u32) -> Duration {
    time.mul_f64(0.9 + 0.2 * f64::from(id & !OURS) / f64::from(OURS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn life_times_are_spread_over_a_tenth_to_either_side() {
        let hour = Duration::from_secs(3600);
        let tenths = [OURS, OURS | 0x4000_0000, u32::MAX].map(|id| spread(hour, id).as_secs());
        assert_eq!(tenths, [3240, 3600, 3959]);
    }
}
