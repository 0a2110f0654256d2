use jiff::SignedDuration;
use serde::Deserialize;
use url::Url;

/// What is told of a process, and to whom.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// Which events are logged: `info`, or by module as in `info,sqlx=warn`. Default: `info`.
    pub filter: String,
    /// `text` for people, `json` for machines. Default: `text`.
    pub format: LogFormat,
    /// Where traces, metrics and logs go besides. Default: nowhere.
    pub otlp: Option<OtlpConfig>,
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

/// A receiver of OTLP, by gRPC.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct OtlpConfig {
    /// Its address: `http://127.0.0.1:4317`.
    pub endpoint: Url,
    /// Which part of the traces that begin here is kept: 0 to 1. One that has begun before is kept where it was kept there. Default: 1.
    #[serde(default = "default_sampled")]
    pub sampled: f64,
    /// How often metrics are told: 1 s to 1 h. Default: 30 s.
    #[serde(default = "default_metrics_interval", deserialize_with = "settings::duration")]
    pub metrics_interval: SignedDuration,
    /// What the process is called there, as `service.name`. Default: its name.
    #[serde(default)]
    pub service_name: Option<String>,
}

fn default_sampled() -> f64 {
    1.0
}

fn default_metrics_interval() -> SignedDuration {
    SignedDuration::from_secs(30)
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Text, otlp: None }
    }
}

impl OtlpConfig {
    /// What is wrong with it: the key, and what it must be.
    pub(crate) fn flaw(&self) -> Option<(&'static str, &'static str)> {
        let seconds = self.metrics_interval.as_secs_f64();
        if !["http", "https"].contains(&self.endpoint.scheme()) || !self.endpoint.has_host() {
            Some(("telemetry.otlp.endpoint", "an address as `http://127.0.0.1:4317`"))
        } else if !(0.0..=1.0).contains(&self.sampled) {
            Some(("telemetry.otlp.sampled", "0 to 1"))
        } else if !(1.0..=3600.0).contains(&seconds) {
            Some(("telemetry.otlp.metrics_interval", "1 s to 1 h"))
        } else {
            None
        }
    }
}
