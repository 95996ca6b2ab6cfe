//! How long things take: how many took no longer than each of some bounds, and all together.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Round trips and what waits for them: two or three bounds to each power of ten, up to the deadlines of a login.
const ROUND_TRIPS: &[Duration] = &[
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// Durations, by bounds. Adding one takes two additions that no other thread waits for unless it adds to the same
/// histogram just then; what happens for each query is added to a histogram of its session.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [Duration],
    /// One for each bound, and one for what takes longer than all of them.
    counts: Box<[AtomicU64]>,
    nanoseconds: AtomicU64,
}

/// What a histogram, or several with the same bounds, hold at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    bounds: &'static [Duration],
    counts: Vec<u64>,
    nanoseconds: u64,
}

impl Histogram {
    /// Nothing yet. The bounds ascend.
    pub fn new(bounds: &'static [Duration]) -> Self {
        Self {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            nanoseconds: AtomicU64::new(0),
        }
    }

    /// Nothing yet, of what takes round trips: bounds from `first`, half a millisecond or more, to ten seconds.
    pub fn of_round_trips(first: Duration) -> Self {
        let shorter = ROUND_TRIPS.partition_point(|bound| *bound < first);
        Self::new(&ROUND_TRIPS[shorter..])
    }

    /// Adds one.
    pub fn observe(&self, took: Duration) {
        let bucket = self.bounds.partition_point(|bound| *bound < took);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// What it holds now.
    pub fn read(&self) -> Distribution {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Distribution {
            bounds: self.bounds,
            counts: self.counts.iter().map(read).collect(),
            nanoseconds: read(&self.nanoseconds),
        }
    }

    /// Adds what another with the same bounds holds.
    pub fn absorb(&self, other: &Self) {
        for (count, more) in self.counts.iter().zip(&other.counts) {
            count.fetch_add(more.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        let more = other.nanoseconds.load(Ordering::Relaxed);
        self.nanoseconds.fetch_add(more, Ordering::Relaxed);
    }
}

impl Distribution {
    /// Adds what a histogram with the same bounds holds.
    pub fn add(&mut self, histogram: &Histogram) {
        for (count, more) in self.counts.iter_mut().zip(&histogram.counts) {
            *count += more.load(Ordering::Relaxed);
        }
        let more = histogram.nanoseconds.load(Ordering::Relaxed);
        self.nanoseconds = self.nanoseconds.saturating_add(more);
    }

    /// How many took no longer than each bound.
    pub(super) fn cumulative(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        let mut so_far = 0;
        let counts = self.bounds.iter().zip(&self.counts);
        counts.map(move |(bound, count)| {
            so_far += count;
            (*bound, so_far)
        })
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How long they took together.
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: &[Duration] = &[
        Duration::from_millis(1),
        Duration::from_millis(10),
        Duration::from_millis(100),
    ];

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_duration_counts_for_each_bound_that_it_is_within() {
        let histogram = Histogram::new(BOUNDS);
        for took in [0, 1, 2, 10, 11, 5_000] {
            histogram.observe(millis(took));
        }
        let read = histogram.read();
        let expected = [(millis(1), 2), (millis(10), 4), (millis(100), 5)];
        assert_eq!(read.cumulative().collect::<Vec<_>>(), expected);
        assert_eq!((read.count(), read.sum()), (6, millis(5_024)));
    }

    #[test]
    fn those_of_several_add_up() {
        let (all, one) = (Histogram::new(BOUNDS), Histogram::new(BOUNDS));
        one.observe(millis(5));
        one.observe(Duration::MAX);
        all.observe(millis(5));
        let mut read = all.read();
        read.add(&one);
        assert_eq!(read.count(), 3);
        all.absorb(&one);
        assert_eq!(all.read().cumulative().last(), Some((millis(100), 2)));
    }
}
