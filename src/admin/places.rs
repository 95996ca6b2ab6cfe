//! Places for connections that have not logged in yet. One address cannot take them all: a login after failed ones keeps
//! its place while it waits, and whoever guesses passwords would keep everybody out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::rules::ClientAddress;

/// Places in all.
const PLACES: usize = 50;
/// Of these, such as one address may have.
const PLACES_OF_ONE_ADDRESS: usize = 20;

/// Who has how many of them.
#[derive(Debug, Default)]
pub(super) struct Places {
    taken: Mutex<HashMap<ClientAddress, usize>>,
}

/// A connection has a place for as long as this lives.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    address: ClientAddress,
}

impl Places {
    /// A place, if there is one for this address.
    pub(super) fn take(self: &Arc<Self>, address: ClientAddress) -> Option<Place> {
        let mut taken = self.taken();
        let in_all: usize = taken.values().sum();
        let of_address = taken.get(&address).copied().unwrap_or_default();
        if in_all >= PLACES || of_address >= PLACES_OF_ONE_ADDRESS {
            return None;
        }
        taken.insert(address, of_address + 1);
        Some(Place {
            places: Arc::clone(self),
            address,
        })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<ClientAddress, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        match taken.get_mut(&self.address) {
            Some(count) if *count > 1 => *count -= 1,
            // addresses without a place are not remembered
            _ => drop(taken.remove(&self.address)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn address(last: u8) -> ClientAddress {
        IpAddr::from(Ipv4Addr::new(10, 0, 0, last)).into()
    }

    #[test]
    fn neither_one_address_nor_all_together_have_more_than_their_places() {
        let places = Arc::new(Places::default());
        let take = |last, count| -> Vec<_> {
            (0..count)
                .map_while(|_| places.take(address(last)))
                .collect()
        };
        let of_one = take(1, 100);
        assert_eq!(of_one.len(), 20);
        let of_others = [take(2, 100), take(3, 100)];
        assert_eq!(of_others.map(|taken| taken.len()), [20, 10]);
        let of_others = [take(2, 100), take(3, 100)];
        assert!(places.take(address(4)).is_none());
        drop(of_one);
        assert!(places.take(address(4)).is_some());
        drop(of_others);
        assert!(places.taken().is_empty());
    }
}
