//! The audit log: a chain of rows, each with a hash that covers the row and the hash before it. Whoever changes a row, or
//! takes one out, breaks every hash after it.

use access::AccountId;
use sha2::{Digest, Sha256};
use sqlx::Row;
use sqlx::any::AnyRow;
use storage::{StorageError, Transaction};

use super::Store;
use crate::domain::AuditEntry;

/// What every row's text is hashed after.
const CONTEXT: &[u8] = b"portcullis.audit.v1\0";

/// What stands before the first row.
const BEGINNING: [u8; 32] = [0; 32];

/// The head of a log without rows.
const BEFORE_ALL: ChainHead = ChainHead { rows: 0, hash: BEGINNING };

/// How many rows are read at once.
const PAGE: i64 = 1000;

const COLUMNS: &str =
    "number, at, account_id, actor, action, object, outcome, address, user_agent, request_id, changes, hash";

/// A row of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AuditRow {
    pub(crate) number: i64,
    /// Microseconds since 1970, UTC.
    pub(crate) at: i64,
    /// 0 where no account is known.
    pub(crate) account: AccountId,
    pub(crate) actor: String,
    pub(crate) action: String,
    pub(crate) object: String,
    pub(crate) outcome: String,
    pub(crate) address: String,
    pub(crate) user_agent: String,
    pub(crate) request_id: String,
    /// What was changed; empty where the action says it all.
    pub(crate) changes: String,
    pub(crate) hash: [u8; 32],
}

