//! What operators see of the authority's side; `docs/metrics.md` says what each is good for.

use std::sync::{Arc, Weak};

use access::Revision;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use telemetry::Durations;

use super::{Leases, Shared};

/// Between a round trip on one machine and longer than a lease lasts, in seconds.
const BOUNDS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// How long confirmations took.
pub(super) fn confirmations(meter: &Meter) -> Durations {
    let description =
        "How long it took from a change's commit until no call was executed any more under what it took away";
    Durations::new(meter, "portcullis.confirmation.duration", description, &BOUNDS)
}

impl Leases {
    /// Shows who holds leases by this replica, and what it knows of the log.
    pub(crate) fn show(&self, meter: &Meter) {
        self.own().show(meter);
        self.show_holders(meter);
        let shared = Arc::downgrade(&self.0);
        meter
            .i64_observable_up_down_counter("portcullis.confirmation.waiting")
            .with_unit("{change}")
            .with_description("Changes that are not confirmed yet")
            .with_callback(move |seen| {
                let Some(shared) = shared.upgrade() else { return };
                seen.observe(i64::try_from(*shared.waiting.borrow()).unwrap_or(i64::MAX), &[]);
            })
            .build();
        let shared = Arc::downgrade(&self.0);
        meter
            .i64_observable_gauge("portcullis.revision.newest")
            .with_unit("{revision}")
            .with_description("The newest change that this replica knows of")
            .with_callback(move |seen| {
                if let Some(newest) = newest(&shared) {
                    seen.observe(newest.0, &[]);
                }
            })
            .build();
    }

    fn show_holders(&self, meter: &Meter) {
        let shared = Arc::downgrade(&self.0);
        meter
            .i64_observable_up_down_counter("portcullis.lease.holders")
            .with_unit("{holder}")
            .with_description("Who has a stream to this replica, and was given a lease on it")
            .with_callback(move |seen| {
                let Some(shared) = shared.upgrade() else { return };
                for (service, holders) in shared.acknowledgements.by_service() {
                    let holders = i64::try_from(holders.len()).unwrap_or(i64::MAX);
                    seen.observe(holders, &[KeyValue::new("service", service)]);
                }
            })
            .build();
        let shared = Arc::downgrade(&self.0);
        meter
            .i64_observable_gauge("portcullis.revision.lag")
            .with_unit("{revision}")
            .with_description("How many changes the holder is behind that is furthest behind")
            .with_callback(move |seen| {
                let (Some(newest), Some(shared)) = (newest(&shared), shared.upgrade()) else { return };
                for (service, holders) in shared.acknowledgements.by_service() {
                    // Acknowledgements may be ahead of what was read of the log just now, not of the log.
                    let behind = holders.iter().map(|acknowledged| (newest.0 - acknowledged.0).max(0)).max();
                    if let Some(behind) = behind {
                        seen.observe(behind, &[KeyValue::new("service", service)]);
                    }
                }
            })
            .build();
    }
}

/// The newest change, once the log has been read.
fn newest(shared: &Weak<Shared>) -> Option<Revision> {
    let newest = *shared.upgrade()?.feed.subscribe().borrow();
    (newest >= Revision(0)).then_some(newest)
}
