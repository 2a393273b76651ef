//! The first bytes of each direction, for a dissector that reads nothing else.

use crate::model::Direction;

/// Keeps the opening of each direction until it was read, was given up, or is longer than anybody waits for.
#[derive(Debug)]
pub struct Openings {
    /// `None` once a direction is closed.
    kept: [Option<Vec<u8>>; 2],
    most: usize,
}

impl Openings {
    /// Openings of at most so many bytes.
    pub const fn new(most: usize) -> Self {
        Self {
            kept: [Some(Vec::new()), Some(Vec::new())],
            most,
        }
    }

    /// Shows `read` the opening of a direction as far as it goes, while the direction is open; `true` from it
    /// closes the direction.
    pub fn feed(&mut self, direction: Direction, bytes: &[u8], read: impl FnOnce(&[u8]) -> bool) {
        let slot = &mut self.kept[direction.index()];
        let Some(kept) = slot else { return };
        let room = self.most.saturating_sub(kept.len()).min(bytes.len());
        kept.extend_from_slice(&bytes[..room]);
        if read(kept) || kept.len() >= self.most {
            *slot = None;
        }
    }

    /// Whether a direction is open and nothing of it was kept.
    pub fn is_untouched(&self, direction: Direction) -> bool {
        let kept = self.kept[direction.index()].as_ref();
        kept.is_some_and(Vec::is_empty)
    }

    /// Whether both directions are closed.
    pub const fn is_done(&self) -> bool {
        matches!(self.kept, [None, None])
    }

    /// Bytes held on the heap.
    pub fn memory(&self) -> usize {
        self.kept.iter().flatten().map(Vec::capacity).sum()
    }

    /// Nothing more is wanted of this direction.
    pub fn close(&mut self, direction: Direction) {
        self.kept[direction.index()] = None;
    }
}

#[cfg(test)]
mod tests {
    use super::Openings;
    use crate::model::Direction::{ToClient, ToServer};

    #[test]
    fn an_opening_grows_until_it_was_read_or_is_full() {
        let mut openings = Openings::new(6);
        let mut seen = Vec::new();
        for piece in [&b"ab"[..], b"cd", b"efgh", b"ij"] {
            openings.feed(ToServer, piece, |bytes| {
                seen.push(bytes.to_vec());
                false
            });
        }
        assert_eq!(seen, [&b"ab"[..], b"abcd", b"abcdef"]);
        openings.feed(ToClient, b"x", |_| true);
        openings.feed(ToClient, b"y", |_| unreachable!("closed by its reader"));
        let mut openings = Openings::new(6);
        assert!(openings.is_untouched(ToServer));
        openings.feed(ToServer, b"x", |_| false);
        assert!(!openings.is_untouched(ToServer));
        openings.close(ToServer);
        openings.feed(ToServer, b"x", |_| unreachable!("closed"));
    }
}
