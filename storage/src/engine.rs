//! Everything in which the two engines differ.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::DatabaseUrl;

/// The database engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// One file on this machine.
    Sqlite,
    /// A server, shared by replicas.
    Postgres,
}

impl Engine {
    /// What every new connection is told.
    pub(crate) fn connection_settings(self) -> &'static [&'static str] {
        match self {
            Self::Sqlite => &[
                "pragma busy_timeout = 10000",
                "pragma journal_mode = wal",
                // In WAL mode anything less can lose what was committed when the machine stops.
                "pragma synchronous = full",
                "pragma foreign_keys = on",
            ],
            Self::Postgres => &[
                "set statement_timeout = '30s'",
                "set lock_timeout = '10s'",
                "set idle_in_transaction_session_timeout = '30s'",
                "set synchronous_commit = on",
            ],
        }
    }

    /// How a transaction that will write begins. SQLite has to take its lock at once: one that reads first and writes
    /// later can be refused in between, whatever its patience.
    pub(crate) fn begin(self) -> &'static str {
        match self {
            Self::Sqlite => "begin immediate",
            Self::Postgres => "begin isolation level read committed",
        }
    }

    /// Makes what has to be there before the first connection.
    pub(crate) fn prepare(url: &DatabaseUrl) -> io::Result<()> {
        match (url.engine(), url.file()) {
            (Self::Sqlite, Some(file)) => create_private_file(file),
            _ => Ok(()),
        }
    }

    /// SQLite writers queue for one lock, so more connections only wait; PostgreSQL's work side by side.
    pub(crate) fn connections(self, wanted: u32) -> u32 {
        match self {
            Self::Sqlite => wanted.min(8),
            Self::Postgres => wanted,
        }
    }
}

/// Hashes of passwords and credentials are nobody else's to read.
fn create_private_file(file: &Path) -> io::Result<()> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(file).map(drop)
}
