//! What operators see of a holder; `docs/metrics.md` says what each is good for. All of it is looked up when it is read: calls pay
//! for nothing but their counts.

use std::hash::Hash;
use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::{LeaseHandle, Memorable, Memory};

impl LeaseHandle {
    /// Shows the lease, and what is applied under it.
    pub fn show(&self, meter: &Meter) {
        let lease = self.clone();
        meter
            .f64_observable_gauge("portcullis.lease.remaining")
            .with_unit("s")
            .with_description("How long the lease lasts from now on; 0 without one")
            .with_callback(move |seen| seen.observe(lease.status().left.as_secs_f64(), &[]))
            .build();
        let lease = self.clone();
        meter
            .f64_observable_gauge("portcullis.lease.age")
            .with_unit("s")
            .with_description("For how long there has been a lease without a gap; 0 without one")
            .with_callback(move |seen| seen.observe(lease.status().held.unwrap_or_default().as_secs_f64(), &[]))
            .build();
        let lease = self.clone();
        meter
            .i64_observable_gauge("portcullis.revision.applied")
            .with_unit("{revision}")
            .with_description("The newest change that is applied")
            .with_callback(move |seen| {
                if let Some(applied) = lease.status().applied {
                    seen.observe(applied.0, &[]);
                }
            })
            .build();
    }

    /// Shows how many calls were not executed, where calls are.
    pub fn show_refusals(&self, meter: &Meter) {
        let lease = self.clone();
        meter
            .u64_observable_counter("portcullis.grant.refusals")
            .with_unit("{call}")
            .with_description("Calls under a good grant that were not executed")
            .with_callback(move |seen| {
                let refusals = lease.refusals();
                for (reason, calls) in [("stale", refusals.stale()), ("unleased", refusals.unleased())] {
                    seen.observe(calls, &[KeyValue::new("reason", reason)]);
                }
            })
            .build();
    }
}

impl<K, V> Memory<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Memorable,
{
    /// Shows how much is remembered, and how often that was of use.
    pub fn show(self: &Arc<Self>, meter: &Meter) {
        let memory = Arc::downgrade(self);
        meter
            .u64_observable_counter("portcullis.introspection.cache.lookups")
            .with_unit("{lookup}")
            .with_description("Calls that looked whether their credential is remembered")
            .with_callback(move |seen| {
                let Some(memory) = memory.upgrade() else { return };
                let counts = memory.counts();
                for (result, lookups) in [
                    ("hit", counts.hits()),
                    ("refused", counts.refused()),
                    ("miss", counts.misses()),
                    ("unleased", counts.unleased()),
                ] {
                    seen.observe(lookups, &[KeyValue::new("result", result)]);
                }
            })
            .build();
        let memory = Arc::downgrade(self);
        meter
            .i64_observable_up_down_counter("portcullis.introspection.cache.entries")
            .with_unit("{entry}")
            .with_description("Credentials that are remembered")
            .with_callback(move |seen| {
                let Some(memory) = memory.upgrade() else { return };
                seen.observe(i64::try_from(memory.len()).unwrap_or(i64::MAX), &[]);
            })
            .build();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;
    use lifecycle::Clock;
    use testkit::Metrics;

    use super::super::{Holder, ToAuthority, ToHolder};
    use super::*;
    use crate::Revision;

    #[test]
    fn a_lease_is_as_old_as_it_has_lasted_without_a_gap() {
        let (clock, time) = Clock::manual(Timestamp::UNIX_EPOCH);
        let (lease, metrics) = (LeaseHandle::new(clock), Metrics::default());
        lease.show(&metrics.meter());
        let seen = || {
            let seconds = |name: &str| metrics.value(&format!("portcullis.lease.{name}"), None).unwrap();
            (seconds("age"), seconds("remaining"))
        };
        let stream = lease.change(|holder, _| holder.connect()).stream;
        let take = |message: &ToHolder| lease.change(|holder, now| holder.take(stream, message, now)).unwrap();
        let renew = || {
            let ToAuthority::Ask { number } = lease.change(Holder::ask) else { panic!("another message") };
            take(&ToHolder::Lease { number, duration: Duration::from_secs(100), revision: Revision(5) });
        };
        assert_eq!((seen(), metrics.value("portcullis.revision.applied", None)), ((0.0, 0.0), None));
        take(&ToHolder::Begin { after: Revision(5), remember_for: Duration::from_secs(1000) });
        time.advance(Duration::from_secs(1));
        renew();
        // It is used for a twentieth less than it was given for.
        assert_eq!((seen(), metrics.value("portcullis.revision.applied", None)), ((0.0, 95.0), Some(5.0)));
        time.advance(Duration::from_secs(90));
        assert_eq!(seen(), (90.0, 5.0));
        renew();
        time.advance(Duration::from_secs(20));
        assert_eq!(seen(), (110.0, 75.0), "one that is prolonged goes on");
        time.advance(Duration::from_secs(75));
        assert_eq!(seen(), (0.0, 0.0));
        renew();
        time.advance(Duration::from_secs(2));
        assert_eq!(seen(), (2.0, 93.0), "one that comes after a gap is another");
        lease.change(|holder, _| holder.release());
        assert_eq!(seen(), (0.0, 0.0));
    }
}
