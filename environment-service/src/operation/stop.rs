use access::AccountId;
use tokio::task::JoinError;

use super::{BeginError, Operations};
use crate::domain::{Desired, EnvName, Environment, Operation};
use crate::driver::EndError;

/// Why an environment was not stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StopError {
    #[error("the operation was not begun")]
    Begin(#[from] BeginError),
    #[error("the environment was not brought down")]
    Down(#[from] EndError),
    #[error("the operation was torn off")]
    Torn(#[from] JoinError),
}

impl Operations {
    /// Stops all of an environment that runs.
    pub(crate) async fn stop(&self, account: AccountId, name: EnvName) -> Result<(), StopError> {
        let operations = self.clone();
        self.detached("environment.stop", async move {
            let (environment, _claim) = operations.begin(account, &name, Operation::Stop).await?;
            Ok(operations.finish_stop(&environment).await?)
        })
        .await?
    }

    /// The part of a stop after its beginning. If it fails, the environment is meant to be what it was meant to be before.
    pub(super) async fn finish_stop(&self, environment: &Environment) -> Result<(), EndError> {
        let down = self.bring_down(environment).await;
        let desired = if down.is_ok() { Desired::Stopped } else { environment.desired };
        self.finish(environment, desired).await;
        down
    }
}
