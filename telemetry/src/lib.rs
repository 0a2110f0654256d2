//! Logs, traces and metrics of a process. It knows no service; what may be told is decided where it is.

mod config;
mod durations;
mod exemplars;
mod metric_exporter;
mod metrics;
mod otlp;
mod trace;

pub use config::{LogFormat, OtlpConfig, TelemetryConfig};
pub use durations::Durations;
pub use metrics::{Metrics, meter, read_metrics};
pub use trace::{ServerSpans, SpanResult, client_span, in_client_span, server_span};

use std::io::{IsTerminal, Write};

use tracing_subscriber::filter::{FilterExt, LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use self::otlp::Exporters;

/// Why nothing is told of a process.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The filter cannot be read.
    #[error("telemetry.filter is no filter")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// A value is out of its range.
    #[error("{key} must be {allowed}")]
    Range {
        /// The key.
        key: &'static str,
        /// What it may be.
        allowed: &'static str,
    },
    /// The receiver cannot be used.
    #[error("telemetry.otlp cannot be used")]
    Otlp(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The process logs already.
    #[error("the process logs already")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Keeps telemetry going; what is pending is told when it goes.
#[must_use = "telemetry ends with its guard"]
#[derive(Debug)]
pub struct Guard(Option<Exporters>);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(exporters) = self.0.take() {
            exporters.end();
        }
        // Nobody is left to tell that it failed.
        let _ = std::io::stderr().flush();
    }
}

/// Begins to log on standard error, in colour only on a terminal and never with `NO_COLOR`; and to tell a receiver of OTLP where there
/// is one. Called within a Tokio runtime, before anything that counts or traces is made.
///
/// # Errors
/// Where a value cannot be used, or the process logs already.
pub fn init(service: &'static str, config: &TelemetryConfig) -> Result<Guard, InitError> {
    let exporters = config.otlp.as_ref().map(|otlp| Exporters::begin(service, otlp)).transpose()?;
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let traced = exporters.is_some();
    // A call's span is in its log lines where there is a trace to find by it, and costs nothing elsewhere.
    let shown = filter_fn(move |about| traced || about.target() != trace::TARGET);
    // It has no say about levels: without this word nobody would know that none below the filter's are asked for.
    let shown = shown.with_max_level_hint(LevelFilter::TRACE);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        // It would be reported on standard error, which is what has just failed; that panics.
        .log_internal_errors(false);
    let lines = match config.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let lines = lines.with_filter(EnvFilter::try_new(&config.filter)?.and(shown));
    let told = exporters.as_ref().map(|exporters| exporters.layer(EnvFilter::try_new(&config.filter)));
    let told = told.transpose()?;
    // Not `with(told)`: a layer that is not there counts as one that wants everything, each span of every library.
    let mut layers = vec![lines.boxed()];
    layers.extend(told);
    tracing_subscriber::registry().with(layers).try_init()?;
    tracing::debug!(service.name = service, "logging has begun");
    Ok(Guard(exporters))
}
