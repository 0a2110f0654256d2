use std::collections::BTreeSet;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics, ScopeMetrics};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};

/// What explains every metric.
const PAGE: &str = include_str!("../../docs/metrics.md");

/// The metrics of one service of a test: no other's are among them, whatever runs beside it.
pub struct Metrics {
    provider: SdkMeterProvider,
    exporter: InMemoryMetricExporter,
}

/// A value of a metric under its attributes.
struct Point {
    attributes: Vec<(String, String)>,
    value: f64,
    /// How many values a histogram has taken.
    taken: u64,
}

impl Default for Metrics {
    fn default() -> Self {
        let exporter = InMemoryMetricExporter::default();
        let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter.clone()).build();
        Self { provider, exporter }
    }
}

impl Metrics {
    /// What the service is to make its instruments by.
    #[must_use]
    pub fn meter(&self) -> Meter {
        self.provider.meter("test")
    }

    /// The value that a metric has under an attribute, or without one. `None`: it has none.
    ///
    /// # Panics
    /// Where metrics cannot be read.
    #[must_use]
    pub fn value(&self, name: &str, attribute: Option<(&str, &str)>) -> Option<f64> {
        self.point(name, attribute).map(|point| point.value)
    }

    /// How many values a histogram has taken, and their sum.
    ///
    /// # Panics
    /// Where metrics cannot be read.
    #[must_use]
    pub fn histogram(&self, name: &str) -> (u64, f64) {
        self.point(name, None).map_or((0, 0.0), |point| (point.taken, point.value))
    }

    /// Looks whether each metric that the service has by now is a row of `docs/metrics.md`, with its unit, and has no other
    /// attributes than are named there. Answers how many there are.
    ///
    /// # Panics
    /// Where one is not.
    pub fn assert_explained(&self) -> usize {
        let mut names = BTreeSet::new();
        for (name, unit, point) in self.read() {
            let row = PAGE.lines().find(|row| row.starts_with(&format!("| `{name}` |")));
            let row = row.unwrap_or_else(|| panic!("docs/metrics.md does not explain {name}"));
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            assert_eq!(cells[3].trim_matches('`'), unit, "the unit of {name}");
            for (key, value) in point.attributes {
                let mut named = cells[4].split(';').map(str::trim);
                let named = named.find_map(|named| named.strip_prefix(&format!("`{key}`: ")));
                let values = named.unwrap_or_else(|| panic!("{name} has {key}"));
                // What has other values than those that are listed is told in words.
                let is_open = values.starts_with("the ");
                assert!(is_open || values.contains(&format!("`{value}`")), "{name} has {key} {value}");
            }
            names.insert(name);
        }
        names.len()
    }

    fn point(&self, name: &str, attribute: Option<(&str, &str)>) -> Option<Point> {
        let wanted: Vec<_> = attribute.map(|(key, value)| (key.to_owned(), value.to_owned())).into_iter().collect();
        let mut points = self.read().into_iter();
        points.find(|(found, _, point)| found == name && point.attributes == wanted).map(|(_, _, point)| point)
    }

    fn read(&self) -> Vec<(String, String, Point)> {
        self.exporter.reset();
        self.provider.force_flush().expect("metrics are read");
        let read = self.exporter.get_finished_metrics().expect("they are in memory");
        let mut points = Vec::new();
        for metric in read.last().into_iter().flat_map(ResourceMetrics::scope_metrics).flat_map(ScopeMetrics::metrics) {
            let found = match metric.data() {
                AggregatedMetrics::F64(data) => all_points(data, |value| value),
                AggregatedMetrics::U64(data) => all_points(data, |value| value as f64),
                AggregatedMetrics::I64(data) => all_points(data, |value| value as f64),
            };
            points.extend(found.into_iter().map(|point| (metric.name().to_owned(), metric.unit().to_owned(), point)));
        }
        points
    }
}

fn all_points<T: Copy>(data: &MetricData<T>, number: impl Fn(T) -> f64) -> Vec<Point> {
    match data {
        MetricData::Gauge(gauge) => {
            gauge.data_points().map(|at| Point::new(at.attributes(), number(at.value()), 1)).collect()
        }
        MetricData::Sum(sum) => {
            sum.data_points().map(|at| Point::new(at.attributes(), number(at.value()), 1)).collect()
        }
        MetricData::Histogram(histogram) => {
            histogram.data_points().map(|at| Point::new(at.attributes(), number(at.sum()), at.count())).collect()
        }
        MetricData::ExponentialHistogram(_) => Vec::new(),
    }
}

impl Point {
    fn new<'a>(attributes: impl Iterator<Item = &'a KeyValue>, value: f64, taken: u64) -> Self {
        let text = |pair: &KeyValue| (pair.key.to_string(), pair.value.to_string());
        let mut attributes: Vec<_> = attributes.map(text).collect();
        attributes.sort();
        Self { attributes, value, taken }
    }
}
