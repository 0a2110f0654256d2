use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sqlx::{AssertSqlSafe, Connection, Executor};

use crate::engine::Use;
use crate::{Database, DatabaseOptions, DatabaseUrl, Engine, OpenError, StorageError};

/// Why a database was not copied.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A server is copied by its own tools.
    #[error("only SQLite is copied into a file; PostgreSQL has `pg_dump` for it")]
    Engine,
    /// The file is there already, or cannot be made.
    #[error("cannot make {}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: io::Error,
    },
    /// It cannot be opened.
    #[error("the database cannot be opened")]
    Open(#[from] OpenError),
    /// The database did not let itself be copied.
    #[error("the database was not copied")]
    Storage(#[from] StorageError),
}

impl Database {
    /// Copies a database, as it is at one moment and of whatever version, into a new file for its owner only. Others go on reading
    /// and writing meanwhile.
    ///
    /// # Errors
    /// Where there is none, its engine has tools of its own for it, or the file cannot be made or written. No file is left then.
    pub async fn back_up(url: &DatabaseUrl, file: &Path) -> Result<(), BackupError> {
        if url.engine() != Engine::Sqlite {
            return Err(BackupError::Engine);
        }
        let failed = |source| BackupError::File { path: file.to_owned(), source };
        let name = file.to_str().ok_or_else(|| failed(io::Error::new(io::ErrorKind::InvalidInput, "not UTF-8")));
        let name = name?.replace('\'', "''");
        let database = Self::open_existing(url, &DatabaseOptions::default()).await?;
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(failed)?;
        let copied = database.vacuum_into(&name).await;
        database.close().await;
        if let Err(error) = copied {
            let _ = std::fs::remove_file(file);
            return Err(error.into());
        }
        File::open(file).and_then(|file| file.sync_all()).map_err(failed)
    }

    /// Every row, without what was deleted.
    async fn vacuum_into(&self, name: &str) -> Result<(), StorageError> {
        let mut connection = self.connect(Use::Migrating).await?;
        connection.execute(AssertSqlSafe(format!("vacuum into '{name}'"))).await?;
        Ok(connection.close().await?)
    }
}
