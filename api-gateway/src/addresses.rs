//! How many each address has of what there is a bounded number of: connections, bodies that are still to come.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::rates::Network;

/// Counts no more addresses than there are places.
#[derive(Clone)]
pub(crate) struct Addresses {
    open: Arc<Mutex<HashMap<Network, usize>>>,
    most: usize,
}

impl Addresses {
    /// Each may have so many.
    pub(crate) fn new(most: usize) -> Self {
        Self { open: Arc::default(), most }
    }

    /// Room for one more from an address, as long as it is held; nothing where it has as many as it may.
    pub(crate) fn enter(&self, address: Network) -> Option<Place> {
        let mut open = self.lock();
        let places = open.entry(address).or_default();
        if *places >= self.most {
            return None;
        }
        *places += 1;
        Some(Place { addresses: self.clone(), address })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Network, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of an address.
pub(crate) struct Place {
    addresses: Addresses,
    address: Network,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.addresses.lock();
        if let Entry::Occupied(mut places) = open.entry(self.address) {
            *places.get_mut() -= 1;
            if *places.get() == 0 {
                places.remove();
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
