//! Exemplars: which trace a value of a histogram is from. OpenTelemetry's SDK makes none; they are kept here until they are told.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry_proto::tonic::metrics::v1::Exemplar;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Of how many series some are kept. Of one that comes later there are none until room is made by telling them.
const MOST: usize = 2000;

/// Those of the process. There are none while nobody tells them.
static KEPT: OnceLock<Exemplars> = OnceLock::new();

/// The latest exemplar of each bucket of each series.
#[derive(Debug, Default)]
pub(crate) struct Exemplars(Mutex<HashMap<Series, BTreeMap<usize, Exemplar>>>);

/// Values of one histogram under the same attributes.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Series {
    name: Cow<'static, str>,
    attributes: Vec<KeyValue>,
}

impl Series {
    /// Whatever the order of the attributes is.
    pub(crate) fn new(name: impl Into<Cow<'static, str>>, mut attributes: Vec<KeyValue>) -> Self {
        attributes.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        Self { name: name.into(), attributes }
    }
}

/// Keeps exemplars from now on, for who tells them.
pub(crate) fn keep() -> &'static Exemplars {
    KEPT.get_or_init(Exemplars::default)
}

/// Keeps a value of the current span, if there is one whose trace is kept and somebody tells exemplars.
pub(crate) fn note(name: &'static str, attributes: &[KeyValue], bucket: usize, value: f64) {
    let Some(kept) = KEPT.get() else { return };
    let context = Span::current().context();
    let span = context.span();
    if is_told(span.span_context()) {
        let exemplar = exemplar(span.span_context(), value, SystemTime::now());
        kept.note(Series::new(name, attributes.to_vec()), bucket, exemplar);
    }
}

/// Whether whoever looks for a trace will find it.
fn is_told(span: &SpanContext) -> bool {
    span.is_valid() && span.is_sampled()
}

fn exemplar(span: &SpanContext, value: f64, at: SystemTime) -> Exemplar {
    let at = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    Exemplar {
        // What its series has is told with the series.
        filtered_attributes: Vec::new(),
        time_unix_nano: u64::try_from(at.as_nanos()).unwrap_or(u64::MAX),
        span_id: span.span_id().to_bytes().to_vec(),
        trace_id: span.trace_id().to_bytes().to_vec(),
        value: Some(value.into()),
    }
}

impl Exemplars {
    /// Keeps one in the place of the one before.
    pub(crate) fn note(&self, series: Series, bucket: usize, exemplar: Exemplar) {
        let mut kept = self.lock();
        if kept.len() < MOST || kept.contains_key(&series) {
            kept.entry(series).or_default().insert(bucket, exemplar);
        }
    }

    /// Takes what is kept of a series and was there at a time, in nanoseconds since 1970: what came later may be of a value that
    /// is not counted yet.
    pub(crate) fn take(&self, series: &Series, until: u64) -> Vec<Exemplar> {
        let mut kept = self.lock();
        let Some(buckets) = kept.get_mut(series) else { return Vec::new() };
        let taken = buckets.extract_if(.., |_, exemplar| exemplar.time_unix_nano <= until);
        taken.map(|(_, exemplar)| exemplar).collect()
    }

