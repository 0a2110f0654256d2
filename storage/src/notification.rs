use sqlx::postgres::PgListener;

use crate::engine::listener_url;
use crate::{Database, DatabaseUrl, StorageError, Transaction};

/// Hints from other processes on the same database that something was committed. They may be lost, and come late or twice:
/// what counts is what the database holds.
#[derive(Debug)]
pub struct Notifications(Option<PgListener>);

impl Notifications {
    /// Listens on a channel. SQLite has none: its one process hints to itself.
    ///
    /// # Errors
    /// Where the database is out of reach.
    pub async fn listen(url: &DatabaseUrl, channel: &'static str) -> Result<Self, StorageError> {
        let Some(url) = listener_url(url) else { return Ok(Self(None)) };
        let mut listener = PgListener::connect(&url).await?;
        listener.listen(channel).await?;
        Ok(Self(Some(listener)))
    }

    /// Resolves when there is a hint, or when some may have been lost.
    ///
    /// # Errors
    /// Where the database is out of reach.
    pub async fn next(&mut self) -> Result<(), StorageError> {
        match &mut self.0 {
            // `None` says that the connection was made anew.
            Some(listener) => listener.try_recv().await.map(drop).map_err(StorageError::from),
            None => std::future::pending().await,
        }
    }
}

impl Transaction {
    /// Hints to those who listen on the channel, when this is committed.
    ///
    /// # Errors
    /// Where the database is out of reach.
    pub async fn notify(&mut self, channel: &'static str) -> Result<(), StorageError> {
        if let Some(statement) = self.engine().notify() {
            sqlx::query(statement).bind(channel).execute(&mut **self).await?;
        }
        Ok(())
    }
}

impl Database {
    /// An expression for the database's own time, in microseconds since 1970. It goes on within a transaction.
    #[must_use]
    pub fn clock(&self) -> &'static str {
        self.engine().clock()
    }
}
