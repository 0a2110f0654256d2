//! What the webhook is to be told: made beside what it tells of, and kept until it was taken.

use access::GrantedKind;
use jiff::{SignedDuration, Timestamp};
use sqlx::Row;
use sqlx::any::AnyRow;
use storage::{StorageError, Transaction};
use uuid::Uuid;

use super::possession::Held;
use super::{Store, row};
use crate::domain::{Notice, NoticeKind};

/// How many tokens are looked at, and how many notices are sent, at once.
const BATCH: i64 = 100;

/// How long a notice is kept, delivered or not, after the moment that it is about.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Whether what a notice tells is true at the moment `$1`: an expiry that was changed meanwhile, or is over, is no news.
const STANDS: &str = "(notice.kind <> 'token.expiring' or (notice.about > $1 and exists (\
     select 1 from token where token.id = notice.credential_id and token.expires_at = notice.about)))";

impl Store {
    /// Makes a notice of each token that expires until a moment and was not noticed yet. Whether there may be more is
    /// answered.
    pub(crate) async fn notice_expiries(&self, now: Timestamp, until: Timestamp) -> Result<bool, StorageError> {
        let found = sqlx::query(
            "select token.id, token.account_id, token.expires_at from token \
             where token.expires_at > $1 and token.expires_at <= $2 and not exists (\
             select 1 from notice where notice.credential_id = token.id and notice.kind = 'token.expiring' \
             and notice.about = token.expires_at) \
             order by token.expires_at limit $3",
        )
        .bind(now.as_microsecond())
        .bind(until.as_microsecond())
        .bind(BATCH)
        .fetch_all(self.database.reader())
        .await?;
        if found.is_empty() {
            return Ok(false);
        }
        let mut tx = self.database.begin("notice.expiries").await?;
        for token in &found {
            // Another replica may have made it in the meantime.
            sqlx::query(
                "insert into notice (id, account_id, credential_id, kind, about, next_attempt_at) \
                 values ($1, $2, $3, 'token.expiring', $4, $5) on conflict (credential_id, kind, about) do nothing",
            )
            .bind(Uuid::now_v7().to_string())
            .bind(token.try_get::<i64, _>("account_id")?)
            .bind(token.try_get::<i64, _>("id")?)
            .bind(token.try_get::<i64, _>("expires_at")?)
            .bind(now.as_microsecond())
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(found.len() == usize::try_from(BATCH).unwrap_or(usize::MAX))
    }

    /// The notices that are to be sent now, oldest first. That a value was leaked is told of a token that is deleted since, too.
    pub(crate) async fn notices_due(&self, now: Timestamp) -> Result<Vec<Notice>, StorageError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select notice.id, notice.kind, notice.about, notice.attempts, notice.next_attempt_at, \
             notice.credential_id, notice.account_id, account.login, account.email, \
             coalesce(token.description, '') as description \
             from notice join account on account.id = notice.account_id \
             left join token on token.id = notice.credential_id and notice.kind <> 'session.leaked' \
             where notice.delivered_at is null and notice.next_attempt_at <= $1 and {STANDS} \
             order by notice.next_attempt_at limit $2"
        )))
        .bind(now.as_microsecond())
        .bind(BATCH)
        .fetch_all(self.database.reader())
        .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Drops the notices that are to be sent now, and tell what is not so any more.
    pub(crate) async fn drop_overtaken_notices(&self, now: Timestamp) -> Result<(), StorageError> {
        let overtaken = format!("delivered_at is null and next_attempt_at <= $1 and not {STANDS}");
        let found =
            sqlx::query(sqlx::AssertSqlSafe(format!("select 1 as found from notice where {overtaken} limit 1")))
                .bind(now.as_microsecond())
                .fetch_optional(self.database.reader())
                .await?;
        if found.is_none() {
            return Ok(());
        }
        let mut tx = self.database.begin("notice.drop").await?;
        sqlx::query(sqlx::AssertSqlSafe(format!("delete from notice where {overtaken}")))
            .bind(now.as_microsecond())
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    /// Takes a notice to send it, unless somebody else has, or it is not true any more. It is due again at a later moment,
    /// should this one not come back.
    pub(crate) async fn claim_notice(
        &self,
        notice: &Notice,
        now: Timestamp,
        again_at: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut tx = self.database.begin("notice.claim").await?;
        let claimed = sqlx::query(sqlx::AssertSqlSafe(format!(
            "update notice set attempts = attempts + 1, next_attempt_at = $2 \
             where id = $3 and next_attempt_at = $4 and delivered_at is null and {STANDS}"
        )))
        .bind(now.as_microsecond())
        .bind(again_at.as_microsecond())
        .bind(&notice.id)
        .bind(notice.next_attempt_at.as_microsecond())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(claimed.rows_affected() == 1)
    }

    /// A notice was taken by the webhook.
    pub(crate) async fn notice_delivered(&self, notice: &Notice, now: Timestamp) -> Result<(), StorageError> {
        let mut tx = self.database.begin("notice.delivered").await?;
        sqlx::query("update notice set delivered_at = $1 where id = $2")
            .bind(now.as_microsecond())
            .bind(&notice.id)
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    /// Forgets notices that are old.
    pub(crate) async fn forget_notices(&self, now: Timestamp) -> Result<(), StorageError> {
        let mut tx = self.database.begin("notice.forget").await?;
        let old = (now - KEPT).as_microsecond();
        sqlx::query("delete from notice where about < $1").bind(old).execute(&mut *tx).await?;
        tx.commit().await
    }
}

/// Leaves a notice that a value was reported, to be told as soon as it can be.
pub(super) async fn leaked(tx: &mut Transaction, held: Held, now: Timestamp) -> Result<(), StorageError> {
    let kind = match (held.credential.kind, held.superseded) {
        (GrantedKind::Session, _) => NoticeKind::SessionLeaked,
        (GrantedKind::Token, true) => NoticeKind::PreviousLeaked,
        (GrantedKind::Token, false) => NoticeKind::Leaked,
    };
    sqlx::query(
        "insert into notice (id, account_id, credential_id, kind, about, next_attempt_at) \
         values ($1, $2, $3, $4, $5, $5)",
    )
    .bind(Uuid::now_v7().to_string())
    .bind(held.account.0)
    .bind(held.credential.number)
    .bind(text(kind))
    .bind(now.as_microsecond())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

const KINDS: [(NoticeKind, &str); 4] = [
    (NoticeKind::Expiring, "token.expiring"),
    (NoticeKind::Leaked, "token.leaked"),
    (NoticeKind::PreviousLeaked, "token.previous_leaked"),
    (NoticeKind::SessionLeaked, "session.leaked"),
];

fn text(kind: NoticeKind) -> &'static str {
    let found = KINDS.iter().find(|(known, _)| *known == kind).map(|(_, text)| *text);
    found.expect("every kind has a column value")
}

fn kind(row: &AnyRow) -> Result<NoticeKind, sqlx::Error> {
    let text: &str = row.try_get("kind")?;
    let found = KINDS.iter().find(|(_, known)| *known == text).map(|(kind, _)| *kind);
    found.ok_or_else(|| row::unreadable("kind", &text))
}

fn read(row: &AnyRow) -> Result<Notice, sqlx::Error> {
    Ok(Notice {
        id: row.try_get("id")?,
        kind: kind(row)?,
        about: row::moment(row, "about")?,
        attempts: row.try_get("attempts")?,
        next_attempt_at: row::moment(row, "next_attempt_at")?,
        credential: row.try_get("credential_id")?,
        description: row.try_get("description")?,
        account: row.try_get("account_id")?,
        login: row.try_get("login")?,
        email: row.try_get("email")?,
    })
}
