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
        let fits = bytes <= self.room();
        if fits {
            self.used += bytes;
        }
        fits
    }

    /// Takes `bytes` that are held already, whether they fit or not: who asks makes room next.
    pub fn take(&mut self, bytes: usize) {
        self.used = self.used.saturating_add(bytes);
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

    /// Bytes that may still be taken.
    pub const fn room(&self) -> usize {
        self.limit.saturating_sub(self.used)
    }

    /// More is held than may be.
    pub const fn is_over(&self) -> bool {
        self.used > self.limit
    }
}
