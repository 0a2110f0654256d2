//! Moments on the wire: `google.protobuf.Timestamp`, and the platform's text form.

use jiff::Timestamp;

/// The first moment that can be told: 0001-01-01 00:00:00 UTC, in seconds since 1970.
const FIRST: i64 = -62_135_596_800;

/// A moment that cannot be told: before the year 1, so late that it is past the year 9999 somewhere (by the largest offset
/// that jiff knows), or with nanoseconds out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is out of range: must be before 9999-12-30 22:00:01, and not before 0001-01-01 00:00:00 (UTC)")]
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
    if !(0..1_000_000_000).contains(&moment.nanos) || moment.seconds < FIRST {
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
        let at = |seconds| from_wire(&prost_types::Timestamp { seconds, nanos: 0 });
        assert_eq!(at(FIRST).unwrap(), "0001-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(at(FIRST - 1), Err(OutOfRange));
        let last: Timestamp = "9999-12-30T22:00:00Z".parse().unwrap();
        assert_eq!(at(last.as_second()).unwrap(), last);
        assert_eq!(at(last.as_second() + 1), Err(OutOfRange));
        assert_eq!(at(i64::MAX), Err(OutOfRange));
        assert!(from_wire(&prost_types::Timestamp { seconds: 0, nanos: -1 }).is_err());
    }
}
