//! What a workload is, by its own numbers and by its pods.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use super::workload::Seen;
use crate::domain::Observed;

/// Waits of a container that no patience helps.
const HOPELESS: [&str; 5] =
    ["ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError", "CreateContainerError"];
/// Waits of a container that starts as it should.
const HARMLESS: [&str; 2] = ["ContainerCreating", "PodInitializing"];
/// The most characters that are told of a reason of the cluster's.
const MOST_DETAIL: usize = 200;

/// What a workload is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// As many replicas are ready as there are to be. `Rolling` while there are also some of an earlier template.
    Ready(Rollout),
    /// It is to have no replicas.
    Off,
    /// Not all are ready: why, to be read after the node's name. Patience may help.
    Coming(String),
    /// Not all are ready, and no patience helps.
    Hopeless(String),
    /// There is none.
    Gone,
    /// It cannot be seen.
    Unseen,
}

/// Whether every replica is of the last template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rollout {
    Complete,
    Rolling,
}

impl Standing {
    /// What it is, with all pods of the namespace.
    pub(super) fn of(seen: &Seen, pods: &[Pod]) -> Self {
        if seen.wanted == 0 {
            return Self::Off;
        }
        let of_one_template = seen.present == seen.updated || !seen.rolls;
        if seen.ready >= seen.wanted {
            let complete = seen.current && of_one_template && (seen.updated >= seen.wanted || !seen.rolls);
            return Self::Ready(if complete { Rollout::Complete } else { Rollout::Rolling });
        }
        let own = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none() && seen.owns(pod));
        let mut trouble: Vec<(bool, String)> = own.filter_map(trouble).collect();
        // What is hopeless first.
        trouble.sort_by_key(|(hopeless, _)| !hopeless);
        let count = format!("is not ready: {} of {} replicas are", seen.ready, seen.wanted);
        match (trouble.into_iter().next(), &seen.failure) {
            // Of an earlier template's pods nothing follows.
            (Some((true, text)), _) if seen.current && of_one_template => Self::Hopeless(format!("{count}; {text}")),
            (Some((_, text)), _) => Self::Coming(format!("{count}; {text}")),
            (None, Some(failure)) => Self::Coming(format!("{count}; {}", cut(failure))),
            (None, None) => Self::Coming(count),
        }
    }

    /// What is told of it.
    pub(super) fn observed(self) -> Observed {
        let dead = |reason: &str| Observed::Dead { reason: Some(reason.to_owned()) };
        match self {
            // There is no number for all of its pods' processes.
            Self::Ready(_) => Observed::Alive { number: 0 },
            Self::Off => dead("is scaled to 0"),
            Self::Coming(reason) | Self::Hopeless(reason) => Observed::Dead { reason: Some(reason) },
            Self::Gone => dead("is not there any more"),
            Self::Unseen => Observed::Unknown,
        }
    }

    /// Whether the wait for it is over; with the reason if it was in vain.
    pub(super) fn settled(&self) -> Option<Result<(), String>> {
        match self {
            Self::Ready(Rollout::Complete) => Some(Ok(())),
            Self::Ready(Rollout::Rolling) | Self::Coming(_) | Self::Unseen => None,
            Self::Off => Some(Err("was scaled to 0".to_owned())),
            Self::Gone => Some(Err("is not there any more".to_owned())),
            Self::Hopeless(reason) => Some(Err(reason.clone())),
        }
    }

    /// Why the wait for it is given up after this time.
    pub(super) fn given_up(self, time: Duration) -> String {
        let time = format!("after {} s", time.as_secs());
        match self {
            Self::Coming(reason) | Self::Hopeless(reason) => format!("{reason}, {time}"),
            Self::Unseen => format!("could not be seen {time}: Kubernetes does not answer"),
            _ => format!("still has replicas of an earlier version {time}"),
        }
    }
}

/// What is wrong with a pod, and whether no patience helps.
fn trouble(pod: &Pod) -> Option<(bool, String)> {
    let status = pod.status.as_ref()?;
    let containers = [&status.init_container_statuses, &status.container_statuses];
    let of_container = containers.into_iter().flatten().flatten().filter_map(container_trouble);
    let mut found: Vec<(bool, String)> = of_container.collect();
    found.sort_by_key(|(hopeless, _)| !hopeless);
    if let Some(found) = found.into_iter().next() {
        return Some(found);
    }
    if status.phase.as_deref() == Some("Failed") {
        let why = status.message.as_ref().or(status.reason.as_ref());
        return Some((
            false,
            why.map_or_else(|| "a pod has failed".to_owned(), |why| format!("a pod has failed: {}", cut(why))),
        ));
    }
    let unscheduled = status.conditions.iter().flatten().find(|condition| {
        condition.type_ == "PodScheduled"
            && condition.status == "False"
            && condition.reason.as_deref() == Some("Unschedulable")
    })?;
    let why = unscheduled.message.as_deref().unwrap_or("no machine takes a pod");
    Some((false, cut(why)))
}

fn container_trouble(container: &ContainerStatus) -> Option<(bool, String)> {
    let state = container.state.as_ref()?;
    let name = &container.name;
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.as_deref().filter(|reason| !HARMLESS.contains(reason))?;
        let detail = waiting.message.as_ref().map(|message| format!(" ({})", cut(message))).unwrap_or_default();
        let before = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
        let before =
            before.map(|ended| format!("; it has ended with exit code {}", ended.exit_code)).unwrap_or_default();
        return Some((HOPELESS.contains(&reason), format!("container `{name}` waits: {reason}{detail}{before}")));
    }
    let ended = state.terminated.as_ref().filter(|ended| ended.exit_code != 0)?;
    Some((false, format!("container `{name}` has ended with exit code {}", ended.exit_code)))
}

fn cut(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(MOST_DETAIL).collect()
}
