use anyhow::{Context, bail};
use serde_json::{Map, Value};
use storage::DatabaseUrl;

use super::Caller;
use crate::arguments::{AuditDatabase, Output};
use crate::output::{self, cell, objects};

pub(super) async fn list(caller: &Caller, before: Option<i64>, limit: u32) -> anyhow::Result<()> {
    let mut parameters = vec![("limit", limit.to_string())];
    parameters.extend(before.map(|number| ("before", number.to_string())));
    let answer = caller.api.call("users.account.GetAuditLog", parameters).await?;
    output::answer(caller.output, &answer, table)
}

fn table(answer: &Map<String, Value>) -> String {
    let columns = ["id", "at", "actor", "action", "object", "outcome", "address"];
    let rows = objects(answer, "entries").into_iter().map(|entry| columns.map(|column| cell(entry, column)));
    output::table(columns, rows)
}

pub(super) async fn verify(output: Output, database: &AuditDatabase) -> anyhow::Result<()> {
    let head = token_service::verify_audit(&url(database)?).await?;
    let text = match output {
        Output::Json => serde_json::to_string(&head)?,
        Output::Text => format!("{} entries, as they were written; the last one's hash is {}", head.entries, head.hash),
    };
    Ok(output::line(&text)?)
}

pub(super) async fn export(database: &AuditDatabase) -> anyhow::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout());
    let written = token_service::export_audit(&url(database)?, &mut out).await?;
    std::io::Write::flush(&mut out).context("standard output")?;
    eprintln!("{written} entries");
    Ok(())
}

/// The database that is meant. A folder without one is not made into one.
fn url(database: &AuditDatabase) -> anyhow::Result<DatabaseUrl> {
    if let Some(url) = &database.database_url {
        return Ok(url.clone());
    }
    let file = database.data_dir.join("token.db");
    if !file.is_file() {
        bail!("there is no database {}: use --data-dir or --database-url", file.display());
    }
    Ok(DatabaseUrl::sqlite(&file))
}
