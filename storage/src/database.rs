use std::time::Duration;

use sqlx::AnyPool;
use sqlx::any::AnyPoolOptions;
use sqlx::{ConnectOptions, Executor};

use crate::{DatabaseUrl, Engine, StorageError, Transaction};

/// How a database is used.
#[derive(Clone, Debug)]
pub struct DatabaseOptions {
    /// The most connections that are open at once.
    pub connections: u32,
    /// How long a call waits for one of them.
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
    /// Its file cannot be made.
    #[error("cannot create {url}")]
    Create {
        /// The database.
        url: DatabaseUrl,
        /// What is wrong.
        source: std::io::Error,
    },
    /// Its address cannot be understood.
    #[error("{url} is no address of a database")]
    Address {
        /// The database.
        url: DatabaseUrl,
        /// What is wrong.
        source: sqlx::Error,
    },
    /// It does not answer.
    #[error("cannot connect to {url}")]
    Connect {
        /// The database.
        url: DatabaseUrl,
        /// What is wrong.
        source: sqlx::Error,
    },
}

/// A database: a bounded pool of connections.
#[derive(Clone, Debug)]
pub struct Database {
    engine: Engine,
    pool: AnyPool,
}

impl Database {
    /// Opens a database. A SQLite file that is not there is made, for its owner only.
    ///
    /// # Errors
    /// Where it cannot be reached.
    pub async fn open(url: &DatabaseUrl, options: &DatabaseOptions) -> Result<Self, OpenError> {
        sqlx::any::install_default_drivers();
        let engine = url.engine();
        Engine::prepare(url).map_err(|source| OpenError::Create { url: url.clone(), source })?;
        let connect: sqlx::any::AnyConnectOptions =
            url.expose().parse().map_err(|source| OpenError::Address { url: url.clone(), source })?;
        let pool = AnyPoolOptions::new()
            .max_connections(engine.connections(options.connections))
            .acquire_timeout(options.patience)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    for setting in engine.connection_settings() {
                        connection.execute(*setting).await?;
                    }
                    Ok(())
                })
            })
            .connect_with(connect.disable_statement_logging())
            .await
            .map_err(|source| OpenError::Connect { url: url.clone(), source })?;
        Ok(Self { engine, pool })
    }

    /// Which engine it is.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Begins a transaction that will write. Dropped without a commit, it leaves nothing.
    ///
    /// # Errors
    /// Where the database is out of reach.
    pub async fn begin(&self, name: &'static str) -> Result<Transaction, StorageError> {
        Ok(Transaction::new(name, self.pool.begin_with(self.engine.begin()).await?))
    }

    /// Where single statements read.
    #[must_use]
    pub fn reader(&self) -> &AnyPool {
        &self.pool
    }

    /// Looks whether the database answers.
    ///
    /// # Errors
    /// Where it does not.
    pub async fn ping(&self) -> Result<(), StorageError> {
        sqlx::query("select 1").execute(&self.pool).await?;
        Ok(())
    }

    /// Closes every connection, when the work on it is done.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
