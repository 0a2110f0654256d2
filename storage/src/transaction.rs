use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::{Any, AnyConnection, AnyPool};
use tokio::time::timeout;
use tracing::{Instrument, Span};

use crate::checkpoints::Checkpoints;
use crate::{Engine, StorageError};

/// A commit waits for the disk, and where the server is set up so, for another server.
const COMMIT_PATIENCE: Duration = Duration::from_secs(30);

/// A transaction that writes. Dropped without [`commit`](Self::commit), it is rolled back.
#[derive(Debug)]
pub struct Transaction {
    engine: Engine,
    span: Span,
    checkpoints: Option<Checkpoints>,
    inner: sqlx::Transaction<'static, Any>,
}

impl Transaction {
    pub(crate) async fn begin(
        pool: &AnyPool,
        engine: Engine,
        patience: Duration,
        checkpoints: Option<Checkpoints>,
        span: Span,
    ) -> Result<Self, StorageError> {
        // In a task, because the caller may give up: dropped while it begins, the driver's transaction leaves the server in
        // one that the driver does not know of. This way it is begun, and then dropped and rolled back.
        let pool = pool.clone();
        let task = tokio::spawn(async move { pool.begin_with(engine.begin()).await }.instrument(span.clone()));
        match timeout(patience, task).await {
            Ok(Ok(begun)) => Ok(Self { engine, span, checkpoints, inner: begun? }),
            // The runtime shuts down: nothing is begun any more.
            Ok(Err(_)) => Err(sqlx::Error::PoolClosed.into()),
            Err(_) => Err(StorageError::timed_out()),
        }
    }

    pub(crate) fn engine(&self) -> Engine {
        self.engine
    }

    /// Makes it last.
    ///
    /// # Errors
    /// Where it does not, or where nobody can say whether it does: a connection that breaks now.
    pub async fn commit(self) -> Result<(), StorageError> {
        let Self { span, inner, checkpoints, .. } = self;
        let commit = timeout(COMMIT_PATIENCE, inner.commit()).instrument(span.clone());
        commit.await.map_err(|_| StorageError::timed_out())??;
        span.record("db.committed", true);
        if let Some(checkpoints) = checkpoints {
            checkpoints.written();
        }
        Ok(())
    }

    /// Takes the next number of a counter, a row of the table `counter (name text primary key, value bigint)`. Whoever takes
    /// one holds the row until the end of the transaction: numbers become visible in their order, none is given twice, and
    /// one that was rolled back is given again.
    ///
    /// # Errors
    /// Where the schema has no such counter, or the database is out of reach.
    pub async fn next_value(&mut self, counter: &'static str) -> Result<i64, StorageError> {
        sqlx::query_scalar("update counter set value = value + 1 where name = $1 returning value")
            .bind(counter)
            .fetch_optional(&mut *self.inner)
            .await?
            .ok_or(StorageError::NoCounter(counter))
    }
}

impl Deref for Transaction {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.inner
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.inner
    }
}
