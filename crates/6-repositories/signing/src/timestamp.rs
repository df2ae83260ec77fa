//! Timestamps of OpenPGP.
//!
//! Formatted by hand: the feature `formatting` of the crate `time` returns errors, which cannot be for three fixed forms.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// Seconds of a day.
const DAY: u32 = 24 * 60 * 60;

/// Timestamp in whole seconds since 1970, up to the year 2106 (RFC 9580, section 3.5). Displayed as a date:
/// `2026-11-25`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u32);

impl Timestamp {
    /// Returns the current time of the system's clock.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u32::try_from(since.as_secs()).unwrap_or(u32::MAX))
    }

    /// Makes a timestamp from seconds since 1970-01-01 00:00 UTC.
    pub const fn from_secs(seconds: u32) -> Self {
        Self(seconds)
    }

    /// Returns the seconds since 1970-01-01 00:00 UTC.
    pub const fn as_secs(self) -> u32 {
        self.0
    }

    /// Adds days; saturates at the end of the range.
    pub const fn plus_days(self, days: u32) -> Self {
        self.plus_secs(days.saturating_mul(DAY))
    }

    /// Adds seconds; saturates at the end of the range.
    pub const fn plus_secs(self, seconds: u32) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Returns the number of whole days until a later timestamp; 0 when it has passed.
    pub const fn days_until(self, later: Self) -> u32 {
        later.0.saturating_sub(self.0) / DAY
    }

    /// Date and time without anything between, as names of snapshots have it: `20261125-101203`. The zone is UTC.
    pub fn compact(self) -> String {
        let time = self.time();
        format!(
            "{:04}{:02}{:02}-{:02}{:02}{:02}",
            time.year(),
            u8::from(time.month()),
            time.day(),
            time.hour(),
            time.minute(),
            time.second()
        )
    }

    /// Date and time for people: `2026-11-25 10:12:03`. The zone is UTC.
    pub fn date_and_time(self) -> String {
        let time = self.time();
        let (hour, minute, second) = (time.hour(), time.minute(), time.second());
        format!("{self} {hour:02}:{minute:02}:{second:02}")
    }

    fn time(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(i64::from(self.0)).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.time();
        write!(f, "{:04}-{:02}-{:02}", time.year(), u8::from(time.month()), time.day())
    }
}

impl From<Timestamp> for pgp::types::Timestamp {
    fn from(timestamp: Timestamp) -> Self {
        Self::from_secs(timestamp.0)
    }
}

impl From<pgp::types::Timestamp> for Timestamp {
    fn from(time: pgp::types::Timestamp) -> Self {
        Self(time.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_displayed_as_dates() {
        let timestamp = Timestamp::from_secs(1_795_601_523);
        assert_eq!(timestamp.to_string(), "2026-11-25");
        assert_eq!(timestamp.compact(), "20261125-101203");
        assert_eq!(timestamp.date_and_time(), "2026-11-25 10:12:03");
        assert_eq!(timestamp.plus_days(30).to_string(), "2026-12-25");
        assert_eq!(timestamp.days_until(timestamp.plus_days(30)), 30);
        assert_eq!(timestamp.plus_days(1).days_until(timestamp), 0);
    }
}
