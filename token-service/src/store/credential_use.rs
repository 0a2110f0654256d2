use access::{AccountId, GrantedKind};
use jiff::{SignedDuration, Timestamp};
use sqlx::Row;
use storage::{StorageError, Transaction};

use super::Store;
use crate::domain::{CredentialUse, DAYS_KEPT, day};

/// How long the number of a reporter's last report is kept: no gateway sends one again after that.
const REPORTS_KEPT: SignedDuration = SignedDuration::from_hours(24);

/// How often a token was used on one day.
#[derive(Debug)]
pub(crate) struct DayOfUse {
    pub(crate) token: i64,
    pub(crate) day: i64,
    pub(crate) uses: i64,
}

impl Store {
    /// Counts a report of uses, once. Credentials that are gone in the meantime are passed over.
    pub(crate) async fn count_uses(
        &self,
        reporter: &str,
        sequence: i64,
        uses: &[CredentialUse],
        now: Timestamp,
    ) -> Result<(), StorageError> {
        self.database.again(|| self.try_count_uses(reporter, sequence, uses, now)).await
    }

    async fn try_count_uses(
        &self,
        reporter: &str,
        sequence: i64,
        uses: &[CredentialUse],
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut tx = self.database.begin("credential.count_uses").await?;
        let first = sqlx::query(
            "insert into use_report (reporter, sequence, reported_at) values ($1, $2, $3) \
             on conflict (reporter) do update set sequence = excluded.sequence, reported_at = excluded.reported_at \
             where use_report.sequence < excluded.sequence",
        )
        .bind(reporter)
        .bind(sequence)
        .bind(now.as_microsecond())
        .execute(&mut *tx)
        .await?;
        if first.rows_affected() == 0 {
            return Ok(());
        }
        // All reports take their rows in one order, so that none waits for another that waits for it.
        let mut ordered: Vec<&CredentialUse> = uses.iter().collect();
        ordered.sort_by_key(|used| used.credential);
        for used in ordered {
            match used.credential.kind {
                GrantedKind::Session => session(&mut tx, used).await?,
                GrantedKind::Token => token(&mut tx, used).await?,
            }
        }
        tx.commit().await
    }

    /// How often an account's tokens, or one of them, were used on each of the last days.
    pub(crate) async fn uses_by_day(
        &self,
        account: AccountId,
        token: Option<i64>,
        now: Timestamp,
    ) -> Result<Vec<DayOfUse>, StorageError> {
        let rows = sqlx::query(
            "select token_use.token_id, token_use.day, token_use.uses \
             from token_use join token on token.id = token_use.token_id \
             where token.account_id = $1 and token_use.day > $2 and (token.id = $3 or $3 = 0) \
             order by token_use.token_id, token_use.day",
        )
        .bind(account.0)
        .bind(day(now) - DAYS_KEPT)
        .bind(token.unwrap_or(0))
        .fetch_all(self.database.reader())
        .await?;
        let read = |row: &sqlx::any::AnyRow| {
            Ok::<_, sqlx::Error>(DayOfUse {
                token: row.try_get("token_id")?,
                day: row.try_get("day")?,
                uses: row.try_get("uses")?,
            })
        };
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Forgets the uses of days that are told no more, and the numbers of reports that nobody sends again.
    pub(crate) async fn forget_uses(&self, now: Timestamp) -> Result<(), StorageError> {
        let mut tx = self.database.begin("credential.forget_uses").await?;
        sqlx::query("delete from token_use where day <= $1").bind(day(now) - DAYS_KEPT).execute(&mut *tx).await?;
        sqlx::query("delete from use_report where reported_at < $1")
            .bind((now - REPORTS_KEPT).as_microsecond())
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }
}

async fn session(tx: &mut Transaction, used: &CredentialUse) -> Result<(), StorageError> {
    sqlx::query("update session set last_access_at = $1 where id = $2 and last_access_at < $1")
        .bind(used.last_used_at.as_microsecond())
        .bind(used.credential.number)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

async fn token(tx: &mut Transaction, used: &CredentialUse) -> Result<(), StorageError> {
    let counted = sqlx::query("update token set use_count = use_count + $1 where id = $2")
        .bind(used.count)
        .bind(used.credential.number)
        .execute(&mut **tx)
        .await?;
    if counted.rows_affected() == 0 {
        return Ok(());
    }
    sqlx::query(
        "update token set last_used_at = $1, last_used_address = $2, last_used_method = $3 \
         where id = $4 and (last_used_at is null or last_used_at <= $1)",
    )
    .bind(used.last_used_at.as_microsecond())
    .bind(&used.address)
    .bind(&used.method)
    .bind(used.credential.number)
    .execute(&mut **tx)
    .await?;
    sqlx::query(
        "insert into token_use (token_id, day, uses) values ($1, $2, $3) \
         on conflict (token_id, day) do update set uses = token_use.uses + excluded.uses",
    )
    .bind(used.credential.number)
    .bind(day(used.last_used_at))
    .bind(used.count)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
