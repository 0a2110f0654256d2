//! How many calls a service is given at once, so that none waits long for its answer: what is more than it works on, and some that
//! wait, is refused at once. Nobody has to know what a service can take: it shows in how long it takes.
//!
//! Only calls of methods that read count. How long they take tells of the load, whoever calls; a stop may take as long as its nodes
//! like, and many that wait for theirs load nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use lifecycle::{Clock, Lifecycle};
use proto::{Catalog, ErrorKind, Failure, Method};
use tokio::time::Instant;

use crate::refusals::Limit;

/// Where there are no more calls than this from its beginning to its end, how long one takes is how long it takes without load.
const CALM: usize = 8;

/// Each answer that has waited moves the bound by one part in so many towards what the service can take.
const PRESSED: f64 = 8.0;

/// Each other answer raises it by one part in so many of those that may wait: slowly, since there are some such in the middle of the
/// worst load, whenever few calls happen to be there.
const AT_EASE: f64 = 32.0;

/// Each answer without load moves what is known of its method by one part in so many.
const BASELINE_INERTIA: u64 = 32;

/// Where calls are refused and none has been without load for so long, ...
const DOUBTFUL: Duration = Duration::from_secs(10);
/// ... no more than a few are let in until so many were, ...
const PROBES: usize = 16;
/// ... or so long, and less often where nothing is learned by it: it may be that the service has become slower, or that it was never seen without load.
const PROBING: Duration = Duration::from_millis(500);
const SELDOM: Duration = Duration::from_mins(10);
/// What is learned meanwhile is learned fast.
const PROBE_INERTIA: u64 = 4;

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
    let text = format!("{} is busy, try again", method.audience());
    Failure::new(ErrorKind::Unavailable, text).with("retryAfter", "1").because(Limit::Load)
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

/// Those that a call found when it began.
#[derive(Clone, Copy)]
struct Among {
    /// How many there were with it.
    calls: usize,
    /// How often there had been more than a few by then.
    crowds: usize,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        // It has failed, or nobody waits for it any more: how long that took says nothing of the method, but that others wait as long.
        if !self.is_over {
            self.service.press(self.among, self.began.elapsed(), self.baseline);
        }
        self.service.calls.fetch_sub(1, Relaxed);
    }
}

/// How long a method takes without load, in nanoseconds: a moving mean. 0: nobody knows yet.
#[derive(Default)]
struct Baseline(AtomicU64);

impl Baseline {
    fn is_unknown(&self) -> bool {
        self.0.load(Relaxed) == 0
    }

    /// Whether it says anything of the method.
    fn learn(&self, took: u64, behind: bool, inertia: u64) -> bool {
        let known = self.0.load(Relaxed);
        // What was waited for here is none of the service's time.
        if behind && known != 0 && took > known {
            return false;
        }
        let next = if known == 0 { took } else { known - known / inertia + took / inertia };
        self.0.store(next.max(1), Relaxed);
        true
    }
}

/// The calls of one service, and how many there may be.
struct Pressure {
    calls: AtomicUsize,
    /// How often there were more than a few when a call began.
    crowds: AtomicUsize,
    /// The bits of an `f64`. Of two who set it at the same time the later one wins: each sets it to nearly the same.
    bound: AtomicU64,
    waiting: usize,
    most: usize,
    clock: Clock,
    /// When a call was without load last, in milliseconds.
    calm_at: AtomicU64,
    /// How many such calls are wanted before more than a few are let in, and until when.
    probes: AtomicUsize,
    probed_by: AtomicU64,
    /// After how many milliseconds what is known is doubted.
    doubtful: AtomicU64,
}

impl Pressure {
    fn new(waiting: usize, most: usize, clock: Clock) -> Self {
        let bound = AtomicU64::new(number(most).to_bits());
        let (calls, crowds, probes) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let (calm_at, probed_by) = (AtomicU64::new(milliseconds(clock.monotonic())), AtomicU64::new(0));
        let doubtful = AtomicU64::new(milliseconds(DOUBTFUL));
        Self { calls, crowds, bound, waiting, most, clock, calm_at, probes, probed_by, doubtful }
    }

    fn now(&self) -> u64 {
        milliseconds(self.clock.monotonic())
    }

