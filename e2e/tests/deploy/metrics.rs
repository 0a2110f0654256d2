//! The metrics of docs/metrics.md under the names that they have in Prometheus.

use std::collections::BTreeMap;

use crate::read;

/// A metric as Prometheus has it.
pub(crate) struct Metric {
    /// The metric's own name.
    pub(crate) name: String,
    /// Its attributes, and the values that they can have, where all are listed.
    pub(crate) labels: BTreeMap<String, Vec<String>>,
}

/// All that the documentation names, each by each name that it has in Prometheus.
pub(crate) fn exported() -> BTreeMap<String, Metric> {
    let page = read("docs/metrics.md");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let mut metrics = BTreeMap::new();
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let name = cells[1].trim_matches('`');
        for translated in translated(name, cells[2], cells[3].trim_matches('`')) {
            metrics.insert(translated, Metric { name: name.to_owned(), labels: labels(cells[4]) });
        }
    }
    assert!(!metrics.is_empty(), "docs/metrics.md has another form");
    metrics
}

/// OpenTelemetry's rules, <https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/>: what is no letter or digit becomes
/// `_`, a unit of measure is appended, what stands in braces counts things and is none, and a counter is a total.
fn translated(name: &str, kind: &str, unit: &str) -> Vec<String> {
    let mut base = name.replace(|letter: char| !letter.is_ascii_alphanumeric(), "_");
    match unit {
        "s" => base.push_str("_seconds"),
        unit => assert!(unit.starts_with('{'), "{name}: the unit {unit} has no rule here"),
    }
    match kind {
        "counter" => vec![base + "_total"],
        "histogram" => ["bucket", "count", "sum"].map(|part| format!("{base}_{part}")).to_vec(),
        "gauge" | "up-down counter" => vec![base],
        other => panic!("{name}: the kind {other} has no rule here"),
    }
}

/// From `` `driver`: `process`, `docker`; `operation`: … ``.
fn labels(cell: &str) -> BTreeMap<String, Vec<String>> {
    let attributes = cell.split(';').filter_map(|attribute| attribute.trim().split_once(':'));
    let read = |(name, values): (&str, &str)| {
        let label = name.trim_matches('`').replace('.', "_");
        // What has other values than those that are listed is told in words.
        let is_open = values.trim().starts_with("the ");
        let values = values.split('`').skip(1).step_by(2).filter(|_| !is_open).map(str::to_owned).collect();
        (label, values)
    };
    attributes.map(read).collect()
}

/// The page for operators has a row for each.
#[test]
fn the_names_in_prometheus_are_documented() {
    let page = read("docs/monitoring.md");
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (translated, metric) in exported() {
        names.entry(metric.name).or_default().push(format!("`{translated}`"));
    }
    let rows = page.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, names.len());
    for (name, translated) in names {
        let row = format!("| `{name}` | {} |", translated.join(", "));
        assert!(page.contains(&row), "docs/monitoring.md lacks\n{row}");
    }
}
