use std::time::{Duration, Instant};

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, AnyPool, ConnectOptions, Connection};
use tokio::time::timeout;

use crate::checkpoints::Checkpoints;
use crate::engine::{Use, prepare, set_up};
use crate::{DatabaseUrl, Engine, StorageError, Transaction};

/// How often a database that does not answer yet is asked again.
const RETRY: Duration = Duration::from_millis(100);

/// How a database is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseOptions {
    /// The most connections that are open at once, at least 2: some read, the others write.
    pub connections: u32,
    /// How long opening the database waits for it to answer, and a call for a connection.
    pub patience: Duration,
}

impl Default for DatabaseOptions {
    fn default() -> Self {
        Self { connections: 16, patience: Duration::from_secs(5) }
    }
}

/// Why a database was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its file cannot be made, or its address cannot be understood.
    #[error("cannot prepare {url}")]
    Prepare {
        /// The database.
        url: DatabaseUrl,
        /// What is wrong.
        source: std::io::Error,
    },
    /// There is no such file.
    #[error("{url} is not there: `migrate` makes it")]
    Missing {
        /// The database.
        url: DatabaseUrl,
    },
    /// It does not answer, or not as a database does.
    #[error("cannot connect to {url}")]
    Connect {
        /// The database.
        url: DatabaseUrl,
        /// What is wrong.
        source: StorageError,
    },
}

/// A database: two bounded pools of connections. Those that read cannot write, and do not wait for those that write.
#[derive(Clone, Debug)]
pub struct Database {
    engine: Engine,
    url: DatabaseUrl,
    options: AnyConnectOptions,
    patience: Duration,
    readers: AnyPool,
    writers: AnyPool,
    checkpoints: Option<Checkpoints>,
}

impl Database {
    /// Opens a database. A SQLite file that is not there is made, for its owner only.
    ///
    /// # Errors
    /// Where its file cannot be made, or it does not answer within the patience.
    pub async fn open(url: &DatabaseUrl, options: &DatabaseOptions) -> Result<Self, OpenError> {
        sqlx::any::install_default_drivers();
        let engine = url.engine();
        let connect = prepare(url).map_err(|source| OpenError::Prepare { url: url.clone(), source })?;
        let writers = engine.writers(options.connections);
        let readers = options.connections.saturating_sub(writers).max(1);
        let mut database = Self {
            engine,
            url: url.clone(),
            patience: options.patience,
            readers: pool(engine, Use::Reading, readers, options.patience, connect.clone()),
            writers: pool(engine, Use::Writing, writers, options.patience, connect.clone()),
            options: connect,
            checkpoints: None,
        };
        let failed = |source| OpenError::Connect { url: url.clone(), source };
        database.answers().await.map_err(failed)?;
        if let Some(statement) = engine.checkpoint() {
            let connection = database.connect(Use::Checkpointing).await.map_err(failed)?;
            database.checkpoints = Some(Checkpoints::begin(connection, statement));
        }
        Ok(database)
    }

    /// Opens a database that is there already: no file is made.
    ///
    /// # Errors
    /// Where its file is not there, or it does not answer within the patience.
    pub async fn open_existing(url: &DatabaseUrl, options: &DatabaseOptions) -> Result<Self, OpenError> {
        if !url.is_there() {
            return Err(OpenError::Missing { url: url.clone() });
        }
        Self::open(url, options).await
    }

    /// Which engine it is.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    /// Begins a transaction that will write. Dropped without a commit, it leaves nothing. It can have to give way to another:
    /// see [`again`](Self::again).
    ///
    /// # Errors
    /// Where the database is out of reach, or others write for longer than the patience.
    pub async fn begin(&self, name: &'static str) -> Result<Transaction, StorageError> {
        let span = tracing::info_span!("transaction", db.transaction = name, db.committed = false);
        Transaction::begin(&self.writers, self.engine, self.patience, self.checkpoints.clone(), span).await
    }

    /// How long a call waits.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// Where single statements read. Its connections refuse to write.
    #[must_use]
    pub fn reader(&self) -> &AnyPool {
        &self.readers
    }

    /// Looks whether the database answers.
    ///
    /// # Errors
    /// Where it does not within the patience.
    pub async fn ping(&self) -> Result<(), StorageError> {
        let ping = timeout(self.patience, sqlx::query("select 1").execute(&self.readers));
        ping.await.map_err(|_| StorageError::timed_out())??;
        Ok(())
    }

    /// Closes every connection when the work on it is done, or the patience ends.
    pub async fn close(&self) {
        // The writers come last, so that SQLite's leaves one tidy file behind.
        let close = async {
            self.readers.close().await;
            if let Some(checkpoints) = &self.checkpoints {
                checkpoints.end().await;
            }
            self.writers.close().await;
        };
        if timeout(self.patience, close).await.is_err() {
            tracing::warn!("the database is left while it is still in use");
        }
    }

    /// A connection of its own, outside of the pools.
    pub(crate) async fn connect(&self, usage: Use) -> Result<AnyConnection, StorageError> {
        let connect = async {
            let mut connection = self.options.connect().await?;
            set_up(&mut connection, self.engine, usage).await?;
            Ok::<_, sqlx::Error>(connection)
        };
        Ok(timeout(self.patience, connect).await.map_err(|_| StorageError::timed_out())??)
    }

    /// Waits until the database answers. A pool would wait too, but could not say what it was waiting for.
    async fn answers(&self) -> Result<(), StorageError> {
        let deadline = Instant::now() + self.patience;
        loop {
            match self.connect(Use::Writing).await {
                Ok(connection) => return Ok(connection.close().await?),
                Err(error) if error.is_unavailable() && Instant::now() < deadline => tokio::time::sleep(RETRY).await,
                Err(error) => return Err(error),
            }
        }
    }
}

fn pool(engine: Engine, usage: Use, size: u32, patience: Duration, connect: AnyConnectOptions) -> AnyPool {
    AnyPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(patience)
        .after_connect(move |connection, _| Box::pin(set_up(connection, engine, usage)))
        .connect_lazy_with(connect)
}
