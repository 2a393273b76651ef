//! The bytes of one datagram, in whatever order its fragments bring them.
//!
//! Bytes are appended as they come and a tree says where they belong, so no fragment costs more than its own
//! length, whatever offset it claims and whatever is there already. In order, they need no second copy: one
//! entry in the tree grows.

use crate::packet::ip::MAX_DATAGRAM;
use std::collections::BTreeMap;

/// What an entry of the tree costs at most: 20 bytes in nodes that may be half empty, their parents, and what
/// the allocator keeps for itself.
const PIECE_BYTES: usize = 72;
/// Steps through the tree that one datagram may cost. The longest datagram in the smallest pieces, each of them
/// sent twice, takes half of that; only overlaps made for the purpose take more.
const MAX_STEPS: u32 = 4 * 8192;

/// Where bytes of the datagram are, by their offset in it.
#[derive(Clone, Copy, Debug)]
struct Piece {
    length: u32,
    /// Where they begin among those that came; `None` for bytes that the snap length cut off.
    at: Option<u32>,
    /// Frames that brought them.
    frames: u32,
}

/// What a fragment brings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range<'a> {
    pub offset: u32,
    pub data: &'a [u8],
    /// Bytes that the snap length cut off behind `data`.
    pub cut: u32,
    /// More fragments follow.
    pub more: bool,
    /// Frames it came in.
    pub frames: u32,
}

impl Range<'_> {
    fn data_end(&self) -> u32 {
        self.offset.saturating_add(self.data.len() as u32)
    }

    fn end(&self) -> u32 {
        self.data_end().saturating_add(self.cut)
    }
}

/// The fragment cannot belong to the datagram that the others are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contradiction;

/// The bytes of a datagram from its first one on, up to the first one that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Beginning<'a> {
    pub data: &'a [u8],
    /// Bytes behind them that are known to be missing.
    pub missing: usize,
    /// The last fragment has come, so that `missing` is all that is missing.
    pub end_known: bool,
    /// Frames that brought them.
    pub frames: u32,
}

#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// Captured bytes as they came, each byte of the datagram once.
    bytes: Vec<u8>,
    /// By offset, without overlaps.
    places: BTreeMap<u32, Piece>,
    /// Bytes that the pieces cover.
    covered: u32,
    /// Where the furthest piece ends.
    extent: u32,
    /// The last fragment has come: the datagram ends at `extent`.
    end_known: bool,
    steps: u32,
}

impl Pieces {
    /// Memory held.
    pub fn cost(&self) -> usize {
        self.bytes.capacity() + self.places.len() * PIECE_BYTES
    }

    /// Memory that taking a fragment needs at most.
    pub fn need(&self, range: &Range<'_>) -> usize {
        // Each hole it fills, the ends of what it covers in part, and its own cut. Fragments begin and end at units of
        // 8 bytes, so holes are that long at least, and there is something between two of them.
        let units = (range.end() - range.offset) as usize / 8;
        let pieces = self.places.len().min(units / 2 + 1) + 4;
        self.growth(range.data.len()) + pieces * PIECE_BYTES
    }

    /// Bytes by which the buffer has to grow to take so many more. What grows once will again, so twice as much
    /// then: no byte is moved more often than a few times.
    fn growth(&self, more: usize) -> usize {
        if self.bytes.capacity() - self.bytes.len() >= more {
            return 0;
        }
        (self.bytes.len() + more.max(self.bytes.len()))
            .min(MAX_DATAGRAM)
            .saturating_sub(self.bytes.capacity())
    }

    /// Takes a fragment; `true` if it brought bytes that were there before, of which the first copy stays.
    pub fn add(&mut self, range: &Range<'_>) -> Result<bool, Contradiction> {
        let end = range.end();
        let fits = match (range.more, self.end_known) {
            (true, true) => end <= self.extent,
            (true, false) => true,
            (false, true) => end == self.extent,
            (false, false) => end >= self.extent,
        };
        if !fits {
            return Err(Contradiction);
        }
        if self.growth(range.data.len()) > 0 {
            let spare = self.growth(range.data.len()) + self.bytes.capacity() - self.bytes.len();
            self.bytes.reserve_exact(spare);
        }
        let mut frames = range.frames;
        let mut overlap = self.cover(
            range.offset,
            range.data_end(),
            Some(range.data),
            &mut frames,
        );
        overlap |= self.cover(range.data_end(), end, None, &mut frames);
        self.extent = self.extent.max(end);
        self.end_known |= !range.more;
        if self.steps > MAX_STEPS {
            return Err(Contradiction);
        }
        Ok(overlap)
    }

