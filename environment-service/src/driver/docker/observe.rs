//! What is seen of containers.

use std::collections::HashMap;
use std::future::Future;

use bollard::models::{ContainerSummary, ContainerSummaryStateEnum};
use futures::future::join_all;

use super::DockerDriver;
use super::engine::{EngineError, LOOK, within};
use super::label::{self, Target};
use crate::domain::{Instance, Launch, LaunchId, NodeId, Observed};
use crate::driver::ScanError;

/// The exit code of what was killed.
const KILLED: i64 = 137;

/// What a container says of its health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// It has no check, or has passed it.
    Good,
    /// Its check has not passed yet.
    Starting,
    /// Its check fails.
    Bad,
}

impl DockerDriver {
    /// The containers that may be those: one question for all that were made here, and one for all of Compose's.
    pub(super) async fn candidates(&self, targets: &[Target]) -> Result<Vec<ContainerSummary>, EngineError> {
        let mut labels: Vec<&str> = targets.iter().map(Target::label).collect();
        labels.sort_unstable();
        labels.dedup();
        let mut all = Vec::new();
        for label in labels {
            all.extend(self.engine.list(&[label.to_owned()]).await?);
        }
        Ok(all)
    }

    /// The container of a launch.
    pub(super) async fn look(&self, target: &Target) -> Result<Option<ContainerSummary>, EngineError> {
        let found = self.candidates(std::slice::from_ref(target)).await?;
        Ok(found.into_iter().find(|container| target.is(container)))
    }

    pub(super) async fn observe(&self, launches: &[Launch]) -> Vec<Observed> {
        let targets: Vec<Target> = launches.iter().map(|launch| self.target(launch)).collect();
        let containers = match self.candidates(&targets).await {
            Ok(containers) => containers,
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "containers cannot be seen");
                return vec![Observed::Unknown; launches.len()];
            }
        };
        let by_id: HashMap<&str, &ContainerSummary> =
            containers.iter().filter_map(|container| Some((container.id.as_deref()?, container))).collect();
        let find = |target: &Target| match target {
            Target::Container(id) => by_id.get(id.as_str()).copied(),
            target => containers.iter().find(|container| target.is(container)),
        };
        join_all(targets.iter().map(|target| self.seen(find(target)))).await
    }

    fn seen(&self, container: Option<&ContainerSummary>) -> impl Future<Output = Observed> + Send {
        let alive = container.filter(|container| runs(container)).map(number);
        let ended = container.filter(|_| alive.is_none()).cloned();
        async move {
            match (alive, ended) {
                (Some(number), _) => Observed::Alive { number },
                (None, Some(container)) => Observed::Dead { reason: Some(self.reason(&container).await) },
                (None, None) => Observed::Dead { reason: Some("has lost its container, which was removed".to_owned()) },
            }
        }
    }

    /// How a container has ended. The engine is asked once more about one that was killed: perhaps by the kernel.
    pub(super) async fn reason(&self, container: &ContainerSummary) -> String {
        let code = exit_code(container);
        if code == Some(KILLED)
            && let (Ok(client), Some(id)) = (self.engine.client(), container.id.as_deref())
            && let Ok(inspected) = within(LOOK, client.inspect_container(id, None)).await
            && inspected.state.and_then(|state| state.oom_killed) == Some(true)
        {
            return "was ended by the kernel for lack of memory".to_owned();
        }
        match (container.state, code) {
            (Some(ContainerSummaryStateEnum::CREATED), _) => "was made and not started".to_owned(),
            (_, Some(code)) => format!("has ended with exit code {code}"),
            (_, None) => "has ended".to_owned(),
        }
    }

    /// A node has one container. When it is started again it keeps the mark of the launch that it was made for, so the node tells.
    pub(super) async fn find(&self, launches: &[(NodeId, LaunchId)]) -> Result<HashMap<LaunchId, Instance>, ScanError> {
        let containers = self.engine.list(&[label::NODE.to_owned()]).await?;
        let running = containers.iter().filter(|container| label::is_ours(container) && runs(container));
        let of_node = |container: &ContainerSummary| label::label(container, label::NODE)?.parse().ok().map(NodeId);
        let nodes: HashMap<NodeId, &ContainerSummary> =
            running.filter_map(|container| Some((of_node(container)?, container))).collect();
        let found = |(node, launch): &(NodeId, LaunchId)| Some((*launch, Instance(nodes.get(node)?.id.clone()?)));
        Ok(launches.iter().filter_map(found).collect())
    }
}

/// Whether something of it runs. A container that is being stopped does still.
pub(super) fn runs(container: &ContainerSummary) -> bool {
    use ContainerSummaryStateEnum as State;
    matches!(container.state, Some(State::RUNNING | State::PAUSED | State::STOPPING))
}

/// Whether there is anything to stop: the engine will start one again that is between two starts.
pub(super) fn is_up(container: &ContainerSummary) -> bool {
    runs(container) || container.state == Some(ContainerSummaryStateEnum::RESTARTING)
}

/// A number for people: the first digits of the id, as the engine shows it.
fn number(container: &ContainerSummary) -> i64 {
    let id = container.id.as_deref().unwrap_or_default();
    id.get(..12).and_then(|digits| i64::from_str_radix(digits, 16).ok()).filter(|number| *number > 0).unwrap_or(1)
}

/// From `Exited (3) 2 seconds ago` or `Restarting (3) …`.
fn exit_code(container: &ContainerSummary) -> Option<i64> {
    container.status.as_deref()?.split_once('(')?.1.split_once(')')?.0.parse().ok()
}

/// From `Up 2 seconds (healthy)`, `(unhealthy)` or `(health: starting)`.
pub(super) fn health(container: &ContainerSummary) -> Health {
    let status = container.status.as_deref().unwrap_or_default();
    if status.contains("(unhealthy)") {
        Health::Bad
    } else if status.contains("(health: starting)") {
        Health::Starting
    } else {
        Health::Good
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_words_are_understood() {
        let of = |status: &str| ContainerSummary { status: Some(status.to_owned()), ..Default::default() };
        assert_eq!(exit_code(&of("Exited (3) 2 seconds ago")), Some(3));
        assert_eq!(exit_code(&of("Up 2 seconds (healthy)")), None);
        assert_eq!(exit_code(&of("Created")), None);
        assert_eq!(health(&of("Up 2 seconds")), Health::Good);
        assert_eq!(health(&of("Up 2 seconds (healthy)")), Health::Good);
        assert_eq!(health(&of("Up 2 seconds (unhealthy)")), Health::Bad);
        assert_eq!(health(&of("Up Less than a second (health: starting)")), Health::Starting);
        let id = Some("00ff00ff00ff77".to_owned());
        assert_eq!(number(&ContainerSummary { id, ..Default::default() }), 0x00ff_00ff_00ff);
    }
}
