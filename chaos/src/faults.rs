//! What is broken, for how long, and how it is mended.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::stack::{Service, Stack, Weather};

/// The pairs of services of which the one calls the other.
const PAIRS: [(Service, Service); 11] = {
    use Service::{Authority, Environment, Gateway};
    [
        (Gateway(0), Authority(0)),
        (Gateway(0), Authority(1)),
        (Gateway(0), Environment),
        (Gateway(1), Authority(0)),
        (Gateway(1), Authority(1)),
        (Gateway(1), Environment),
        (Gateway(2), Authority(0)),
        (Gateway(2), Authority(1)),
        (Gateway(2), Environment),
        (Environment, Authority(0)),
        (Environment, Authority(1)),
    ]
};

/// What is done to what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    /// SIGSTOP, and SIGCONT in the end.
    Freeze(Service),
    /// SIGKILL, and a new start in the end.
    Kill(Service),
    /// PostgreSQL is killed, and started again in the end.
    RestartPostgres,
    /// Nothing gets from the one to the other.
    Cut(Service, Service, Weather),
    /// It takes longer.
    Delay(Service, Service, [Duration; 2]),
}

impl Harm {
    /// As it is counted.
    pub(crate) fn kind(self) -> String {
        let program = |service: Service| match service {
            Service::Gateway(_) => "gateway",
            Service::Environment => "environment-service",
            Service::Authority(_) => "authority",
        };
        match self {
            Self::Freeze(service) => format!("freeze {}", program(service)),
            Self::Kill(service) => format!("kill {}", program(service)),
            Self::RestartPostgres => "kill PostgreSQL".to_owned(),
            Self::Cut(_, _, Weather::Reset) => "cut, reset".to_owned(),
            Self::Cut(..) => "cut, black hole".to_owned(),
            Self::Delay(..) => "delay".to_owned(),
        }
    }

    /// What it is done to.
    pub(crate) fn victim(self) -> String {
        match self {
            Self::Freeze(service) | Self::Kill(service) => service.to_string(),
            Self::RestartPostgres => "PostgreSQL".to_owned(),
            Self::Cut(from, to, _) | Self::Delay(from, to, _) => format!("{from} to {to}"),
        }
    }

    /// Whether two cannot be done at once: a process that is killed cannot be frozen, and none starts without its database.
    fn excludes(self, other: Self) -> bool {
        let service = |harm| match harm {
            Self::Freeze(service) | Self::Kill(service) => Some(service),
            _ => None,
        };
        let pair = |harm| match harm {
            Self::Cut(from, to, _) | Self::Delay(from, to, _) => Some((from, to)),
            _ => None,
        };
        let database = |harm| matches!(harm, Self::RestartPostgres | Self::Kill(Service::Authority(_)));
        let same_service = service(self).is_some() && service(self) == service(other);
        let same_pair = pair(self).is_some() && pair(self) == pair(other);
        same_service || same_pair || database(self) && database(other)
    }
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind(), self.victim())?;
        if let Self::Delay(_, _, [there, back]) = self {
            write!(f, ", {} ms there and {} ms back", there.as_millis(), back.as_millis())?;
        }
        Ok(())
    }
}

/// A fault that is to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) harm: Harm,
    pub(crate) lasts: Duration,
}

/// One fault, or two at once.
pub(crate) fn plan(lease: Duration, rng: &mut StdRng) -> Vec<Plan> {
    let mut plans = vec![one(lease, rng)];
    if rng.random_bool(0.4) {
        let other = one(lease, rng);
        if !other.harm.excludes(plans[0].harm) {
            plans.push(other);
        }
    }
    plans
}

/// How long all is left in peace after it.
pub(crate) fn calm(lease: Duration, rng: &mut StdRng) -> Duration {
    lease.mul_f64(rng.random_range(0.5..1.5))
}

