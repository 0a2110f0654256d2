//! The dashboard of `deploy/grafana` and the alerts of `deploy/prometheus`: each asks for metrics, attributes and values that there are.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::metrics::{Metric, exported};
use crate::read;

/// What has a meaning of its own in an expression, and is no metric.
const WORDS: [&str; 6] = ["and", "or", "unless", "offset", "bool", "e"];
/// What is followed by names of labels.
const LISTS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
/// The labels that every metric has there.
const OWN: [&str; 3] = ["job", "instance", "le"];

/// What an expression of Prometheus asks for.
#[derive(Debug, Default)]
struct Asked {
    metrics: BTreeSet<String>,
    labels: BTreeSet<String>,
    /// Metrics with a label and what it is compared with.
    values: Vec<(String, String, String)>,
}

/// Reads an expression, as far as it has names in it.
fn asked(expression: &str) -> Asked {
    let mut asked = Asked::default();
    let mut rest = expression;
    let mut metric = String::new();
    while let Some(first) = rest.chars().next() {
        if first.is_ascii_alphabetic() || first == '_' {
            let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            rest = after.trim_start();
            if LISTS.contains(&name) {
                let (list, after) = rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).expect("a list");
                asked.labels.extend(list.split(',').map(|label| label.trim().to_owned()));
                rest = after;
            } else if !is_called(rest) && !WORDS.contains(&name) {
                name.clone_into(&mut metric);
                asked.metrics.insert(metric.clone());
            }
        } else if first == '{' {
            let (matchers, after) = rest[1..].split_once('}').expect("a selector ends");
            asked.values.extend(matchers.split("\",").map(|matcher| {
                let (label, value) = matcher.split_once(['=', '!']).expect("a label is compared");
                let value = value.trim_start_matches(['=', '~']).trim_matches('"');
                (metric.clone(), label.trim().to_owned(), value.to_owned())
            }));
            rest = after;
        } else if first == '[' {
            rest = rest.split_once(']').expect("a range ends").1;
        } else if first.is_ascii_digit() {
            // With its unit.
            rest = rest.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric() || letter == '.');
        } else {
            rest = &rest[first.len_utf8()..];
        }
    }
    asked
}

/// Whether what stands before this is a function or an aggregation.
fn is_called(rest: &str) -> bool {
    ["(", "by ", "by(", "without ", "without("].iter().any(|next| rest.starts_with(next))
}

/// Looks whether all that an expression asks for is there, and says which metrics those are.
fn assert_there(expression: &str, metrics: &BTreeMap<String, Metric>) -> BTreeSet<String> {
    let asked = asked(expression);
    assert!(!asked.metrics.is_empty(), "no metric in {expression}");
    let find = |name: &String| metrics.get(name).unwrap_or_else(|| panic!("no metric {name}: {expression}"));
    let found: Vec<&Metric> = asked.metrics.iter().map(find).collect();
    for label in &asked.labels {
        let known = OWN.contains(&label.as_str()) || found.iter().any(|metric| metric.labels.contains_key(label));
        assert!(known, "no label {label}: {expression}");
    }
    for (metric, label, value) in &asked.values {
        if OWN.contains(&label.as_str()) {
            continue;
        }
        let allowed = find(metric).labels.get(label).unwrap_or_else(|| panic!("{metric} has no {label}: {expression}"));
        let known = |value: &str| allowed.is_empty() || allowed.iter().any(|allowed| allowed == value);
        assert!(value.split('|').all(known), "{metric} has no {label} {value}: {expression}");
    }
    found.into_iter().map(|metric| metric.name.clone()).collect()
}

#[test]
fn alerts_are_about_metrics_that_there_are() {
    let rules: Value = serde_saphyr::from_str(&read("deploy/prometheus/alerts.yml")).unwrap();
    let metrics = exported();
    let mut names = BTreeSet::new();
    for rule in rules["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap()) {
        let (name, expression) = (rule["alert"].as_str().unwrap(), rule["expr"].as_str().unwrap());
        assert!(names.insert(name), "{name} is there twice");
        assert_there(expression, &metrics);
        let has_threshold = [" > ", " < ", " == ", "absent("].iter().any(|part| expression.contains(part));
        assert!(has_threshold, "{name} has no threshold");
        assert!(matches!(rule["labels"]["severity"].as_str(), Some("warning" | "critical")), "{name}");
        assert!(rule["annotations"]["summary"].is_string(), "{name}");
    }
}

#[test]
fn the_dashboard_shows_each_metric() {
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana/portcullis.json")).unwrap();
    let metrics = exported();
    let mut shown = BTreeSet::new();
    let mut numbers = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(numbers.insert(panel["id"].as_u64().unwrap()), "{panel}");
        for target in panel["targets"].as_array().into_iter().flatten() {
            shown.extend(assert_there(target["expr"].as_str().unwrap(), &metrics));
        }
    }
    let all: BTreeSet<String> = metrics.into_values().map(|metric| metric.name).collect();
    assert_eq!(shown, all);
}

#[test]
fn what_is_not_there_is_noticed() {
    let metrics = exported();
    let good = "sum by (service) (rate(portcullis_lease_holders{service=\"api-gateway\"}[5m])) / 1e3 > 2.5";
    assert_eq!(assert_there(good, &metrics), ["portcullis.lease.holders".to_owned()].into());
    for wrong in [
        "portcullis_lease_holder > 0",
        "rate(other_total[5m]) > 0",
        "portcullis_lease_holders{name=\"x\"} > 0",
        "sum by (name) (portcullis_lease_holders) > 0",
        "portcullis_grant_refusals_total{reason=~\"stale|old\"} > 0",
        "portcullis_grant_refusals_total{job=\"x\",reason=\"old\"} > 0",
        "portcullis_lease_holders unless portcullis_lease_holder offset 5m",
        "vector(1) > 0",
    ] {
        let refused = std::panic::catch_unwind(|| assert_there(wrong, &metrics));
        assert!(refused.is_err(), "{wrong}");
    }
}
