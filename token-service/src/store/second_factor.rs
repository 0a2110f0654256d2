//! Second factors and recovery codes, and the sign-ins that wait for them.

use access::lease::Change;
use access::{AccountId, CredentialHash, Origin};
use jiff::Timestamp;
use sqlx::Row;
use storage::{StorageError, Transaction};

use super::{SessionError, Store, audit, change, row};
use crate::domain::{AuditEntry, RecoveryHash, Session, StoredFactor, UsedCode};

/// Why a second factor was not changed, or not passed. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecondFactorError {
    #[error("two-factor authentication is on already")]
    AlreadyOn,
    #[error("there is no second factor to confirm")]
    NotBegun,
    #[error("two-factor authentication is not on")]
    NotOn,
    #[error("the code is wrong, or has been used before")]
    WrongCode,
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl From<StorageError> for SecondFactorError {
    fn from(error: StorageError) -> Self {
        Self::Session(error.into())
    }
}

impl From<sqlx::Error> for SecondFactorError {
    fn from(error: sqlx::Error) -> Self {
        Self::Session(error.into())
    }
}

/// A session that waits for the second factor is to be opened.
#[derive(Debug)]
pub(crate) struct Verified<'a> {
    pub(crate) session: &'a Session,
    pub(crate) code: &'a UsedCode,
    pub(crate) now: Timestamp,
    pub(crate) expires_at: Timestamp,
    /// How many sessions the account may have, this one included.
    pub(crate) limit: i64,
}

impl Store {
    pub(crate) async fn second_factor(&self, account: AccountId) -> Result<Option<StoredFactor>, StorageError> {
        let found = sqlx::query("select secret, state, last_step from second_factor where account_id = $1")
            .bind(account.0)
            .fetch_optional(self.database.reader())
            .await?;
        let Some(row) = found else { return Ok(None) };
        Ok(Some(StoredFactor {
            sealed: row.try_get("secret")?,
            state: row::factor_state(&row)?,
            last_step: row.try_get("last_step")?,
        }))
    }

    /// How many recovery codes an account has left.
    pub(crate) async fn recovery_codes_left(&self, account: AccountId) -> Result<i64, StorageError> {
        let row = sqlx::query("select count(*) as held from recovery_code where account_id = $1")
            .bind(account.0)
            .fetch_one(self.database.reader())
            .await?;
        Ok(row.try_get("held")?)
    }

    /// The session with this hash, if it waits for the second factor.
    pub(crate) async fn pending_session(
        &self,
        hash: CredentialHash,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Option<Session>, StorageError> {
        let found = sqlx::query(
            "select session.id, session.account_id from session join account on account.id = session.account_id \
             where session.hash = $1 and session.state = 'pending' and session.expires_at > $2 \
             and account.state = 'active'",
        )
        .bind(hash.as_bytes().as_slice())
        .bind(now.as_microsecond())
        .fetch_optional(self.database.reader())
        .await?;
        let Some(row) = found else { return Ok(None) };
        let account = AccountId(row.try_get("account_id")?);
        Ok(Some(Session { id: row.try_get("id")?, account, origin: origin.clone() }))
    }

    /// Opens a session that waits for the second factor, and uses the code up.
    pub(crate) async fn verify_second_factor(&self, verified: &Verified<'_>) -> Result<Vec<Change>, SecondFactorError> {
        self.database.again(|| self.try_verify_second_factor(verified)).await
    }

    async fn try_verify_second_factor(&self, verified: &Verified<'_>) -> Result<Vec<Change>, SecondFactorError> {
        let Verified { session, code, now, expires_at, limit } = *verified;
        let mut tx = self.database.begin("second_factor.verify").await?;
        // What is remembered of the session elsewhere, that it opens nothing, ends with this.
        let change = change::record(&mut tx, session.account, change::session(session.id), now).await?;
        hold(&mut tx, session.account).await?;
        use_up(&mut tx, session.account, code).await?;
        let opened = sqlx::query(
            "update session set state = 'active', expires_at = $1, last_access_at = $2 \
             where id = $3 and account_id = $4 and state = 'pending' and expires_at > $2",
        )
        .bind(expires_at.as_microsecond())
        .bind(now.as_microsecond())
        .bind(session.id)
        .bind(session.account.0)
        .execute(&mut *tx)
        .await?;
        if opened.rows_affected() != 1 {
            return Err(SessionError::Ended.into());
        }
        let ended = self.end_surplus(&mut tx, session.account, limit, now).await?;
        record_use(&mut tx, session, code, now).await?;
        let object = format!("session {}", session.id);
        audit::record(&mut tx, &AuditEntry::by_session(session, "session.open", object, now)).await?;
        tx.commit().await?;
        Ok(std::iter::once(change).chain(ended).collect())
    }
}

impl Store {
    /// Keeps a secret that waits for its first code, in place of another one that does.
    pub(crate) async fn begin_second_factor(
        &self,
        session: &Session,
        sealed: &[u8],
        now: Timestamp,
    ) -> Result<(), SecondFactorError> {
        self.database.again(|| self.try_begin_second_factor(session, sealed, now)).await
    }

