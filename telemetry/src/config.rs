use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

/// What is told of a process, and to whom.
#[derive(Clone, Debug, Deserialize, PartialEq, JsonSchema)]
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
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// A receiver of OTLP, by gRPC.
#[derive(Clone, Debug, Deserialize, PartialEq, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OtlpConfig {
    /// Its address: `http://127.0.0.1:4317`.
    #[schemars(with = "String")]
    pub endpoint: Url,
    /// Which part of the traces that begin here is kept: 0 to 1. One that has begun before is kept where it was kept there. Default: 1.
    #[serde(default = "default_sampled")]
    pub sampled: f64,
    /// How often metrics are told: 1 s to 1 h. Default: 30 s.
    #[serde(default = "default_metrics_interval", deserialize_with = "settings::duration")]
    #[schemars(with = "settings::DurationText")]
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

impl TelemetryConfig {
    /// What is wrong with it: the key, and what it must be.
    #[must_use]
    pub fn flaw(&self) -> Option<(&'static str, &'static str)> {
        if tracing_subscriber::EnvFilter::try_new(&self.filter).is_err() {
            return Some(("telemetry.filter", "a filter as `info` or `info,sqlx=warn`"));
        }
        self.otlp.as_ref().and_then(OtlpConfig::flaw)
    }
}

impl OtlpConfig {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn flaw(change: impl FnOnce(&mut OtlpConfig)) -> Option<&'static str> {
        let mut config = OtlpConfig {
            endpoint: "http://127.0.0.1:4317".parse().expect("an address"),
            sampled: 1.0,
            metrics_interval: default_metrics_interval(),
            service_name: None,
        };
        change(&mut config);
        config.flaw().map(|(key, _)| key)
    }

    #[test]
    fn each_flaw_is_named() {
        assert_eq!(flaw(|_| ()), None);
        assert_eq!(flaw(|config| config.sampled = 0.0), None);
        for sampled in [-0.1, 1.1, f64::NAN] {
            assert_eq!(flaw(|config| config.sampled = sampled), Some("telemetry.otlp.sampled"), "{sampled}");
        }
        for endpoint in ["ftp://127.0.0.1", "unix:/run/otlp"] {
            let endpoint = endpoint.parse().expect("an address");
            assert_eq!(flaw(|config| config.endpoint = endpoint), Some("telemetry.otlp.endpoint"));
        }
        for interval in [SignedDuration::ZERO, SignedDuration::from_hours(2)] {
            assert_eq!(flaw(|config| config.metrics_interval = interval), Some("telemetry.otlp.metrics_interval"));
        }
    }
}
