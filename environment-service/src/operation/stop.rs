use access::AccountId;
use tokio::task::JoinError;

use super::{BeginError, BringDownError, Operations, outcome};
use crate::domain::{Desired, EnvName, Environment, Operation};

/// Why an environment was not stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StopError {
    #[error("the operation was not begun")]
    Begin(#[from] BeginError),
    #[error("the environment was not brought down")]
    Down(#[from] BringDownError),
    #[error("the operation was torn off")]
    Torn(#[from] JoinError),
}

impl Operations {
    /// Stops all of an environment that runs.
    pub(crate) async fn stop(&self, account: AccountId, name: EnvName) -> Result<(), StopError> {
        self.come_down(account, name, Operation::Stop, Desired::Stopped).await
    }

    /// The same, until it is started again.
    pub(crate) async fn sleep(&self, account: AccountId, name: EnvName) -> Result<(), StopError> {
        self.come_down(account, name, Operation::Sleep, Desired::Sleeping).await
    }

    async fn come_down(
        &self,
        account: AccountId,
        name: EnvName,
        operation: Operation,
        desired: Desired,
    ) -> Result<(), StopError> {
        let operations = self.clone();
        self.detached("environment.stop", async move {
            let (environment, _claim) = operations.begin(account, &name, operation).await?;
            Ok(operations.finish_stop(&environment, desired).await?)
        })
        .await?
    }

    /// The part of a stop after its beginning. If it fails, the environment is meant to be what it was meant to be before.
    pub(super) async fn finish_stop(&self, environment: &Environment, desired: Desired) -> Result<(), BringDownError> {
        let down = self.bring_down(environment).await;
        let desired = if down.is_ok() { desired } else { environment.desired };
        self.finish(environment, desired, &outcome(&down)).await;
        down
    }
}
