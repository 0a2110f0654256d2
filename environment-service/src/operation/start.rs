use access::AccountId;
use tokio::task::JoinError;

use super::{BeginError, BringUpError, Operations, outcome};
use crate::domain::{Desired, EnvName, Environment, Operation};

/// Why an environment was not started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("the operation was not begun")]
    Begin(#[from] BeginError),
    #[error("the environment was not brought up")]
    Up(#[from] BringUpError),
    #[error("the operation was torn off")]
    Torn(#[from] JoinError),
}

impl Operations {
    /// Starts what does not run of an environment.
    pub(crate) async fn start(&self, account: AccountId, name: EnvName) -> Result<(), StartError> {
        let operations = self.clone();
        self.detached("environment.start", async move {
            let (environment, _claim) = operations.begin(account, &name, Operation::Start).await?;
            Ok(operations.finish_start(&environment).await?)
        })
        .await?
    }

    /// The part of a start after its beginning. If it fails, the environment is meant to be what it was meant to be before.
    pub(super) async fn finish_start(&self, environment: &Environment) -> Result<(), BringUpError> {
        let up = self.bring_up(environment).await;
        let desired = if up.is_ok() { Desired::Running } else { environment.desired };
        self.finish(environment, desired, &outcome(&up)).await;
        up
    }
}
