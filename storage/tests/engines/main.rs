//! Each promise of the crate, on SQLite and on PostgreSQL.

#![expect(clippy::unwrap_used, reason = "what the tests share fails the test that calls it")]

mod again;
mod backup;
mod opening;
mod schema;
mod tls;
mod transactions;

use storage::{Database, DatabaseOptions};
use testkit::TestDatabase;

async fn open(at: &TestDatabase) -> Database {
    Database::open(&at.url.parse().unwrap(), &DatabaseOptions::default()).await.unwrap()
}
