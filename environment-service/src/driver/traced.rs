use std::fmt::Display;
use std::sync::LazyLock;
use std::time::Instant;

use opentelemetry::KeyValue;
use telemetry::Durations;
use tracing::{Instrument, field};

use crate::domain::DriverKind;

/// How long what drivers do may take, in seconds: from a process's launch to a rollout.
const BOUNDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0];

static DURATION: LazyLock<Durations> = LazyLock::new(|| {
    let meter = telemetry::meter(crate::grpc::AUDIENCE);
    let description = "How long drivers take for what they are told to do";
    Durations::new(&meter, "portcullis.driver.operation.duration", description, &BOUNDS)
});

/// Something that a driver does, in a span of its own, and measured.
pub(crate) async fn traced<T, E: Display>(
    driver: DriverKind,
    operation: &'static str,
    done: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let driver = driver.as_str();
    let span = tracing::info_span!(
        target: "trace",
        "driver",
        otel.name = format!("{driver} {operation}"),
        otel.status_code = field::Empty,
        portcullis.driver = driver,
        portcullis.driver.operation = operation,
    );
    let begun = Instant::now();
    let result = done.instrument(span.clone()).await;
    let outcome = if result.is_ok() { "done" } else { "failed" };
    if result.is_err() {
        span.record("otel.status_code", "ERROR");
    }
    let attributes =
        [KeyValue::new("driver", driver), KeyValue::new("operation", operation), KeyValue::new("outcome", outcome)];
    span.in_scope(|| DURATION.record(begun.elapsed(), &attributes));
    result
}
