//! A database behind one SQL text, SQLite or PostgreSQL: opening, named transactions, numbers in commit order, schema. It
//! knows no table but `counter`, and no service.
//!
//! What works on both engines: `$1` placeholders; columns of `bigint`, `text` and `bytea` (no `boolean`: SQLite's cannot be
//! read back); upserts and `returning`. What does not, triggers for one, stands in a migration for each engine.

mod again;
mod backup;
mod checkpoints;
mod database;
mod engine;
mod error;
mod notification;
mod schema;
mod transaction;
mod url;

pub use backup::BackupError;
pub use database::{Database, DatabaseOptions, OpenError};
pub use engine::Engine;
pub use error::StorageError;
pub use notification::Notifications;
pub use schema::{MigrateError, SchemaError};
pub use transaction::Transaction;
pub use url::{DatabaseUrl, DatabaseUrlError};
