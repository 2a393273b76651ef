//! When a packet was seen.

use std::fmt;

/// Nanoseconds since 1970-01-01 00:00:00 UTC, as the capture says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From nanoseconds since the epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// So many seconds later; the last time there is, if that is behind it.
    #[must_use]
    pub fn after_seconds(self, seconds: u64) -> Self {
        let nanos = seconds.saturating_mul(1_000_000_000);
        self.after(i64::try_from(nanos).unwrap_or(i64::MAX))
    }

    /// So many nanoseconds later; the last time there is, if that is behind it.
    #[must_use]
    pub const fn after(self, nanos: i64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// Seconds from `earlier` to here; 0 when the capture's clock went backwards.
    pub fn seconds_since(self, earlier: Self) -> u64 {
        self.nanos_since(earlier) / 1_000_000_000
    }

    /// Nanoseconds from `earlier` to here; 0 when the capture's clock went backwards.
    pub fn nanos_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0).max(0).cast_unsigned()
    }
}

/// RFC 3339 in UTC with microseconds, the form of the flow record: `2026-01-02T03:04:05.000006Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every i64 of nanoseconds lies in jiff's range (years 1677 to 2262).
        let time = jiff::Timestamp::from_nanosecond(i128::from(self.0)).map_err(|_| fmt::Error)?;
        write!(f, "{time:.6}")
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn prints_rfc3339_with_microseconds() {
        assert_eq!(
            Timestamp::from_nanos(1_767_323_045_000_006_000).to_string(),
            "2026-01-02T03:04:05.000006Z"
        );
        assert_eq!(
            Timestamp::default().to_string(),
            "1970-01-01T00:00:00.000000Z"
        );
    }

    #[test]
    fn a_clock_that_goes_back_counts_as_no_time() {
        let (early, late) = (
            Timestamp::from_nanos(5),
            Timestamp::from_nanos(3_000_000_006),
        );
        assert_eq!(late.seconds_since(early), 3);
        assert_eq!(early.seconds_since(late), 0);
    }
}
