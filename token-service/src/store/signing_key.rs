//! The keys that grants are signed with, once one has replaced another. All times are the database's, so that replicas agree on them.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use storage::{StorageError, Transaction};

use super::{Store, audit, row};
use crate::domain::AuditEntry;

/// A key, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SigningKeyRow {
    pub(crate) key_id: String,
    /// In base64.
    pub(crate) public_key: String,
    /// Sealed, in base64; empty for the one that the operator's file holds.
    pub(crate) sealed: String,
    pub(crate) signs_from: Timestamp,
    pub(crate) verifies_until: Option<Timestamp>,
}

/// A key that is to be kept.
#[derive(Clone, Debug)]
pub(crate) struct NewSigningKey {
    pub(crate) key_id: String,
    pub(crate) public_key: String,
    pub(crate) sealed: String,
}

/// When one key follows another, from now on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Succession {
    /// After how long the new one signs.
    pub(crate) lead: Duration,
    /// For how long, after that, a grant of the old one can be good.
    pub(crate) remains: Duration,
}

/// Why a key was not replaced.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SuccessionError {
    #[error("the key {0} is still to come: it signs from {1} on")]
    UnderWay(String, Timestamp),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<sqlx::Error> for SuccessionError {
    fn from(error: sqlx::Error) -> Self {
        Self::Storage(error.into())
    }
}

impl Store {
    /// The keys that a grant can still be signed with, by when they sign, and the database's time.
    pub(crate) async fn signing_keys(&self) -> Result<(Vec<SigningKeyRow>, Timestamp), StorageError> {
        let clock = self.database.clock();
        let rows = sqlx::query(AssertSqlSafe(format!(
            "select key_id, public_key, sealed, signs_from, verifies_until, {clock} as now from signing_key \
             where verifies_until is null or verifies_until > {clock} order by signs_from, key_id"
        )))
        .fetch_all(self.database.reader())
        .await?;
        let now = rows.first().map_or(Ok(Timestamp::UNIX_EPOCH), |first| row::moment(first, "now"))?;
        Ok((rows.iter().map(read).collect::<Result<_, _>>()?, now))
    }

    /// Keeps the operator's key, by name, where there is none yet: from then on no other is taken for it.
    pub(crate) async fn begin_signing_keys(&self, file: &NewSigningKey) -> Result<(), StorageError> {
        let any = "select 1 as found from signing_key limit 1";
        if sqlx::query(any).fetch_optional(self.database.reader()).await?.is_some() {
            return Ok(());
        }
        let mut tx = self.database.begin("signing_key.begin").await?;
        self.insert_first(&mut tx, file).await?;
        tx.commit().await
    }

    async fn insert_first(&self, tx: &mut Transaction, file: &NewSigningKey) -> Result<(), sqlx::Error> {
        let clock = self.database.clock();
        let insert = format!(
            "insert into signing_key (key_id, public_key, sealed, created_at, signs_from, verifies_until) \
             select $1, $2, $3, {clock}, 0, null where not exists (select 1 from signing_key) on conflict (key_id) do nothing"
        );
        let insert = sqlx::query(AssertSqlSafe(insert)).bind(&file.key_id).bind(&file.public_key).bind(&file.sealed);
        insert.execute(&mut **tx).await.map(drop)
    }

    /// Lets a key follow the newest one, which is the operator's if there is none yet. Answers what is kept then.
    pub(crate) async fn succeed_signing_key(
        &self,
        file: &NewSigningKey,
        new: &NewSigningKey,
        succession: Succession,
        entry: &AuditEntry,
    ) -> Result<Vec<SigningKeyRow>, SuccessionError> {
        let (clock, Succession { lead, remains }) = (self.database.clock(), succession);
        let (lead, remains) = (micros(lead), micros(remains));
        let mut tx = self.database.begin("signing_key.succeed").await?;
        self.insert_first(&mut tx, file).await?;
        // Whoever replaces the same key at the same time waits here, and finds it replaced.
        let replaced = sqlx::query(AssertSqlSafe(format!(
            "update signing_key set verifies_until = {clock} + $1 where verifies_until is null and signs_from <= {clock} \
             returning verifies_until"
        )))
        .bind(lead + remains)
        .fetch_optional(&mut *tx)
        .await?;
        let Some(replaced) = replaced else {
            let newest = "select key_id, public_key, sealed, signs_from, verifies_until from signing_key \
                          where verifies_until is null";
            let newest = read(&sqlx::query(newest).fetch_one(&mut *tx).await?)?;
            return Err(SuccessionError::UnderWay(newest.key_id, newest.signs_from));
        };
        let signs_from = replaced.try_get::<i64, _>("verifies_until")? - remains;
        sqlx::query(AssertSqlSafe(format!(
            "insert into signing_key (key_id, public_key, sealed, created_at, signs_from, verifies_until) \
             values ($1, $2, $3, {clock}, $4, null)"
        )))
        .bind(&new.key_id)
        .bind(&new.public_key)
        .bind(&new.sealed)
        .bind(signs_from)
        .execute(&mut *tx)
        .await?;
        let kept = sqlx::query(AssertSqlSafe(format!(
            "select key_id, public_key, sealed, signs_from, verifies_until from signing_key \
             where verifies_until is null or verifies_until > {clock} order by signs_from, key_id"
        )))
        .fetch_all(&mut *tx)
        .await?;
        audit::record(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(kept.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Deletes the keys that no grant can be signed with any more. Answers which.
    pub(crate) async fn forget_signing_keys(&self) -> Result<Vec<String>, StorageError> {
        let clock = self.database.clock();
        let over = format!("verifies_until is not null and verifies_until <= {clock}");
        let any = format!("select 1 as found from signing_key where {over} limit 1");
        if sqlx::query(AssertSqlSafe(any)).fetch_optional(self.database.reader()).await?.is_none() {
            return Ok(Vec::new());
        }
        let mut tx = self.database.begin("signing_key.forget").await?;
        let forgotten = sqlx::query(AssertSqlSafe(format!("delete from signing_key where {over} returning key_id")))
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(forgotten.iter().map(|row| row.try_get("key_id")).collect::<Result<_, _>>()?)
    }

    /// Deletes all of them, so that there is only the one in the operator's file.
    pub(crate) async fn reset_signing_keys(&self, entry: &AuditEntry) -> Result<u64, StorageError> {
        let mut tx = self.database.begin("signing_key.reset").await?;
        let deleted = sqlx::query("delete from signing_key").execute(&mut *tx).await?;
        audit::record(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(deleted.rows_affected())
    }
}

fn read(row: &AnyRow) -> Result<SigningKeyRow, sqlx::Error> {
    Ok(SigningKeyRow {
        key_id: row.try_get("key_id")?,
        public_key: row.try_get("public_key")?,
        sealed: row.try_get("sealed")?,
        signs_from: row::moment(row, "signs_from")?,
        verifies_until: row::optional_moment(row, "verifies_until")?,
    })
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
