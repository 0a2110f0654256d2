use jiff::Timestamp;
use storage::{StorageError, Transaction};

use super::{Store, audit, change};
use crate::domain::{AuditEntry, NewSession, Session};

#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error("the session is not alive")]
    Ended,
    #[error("the database did not carry out the change")]
    Storage(#[from] StorageError),
}

impl From<sqlx::Error> for SessionError {
    fn from(error: sqlx::Error) -> Self {
        Self::Storage(error.into())
    }
}

impl Store {
    /// Opens a session of an active account, and forgets those that have expired.
    pub(crate) async fn open_session(&self, session: &NewSession) -> Result<(), SessionError> {
        let mut tx = self.database.begin("session.open").await?;
        // The row is held until the commit: a change of the password comes before all of this, or ends this session too.
        let account =
            sqlx::query("update account set state = state where id = $1 and password_hash = $2 and state = 'active'")
                .bind(session.account.0)
                .bind(&session.password_hash)
                .execute(&mut *tx)
                .await?;
        if account.rows_affected() != 1 {
            return Err(SessionError::Ended);
        }
        let id = tx.next_value("session").await?;
        let inserted = sqlx::query(
            "insert into session \
             (id, account_id, hash, created_at, expires_at, last_access_at, address, user_agent) \
             select $1, account.id, $2, $3, $4, $3, $5, $6 from account where account.id = $7 and state = 'active'",
        )
        .bind(id)
        .bind(session.hash.as_bytes().as_slice())
        .bind(session.created_at.as_microsecond())
        .bind(session.expires_at.as_microsecond())
        .bind(session.origin.address.map(|address| address.to_string()).unwrap_or_default())
        .bind(&session.origin.user_agent)
        .bind(session.account.0)
        .execute(&mut *tx)
        .await?;
        if inserted.rows_affected() != 1 {
            return Err(SessionError::Ended);
        }
        sqlx::query("delete from session where account_id = $1 and expires_at <= $2")
            .bind(session.account.0)
            .bind(session.created_at.as_microsecond())
            .execute(&mut *tx)
            .await?;
        let opened = Session { id, account: session.account, origin: session.origin.clone() };
        let entry = AuditEntry::by_session(&opened, "session.open", format!("session {id}"), session.created_at);
        audit::record(&mut tx, &entry).await?;
        Ok(tx.commit().await?)
    }

    /// Ends a session. One that has ended already stays so.
    pub(crate) async fn end_session(&self, session: &Session, now: Timestamp) -> Result<(), SessionError> {
        let mut tx = self.database.begin("session.end").await?;
        let deleted = sqlx::query("delete from session where id = $1 and account_id = $2")
            .bind(session.id)
            .bind(session.account.0)
            .execute(&mut *tx)
            .await?;
        if deleted.rows_affected() == 1 {
            change::record(&mut tx, session.account, "session", session.id, now).await?;
            let object = format!("session {}", session.id);
            audit::record(&mut tx, &AuditEntry::by_session(session, "session.end", object, now)).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

const ALIVE: &str = "select session.id from session join account on account.id = session.account_id \
     where session.id = $1 and session.account_id = $2 and session.expires_at > $3 and account.state = 'active'";

/// Within a change's transaction: the session that it is made under must be alive. Called after the change's number is
/// taken, so that no sign-out can come between.
pub(super) async fn require(tx: &mut Transaction, session: &Session, now: Timestamp) -> Result<(), SessionError> {
    let alive = sqlx::query(ALIVE)
        .bind(session.id)
        .bind(session.account.0)
        .bind(now.as_microsecond())
        .fetch_optional(&mut **tx)
        .await?;
    if alive.is_some() { Ok(()) } else { Err(SessionError::Ended) }
}
