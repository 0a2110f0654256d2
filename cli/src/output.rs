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

/// Writes a text as it is: what a program or a file has in it.
pub(crate) fn raw(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
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

/// The status of an environment or a node in words, for each of the platform's numbers.
pub(crate) fn status(of: &Map<String, Value>) -> String {
    let word = match of.get("status").and_then(Value::as_i64) {
        Some(1) => "running",
        Some(2) => "stopped",
        Some(3) => "launching",
        Some(4) => "asleep",
        Some(6) => "being created",
        Some(7) => "being cloned",
        Some(8) => "not there",
        Some(9) => "being exported",
        Some(10) => "migrating",
        Some(11) => "broken",
        Some(12) => "being updated",
        Some(13) => "stopping",
        Some(14) => "going to sleep",
        Some(15) => "being restored",
        _ => "unknown",
    };
    word.to_owned()
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_number_of_a_status_has_a_word_of_its_own() {
        let word = |number: i64| status(json!({ "status": number }).as_object().expect("an object"));
        let words: std::collections::HashSet<String> = (1..=15).map(word).collect();
        assert_eq!(words.len(), 15, "{words:?}");
        assert_eq!((word(5), word(99)), ("unknown".to_owned(), "unknown".to_owned()));
    }
}
