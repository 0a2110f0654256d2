//! Guesses are counted before they are looked at, so that no number of them at once gets ahead of the count.

use access::{AccountId, Origin};
use jiff::{SignedDuration, Timestamp};
use sqlx::Row;
use storage::{StorageError, Transaction};

use super::{Store, audit, row};
use crate::domain::{AuditEntry, Guessed, Subject, Tries};

/// How long a count is kept after the last guess.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

impl Store {
    /// Counts a guess as a wrong one for all of its subjects, or answers until when one of them takes none. The first that one
    /// turns away stands in the audit log, and how many those were, once another is looked at: so there are never more entries
    /// than a few for each guess that was looked at, however many come too early.
    pub(crate) async fn count_guess(
        &self,
        guessed: Guessed<'_>,
        subjects: &[Subject],
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StorageError> {
        self.database.again(|| self.try_count_guess(guessed, subjects, origin, now)).await
    }

    async fn try_count_guess(
        &self,
        guessed: Guessed<'_>,
        subjects: &[Subject],
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StorageError> {
        let mut tx = self.database.begin("attempt.count").await?;
        let mut counted = Vec::with_capacity(subjects.len());
        for subject in subjects {
            let before = hold(&mut tx, subject, now).await?;
            match before.another(subject.allowance, now) {
                Ok(tries) => counted.push((subject, before.turned_away, tries)),
                // Nothing is counted for the others.
                Err(until) => {
                    turn_away(&mut tx, subject).await?;
                    if before.turned_away == 0 {
                        let known = account_of(&mut tx, guessed).await?;
                        let entry = AuditEntry::turned_away(guessed, subject, known, origin, now);
                        audit::record(&mut tx, &entry).await?;
                    }
                    tx.commit().await?;
                    return Ok(Some(until));
                }
            }
        }
        for (subject, _, tries) in &counted {
            keep(&mut tx, subject, *tries).await?;
        }
        // Of one that was turned away an entry tells already.
        for (subject, turned_away, _) in counted.into_iter().filter(|(_, turned_away, _)| *turned_away > 1) {
            let known = account_of(&mut tx, guessed).await?;
            let entry = AuditEntry::count_turned_away(turned_away, guessed, subject, known, now);
            audit::record(&mut tx, &entry).await?;
        }
        tx.commit().await?;
        Ok(None)
    }

    /// The guess was right: what it is at has a clean slate, and where it came from gets it back.
    pub(crate) async fn forgive_guess(&self, subjects: &[Subject]) -> Result<(), StorageError> {
        self.database.again(|| self.try_forgive_guess(subjects)).await
    }

    async fn try_forgive_guess(&self, subjects: &[Subject]) -> Result<(), StorageError> {
        let mut tx = self.database.begin("attempt.forgive").await?;
        for subject in subjects {
            let statements: &[&'static str] = if subject.is_shared() {
                &["update attempt set failures = failures - 1, blocked_until = 0 where subject = $1 and failures > 0"]
            } else {
                // How many it has turned away is still to be told.
                &[
                    "delete from attempt where subject = $1 and turned_away = 0",
                    "update attempt set failures = 0, blocked_until = 0 where subject = $1",
                ]
            };
            for statement in statements {
                sqlx::query(*statement).bind(&subject.name).execute(&mut *tx).await?;
            }
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
        "update attempt set failures = failures where subject = $1 \
         returning failures, last_at, blocked_until, turned_away",
    )
    .bind(&subject.name)
    .fetch_one(&mut **tx)
    .await?;
    let (since, blocked_until) = (row::moment(&row, "last_at")?, row::moment(&row, "blocked_until")?);
    Ok(Tries { failures: row.try_get("failures")?, since, blocked_until, turned_away: row.try_get("turned_away")? })
}

async fn keep(tx: &mut Transaction, subject: &Subject, tries: Tries) -> Result<(), StorageError> {
    sqlx::query(
        "update attempt set failures = $1, last_at = $2, blocked_until = $3, turned_away = $4 where subject = $5",
    )
    .bind(tries.failures)
    .bind(tries.since.as_microsecond())
    .bind(tries.blocked_until.as_microsecond())
    .bind(tries.turned_away)
    .bind(&subject.name)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn turn_away(tx: &mut Transaction, subject: &Subject) -> Result<(), StorageError> {
    sqlx::query("update attempt set turned_away = turned_away + 1 where subject = $1")
        .bind(&subject.name)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Whose account is guessed at. A login is looked up whether it is known or not, so that both take the same time.
async fn account_of(tx: &mut Transaction, guessed: Guessed<'_>) -> Result<Option<AccountId>, StorageError> {
    let login = match guessed {
        Guessed::Login(Some(login)) => login,
        Guessed::Password(session) | Guessed::Code(session) | Guessed::RecoveryCode(session) => {
            return Ok(Some(session.account));
        }
        Guessed::Login(None) | Guessed::Credential => return Ok(None),
    };
    let found =
        sqlx::query("select id from account where login = $1").bind(login.as_str()).fetch_optional(&mut **tx).await?;
    Ok(found.map(|row| row.try_get("id")).transpose()?.map(AccountId))
}
