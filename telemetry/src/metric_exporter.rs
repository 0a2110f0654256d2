//! Sends metrics as OpenTelemetry's exporter does, with exemplars.

use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_otlp::{ExporterBuildError, MetricExporter, WithExportConfig};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics, ScopeMetrics};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use percent_encoding::percent_decode_str;
use tonic::metadata::{MetadataKey, MetadataMap, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::exemplars::{self, Exemplars, Series};

/// How long the receiver may take for an answer, unless a variable says otherwise.
const PATIENCE: Duration = Duration::from_secs(10);
/// After which time a receiver that is not there is called again, twice as long after each further one, and the last of them.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];

/// Tells metrics, and which traces they are from.
#[derive(Debug)]
pub(crate) struct WithExemplars {
    /// None is left when it has ended.
    client: Mutex<Option<MetricsServiceClient<Channel>>>,
    headers: MetadataMap,
    temporality: Temporality,
    exemplars: &'static Exemplars,
}

impl WithExemplars {
    /// One that connects to the receiver when there is something to tell. From now on exemplars are kept.
    pub(crate) fn new(endpoint: &str) -> Result<Self, ExporterBuildError> {
        // It refuses what cannot be used, as `https`, and says in which form metrics are asked for.
        let plain = MetricExporter::builder().with_tonic().with_endpoint(endpoint).build()?;
        let wrong = |error: tonic::transport::Error| ExporterBuildError::InvalidConfiguration(error.to_string());
        let channel = Endpoint::from_shared(endpoint.to_owned()).map_err(wrong)?.timeout(patience()).connect_lazy();
        Ok(Self {
            client: Mutex::new(Some(MetricsServiceClient::new(channel))),
            headers: headers(&variable("HEADERS").unwrap_or_default()),
            temporality: plain.temporality(),
            exemplars: exemplars::keep(),
        })
    }

    async fn send(
        &self,
        mut client: MetricsServiceClient<Channel>,
        message: ExportMetricsServiceRequest,
    ) -> Result<(), Status> {
        let mut request = Request::new(message);
        *request.metadata_mut() = self.headers.clone();
        client.export(request).await.map(|_| ())
    }
}

impl PushMetricExporter for WithExemplars {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let client = client.ok_or(OTelSdkError::AlreadyShutdown)?;
        let message = told(metrics, self.exemplars);
        let [mut pause, last] = PAUSES;
        loop {
            match self.send(client.clone(), message.clone()).await {
                Ok(()) => return Ok(()),
                Err(status) if status.code() == Code::Unavailable && pause <= last => {
                    // The reader has a thread of its own, which runs nothing else.
                    std::thread::sleep(pause);
                    pause *= 2;
                }
                Err(status) => return Err(failure(&status)),
            }
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        self.temporality
    }
}

/// Metrics as they are sent, with the exemplars that are kept of them.
fn told(metrics: &ResourceMetrics, exemplars: &Exemplars) -> ExportMetricsServiceRequest {
    let mut message = ExportMetricsServiceRequest::from(metrics);
    // The one was made of the other, in the same order.
    let metrics = metrics.scope_metrics().flat_map(ScopeMetrics::metrics);
    let scopes = message.resource_metrics.iter_mut().flat_map(|all| &mut all.scope_metrics);
    let mut all_told_until = None;
    for (metric, sent) in metrics.zip(scopes.flat_map(|scope| &mut scope.metrics)) {
        let (AggregatedMetrics::F64(MetricData::Histogram(histogram)), Some(Data::Histogram(sent))) =
            (metric.data(), &mut sent.data)
        else {
            continue;
        };
        for (point, sent) in histogram.data_points().zip(&mut sent.data_points) {
            let until = sent.time_unix_nano;
            let series = Series::new(metric.name().to_owned(), point.attributes().cloned().collect());
            sent.exemplars.extend(exemplars.take(&series, until));
            all_told_until = Some(all_told_until.map_or(until, |earliest: u64| earliest.min(until)));
        }
    }
    if let Some(until) = all_told_until {
        exemplars.forget(until);
    }
    message
}

/// What went wrong, without what the receiver says of it: that may repeat what it was sent.
fn failure(status: &Status) -> OTelSdkError {
    let causes = std::iter::successors(status.source(), |error| (*error).source());
    let causes: String = causes.map(|error| format!(": {error}")).collect();
    OTelSdkError::InternalFailure(format!("metrics were not taken, by gRPC code {:?}{causes}", status.code()))
}

/// A variable of OpenTelemetry's own, for metrics or for everything, which traces and logs go by too.
fn variable(name: &str) -> Option<String> {
    let named = |of: &str| std::env::var(format!("OTEL_EXPORTER_OTLP_{of}{name}")).ok();
    named("METRICS_").or_else(|| named(""))
}

fn patience() -> Duration {
    variable("TIMEOUT").and_then(|millis| millis.parse().ok()).map_or(PATIENCE, Duration::from_millis)
}

/// `key=value,key=value`, with `%` as in addresses. What cannot be a header is left out.
fn headers(text: &str) -> MetadataMap {
    let mut headers = MetadataMap::new();
    for (key, value) in text.split(',').filter_map(|header| header.split_once('=')) {
        let value = percent_decode_str(value.trim()).decode_utf8_lossy().into_owned();
        if let (Ok(key), Ok(value)) = (MetadataKey::from_bytes(key.trim().as_bytes()), MetadataValue::try_from(value)) {
            headers.insert(key, value);
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use opentelemetry::KeyValue;
    use opentelemetry::metrics::MeterProvider;
    use opentelemetry_proto::tonic::metrics::v1::exemplar::Value;
    use opentelemetry_proto::tonic::metrics::v1::{Exemplar, HistogramDataPoint};
    use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};

    use super::*;

    /// The points of the histograms in a message.
    fn points(message: ExportMetricsServiceRequest) -> Vec<HistogramDataPoint> {
        let scopes = message.resource_metrics.into_iter().flat_map(|all| all.scope_metrics);
        let metrics = scopes.flat_map(|scope| scope.metrics).filter_map(|metric| metric.data);
        let points = metrics.filter_map(|data| match data {
            Data::Histogram(histogram) => Some(histogram.data_points),
            _ => None,
        });
        points.flatten().collect()
    }

    /// What is kept of a series: an exemplar with this value.
    fn note(exemplars: &Exemplars, attributes: &[KeyValue], value: f64, time_unix_nano: u64) {
        let exemplar = Exemplar { time_unix_nano, value: Some(value.into()), ..Exemplar::default() };
        exemplars.note(Series::new("told.duration", attributes.to_vec()), 0, exemplar);
    }

    /// By how many values each point was counted, and the values of its exemplars.
    fn counted(message: ExportMetricsServiceRequest) -> Vec<(u64, Vec<Value>)> {
        let exemplars =
            |point: &HistogramDataPoint| point.exemplars.iter().filter_map(|exemplar| exemplar.value).collect();
        let mut counted: Vec<_> = points(message).iter().map(|point| (point.count, exemplars(point))).collect();
        counted.sort_by_key(|(count, _)| *count);
        counted
    }

    #[test]
    fn a_point_has_the_exemplars_of_its_attributes_once() {
        let exporter = InMemoryMetricExporter::default();
        let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter.clone()).build();
        let meter = provider.meter("test");
        meter.u64_counter("counted").build().add(1, &[]);
        let duration = meter.f64_histogram("told.duration").build();
        let of = |status: i64| [KeyValue::new("status", status), KeyValue::new("method", "Stop")];
        for (seconds, status) in [(0.1, 200), (0.2, 200), (0.3, 500)] {
            duration.record(seconds, &of(status));
        }
        provider.force_flush().unwrap();

        let read = exporter.get_finished_metrics().unwrap();
        let kept = Exemplars::default();
        let [status, method] = of(200);
        note(&kept, &[method, status], 0.2, 1);
        note(&kept, &[], 0.4, 1);
        note(&kept, &of(500), 0.5, u64::MAX);
        assert_eq!(counted(told(&read[0], &kept)), [(1, vec![]), (2, vec![0.2.into()])]);
        assert_eq!(counted(told(&read[0], &kept)), [(1, vec![]), (2, vec![])]);
        let left = |attributes: &[KeyValue]| kept.take(&Series::new("told.duration", attributes.to_vec()), u64::MAX);
        assert_eq!(left(&[]), [], "what is no series is forgotten");
        assert_eq!(left(&of(500)).len(), 1, "what came later is told later");
    }

    #[test]
    fn headers_are_read_as_they_are_written() {
        let headers = headers("x-scope-orgid=a%20b, key = value,nothing,=none,no key=1");
        assert_eq!(headers.get("x-scope-orgid").unwrap(), "a b");
        assert_eq!(headers.get("key").unwrap(), "value");
        assert_eq!(headers.len(), 2);
    }

    #[test]
    fn what_the_receiver_says_is_not_repeated() {
        let failure = failure(&Status::unauthenticated("key=a-secret")).to_string();
        assert!(failure.contains("Unauthenticated") && !failure.contains("a-secret"), "{failure}");
    }
}
