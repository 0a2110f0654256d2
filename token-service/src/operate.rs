//! Copies of the database, and its return to an earlier state.

use std::path::Path;

use lifecycle::Clock;
use storage::{BackupError, Database, DatabaseOptions, OpenError, SchemaError, StorageError};

use crate::Config;
use crate::store::{MIGRATIONS, Store};

/// Why an operator's command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    /// The database cannot be opened.
    #[error("the database cannot be opened")]
    Open(#[from] OpenError),
    /// The database is not of this version.
    #[error("the database's schema does not fit")]
    Schema(#[from] SchemaError),
    /// The database was not copied.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The database did not keep the change.
    #[error("the database did not keep the change")]
    Storage(#[from] StorageError),
}

/// Copies the database into a new file, as it is at one moment. Services may use it meanwhile.
///
/// # Errors
/// Where the database cannot be read, is none of SQLite's, or the file is there already.
pub async fn backup(config: &Config, file: &Path) -> Result<(), OperateError> {
    let database = open(config).await?;
    let copied = database.copy_to(file).await;
    database.close().await;
    Ok(copied?)
}

/// Makes a database that was put back to an earlier state fit to be served from: nothing that was given out since is given out
/// again, and no holder goes on where it stopped. Returns when every lease that was given before has run out, so that no revocation
/// from then on is confirmed without those who have one. No replica may run meanwhile.
///
/// # Errors
/// Where the database cannot be opened or changed, or is not of this version.
pub async fn restored(config: &Config) -> Result<(), OperateError> {
    let store = Store::new(open(config).await?);
    let done = store.start_anew(Clock::system().now()).await;
    store.close().await;
    done?;
    let longest = config.lease_duration.unsigned_abs();
    tokio::time::sleep(longest + longest / 20).await;
    Ok(())
}

async fn open(config: &Config) -> Result<Database, OperateError> {
    let database = Database::open(&config.database_url, &DatabaseOptions::default()).await?;
    database.check_schema(&MIGRATIONS).await?;
    Ok(database)
}
