//! What is kept of environments, in SQLite or PostgreSQL: the only module that speaks SQL. Each function is one transaction
//! or one statement, and nothing waits for anything else inside a transaction.

mod adopt;
mod change;
mod departed;
mod groups;
mod launch;
mod log;
mod operation;
mod quota;
mod read;
mod row;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use adopt::{Adoption, is_current};
pub(crate) use departed::Learned;
pub(crate) use groups::{GroupChange, GroupError};
pub(crate) use launch::Intent;
pub(crate) use log::{LoggedOperation, Outcome};
pub(crate) use operation::BeginError;
pub(crate) use write::{CreateError, NewEnvironment};

use storage::{Database, StorageError};

pub(crate) static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// The environments' database.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    database: Database,
}

/// A change that found something else than it had to.
#[derive(Debug, thiserror::Error)]
#[error("{changed} rows of {table} were changed, not {expected}")]
struct WrongRows {
    table: &'static str,
    changed: u64,
    expected: u64,
}

impl Store {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Whether the database answers.
    pub(crate) async fn ping(&self) -> Result<(), StorageError> {
        self.database.ping().await
    }

    pub(crate) async fn close(&self) {
        self.database.close().await;
    }
}

/// A change of a record that has to be there: otherwise two of us change it, which the design rules out.
fn changed_one(table: &'static str, changed: u64) -> Result<(), StorageError> {
    if changed == 1 {
        return Ok(());
    }
    let error = WrongRows { table, changed, expected: 1 };
    Err(StorageError::Refused(sqlx::Error::AnyDriverError(Box::new(error))))
}
