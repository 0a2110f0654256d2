use sqlx::error::{DatabaseError, ErrorKind};

/// Why the database did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// It is out of reach, or too busy to answer in time.
    #[error("the database is out of reach")]
    Unavailable(#[source] sqlx::Error),
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
    /// Whether the same again may succeed.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
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
            sqlx::Error::Database(database) if is_outage(database.as_ref()) => Self::Unavailable(error),
            _ => Self::Refused(error),
        }
    }
}

/// By SQLSTATE: class 08 (connection), 53 (resources), 57 (operator intervention), 40 (rolled back), 55P03 (lock). SQLite's
/// codes are numbers: 5 (busy) and 6 (locked) in the lowest byte.
fn is_outage(error: &dyn DatabaseError) -> bool {
    let Some(code) = error.code() else { return false };
    if let Ok(number) = code.parse::<u32>()
        && code.len() < 5
    {
        return matches!(number & 0xff, 5 | 6);
    }
    ["08", "53", "57", "40"].iter().any(|class| code.starts_with(class)) || code == "55P03"
}
