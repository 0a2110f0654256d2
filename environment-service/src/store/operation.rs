use jiff::Timestamp;
use storage::{StorageError, Transaction};

use super::log::{Outcome, log_begin, log_end};
use super::read::{BY_ID, gather};
use super::{Store, changed_one};
use crate::domain::{Desired, Environment, EnvironmentId, Operation};

#[derive(Debug, thiserror::Error)]
pub(crate) enum BeginError {
    #[error("there is no such environment")]
    NotFound,
    #[error("another operation is under way")]
    Busy(Box<Environment>, Operation),
    #[error("the database did not keep the operation")]
    Storage(#[from] StorageError),
}

impl From<sqlx::Error> for BeginError {
    fn from(error: sqlx::Error) -> Self {
        Self::Storage(error.into())
    }
}

impl Store {
    /// Begins an operation on an environment, unless another is under way, and answers the environment as it is then.
    pub(crate) async fn begin_operation(
        &self,
        id: EnvironmentId,
        operation: Operation,
        at: Timestamp,
    ) -> Result<Environment, BeginError> {
        let mut tx = self.database.begin("operation.begin").await?;
        let begun = begin(&mut tx, id, operation).await?;
        let rows = sqlx::query(BY_ID).bind(id.0.as_bytes().as_slice()).fetch_all(&mut *tx).await?;
        let environment = gather(&rows)?.pop().ok_or(BeginError::NotFound)?;
        if begun {
            log_begin(&mut tx, (id, environment.account, &environment.name), operation, at).await?;
            tx.commit().await?;
            return Ok(environment);
        }
        // None: it was freed between the two statements, which is as good as a little later.
        let other = environment.operation.unwrap_or(operation);
        Err(BeginError::Busy(Box::new(environment), other))
    }

    /// Ends the operation under way, and says what the environment is meant to be from now on.
    pub(crate) async fn finish_operation(
        &self,
        id: EnvironmentId,
        desired: Desired,
        outcome: &Outcome,
        at: Timestamp,
    ) -> Result<(), StorageError> {
        let mut tx = self.database.begin("operation.finish").await?;
        let finished = sqlx::query(
            "update environment set operation = null, desired = $1 where id = $2 and operation is not null",
        )
        .bind(desired.as_str())
        .bind(id.0.as_bytes().as_slice())
        .execute(&mut *tx)
        .await?;
        changed_one("environment", finished.rows_affected())?;
        log_end(&mut tx, id, outcome, at).await?;
        tx.commit().await
    }
}

async fn begin(tx: &mut Transaction, id: EnvironmentId, operation: Operation) -> Result<bool, sqlx::Error> {
    let begun = sqlx::query("update environment set operation = $1 where id = $2 and operation is null")
        .bind(operation.as_str())
        .bind(id.0.as_bytes().as_slice())
        .execute(&mut **tx)
        .await?;
    Ok(begun.rows_affected() == 1)
}
