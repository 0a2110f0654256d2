//! What the operator, who has the database, does with the audit log.

use std::fmt;
use std::io::Write;
use std::str::FromStr;

use serde::Serialize;
use storage::{Database, DatabaseOptions, DatabaseUrl, OpenError, SchemaError, StorageError};

use crate::store::{AuditError, AuditRow, ChainHead, MIGRATIONS, Store};

/// Why the audit log was not read, or is not what was written.
#[derive(Debug, thiserror::Error)]
pub enum AuditLogError {
    /// The database cannot be opened.
    #[error("the database cannot be opened")]
    Open(#[from] OpenError),
    /// The database is not of this version.
    #[error("the database's schema does not fit")]
    Schema(#[from] SchemaError),
    /// The log has been changed.
    #[error("the audit log was changed: {0}")]
    Changed(String),
    /// The database does not answer.
    #[error("the database did not answer")]
    Storage(#[from] StorageError),
    /// The log cannot be written out.
    #[error("the log cannot be written out")]
    Write(#[from] std::io::Error),
}

impl From<AuditError> for AuditLogError {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Storage(error) => Self::Storage(error),
            changed => Self::Changed(changed.to_string()),
        }
    }
}

/// The end of a log: the last entry's number and hash, as text `8:9f86d0…`. Kept elsewhere, it shows later that nothing up to
/// it was replaced or cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditHead {
    entries: i64,
    hash: [u8; 32],
}

/// A text is no head of an audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an entry's number, a colon and 64 hexadecimal digits, as `audit verify` prints them")]
pub struct AuditHeadError;

impl AuditHead {
    /// How many entries there are up to it: its number.
    #[must_use]
    pub fn entries(&self) -> i64 {
        self.entries
    }

    /// The entry's hash in hexadecimal.
    #[must_use]
    pub fn hash(&self) -> String {
        hex(&self.hash)
    }
}

impl fmt::Display for AuditHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.entries, self.hash())
    }
}

impl FromStr for AuditHead {
    type Err = AuditHeadError;

    fn from_str(text: &str) -> Result<Self, AuditHeadError> {
        let (number, digits) = text.trim().split_once(':').ok_or(AuditHeadError)?;
        let entries = number.parse().ok().filter(|entries| *entries >= 0).ok_or(AuditHeadError)?;
        if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(AuditHeadError);
        }
        let mut hash = [0; 32];
        for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| AuditHeadError)?;
        }
        Ok(Self { entries, hash })
    }
}

impl From<ChainHead> for AuditHead {
    fn from(head: ChainHead) -> Self {
        Self { entries: head.rows, hash: head.hash }
    }
}

impl From<AuditHead> for ChainHead {
    fn from(head: AuditHead) -> Self {
        Self { rows: head.entries, hash: head.hash }
    }
}

/// Looks whether the audit log is a whole chain: no entry changed or taken out, and as many as were counted. Whether it is the
/// one that was written, from a head on that was kept elsewhere: whoever can write the database can make another.
///
/// # Errors
/// Says what is not as it was, or why the log cannot be read.
pub async fn verify_audit(url: &DatabaseUrl, kept: Option<AuditHead>) -> Result<AuditHead, AuditLogError> {
    let store = open(url).await?;
    let verified = store.verify_audit(kept.map(ChainHead::from)).await;
    store.close().await;
    Ok(verified?.into())
}

/// Writes the whole log as JSON lines, oldest first, and answers its head.
///
/// # Errors
/// Where the log cannot be read or written out.
pub async fn export_audit(url: &DatabaseUrl, out: &mut (dyn Write + Send)) -> Result<AuditHead, AuditLogError> {
    let store = open(url).await?;
    let mut head = AuditHead { entries: 0, hash: [0; 32] };
    loop {
        let page = store.audit_after(head.entries).await?;
        let Some(newest) = page.last() else { break };
        head = AuditHead { entries: newest.number, hash: newest.hash };
        for row in page {
            let line = serde_json::to_string(&Line::from(row)).map_err(std::io::Error::from)?;
            writeln!(out, "{line}")?;
        }
    }
    store.close().await;
    Ok(head)
}

async fn open(url: &DatabaseUrl) -> Result<Store, AuditLogError> {
    let database = Database::open(url, &DatabaseOptions::default()).await?;
    database.check_schema(&MIGRATIONS).await?;
    Ok(Store::new(database))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An entry as a JSON object, by the names of `GetAuditLog`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    id: i64,
    /// RFC 3339, UTC, with the microseconds that are hashed.
    at: String,
    /// The number of the account that it concerns; 0 where none is known.
    account: i64,
    actor: String,
    action: String,
    object: String,
    outcome: String,
    address: String,
    user_agent: String,
    request_id: String,
    changes: String,
    hash: String,
}

impl From<AuditRow> for Line {
    fn from(row: AuditRow) -> Self {
        let at = jiff::Timestamp::from_microsecond(row.at).map_or_else(|_| row.at.to_string(), |at| at.to_string());
        Self {
            id: row.number,
            at,
            account: row.account.0,
            actor: row.actor,
            action: row.action,
            object: row.object,
            outcome: row.outcome,
            address: row.address,
            user_agent: row.user_agent,
            request_id: row.request_id,
            changes: row.changes,
            hash: hex(&row.hash),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_is_printed() {
        let text = format!("8:{}", "0a".repeat(32));
        let head: AuditHead = text.parse().unwrap();
        assert_eq!((head.to_string(), head.entries(), head.hash()), (text, 8, "0a".repeat(32)));
        let hash = "0".repeat(64);
        for wrong in ["", "8", "8:", &hash, &format!("-1:{hash}"), &format!("8:{hash}0"), &format!("8:+{}", &hash[1..])]
        {
            assert_eq!(wrong.parse::<AuditHead>(), Err(AuditHeadError), "{wrong}");
        }
    }
}
