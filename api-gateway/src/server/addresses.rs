//! How many connections each address has.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::rates::Network;

/// Counts no more addresses than there are connections.
#[derive(Clone)]
pub(super) struct Addresses {
    open: Arc<Mutex<HashMap<Network, usize>>>,
    most: usize,
}

impl Addresses {
    /// Each may have so many.
    pub(super) fn new(most: usize) -> Self {
        Self { open: Arc::default(), most }
    }

    /// Room for one more from an address, as long as it is held; nothing where it has as many as it may.
    pub(super) fn enter(&self, address: Network) -> Option<Place> {
        let mut open = self.lock();
        let connections = open.entry(address).or_default();
        if *connections >= self.most {
            return None;
        }
        *connections += 1;
        Some(Place { addresses: self.clone(), address })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Network, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection of an address.
pub(super) struct Place {
    addresses: Addresses,
    address: Network,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.addresses.lock();
        if let Entry::Occupied(mut connections) = open.entry(self.address) {
            *connections.get_mut() -= 1;
            if *connections.get() == 0 {
                connections.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_own_places_and_nothing_is_kept_of_one_that_is_gone() {
        let network = |text: &str| Network::of(text.parse().unwrap());
        let addresses = Addresses::new(2);
        let first = addresses.enter(network("2001:db8::1"));
        let second = addresses.enter(network("2001:db8::2"));
        assert!(first.is_some() && second.is_some());
        assert!(addresses.enter(network("2001:db8::3")).is_none());
        assert!(addresses.enter(network("2001:db8:0:1::1")).is_some());
        drop(first);
        let third = addresses.enter(network("2001:db8::3"));
        assert!(third.is_some());
        drop((second, third));
        assert!(addresses.lock().is_empty());
    }
}
