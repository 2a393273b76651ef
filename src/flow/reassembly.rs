//! Puts one direction of a TCP connection back in order.
//!
//! Bytes that arrive in order are passed on without a copy. Out-of-order data waits in a bounded queue;
//! when the hole in front of it will not be filled any more it becomes a [`Chunk::Gap`] and the stream goes on
//! behind it. Where segments overlap the first copy wins, as most receivers do, and the overlap is counted.

use super::Budget;
use crate::model::Timestamp;
use std::collections::VecDeque;

/// Out-of-order bytes that one direction may keep waiting.
const MAX_QUEUED_BYTES: usize = 256 * 1024;
/// Out-of-order segments that one direction may keep waiting.
const MAX_QUEUED_SEGMENTS: usize = 512;
/// A hole this old (in capture time) will not be filled: the sender has long retransmitted, so the capture
/// lost the segment, not the network.
const MAX_HOLE_AGE_NANOS: u64 = 3_000_000_000;
/// A stream joined in the middle starts with the earlier of its first two segments, if they lie this close.
const MAX_SWAP: i64 = 1 << 20;
/// What a queue costs besides its segments, allocator's share included.
const QUEUE_BYTES: usize = size_of::<Queue>() + 16;
/// What a waiting segment costs besides its bytes: its place in a ring that grows by doubling, and the allocator's share.
const WAITING_BYTES: usize = 2 * size_of::<Waiting>() + 16;

/// A piece of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunk<'a> {
    /// The next bytes.
    Data(&'a [u8]),
    /// So many bytes are missing.
    Gap(u64),
}

#[derive(Debug)]
struct Waiting {
    seq: u32,
    data: Box<[u8]>,
    /// Bytes that the snap length cut off behind `data`.
    cut: u32,
}

impl Waiting {
    fn end(&self) -> u32 {
        self.seq
            .wrapping_add(self.data.len() as u32)
            .wrapping_add(self.cut)
    }

    fn cost(&self) -> usize {
        self.data.len() + WAITING_BYTES
    }
}

/// How far `seq` lies ahead of `base`, by the shorter way round the 32-bit sequence space.
fn ahead(seq: u32, base: u32) -> i64 {
    i64::from(seq.wrapping_sub(base).cast_signed())
}

/// Segments that wait for a hole to fill.
#[derive(Debug, Default)]
struct Queue {
    /// Sorted, without overlaps.
    segments: VecDeque<Waiting>,
    bytes: usize,
    /// When the hole in front was first noticed.
    hole_since: Timestamp,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Progress {
    /// No segment yet.
    #[default]
    Nothing,
    /// Joined in the middle: the first segment waits in the queue for an earlier one that it overtook.
    Joining,
    /// It is known which byte comes next.
    Running,
}

/// One direction of a TCP connection.
#[derive(Debug, Default)]
pub struct Reassembler {
    /// Allocated when something has to wait, given back when nothing does: most directions never need it.
    queue: Option<Box<Queue>>,
    /// The sequence number expected next, when running.
    next: u32,
    overlaps: u32,
    /// So many bytes more may pass by; see [`Self::pass`].
    idle: u32,
    progress: Progress,
}

impl Reassembler {
    /// The stream starts with the byte after this sequence number (a SYN's).
    pub fn start_after(&mut self, syn: u32) {
        if self.progress == Progress::Nothing {
            self.next = syn.wrapping_add(1);
            self.progress = Progress::Running;
        }
    }

    /// How often a segment brought bytes that were there already: retransmissions and overlaps.
    pub const fn overlaps(&self) -> u32 {
        self.overlaps
    }

    /// The next so many bytes need not be passed on, if they come in order.
    pub const fn may_pass(&mut self, bytes: u32) {
        self.idle = bytes;
    }

    /// How many bytes may still pass by.
    pub const fn idle(&self) -> u32 {
        self.idle
    }

    /// Lets a whole segment pass by that nobody needs; whether it was one.
    pub fn pass(&mut self, seq: u32, length: u32) -> bool {
        let passes = self.progress == Progress::Running
            && self.queue.is_none()
            && seq == self.next
            && length <= self.idle;
        if passes {
            self.next = self.next.wrapping_add(length);
            self.idle -= length;
        }
        passes
    }

    /// Whether the first segment of a stream joined in the middle still waits for an earlier one.
    pub fn is_joining(&self) -> bool {
        self.progress == Progress::Joining
    }

