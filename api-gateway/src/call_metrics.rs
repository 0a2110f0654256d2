//! How many calls there are, how they end and how long they take.

use std::time::Duration;

use http::StatusCode;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use proto::Method;
use telemetry::Durations;

/// In seconds, as the semantic conventions for HTTP advise.
const BOUNDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// The instruments of calls.
#[derive(Clone, Debug)]
pub(crate) struct CallMetrics {
    duration: Durations,
}

impl CallMetrics {
    pub(crate) fn new(meter: &Meter) -> Self {
        let (name, description) = ("http.server.request.duration", "How long calls take until they are answered");
        Self { duration: Durations::new(meter, name, description, &BOUNDS) }
    }

    /// A call is answered, within its span; `reason` says why it failed, if it did.
    pub(crate) fn answered(
        &self,
        method: Option<&'static Method>,
        status: StatusCode,
        reason: Option<&'static str>,
        after: Duration,
    ) {
        // By the method's name: the path has as many forms as clients have habits, and none that is nobody's may make a series.
        let attributes = [
            KeyValue::new("rpc.method", method.map_or("unknown", Method::name)),
            KeyValue::new("http.response.status_code", i64::from(status.as_u16())),
            KeyValue::new("error.type", reason.unwrap_or("")),
        ];
        let attributes = if reason.is_some() { &attributes[..] } else { &attributes[..2] };
        self.duration.record(after, attributes);
    }
}
