//! How many calls a service is given at once, so that none waits long for its answer: what is more than it works on, and some that
//! wait, is refused at once. Nobody has to know what a service can take: it shows in how long it takes.
//!
//! Only calls of methods that read count. How long they take tells of the load, whoever calls; a stop may take as long as its nodes
//! like, and many that wait for theirs load nothing.

mod pressure;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use lifecycle::{Clock, Lifecycle};
use proto::{Catalog, ErrorKind, Failure, Method};
use tokio::time::Instant;

use self::pressure::{Among, Baseline, Pressure};
use crate::refusals::{self, Limit};

/// How often it is looked whether this process itself is behind, and how late it is then.
const LOOK: Duration = Duration::from_millis(100);
const BEHIND: Duration = Duration::from_millis(3);

/// The load of all services.
#[derive(Clone)]
pub(crate) struct Load(Arc<Inside>);

struct Inside {
    /// By the place of the service in the catalog.
    services: Vec<Pressure>,
    /// How long each method that reads takes without load.
    baselines: HashMap<&'static str, Baseline>,
    /// Whether this process does not come round to what it has to do: then no call takes as long as it does without load.
    behind: AtomicBool,
}

impl Load {
    /// With so many calls that wait at each service, and so many in all.
    pub(crate) fn new(catalog: &'static Catalog, waiting: usize, most: usize, clock: &Clock) -> Self {
        let services = catalog.audiences().iter().map(|_| Pressure::new(waiting, most, clock.clone())).collect();
        let methods = catalog.methods().iter().filter(|method| counts(method));
        let baselines = methods.map(|method| (method.name(), Baseline::default())).collect();
        Self(Arc::new(Inside { services, baselines, behind: AtomicBool::new(false) }))
    }

    /// Looks from time to time whether this process is behind.
    pub(crate) async fn watch(self, lifecycle: Lifecycle) {
        loop {
            let due = Instant::now() + LOOK;
            tokio::select! {
                () = lifecycle.draining() => return,
                () = tokio::time::sleep_until(due) => {}
            }
            self.0.behind.store(due.elapsed() >= BEHIND, Relaxed);
        }
    }

    /// Looks whether a call would be refused at this moment, before anything is done for it.
    pub(crate) fn look(&self, method: &Method) -> Result<(), Failure> {
        match self.service(method).filter(|service| counts(method) && service.is_full()) {
            Some(_) => Err(busy(method)),
            None => Ok(()),
        }
    }

    /// One more call; nothing to hold where it does not count.
    pub(crate) fn enter(&self, method: &Method) -> Result<Option<Call<'_>>, Failure> {
        let Some(baseline) = self.0.baselines.get(method.name()) else { return Ok(None) };
        let Some(service) = self.service(method) else { return Ok(None) };
        let among = service.enter().ok_or_else(|| busy(method))?;
        Ok(Some(Call { service, baseline, among, behind: &self.0.behind, began: Instant::now(), is_over: false }))
    }

    fn service(&self, method: &Method) -> Option<&Pressure> {
        self.0.services.get(usize::from(method.audience_place()))
    }
}

fn counts(method: &Method) -> bool {
    method.is_safe() && !method.is_streaming()
}

fn busy(method: &Method) -> Failure {
    refusals::busy(&format!("{} is busy", method.audience()), Limit::Load)
}

/// A call that counts, as long as it is held.
pub(crate) struct Call<'a> {
    service: &'a Pressure,
    baseline: &'a Baseline,
    among: Among,
    behind: &'a AtomicBool,
    began: Instant,
    is_over: bool,
}

impl Call<'_> {
    /// It succeeded: how long its service took is worth knowing.
    pub(crate) fn succeeded(mut self, took: Duration) {
        self.is_over = true;
        self.service.learn(self.among, took, self.baseline, self.behind.load(Relaxed));
    }

    /// It has failed. A service that was not there has told nothing of its load.
    pub(crate) fn failed(mut self, failure: &Failure) {
        self.is_over = failure.kind() == ErrorKind::Unavailable;
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        // It has failed, or nobody waits for it any more: how long that took says nothing of the method, but that others wait as long.
        if !self.is_over {
            self.service.press(self.among, self.began.elapsed(), self.baseline);
        }
        self.service.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 4096;

    #[tokio::test(start_paused = true)]
    async fn a_process_that_comes_late_is_behind() {
        let (load, lifecycle) = (Load::new(proto::catalog(), 1, 1, &Clock::system()), Lifecycle::new());
        let behind = || load.0.behind.load(Relaxed);
        let watching = tokio::spawn(load.clone().watch(lifecycle.clone()));
        tokio::time::sleep(LOOK * 3).await;
        assert!(!behind());
        // Nobody runs meanwhile.
        tokio::time::advance(LOOK + BEHIND * 2).await;
        tokio::task::yield_now().await;
        assert!(behind());
        tokio::time::sleep(LOOK * 3).await;
        assert!(!behind());
        watching.abort();
    }

    #[test]
    fn calls_that_nobody_waits_for_any_more_tell_of_the_load_too() {
        let load = Load::new(proto::catalog(), 1, MOST, &Clock::system());
        let method = proto::catalog().by_name("environment.control.GetEnvs").unwrap();
        load.enter(method).unwrap().unwrap().succeeded(Duration::from_nanos(1));
        let call = || load.enter(method).unwrap().unwrap();
        let calls: Vec<_> = (0..MOST).map(|_| call()).collect();
        drop(calls);
        let service = load.service(method).unwrap();
        assert!(service.bound() < 2.0 && service.calls() == 0, "{}", service.bound());
    }

    #[test]
    fn only_reading_counts() {
        let load = Load::new(proto::catalog(), 0, 1, &Clock::system());
        let method = |name: &str| proto::catalog().by_name(name).unwrap();
        let (read, change) = (method("environment.control.GetEnvs"), method("environment.control.StopEnv"));
        let first = load.enter(read).unwrap();
        assert!(first.is_some());
        let refused = load.look(read).unwrap_err();
        assert_eq!((refused.kind(), refused.detail("retryAfter")), (ErrorKind::Unavailable, Some("1")));
        assert_eq!(load.enter(read).err().unwrap().message(), "environment-service is busy, try again");
        assert!(load.look(change).is_ok() && load.enter(change).unwrap().is_none());
        assert!(load.look(method("users.authentication.GetTokens")).is_ok(), "each service counts for itself");
        drop(first);
        load.look(read).unwrap();
    }
}