/// What a whole log comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChainHead {
    pub(crate) rows: i64,
    pub(crate) hash: [u8; 32],
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum AuditError {
    #[error("row {0} is missing")]
    Missing(i64),
    #[error("row {0} is not what was written, or a row before it is not")]
    Changed(i64),
    #[error("the rows after {0} are missing")]
    Cut(i64),
    #[error("there are {rows} rows, but only {counted} were counted: rows were added, or the counter was set back")]
    Uncounted { rows: i64, counted: i64 },
    #[error("row {number} does not have the hash that was kept elsewhere: it, or a row before it, was replaced")]
    Replaced { number: i64 },
    #[error("there are {rows} rows, and the one that was kept elsewhere was row {number}: rows are missing at the end")]
    Shorter { rows: i64, number: i64 },
    #[error("the database did not answer")]
    Storage(#[from] StorageError),
}

impl From<sqlx::Error> for AuditError {
    fn from(error: sqlx::Error) -> Self {
        Self::Storage(error.into())
    }
}

/// Appends a row in the transaction of what it tells. It is the last thing that a transaction does, since rows wait for each
/// other from here to the commit.
pub(super) async fn record(tx: &mut Transaction, entry: &AuditEntry) -> Result<(), StorageError> {
    let number = tx.next_value("audit").await?;
    let before =
        sqlx::query("select hash from audit where number = $1").bind(number - 1).fetch_optional(&mut **tx).await?;
    let before = before.as_ref().map(hash).transpose()?.unwrap_or(BEGINNING);
    let mut row = AuditRow {
        number,
        at: entry.at.as_microsecond(),
        account: entry.account.unwrap_or(AccountId(0)),
        actor: entry.actor.clone(),
        action: entry.action.to_owned(),
        object: entry.object.clone(),
        outcome: entry.outcome.to_owned(),
        address: entry.origin.address.map(|address| address.to_string()).unwrap_or_default(),
        user_agent: entry.origin.user_agent.clone(),
        request_id: entry.origin.request_id.clone(),
        changes: entry.changes.clone(),
        hash: BEGINNING,
    };
    row.hash = row.chained(&before);
    sqlx::query(sqlx::AssertSqlSafe(format!(
        "insert into audit ({COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
    )))
    .bind(row.number)
    .bind(row.at)
    .bind(row.account.0)
    .bind(row.actor)
    .bind(row.action)
    .bind(row.object)
    .bind(row.outcome)
    .bind(row.address)
    .bind(row.user_agent)
    .bind(row.request_id)
    .bind(row.changes)
    .bind(row.hash.as_slice())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

impl AuditRow {
    /// The hash that the row has after the one before it: each number as 8 bytes, each text after its length. What was
    /// changed is among the texts where it is not empty: entries of before there was such a thing have hashes without it.
    fn chained(&self, before: &[u8; 32]) -> [u8; 32] {
        let mut hasher = Sha256::new_with_prefix(CONTEXT);
        hasher.update(before);
        for number in [self.number, self.at, self.account.0] {
            hasher.update(number.to_be_bytes());
        }
        let texts =
            [&self.actor, &self.action, &self.object, &self.outcome, &self.address, &self.user_agent, &self.request_id];
        let changes = (!self.changes.is_empty()).then_some(&self.changes);
        for text in texts.into_iter().chain(changes) {
            hasher.update((text.len() as u64).to_be_bytes());
            hasher.update(text.as_bytes());
        }
        hasher.finalize().into()
    }
}

impl Store {
    /// Appends a row that tells of nothing else that is written.
    pub(crate) async fn note(&self, entry: &AuditEntry) -> Result<(), StorageError> {
        self.database.again(|| self.try_note(entry)).await
    }

    async fn try_note(&self, entry: &AuditEntry) -> Result<(), StorageError> {
        let mut tx = self.database.begin("audit.note").await?;
        record(&mut tx, entry).await?;
        tx.commit().await
    }

    /// Rows in their order, from after a number on: a page of them.
    pub(crate) async fn audit_after(&self, number: i64) -> Result<Vec<AuditRow>, StorageError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select {COLUMNS} from audit where number > $1 order by number limit {PAGE}"
        )))
        .bind(number)
        .fetch_all(self.database.reader())
        .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// An account's rows, newest first, from before a number on.
    pub(crate) async fn audit_of(
        &self,
        account: AccountId,
        before: i64,
        limit: i64,
    ) -> Result<Vec<AuditRow>, StorageError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select {COLUMNS} from audit where account_id = $1 and number < $2 order by number desc limit $3"
        )))
        .bind(account.0)
        .bind(before)
        .bind(limit)
        .fetch_all(self.database.reader())
        .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Goes through the whole log and looks whether it is what was written, and goes on from a head that was kept elsewhere.
    pub(crate) async fn verify_audit(&self, kept: Option<ChainHead>) -> Result<ChainHead, AuditError> {
        let written = self.audit_counter().await?;
        let mut head = BEFORE_ALL;
        if kept.is_some_and(|kept| kept.rows == 0 && kept != head) {
            return Err(AuditError::Replaced { number: 0 });
        }
        loop {
            let page = self.audit_after(head.rows).await?;
            if page.is_empty() {
                break;
            }
            for row in page {
                head = follow(head, &row)?;
                if kept.is_some_and(|kept| kept.rows == head.rows && kept != head) {
                    return Err(AuditError::Replaced { number: head.rows });
                }
            }
        }
        if head.rows < written {
            return Err(AuditError::Cut(head.rows));
        }
        // Read again: the log grows while it is verified, and the counter is never behind it.
        let counted = self.audit_counter().await?;
        if counted < head.rows {
            return Err(AuditError::Uncounted { rows: head.rows, counted });
        }
        match kept {
            Some(kept) if kept.rows > head.rows => Err(AuditError::Shorter { rows: head.rows, number: kept.rows }),
            _ => Ok(head),
        }
    }

    async fn audit_counter(&self) -> Result<i64, StorageError> {
        let counter =
            sqlx::query("select value from counter where name = 'audit'").fetch_one(self.database.reader()).await?;
        Ok(counter.try_get("value")?)
    }
}

