use access::AccountId;
use access::lease::Change;
use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use storage::{StorageError, Transaction};

use super::{Store, audit, change, row, second_factor};
use crate::domain::{AuditEntry, NewSession, OpenSession, Selection, Session, SessionState};

#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error("the session is not alive")]
    Ended,
    #[error("the database did not carry out the change")]
    Storage(#[from] StorageError),
}

/// Why sessions were not ended. None of them was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EndSessionsError {
    #[error("there is no session {0}")]
    NotFound(i64),
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl From<StorageError> for EndSessionsError {
    fn from(error: StorageError) -> Self {
        Self::Session(error.into())
    }
}

impl From<sqlx::Error> for EndSessionsError {
    fn from(error: sqlx::Error) -> Self {
        Self::Session(error.into())
    }
}

impl From<sqlx::Error> for SessionError {
    fn from(error: sqlx::Error) -> Self {
        Self::Storage(error.into())
    }
}

impl Store {
    /// Opens a session of an active account; one that waits for the second factor, where the account has one. Where there are as
    /// many as there may be, the one that was used longest ago ends, which is a change to be confirmed.
    pub(crate) async fn open_session(&self, session: &NewSession) -> Result<(SessionState, Vec<Change>), SessionError> {
        self.database.again(|| self.try_open_session(session)).await
    }

    async fn try_open_session(&self, session: &NewSession) -> Result<(SessionState, Vec<Change>), SessionError> {
        let mut tx = self.database.begin("session.open").await?;
        hold(&mut tx, session).await?;
        let full = self.sessions_held(&mut tx, session.account, session.created_at).await? >= session.limit;
        if full {
            // One that ends others is a change, and every change takes its lock before it takes anything else.
            drop(tx);
            tx = self.database.begin("session.open").await?;
            change::lock(&mut tx).await?;
            hold(&mut tx, session).await?;
        }
        let needs_factor = second_factor::is_on(&mut tx, session.account).await?;
        let state = if needs_factor { SessionState::Pending } else { SessionState::Active };
        let id = insert(&mut tx, session, state).await?;
        let action = match state {
            SessionState::Active => "session.open",
            SessionState::Pending => "session.begin",
        };
        let mut ended = Vec::new();
        match state {
            SessionState::Active if full => {
                ended = self.end_surplus(&mut tx, session.account, session.limit, session.created_at).await?;
            }
            SessionState::Active => {}
            SessionState::Pending => forget_surplus(&mut tx, session).await?,
        }
        let opened = Session { id, account: session.account, origin: session.origin.clone() };
        let entry = AuditEntry::by_session(&opened, action, format!("session {id}"), session.created_at);
        audit::record(&mut tx, &entry).await?;
        tx.commit().await?;
        Ok((state, ended))
    }

    /// Ends a session. One that has ended already stays so.
    pub(crate) async fn end_session(&self, session: &Session, now: Timestamp) -> Result<Option<Change>, SessionError> {
        self.database.again(|| self.try_end_session(session, now)).await
    }

    async fn try_end_session(&self, session: &Session, now: Timestamp) -> Result<Option<Change>, SessionError> {
        let mut tx = self.database.begin("session.end").await?;
        // As every change does, before it takes anything else.
        change::lock(&mut tx).await?;
        let deleted = sqlx::query("delete from session where id = $1 and account_id = $2")
            .bind(session.id)
            .bind(session.account.0)
            .execute(&mut *tx)
            .await?;
        let mut changed = None;
        if deleted.rows_affected() == 1 {
            changed = Some(change::record(&mut tx, session.account, change::session(session.id), now).await?);
            let object = format!("session {}", session.id);
            audit::record(&mut tx, &AuditEntry::by_session(session, "session.end", object, now)).await?;
        }
        tx.commit().await?;
        Ok(changed)
    }
}

