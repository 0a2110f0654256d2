//! Bodies that are still to come: who sends one has not shown yet who it is, and takes no place among the calls.

use std::net::IpAddr;
use std::sync::Arc;

use proto::{ErrorKind, Failure};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::addresses::{Addresses, Place};
use crate::rates::Network;
use crate::refusals::{self, Limit};

/// How many may be on their way from one address, where there is room for many: most come right after their heads.
const MOST_OF_ADDRESS: usize = 512;

/// Places for them. Nobody waits for one: what has come of a body that is not read would hold up all others of its connection.
#[derive(Clone)]
pub(crate) struct Bodies {
    all: Arc<Semaphore>,
    addresses: Addresses,
}

/// A body that is waited for, as long as it is held.
pub(crate) struct Coming {
    _of_all: OwnedSemaphorePermit,
    _of_address: Option<Place>,
}

impl Bodies {
    /// So many at once, of which one address has a half at most.
    pub(crate) fn new(all: usize) -> Self {
        let of_address = all.div_ceil(2).min(MOST_OF_ADDRESS);
        Self { all: Arc::new(Semaphore::new(all)), addresses: Addresses::new(of_address) }
    }

    /// A place for one more, from an address if that is known.
    pub(crate) fn enter(&self, address: Option<IpAddr>) -> Result<Coming, Failure> {
        let of_address = address.map(|address| self.addresses.enter(Network::of(address)).ok_or_else(too_many));
        let of_address = of_address.transpose()?;
        let of_all = Arc::clone(&self.all).try_acquire_owned();
        let of_all = of_all.map_err(|_| refusals::busy("the gateway waits for too many bodies", Limit::Calls))?;
        Ok(Coming { _of_all: of_all, _of_address: of_address })
    }
}

fn too_many() -> Failure {
    let text = "too many requests from this address have bodies that were not sent to their ends, try again";
    Failure::new(ErrorKind::Throttled, text).with("retryAfter", "1").because(Limit::Address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_takes_the_places_of_all() {
        let bodies = Bodies::new(3);
        let enter = |address: &str| bodies.enter(Some(address.parse().unwrap()));
        let held = [enter("192.0.2.1").unwrap(), enter("192.0.2.1").unwrap()];
        let refused = enter("192.0.2.1").err().unwrap();
        assert_eq!((refused.kind(), refused.detail("retryAfter")), (ErrorKind::Throttled, Some("1")));
        let other = enter("192.0.2.2").unwrap();
        assert_eq!(enter("192.0.2.2").err().unwrap().kind(), ErrorKind::Unavailable);
        drop((held, other));
        enter("192.0.2.1").unwrap();
    }
}
