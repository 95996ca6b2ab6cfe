//! After a dial that the server may count against us, an endpoint is left alone for a while.
//!
//! Servers block a host after `max_connect_errors` unfinished handshakes in a row, so a wrong certificate must not be
//! tried out once for every client.
//! <https://dev.mysql.com/doc/refman/en/server-system-variables.html#sysvar_max_connect_errors>

use std::time::Duration;
use tokio::time::Instant;

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
    reason: String,
}

impl BackOff {
    /// Why the endpoint is left alone just now, if it is.
    pub(super) fn reason(&self, now: Instant) -> Option<&str> {
        self.rest
            .as_ref()
            .filter(|rest| now < rest.until)
            .map(|rest| rest.reason.as_str())
    }

    /// A dial ended in a way that the server may count.
    pub(super) fn failed(&mut self, now: Instant, reason: String) {
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
            back_off.failed(now, "certificate".into());
            let end = now + Duration::from_secs(seconds);
            assert_eq!(
                back_off.reason(end.checked_sub(Duration::from_millis(1)).expect("later")),
                Some("certificate")
            );
            assert_eq!(back_off.reason(end), None, "{seconds}");
            now = end;
        }
        back_off.succeeded();
        back_off.failed(now, "again".into());
        assert_eq!(back_off.reason(now + FIRST), None);
    }
}
