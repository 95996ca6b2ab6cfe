//! Failed logins, by address: who guesses waits longer each time.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::rules::ClientAddress;

/// What the second attempt waits; each one after it waits twice as long …
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// … up to this. With as many at once as may log in, still too slow to guess a password.
const LONGEST_DELAY: Duration = Duration::from_secs(2);
/// Failures of so long ago do not count.
const MEMORY: Duration = Duration::from_secs(60);
/// Of so many addresses failures are remembered.
const MOST_ADDRESSES: usize = 1024;

/// Failed logins that are not long ago.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    failed: Mutex<HashMap<ClientAddress, Failed>>,
}

#[derive(Debug, Clone, Copy)]
struct Failed {
    times: u32,
    last: Instant,
}

impl Attempts {
    /// How long a client from there waits before its login is looked at, also one with the right password: otherwise a
    /// guess that is not answered at once would be a wrong one, and its connection could be left for the next.
    pub(super) fn delay(&self, address: ClientAddress, now: Instant) -> Duration {
        match self.failed().get(&address) {
            Some(failed) if failed.counts(now) => {
                let doubled = 2_u32.saturating_pow(failed.times.saturating_sub(1));
                FIRST_DELAY.saturating_mul(doubled).min(LONGEST_DELAY)
            }
            _ => Duration::ZERO,
        }
    }

    /// One more.
    pub(super) fn failed_from(&self, address: ClientAddress, now: Instant) {
        let mut failed = self.failed();
        if failed.len() >= MOST_ADDRESSES {
            failed.retain(|_, failed| failed.counts(now));
        }
        if failed.len() >= MOST_ADDRESSES {
            // so many at once are one that has many: to forget them all costs less than to know them all
            failed.clear();
        }
        let entry = failed.entry(address).or_insert(Failed {
            times: 0,
            last: now,
        });
        if !entry.counts(now) {
            entry.times = 0;
        }
        *entry = Failed {
            times: entry.times.saturating_add(1),
            last: now,
        };
    }

    fn failed(&self) -> MutexGuard<'_, HashMap<ClientAddress, Failed>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failed {
    fn counts(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) < MEMORY
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn address(last: u32) -> ClientAddress {
        IpAddr::from(Ipv4Addr::from(0x0A00_0000 + last)).into()
    }

    #[test]
    fn who_fails_again_and_again_waits_longer_up_to_a_bound() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let mut waited = Vec::new();
        for _ in 0..40 {
            waited.push(attempts.delay(address(1), now));
            attempts.failed_from(address(1), now);
        }
        assert_eq!(waited[..3], [0, 100, 200].map(Duration::from_millis));
        assert_eq!(waited[39], LONGEST_DELAY);
        assert_eq!(attempts.delay(address(2), now), Duration::ZERO);
    }

    #[test]
    fn failures_are_forgotten() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for _ in 0..10 {
            attempts.failed_from(address(1), now);
        }
        let later = now + MEMORY;
        assert_eq!(attempts.delay(address(1), later), Duration::ZERO);
        attempts.failed_from(address(1), later);
        assert_eq!(attempts.delay(address(1), later), FIRST_DELAY);
    }

    #[test]
    fn many_addresses_take_no_more_room() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for last in 0..10_000 {
            attempts.failed_from(address(last), now);
        }
        assert!(attempts.failed().len() <= MOST_ADDRESSES);
    }
}
