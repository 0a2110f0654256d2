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
