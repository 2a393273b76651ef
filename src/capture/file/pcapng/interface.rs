//! Interface descriptions, and how they count time.

use super::super::order::Order;
use super::options::options;
use crate::model::{LinkType, Timestamp};

const IF_TSRESOL: u16 = 9;
const IF_TSOFFSET: u16 = 14;

pub(super) struct Interface {
    pub link: LinkType,
    /// 0 = none.
    pub snaplen: u32,
    pub clock: Clock,
    /// Packets that its latest statistics block says were lost.
    pub lost: u64,
}

impl Interface {
    /// Reads the block; `None` when it is too short.
    pub fn parse(order: Order, body: &[u8]) -> Option<Self> {
        let link = LinkType(u32::from(order.u16(body, 8)?));
        let snaplen = order.u32(body, 12)?;
        let mut clock = Clock::default();
        for (code, value) in options(order, body, 16) {
            match code {
                IF_TSRESOL => {
                    clock.unit = value
                        .first()
                        .map_or(clock.unit, |&resolution| Unit::new(resolution));
                }
                // Signed seconds; the bits are the same.
                IF_TSOFFSET => {
                    clock.offset = order.u64(value, 0).map_or(clock.offset, u64::cast_signed);
                }
                _ => {}
            }
        }
        Some(Self {
            link,
            snaplen,
            clock,
            lost: 0,
        })
    }
}

/// From an interface's count of units to a time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    unit: Unit,
    /// Seconds to add.
    offset: i64,
}

impl Clock {
    /// A time that does not fit (before 1677 or after 2262) becomes the nearest that does.
    pub fn time(self, count: u64) -> Timestamp {
        // The everyday case, without 128-bit arithmetic.
        if let (Unit::Nanos(n), 0) = (self.unit, self.offset)
            && let Some(nanos) = count
                .checked_mul(n)
                .and_then(|nanos| i64::try_from(nanos).ok())
        {
            return Timestamp::from_nanos(nanos);
        }
        let nanos = self.unit.nanos(count) + i128::from(self.offset) * 1_000_000_000;
        let nearest = if nanos < 0 { i64::MIN } else { i64::MAX };
        Timestamp::from_nanos(i64::try_from(nanos).unwrap_or(nearest))
    }
}

/// Length of one unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// So many nanoseconds.
    Nanos(u64),
    /// So many units make a nanosecond.
    PerNano(u128),
    /// 2 to this power make a second.
    Binary(u8),
}

/// Without `if_tsresol`: microseconds.
impl Default for Unit {
    fn default() -> Self {
        Self::Nanos(1000)
    }
}

impl Unit {
    /// `if_tsresol`: a negative power of 10, or of 2 when the highest bit is set.
    fn new(resolution: u8) -> Self {
        let power = u32::from(resolution & 0x7f);
        if resolution & 0x80 != 0 {
            Self::Binary(resolution & 0x7f)
        } else if power <= 9 {
            Self::Nanos(10_u64.pow(9 - power))
        } else {
            // Beyond 10^38 the count is less than a nanosecond whatever it is.
            Self::PerNano(10_u128.checked_pow(power - 9).unwrap_or(u128::MAX))
        }
    }

    /// Fits easily: 2^64 seconds are less than 2^94 ns.
    fn nanos(self, count: u64) -> i128 {
        let count = u128::from(count);
        let nanos = match self {
            Self::Nanos(n) => count * u128::from(n),
            Self::PerNano(n) => count / n,
            Self::Binary(power) => (count * 1_000_000_000) >> power,
        };
        nanos.cast_signed()
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, Unit};

    fn nanos(resolution: u8, offset: i64, count: u64) -> i64 {
        Clock {
            unit: Unit::new(resolution),
            offset,
        }
        .time(count)
        .as_nanos()
    }

    #[test]
    fn counts_in_every_resolution() {
        assert_eq!(Clock::default().time(1_500_000).as_nanos(), 1_500_000_000);
        assert_eq!(nanos(0, 0, 7), 7_000_000_000);
        assert_eq!(nanos(3, 0, 1234), 1_234_000_000);
        assert_eq!(nanos(6, 0, 1), 1_000);
        assert_eq!(
            nanos(9, 0, 1_767_323_045_000_006_007),
            1_767_323_045_000_006_007
        );
        assert_eq!(nanos(12, 0, 5_999), 5);
        assert_eq!(nanos(0x80 | 0x0a, 0, 1536), 1_500_000_000);
        assert_eq!(nanos(0x80 | 0x14, 0, 1 << 19), 500_000_000);
        assert_eq!(nanos(0x80, 0, 3), 3_000_000_000);
    }

    #[test]
    fn adds_the_offset() {
        assert_eq!(nanos(6, 100, 5), 100_000_005_000);
        assert_eq!(nanos(6, -1, 5), -999_995_000);
    }

    #[test]
    fn survives_absurd_clocks() {
        for resolution in 0..=u8::MAX {
            for offset in [i64::MIN, -1, 0, 1, i64::MAX] {
                for count in [0, 1, u64::MAX] {
                    nanos(resolution, offset, count);
                }
            }
        }
        assert_eq!(nanos(0, 0, u64::MAX), i64::MAX);
        assert_eq!(nanos(0, i64::MIN, 0), i64::MIN);
        assert_eq!(nanos(127, 0, u64::MAX), 0);
        assert_eq!(nanos(0xff, 0, u64::MAX), 0);
    }
}
