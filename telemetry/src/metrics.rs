use opentelemetry::metrics::Meter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{MeterProviderBuilder, SdkMeterProvider};

/// What makes a service's instruments. Without [`read_metrics`] before it, they cost nothing and nobody reads them.
#[must_use]
pub fn meter(service: &'static str) -> Meter {
    opentelemetry::global::meter(service)
}

/// Keeps the process's metrics being read; they are read once more when it goes.
#[must_use = "metrics end with their guard"]
#[derive(Debug)]
pub struct Metrics(SdkMeterProvider);

/// Has the process's metrics read by the readers that are added, from now on. What was made by [`meter`] before is not among
/// them, so that it has to be called before a service is bound.
pub fn read_metrics(
    resource: Resource,
    add_readers: impl FnOnce(MeterProviderBuilder) -> MeterProviderBuilder,
) -> Metrics {
    let provider = add_readers(SdkMeterProvider::builder().with_resource(resource)).build();
    opentelemetry::global::set_meter_provider(provider.clone());
    Metrics(provider)
}

impl Drop for Metrics {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(%error, "the last metrics were not read");
        }
    }
}
