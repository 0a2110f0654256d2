use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter};

use crate::exemplars;

/// A histogram of how long something takes, in seconds. Where a receiver is told of traces too, it is told with each bucket which
/// trace the latest duration in it is from.
#[derive(Clone, Debug)]
pub struct Durations {
    name: &'static str,
    bounds: &'static [f64],
    histogram: Histogram<f64>,
}

impl Durations {
    /// `bounds` are the upper bounds of its buckets, in seconds, each above the one before.
    #[must_use]
    pub fn new(meter: &Meter, name: &'static str, description: &'static str, bounds: &'static [f64]) -> Self {
        let histogram = meter.f64_histogram(name).with_description(description).with_unit("s");
        Self { name, bounds, histogram: histogram.with_boundaries(bounds.to_vec()).build() }
    }

    /// The current span, or what it is a part of, has taken this long.
    pub fn record(&self, took: Duration, attributes: &[KeyValue]) {
        let seconds = took.as_secs_f64();
        // It is counted before there is an exemplar of it, so that none is told of what is not counted.
        self.histogram.record(seconds, attributes);
        let bucket = self.bounds.partition_point(|bound| *bound < seconds);
        exemplars::note(self.name, attributes, bucket, seconds);
    }
}
