//! What the authority keeps, in SQLite or PostgreSQL: the only module that speaks SQL. Each function is one transaction or
//! one statement, and nothing waits for anything else inside a transaction.
//!
//! So that no two transactions wait for each other, all take rows in one order: the revision, the account, other numbers, sessions and
//! tokens by number, and the audit log last. Who is to be answered does a transaction again that gave way all the same.

mod account;
mod administration;
mod attempt;
mod audit;
mod change;
mod credential;
mod credential_use;
mod deleted_account;
mod lease;
mod notice;
mod possession;
mod restored;
mod row;
mod second_factor;
mod session;
mod signing_key;
mod token;

pub(crate) use account::CreateAccountError;
pub(crate) use administration::AdministrationError;
pub(crate) use audit::{AuditError, AuditRow, ChainHead};
pub(crate) use credential::Introspected;
pub(crate) use deleted_account::DeletedAccount;
pub(crate) use lease::{HolderRow, NewLease};
pub(crate) use second_factor::{SecondFactorError, Verified};
pub(crate) use session::{EndSessionsError, SessionError};
pub(crate) use signing_key::{NewSigningKey, SigningKeyRow, Succession, SuccessionError};
pub(crate) use token::TokenError;

use jiff::{SignedDuration, Timestamp};
use storage::{Database, StorageError};

pub(crate) static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// What NIST SP 800-63B-4 (section 2.2.3) recommends.
pub(crate) const DEFAULT_SESSION_IDLE_LIFETIME: SignedDuration = SignedDuration::from_hours(1);

/// The authority's database.
#[derive(Clone)]
pub(crate) struct Store {
    database: Database,
    session_idle_lifetime: SignedDuration,
}

impl Store {
    pub(crate) fn new(database: Database) -> Self {
        Self { database, session_idle_lifetime: DEFAULT_SESSION_IDLE_LIFETIME }
    }

    /// How long a session lives without a call.
    pub(crate) fn with_session_idle_lifetime(self, lifetime: SignedDuration) -> Self {
        Self { session_idle_lifetime: lifetime, ..self }
    }

    /// A session whose last call is not later than this has ended.
    fn idle_since(&self, now: Timestamp) -> i64 {
        now.saturating_sub(self.session_idle_lifetime).map_or(i64::MIN, Timestamp::as_microsecond)
    }

    /// Whether the database answers.
    pub(crate) async fn ping(&self) -> Result<(), StorageError> {
        self.database.ping().await
    }

    pub(crate) async fn close(&self) {
        self.database.close().await;
    }
}
