//! Bodies that are still to come: who sends one has not shown yet who it is, and takes no place among the calls.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proto::{ErrorKind, Failure};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::rates::Network;
use crate::refusals::Limit;

/// How many are read of one address at once; others of its wait. Most come right after their heads.
const MOST_OF_ADDRESS: usize = 64;

/// Places for them. It knows no more addresses than there are places and those who wait for one.
#[derive(Clone)]
pub(crate) struct Bodies {
    all: Arc<Semaphore>,
    addresses: Arc<Mutex<HashMap<Network, Arc<Semaphore>>>>,
    /// How long one waits for its place.
    patience: Duration,
}

impl Bodies {
    /// So many at once.
    pub(crate) fn new(all: usize, patience: Duration) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), addresses: Arc::default(), patience }
    }

    /// A place for one more, from an address if that is known.
    pub(crate) async fn enter(&self, address: Option<IpAddr>) -> Result<Coming, Failure> {
        let mut coming = Coming { bodies: self.clone(), network: address.map(Network::of), places: Vec::new() };
        if let Some(network) = coming.network {
            let places =
                Arc::clone(self.lock().entry(network).or_insert_with(|| Arc::new(Semaphore::new(MOST_OF_ADDRESS))));
            let place = timeout(self.patience, places.acquire_owned()).await.ok().and_then(Result::ok);
            coming.places.push(place.ok_or_else(too_many)?);
        }
        let place = Arc::clone(&self.all).try_acquire_owned();
        coming.places.push(place.map_err(|_| full())?);
        Ok(coming)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Network, Arc<Semaphore>>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn too_many() -> Failure {
    let text =
        format!("{MOST_OF_ADDRESS} requests from this address have bodies that were not sent to their ends: try again");
    Failure::new(ErrorKind::Throttled, text).with("retryAfter", "1").because(Limit::Address)
}

fn full() -> Failure {
    let full = Failure::new(ErrorKind::Unavailable, "the gateway waits for too many bodies, try again");
    full.with("retryAfter", "1").because(Limit::Calls)
}

/// A body that is waited for, as long as it is held.
pub(crate) struct Coming {
    bodies: Bodies,
    network: Option<Network>,
    places: Vec<OwnedSemaphorePermit>,
}

impl Drop for Coming {
    fn drop(&mut self) {
        self.places.clear();
        let Some(network) = self.network else { return };
        let mut addresses = self.bodies.lock();
        // Whoever has a place or waits for one holds it as well.
        if addresses.get(&network).is_some_and(|places| Arc::strong_count(places) == 1) {
            addresses.remove(&network);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_address_takes_the_places_of_all() {
        let bodies = Bodies::new(MOST_OF_ADDRESS + 1, Duration::from_secs(1));
        let address = |text: &str| Some(text.parse().unwrap());
        let [one, other] = [address("192.0.2.1"), address("192.0.2.2")];
        let mut held = Vec::new();
        for _ in 0..MOST_OF_ADDRESS {
            held.push(bodies.enter(one).await.unwrap());
        }
        let refused = bodies.enter(one).await.err().unwrap();
        assert_eq!((refused.kind(), refused.detail("retryAfter")), (ErrorKind::Throttled, Some("1")));
        held.push(bodies.enter(other).await.unwrap());
        assert_eq!(bodies.enter(other).await.err().unwrap().kind(), ErrorKind::Unavailable);
        let waiting = bodies.enter(one);
        tokio::pin!(waiting);
        assert!(waiting.as_mut().now_or_never().is_none());
        held.remove(0);
        held.push(waiting.await.unwrap());
        held.clear();
        assert!(bodies.lock().is_empty());
    }
}