    /// Covers `start..end` where nothing is yet, with these bytes or as cut off.
    fn cover(&mut self, start: u32, end: u32, data: Option<&[u8]>, frames: &mut u32) -> bool {
        let mut overlap = false;
        let mut at = start;
        while at < end {
            self.steps = self.steps.saturating_add(1);
            let fresh = |to: u32| {
                let range = (at - start) as usize..(to - start) as usize;
                data.and_then(|data| data.get(range))
            };
            let Some((known_start, known)) = self.piece_at(at) else {
                let to = self
                    .places
                    .range(at..end)
                    .next()
                    .map_or(end, |(next, _)| *next);
                self.insert(at, to - at, fresh(to), std::mem::take(frames));
                at = to;
                continue;
            };
            overlap = true;
            let known_end = known_start + known.length;
            let to = known_end.min(end);
            if known.at.is_none() && data.is_some() {
                // The snap length spared this copy.
                self.places.remove(&known_start);
                self.covered -= known.length;
                self.insert(known_start, at - known_start, None, known.frames);
                self.insert(at, to - at, fresh(to), std::mem::take(frames));
                self.insert(to, known_end - to, None, 0);
            }
            at = to;
        }
        overlap
    }

    /// The piece that covers this byte.
    fn piece_at(&self, at: u32) -> Option<(u32, Piece)> {
        // In order, as nearly always.
        if at >= self.extent {
            return None;
        }
        let (start, piece) = self.places.range(..=at).next_back()?;
        (start + piece.length > at).then_some((*start, *piece))
    }

    /// Adds a piece where none is.
    fn insert(&mut self, start: u32, length: u32, data: Option<&[u8]>, frames: u32) {
        if length == 0 {
            return;
        }
        self.covered += length;
        let at = data.map(|data| {
            let at = self.bytes.len() as u32;
            self.bytes.extend_from_slice(data);
            at
        });
        if let Some((before_start, before)) = self.places.range_mut(..start).next_back()
            && before_start + before.length == start
            && before.at.map(|at| at + before.length) == at
        {
            before.length += length;
            before.frames = before.frames.saturating_add(frames);
            return;
        }
        self.places.insert(start, Piece { length, at, frames });
    }

    /// The first byte came by.
    pub fn has_first(&self) -> bool {
        self.places.contains_key(&0)
    }

    /// Every byte came by, captured or not.
    pub fn is_whole(&self) -> bool {
        self.end_known && self.covered == self.extent
    }

    /// The fragment says nothing that is not known already: each byte of it that is here is the same.
    pub fn repeats(&self, range: &Range<'_>) -> bool {
        let end = range.end();
        let fits = if range.more {
            end < self.extent
        } else {
            end == self.extent
        };
        fits && self
            .places
            .range(..range.data_end())
            .rev()
            .take_while(|(start, piece)| **start + piece.length > range.offset)
            .all(|(start, piece)| self.same(*start, piece, range))
    }

    /// Whether a piece and a fragment have the same bytes where they meet.
    fn same(&self, start: u32, piece: &Piece, range: &Range<'_>) -> bool {
        let Some(at) = piece.at else { return true };
        let from = start.max(range.offset);
        let to = (start + piece.length).min(range.data_end());
        let ours = (at + from - start) as usize..(at + to - start) as usize;
        let theirs = (from - range.offset) as usize..(to - range.offset) as usize;
        self.bytes.get(ours) == range.data.get(theirs)
    }

    /// The bytes from the first one on, put in order.
    pub fn beginning(&mut self) -> Beginning<'_> {
        if self
            .places
            .values()
            .filter(|piece| piece.at.is_some())
            .count()
            > 1
        {
            self.gather();
        }
        let first = self
            .places
            .get(&0)
            .filter(|piece| piece.at.is_some())
            .map_or((0, 0), |piece| (piece.length, piece.frames));
        let (length, frames) = first;
        Beginning {
            data: self.bytes.get(..length as usize).unwrap_or_default(),
            missing: (self.extent - length) as usize,
            end_known: self.end_known,
            frames,
        }
    }

    /// Puts the bytes in order of their offset, which makes neighbours one piece.
    fn gather(&mut self) {
        let room = Vec::with_capacity(self.bytes.capacity());
        let bytes = std::mem::replace(&mut self.bytes, room);
        let places = std::mem::take(&mut self.places);
        self.covered = 0;
        for (start, piece) in places {
            let data = piece.at.and_then(|at| {
                let range = at as usize..(at + piece.length) as usize;
                bytes.get(range)
            });
            self.insert(start, piece.length, data, piece.frames);
        }
    }
}
