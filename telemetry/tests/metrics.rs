//! The metrics of a process. One test, since they are the process's.

use opentelemetry_sdk::metrics::InMemoryMetricExporter;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics, ScopeMetrics, SumDataPoint};

fn names(read: &ResourceMetrics) -> Vec<(String, u64)> {
    let metrics = read.scope_metrics().flat_map(ScopeMetrics::metrics);
    let count = |data: &AggregatedMetrics| match data {
        AggregatedMetrics::U64(MetricData::Sum(sum)) => sum.data_points().map(SumDataPoint::value).sum(),
        other => panic!("{other:?} is no count"),
    };
    metrics.map(|metric| (metric.name().to_owned(), count(metric.data()))).collect()
}

#[test]
fn what_was_counted_is_read_when_the_guard_goes() {
    telemetry::meter("early").u64_counter("counted.before").build().add(1, &[]);
    let exporter = InMemoryMetricExporter::default();
    let read_by = exporter.clone();
    let resource = opentelemetry_sdk::Resource::builder().with_service_name("a-service").build();
    let guard = telemetry::read_metrics(resource, |builder| builder.with_periodic_exporter(read_by));
    let counter = telemetry::meter("a-service").u64_counter("counted").build();
    counter.add(2, &[]);
    counter.add(3, &[]);
    drop(guard);

    let read = exporter.get_finished_metrics().expect("it is in memory");
    let last = read.last().expect("it is read once more");
    assert_eq!(names(last), [("counted".to_owned(), 5)]);
    let service = last.resource().get(&opentelemetry::Key::new("service.name"));
    assert_eq!(service.map(|name| name.to_string()).as_deref(), Some("a-service"));
}
