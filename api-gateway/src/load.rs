//! How many calls a service is given at once, so that none waits long for its answer: what is more than it works on, and some that
//! wait, is refused at once. Nobody has to know what a service can take: it shows in how long it takes.
//!
//! Only calls of methods that read count. How long they take tells of the load, whoever calls; a stop may take as long as its nodes
//! like, and many that wait for theirs load nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use lifecycle::Lifecycle;
use proto::{Catalog, ErrorKind, Failure, Method};
use tokio::time::Instant;

use crate::refusals::Limit;

/// While there are no more calls than this, how long one takes is how long it takes without load.
const CALM: usize = 8;

/// Each answer that has waited moves the bound by one part in so many towards what the service can take.
const PRESSED: f64 = 8.0;

/// Each other answer moves it by one part in so many towards as many as there may be at all.
const AT_EASE: f64 = 256.0;

/// Each answer without load moves what is known of its method by one part in so many.
const BASELINE_INERTIA: u64 = 32;

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
    pub(crate) fn new(catalog: &'static Catalog, waiting: usize, most: usize) -> Self {
        let services = catalog.audiences().iter().map(|_| Pressure::new(waiting, most)).collect();
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
        let calls = service.enter().ok_or_else(|| busy(method))?;
        Ok(Some(Call { service, baseline, calls, behind: &self.0.behind }))
    }

    fn service(&self, method: &Method) -> Option<&Pressure> {
        self.0.services.get(usize::from(method.audience_place()))
    }
}

fn counts(method: &Method) -> bool {
    method.is_safe() && !method.is_streaming()
}

fn busy(method: &Method) -> Failure {
    let text = format!("{} is busy, try again", method.audience());
    Failure::new(ErrorKind::Unavailable, text).with("retryAfter", "1").because(Limit::Load)
}

/// A call that counts, as long as it is held.
pub(crate) struct Call<'a> {
    service: &'a Pressure,
    baseline: &'a Baseline,
    /// How many there were with it.
    calls: usize,
    behind: &'a AtomicBool,
}

impl Call<'_> {
    /// It succeeded: how long its service took is worth knowing.
    pub(crate) fn succeeded(self, took: Duration) {
        self.service.learn(self.calls, took, self.baseline, self.behind.load(Relaxed));
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.service.calls.fetch_sub(1, Relaxed);
    }
}

/// How long a method takes without load, in nanoseconds: a moving mean. 0: nobody knows yet.
#[derive(Default)]
struct Baseline(AtomicU64);

impl Baseline {
    fn learn(&self, took: u64, behind: bool) {
        let known = self.0.load(Relaxed);
        // What was waited for here is none of the service's time.
        if behind && known != 0 && took > known {
            return;
        }
        let next = if known == 0 { took } else { known - known / BASELINE_INERTIA + took / BASELINE_INERTIA };
        self.0.store(next.max(1), Relaxed);
    }
}

/// The calls of one service, and how many there may be.
struct Pressure {
    calls: AtomicUsize,
    /// The bits of an `f64`. Of two who set it at the same time the later one wins: each sets it to nearly the same.
    bound: AtomicU64,
    waiting: usize,
    most: usize,
}

impl Pressure {
    fn new(waiting: usize, most: usize) -> Self {
        let bound = AtomicU64::new(number(most).to_bits());
        Self { calls: AtomicUsize::new(0), bound, waiting, most }
    }

    fn bound(&self) -> f64 {
        f64::from_bits(self.bound.load(Relaxed))
    }

    fn is_full(&self) -> bool {
        number(self.calls.load(Relaxed)) >= self.bound()
    }

    /// How many there are with one more, if there may be.
    fn enter(&self) -> Option<usize> {
        let calls = self.calls.fetch_add(1, Relaxed) + 1;
        if number(calls) > self.bound() {
            self.calls.fetch_sub(1, Relaxed);
            return None;
        }
        Some(calls)
    }

    /// A call that was one of so many took so long.
    fn learn(&self, calls: usize, took: Duration, baseline: &Baseline, behind: bool) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(1);
        if calls <= CALM {
            baseline.learn(took, behind);
        }
        let alone = baseline.0.load(Relaxed);
        if alone == 0 {
            return;
        }
        // After Little's law: of all that were there, so many were worked on, and the others waited.
        let worked_on = number(calls) * (nanoseconds(alone) / nanoseconds(took)).min(1.0);
        let (bound, waiting) = (self.bound(), number(self.waiting));
        let next = if (number(calls) - worked_on) * 2.0 > waiting {
            bound + (worked_on + waiting - bound) / PRESSED
        } else {
            bound + (number(self.most) - bound) / AT_EASE
        };
        let least = waiting.min(number(self.most));
        self.bound.store(next.clamp(least, number(self.most)).to_bits(), Relaxed);
    }
}

#[expect(clippy::cast_precision_loss, reason = "there are never so many calls that it matters")]
fn number(calls: usize) -> f64 {
    calls as f64
}

