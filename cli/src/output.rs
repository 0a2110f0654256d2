//! The one place that writes to standard output.

use std::io::{self, Write};

use comfy_table::{Table, presets};
use serde_json::{Map, Value};

use crate::api::text;
use crate::arguments::Output;

/// Writes a line of an answer.
pub(crate) fn line(text: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

/// Writes an answer: as it came for machines, or as `people` has it.
pub(crate) fn answer(
    output: Output,
    answer: &Map<String, Value>,
    people: impl FnOnce(&Map<String, Value>) -> String,
) -> anyhow::Result<()> {
    let text = match output {
        Output::Json => serde_json::to_string(answer)?,
        Output::Text => people(answer),
    };
    if !text.is_empty() {
        line(&text)?;
    }
    Ok(())
}

/// A table without lines, which `cut` and `awk` can read too.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head.map(str::to_uppercase));
    for row in rows {
        table.add_row(row);
    }
    table.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>().join("\n")
}

/// The objects of a list.
pub(crate) fn objects<'a>(object: &'a Map<String, Value>, member: &str) -> Vec<&'a Map<String, Value>> {
    let list = object.get(member).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_object).collect()
}

/// A member that is an object; empty where there is none.
pub(crate) fn object(object: &Map<String, Value>, member: &str) -> Map<String, Value> {
    object.get(member).and_then(Value::as_object).cloned().unwrap_or_default()
}

/// A member as people read it: a dash for what is not there.
pub(crate) fn cell(object: &Map<String, Value>, member: &str) -> String {
    match object.get(member) {
        Some(Value::String(_)) if !text(object, member).is_empty() => text(object, member).to_owned(),
        None | Some(Value::Null | Value::String(_)) => "-".to_owned(),
        Some(other) => other.to_string(),
    }
}
