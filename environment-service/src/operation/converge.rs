//! From what is to what is desired, by the plan.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use storage::StorageError;
use uuid::Uuid;

use super::Operations;
use crate::domain::{
    Action, Desired, DriverKind, Environment, Launch, LaunchId, Node, NodeId, Observed, Operation, plan,
};
use crate::driver::{Driver, EndError, LaunchError, LaunchOrder, NoDriver, NodeAt, traced};
use crate::store::Intent;

/// Why an environment does not run. What was launched in vain has been ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BringUpError {
    #[error("what was left of its nodes did not end")]
    End(#[from] EndError),
    #[error("{node} could not be launched")]
    Launch { node: NodeLabel, source: LaunchError },
    #[error("{node} {reason}")]
    Ended { node: NodeLabel, reason: String },
    #[error("the database did not keep a launch")]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Driver(#[from] NoDriver),
    #[error("what its nodes are cannot be seen: {} does not answer", .0.as_str())]
    Unseen(DriverKind),
}

/// A node, for a sentence.
#[derive(Clone, Debug)]
pub(crate) struct NodeLabel {
    id: NodeId,
    group: String,
    node_type: String,
}

impl From<&Node> for NodeLabel {
    fn from(node: &Node) -> Self {
        Self { id: node.id, group: node.group.to_string(), node_type: node.workload.node_type.to_string() }
    }
}

impl fmt::Display for NodeLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {} (group `{}`, type `{}`)", self.id, self.group, self.node_type)
    }
}

