use access::AccountId;
use tokio::task::JoinError;

use super::converge::NodeLabel;
use super::{BeginError, BringUpError, Operations, outcome};
use crate::domain::{Action, Desired, EnvName, Environment, Node, NodeId, Operation, Selection, SelectionError};
use crate::driver::{LaunchOrder, NodeAt, traced};
use crate::store::Outcome;

/// Why nodes were not restarted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestartError {
    #[error("the operation was not begun")]
    Begin(#[from] BeginError),
    #[error(transparent)]
    Selection(#[from] SelectionError),
    #[error("the environment is not meant to run")]
    NotRunning(Desired),
    #[error("the environment was not brought up again")]
    Up(#[from] BringUpError),
    #[error("the operation was torn off")]
    Torn(#[from] JoinError),
}

impl Operations {
    /// Ends nodes and launches them again.
    pub(crate) async fn restart(
        &self,
        account: AccountId,
        name: EnvName,
        selection: Selection,
    ) -> Result<(), RestartError> {
        // What is refused anyhow is no operation.
        if let Some(found) = self.store.find(account, &name).await.map_err(BeginError::Storage)? {
            selection.of(&found)?;
            if found.operation.is_none() {
                may_be_restarted(&found)?;
            }
        }
        let operations = self.clone();
        self.detached("environment.restart", async move {
            let (environment, _claim) = operations.begin(account, &name, Operation::Restart).await?;
            let restarted = operations.restart_nodes(&environment, &selection).await;
            operations.finish(&environment, environment.desired, &outcome(&restarted)).await;
            restarted
        })
        .await?
    }

    async fn restart_nodes(&self, environment: &Environment, selection: &Selection) -> Result<(), RestartError> {
        let nodes: Vec<NodeId> = selection.of(environment)?.into_iter().map(|node| node.id).collect();
        may_be_restarted(environment)?;
        let left = self.restart_by_driver(environment, &nodes).await?;
        if left.is_empty() { Ok(()) } else { Ok(self.relaunch(environment, &left).await?) }
    }

    /// Restarts those nodes that the driver has a way of its own for, in the order of starts, and says which are left. What it
    /// was about to replace goes on where it fails.
    async fn restart_by_driver(
        &self,
        environment: &Environment,
        nodes: &[NodeId],
    ) -> Result<Vec<NodeId>, BringUpError> {
        let driver = self.drivers.of(environment)?;
        let mut chosen: Vec<&Node> = environment.nodes.iter().filter(|node| nodes.contains(&node.id)).collect();
        chosen.sort_by_key(|node| (node.rank, node.id));
        let mut left = Vec::new();
        for node in chosen {
            let Some(launch) = &node.launch else {
                left.push(node.id);
                continue;
            };
            let order = LaunchOrder::new(NodeAt { environment, node }, launch.id, node.port);
            let Some(restarted) = driver.restart(&order, launch) else {
                left.push(node.id);
                continue;
            };
            let restarted = traced(driver.kind(), "restart", restarted).await;
            restarted.map_err(|source| BringUpError::Launch { node: NodeLabel::from(node), source })?;
            self.settle(driver, &[(node, launch.clone())]).await?;
        }
        Ok(left)
    }

    /// Ends nodes and launches them again, with what is recorded of them now.
    pub(super) async fn relaunch(&self, environment: &Environment, nodes: &[NodeId]) -> Result<(), BringUpError> {
        let launched = |id: &&NodeId| environment.nodes.iter().any(|node| node.id == **id && node.launch.is_some());
        let ends: Vec<Action> = nodes.iter().filter(launched).copied().map(Action::End).collect();
        self.end(environment, &ends).await?;
        let current = self.store.get(environment.id).await?;
        // Others that do not run are not to take these with them.
        self.bring_up_where(current.as_ref().unwrap_or(environment), |node| nodes.contains(&node.id)).await
    }

    /// After something that was torn off in the middle: what is meant to run runs, as it is recorded.
    pub(super) async fn settle_again(&self, environment: &Environment) -> Result<(), BringUpError> {
        let up = if environment.desired.is_running() { self.bring_up(environment).await } else { Ok(()) };
        let outcome = match &up {
            Ok(()) => Outcome::Failed("it was torn off with the service, and what was meant to run runs".to_owned()),
            Err(error) => Outcome::Failed(error.to_string()),
        };
        self.finish(environment, environment.desired, &outcome).await;
        up
    }
}

fn may_be_restarted(environment: &Environment) -> Result<(), RestartError> {
    if environment.desired.is_running() { Ok(()) } else { Err(RestartError::NotRunning(environment.desired)) }
}