    async fn try_begin_second_factor(
        &self,
        session: &Session,
        sealed: &[u8],
        now: Timestamp,
    ) -> Result<(), SecondFactorError> {
        let mut tx = self.begin_factor_change("second_factor.begin", session, now).await?;
        let kept = sqlx::query(
            "insert into second_factor (account_id, secret, state, last_step, created_at) \
             values ($1, $2, 'pending', 0, $3) on conflict (account_id) do update \
             set secret = excluded.secret, last_step = 0, created_at = excluded.created_at \
             where second_factor.state = 'pending'",
        )
        .bind(session.account.0)
        .bind(sealed)
        .bind(now.as_microsecond())
        .execute(&mut *tx)
        .await?;
        if kept.rows_affected() != 1 {
            return Err(SecondFactorError::AlreadyOn);
        }
        record(tx, session, "second_factor.begin", now).await
    }

    /// Turns a second factor on whose first code was right. All other sessions end: whoever holds one has shown no second
    /// factor.
    pub(crate) async fn confirm_second_factor(
        &self,
        session: &Session,
        sealed: &[u8],
        step: i64,
        recovery: &[RecoveryHash],
        now: Timestamp,
    ) -> Result<Change, SecondFactorError> {
        self.database.again(|| self.try_confirm_second_factor(session, sealed, step, recovery, now)).await
    }

    async fn try_confirm_second_factor(
        &self,
        session: &Session,
        sealed: &[u8],
        step: i64,
        recovery: &[RecoveryHash],
        now: Timestamp,
    ) -> Result<Change, SecondFactorError> {
        let mut tx = self.database.begin("second_factor.enable").await?;
        let change = change::record(&mut tx, session.account, None, now).await?;
        self.require(&mut tx, session, now).await?;
        // Sign-ins that have seen no second factor come before this, and end with the other sessions, or see it.
        hold(&mut tx, session.account).await?;
        let confirmed = sqlx::query(
            "update second_factor set state = 'active', last_step = $1 \
             where account_id = $2 and state = 'pending' and secret = $3",
        )
        .bind(step)
        .bind(session.account.0)
        .bind(sealed)
        .execute(&mut *tx)
        .await?;
        if confirmed.rows_affected() != 1 {
            return Err(SecondFactorError::NotBegun);
        }
        replace_recovery_codes(&mut tx, session.account, recovery).await?;
        sqlx::query("delete from session where account_id = $1 and id <> $2")
            .bind(session.account.0)
            .bind(session.id)
            .execute(&mut *tx)
            .await?;
        record(tx, session, "second_factor.enable", now).await?;
        Ok(change)
    }

    /// Takes the second factor away. Sign-ins that wait for it end.
    pub(crate) async fn disable_second_factor(
        &self,
        session: &Session,
        code: &UsedCode,
        now: Timestamp,
    ) -> Result<(), SecondFactorError> {
        self.database.again(|| self.try_disable_second_factor(session, code, now)).await
    }

    async fn try_disable_second_factor(
        &self,
        session: &Session,
        code: &UsedCode,
        now: Timestamp,
    ) -> Result<(), SecondFactorError> {
        let mut tx = self.begin_factor_change("second_factor.disable", session, now).await?;
        hold(&mut tx, session.account).await?;
        use_up(&mut tx, session.account, code).await?;
        forget(&mut tx, session.account).await?;
        sqlx::query("delete from session where account_id = $1 and state = 'pending'")
            .bind(session.account.0)
            .execute(&mut *tx)
            .await?;
        record_use(&mut tx, session, code, now).await?;
        record(tx, session, "second_factor.disable", now).await
    }

    /// Replaces the recovery codes.
    pub(crate) async fn regenerate_recovery_codes(
        &self,
        session: &Session,
        code: &UsedCode,
        recovery: &[RecoveryHash],
        now: Timestamp,
    ) -> Result<(), SecondFactorError> {
        self.database.again(|| self.try_regenerate_recovery_codes(session, code, recovery, now)).await
    }