    fn is_probed(&self) -> bool {
        self.probes.load(Relaxed) > 0 && self.now() < self.probed_by.load(Relaxed)
    }

    /// Whether there may be so many.
    fn allows(&self, calls: usize) -> bool {
        number(calls) <= self.bound() && (calls <= CALM || !self.is_probed())
    }

    /// A call is refused. Whether that is right is looked at from time to time.
    fn refused(&self) {
        let (now, patience) = (self.now(), self.doubtful.load(Relaxed));
        // Of two who come to it at the same time both set the same.
        if now < self.calm_at.load(Relaxed) + patience {
            return;
        }
        // All that were wanted before are wanted still: no call was without load in that time, nor would one be in the next.
        let in_vain = self.probes.load(Relaxed) == PROBES;
        let next = if in_vain { (patience * 2).min(milliseconds(SELDOM)) } else { milliseconds(DOUBTFUL) };
        self.doubtful.store(next, Relaxed);
        self.calm_at.store(now, Relaxed);
        self.probed_by.store(now + milliseconds(PROBING), Relaxed);
        self.probes.store(PROBES, Relaxed);
    }

    fn bound(&self) -> f64 {
        f64::from_bits(self.bound.load(Relaxed))
    }

    fn is_full(&self) -> bool {
        let is_full = !self.allows(self.calls.load(Relaxed) + 1);
        if is_full {
            self.refused();
        }
        is_full
    }

    /// One more, if there may be.
    fn enter(&self) -> Option<Among> {
        let calls = self.calls.fetch_add(1, Relaxed) + 1;
        if !self.allows(calls) {
            self.calls.fetch_sub(1, Relaxed);
            self.refused();
            return None;
        }
        if calls > CALM {
            self.crowds.fetch_add(1, Relaxed);
        }
        Some(Among { calls, crowds: self.crowds.load(Relaxed) })
    }

    /// A call that was one of so many took so long.
    fn learn(&self, Among { calls, crowds }: Among, took: Duration, baseline: &Baseline, behind: bool) {
        let nanos = whole_nanoseconds(took);
        // Those that came after it have had their share of the service too.
        let is_calm = calls <= CALM && crowds == self.crowds.load(Relaxed);
        if is_calm {
            let is_probe = self.is_probed();
            if baseline.learn(nanos, behind, if is_probe { PROBE_INERTIA } else { BASELINE_INERTIA }) {
                let _ = self.probes.fetch_update(Relaxed, Relaxed, |wanted| wanted.checked_sub(1));
                self.calm_at.store(self.now(), Relaxed);
            }
        } else if baseline.is_unknown() {
            // Better than nothing, until it is doubted.
            baseline.learn(nanos, behind, BASELINE_INERTIA);
        }
        if !self.press(Among { calls, crowds }, took, baseline) {
            self.set_bound(self.bound() + number(self.waiting).max(1.0) / AT_EASE);
        }
    }

    /// Moves the bound towards what the service can take, if more than a few have waited with this call.
    fn press(&self, Among { calls, .. }: Among, took: Duration, baseline: &Baseline) -> bool {
        let alone = baseline.0.load(Relaxed);
        // After Little's law: of all that were there, so many were worked on, and the others waited.
        let share = nanoseconds(alone) / nanoseconds(whole_nanoseconds(took));
        let (worked_on, waiting) = (number(calls) * share.min(1.0), number(self.waiting));
        let has_waited = alone != 0 && (number(calls) - worked_on) * 2.0 > waiting;
        if has_waited {
            let bound = self.bound();
            self.set_bound(bound + (worked_on + waiting - bound) / PRESSED);
        }
        has_waited
    }

    fn set_bound(&self, bound: f64) {
        let (least, most) = (number(self.waiting.min(self.most)), number(self.most));
        self.bound.store(bound.clamp(least, most).to_bits(), Relaxed);
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn whole_nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1)
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

    use lifecycle::ManualClock;

    use super::*;

    const WAITING: usize = 64;
    const MOST: usize = 4096;

