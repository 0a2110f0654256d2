//! From what is to what is desired, by the plan.

use std::error::Error;
use std::fmt;

use storage::StorageError;
use uuid::Uuid;

use super::Operations;
use crate::domain::{Action, Desired, Environment, Launch, LaunchId, Node, NodeId, plan};
use crate::driver::{EndError, LaunchError, LaunchOrder};
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
        Self { id: node.id, group: node.group.to_string(), node_type: node.node_type.to_string() }
    }
}

impl fmt::Display for NodeLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {} (group `{}`, type `{}`)", self.id, self.group, self.node_type)
    }
}

impl Operations {
    /// Launches every node that does not run. Where one fails, those that were launched with it are ended again.
    pub(super) async fn bring_up(&self, environment: &Environment) -> Result<(), BringUpError> {
        let actions = self.plan(environment, Desired::Running).await;
        let left = to_end(environment, &actions);
        self.driver.end(&left).await?;
        self.store.forget(&ids(&left)).await?;

        let nodes: Vec<&Node> =
            environment.nodes.iter().filter(|node| actions.contains(&Action::Launch(node.id))).collect();
        let intents = self.intents(&nodes)?;
        self.store.intend(&intents).await?;
        let launched = self.launch(environment, &nodes, &intents).await;
        if let Err(error) = &launched {
            log(environment, error);
            self.undo(environment, &intents).await;
        }
        launched
    }

    /// Ends every node, and what is left of those that have ended.
    pub(super) async fn bring_down(&self, environment: &Environment) -> Result<(), EndError> {
        let left = to_end(environment, &self.plan(environment, Desired::Stopped).await);
        self.driver.end(&left).await?;
        if let Err(error) = self.store.forget(&ids(&left)).await {
            // They have ended all the same, which is seen at each look.
            tracing::warn!(environment.name = %environment.name, %error, "ended launches were not forgotten");
        }
        Ok(())
    }

    async fn plan(&self, environment: &Environment, desired: Desired) -> Vec<Action> {
        let seen = self.observe(environment).await;
        let observed: Vec<_> = environment.nodes.iter().map(|node| node.id).zip(seen).collect();
        plan(desired, &observed)
    }

    /// A mark for each launch, and a port where one is needed.
    fn intents(&self, nodes: &[&Node]) -> Result<Vec<Intent>, BringUpError> {
        let mut intents = Vec::new();
        let wanted: Vec<_> = nodes.iter().map(|node| (&node.node_type, node.port)).collect();
        let ports = self.driver.ports(&wanted).map_err(|(index, source)| {
            let node = NodeLabel::from(nodes[index]);
            BringUpError::Launch { node, source }
        })?;
        for (node, port) in nodes.iter().zip(ports) {
            intents.push(Intent { node: node.id, launch: LaunchId(Uuid::new_v4()), port });
        }
        Ok(intents)
    }

    async fn launch(&self, environment: &Environment, nodes: &[&Node], intents: &[Intent]) -> Result<(), BringUpError> {
        let mut launches = Vec::new();
        for (node, intent) in nodes.iter().zip(intents) {
            let order = LaunchOrder {
                launch: intent.launch,
                environment: environment.name.clone(),
                node: node.id,
                group: node.group.clone(),
                node_type: node.node_type.clone(),
                port: intent.port,
            };
            let failed = |source| BringUpError::Launch { node: NodeLabel::from(*node), source };
            let instance = self.driver.launch(&order).await.map_err(failed)?;
            self.store.record(intent.launch, &instance).await?;
            launches.push(Launch { id: intent.launch, instance: Some(instance) });
        }
        let Some(ended) = self.driver.ended_within(&launches, self.settle).await else { return Ok(()) };
        let index = launches.iter().position(|launch| launch.id == ended.launch).unwrap_or(0);
        Err(BringUpError::Ended { node: NodeLabel::from(nodes[index]), reason: ended.reason })
    }

    /// Ends what was launched in vain. What cannot be ended stays recorded, and shows.
    async fn undo(&self, environment: &Environment, intents: &[Intent]) {
        let launches: Vec<Launch> = intents.iter().map(|intent| Launch { id: intent.launch, instance: None }).collect();
        if let Err(error) = self.driver.end(&launches).await {
            tracing::error!(environment.name = %environment.name, %error, "nodes of a start that failed did not end");
            return;
        }
        if let Err(error) = self.store.forget(&ids(&launches)).await {
            tracing::warn!(environment.name = %environment.name, %error, "ended launches were not forgotten");
        }
    }
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
