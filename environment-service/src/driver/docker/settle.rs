//! Whether what was launched comes up: it runs on for a time, and becomes healthy if its image has a check.

use std::time::{Duration, Instant};

use bollard::models::{ContainerSummary, HealthConfig};

use super::DockerDriver;
use super::engine::{EngineError, LOOK, within};
use super::label::Target;
use super::observe::{Health, health, runs};
use crate::domain::Launch;
use crate::driver::Ended;

/// How often containers are looked at where the engine tells nothing.
const LOOKS: Duration = Duration::from_millis(250);
/// How long an engine that does not answer is asked again.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest that a container may take to become healthy, whatever its check says, and what its check may be late by.
const MOST_HEALTH: Duration = Duration::from_secs(600);
const SPARE: Duration = Duration::from_secs(30);

/// What a look has shown.
enum Look {
    Ended(Ended),
    /// These are not healthy yet.
    Waiting(Vec<(usize, String)>),
}

impl DockerDriver {
    pub(super) async fn ended_within(&self, launches: &[Launch], time: Duration) -> Option<Ended> {
        if launches.is_empty() {
            return None;
        }
        let mut changes = self.changes.subscribe();
        let begun = Instant::now();
        let mut answered = begun;
        let mut healthy_by: Option<Instant> = None;
        loop {
            let enough = begun.elapsed() >= time;
            match self.settle_look(launches).await {
                Ok(Look::Ended(ended)) => return Some(ended),
                Ok(Look::Waiting(none)) if none.is_empty() && enough => return None,
                Ok(Look::Waiting(waiting)) => {
                    answered = Instant::now();
                    if let Some((index, id)) = waiting.first() {
                        let by = match healthy_by {
                            None => *healthy_by.insert(begun + self.health_time(id).await),
                            Some(by) => by,
                        };
                        if Instant::now() > by {
                            return Some(ended(&launches[*index], "has not become healthy in time"));
                        }
                    }
                }
                Err(_) if answered.elapsed() < PATIENCE => (),
                Err(error) => return Some(ended(&launches[0], &format!("cannot be watched: {error}"))),
            }
            let left = time.saturating_sub(begun.elapsed());
            let wait = if left.is_zero() { LOOKS } else { LOOKS.min(left) };
            // A change or the time, whichever is first; a driver that is being dropped tells nothing.
            drop(tokio::time::timeout(wait, changes.changed()).await);
        }
    }

    async fn settle_look(&self, launches: &[Launch]) -> Result<Look, EngineError> {
        let targets: Vec<Target> = launches.iter().map(|launch| self.target(launch)).collect();
        let containers = self.candidates(&targets).await?;
        let mut waiting = Vec::new();
        for (index, (launch, target)) in launches.iter().zip(&targets).enumerate() {
            let Some(container) = containers.iter().find(|container| target.is(container)) else {
                return Ok(Look::Ended(ended(launch, "has lost its container, which was removed")));
            };
            if !runs(container) {
                return Ok(Look::Ended(ended(launch, &self.reason(container).await)));
            }
            match health(container) {
                Health::Good => (),
                Health::Starting => waiting.push((index, id(container))),
                Health::Bad => return Ok(Look::Ended(ended(launch, "is not healthy: its health check fails"))),
            }
        }
        Ok(Look::Waiting(waiting))
    }

    /// How long a container may take to become healthy: as its own check says, and a bound besides.
    async fn health_time(&self, id: &str) -> Duration {
        let Ok(client) = self.engine.client() else { return MOST_HEALTH };
        let inspected = within(LOOK, client.inspect_container(id, None)).await.ok();
        let check = inspected.and_then(|inspected| inspected.config).and_then(|config| config.healthcheck);
        check.map_or(MOST_HEALTH, |check| time_of(&check))
    }
}

/// The engine's defaults are 30 s between two tries, 30 s for each, and three tries.
fn time_of(check: &HealthConfig) -> Duration {
    let time = |nanoseconds: Option<i64>, default: u64| match nanoseconds.and_then(|value| u64::try_from(value).ok()) {
        None | Some(0) => Duration::from_secs(default),
        Some(value) => Duration::from_nanos(value),
    };
    let tries = check.retries.and_then(|tries| u32::try_from(tries).ok()).filter(|tries| *tries > 0).unwrap_or(3);
    let each = time(check.interval, 30).saturating_add(time(check.timeout, 30));
    let all = each.saturating_mul(tries).saturating_add(time(check.start_period, 0)).saturating_add(SPARE);
    all.min(MOST_HEALTH)
}

fn id(container: &ContainerSummary) -> String {
    container.id.clone().unwrap_or_default()
}

fn ended(launch: &Launch, reason: &str) -> Ended {
    Ended { launch: launch.id, reason: reason.to_owned() }
}