    /// Sequence number of the byte that is to be passed on next.
    pub fn position(&self) -> Option<u32> {
        match self.progress {
            Progress::Nothing => None,
            Progress::Joining => self
                .queue
                .as_ref()
                .and_then(|queue| queue.segments.front())
                .map(|first| first.seq),
            Progress::Running => Some(self.next),
        }
    }

    /// Takes a segment. `cut` is the number of payload bytes that the snap length cut off behind `data`.
    pub fn push(
        &mut self,
        seq: u32,
        data: &[u8],
        cut: usize,
        now: Timestamp,
        budget: &mut Budget,
        deliver: &mut dyn FnMut(Chunk<'_>),
    ) {
        if data.is_empty() && cut == 0 {
            return;
        }
        let cut = cut as u32;
        match self.progress {
            Progress::Running => {}
            // What was captured first need not have been sent first.
            Progress::Nothing => {
                if self.enqueue(seq, data, cut, now, budget) {
                    self.progress = Progress::Joining;
                    return;
                }
                self.next = seq;
                self.progress = Progress::Running;
            }
            Progress::Joining => {
                let first = self.position().unwrap_or(seq);
                let swapped = (-MAX_SWAP..0).contains(&ahead(seq, first));
                self.next = if swapped { seq } else { first };
                self.progress = Progress::Running;
            }
        }
        let next = self.next;
        let offset = ahead(seq, next);
        let end = seq.wrapping_add(data.len() as u32).wrapping_add(cut);
        let Some(queue) = &self.queue else {
            if offset <= 0 {
                self.deliver_segment(offset.unsigned_abs() as usize, data, cut, deliver);
            } else {
                self.wait(seq, data, cut, now, budget, deliver);
            }
            return;
        };
        let meets_queue = queue
            .segments
            .front()
            .is_some_and(|first| ahead(end, first.seq) > 0);
        if offset <= 0 && !meets_queue {
            self.deliver_segment(offset.unsigned_abs() as usize, data, cut, deliver);
            self.drain(budget, deliver);
        } else {
            self.wait(seq, data, cut, now, budget, deliver);
        }
        let old = |queue: &Queue| now.nanos_since(queue.hole_since) > MAX_HOLE_AGE_NANOS;
        if self.queue.as_deref().is_some_and(old) {
            self.skip_hole(now, budget, deliver);
        }
    }

    /// The other side has acknowledged everything before `ack`: nothing earlier than the first segment seen will come.
    pub fn acknowledged(
        &mut self,
        ack: u32,
        budget: &mut Budget,
        deliver: &mut dyn FnMut(Chunk<'_>),
    ) {
        if let (Progress::Joining, Some(first)) = (self.progress, self.position())
            && ahead(ack, first) > 0
        {
            self.join(first, budget, deliver);
        }
    }

    /// Passes everything on that still waits, with its gaps: nothing more will come.
    pub fn flush(&mut self, budget: &mut Budget, deliver: &mut dyn FnMut(Chunk<'_>)) {
        if let (Progress::Joining, Some(first)) = (self.progress, self.position()) {
            self.join(first, budget, deliver);
        }
        while let Some(queue) = &self.queue {
            let now = queue.hole_since;
            self.skip_hole(now, budget, deliver);
        }
    }

    /// Drops what waits without passing it on.
    pub fn clear(&mut self, budget: &mut Budget) {
        if let Some(queue) = self.queue.take() {
            budget.give(queue.bytes);
        }
    }

    fn join(&mut self, first: u32, budget: &mut Budget, deliver: &mut dyn FnMut(Chunk<'_>)) {
        self.next = first;
        self.progress = Progress::Running;
        self.drain(budget, deliver);
    }

    /// Puts a segment into the queue, and passes on what can be by now.
    fn wait(
        &mut self,
        seq: u32,
        data: &[u8],
        cut: u32,
        now: Timestamp,
        budget: &mut Budget,
        deliver: &mut dyn FnMut(Chunk<'_>),
    ) {
        if self.enqueue(seq, data, cut, now, budget) {
            self.drain(budget, deliver);
            return;
        }
        // No room to wait: holes are given up, which empties the queue, and the rest of the segment
        // is taken from there on.
        self.flush(budget, deliver);
        let hole = ahead(seq, self.next);
        if hole > 0 {
            deliver(Chunk::Gap(hole.unsigned_abs()));
            self.next = seq;
        }
        self.deliver_segment(hole.min(0).unsigned_abs() as usize, data, cut, deliver);
    }

    /// Delivers a segment whose first `passed` bytes were delivered before.
    fn deliver_segment(
        &mut self,
        passed: usize,
        data: &[u8],
        cut: u32,
        deliver: &mut dyn FnMut(Chunk<'_>),
    ) {
        if passed > 0 {
            self.overlaps = self.overlaps.saturating_add(1);
        }
        let fresh = data.get(passed..).unwrap_or_default();
        if !fresh.is_empty() {
            deliver(Chunk::Data(fresh));
        }
        let cut = u64::from(cut).saturating_sub(passed.saturating_sub(data.len()) as u64);
        if cut > 0 {
            deliver(Chunk::Gap(cut));
        }
        let step = (fresh.len() as u64 + cut) as u32;
        self.next = self.next.wrapping_add(step);
    }

    /// Delivers what the queue holds in order, up to the next hole.
    fn drain(&mut self, budget: &mut Budget, deliver: &mut dyn FnMut(Chunk<'_>)) {
        while let Some(queue) = &mut self.queue {
            let next = self.next;
            if let Some(first) = queue.segments.front()
                && ahead(first.seq, next) > 0
            {
                return;
            }
            let Some(waiting) = queue.segments.pop_front() else {
                self.clear(budget);
                return;
            };
            queue.bytes -= waiting.cost();
            budget.give(waiting.cost());
            let passed = ahead(next, waiting.seq).unsigned_abs() as usize;
            self.deliver_segment(passed, &waiting.data, waiting.cut, deliver);
        }
    }

    /// Gives the first hole up.
    fn skip_hole(
        &mut self,
        now: Timestamp,
        budget: &mut Budget,
        deliver: &mut dyn FnMut(Chunk<'_>),
    ) {
        let first = self
            .queue
            .as_ref()
            .and_then(|queue| Some(queue.segments.front()?.seq));
        if let Some(first) = first {
            let hole = ahead(first, self.next);
            if hole > 0 {
                self.next = first;
                deliver(Chunk::Gap(hole.unsigned_abs()));
            }
        }
        self.drain(budget, deliver);
        if let Some(queue) = &mut self.queue {
            queue.hole_since = now;
        }
    }

    /// Puts the part of a segment that nobody sent before into the queue; `false` when there is no room.
    fn enqueue(
        &mut self,
        seq: u32,
        data: &[u8],
        cut: u32,
        now: Timestamp,
        budget: &mut Budget,
    ) -> bool {
        let end = seq.wrapping_add(data.len() as u32).wrapping_add(cut);
        // What was delivered before is out of question.
        let passed = match self.progress {
            Progress::Running => ahead(self.next, seq).max(0).unsigned_abs() as u32,
            Progress::Nothing | Progress::Joining => 0,
        };
        let mut seq = seq.wrapping_add(passed);
        let mut data = data.get(passed as usize..).unwrap_or_default();
        if passed > 0 {
            self.overlaps = self.overlaps.saturating_add(1);
        }
        if ahead(end, seq) <= 0 {
            return true;
        }
        if self.queue.is_none() {
            if !budget.try_take(QUEUE_BYTES) {
                return false;
            }
            self.queue = Some(Box::new(Queue {
                bytes: QUEUE_BYTES,
                hole_since: now,
                ..Queue::default()
            }));
        }
        let Some(queue) = self.queue.as_deref_mut() else {
            return false;
        };
        // Keep what is there, add the pieces that fall into its holes.
        let mut at = queue
            .segments
            .partition_point(|waiting| ahead(waiting.end(), seq) <= 0);
        while let Some(waiting) = queue.segments.get(at) {
            let free = ahead(waiting.seq, seq);
            if ahead(waiting.seq, end) >= 0 {
                break;
            }
            self.overlaps = self.overlaps.saturating_add(1);
            let waiting_end = waiting.end();
            if free > 0 {
                let (piece, _) = data.split_at(data.len().min(free.unsigned_abs() as usize));
                let piece_cut = (free.unsigned_abs() as u32).saturating_sub(piece.len() as u32);
                if !queue.insert(at, seq, piece, piece_cut, budget) {
                    return false;
                }
                at += 1;
            }
            let passed = ahead(waiting_end, seq).unsigned_abs() as usize;
            data = data.get(passed..).unwrap_or_default();
            seq = waiting_end;
            if ahead(end, seq) <= 0 {
                return true;
            }
            at += 1;
        }
        let rest_cut = ahead(end, seq).unsigned_abs() as u32 - data.len() as u32;
        queue.insert(at, seq, data, rest_cut, budget)
    }
}

impl Queue {
    fn insert(&mut self, at: usize, seq: u32, data: &[u8], cut: u32, budget: &mut Budget) -> bool {
        let waiting_cost = data.len() + WAITING_BYTES;
        let fits = self.segments.len() < MAX_QUEUED_SEGMENTS
            && self.bytes + waiting_cost <= MAX_QUEUED_BYTES + QUEUE_BYTES
            && budget.try_take(waiting_cost);
        if fits {
            self.bytes += waiting_cost;
            let data = data.into();
            self.segments.insert(at, Waiting { seq, data, cut });
        }
        fits
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Budget, Chunk, MAX_QUEUED_BYTES, QUEUE_BYTES, Reassembler, WAITING_BYTES};
    use crate::model::Timestamp;
    use proptest::prelude::*;

    /// What a reader of the stream would see: bytes, and `?` times n for a gap.
    #[derive(Default)]
    struct Reader(Vec<Option<u8>>);

    impl Reader {
        fn take(&mut self, chunk: Chunk<'_>) {
            match chunk {
                Chunk::Data(data) => self.0.extend(data.iter().copied().map(Some)),
                Chunk::Gap(n) => self.0.extend((0..n).map(|_| None)),
            }
        }

        fn text(&self) -> String {
            self.0.iter().map(|b| b.map_or('?', char::from)).collect()
        }
    }

    struct Rig {
        reassembler: Reassembler,
        budget: Budget,
        reader: Reader,
    }

    impl Rig {
        fn after_syn(isn: u32) -> Self {
            let mut rig = Self::joined();
            rig.reassembler.start_after(isn);
            rig
        }

        fn joined() -> Self {
            Self {
                reassembler: Reassembler::default(),
                budget: Budget::new(1 << 20),
                reader: Reader::default(),
            }
        }

        fn push(&mut self, seq: u32, data: &str) -> &mut Self {
            self.push_at(seq, data.as_bytes(), 0, 0)
        }

        fn push_at(&mut self, seq: u32, data: &[u8], cut: usize, millis: i64) -> &mut Self {
            let now = Timestamp::from_nanos(millis * 1_000_000);
            let reader = &mut self.reader;
            self.reassembler
                .push(seq, data, cut, now, &mut self.budget, &mut |c| {
                    reader.take(c);
                });
            self
        }

        fn end(&mut self) -> String {
            let reader = &mut self.reader;
            self.reassembler
                .flush(&mut self.budget, &mut |c| reader.take(c));
            assert_eq!(self.budget.used(), 0, "everything taken was given back");
            self.reader.text()
        }
    }

    #[test]
    fn in_order_bytes_pass_at_once() {
        let mut rig = Rig::after_syn(99);
        rig.push(100, "abc").push(103, "def");
        assert_eq!(rig.reader.text(), "abcdef");
    }

    #[test]
    fn out_of_order_segments_wait_for_the_hole_to_fill() {
        let mut rig = Rig::after_syn(99);
        rig.push(106, "ghi").push(103, "def");
        assert_eq!(rig.reader.text(), "");
        rig.push(100, "abc");
        assert_eq!(rig.reader.text(), "abcdefghi");
    }

    #[test]
    fn duplicates_and_overlaps_keep_the_first_copy() {
        let mut rig = Rig::after_syn(99);
        rig.push(100, "abc")
            .push(100, "XYZ")
            .push(101, "XYd")
            .push(106, "gh")
            .push(104, "efXX")
            .push(105, "YYYi");
        assert_eq!(rig.end(), "abcdefghi");
        assert!(rig.reassembler.overlaps() >= 4);
    }

    #[test]
    fn sequence_numbers_wrap() {
        let mut rig = Rig::after_syn(u32::MAX - 2);
        rig.push(1, "cde").push(u32::MAX - 1, "ab?").push(4, "fg");
        assert_eq!(rig.end(), "ab?cdefg");
    }

    #[test]
    fn a_stream_may_be_joined_in_the_middle() {
        let mut rig = Rig::joined();
        rig.push(5000, "abc").push(5003, "d");
        assert_eq!(rig.reader.text(), "abcd");
    }

    #[test]
    fn the_first_segment_of_a_joined_stream_may_have_overtaken_another() {
        let mut rig = Rig::joined();
        rig.push(5003, "def").push(5000, "abc").push(5006, "g");
        assert_eq!(rig.end(), "abcdefg");
        let mut rig = Rig::joined();
        rig.push(5003, "def");
        assert_eq!(rig.reader.text(), "", "an earlier one may come");
        let Rig {
            reassembler,
            budget,
            reader,
        } = &mut rig;
        reassembler.acknowledged(5003, budget, &mut |chunk| reader.take(chunk));
        assert_eq!(reader.text(), "", "this acknowledges what was before");
        reassembler.acknowledged(5006, budget, &mut |chunk| reader.take(chunk));
        assert_eq!(rig.end(), "def", "the other side has all that was before");
    }

    #[test]
    fn a_hole_that_is_never_filled_becomes_a_gap() {
        let mut rig = Rig::after_syn(99);
        rig.push(100, "ab").push(105, "fg").push(110, "k");
        assert_eq!(rig.end(), "ab???fg???k");
    }

    #[test]
    fn an_old_hole_is_given_up_while_the_flow_goes_on() {
        let mut rig = Rig::after_syn(99);
        rig.push_at(100, b"ab", 0, 0)
            .push_at(103, b"d", 0, 10)
            .push_at(104, b"e", 0, 4000);
        assert_eq!(rig.reader.text(), "ab?de");
    }

    #[test]
    fn bytes_cut_by_the_snap_length_are_a_gap() {
        let mut rig = Rig::after_syn(99);
        rig.push_at(100, b"ab", 3, 0)
            .push_at(105, b"fg", 0, 0)
            .push_at(109, b"j", 1, 0)
            .push_at(107, b"hi", 0, 0);
        assert_eq!(rig.end(), "ab???fghij?");
    }

    #[test]
    fn a_full_queue_gives_the_hole_up_and_loses_nothing_else() {
        let mut rig = Rig::after_syn(99);
        let block = vec![b'x'; 1000];
        let blocks = MAX_QUEUED_BYTES / block.len() + 10;
        for i in 0..blocks {
            rig.push_at(101 + (i * block.len()) as u32, &block, 0, 0);
        }
        let text = rig.end();
        assert_eq!(text.len(), 1 + blocks * block.len());
        assert!(text.starts_with("?x") && !text[1..].contains('?'));
    }

    #[test]
    fn a_budget_that_is_used_up_acts_like_a_full_queue() {
        let mut rig = Rig::after_syn(99);
        rig.budget = Budget::new(QUEUE_BYTES + WAITING_BYTES + 4);
        rig.push(102, "cd").push(105, "fgh").push(108, "i");
        assert_eq!(rig.end(), "??cd?fghi");
    }

    proptest! {
        /// Whatever the cuts, the order, the repeats and the overlaps: the same bytes come out.
        #[test]
        fn any_segmentation_gives_the_same_stream(
            stream in proptest::collection::vec(any::<u8>(), 1..400),
            pieces in proptest::collection::vec((any::<prop::sample::Index>(), 1usize..60), 0..40),
            isn in any::<u32>(),
            seed in any::<u64>(),
        ) {
            // Random pieces, plus a set that covers everything, shuffled.
            let mut segments: Vec<(usize, usize)> = pieces.iter()
                .map(|(at, len)| { let at = at.index(stream.len()); (at, (at + len).min(stream.len())) })
                .collect();
            segments.extend((0..stream.len()).step_by(7).map(|at| (at, (at + 7).min(stream.len()))));
            let mut state = seed | 1;
            for i in (1..segments.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                segments.swap(i, (state >> 33) as usize % (i + 1));
            }
            let mut rig = Rig::after_syn(isn);
            for (from, to) in segments {
                rig.push_at(isn.wrapping_add(1).wrapping_add(from as u32), &stream[from..to], 0, 0);
            }
            rig.end();
            let got: Vec<u8> = rig.reader.0.iter().map(|b| b.unwrap()).collect();
            prop_assert_eq!(got, stream);
        }
    }
}
