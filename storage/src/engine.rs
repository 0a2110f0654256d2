//! Everything in which the two engines differ.

use std::error::Error;
use std::fmt;
use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use sqlx::any::AnyConnectOptions;
use sqlx::error::DatabaseError;
use sqlx::postgres::PgDatabaseError;
use sqlx::{ConnectOptions, Executor};
use url::Url;

use crate::DatabaseUrl;
use crate::url::Place;

/// The database engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// One file on this machine.
    Sqlite,
    /// A server, shared by replicas.
    Postgres,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Reading,
    Writing,
    Migrating,
    Checkpointing,
}

impl Engine {
    /// What every new connection is told.
    pub(crate) fn settings(self, usage: Use) -> &'static str {
        match (self, usage) {
            // Mapped, a page is read without a system call and shared by all connections; each one's own cache holds 2 MB,
            // which is little of a big database.
            (Self::Sqlite, Use::Reading) => {
                "pragma busy_timeout = 5000; pragma journal_mode = wal; pragma synchronous = full;
                 pragma foreign_keys = on; pragma query_only = on; pragma mmap_size = 1073741824"
            }
            // In WAL mode, less than `full` can lose what was committed when the machine stops.
            (Self::Sqlite, Use::Migrating | Use::Checkpointing) => {
                "pragma busy_timeout = 5000; pragma journal_mode = wal; pragma synchronous = full;
                 pragma foreign_keys = on"
            }
            // The log is looked after beside the transactions: a commit does it only where that has come to nothing for long.
            (Self::Sqlite, Use::Writing) => {
                "pragma busy_timeout = 5000; pragma journal_mode = wal; pragma synchronous = full;
                 pragma foreign_keys = on; pragma wal_autocheckpoint = 16000"
            }
            (Self::Postgres, Use::Reading) => {
                "set default_transaction_read_only = on; set statement_timeout = '10s'; set lock_timeout = '5s'"
            }
            // No time limit for statements: one that ran out during the commit, in the wait for a synchronous standby,
            // would make the commit answer "done" without the standby.
            (Self::Postgres, Use::Writing) => {
                "set synchronous_commit = on; set lock_timeout = '5s';
                 set idle_in_transaction_session_timeout = '15s'"
            }
            // Changing a big table takes its time, and so does waiting for another replica that does it.
            (Self::Postgres, Use::Migrating | Use::Checkpointing) => {
                "set synchronous_commit = on; set lock_timeout = '60s'"
            }
        }
    }

    /// How a transaction that will write begins. SQLite has to take its lock at once: one that reads first and writes later
    /// can be refused in between, whatever its patience. PostgreSQL's statements each see what was committed before them,
    /// which is what a number in commit order is worth something for.
    pub(crate) fn begin(self) -> &'static str {
        match self {
            Self::Sqlite => "begin immediate",
            Self::Postgres => "begin isolation level read committed",
        }
    }

    /// How many of so many connections write. SQLite has one lock for all writers: waiting for the only connection that can
    /// take it is fair, whereas connections that compete for the lock sleep and try again, some of them in vain.
    pub(crate) fn writers(self, connections: u32) -> u32 {
        match self {
            Self::Sqlite => 1,
            Self::Postgres => (connections / 2).max(1),
        }
    }

    /// Moves the log of what was committed into the file, as far as nobody is in the way; nothing where the engine does so by
    /// itself.
    pub(crate) fn checkpoint(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => Some("pragma wal_checkpoint(passive)"),
            Self::Postgres => None,
        }
    }

    /// Whether migrations run in one transaction. SQLite's must: it has no other lock to keep a second process off. On
    /// PostgreSQL the migrator holds an advisory lock, and some changes cannot be made within a transaction.
    pub(crate) fn migrates_in_one_transaction(self) -> bool {
        self == Self::Sqlite
    }

    /// What the name of a migration ends in that is this engine's alone: `0007_audit.sqlite.sql`.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Sqlite => ".sqlite",
            Self::Postgres => ".postgres",
        }
    }

    /// The time of the database's own clock, in microseconds since 1970. It goes on within a transaction.
    pub(crate) fn clock(self) -> &'static str {
        match self {
            Self::Sqlite => "cast(unixepoch('subsec') * 1000000 as integer)",
            Self::Postgres => "cast(extract(epoch from clock_timestamp()) * 1000000 as bigint)",
        }
    }

    /// Tells those who listen on a channel, where there can be any, when the transaction is committed.
    pub(crate) fn notify(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some("select pg_notify($1, '')"),
        }
    }

    /// Counts the tables of migrations that were applied: 0 or 1.
    pub(crate) fn count_of_migration_tables(self) -> &'static str {
        match self {
            Self::Sqlite => "select count(*) from sqlite_schema where type = 'table' and name = '_sqlx_migrations'",
            Self::Postgres => "select count(*) from pg_class where oid = to_regclass('_sqlx_migrations')",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        })
    }
}

