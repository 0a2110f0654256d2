use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};

/// What time it is: the wall clock for records, the monotonic one for deadlines.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(ManualClock),
}

impl Clock {
    /// The machine's clocks.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until it is told to go on, for tests.
    #[must_use]
    pub fn manual(start: Timestamp) -> (Self, ManualClock) {
        let manual = ManualClock(Arc::new(Mutex::new((start, Duration::from_secs(1)))));
        (Self(Source::Manual(manual.clone())), manual)
    }

    /// The wall clock, to the microsecond, as records keep it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let now = match &self.0 {
            Source::System => Timestamp::now(),
            Source::Manual(manual) => manual.read().0,
        };
        Timestamp::from_microsecond(now.as_microsecond()).expect("a moment without its nanoseconds is a moment")
    }

    /// The time since the machine started, in which it may have been suspended (`CLOCK_BOOTTIME`).
    #[must_use]
    pub fn monotonic(&self) -> Duration {
        match &self.0 {
            Source::System => {
                let time = clock_gettime(ClockId::Boottime);
                let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
                Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
            }
            Source::Manual(manual) => manual.read().1,
        }
    }
}

/// Moves the clock that it was made with.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<(Timestamp, Duration)>>);

impl ManualClock {
    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        let mut time = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let forward = SignedDuration::try_from(by).expect("a test's time is short");
        *time = (time.0 + forward, time.1 + by);
    }

    fn read(&self) -> (Timestamp, Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_it_is_told_to() {
        let start: Timestamp = "2026-11-23T21:00:00Z".parse().unwrap();
        let (clock, hand) = Clock::manual(start);
        let boot = clock.monotonic();
        assert_eq!(clock.now(), start);
        hand.advance(Duration::from_millis(1500));
        assert_eq!(clock.now() - start, SignedDuration::from_millis(1500));
        assert_eq!(clock.monotonic() - boot, Duration::from_millis(1500));
    }

    #[test]
    fn the_system_clock_has_no_nanoseconds_and_goes_on() {
        let clock = Clock::system();
        assert_eq!(clock.now().subsec_nanosecond() % 1000, 0);
        let before = clock.monotonic();
        assert!(clock.monotonic() >= before && before > Duration::ZERO);
    }
}