/// Why not all of an environment has ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BringDownError {
    #[error(transparent)]
    Driver(#[from] NoDriver),
    #[error("what its nodes are cannot be seen: {} does not answer", .0.as_str())]
    Unseen(DriverKind),
    #[error(transparent)]
    End(#[from] EndError),
    #[error("the database did not keep what is to end")]
    Storage(#[from] StorageError),
}

impl From<BringDownError> for BringUpError {
    fn from(error: BringDownError) -> Self {
        match error {
            BringDownError::Driver(error) => Self::Driver(error),
            BringDownError::Unseen(kind) => Self::Unseen(kind),
            BringDownError::End(error) => Self::End(error),
            BringDownError::Storage(error) => Self::Storage(error),
        }
    }
}

impl Operations {
    /// Launches every node that does not run. Where one fails, those that were launched with it are ended again, but for those of
    /// which something was left that the driver launches over.
    pub(super) async fn bring_up(&self, environment: &Environment) -> Result<(), BringUpError> {
        self.bring_up_where(environment, |_| true).await
    }

    /// The same with some of the nodes; the others are left as they are.
    pub(super) async fn bring_up_where(
        &self,
        environment: &Environment,
        meant: impl Fn(&Node) -> bool,
    ) -> Result<(), BringUpError> {
        let driver = self.drivers.of(environment)?;
        let mut actions = self.plan(environment, Desired::Running).await?;
        let of = |id: &NodeId| environment.nodes.iter().find(|node| node.id == *id);
        actions.retain(|action| of(&action.node()).is_some_and(&meant));
        let mut nodes: Vec<&Node> =
            environment.nodes.iter().filter(|node| actions.contains(&Action::Launch(node.id))).collect();
        // What was there before has all that it needs.
        for node in nodes.iter().filter(|node| node.adopted.is_none()) {
            let failed = |source| BringUpError::Launch { node: NodeLabel::from(*node), source };
            traced(driver.kind(), "prepare", driver.prepare(&node.workload)).await.map_err(failed)?;
        }
        let left = to_end(environment, &actions);
        if !left.is_empty() && !driver.launches_over() {
            traced(driver.kind(), "end", driver.end(&left)).await?;
            self.store.forget(&ids(&left)).await?;
        }
        let left = if driver.launches_over() { left } else { Vec::new() };
        nodes.sort_by_key(|node| (node.rank, node.id));
        let intents = intents(driver, &nodes, &left)?;
        self.store.intend(&intents).await?;
        let launched = self.launch(driver, environment, &nodes, &intents).await;
        if let Err(error) = &launched {
            log(environment, error);
            // What was left of a node is as it was, or better.
            let made: Vec<Intent> = intents.iter().copied().filter(|intent| intent.replaces.is_none()).collect();
            self.undo(driver, environment, &made).await;
        }
        launched
    }

    /// Ends every node, and what is left of those that have ended: those that were started last first.
    pub(super) async fn bring_down(&self, environment: &Environment) -> Result<(), BringDownError> {
        let actions = self.plan(environment, Desired::Stopped).await?;
        self.end(environment, &actions).await
    }

    /// Ends what a plan says, in the order of ranks from behind.
    pub(super) async fn end(&self, environment: &Environment, actions: &[Action]) -> Result<(), BringDownError> {
        let driver = self.drivers.of(environment)?;
        let mut ranks: BTreeMap<i32, Vec<Launch>> = BTreeMap::new();
        for node in environment.nodes.iter().filter(|node| actions.contains(&Action::End(node.id))) {
            ranks.entry(node.rank).or_default().extend(node.launch.clone());
        }
        for launches in ranks.into_values().rev() {
            let marks = ids(&launches);
            self.persist(environment, || self.store.begin_ending(&marks)).await?;
            traced(driver.kind(), "end", driver.end(&launches)).await?;
            if let Err(error) = self.store.forget(&marks).await {
                // They have ended all the same, which is seen at each look.
                tracing::warn!(environment.name = %environment.name, %error, "ended launches were not forgotten");
            }
        }
        Ok(())
    }

    /// What is to be done; nothing at all where not all can be seen.
    async fn plan(&self, environment: &Environment, desired: Desired) -> Result<Vec<Action>, BringDownError> {
        self.drivers.of(environment)?;
        let seen = self.observe(environment).await;
        if seen.contains(&Observed::Unknown) {
            return Err(BringDownError::Unseen(environment.driver));
        }
        // What was told to end is not what is to run, although it may run still.
        let of = |(node, seen): (&Node, Observed)| {
            let ended = node.ending && seen.is_alive();
            (node.id, if ended { Observed::Dead { reason: None } } else { seen })
        };
        let observed: Vec<_> = environment.nodes.iter().zip(seen).map(of).collect();
        Ok(plan(desired, &observed))
    }

    async fn launch(
        &self,
        driver: &Arc<dyn Driver>,
        environment: &Environment,
        nodes: &[&Node],
        intents: &[Intent],
    ) -> Result<(), BringUpError> {
        let mut launches: Vec<(&Node, Launch)> = Vec::new();
        let mut rank = None;
        for (node, intent) in nodes.iter().zip(intents) {
            // What others need is there before them.
            if rank.is_some_and(|rank| rank < node.rank) {
                self.settle(driver, &launches).await?;
            }
            rank = Some(node.rank);
            let order = LaunchOrder::new(NodeAt { environment, node }, intent.launch, intent.port);
            let failed = |source| BringUpError::Launch { node: NodeLabel::from(*node), source };
            let instance = traced(driver.kind(), "launch", driver.launch(&order)).await.map_err(failed)?;
            self.store.record(intent.launch, &instance).await?;
            launches.push((node, Launch { id: intent.launch, instance: Some(instance) }));
        }
        self.settle(driver, &launches).await
    }

    /// Waits until launches have settled.
    pub(super) async fn settle(
        &self,
        driver: &Arc<dyn Driver>,
        launched: &[(&Node, Launch)],
    ) -> Result<(), BringUpError> {
        let launches: Vec<Launch> = launched.iter().map(|(_, launch)| launch.clone()).collect();
        let Some(ended) = driver.ended_within(&launches, self.settle).await else { return Ok(()) };
        let index = launches.iter().position(|launch| launch.id == ended.launch).unwrap_or(0);
        Err(BringUpError::Ended { node: NodeLabel::from(launched[index].0), reason: ended.reason })
    }

    /// Gives what runs after an operation was torn off the time that a launch has: it may have been launched, or told to begin anew,
    /// right before. Whatever has ended by then is launched again by whoever takes the operation up.
    pub(super) async fn settle_torn(&self, environment: &Environment, operation: Operation) {
        use Operation::{Clone, Create, Delete, Redeploy, Restart, Sleep, Start, Stop, Update};

        match operation {
            Create | Clone | Start | Restart | Update => {}
            // All is ended, or all that was changed is launched again.
            Stop | Sleep | Delete | Redeploy => return,
        }
        let Ok(driver) = self.drivers.of(environment) else { return };
        let seen = self.observe(environment).await;
        let alive = environment.nodes.iter().zip(seen).filter(|(_, seen)| seen.is_alive());
        let mut launches: Vec<Launch> = alive.filter_map(|(node, _)| node.launch.clone()).collect();
        while !launches.is_empty() {
            let Some(ended) = driver.ended_within(&launches, self.settle).await else { return };
            launches.retain(|launch| launch.id != ended.launch);
        }
    }

    /// Ends what was launched in vain. What cannot be ended stays recorded, and shows.
    async fn undo(&self, driver: &Arc<dyn Driver>, environment: &Environment, intents: &[Intent]) {
        let current = self.store.get(environment.id).await.ok().flatten();
        let launches: Vec<Launch> = intents
            .iter()
            .map(|intent| {
                let node = current.as_ref().and_then(|found| found.nodes.iter().find(|node| node.id == intent.node));
                let recorded = node.and_then(|node| node.launch.clone()).filter(|launch| launch.id == intent.launch);
                recorded.unwrap_or(Launch { id: intent.launch, instance: None })
            })
            .collect();
        if let Err(error) = self.store.begin_ending(&ids(&launches)).await {
            // They are told all the same: that they run is worse than that it is not known why they end.
            tracing::warn!(environment.name = %environment.name, %error, "what is told to end is not recorded");
        }
        if let Err(error) = traced(driver.kind(), "end", driver.end(&launches)).await {
            tracing::error!(environment.name = %environment.name, %error, "nodes of a start that failed did not end");
            return;
        }
        if let Err(error) = self.store.forget(&ids(&launches)).await {
            tracing::warn!(environment.name = %environment.name, %error, "ended launches were not forgotten");
        }
    }
}

/// A mark for each launch, and a port where one is needed. Those of these launches take the place of what is left.
fn intents(driver: &Arc<dyn Driver>, nodes: &[&Node], left: &[Launch]) -> Result<Vec<Intent>, BringUpError> {
    let made: Vec<&&Node> = nodes.iter().filter(|node| node.adopted.is_none()).collect();
    let wanted: Vec<_> = made.iter().map(|node| (&node.workload, node.port)).collect();
    let ports = driver.ports(&wanted).map_err(|(index, source)| {
        let node = NodeLabel::from(*made[index]);
        BringUpError::Launch { node, source }
    })?;
    let mut ports = ports.into_iter();
    let intent = |node: &&Node| {
        // What was there before has the port that it was given there.
        let port = if node.adopted.is_some() { node.port } else { ports.next().flatten() };
        let launched = node.launch.as_ref().map(|launch| launch.id);
        let replaces = launched.filter(|id| left.iter().any(|launch| launch.id == *id));
        Intent { node: node.id, launch: LaunchId(Uuid::new_v4()), port, replaces }
    };
    Ok(nodes.iter().map(intent).collect())
}

/// What is wrong with the machine or the configuration is for the operator, not for the caller.
fn log(environment: &Environment, error: &BringUpError) {
    let cause = error.source();
    let root = cause.and_then(Error::source);
    tracing::warn!(environment.name = %environment.name, %error, cause, root, "an environment does not start");
}

fn to_end(environment: &Environment, actions: &[Action]) -> Vec<Launch> {
    let ended = environment.nodes.iter().filter(|node| actions.contains(&Action::End(node.id)));
    ended.filter_map(|node| node.launch.clone()).collect()
}

fn ids(launches: &[Launch]) -> Vec<LaunchId> {
    launches.iter().map(|launch| launch.id).collect()
}