/// Makes what has to be there before the first connection, and says how to connect.
pub(crate) fn prepare(url: &DatabaseUrl) -> io::Result<AnyConnectOptions> {
    let url = match url.place() {
        Place::Server(url) => url.clone(),
        Place::File(path) if path.to_str().is_none() => return Err(invalid("its path is not UTF-8")),
        Place::File(path) => {
            create_private_file(path)?;
            Url::parse(&DatabaseUrl::sqlite(&std::path::absolute(path)?).to_string()).map_err(invalid)?
        }
    };
    let options = AnyConnectOptions::from_url(&url).map_err(invalid)?;
    // Every call is logged where it arrives; its statements are noise beside that.
    Ok(options.disable_statement_logging())
}

/// Where to listen for notifications, if the engine has any.
pub(crate) fn listener_url(url: &DatabaseUrl) -> Option<String> {
    match url.place() {
        Place::Server(url) => Some(url.to_string()),
        Place::File(_) => None,
    }
}

fn invalid(error: impl Into<Box<dyn Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

/// Tells a new connection what it is for.
pub(crate) async fn set_up(connection: &mut sqlx::AnyConnection, engine: Engine, usage: Use) -> sqlx::Result<()> {
    connection.execute(engine.settings(usage)).await.map(drop)
}

/// Hashes of passwords and credentials are nobody else's to read. SQLite gives its other files the permissions of this one.
fn create_private_file(file: &Path) -> io::Result<()> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    match OpenOptions::new().create_new(true).write(true).mode(0o600).open(file) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

/// Whether an error says that the transaction was rolled back in favour of another, and may succeed if it is done again.
pub(crate) fn gave_way(error: &dyn DatabaseError) -> bool {
    if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
        // A serialization failure, a deadlock. Of the others in their class, one is no conflict, and one leaves open whether
        // anything was done.
        return matches!(error.code(), "40001" | "40P01");
    }
    // SQLite: another connection holds the lock that this one would need.
    primary_code(error) == Some(5)
}

/// Whether an error says that the database cannot do its work at present, rather than that it was asked something wrong.
pub(crate) fn is_outage(error: &dyn DatabaseError) -> bool {
    if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
        // SQLSTATE classes: connection, rolled back in favour of another, resources, operator intervention (time limits
        // too); a lock that was not given, a transaction that was idle for too long.
        let (code, class) = (error.code(), error.code().get(..2));
        return matches!(class, Some("08" | "40" | "53" | "57")) || matches!(code, "25P03" | "25P04" | "55P03");
    }
    // SQLite's primary result codes: busy, locked, out of memory, input/output, disk full, cannot open.
    matches!(primary_code(error), Some(5 | 6 | 7 | 10 | 13 | 14))
}

/// SQLite's result code without what it says beyond that.
fn primary_code(error: &dyn DatabaseError) -> Option<u32> {
    Some(error.code()?.parse::<u32>().ok()? & 0xff)
}