fn follow(head: ChainHead, row: &AuditRow) -> Result<ChainHead, AuditError> {
    if row.number != head.rows + 1 {
        return Err(AuditError::Missing(head.rows + 1));
    }
    if row.chained(&head.hash) != row.hash {
        return Err(AuditError::Changed(row.number));
    }
    Ok(ChainHead { rows: row.number, hash: row.hash })
}

fn hash(row: &AnyRow) -> Result<[u8; 32], sqlx::Error> {
    let bytes: Vec<u8> = row.try_get("hash")?;
    bytes.try_into().map_err(|_| sqlx::Error::Decode("column hash does not hold 32 bytes".into()))
}

fn read(row: &AnyRow) -> Result<AuditRow, sqlx::Error> {
    Ok(AuditRow {
        number: row.try_get("number")?,
        at: row.try_get("at")?,
        account: AccountId(row.try_get("account_id")?),
        actor: row.try_get("actor")?,
        action: row.try_get("action")?,
        object: row.try_get("object")?,
        outcome: row.try_get("outcome")?,
        address: row.try_get("address")?,
        user_agent: row.try_get("user_agent")?,
        request_id: row.try_get("request_id")?,
        changes: row.try_get("changes")?,
        hash: hash(row)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the first row below, as version 1 of the chain has hashed it from the beginning.
    const HASH_OF_BEFORE: &str = "8b70da5030a65c5bacaec54269a15d408c08cbb60d7eb94d6d329ea27a45bd50";

    fn row(number: i64, before: &[u8; 32]) -> AuditRow {
        let mut row = AuditRow {
            number,
            at: 7,
            account: AccountId(1),
            actor: "session 1".into(),
            action: "token.create".into(),
            object: format!("token {number}"),
            outcome: "SUCCESS".into(),
            address: "10.0.0.1".into(),
            user_agent: "test".into(),
            request_id: String::new(),
            changes: String::new(),
            hash: BEGINNING,
        };
        row.hash = row.chained(before);
        row
    }

    fn verdict(rows: &[AuditRow]) -> Result<i64, String> {
        let end = rows.iter().try_fold(BEFORE_ALL, follow);
        end.map(|head| head.rows).map_err(|error| error.to_string())
    }

    #[test]
    fn what_was_changed_is_found() {
        let first = row(1, &BEGINNING);
        let second = row(2, &first.hash);
        let third = row(3, &second.hash);
        let chain = [first.clone(), second.clone(), third.clone()];
        assert_eq!(verdict(&chain), Ok(3));
        assert!(verdict(&[first.clone(), third.clone()]).unwrap_err().contains("row 2 is missing"));
        assert!(verdict(std::slice::from_ref(&second)).is_err());

        let mut forged = second.clone();
        forged.outcome = "WRONG_LOGIN".into();
        assert!(verdict(&[first.clone(), forged.clone(), third.clone()]).unwrap_err().contains("row 2"));
        forged.hash = forged.chained(&first.hash);
        assert!(verdict(&[first.clone(), forged, third]).unwrap_err().contains("row 3"));

        let mut moved = second;
        moved.actor = "session 1token.create".into();
        moved.action = String::new();
        assert!(verdict(&[first, moved]).is_err(), "a text ends where it ended");
    }

    #[test]
    fn what_was_changed_is_hashed_and_nothing_is_hashed_where_nothing_is_said() {
        let silent = row(1, &BEGINNING);
        let hex: String = silent.hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, HASH_OF_BEFORE, "entries of before keep their hashes");
        let mut telling = silent.clone();
        telling.changes = "description".into();
        assert!(verdict(std::slice::from_ref(&telling)).is_err(), "it can't be added");
        telling.hash = telling.chained(&BEGINNING);
        assert_eq!(verdict(std::slice::from_ref(&telling)), Ok(1));
        telling.changes = "expiresAt".into();
        assert!(verdict(std::slice::from_ref(&telling)).is_err(), "nor replaced");
        telling.changes = String::new();
        assert!(verdict(&[telling]).is_err(), "nor taken away");
    }
}
