//! No more than so much a minute.

use std::time::{Duration, Instant};

/// So much a minute, and no more than that at once. What may be done is saved up as time.
pub struct Rate {
    costs: Duration,
    saved: Duration,
    at: Instant,
}

impl Rate {
    const MOST: Duration = Duration::from_secs(60);

    /// As much as is allowed from the beginning.
    pub fn new(a_minute: u32, now: Instant) -> Self {
        Self {
            costs: Self::MOST / a_minute.max(1),
            saved: Self::MOST,
            at: now,
        }
    }

    /// Whether one more is allowed.
    pub fn take(&mut self, now: Instant) -> bool {
        let saved = self.saved + now.duration_since(self.at);
        self.saved = saved.min(Self::MOST);
        self.at = now;
        let rest = self.saved.checked_sub(self.costs);
        self.saved = rest.unwrap_or(self.saved);
        rest.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_that_is_done_in_a_minute() {
        let begun = Instant::now();
        let mut rate = Rate::new(6, begun);
        let at_once = (0..20).filter(|_| rate.take(begun)).count();
        assert_eq!(at_once, 6);
        let mut taken = 0;
        for second in 1..=60 {
            taken += usize::from(rate.take(begun + Duration::from_secs(second)));
        }
        assert_eq!(taken, 6);
        // Nothing is saved up.
        let later = begun + Duration::from_secs(3600);
        assert_eq!((0..20).filter(|_| rate.take(later)).count(), 6);
    }
}
