//! One account for all memory that traffic can make us hold.

/// How many bytes are held, and how many may be.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    limit: usize,
    used: usize,
}

impl Budget {
    /// An empty account with a limit in bytes.
    pub const fn new(limit: usize) -> Self {
        Self { limit, used: 0 }
    }

    /// Takes `bytes` if they fit.
    #[must_use]
    pub fn try_take(&mut self, bytes: usize) -> bool {
        match self.used.checked_add(bytes) {
            Some(sum) if sum <= self.limit => {
                self.used = sum;
                true
            }
            _ => false,
        }
    }

    /// Gives `bytes` back.
    pub fn give(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.used, "gave back more than was taken");
        self.used = self.used.saturating_sub(bytes);
    }

    /// Bytes held now.
    pub const fn used(&self) -> usize {
        self.used
    }
}

#[cfg(test)]
mod tests {
    use super::Budget;

    #[test]
    fn refuses_what_does_not_fit_and_takes_again_after_giving() {
        let mut budget = Budget::new(10);
        assert!(budget.try_take(7));
        assert!(!budget.try_take(4));
        assert!(!budget.try_take(usize::MAX));
        budget.give(5);
        assert!(budget.try_take(8));
        assert_eq!(budget.used(), 10);
    }
}
