//! After a dial that the server may count against us, an endpoint is left alone for a while.
//!
//! Servers block a host after `max_connect_errors` unfinished handshakes in a row, so a wrong certificate must not be
//! tried out once for every client. A rest ends with the certificates that it was for: a reload or reread of the
//! backend's channel is a reason to try again at once.
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
    /// Of the TLS that was dialled with.
    generation: u64,
    reason: Arc<ConnectError>,
}

impl BackOff {
    /// Why the endpoint is left alone just now, if it is, by dials with this generation of TLS.
    pub(super) fn reason(&self, now: Instant, generation: u64) -> Option<&Arc<ConnectError>> {
        self.rest
            .as_ref()
            .filter(|rest| now < rest.until && generation <= rest.generation)
            .map(|rest| &rest.reason)
    }

    /// A dial with this generation, begun at `began`, ended in a way that the server may count.
    pub(super) fn failed(
        &mut self,
        now: Instant,
        began: Instant,
        generation: u64,
        reason: Arc<ConnectError>,
    ) {
        let delay = match &self.rest {
            // the last ones with the old certificates
            Some(rest) if generation < rest.generation => return,
            // no dial begins in a rest: this one was under way with the one that the rest is for, and met the same fault
            Some(rest) if generation == rest.generation && began < rest.until => return,
            Some(rest) if generation == rest.generation => rest.next,
            Some(_) | None => FIRST,
        };
        self.rest = Some(Rest {
            until: now + delay,
            next: LONGEST.min(delay * 2),
            generation,
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

    fn no_tls() -> Arc<ConnectError> {
        Arc::new(ConnectError::NoTls)
    }

    #[test]
    fn rests_double_from_one_second_to_thirty() {
        let mut now = Instant::now();
        let mut back_off = BackOff::default();
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            back_off.failed(now, now, 1, no_tls());
            let end = now + Duration::from_secs(seconds);
            let just_before = end - Duration::from_millis(1);
            assert!(back_off.reason(just_before, 1).is_some(), "{seconds}");
            assert!(back_off.reason(end, 1).is_none(), "{seconds}");
            now = end;
        }
        back_off.succeeded();
        back_off.failed(now, now, 1, no_tls());
        assert!(back_off.reason(now + FIRST, 1).is_none());
    }

    #[test]
    fn rest_ends_with_the_certificates_that_it_was_for() {
        let now = Instant::now();
        let mut back_off = BackOff::default();
        back_off.failed(now, now, 1, no_tls());
        assert!(back_off.reason(now, 1).is_some());
        assert!(back_off.reason(now, 2).is_none());
        back_off.failed(now, now, 2, no_tls());
        assert!(back_off.reason(now + FIRST, 2).is_none(), "it is the first");
    }

    #[test]
    fn dials_that_were_under_way_together_cause_one_rest() {
        let now = Instant::now();
        let mut back_off = BackOff::default();
        for _ in 0..8 {
            back_off.failed(now, now, 1, no_tls());
        }
        let end = now + FIRST;
        assert!(back_off.reason(end - Duration::from_millis(1), 1).is_some());
        assert!(back_off.reason(end, 1).is_none(), "it is the first");
        // one that took longer than the rest
        back_off.failed(end, now, 1, no_tls());
        assert!(back_off.reason(end, 1).is_none());
        back_off.failed(end, end, 1, no_tls());
        let next_end = end + FIRST * 2;
        assert!(
            back_off
                .reason(next_end - Duration::from_millis(1), 1)
                .is_some()
        );
        assert!(back_off.reason(next_end, 1).is_none(), "it is the second");
    }

    /// A dial that began before a reload may end after it.
    #[test]
    fn failure_of_old_certificates_is_no_reason_against_new_ones() {
        let now = Instant::now();
        let mut back_off = BackOff::default();
        back_off.failed(now, now, 2, no_tls());
        back_off.failed(now, now, 1, no_tls());
        assert!(back_off.reason(now + FIRST, 2).is_none());
    }
}
