//! The log of operations: what was done to which environment, when, and how it ended.

use std::collections::HashMap;

use access::AccountId;
use jiff::{SignedDuration, Timestamp};
use sqlx::Row;
use sqlx::any::AnyRow;
use storage::{StorageError, Transaction};

use super::{Store, row};
use crate::domain::{EnvName, EnvironmentId, Operation};

/// The most characters of an outcome that are kept.
const MOST_TEXT: usize = 500;

/// How long operations are kept.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As it was meant to.
    Done,
    /// The same, of what nobody has asked for: why it was done.
    Because(&'static str),
    /// Otherwise, with what its caller was told.
    Failed(String),
}

/// An operation of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoggedOperation {
    /// What was done.
    pub(crate) operation: Operation,
    /// When it began.
    pub(crate) begun_at: Timestamp,
    /// When and how it ended, if it has.
    pub(crate) ended: Option<(Timestamp, Outcome)>,
}

impl Outcome {
    fn word(&self) -> &'static str {
        match self {
            Self::Done | Self::Because(_) => "done",
            Self::Failed(_) => "failed",
        }
    }

    fn message(&self) -> Option<String> {
        match self {
            Self::Done => None,
            Self::Because(text) => Some((*text).to_owned()),
            Self::Failed(text) => Some(text.chars().take(MOST_TEXT).collect()),
        }
    }
}

/// Writes down that an operation begins.
pub(super) async fn log_begin(
    tx: &mut Transaction,
    (id, account, name): (EnvironmentId, AccountId, &EnvName),
    operation: Operation,
    at: Timestamp,
) -> Result<(), StorageError> {
    let number = tx.next_value("operation").await?;
    // What is kept is bounded: the last of each environment, and of environments that are gone those of the last month.
    sqlx::query(
        "delete from operation where environment_id = $1 and id <= \
         (select id from operation where environment_id = $1 order by id desc limit 1 offset 99)",
    )
    .bind(id.0.as_bytes().as_slice())
    .execute(&mut **tx)
    .await?;
    sqlx::query("delete from operation where account = $1 and begun_at < $2")
        .bind(account.0)
        .bind((at - KEPT).as_microsecond())
        .execute(&mut **tx)
        .await?;
    sqlx::query(
        "insert into operation (id, environment_id, environment, account, operation, begun_at) \
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(number)
    .bind(id.0.as_bytes().as_slice())
    .bind(name.as_str())
    .bind(account.0)
    .bind(operation.as_str())
    .bind(at.as_microsecond())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Writes down how the operation under way ended.
pub(super) async fn log_end(
    tx: &mut Transaction,
    id: EnvironmentId,
    outcome: &Outcome,
    at: Timestamp,
) -> Result<(), StorageError> {
    sqlx::query(
        "update operation set ended_at = $1, outcome = $2, message = $3 where environment_id = $4 and ended_at is null",
    )
    .bind(at.as_microsecond())
    .bind(outcome.word())
    .bind(outcome.message())
    .bind(id.0.as_bytes().as_slice())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

impl Store {
    /// The last operation on an environment.
    pub(crate) async fn last_operation(&self, id: EnvironmentId) -> Result<Option<LoggedOperation>, StorageError> {
        let found = sqlx::query(
            "select operation, begun_at, ended_at, outcome, message from operation \
             where environment_id = $1 order by id desc limit 1",
        )
        .bind(id.0.as_bytes().as_slice())
        .fetch_optional(self.database.reader())
        .await?;
        Ok(found.as_ref().map(logged).transpose()?)
    }

    /// The last operation on each of an account's environments.
    pub(crate) async fn last_operations(
        &self,
        account: AccountId,
    ) -> Result<HashMap<EnvironmentId, LoggedOperation>, StorageError> {
        let found = sqlx::query(
            "select environment.id, operation.operation, begun_at, ended_at, outcome, message \
             from environment join operation on operation.id = \
             (select max(last.id) from operation last where last.environment_id = environment.id) \
             where environment.account = $1",
        )
        .bind(account.0)
        .fetch_all(self.database.reader())
        .await?;
        let each = found.iter().map(|row| Ok((row::environment_id(row)?, logged(row)?)));
        Ok(each.collect::<Result<_, sqlx::Error>>()?)
    }
}

fn logged(found: &AnyRow) -> Result<LoggedOperation, sqlx::Error> {
    let ended: Option<i64> = found.try_get("ended_at")?;
    let message: Option<String> = found.try_get("message")?;
    let outcome: Option<String> = found.try_get("outcome")?;
    let outcome = match outcome.as_deref() {
        Some("failed") => Outcome::Failed(message.unwrap_or_default()),
        _ => Outcome::Done,
    };
    let ended = ended.map(|at| row::moment("ended_at", at).map(|at| (at, outcome))).transpose()?;
    let begun_at = row::moment("begun_at", found.try_get("begun_at")?)?;
    Ok(LoggedOperation { operation: row::parsed(found, "operation")?, begun_at, ended })
}
