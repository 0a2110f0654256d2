use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::Quota;
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Unexpected, Visitor};

use super::ConfigError;

/// How often calls may come. What goes beyond is refused with the error 9104.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimits {
    /// With one token, or within one session. Default: 1000 a second, 5000 at once.
    #[schemars(with = "settings::RateText")]
    pub token: RateLimit,
    /// With all tokens and sessions of one account. Default: 2000 a second, 10,000 at once.
    #[schemars(with = "settings::RateText")]
    pub account: RateLimit,
    /// From one address, of IPv6 its /64, without a credential that is known to be alive. Default: 2000 a second, 10,000 at once.
    #[schemars(with = "settings::RateText")]
    pub address: RateLimit,
}

impl Default for RateLimits {
    fn default() -> Self {
        let account = RateLimit::per_second(2000, 10_000);
        Self { token: RateLimit::per_second(1000, 5000), account, address: account }
    }
}

impl RateLimits {
    /// Each with the key that it has.
    pub(crate) fn all(&self) -> [(&'static str, RateLimit); 3] {
        let Self { token, account, address } = *self;
        [("rate_limits.token", token), ("rate_limits.account", account), ("rate_limits.address", address)]
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        for (key, limit) in self.all() {
            let RateLimit::Calls { calls, per, burst } = limit else { continue };
            let day = SignedDuration::from_secs(1)..=SignedDuration::from_hours(24);
            let fits = (1..=1_000_000).contains(&calls) && (1..=10_000_000).contains(&burst) && day.contains(&per);
            let allowed = "\"off\", or 1 to 1,000,000 calls per 1 s to 24 h with a burst of 1 to 10,000,000";
            if !fits {
                return Err(ConfigError::Range { key, allowed });
            }
        }
        Ok(())
    }
}

/// How often something may be done: `{ calls = 100, per = "1min", burst = 20 }`, or `"off"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateLimit {
    /// As often as one likes.
    Off,
    /// So often.
    Calls {
        /// How many calls, evenly spread, may come again and again: 1 to 1,000,000.
        calls: u32,
        /// In which time: 1 s to 24 h. Not given: a second.
        per: SignedDuration,
        /// How many may come at once after a pause: 1 to 10,000,000. Not given: five times `calls`.
        burst: u32,
    },
}

impl RateLimit {
    /// So many calls a second, and so many at once.
    #[must_use]
    pub const fn per_second(calls: u32, burst: u32) -> Self {
        Self::Calls { calls, per: SignedDuration::from_secs(1), burst }
    }

    /// What is counted by; nothing where it is off.
    pub(crate) fn quota(self) -> Option<Quota> {
        let Self::Calls { calls, per, burst } = self else { return None };
        let interval = per.unsigned_abs() / calls.max(1);
        let quota = Quota::with_period(interval.max(Duration::from_nanos(1)))?;
        Some(quota.allow_burst(NonZeroU32::new(burst)?))
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Calls { calls, per, burst } => write!(f, "{calls} calls per {per:#}, {burst} at once"),
        }
    }
}

impl<'de> Deserialize<'de> for RateLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

struct Written;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    calls: u32,
    #[serde(default = "second", deserialize_with = "settings::duration")]
    per: SignedDuration,
    burst: Option<u32>,
}

fn second() -> SignedDuration {
    SignedDuration::from_secs(1)
}

impl<'de> Visitor<'de> for Written {
    type Value = RateLimit;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"off\", or calls per time such as { calls = 100, per = \"1min\", burst = 20 }")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<RateLimit, E> {
        if text == "off" { Ok(RateLimit::Off) } else { Err(E::invalid_value(Unexpected::Str(text), &self)) }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RateLimit, A::Error> {
        let Table { calls, per, burst } = Table::deserialize(de::value::MapAccessDeserializer::new(map))?;
        Ok(RateLimit::Calls { calls, per, burst: burst.unwrap_or(calls.saturating_mul(5)) })
    }
}