    /// Forgets what was there at a time and was not taken, since its series is not told under its own attributes.
    pub(crate) fn forget(&self, until: u64) {
        self.lock().retain(|_, buckets| {
            buckets.retain(|_, exemplar| exemplar.time_unix_nano > until);
            !buckets.is_empty()
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Series, BTreeMap<usize, Exemplar>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use opentelemetry::trace::{SpanId, TraceFlags, TraceId, TraceState, TracerProvider};
    use opentelemetry_proto::tonic::metrics::v1::exemplar::Value;
    use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::Durations;

    const NAME: &str = "a.duration";

    fn span(trace: u128, flags: TraceFlags) -> SpanContext {
        SpanContext::new(TraceId::from(trace), SpanId::from(7), flags, false, TraceState::default())
    }

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(second)
    }

    fn nanos(second: u64) -> u64 {
        second * 1_000_000_000
    }

    fn noted(trace: u128, second: u64) -> Exemplar {
        exemplar(&span(trace, TraceFlags::SAMPLED), 0.25, at(second))
    }

    /// The series of these attributes, in this order.
    fn series(attributes: &[(&'static str, i64)]) -> Series {
        Series::new(NAME, attributes.iter().map(|(key, value)| KeyValue::new(*key, *value)).collect())
    }

    fn traces(exemplars: &[Exemplar]) -> Vec<u128> {
        let trace = |id: &[u8]| u128::from_be_bytes(id.try_into().unwrap());
        exemplars.iter().map(|exemplar| trace(&exemplar.trace_id)).collect()
    }

    #[test]
    fn the_order_of_attributes_does_not_matter_and_each_is_told_once() {
        let kept = Exemplars::default();
        kept.note(series(&[("status", 200), ("method", 1)]), 0, noted(1, 1));
        kept.note(series(&[("status", 500), ("method", 1)]), 0, noted(2, 1));
        assert_eq!(kept.take(&series(&[("method", 1)]), nanos(9)), []);
        assert_eq!(kept.take(&Series::new("b.duration", series(&[]).attributes), nanos(9)), []);
        let asked = series(&[("method", 1), ("status", 200)]);
        let taken = kept.take(&asked, nanos(9));
        assert_eq!(taken, [noted(1, 1)]);
        assert_eq!((&taken[0].value, taken[0].time_unix_nano), (&Some(Value::AsDouble(0.25)), nanos(1)));
        assert_eq!(kept.take(&asked, nanos(9)), []);
    }

    #[test]
    fn the_latest_of_each_bucket_is_kept_and_what_came_later_waits() {
        let kept = Exemplars::default();
        for (trace, bucket, second) in [(1, 3, 1), (2, 3, 2), (3, 0, 2), (4, 5, 4)] {
            kept.note(series(&[]), bucket, noted(trace, second));
        }
        assert_eq!(traces(&kept.take(&series(&[]), nanos(3))), [3, 2]);
        kept.forget(nanos(3));
        assert_eq!(traces(&kept.take(&series(&[]), nanos(4))), [4]);
    }

    #[test]
    fn there_is_an_end_to_how_many_are_kept() {
        let kept = Exemplars::default();
        let of = |number: usize| series(&[("number", i64::try_from(number).unwrap())]);
        (0..MOST + 10).for_each(|number| kept.note(of(number), 0, noted(1, 1)));
        assert_eq!(kept.lock().len(), MOST);
        kept.note(of(0), 0, noted(2, 2));
        assert_eq!(traces(&kept.take(&of(0), nanos(2))), [2], "one that is known goes on");
        kept.forget(nanos(2));
        assert_eq!(kept.lock().len(), 0);
        kept.note(of(MOST), 0, noted(3, 3));
        assert_eq!(traces(&kept.take(&of(MOST), nanos(3))), [3]);
    }

    #[test]
    fn only_a_span_that_is_told_has_them() {
        assert!(is_told(&span(1, TraceFlags::SAMPLED)));
        assert!(!is_told(&span(1, TraceFlags::NOT_SAMPLED)));
        assert!(!is_told(&span(0, TraceFlags::SAMPLED)));
    }

    /// The ids of the trace and of the span in which durations were recorded, and what is kept of them.
    fn recorded_within(sampler: Sampler, name: &'static str) -> ((Vec<u8>, Vec<u8>), Vec<Exemplar>) {
        let provider = SdkTracerProvider::builder().with_sampler(sampler).build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let span = tracing::info_span!("call");
            span.in_scope(|| record(name));
            let context = span.context();
            let ids = context.span().span_context().clone();
            let ids = (ids.trace_id().to_bytes().to_vec(), ids.span_id().to_bytes().to_vec());
            (ids, keep().take(&Series::new(name, Vec::new()), u64::MAX))
        })
    }

    fn record(name: &'static str) {
        let durations = Durations::new(&crate::meter("test"), name, "How long it takes", &[0.1, 1.0]);
        for millis in [20, 100, 500] {
            durations.record(Duration::from_millis(millis), &[]);
        }
    }

    #[test]
    fn an_exemplar_names_the_span_that_it_is_from() {
        keep();
        let (ids, taken) = recorded_within(Sampler::AlwaysOn, "on.duration");
        let values: Vec<_> = taken.iter().map(|exemplar| exemplar.value).collect();
        assert_eq!(values, [Some(0.1.into()), Some(0.5.into())], "the latest of each bucket");
        assert!(taken.iter().all(|exemplar| (&exemplar.trace_id, &exemplar.span_id) == (&ids.0, &ids.1)));
        assert_eq!(recorded_within(Sampler::AlwaysOff, "off.duration").1, []);
        record("none.duration");
        assert_eq!(keep().take(&Series::new("none.duration", Vec::new()), u64::MAX), []);
    }
}
