use std::collections::BTreeMap;

use sqlx::Row;
use sqlx::migrate::Migrator;

use crate::{Database, StorageError};

/// Why a database was not brought to this build's schema.
#[derive(Debug, thiserror::Error)]
#[error("the schema cannot be changed")]
pub struct MigrateError(#[from] sqlx::migrate::MigrateError);

/// Why a database's schema is not the one that this build knows.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// It has none, or an older one.
    #[error("the schema is at version {found}, this build needs {needed}: run `migrate` first")]
    Older {
        /// The version that is there; 0 for none.
        found: i64,
        /// The version that is needed.
        needed: i64,
    },
    /// It has a version that this build does not know.
    #[error("the schema has version {0}, which this build does not know: a newer build has used the database")]
    Newer(i64),
    /// A version was not made by the migration that this build has under its number.
    #[error("version {0} of the schema was made by another migration than this build's, or was not finished")]
    Different(i64),
    /// The database does not answer.
    #[error("the schema cannot be read")]
    Storage(#[from] StorageError),
}

impl Database {
    /// Brings the database to this build's schema.
    ///
    /// # Errors
    /// Where it is of a later build, or refuses.
    pub async fn migrate(&self, migrator: &Migrator) -> Result<(), MigrateError> {
        Ok(migrator.run(self.reader()).await?)
    }

    /// Looks whether the database has exactly this build's schema, and changes nothing.
    ///
    /// # Errors
    /// Says in what it differs.
    pub async fn check_schema(&self, migrator: &Migrator) -> Result<(), SchemaError> {
        let applied = self.applied().await?;
        let needed = migrator.iter().map(|migration| migration.version).max().unwrap_or(0);
        if let Some(newest) = applied.keys().copied().max().filter(|newest| *newest > needed) {
            return Err(SchemaError::Newer(newest));
        }
        for migration in migrator.iter() {
            match applied.get(&migration.version) {
                None => {
                    let found = applied.keys().copied().max().unwrap_or(0);
                    return Err(SchemaError::Older { found, needed });
                }
                Some(applied) if !applied.finished || applied.checksum != *migration.checksum => {
                    return Err(SchemaError::Different(migration.version));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    async fn applied(&self) -> Result<BTreeMap<i64, Applied>, StorageError> {
        let rows = sqlx::query("select version, checksum, cast(success as integer) as success from _sqlx_migrations")
            .fetch_all(self.reader())
            .await;
        let rows = match rows {
            Ok(rows) => rows,
            // No such table: nothing was ever applied. A database that is out of reach is another matter.
            Err(error @ sqlx::Error::Database(_)) => match StorageError::from(error) {
                StorageError::Refused(_) => return Ok(BTreeMap::new()),
                outage => return Err(outage),
            },
            Err(error) => return Err(error.into()),
        };
        let read = rows.iter().map(|row| {
            let finished: i32 = row.try_get("success")?;
            Ok((row.try_get("version")?, Applied { checksum: row.try_get("checksum")?, finished: finished != 0 }))
        });
        Ok(read.collect::<Result<_, sqlx::Error>>()?)
    }
}

struct Applied {
    checksum: Vec<u8>,
    finished: bool,
}
