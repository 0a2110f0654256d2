//! Guesses are counted before they are looked at, so that no number of them at once gets ahead of the count.

use jiff::{SignedDuration, Timestamp};
use sqlx::Row;
use storage::{StorageError, Transaction};

use super::{Store, row};
use crate::domain::{Subject, Tries};

/// How long a count is kept after the last guess.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

impl Store {
    /// Counts a guess as a wrong one for all of its subjects, or answers until when one of them takes none.
    pub(crate) async fn count_guess(
        &self,
        subjects: &[Subject],
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StorageError> {
        let mut tx = self.database.begin("attempt.count").await?;
        for subject in subjects {
            match hold(&mut tx, subject, now).await?.another(subject.allowance, now) {
                Ok(tries) => keep(&mut tx, subject, tries).await?,
                // Nothing is counted for the others either.
                Err(until) => return Ok(Some(until)),
            }
        }
        tx.commit().await?;
        Ok(None)
    }

    /// The guess was right: what it is at has a clean slate, and where it came from gets it back.
    pub(crate) async fn forgive_guess(&self, subjects: &[Subject]) -> Result<(), StorageError> {
        let mut tx = self.database.begin("attempt.forgive").await?;
        for subject in subjects {
            let statement = if subject.is_shared() {
                "update attempt set failures = failures - 1, blocked_until = 0 where subject = $1 and failures > 0"
            } else {
                "delete from attempt where subject = $1"
            };
            sqlx::query(statement).bind(&subject.name).execute(&mut *tx).await?;
        }
        tx.commit().await
    }

    /// Forgets counts that are old.
    pub(crate) async fn forget_guesses(&self, now: Timestamp) -> Result<(), StorageError> {
        let mut tx = self.database.begin("attempt.forget").await?;
        sqlx::query("delete from attempt where last_at < $1 and blocked_until <= $2")
            .bind((now - KEPT).as_microsecond())
            .bind(now.as_microsecond())
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }
}

/// The tries of a subject, which nobody else counts until the commit.
async fn hold(tx: &mut Transaction, subject: &Subject, now: Timestamp) -> Result<Tries, StorageError> {
    sqlx::query(
        "insert into attempt (subject, failures, last_at, blocked_until) values ($1, 0, $2, 0) \
         on conflict (subject) do nothing",
    )
    .bind(&subject.name)
    .bind(now.as_microsecond())
    .execute(&mut **tx)
    .await?;
    let row = sqlx::query(
        "update attempt set failures = failures where subject = $1 returning failures, last_at, blocked_until",
    )
    .bind(&subject.name)
    .fetch_one(&mut **tx)
    .await?;
    let (since, blocked_until) = (row::moment(&row, "last_at")?, row::moment(&row, "blocked_until")?);
    Ok(Tries { failures: row.try_get("failures")?, since, blocked_until })
}

async fn keep(tx: &mut Transaction, subject: &Subject, tries: Tries) -> Result<(), StorageError> {
    sqlx::query("update attempt set failures = $1, last_at = $2, blocked_until = $3 where subject = $4")
        .bind(tries.failures)
        .bind(tries.since.as_microsecond())
        .bind(tries.blocked_until.as_microsecond())
        .bind(&subject.name)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
