use sqlx::error::ErrorKind;

use crate::engine::{gave_way, is_outage};

/// Why the database did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// It is out of reach, or too busy to answer in time.
    #[error("the database is out of reach")]
    Unavailable(#[source] sqlx::Error),
    /// It has rolled the transaction back in favour of another: nothing of it is left.
    #[error("the transaction gave way to another")]
    GaveWay(#[source] sqlx::Error),
    /// A value is there already that may be there once.
    #[error("the value is there already")]
    UniqueViolation(#[source] sqlx::Error),
    /// Numbers are asked of a counter that the schema does not have.
    #[error("the schema has no counter {0}")]
    NoCounter(&'static str),
    /// Anything else: a fault of ours.
    #[error("the database refused")]
    Refused(#[source] sqlx::Error),
}

impl StorageError {
    /// The database did not answer in time.
    pub(crate) fn timed_out() -> Self {
        Self::Unavailable(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))
    }

    /// Whether the same again may succeed later.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::GaveWay(_))
    }

    /// Whether a value is there already that may be there once.
    #[must_use]
    pub fn is_unique_violation(&self) -> bool {
        matches!(self, Self::UniqueViolation(_))
    }
}

impl From<sqlx::Error> for StorageError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error),
            sqlx::Error::Database(database) if database.kind() == ErrorKind::UniqueViolation => {
                Self::UniqueViolation(error)
            }
            sqlx::Error::Database(database) if gave_way(database.as_ref()) => Self::GaveWay(error),
            sqlx::Error::Database(database) if is_outage(database.as_ref()) => Self::Unavailable(error),
            _ => Self::Refused(error),
        }
    }
}
