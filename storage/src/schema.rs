use std::collections::BTreeMap;

use sqlx::migrate::{AppliedMigration, Migrate, Migration, Migrator};
use sqlx::{AnyConnection, Connection};

use crate::engine::Use;
use crate::{Database, Engine, StorageError};

const TABLE: &str = "_sqlx_migrations";

/// Why a database was not brought to this build's schema. What it had before the migration that failed, it has still.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// It cannot be brought there from where it is.
    #[error("the database is not one that this build can migrate")]
    Schema(#[from] SchemaError),
    /// A migration failed.
    #[error("migration {version} failed")]
    Migration {
        /// Which.
        version: i64,
        /// Why.
        source: StorageError,
    },
    /// The database does not answer.
    #[error("the database cannot be migrated")]
    Storage(#[from] StorageError),
    /// The migrator is none for this engine.
    #[error("the migrations cannot be run")]
    Migrator(#[source] sqlx::migrate::MigrateError),
}

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
    /// A version was made by another migration than the one that this build has under its number.
    #[error("version {0} of the schema was made by another migration than this build's")]
    Different(i64),
    /// A migration was begun and not finished.
    #[error("the migration to version {0} of the schema was not finished")]
    Unfinished(i64),
    /// The database does not answer.
    #[error("the schema cannot be read")]
    Storage(#[from] StorageError),
}

impl Database {
    /// Brings the database to this build's schema. Others that do the same at the same time are waited for.
    ///
    /// A migration is for both engines, or for the one that its name ends in: `0007_audit.sqlite.sql` and, under the same
    /// number, `0007_audit.postgres.sql`.
    ///
    /// # Errors
    /// Where the database is of a later build, or a migration fails.
    pub async fn migrate(&self, migrator: &Migrator) -> Result<(), MigrateError> {
        let migrator = &for_engine(migrator, self.engine());
        // Not from the pool: it has other time limits, and an advisory lock goes with it when it fails.
        let mut connection = self.connect(Use::Migrating).await?;
        let migrated = if self.engine().migrates_in_one_transaction() {
            self.migrate_in_one_transaction(migrator, &mut connection).await
        } else {
            migrator.run(&mut connection).await
        };
        let closed = connection.close().await;
        migrated?;
        Ok(closed.map_err(StorageError::from)?)
    }

    async fn migrate_in_one_transaction(
        &self,
        migrator: &Migrator,
        connection: &mut AnyConnection,
    ) -> Result<(), sqlx::migrate::MigrateError> {
        let mut transaction = connection.begin_with(self.engine().begin()).await?;
        migrator.run(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }

    /// Looks whether the database has exactly this build's schema, and changes nothing.
    ///
    /// # Errors
    /// Says in what it differs.
    pub async fn check_schema(&self, migrator: &Migrator) -> Result<(), SchemaError> {
        let mut connection = self.reader().acquire().await.map_err(StorageError::from)?;
        let tables: i64 = sqlx::query_scalar(self.engine().count_of_migration_tables())
            .fetch_one(&mut *connection)
            .await
            .map_err(StorageError::from)?;
        let applied = if tables == 0 {
            Vec::new()
        } else {
            if let Some(version) = connection.dirty_version(TABLE).await.map_err(read_error)? {
                return Err(SchemaError::Unfinished(version));
            }
            connection.list_applied_migrations(TABLE).await.map_err(read_error)?
        };
        compare(&for_engine(migrator, self.engine()), &applied)
    }
}

/// The migrations of an engine.
fn for_engine(migrator: &Migrator, engine: Engine) -> Migrator {
    let others = [Engine::Sqlite, Engine::Postgres].into_iter().filter(|other| *other != engine);
    let suffixes: Vec<&str> = others.map(Engine::suffix).collect();
    let is_of_another = |migration: &Migration| suffixes.iter().any(|suffix| migration.description.ends_with(suffix));
    Migrator::with_migrations(migrator.iter().filter(|migration| !is_of_another(migration)).cloned().collect())
}

fn compare(migrator: &Migrator, applied: &[AppliedMigration]) -> Result<(), SchemaError> {
    let known: BTreeMap<i64, &Migration> = migrator
        .iter()
        .filter(|migration| !migration.migration_type.is_down_migration())
        .map(|migration| (migration.version, migration))
        .collect();
    for found in applied {
        let migration = known.get(&found.version).ok_or(SchemaError::Newer(found.version))?;
        if migration.checksum != found.checksum {
            return Err(SchemaError::Different(found.version));
        }
    }
    if applied.len() < known.len() {
        let found = applied.iter().map(|migration| migration.version).max().unwrap_or(0);
        return Err(SchemaError::Older { found, needed: known.keys().copied().max().unwrap_or(0) });
    }
    Ok(())
}

fn read_error(error: sqlx::migrate::MigrateError) -> StorageError {
    match error {
        sqlx::migrate::MigrateError::Execute(error) => error.into(),
        other => sqlx::Error::from(other).into(),
    }
}

impl From<sqlx::migrate::MigrateError> for MigrateError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::Execute(error) => Self::Storage(error.into()),
            sqlx::migrate::MigrateError::ExecuteMigration(error, version) => {
                Self::Migration { version, source: error.into() }
            }
            sqlx::migrate::MigrateError::VersionMissing(version) => Self::Schema(SchemaError::Newer(version)),
            sqlx::migrate::MigrateError::VersionMismatch(version) => Self::Schema(SchemaError::Different(version)),
            sqlx::migrate::MigrateError::Dirty(version) => Self::Schema(SchemaError::Unfinished(version)),
            other => Self::Migrator(other),
        }
    }
}
