//! Takes workloads their replicas, and waits until their pods are gone.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::core::Selector;
use tokio::time::Instant;

use super::cluster::{Fault, list};
use super::locate::Located;
use super::place::{Home, Place, Scope};
use super::workload::Seen;
use super::{KubernetesDriver, adopted, cron, workload};
use crate::domain::Launch;
use crate::driver::EndError;

/// How long pods may take to be gone, besides the time that they themselves are given.
const END_PATIENCE: Duration = Duration::from_secs(30);
/// The time that a pod has to end of which none is told, as in Kubernetes.
const DEFAULT_GRACE: Duration = Duration::from_secs(30);
impl KubernetesDriver {
    /// Ends launches: all are asked to, and then waited for.
    pub(super) async fn end(&self, launches: &[Launch]) -> Result<(), EndError> {
        let mut ended: Vec<(Place, Seen)> = Vec::new();
        let located = self.places(launches).await?;
        let unseen = located.contains(&Located::Unseen);
        for place in located {
            let Located::At(place) = place else { continue };
            let scope = self.scope(&place)?;
            match workload::change(&self.client, &scope, (place.kind, &place.name), adopted::taken).await {
                Ok(seen) => ended.push((place, seen)),
                // There is nothing of it.
                Err(Fault::NotFound) => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        for (place, seen) in &ended {
            self.gone(place, seen).await?;
        }
        let places: Vec<Place> = ended.into_iter().map(|(place, _)| place).collect();
        self.suspend(&places).await?;
        if unseen {
            // All that could be found has ended first.
            return Err(Fault::refused("Kubernetes does not let the service look for the rest".to_owned()).into());
        }
        Ok(())
    }

    /// Waits until a workload has no pods any more.
    async fn gone(&self, place: &Place, ended: &Seen) -> Result<(), EndError> {
        let own = ended.template.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds);
        let grace = own.and_then(|seconds| u64::try_from(seconds).ok()).map_or(DEFAULT_GRACE, Duration::from_secs);
        let time = grace + END_PATIENCE;
        let deadline = Instant::now() + time;
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            let left = self.left(place).await;
            let late = Instant::now() >= deadline;
            match left {
                Ok(0) => return Ok(()),
                Ok(left) if late => {
                    let text = format!("{left} of its pods have not ended within {} s", time.as_secs());
                    return Err(Fault::refused(text).into());
                }
                // An outage in the middle is waited out; a server that has just begun may know no roles yet.
                Err(fault) if late => return Err(fault.into()),
                _ => self.change_until(&mut changes, deadline).await,
            }
        }
    }

    /// How many pods of a workload there are that have not ended.
    async fn left(&self, place: &Place) -> Result<usize, Fault> {
        let seen = match self.one(place).await {
            Err(Fault::NotFound) => return Ok(0),
            seen => seen?,
        };
        let replicas = usize::try_from(seen.present).unwrap_or(0);
        let Some(labels) = seen.pods().as_ref().map(Selector::to_string) else { return Ok(replicas) };
        let pods = list::<Pod>(&self.client, &self.scope(place)?.namespace, &labels, None).await?;
        // Where the numbers are those of before, there may be pods that are not made yet.
        let stale = usize::from(!seen.current);
        // One that was evicted or has failed stays in the list, and runs nothing.
        let live = pods.items.iter().filter(|pod| seen.owns(pod) && !has_ended(pod)).count();
        Ok(live.max(replicas).max(stale))
    }

    /// Suspends the cron jobs of those environments of which nothing runs any more.
    async fn suspend(&self, ended: &[Place]) -> Result<(), Fault> {
        let mut scopes: Vec<Scope> = Vec::new();
        for place in ended.iter().filter(|place| matches!(place.home, Home::Adopted(_))) {
            let scope = self.scope(place)?;
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        for scope in scopes {
            if workload::all(&self.client, &scope).await?.iter().all(|seen| seen.wanted == 0) {
                cron::suspend(&self.client, &scope).await?;
            }
        }
        Ok(())
    }
}

fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}
