//! Comparing durations so that what else the machine does in the meantime falls on both sides alike.

use std::time::{Duration, Instant};

/// What two things cost, measured in turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compared {
    pub(crate) yardstick: Duration,
    pub(crate) subject: Duration,
}

impl Compared {
    pub(crate) fn ratio(self) -> f64 {
        self.subject.as_secs_f64() / self.yardstick.as_secs_f64()
    }
}

/// How often something is measured: `rounds` times on each side, in turn, after a tenth of that which does not count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rounds {
    pub(crate) rounds: usize,
    pub(crate) calls: u32,
}

/// The median cost of one call on each side. `call` says how long one call took.
pub(crate) async fn compare<S>(
    rounds: Rounds,
    [yardstick, subject]: [&mut S; 2],
    call: impl AsyncFn(&mut S) -> anyhow::Result<Duration>,
) -> anyhow::Result<Compared> {
    let warm_up = rounds.rounds / 10;
    let (mut yardsticks, mut subjects) = (Vec::new(), Vec::new());
    for round in 0..warm_up + rounds.rounds {
        // Each side is first every other time.
        let (first, second) = if round % 2 == 0 {
            let first = one_round(rounds.calls, yardstick, &call).await?;
            (first, one_round(rounds.calls, subject, &call).await?)
        } else {
            let second = one_round(rounds.calls, subject, &call).await?;
            (one_round(rounds.calls, yardstick, &call).await?, second)
        };
        if round >= warm_up {
            yardsticks.push(first);
            subjects.push(second);
        }
    }
    Ok(Compared { yardstick: quantile(&mut yardsticks, 0.5), subject: quantile(&mut subjects, 0.5) })
}

/// The mean cost of a round's calls.
async fn one_round<S>(
    calls: u32,
    side: &mut S,
    call: &impl AsyncFn(&mut S) -> anyhow::Result<Duration>,
) -> anyhow::Result<Duration> {
    let mut sum = Duration::ZERO;
    for _ in 0..calls {
        sum += call(side).await?;
    }
    Ok(sum / calls)
}

/// The duration below which a share of all durations lies.
pub(crate) fn quantile(durations: &mut [Duration], share: f64) -> Duration {
    durations.sort_unstable();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a number of samples is a number of samples"
    )]
    let at = (share * durations.len() as f64) as usize;
    durations.get(at.min(durations.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// The middle one of some numbers; of none, none.
pub(crate) fn median(numbers: &mut [f64]) -> Option<f64> {
    numbers.sort_unstable_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied()
}

/// An answer, and how long it took.
pub(crate) async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let begun = Instant::now();
    let answer = work.await;
    (answer, begun.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_durations() {
        let mut durations: Vec<Duration> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(quantile(&mut durations, 0.5), Duration::from_millis(51));
        assert_eq!(quantile(&mut durations, 0.99), Duration::from_millis(100));
        assert_eq!(quantile(&mut durations, 1.0), Duration::from_millis(100));
        assert_eq!(quantile(&mut [], 0.5), Duration::ZERO);
    }

    #[tokio::test]
    async fn the_outlier_does_not_count() {
        let mut sides = [vec![1, 1, 1, 90], vec![3, 3, 70, 3]];
        let [yardstick, subject] = &mut sides;
        let rounds = Rounds { rounds: 4, calls: 1 };
        let next = async |left: &mut Vec<u64>| Ok(Duration::from_millis(left.pop().unwrap()));
        let compared = compare(rounds, [yardstick, subject], next).await.unwrap();
        assert!((compared.ratio() - 3.0).abs() < 1e-9, "{compared:?}");
    }
}
