//! A database that was put back to an earlier state.

use jiff::Timestamp;
use storage::StorageError;

use super::Store;

/// How many numbers are left out of each kind: more than can have been given since the state that was put back.
const GAP: i64 = 1_000_000;

impl Store {
    /// Makes what was lost stay lost: no number and no revision that was given since is given again, and no holder goes on where it
    /// stopped. The next revision is the time, in microseconds: there are never as many changes.
    pub(crate) async fn start_anew(&self, now: Timestamp) -> Result<(), StorageError> {
        let mut tx = self.database.begin("database.restored").await?;
        sqlx::query(
            "update counter set value = value + $1 where name in ('account', 'session', 'token', 'deleted_account')",
        )
        .bind(GAP)
        .execute(&mut *tx)
        .await?;
        let revision = now.as_microsecond();
        sqlx::query(
            "update counter set value = case when value < $1 then $1 else value + 1 end where name = 'revision'",
        )
        .bind(revision)
        .execute(&mut *tx)
        .await?;
        sqlx::query("delete from change").execute(&mut *tx).await?;
        sqlx::query("delete from lease").execute(&mut *tx).await?;
        tx.commit().await
    }
}
