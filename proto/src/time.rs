//! Moments on the wire: `google.protobuf.Timestamp`, and the platform's text form.

use jiff::Timestamp;

/// A moment that no `Timestamp` can be: before the year 1, after 9999, or with nanoseconds out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no moment between the years 1 and 9999")]
pub struct OutOfRange;

/// A moment in its wire form.
#[must_use]
pub fn to_wire(moment: Timestamp) -> prost_types::Timestamp {
    let (mut seconds, mut nanos) = (moment.as_second(), moment.subsec_nanosecond());
    if nanos < 0 {
        // Before 1970 jiff counts both back from zero; the wire counts nanoseconds forward.
        (seconds, nanos) = (seconds - 1, nanos + 1_000_000_000);
    }
    prost_types::Timestamp { seconds, nanos }
}

/// A moment from its wire form.
///
/// # Errors
/// Where it is out of range.
pub fn from_wire(moment: &prost_types::Timestamp) -> Result<Timestamp, OutOfRange> {
    if !(0..1_000_000_000).contains(&moment.nanos) {
        return Err(OutOfRange);
    }
    Timestamp::new(moment.seconds, moment.nanos).map_err(|_| OutOfRange)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_survive_the_wire() {
        for text in ["2026-11-23T21:00:00.123456Z", "1969-12-31T23:59:59.5Z", "0001-01-01T00:00:00Z"] {
            let moment: Timestamp = text.parse().unwrap();
            assert_eq!(from_wire(&to_wire(moment)).unwrap(), moment, "{text}");
        }
        assert!(from_wire(&prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }).is_err());
        assert!(from_wire(&prost_types::Timestamp { seconds: 0, nanos: -1 }).is_err());
    }
}