impl Store {
    /// The account's sessions that are alive, the one that was used last first.
    pub(crate) async fn sessions(&self, account: AccountId, now: Timestamp) -> Result<Vec<OpenSession>, StorageError> {
        let rows = sqlx::query(AssertSqlSafe(format!(
            "select session.id, session.address, session.user_agent, session.created_at, session.expires_at, \
             session.last_access_at from session join account on account.id = session.account_id \
             where {ALIVE} and session.account_id = $3 order by session.last_access_at desc, session.id desc"
        )))
        .bind(now.as_microsecond())
        .bind(self.idle_since(now))
        .bind(account.0)
        .fetch_all(self.database.reader())
        .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Ends sessions of the account: those that are named, or all but the one that asks.
    pub(crate) async fn end_sessions(
        &self,
        session: &Session,
        which: &Selection,
        now: Timestamp,
    ) -> Result<Vec<Change>, EndSessionsError> {
        self.database.again(|| self.try_end_sessions(session, which, now)).await
    }

    async fn try_end_sessions(
        &self,
        session: &Session,
        which: &Selection,
        now: Timestamp,
    ) -> Result<Vec<Change>, EndSessionsError> {
        let mut tx = self.database.begin("session.end_many").await?;
        let mut ids = match which {
            Selection::Only(ids) => ids.iter().copied().collect(),
            Selection::All => Vec::new(),
        };
        change::lock(&mut tx).await?;
        self.require(&mut tx, session, now).await?;
        if *which == Selection::All {
            ids = others(&mut tx, session).await?;
        }
        let (mut changes, mut ended) = (Vec::with_capacity(ids.len()), Vec::with_capacity(ids.len()));
        for id in ids {
            changes.push(change::record(&mut tx, session.account, change::session(id), now).await?);
            let deleted = sqlx::query("delete from session where id = $1 and account_id = $2")
                .bind(id)
                .bind(session.account.0)
                .execute(&mut *tx)
                .await?;
            match which {
                _ if deleted.rows_affected() == 1 => ended.push(id),
                // One that waited for its second factor has made room for another in the meantime.
                Selection::All => {}
                Selection::Only(_) => return Err(EndSessionsError::NotFound(id)),
            }
        }
        for id in ended {
            audit::record(&mut tx, &AuditEntry::by_session(session, "session.end", format!("session {id}"), now))
                .await?;
        }
        tx.commit().await?;
        Ok(changes)
    }

    /// Forgets sessions that have ended by themselves.
    pub(crate) async fn forget_sessions(&self, now: Timestamp) -> Result<(), StorageError> {
        let mut tx = self.database.begin("session.forget").await?;
        change::lock(&mut tx).await?;
        sqlx::query("delete from session where expires_at <= $1 or last_access_at <= $2")
            .bind(now.as_microsecond())
            .bind(self.idle_since(now))
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    pub(super) async fn sessions_held(
        &self,
        tx: &mut Transaction,
        account: AccountId,
        now: Timestamp,
    ) -> Result<i64, StorageError> {
        let row = sqlx::query(AssertSqlSafe(format!(
            "select count(*) as held from session join account on account.id = session.account_id \
             where {ALIVE} and session.account_id = $3"
        )))
        .bind(now.as_microsecond())
        .bind(self.idle_since(now))
        .bind(account.0)
        .fetch_one(&mut **tx)
        .await?;
        Ok(row.try_get("held")?)
    }

    /// Ends the sessions that were used longest ago, as far as there are more than there may be.
    pub(super) async fn end_surplus(
        &self,
        tx: &mut Transaction,
        account: AccountId,
        limit: i64,
        now: Timestamp,
    ) -> Result<Vec<Change>, StorageError> {
        let rows = sqlx::query(AssertSqlSafe(format!(
            "select session.id from session join account on account.id = session.account_id \
             where {ALIVE} and session.account_id = $3 \
             order by session.last_access_at desc, session.id desc limit 1000 offset $4"
        )))
        .bind(now.as_microsecond())
        .bind(self.idle_since(now))
        .bind(account.0)
        .bind(limit)
        .fetch_all(&mut **tx)
        .await?;
        // As all do who take several.
        let mut ids = rows.iter().map(|row| row.try_get("id")).collect::<Result<Vec<i64>, _>>()?;
        ids.sort_unstable();
        let mut changes = Vec::with_capacity(ids.len());
        for id in ids {
            changes.push(change::record(tx, account, change::session(id), now).await?);
            sqlx::query("delete from session where id = $1").bind(id).execute(&mut **tx).await?;
        }
        Ok(changes)
    }

    /// Within a change's transaction: the session that it is made under must be alive. Called after the change's number is
    /// taken, so that no sign-out can come between.
    pub(super) async fn require(
        &self,
        tx: &mut Transaction,
        session: &Session,
        now: Timestamp,
    ) -> Result<(), SessionError> {
        let query = format!(
            "select session.id from session join account on account.id = session.account_id \
             where {ALIVE} and session.id = $3 and session.account_id = $4"
        );
        let alive = sqlx::query(AssertSqlSafe(query))
            .bind(now.as_microsecond())
            .bind(self.idle_since(now))
            .bind(session.id)
            .bind(session.account.0)
            .fetch_optional(&mut **tx)
            .await?;
        if alive.is_some() { Ok(()) } else { Err(SessionError::Ended) }
    }
}

/// The one place that says when a session is alive: `$1` is the moment, `$2` what [`Store::idle_since`] makes of it. One that
/// waits for the second factor is not.
pub(super) const ALIVE: &str = "session.expires_at > $1 and session.last_access_at > $2 and session.state = 'active' \
                                and account.state = 'active'";

/// Holds the account's row until the commit: a change of the password or of the second factor comes before all of this, or ends
/// this session too, and sessions are counted one after the other.
async fn hold(tx: &mut Transaction, session: &NewSession) -> Result<(), SessionError> {
    let account =
        sqlx::query("update account set state = state where id = $1 and password_hash = $2 and state = 'active'")
            .bind(session.account.0)
            .bind(&session.password_hash)
            .execute(&mut **tx)
            .await?;
    if account.rows_affected() == 1 { Ok(()) } else { Err(SessionError::Ended) }
}

/// The row of a session to be opened, and its number.
async fn insert(tx: &mut Transaction, session: &NewSession, state: SessionState) -> Result<i64, SessionError> {
    let expires_at = match state {
        SessionState::Active => session.expires_at,
        SessionState::Pending => session.pending_until,
    };
    let id = tx.next_value("session").await?;
    let inserted = sqlx::query(
        "insert into session \
         (id, account_id, hash, created_at, expires_at, last_access_at, address, user_agent, state) \
         select $1, account.id, $2, $3, $4, $3, $5, $6, $7 from account where account.id = $8 and state = 'active'",
    )
    .bind(id)
    .bind(session.hash.as_bytes().as_slice())
    .bind(session.created_at.as_microsecond())
    .bind(expires_at.as_microsecond())
    .bind(session.origin.address.map(|address| address.to_string()).unwrap_or_default())
    .bind(&session.origin.user_agent)
    .bind(row::session_state_text(state))
    .bind(session.account.0)
    .execute(&mut **tx)
    .await?;
    if inserted.rows_affected() == 1 { Ok(id) } else { Err(SessionError::Ended) }
}

/// Of the sessions that wait for the second factor, the oldest go as far as there are more than there may be. They open nothing,
/// so nobody need be told.
async fn forget_surplus(tx: &mut Transaction, opened: &NewSession) -> Result<(), StorageError> {
    sqlx::query(
        "delete from session where account_id = $1 and state = 'pending' and id not in (select id from session \
         where account_id = $1 and state = 'pending' order by id desc limit $2)",
    )
    .bind(opened.account.0)
    .bind(opened.limit)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The account's sessions but this one.
async fn others(tx: &mut Transaction, session: &Session) -> Result<Vec<i64>, StorageError> {
    let rows = sqlx::query("select id from session where account_id = $1 and id <> $2 order by id")
        .bind(session.account.0)
        .bind(session.id)
        .fetch_all(&mut **tx)
        .await?;
    Ok(rows.iter().map(|row| row.try_get("id")).collect::<Result<_, _>>()?)
}

fn read(row: &AnyRow) -> Result<OpenSession, sqlx::Error> {
    Ok(OpenSession {
        id: row.try_get("id")?,
        address: row.try_get("address")?,
        user_agent: row.try_get("user_agent")?,
        created_at: row::moment(row, "created_at")?,
        expires_at: row::moment(row, "expires_at")?,
        last_access_at: row::moment(row, "last_access_at")?,
    })
}
