//! Logs and metrics of a process. It knows no service; what may be logged or counted is decided where it is.

mod metrics;

pub use metrics::{Metrics, meter, read_metrics};

use std::io::{IsTerminal, Write};

use serde::Deserialize;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

/// What is logged, and how.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// Which events: `info`, or by module as in `info,sqlx=warn`. Default: `info`.
    pub filter: String,
    /// `text` for people, `json` for machines. Default: `text`.
    pub format: LogFormat,
}

/// The form of a log.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Text }
    }
}

/// Why logging does not start.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The filter cannot be read.
    #[error("telemetry.filter is no filter")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The process logs already.
    #[error("the process logs already")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Keeps telemetry going; what is pending is flushed when it goes.
#[must_use = "telemetry ends with its guard"]
#[derive(Debug)]
pub struct Guard(());

impl Drop for Guard {
    fn drop(&mut self) {
        // Nobody is left to tell that it failed.
        let _ = std::io::stderr().flush();
    }
}

/// Begins to log on standard error, in colour only on a terminal and never with `NO_COLOR`.
///
/// # Errors
/// Where the filter cannot be read, or the process logs already.
pub fn init(service: &'static str, config: &TelemetryConfig) -> Result<Guard, InitError> {
    let filter = EnvFilter::try_new(&config.filter)?;
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        // It would be reported on standard error, which is what has just failed; that panics.
        .log_internal_errors(false);
    match config.format {
        LogFormat::Text => builder.finish().try_init()?,
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init()?,
    }
    tracing::debug!(service.name = service, "logging has begun");
    Ok(Guard(()))
}
