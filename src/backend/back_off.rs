//! After a dial that the server may count against us, an endpoint is left alone for a while.
//!
//! Servers block a host after `max_connect_errors` unfinished handshakes in a row, so a wrong certificate must not be
//! tried out once for every client.
//! <https://dev.mysql.com/doc/refman/en/server-system-variables.html#sysvar_max_connect_errors>

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::connect::ConnectError;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// Whether an endpoint may be dialled.
#[derive(Debug, Default)]
pub(super) struct BackOff {
    rest: Option<Rest>,
}

#[derive(Debug)]
struct Rest {
    until: Instant,
    /// Of the rest after this one, if the next dial fails too.
    next: Duration,
    reason: Arc<ConnectError>,
}

impl BackOff {
    /// Why the endpoint is left alone just now, if it is.
    pub(super) fn reason(&self, now: Instant) -> Option<&Arc<ConnectError>> {
        self.rest
            .as_ref()
            .filter(|rest| now < rest.until)
            .map(|rest| &rest.reason)
    }

    /// A dial ended in a way that the server may count.
    pub(super) fn failed(&mut self, now: Instant, reason: Arc<ConnectError>) {
        let delay = self.rest.as_ref().map_or(FIRST, |rest| rest.next);
        self.rest = Some(Rest {
            until: now + delay,
            next: LONGEST.min(delay * 2),
            reason,
        });
    }

    /// A dial went well.
    pub(super) fn succeeded(&mut self) {
        self.rest = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_double_from_one_second_to_thirty() {
        let mut now = Instant::now();
        let mut back_off = BackOff::default();
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            back_off.failed(now, Arc::new(ConnectError::NoTls));
            let end = now + Duration::from_secs(seconds);
            let just_before = end - Duration::from_millis(1);
            assert!(back_off.reason(just_before).is_some(), "{seconds}");
            assert!(back_off.reason(end).is_none(), "{seconds}");
            now = end;
        }
        back_off.succeeded();
        back_off.failed(now, Arc::new(ConnectError::NoTls));
        assert!(back_off.reason(now + FIRST).is_none());
    }
}
