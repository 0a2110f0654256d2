use access::AccountId;
use storage::StorageError;
use tokio::task::JoinError;

use super::{BeginError, BringDownError, Operations, outcome};
use crate::domain::{Desired, EnvName, Environment, NotOurs, Operation};
use crate::driver::{ClearError, NoDriver, traced};
use crate::store::Outcome;

/// Why an environment was not deleted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeleteError {
    #[error("the operation was not begun")]
    Begin(#[from] BeginError),
    #[error(transparent)]
    NotOurs(#[from] NotOurs),
    #[error("the environment was not brought down")]
    Down(#[from] BringDownError),
    #[error(transparent)]
    Driver(#[from] NoDriver),
    #[error("what is kept for it was not removed")]
    Clear(#[from] ClearError),
    #[error("the database did not forget it")]
    Storage(#[from] StorageError),
    #[error("the operation was torn off")]
    Torn(#[from] JoinError),
}

impl Operations {
    /// Stops an environment and forgets it.
    pub(crate) async fn delete(&self, account: AccountId, name: EnvName) -> Result<(), DeleteError> {
        if let Some(found) = self.store.find(account, &name).await? {
            found.may_be_removed()?;
        }
        let operations = self.clone();
        self.detached("environment.delete", async move {
            let (environment, _claim) = operations.begin(account, &name, Operation::Delete).await?;
            operations.finish_delete(&environment, &Outcome::Done).await
        })
        .await?
    }

    /// The part of a deletion after its beginning. If it fails, the environment is there as before, as far as it still is; what has
    /// ended is not started again.
    /// `done` is how the operation is logged to have ended that led to this.
    pub(super) async fn finish_delete(&self, environment: &Environment, done: &Outcome) -> Result<(), DeleteError> {
        let gone = self.remove(environment, done).await;
        if let Err(error) = &gone {
            let has_ended = matches!(error, DeleteError::Clear(_) | DeleteError::Storage(_));
            let desired = if has_ended { Desired::Stopped } else { environment.desired };
            self.finish(environment, desired, &outcome(&gone)).await;
        }
        gone
    }

    async fn remove(&self, environment: &Environment, done: &Outcome) -> Result<(), DeleteError> {
        // A creation that failed recorded launches after the environment was read.
        let current = self.store.get(environment.id).await.ok().flatten();
        self.bring_down(current.as_ref().unwrap_or(environment)).await?;
        let driver = self.drivers.of(environment)?;
        traced(driver.kind(), "clear", driver.clear(environment)).await?;
        // Asked here, so that a deletion that was torn off tells it too.
        let because = Outcome::Because(super::departed::REASON);
        let departed = self.store.has_departed(environment.account).await.unwrap_or(false);
        let done = if departed { &because } else { done };
        let at = self.clock.now();
        self.persist(environment, || self.store.delete(environment.id, done, at)).await?;
        self.news.send_replace(());
        Ok(())
    }
}
