//! What the service manager is told (`sd_notify(3)`): ready, reloading, stopping, still alive. Nothing where nobody listens.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use crate::net::workers::Workers;

/// mytls serves; or serves again as it was, after a reload.
pub fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// A reload begins. It ends with [`ready`].
pub fn reloading() {
    // by the time that goes with it, systemd tells this reload from one that was going on when it asked
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(error) => warn_of(&error),
    }
}

/// mytls ends, and takes so long at most: longer than the unit's `TimeoutStopSec` if `drain` says so.
pub fn stopping(status: &str, at_most: Duration) {
    let microseconds = u32::try_from(at_most.as_micros()).unwrap_or(u32::MAX);
    send(&[
        NotifyState::Stopping,
        NotifyState::Status(status),
        NotifyState::ExtendTimeoutUsec(microseconds),
    ]);
}

/// Tells that mytls lives, twice in the time after which it would be killed (`WatchdogSec`), until dropped. To be a task of the
/// runtime that accepts clients, and quiet while one of those that serve them answers nothing. Cancel safe.
pub async fn keep_alive(workers: Arc<Workers>) {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    let half = limit / 2;
    if half.is_zero() {
        return;
    }
    let mut ticks = interval(half);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        workers.answer().await;
        send(&[NotifyState::Watchdog]);
    }
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn_of(&error);
    }
}

fn warn_of(error: &io::Error) {
    warn!(%error, "tell the service manager");
}
