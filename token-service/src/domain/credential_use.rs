use access::CredentialId;
use jiff::Timestamp;

/// For how many days uses are told.
pub(crate) const DAYS_KEPT: i64 = 90;

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// How a credential was used on one day.
#[derive(Clone, Debug)]
pub(crate) struct CredentialUse {
    pub(crate) credential: CredentialId,
    pub(crate) last_used_at: Timestamp,
    pub(crate) address: String,
    pub(crate) method: String,
    pub(crate) count: i64,
}

impl CredentialUse {
    /// The same credential was used again, or before.
    pub(crate) fn add(&mut self, other: &Self) {
        let count = self.count.saturating_add(other.count);
        if other.last_used_at >= self.last_used_at {
            self.clone_from(other);
        }
        self.count = count;
    }
}

/// The number of a moment's day since 1970, UTC.
pub(crate) fn day(moment: Timestamp) -> i64 {
    moment.as_second().div_euclid(DAY_SECONDS)
}

/// A day by its number, as RFC 3339 writes it.
pub(crate) fn day_text(day: i64) -> String {
    let start = day.checked_mul(DAY_SECONDS).and_then(|second| Timestamp::from_second(second).ok());
    start.map(|start| start.strftime("%F").to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_utc() {
        let moment = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(day(moment("1970-01-01T23:59:59Z")), 0);
        assert_eq!(day(moment("1969-12-31T23:59:59Z")), -1);
        assert_eq!(day_text(day(moment("2026-11-24T00:00:00Z"))), "2026-11-24");
    }
}
