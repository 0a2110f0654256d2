//! What ends by itself and is meant to run is launched again, where the operator's templates say so.

use std::collections::HashMap;
use std::time::Duration;

use storage::StorageError;
use tokio::sync::watch;

use super::{BringUpError, Operations, outcome};
use crate::domain::{Environment, Node, NodeId, Observed, Operation};
use crate::driver::Drivers;

/// The wait before the first attempt; each further one waits twice as long, up to the longest.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);
/// What has run for so long counts as healthy: the next attempt is a first one again.
const HEALTHY: Duration = Duration::from_secs(60);
/// How often everything is looked at in any case, should a driver have missed something.
const FALLBACK: Duration = Duration::from_secs(30);

/// The attempts to bring a node back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Attempts {
    /// How many there were.
    count: u32,
    /// When the last one was made.
    last: Duration,
}

impl Attempts {
    /// How long to wait before the next one.
    fn wait(self) -> Duration {
        LONGEST.min(FIRST * 2_u32.saturating_pow(self.count.min(16)))
    }

    /// From when on the next one may be made.
    fn due(self) -> Duration {
        self.last + self.wait()
    }
}

impl Operations {
    /// Looks after what runs until the drain begins.
    pub(crate) async fn supervise(self) {
        let mut news: Vec<watch::Receiver<()>> = self.drivers.all().map(|driver| driver.changes()).collect();
        // What something is done to is left alone until that ends.
        news.push(self.news.subscribe());
        let mut attempts = HashMap::new();
        loop {
            let next = match self.look_after(&mut attempts).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::warn!(%error, "what is meant to run is not known");
                    FALLBACK
                }
            };
            tokio::select! {
                () = self.lifecycle.draining() => return,
                () = Drivers::changed(&mut news) => (),
                () = tokio::time::sleep(next) => (),
            }
        }
    }

    /// Brings back what is due, and says after what time to look again.
    async fn look_after(&self, attempts: &mut HashMap<NodeId, Attempts>) -> Result<Duration, StorageError> {
        let mut next = FALLBACK;
        let mut looked_after = self.store.meant_to_run().await?;
        looked_after.retain(|environment| {
            let driver = self.drivers.of(environment);
            driver.is_ok_and(|driver| environment.nodes.iter().any(|node| driver.restarts(node)))
        });
        // All at once: a driver that does not answer holds up no other.
        let all_seen = self.observe_all(&looked_after).await;
        for (environment, seen) in looked_after.into_iter().zip(all_seen) {
            let Ok(driver) = self.drivers.of(&environment) else { continue };
            let now = self.clock.monotonic();
            let mut due = Vec::new();
            for (node, seen) in environment.nodes.iter().zip(&seen).filter(|(node, _)| driver.restarts(node)) {
                let tried = attempts.get(&node.id).copied();
                match (seen, tried) {
                    (Observed::Alive { .. }, Some(tried)) if now.saturating_sub(tried.last) >= HEALTHY => {
                        attempts.remove(&node.id);
                    }
                    (Observed::Alive { .. } | Observed::Unknown, _) => {}
                    (Observed::Absent | Observed::Dead { .. }, None) => {
                        // The first attempt waits too: what dies at once must not be launched as fast as it dies.
                        attempts.insert(node.id, Attempts { count: 0, last: now });
                        next = next.min(FIRST);
                    }
                    (Observed::Absent | Observed::Dead { .. }, Some(tried)) if tried.due() <= now => {
                        attempts.insert(node.id, Attempts { count: tried.count + 1, last: now });
                        due.push(node.id);
                    }
                    (Observed::Absent | Observed::Dead { .. }, Some(tried)) => next = next.min(tried.due() - now),
                }
            }
            if !due.is_empty() {
                next = next.min(FIRST);
                self.revive(&environment, due);
            }
        }
        Ok(next)
    }

    /// Launches nodes again, beside everything else, unless something is being done to the environment.
    fn revive(&self, environment: &Environment, nodes: Vec<NodeId>) {
        let (operations, account, name) = (self.clone(), environment.account, environment.name.clone());
        let revived = async move {
            let Ok((environment, _claim)) = operations.begin(account, &name, Operation::Restart).await else { return };
            tracing::warn!(environment.name = %name, nodes = nodes.len(), "nodes that have ended are launched again");
            let up = if environment.desired.is_running() {
                operations.revive_nodes(&environment, &nodes).await
            } else {
                // It was stopped in the meantime.
                Ok(())
            };
            operations.finish(&environment, environment.desired, &outcome(&up)).await;
        };
        drop(self.lifecycle.spawn("environment.revive", self.under_way.track_future(revived)));
    }

    /// Launches nodes together, and where that fails one by one, so that those which end again at once keep no others down.
    async fn revive_nodes(&self, environment: &Environment, nodes: &[NodeId]) -> Result<(), BringUpError> {
        let together = self.bring_up_where(environment, |node: &Node| nodes.contains(&node.id)).await;
        if together.is_ok() || nodes.len() == 1 {
            return together;
        }
        let mut nodes: Vec<&Node> = environment.nodes.iter().filter(|node| nodes.contains(&node.id)).collect();
        nodes.sort_by_key(|node| (node.rank, node.id));
        let mut revived = Ok(());
        for node in nodes {
            let current = self.store.get(environment.id).await?;
            let current = current.as_ref().unwrap_or(environment);
            let up = self.bring_up_where(current, |other: &Node| other.id == node.id).await;
            revived = revived.and(up);
        }
        revived
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_the_longest() {
        let wait = |count| Attempts { count, last: Duration::ZERO }.wait();
        assert_eq!([0, 1, 2].map(wait), [100, 200, 400].map(Duration::from_millis));
        assert_eq!([9, 100, u32::MAX].map(wait), [LONGEST; 3]);
        let later = Attempts { count: 1, last: Duration::from_secs(5) };
        assert_eq!(later.due(), Duration::from_millis(5_200));
    }
}