    /// A service that works on some calls at once, each for `work` microseconds, and the others wait for their turn.
    struct Simulation {
        pressure: Pressure,
        clock: ManualClock,
        baseline: Baseline,
        work: u64,
        now: u64,
        /// When each of those that work is free again.
        free: VecDeque<u64>,
        /// When each call ends, how many there were when it began, and when that was.
        under_way: VecDeque<(u64, Among, u64)>,
        took: Vec<u64>,
        refused: usize,
    }

    impl Simulation {
        fn new(workers: usize, work: u64) -> Self {
            Self::with(workers, work, MOST)
        }

        fn with(workers: usize, work: u64, most: usize) -> Self {
            let (time, clock) = Clock::manual("2026-11-29T12:00:00Z".parse().unwrap());
            Self {
                pressure: Pressure::new(WAITING, most, time),
                clock,
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
                self.clock.advance(Duration::from_micros(every));
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
        let learn = |took, behind| {
            let _ = baseline.learn(took, behind, BASELINE_INERTIA);
        };
        learn(1000, true);
        assert_eq!(known(), 1000, "it is better than nothing");
        (0..1000).for_each(|_| learn(20_000, true));
        assert_eq!(known(), 1000);
        (0..1000).for_each(|_| learn(500, true));
        assert!((500..520).contains(&known()), "{}", known());
        (0..1000).for_each(|_| learn(2000, false));
        assert!((1900..=2000).contains(&known()), "{}", known());
    }

    #[test]
    fn those_that_come_after_a_call_slow_it_down_too() {
        let (pressure, baseline) = (Simulation::new(1, 1).pressure, Baseline::default());
        let known = || baseline.0.load(Relaxed);
        // A call, and so many others that come after it and are gone before it.
        let call = |took: u64, others: usize| {
            let among = pressure.enter().unwrap();
            (0..others).for_each(|_| assert!(pressure.enter().is_some()));
            pressure.calls.fetch_sub(others, Relaxed);
            pressure.learn(among, Duration::from_nanos(took), &baseline, false);
            pressure.calls.fetch_sub(1, Relaxed);
        };
        call(3000, CALM);
        assert_eq!(known(), 3000, "it is better than nothing");
        (0..1000).for_each(|_| call(1000, CALM - 1));
        assert!((1000..1100).contains(&known()), "{}", known());
        (0..1000).for_each(|_| call(20_000, CALM));
        assert!((1000..1100).contains(&known()), "{}", known());
    }

    #[test]
    fn a_lull_is_not_the_end_of_the_load() {
        for most in [MOST, 1_000_000] {
            let mut service = Simulation::with(1, 1000, most);
            service.offer(1000, 2000).offer(10_000, 500);
            let (bound, alone) = (service.pressure.bound(), Duration::from_micros(service.work));
            for _ in 0..WAITING {
                let among = Among { calls: 1, crowds: 0 };
                service.pressure.learn(among, alone, &service.baseline, false);
            }
            assert!(service.pressure.bound() < bound * 4.0, "{bound} {}", service.pressure.bound());
        }
    }

    /// It has never been calm, or is not what it was when it last was.
    #[test]
    fn what_is_believed_of_a_service_is_doubted_where_it_costs_calls() {
        // Its first answer takes long: there are connections to be made.
        let mut service = Simulation::new(1, 200_000);
        service.offer(1, 1000);
        service.work = 1000;
        service.offer(60_000, 500).offer(20_000, 500);
        let p99 = service.p99();
        assert!(p99 <= 1000 * WAITING as u64 * 2, "{p99} us");

        // All that come are worked on at once, and it takes as long as ten calls' time between them to answer each.
        let mut service = Simulation::new(MOST, 1000);
        service.offer(1000, 10_000);
        service.work = 50_000;
        service.offer(60_000, 250).offer(10_000, 250);
        assert_eq!(service.refused, 0);
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
        assert!(service.bound() < 2.0 && service.calls.load(Relaxed) == 0, "{}", service.bound());
    }

    #[test]
    fn who_is_refused_is_refused_before_anything_is_done() {
        let pressure = Simulation::new(1, 1).pressure;
        for bound in [65.0, 65.5] {
            pressure.bound.store(f64::to_bits(bound), Relaxed);
            while !pressure.is_full() {
                assert!(pressure.enter().is_some());
            }
            assert_eq!((pressure.calls.load(Relaxed), pressure.enter().is_none()), (65, true));
        }
    }

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
