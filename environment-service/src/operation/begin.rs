use std::future::Future;

use access::AccountId;
use storage::StorageError;

use super::Operations;
use super::claim::Claim;
use crate::domain::{Desired, EnvName, Environment, Operation};
use crate::store::{self, Outcome};

/// Why an operation was not begun.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BeginError {
    #[error("there is no such environment")]
    NotFound,
    #[error("another operation is under way")]
    Busy(Operation),
    #[error("the database did not keep the operation")]
    Storage(#[from] StorageError),
}

impl Operations {
    /// Begins an operation on an account's environment, unless another is under way.
    pub(super) async fn begin(
        &self,
        account: AccountId,
        name: &EnvName,
        operation: Operation,
    ) -> Result<(Environment, Claim), BeginError> {
        let found = self.store.find(account, name).await?.ok_or(BeginError::NotFound)?;
        if found.adopted.is_some() {
            if let Some(operation) = self.claims.operation(found.id) {
                return Err(BeginError::Busy(operation));
            }
            self.look_again(&found).await;
        }
        let claim = self.claims.claim(found.id, operation).map_err(BeginError::Busy)?;
        match self.store.begin_operation(found.id, operation, self.clock.now()).await {
            Ok(environment) => {
                self.news.send_replace(());
                Ok((environment, claim))
            }
            Err(store::BeginError::NotFound) => Err(BeginError::NotFound),
            Err(store::BeginError::Storage(error)) => Err(BeginError::Storage(error)),
            // Recorded, and nobody works on it: its beginning was recorded in an outage that hid it, or its task died.
            Err(store::BeginError::Busy(environment, torn)) => {
                if environment.operation.is_some() {
                    self.take_up(*environment, torn, claim);
                }
                Err(BeginError::Busy(torn))
            }
        }
    }

    /// Finishes, beside everything else, an operation that was torn off.
    pub(super) fn take_up(&self, environment: Environment, operation: Operation, claim: Claim) {
        tracing::warn!(
            environment.name = %environment.name,
            operation = operation.as_str(),
            "an unfinished operation is taken up"
        );
        let operations = self.clone();
        let resumed = async move {
            if let Some(environment) = operations.found_again(&environment, operation).await {
                operations.resume(&environment, operation).await;
            }
            drop(claim);
        };
        // Nobody waits for it but the end of the service.
        drop(self.lifecycle.spawn("environment.resume", self.under_way.track_future(resumed)));
    }

    async fn resume(&self, environment: &Environment, operation: Operation) {
        self.settle_torn(environment, operation).await;
        let result: Result<(), Box<dyn std::error::Error + Send + Sync>> = match operation {
            Operation::Create | Operation::Clone => self.finish_create(environment).await.map_err(Into::into),
            Operation::Start => self.finish_start(environment).await.map_err(Into::into),
            Operation::Stop => self.finish_stop(environment, Desired::Stopped).await.map_err(Into::into),
            Operation::Sleep => self.finish_stop(environment, Desired::Sleeping).await.map_err(Into::into),
            // What is recorded is what it is brought back to.
            Operation::Redeploy => self.finish_redeployment(environment).await.map_err(Into::into),
            Operation::Restart | Operation::Update => self.settle_again(environment).await.map_err(Into::into),
            Operation::Delete => self.finish_delete(environment, &Outcome::Done).await.map_err(Into::into),
        };
        let (name, operation) = (&environment.name, operation.as_str());
        match result {
            Ok(()) => tracing::info!(environment.name = %name, operation, "an unfinished operation is finished"),
            Err(error) => tracing::error!(environment.name = %name, operation, error, "an unfinished operation failed"),
        }
    }

    /// Records something that has happened, or reads what an operation goes on with. An outage of the database must not leave an
    /// environment locked, so this is tried until it succeeds or the service ends; then the next run takes it up.
    pub(super) async fn persist<T, F>(
        &self,
        environment: &Environment,
        mut record: impl FnMut() -> F + Send,
    ) -> Result<T, StorageError>
    where
        F: Future<Output = Result<T, StorageError>> + Send,
        T: Send,
    {
        let mut wait = super::FIRST_WAIT;
        loop {
            match record().await {
                Err(error) if error.is_unavailable() && !self.lifecycle.is_draining() => {
                    tracing::warn!(environment.name = %environment.name, %error, "an operation's end is not recorded yet");
                }
                recorded => return recorded,
            }
            tokio::select! {
                () = self.lifecycle.draining() => (),
                () = tokio::time::sleep(wait) => wait = super::LONGEST_WAIT.min(wait * 2),
            }
        }
    }
}
