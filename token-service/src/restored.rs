//! The return of the database to an earlier state.

use lifecycle::Clock;
use storage::{Database, DatabaseOptions, OpenError, SchemaError, StorageError};

use crate::Config;
use crate::store::{MIGRATIONS, Store};

/// Why a database was not made fit to be served from.
#[derive(Debug, thiserror::Error)]
pub enum RestoredError {
    /// The database cannot be opened.
    #[error("the database cannot be opened")]
    Open(#[from] OpenError),
    /// The database is not of this version.
    #[error("the database's schema does not fit")]
    Schema(#[from] SchemaError),
    /// The database did not keep the change.
    #[error("the database did not keep the change")]
    Storage(#[from] StorageError),
}

/// Makes a database that was put back to an earlier state fit to be served from: nothing that was given out since is given out
/// again, and no holder goes on where it stopped. Returns when every lease that was given before has run out, so that no revocation
/// from then on is confirmed without those who have one. No replica may run meanwhile.
///
/// # Errors
/// Where the database cannot be opened or changed, or is not of this version.
pub async fn restored(config: &Config) -> Result<(), RestoredError> {
    let database = Database::open_existing(&config.database_url, &DatabaseOptions::default()).await?;
    database.check_schema(&MIGRATIONS).await?;
    let store = Store::new(database);
    let done = store.start_anew(Clock::system().now()).await;
    store.close().await;
    done?;
    let longest = config.lease_duration.unsigned_abs();
    tokio::time::sleep(longest + longest / 20).await;
    Ok(())
}