    async fn try_regenerate_recovery_codes(
        &self,
        session: &Session,
        code: &UsedCode,
        recovery: &[RecoveryHash],
        now: Timestamp,
    ) -> Result<(), SecondFactorError> {
        let mut tx = self.begin_factor_change("recovery_code.regenerate", session, now).await?;
        hold(&mut tx, session.account).await?;
        use_up(&mut tx, session.account, code).await?;
        replace_recovery_codes(&mut tx, session.account, recovery).await?;
        record_use(&mut tx, session, code, now).await?;
        record(tx, session, "recovery_code.regenerate", now).await
    }

    /// A change that takes nothing away from a credential, kept in order with those that do.
    async fn begin_factor_change(
        &self,
        name: &'static str,
        session: &Session,
        now: Timestamp,
    ) -> Result<Transaction, SecondFactorError> {
        let mut tx = self.database.begin(name).await?;
        change::lock(&mut tx).await?;
        self.require(&mut tx, session, now).await?;
        Ok(tx)
    }
}

/// Within the transaction of a sign-in that holds the account's row: whether a second factor is needed.
pub(super) async fn is_on(tx: &mut Transaction, account: AccountId) -> Result<bool, StorageError> {
    let found = sqlx::query("select account_id from second_factor where account_id = $1 and state = 'active'")
        .bind(account.0)
        .fetch_optional(&mut **tx)
        .await?;
    Ok(found.is_some())
}

/// Within a change's transaction: the second factor and the recovery codes are gone.
pub(super) async fn forget(tx: &mut Transaction, account: AccountId) -> Result<(), StorageError> {
    for statement in
        ["delete from recovery_code where account_id = $1", "delete from second_factor where account_id = $1"]
    {
        sqlx::query(statement).bind(account.0).execute(&mut **tx).await?;
    }
    Ok(())
}

/// Keeps an active account's row until the commit: its sign-ins and its second factor change one after the other.
async fn hold(tx: &mut Transaction, account: AccountId) -> Result<(), SessionError> {
    let held = sqlx::query("update account set state = state where id = $1 and state = 'active'")
        .bind(account.0)
        .execute(&mut **tx)
        .await?;
    if held.rows_affected() == 1 { Ok(()) } else { Err(SessionError::Ended) }
}

/// Each code is good once, however many come at once: the condition is looked at by the statement that uses it up.
async fn use_up(tx: &mut Transaction, account: AccountId, code: &UsedCode) -> Result<(), SecondFactorError> {
    let statement = match code {
        UsedCode::Time { step, sealed } => sqlx::query(
            "update second_factor set last_step = $2 \
             where account_id = $1 and last_step < $2 and secret = $3 and state = 'active'",
        )
        .bind(account.0)
        .bind(*step)
        .bind(sealed.as_slice()),
        UsedCode::Recovery(hash) => sqlx::query("delete from recovery_code where account_id = $1 and hash = $2")
            .bind(account.0)
            .bind(hash.as_bytes()),
    };
    let used = statement.execute(&mut **tx).await?;
    if used.rows_affected() == 1 { Ok(()) } else { Err(SecondFactorError::WrongCode) }
}

async fn replace_recovery_codes(
    tx: &mut Transaction,
    account: AccountId,
    hashes: &[RecoveryHash],
) -> Result<(), StorageError> {
    sqlx::query("delete from recovery_code where account_id = $1").bind(account.0).execute(&mut **tx).await?;
    for hash in hashes {
        sqlx::query("insert into recovery_code (account_id, hash) values ($1, $2)")
            .bind(account.0)
            .bind(hash.as_bytes())
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

/// A recovery code that was used is an entry of its own: its owner may want to know, and to make others.
async fn record_use(
    tx: &mut Transaction,
    session: &Session,
    code: &UsedCode,
    now: Timestamp,
) -> Result<(), StorageError> {
    match code {
        UsedCode::Time { .. } => Ok(()),
        UsedCode::Recovery(_) => {
            let object = format!("account {}", session.account);
            audit::record(tx, &AuditEntry::by_session(session, "recovery_code.use", object, now)).await
        }
    }
}

/// The end of a change: its entry, and the commit.
async fn record(
    mut tx: Transaction,
    session: &Session,
    action: &'static str,
    now: Timestamp,
) -> Result<(), SecondFactorError> {
    let object = format!("account {}", session.account);
    audit::record(&mut tx, &AuditEntry::by_session(session, action, object, now)).await?;
    Ok(tx.commit().await?)
}
