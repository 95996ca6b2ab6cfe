//! A session in which nothing happens for too long (`limits.idle-time`).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::live::Live;

/// Looked at so often in that time: a session lives at most a part of it too long, and no clock is read for the bytes that it moves.
const LOOKS: u32 = 8;

/// Since when nothing has happened.
#[derive(Debug)]
pub(super) struct Idle {
    most: Option<Duration>,
    live: Arc<Live>,
    /// When it was last looked at.
    looked: Instant,
    /// Bytes that it had moved by then …
    moved: u64,
    /// … and since when they were as many.
    since: Instant,
}

impl Idle {
    pub(super) fn new(most: Option<Duration>, live: Arc<Live>) -> Self {
        let now = Instant::now();
        Self {
            most,
            live,
            looked: now,
            moved: 0,
            since: now,
        }
    }

    /// Waits until it is time to look again; forever if a session may be idle as long as it likes. Cancel safe.
    pub(super) async fn is_due(&self) {
        match self.most {
            Some(most) => sleep_until(self.looked + most / LOOKS).await,
            None => std::future::pending().await,
        }
    }

    /// Whether it has been idle for too long by now. It never is while the client waits for an answer.
    pub(super) fn is_over(&mut self, awaits_answer: bool) -> bool {
        let moved = self.live.bytes_from_client() + self.live.bytes_from_backend();
        let now = Instant::now();
        self.looked = now;
        if awaits_answer || moved != self.moved {
            (self.moved, self.since) = (moved, now);
        }
        self.most.is_some_and(|most| now - self.since >= most)
    }
}
