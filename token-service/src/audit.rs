//! What the operator, who has the database, does with the audit log.

use std::io::Write;

use serde::Serialize;
use storage::{Database, DatabaseOptions, DatabaseUrl, OpenError, SchemaError, StorageError};

use crate::store::{AuditError, AuditRow, MIGRATIONS, Store};

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

/// What a whole log that is as it was written comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditHead {
    /// How many entries there are.
    pub entries: i64,
    /// The last entry's hash in hexadecimal. Kept elsewhere, it shows later that nothing up to it was replaced.
    pub hash: String,
}

/// Looks whether the audit log is what was written: no entry changed, taken out or cut off the end.
///
/// # Errors
/// Names the first entry that is not, or says why the log cannot be read.
pub async fn verify_audit(url: &DatabaseUrl) -> Result<AuditHead, AuditLogError> {
    let store = open(url).await?;
    let verified = store.verify_audit().await;
    store.close().await;
    let head = verified?;
    Ok(AuditHead { entries: head.rows, hash: hex(&head.hash) })
}

/// Writes the whole log as JSON lines, oldest first, and answers how many there are.
///
/// # Errors
/// Where the log cannot be read or written out.
pub async fn export_audit(url: &DatabaseUrl, out: &mut (dyn Write + Send)) -> Result<i64, AuditLogError> {
    let store = open(url).await?;
    let (mut last, mut written) = (0, 0);
    loop {
        let page = store.audit_after(last).await?;
        let Some(newest) = page.last().map(|row| row.number) else { break };
        last = newest;
        for row in page {
            let line = serde_json::to_string(&Line::from(row)).map_err(std::io::Error::from)?;
            writeln!(out, "{line}")?;
            written += 1;
        }
    }
    store.close().await;
    Ok(written)
}

async fn open(url: &DatabaseUrl) -> Result<Store, AuditLogError> {
    let database = Database::open(url, &DatabaseOptions::default()).await?;
    database.check_schema(&MIGRATIONS).await?;
    Ok(Store::new(database))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An entry as a JSON object.
#[derive(Serialize)]
struct Line {
    id: i64,
    /// RFC 3339, UTC.
    at: String,
    account: i64,
    actor: String,
    action: String,
    object: String,
    outcome: String,
    address: String,
    user_agent: String,
    request_id: String,
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
            hash: hex(&row.hash),
        }
    }
}