#[expect(clippy::cast_precision_loss, reason = "what is compared differs by more")]
fn nanoseconds(time: u64) -> f64 {
    time as f64
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    const WAITING: usize = 64;
    const MOST: usize = 4096;

    /// A service that works on some calls at once, each for `work` microseconds, and the others wait for their turn.
    struct Simulation {
        pressure: Pressure,
        baseline: Baseline,
        work: u64,
        now: u64,
        /// When each of those that work is free again.
        free: VecDeque<u64>,
        /// When each call ends, how many there were when it began, and when that was.
        under_way: VecDeque<(u64, usize, u64)>,
        took: Vec<u64>,
        refused: usize,
    }

    impl Simulation {
        fn new(workers: usize, work: u64) -> Self {
            Self {
                pressure: Pressure::new(WAITING, MOST),
                baseline: Baseline::default(),
                work,
                now: 0,
                free: std::iter::repeat_n(0, workers).collect(),
                under_way: VecDeque::new(),
                took: Vec::new(),
                refused: 0,
            }
        }

        /// Calls come every so many microseconds.
        fn offer(&mut self, calls: usize, every: u64) -> &mut Self {
            (self.took, self.refused) = (Vec::new(), 0);
            for _ in 0..calls {
                self.now += every;
                self.end_those_before(self.now);
                let Some(among) = self.pressure.enter() else {
                    self.refused += 1;
                    continue;
                };
                let begins = self.free.pop_front().unwrap().max(self.now);
                self.free.push_back(begins + self.work);
                self.under_way.push_back((begins + self.work, among, self.now));
            }
            self
        }

        fn end_those_before(&mut self, now: u64) {
            while self.under_way.front().is_some_and(|(end, ..)| *end <= now) {
                let (end, among, began) = self.under_way.pop_front().unwrap();
                self.took.push(end - began);
                self.pressure.learn(among, Duration::from_micros(end - began), &self.baseline, false);
                self.pressure.calls.fetch_sub(1, Relaxed);
            }
        }

        fn p99(&mut self) -> u64 {
            self.took.sort_unstable();
            self.took[self.took.len() * 99 / 100]
        }
    }

    #[test]
    fn twice_what_a_service_can_take_costs_those_who_are_let_in_little() {
        for (workers, work) in [(1, 100), (1, 2000), (4, 500), (16, 1000)] {
            let mut service = Simulation::new(workers, work);
            let pace = work / workers as u64;
            service.offer(10_000, pace * 5 / 4);
            assert_eq!(service.refused, 0, "{workers} workers: nobody is refused below capacity");
            service.offer(40_000, pace / 2);
            let (accepted, p99) = (service.took.len(), service.p99());
            // As long as as many as wait take, and their own work.
            let bound = pace * WAITING as u64 * 2 + work;
            assert!(p99 <= bound, "{workers} workers: {p99} us, more than {bound}");
            let possible = 40_000 * (pace / 2) * workers as u64 / work;
            assert!(accepted as u64 * 100 >= possible * 98, "{workers} workers: {accepted} of {possible}");
            service.offer(10_000, pace * 5 / 4);
            service.offer(10_000, pace * 5 / 4);
            assert_eq!(service.refused, 0, "{workers} workers: it is over");
        }
    }

    #[test]
    fn many_calls_that_take_long_without_load_are_all_let_in() {
        let mut service = Simulation::new(MOST, 1_000_000);
        service.offer(8, 2_000_000).offer(20_000, 1000);
        assert_eq!((service.refused, service.took.len() > 18_000), (0, true));
    }

    #[test]
    fn a_burst_is_let_in_whole() {
        let mut service = Simulation::new(2, 500);
        service.offer(1000, 1000).offer(1000, 0);
        assert_eq!(service.refused, 0);
    }

    #[test]
    fn a_service_that_becomes_slower_is_learned_anew() {
        let mut service = Simulation::new(4, 500);
        service.offer(1000, 1000);
        service.work = 5000;
        service.offer(2000, 5000).offer(10_000, 1500);
        assert_eq!(service.refused, 0);
    }

    #[test]
    fn what_was_waited_for_in_this_process_is_not_the_services() {
        let baseline = Baseline::default();
        let known = || baseline.0.load(Relaxed);
        baseline.learn(1000, true);
        assert_eq!(known(), 1000, "it is better than nothing");
        (0..1000).for_each(|_| baseline.learn(20_000, true));
        assert_eq!(known(), 1000);
        (0..1000).for_each(|_| baseline.learn(500, true));
        assert!((500..520).contains(&known()), "{}", known());
        (0..1000).for_each(|_| baseline.learn(2000, false));
        assert!((1900..=2000).contains(&known()), "{}", known());
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_comes_late_is_behind() {
        let (load, lifecycle) = (Load::new(proto::catalog(), 1, 1), Lifecycle::new());
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
    fn only_reading_counts() {
        let load = Load::new(proto::catalog(), 0, 1);
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
