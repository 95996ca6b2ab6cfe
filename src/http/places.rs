//! Places for connections: a newcomer always gets one. When all are taken it is that of whoever has had his for longest,
//! since an honest one needs his for a millisecond: who only sits there keeps no probe out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// Connections at once: a few scrapers, probes and people.
const PLACES: usize = 64;

/// Those that are taken.
#[derive(Debug, Default)]
pub(super) struct Places(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    /// In the order in which they were taken, each with what tells its owner to leave.
    all: BTreeMap<u64, CancellationToken>,
}

/// A connection's own, free again when dropped.
#[derive(Debug)]
pub(super) struct Place {
    number: u64,
    lost: CancellationToken,
    places: Arc<Places>,
}

impl Places {
    /// Takes one.
    pub(super) fn take(places: &Arc<Self>) -> Place {
        let lost = CancellationToken::new();
        let mut taken = places.lock();
        let number = taken.next;
        taken.next += 1;
        taken.all.insert(number, lost.clone());
        if taken.all.len() > PLACES
            && let Some((_, longest)) = taken.all.pop_first()
        {
            longest.cancel();
        }
        drop(taken);
        Place {
            number,
            lost,
            places: Arc::clone(places),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Somebody else has it now. Cancel safe.
    pub(super) async fn lost(&self) {
        self.lost.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().all.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_a_place_for_longest_loses_it_to_a_newcomer_and_nobody_before_all_are_taken() {
        let places = Arc::default();
        let mut taken: Vec<_> = (0..PLACES).map(|_| Places::take(&places)).collect();
        let lost = |taken: &[Place]| -> Vec<_> {
            let lost = taken.iter().filter(|place| place.lost.is_cancelled());
            lost.map(|place| place.number).collect()
        };
        assert!(lost(&taken).is_empty(), "there is room");
        taken.push(Places::take(&places));
        taken.push(Places::take(&places));
        assert_eq!(lost(&taken), [0, 1]);
        taken.truncate(PLACES);
        assert_eq!(places.lock().all.len(), PLACES - 2, "two have left");
        taken.push(Places::take(&places));
        assert_eq!(lost(&taken), [0, 1], "there was room");
        drop(taken);
        assert!(places.lock().all.is_empty());
    }
}
