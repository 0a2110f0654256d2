use tempfile::TempDir;

use crate::Postgres;

/// A new, empty database. It is gone when this is dropped, or with the test process.
pub struct TestDatabase {
    /// The engine's name, for the text of an assertion.
    pub engine: &'static str,
    /// Where it is.
    pub url: String,
    _folder: Option<TempDir>,
}

impl TestDatabase {
    /// A SQLite file of its own.
    #[must_use]
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("the temporary folder can be written");
        let url = format!("sqlite://{}", folder.path().join("test.db").display());
        Self { engine: "SQLite", url, _folder: Some(folder) }
    }

    /// A database of its own in this process's PostgreSQL.
    #[must_use]
    pub fn postgres() -> Self {
        Self { engine: "PostgreSQL", url: Postgres::shared().new_database(), _folder: None }
    }
}

/// One database of each engine: what a test of a store goes through.
#[must_use]
pub fn databases() -> Vec<TestDatabase> {
    vec![TestDatabase::sqlite(), TestDatabase::postgres()]
}