fn one(lease: Duration, rng: &mut StdRng) -> Plan {
    // Longer than a lease as often as shorter: what wakes up then has none any more.
    let factor = if rng.random() { rng.random_range(0.2..1.0) } else { rng.random_range(1.0..3.0) };
    let lasts = lease.mul_f64(factor);
    let gateway = Service::Gateway(rng.random_range(0..3));
    let authority = Service::Authority(rng.random_range(0..2));
    let (from, to) = *PAIRS.choose(rng).expect("there are pairs");
    let delay = |rng: &mut StdRng| Duration::from_millis(rng.random_range(10..500));
    // A process that was killed is missed for a shorter time: the start takes its own.
    match rng.random_range(0..100) {
        0..20 => Plan { harm: Harm::Freeze(gateway), lasts },
        20..34 => Plan { harm: Harm::Freeze(Service::Environment), lasts },
        34..40 => Plan { harm: Harm::Freeze(authority), lasts },
        40..48 => Plan { harm: Harm::Kill(gateway), lasts: lasts / 3 },
        48..55 => Plan { harm: Harm::Kill(Service::Environment), lasts: lasts / 3 },
        55..63 => Plan { harm: Harm::Kill(authority), lasts: lasts / 3 },
        63..66 => Plan { harm: Harm::RestartPostgres, lasts: lasts / 3 },
        66..76 => Plan { harm: Harm::Cut(from, to, Weather::Reset), lasts },
        76..88 => Plan { harm: Harm::Cut(from, to, Weather::BlackHole), lasts },
        _ => Plan { harm: Harm::Delay(from, to, [delay(rng), delay(rng)]), lasts },
    }
}

/// Breaks it, waits, and mends it.
pub(crate) async fn make(plan: Plan, stack: &Arc<Stack>) -> anyhow::Result<()> {
    match plan.harm {
        Harm::Freeze(service) => {
            stack.pause(service).await;
            tokio::time::sleep(plan.lasts).await;
            stack.resume(service).await;
        }
        Harm::Kill(service) => {
            stack.kill(service).await?;
            tokio::time::sleep(plan.lasts).await;
            stack.start(service).await;
        }
        Harm::RestartPostgres => {
            let stack = Arc::clone(stack);
            tokio::task::spawn_blocking(move || stack.restart_postgres(plan.lasts)).await?;
        }
        Harm::Cut(from, to, weather) => under(stack, from, to, weather, plan.lasts).await,
        Harm::Delay(from, to, delays) => under(stack, from, to, Weather::Open(delays), plan.lasts).await,
    }
    Ok(())
}

async fn under(stack: &Stack, from: Service, to: Service, weather: Weather, lasts: Duration) {
    let link = stack.links.between(from, to);
    link.set(weather);
    tokio::time::sleep(lasts).await;
    link.set(Weather::FAIR);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::SeedableRng;

    use super::*;

    #[test]
    fn plans_are_bounded_and_of_every_kind() {
        let (lease, mut rng) = (Duration::from_secs(3), StdRng::seed_from_u64(1));
        let mut kinds = BTreeSet::new();
        for _ in 0..2_000 {
            let plans = plan(lease, &mut rng);
            assert!(plans.len() == 1 || plans.len() == 2 && !plans[0].harm.excludes(plans[1].harm));
            for Plan { harm, lasts } in plans {
                assert!(lasts >= lease.mul_f64(0.2 / 3.0) && lasts < lease * 3, "{harm} {lasts:?}");
                kinds.insert(harm.kind());
            }
            assert!(calm(lease, &mut rng) < lease * 2);
        }
        assert_eq!(kinds.len(), 10, "{kinds:?}");
    }

    #[test]
    fn what_cannot_be_done_at_once_is_known() {
        let [first, second] = [Service::Authority(0), Service::Authority(1)];
        assert!(Harm::Freeze(first).excludes(Harm::Kill(first)));
        assert!(!Harm::Freeze(first).excludes(Harm::Kill(second)));
        assert!(Harm::RestartPostgres.excludes(Harm::Kill(second)));
        let cut = Harm::Cut(Service::Environment, first, Weather::Reset);
        assert!(cut.excludes(Harm::Delay(Service::Environment, first, [Duration::ZERO; 2])));
        assert!(!cut.excludes(Harm::Freeze(Service::Environment)));
    }
}
