//! What the authority keeps, in SQLite or PostgreSQL: the only module that speaks SQL. Each function is one transaction or
//! one statement, and nothing waits for anything else inside a transaction.

mod account;
mod audit;
mod change;
mod credential;
mod credential_use;
mod notice;
mod possession;
mod row;
mod session;
mod token;

pub(crate) use account::CreateAccountError;
pub(crate) use audit::{AuditError, AuditRow};
pub(crate) use credential::Introspected;
pub(crate) use session::SessionError;
pub(crate) use token::TokenError;

use storage::{Database, StorageError};

pub(crate) static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// The authority's database.
#[derive(Clone)]
pub(crate) struct Store {
    database: Database,
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
