use std::time::Duration;

use anyhow::Context;
use serde_json::{Map, Value};

use super::Caller;
use super::env::call;
use super::nodes::of;
use crate::api::{Parameters, text};
use crate::arguments::{Logs, Output};
use crate::exit::Usage;
use crate::output::{self, cell, objects};

/// How long to wait before a log is looked at again.
const PAUSE: Duration = Duration::from_secs(1);
/// How many bytes are read at once.
const PART: u64 = 64 * 1024;
/// How many bytes of a letter can be there without the rest.
const LETTER: usize = 3;

pub(super) async fn run(caller: &Caller, command: Logs) -> anyhow::Result<()> {
    match command {
        Logs::List { name, node } => call(caller, "GetLogs", of(&name, Some(node), None), list).await,
        Logs::Read { follow: true, .. } if caller.output == Output::Json => {
            Err(Usage("a log that is followed is no JSON object: leave out --follow or --output json").into())
        }
        Logs::Read { name, node, path, from, follow: true, .. } => follow(caller, &name, node, &path, from).await,
        Logs::Read { name, node, path, from, count, follow: false } => {
            let mut parameters = of(&name, Some(node), None);
            parameters.push(("path", path));
            parameters.extend(from.map(|from| ("from", from.to_string())));
            parameters.extend(count.map(|count| ("count", count.to_string())));
            content(caller, "environment.control.ReadLog", parameters).await
        }
    }
}

pub(super) async fn file(caller: &Caller, name: &str, node: i64, path: String) -> anyhow::Result<()> {
    let mut parameters = of(name, Some(node), None);
    parameters.push(("path", path));
    content(caller, "environment.file.Read", parameters).await
}

async fn content(caller: &Caller, method: &str, parameters: Parameters) -> anyhow::Result<()> {
    let answer = caller.api.call(method, parameters).await?;
    match caller.output {
        Output::Json => output::answer(caller.output, &answer, |_| String::new()),
        Output::Text => Ok(output::raw(text(&answer, "body"))?),
    }
}

/// Writes a log from a place on, and what comes to it, until the process is ended. A log that has become shorter is begun anew.
async fn follow(caller: &Caller, name: &str, node: i64, path: &str, from: Option<u64>) -> anyhow::Result<()> {
    let log = Log { caller, name, node, path };
    let mut size = log.size().await?;
    let mut at = from.unwrap_or(size.saturating_sub(PART));
    loop {
        if size != 0 && size < at {
            at = 0;
        }
        // Of a size of 0 it is not known whether it is one.
        let most = if size == 0 { PART } else { PART.min(size - at) };
        let (read, body) = if most == 0 { (0, String::new()) } else { log.part(at, most).await? };
        output::raw(&body)?;
        at += if size == 0 { u64::try_from(body.len())? } else { read };
        let more = if size == 0 { !body.is_empty() } else { at < size };
        if !more {
            tokio::time::sleep(PAUSE).await;
            size = log.size().await?;
        }
    }
}

/// A log that is followed.
struct Log<'a> {
    caller: &'a Caller,
    name: &'a str,
    node: i64,
    path: &'a str,
}

impl Log<'_> {
    /// How many bytes it has; 0 where that is not known.
    async fn size(&self) -> anyhow::Result<u64> {
        let parameters = of(self.name, Some(self.node), None);
        let logs = self.caller.api.call("environment.control.GetLogs", parameters).await?;
        let same =
            |log: &&Map<String, Value>| text(log, "path").trim_start_matches('/') == self.path.trim_start_matches('/');
        let log = objects(&logs, "array").into_iter().find(same);
        let log = log.with_context(|| format!("node {} has no log {}", self.node, self.path))?;
        Ok(log.get("size").and_then(Value::as_u64).unwrap_or_default())
    }

    /// A part of it, and of how many bytes that is: at most so many, and less where a letter would be cut.
    async fn part(&self, from: u64, most: u64) -> anyhow::Result<(u64, String)> {
        let read = async |count: u64| {
            let mut parameters = of(self.name, Some(self.node), None);
            parameters.extend([("path", self.path.to_owned()), ("from", from.to_string())]);
            parameters.push(("count", count.to_string()));
            let answer = self.caller.api.call("environment.control.ReadLog", parameters).await?;
            anyhow::Ok(text(&answer, "body").to_owned())
        };
        let whole = read(most).await?;
        for count in (1..most).rev().take(LETTER) {
            if !whole.ends_with(char::REPLACEMENT_CHARACTER) {
                break;
            }
            let shorter = read(count).await?;
            if !shorter.ends_with(char::REPLACEMENT_CHARACTER) {
                return Ok((count, shorter));
            }
        }
        Ok((most, whole))
    }
}

fn list(answer: &Map<String, Value>) -> String {
    let rows = objects(answer, "array")
        .into_iter()
        .map(|log| [cell(log, "path"), cell(log, "size"), cell(log, "lastModified")]);
    output::table(["path", "bytes", "last written"], rows)
}
