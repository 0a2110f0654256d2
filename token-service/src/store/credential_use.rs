use std::collections::BTreeMap;

use access::{AccountId, GrantedKind};
use jiff::{SignedDuration, Timestamp};
use sqlx::{AssertSqlSafe, Row};
use storage::StorageError;

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
        // One report after the other: each takes many rows at once, in whatever order.
        tx.next_value("use_report").await?;
        let Summed { sessions, tokens, days } = Summed::of(uses);
        for rows in chunks(&sessions) {
            let mut statement = sqlx::query(AssertSqlSafe(format!(
                "update session set last_access_at = used.column2 from (values {}) as used \
                 where session.id = used.column1 and session.last_access_at < used.column2",
                values(&["bigint", "bigint"], rows.len())
            )));
            for (id, last) in rows {
                statement = statement.bind(*id).bind(last.as_microsecond());
            }
            statement.execute(&mut *tx).await?;
        }
        for rows in chunks(&tokens) {
            let newer = "last_used_at is null or last_used_at <= used.column3";
            let mut statement = sqlx::query(AssertSqlSafe(format!(
                "update token set use_count = use_count + used.column2, \
                 last_used_at = case when {newer} then used.column3 else last_used_at end, \
                 last_used_address = case when {newer} then used.column4 else last_used_address end, \
                 last_used_method = case when {newer} then used.column5 else last_used_method end \
                 from (values {}) as used where token.id = used.column1",
                values(&["bigint", "bigint", "bigint", "text", "text"], rows.len())
            )));
            for (id, used) in rows {
                statement = statement.bind(*id).bind(used.count).bind(used.last_used_at.as_microsecond());
                statement = statement.bind(&used.address).bind(&used.method);
            }
            statement.execute(&mut *tx).await?;
        }
        // The rows of the tokens are held by now: none of those that are there goes away before the commit.
        for rows in chunks(&days) {
            let mut statement = sqlx::query(AssertSqlSafe(format!(
                "insert into token_use (token_id, day, uses) \
                 select used.column1, used.column2, used.column3 from (values {}) as used \
                 where exists (select 1 from token where token.id = used.column1) \
                 on conflict (token_id, day) do update set uses = token_use.uses + excluded.uses",
                values(&["bigint", "bigint", "bigint"], rows.len())
            )));
            for ((token, day), count) in rows {
                statement = statement.bind(*token).bind(*day).bind(*count);
            }
            statement.execute(&mut *tx).await?;
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

/// A report, so that each row of each table is named once.
#[derive(Default)]
struct Summed {
    /// When each session was used last.
    sessions: Vec<(i64, Timestamp)>,
    /// How often each token was used, and its last use.
    tokens: Vec<(i64, CredentialUse)>,
    /// How often each token was used on each day.
    days: Vec<((i64, i64), i64)>,
}

impl Summed {
    fn of(uses: &[CredentialUse]) -> Self {
        let (mut sessions, mut tokens, mut days) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for used in uses {
            let number = used.credential.number;
            match used.credential.kind {
                GrantedKind::Session => {
                    let last = sessions.entry(number).or_insert(used.last_used_at);
                    *last = used.last_used_at.max(*last);
                }
                GrantedKind::Token => {
                    let counted = days.entry((number, day(used.last_used_at))).or_insert(0_i64);
                    *counted = counted.saturating_add(used.count);
                    tokens
                        .entry(number)
                        .and_modify(|known: &mut CredentialUse| known.add(used))
                        .or_insert(used.clone());
                }
            }
        }
        Self {
            sessions: sessions.into_iter().collect(),
            tokens: tokens.into_iter().collect(),
            days: days.into_iter().collect(),
        }
    }
}

/// How many rows a statement has. Few sizes, since each is a statement of its own that is prepared and kept.
const ROWS: [usize; 3] = [128, 16, 1];

/// All of the rows, by as many as a statement has.
fn chunks<T>(mut rows: &[T]) -> Vec<&[T]> {
    let mut chunks = Vec::new();
    for size in ROWS {
        while rows.len() >= size {
            let (chunk, rest) = rows.split_at(size);
            chunks.push(chunk);
            rows = rest;
        }
    }
    chunks
}

/// The parameters of so many rows: `(cast($1 as bigint), cast($2 as text)), (…)`.
fn values(types: &[&str], rows: usize) -> String {
    let row = |row: usize| {
        let first = row * types.len() + 1;
        let cells = types.iter().enumerate().map(|(place, of)| format!("cast(${} as {of})", first + place));
        format!("({})", cells.collect::<Vec<_>>().join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_taken_in_few_sizes_and_none_is_left_out() {
        for count in [0, 1, 15, 16, 17, 127, 128, 500] {
            let rows: Vec<usize> = (0..count).collect();
            let chunks = chunks(&rows);
            assert!(chunks.iter().all(|chunk| ROWS.contains(&chunk.len())), "{count}");
            assert_eq!(chunks.concat(), rows);
        }
        assert_eq!(
            values(&["bigint", "text"], 2),
            "(cast($1 as bigint), cast($2 as text)), (cast($3 as bigint), cast($4 as text))"
        );
    }
}
