use access::AccountId;
use tokio::task::JoinError;
use uuid::Uuid;

use super::{BringUpError, Operations, outcome};
use crate::domain::{Desired, DriverKind, Environment, EnvironmentId, EnvironmentSpec, Operation};
use crate::driver::{LaunchError, traced};
use crate::store::{self, NewEnvironment, Outcome};

/// Why an environment was not created.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateError {
    #[error("what it runs could not be got: {0}")]
    Prepare(#[source] LaunchError),
    #[error("the environment was not recorded")]
    Record(#[from] store::CreateError),
    #[error("the environment was not brought up")]
    Up(#[from] BringUpError),
    #[error("the operation was torn off")]
    Torn(#[from] JoinError),
}

impl Operations {
    /// Makes an environment and starts it. If it does not start, there is none.
    pub(crate) async fn create(
        &self,
        account: AccountId,
        spec: EnvironmentSpec,
        driver: DriverKind,
        operation: Operation,
    ) -> Result<EnvironmentId, CreateError> {
        let operations = self.clone();
        self.detached("environment.create", async move {
            operations.prepare(driver, &spec).await?;
            let id = EnvironmentId(Uuid::new_v4());
            let quota = operations.policies.of(account).quota;
            let new =
                NewEnvironment { id, account, spec, driver, operation, quota, created_at: operations.clock.now() };
            let _claim = operations.claims.claim(id, operation);
            let environment = operations.store.create(new).await?;
            operations.news.send_replace(());
            operations.finish_create(&environment).await?;
            Ok(id)
        })
        .await?
    }

    /// Gets what launches need before anything is recorded: where that cannot be had, there is nothing to undo.
    async fn prepare(&self, driver: DriverKind, spec: &EnvironmentSpec) -> Result<(), CreateError> {
        let driver = self.drivers.get(driver).map_err(BringUpError::Driver)?;
        for node in spec.nodes() {
            let prepared = traced(driver.kind(), "prepare", driver.prepare(&node.workload)).await;
            prepared.map_err(CreateError::Prepare)?;
        }
        Ok(())
    }

    /// The part of a creation after its beginning.
    pub(super) async fn finish_create(&self, environment: &Environment) -> Result<(), BringUpError> {
        let up = self.bring_up(environment).await;
        match &up {
            Ok(()) => self.finish(environment, Desired::Running, &Outcome::Done).await,
            Err(_) => self.forget_unstarted(environment, &outcome(&up)).await,
        }
        up
    }

    /// Whatever cannot be undone stays, stopped, to be deleted by its owner.
    async fn forget_unstarted(&self, environment: &Environment, outcome: &Outcome) {
        if let Err(error) = self.finish_delete(environment, outcome).await {
            tracing::error!(environment.name = %environment.name, %error, "a creation that failed was not undone");
        }
    }
}
