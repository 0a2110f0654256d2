use access::AccountId;
use tokio::task::JoinError;

use super::{BeginError, BringUpError, Operations, outcome};
use crate::domain::{Action, Desired, EnvName, Environment, NodeId, Operation, Selection, SelectionError};
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
        if !environment.desired.is_running() {
            return Err(RestartError::NotRunning(environment.desired));
        }
        Ok(self.relaunch(environment, &nodes).await?)
    }

    /// Ends nodes and launches them again, with what is recorded of them now.
    pub(super) async fn relaunch(&self, environment: &Environment, nodes: &[NodeId]) -> Result<(), BringUpError> {
        let launched = |id: &&NodeId| environment.nodes.iter().any(|node| node.id == **id && node.launch.is_some());
        let ends: Vec<Action> = nodes.iter().filter(launched).copied().map(Action::End).collect();
        self.end(environment, &ends).await?;
        let current = self.store.get(environment.id).await?;
        self.bring_up(current.as_ref().unwrap_or(environment)).await
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
