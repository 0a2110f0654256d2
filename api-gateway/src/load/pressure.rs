//! How many calls one service is given, and how that is learned from what each has taken.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use lifecycle::Clock;

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

/// Those that a call found when it began.
#[derive(Clone, Copy)]
pub(super) struct Among {
    /// How many there were with it.
    calls: usize,
    /// How often there had been more than a few by then.
    crowds: usize,
}

/// How long a method takes without load, in nanoseconds: a moving mean. 0: nobody knows yet.
#[derive(Default)]
pub(super) struct Baseline(AtomicU64);

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
pub(super) struct Pressure {
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
    pub(super) fn new(waiting: usize, most: usize, clock: Clock) -> Self {
        let bound = AtomicU64::new(number(most).to_bits());
        let (calls, crowds, probes) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let (calm_at, probed_by) = (AtomicU64::new(milliseconds(clock.monotonic())), AtomicU64::new(0));
        let doubtful = AtomicU64::new(milliseconds(DOUBTFUL));
        Self { calls, crowds, bound, waiting, most, clock, calm_at, probes, probed_by, doubtful }
    }

    #[cfg(test)]
    pub(super) fn calls(&self) -> usize {
        self.calls.load(Relaxed)
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

    /// How many calls there may be.
    pub(super) fn bound(&self) -> f64 {
        f64::from_bits(self.bound.load(Relaxed))
    }

    /// Whether one more would be refused.
    pub(super) fn is_full(&self) -> bool {
        let is_full = !self.allows(self.calls.load(Relaxed) + 1);
        if is_full {
            self.refused();
        }
        is_full
    }

    /// One more, if there may be.
    pub(super) fn enter(&self) -> Option<Among> {
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

    /// A call is over.
    pub(super) fn leave(&self) {
        self.calls.fetch_sub(1, Relaxed);
    }

    /// A call that was one of so many took so long.
    pub(super) fn learn(&self, Among { calls, crowds }: Among, took: Duration, baseline: &Baseline, behind: bool) {
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
    pub(super) fn press(&self, Among { calls, .. }: Among, took: Duration, baseline: &Baseline) -> bool {
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
mod tests;
