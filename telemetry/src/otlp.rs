//! What is told to a receiver of OTLP.

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::{ExporterBuildError, LogExporter, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::PeriodicReader;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::Subscriber;
use tracing_subscriber::filter::{FilterExt, ParseError, filter_fn};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

use crate::metric_exporter::WithExemplars;
use crate::metrics::{Metrics, read_metrics};
use crate::{InitError, OtlpConfig, trace};

/// How long the receiver may take for what is pending when the process ends.
const PATIENCE: Duration = Duration::from_secs(3);
/// Those that tell of the way to the receiver: telling it of that would never end.
const OF_THE_WAY: [&str; 6] = ["h2", "hyper", "hyper_util", "opentelemetry", "tonic", "tower"];
/// The target of the spans of transactions.
const STORAGE: &str = "storage";

#[derive(Debug)]
pub(crate) struct Exporters {
    traces: SdkTracerProvider,
    logs: SdkLoggerProvider,
    metrics: Metrics,
    service: &'static str,
}

impl Exporters {
    /// Begins to tell of metrics, and gets ready for the rest.
    pub(crate) fn begin(service: &'static str, config: &OtlpConfig) -> Result<Self, InitError> {
        if let Some((key, allowed)) = config.flaw() {
            return Err(InitError::Range { key, allowed });
        }
        let name = config.service_name.clone().unwrap_or_else(|| service.to_owned());
        let resource = Resource::builder().with_service_name(name).build();
        let endpoint = config.endpoint.as_str().trim_end_matches('/');
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.sampled)));
        let traces = SdkTracerProvider::builder()
            .with_batch_exporter(SpanExporter::builder().with_tonic().with_endpoint(endpoint).build()?)
            .with_sampler(sampler)
            .with_resource(resource.clone())
            .build();
        let logs = SdkLoggerProvider::builder()
            .with_batch_exporter(LogExporter::builder().with_tonic().with_endpoint(endpoint).build()?)
            .with_resource(resource.clone())
            .build();
        let metrics = metrics(endpoint, config)?;
        let metrics = read_metrics(resource, |builder| builder.with_reader(metrics));
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        Ok(Self { traces, logs, metrics, service })
    }

    /// Tells of spans and of what is logged.
    pub(crate) fn layer<S>(
        &self,
        filter: Result<EnvFilter, ParseError>,
    ) -> Result<Box<dyn Layer<S> + Send + Sync>, ParseError>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let spans = filter_fn(|about| about.is_span() && [trace::TARGET, STORAGE].contains(&root(about.target())));
        let spans = tracing_opentelemetry::layer()
            .with_tracer(self.traces.tracer(self.service))
            // Where in the code something is says nothing to who looks at a trace.
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(spans);
        let lines = filter_fn(|about| !OF_THE_WAY.contains(&root(about.target())));
        let lines = OpenTelemetryTracingBridge::new(&self.logs).with_filter(filter?.and(lines));
        Ok(spans.and_then(lines).boxed())
    }

    /// Tells what is pending.
    pub(crate) fn end(self) {
        let Self { traces, logs, metrics, .. } = self;
        drop(metrics);
        // It is too late to log it.
        for ended in [traces.shutdown_with_timeout(PATIENCE), logs.shutdown_with_timeout(PATIENCE)] {
            if let Err(error) = ended {
                eprintln!("the last of the telemetry was not told: {error}");
            }
        }
    }
}

fn metrics(endpoint: &str, config: &OtlpConfig) -> Result<PeriodicReader<WithExemplars>, ExporterBuildError> {
    let exporter = WithExemplars::new(endpoint)?;
    Ok(PeriodicReader::builder(exporter).with_interval(config.metrics_interval.unsigned_abs()).build())
}

/// The crate that a target is of.
fn root(target: &str) -> &str {
    target.split("::").next().unwrap_or(target)
}
