use anyhow::{Context, bail};
use serde_json::{Map, Value, json};
use storage::DatabaseUrl;
use token_service::AuditHead;

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
    let columns = ["id", "at", "actor", "action", "object", "changes", "outcome", "address"];
    let rows = objects(answer, "entries").into_iter().map(|entry| columns.map(|column| cell(entry, column)));
    output::table(columns, rows)
}

pub(super) async fn verify(output: Output, kept: Option<AuditHead>, database: &AuditDatabase) -> anyhow::Result<()> {
    let head = token_service::verify_audit(&url(database)?, kept).await?;
    let entries = head.entries();
    let text = match (output, kept) {
        (Output::Json, _) => json!({ "entries": entries, "hash": head.hash(), "head": head.to_string() }).to_string(),
        (Output::Text, Some(kept)) => {
            format!("{entries} entries in one chain, with entry {} as it was kept; the head is {head}", kept.entries())
        }
        (Output::Text, None) => {
            eprintln!("keep the head elsewhere, and give it to --expect the next time: a chain can be made anew");
            format!("{entries} entries in one chain; the head is {head}")
        }
    };
    Ok(output::line(&text)?)
}

pub(super) async fn export(database: &AuditDatabase) -> anyhow::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout());
    let head = token_service::export_audit(&url(database)?, &mut out).await?;
    std::io::Write::flush(&mut out).context("standard output")?;
    eprintln!("{} entries; the head is {head}", head.entries());
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
