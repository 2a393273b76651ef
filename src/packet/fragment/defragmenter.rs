//! Fragments in, packets out.

use super::Fragment;
use super::pieces::{Pieces, Range};
use super::table::{Entry, Key, List, SLOT_BYTES, Slot, Table};
use super::unfinished::Unfinished;
use crate::model::{MAX_LAYERS, Packet, Timestamp};
use crate::packet::{Decoded, Reason};
use std::net::IpAddr;

/// What one datagram costs besides its bytes and pieces: its entry, the first node of its tree, and what the
/// allocator keeps for each of three allocations.
const DATAGRAM_BYTES: usize = size_of::<Entry<Unfinished>>() + 256 + 3 * 16;
/// One datagram at most in so many bytes of memory: what the table itself may hold is set aside at the start.
const MEMORY_PER_DATAGRAM: usize = 1024;
/// Whole datagrams kept to know late duplicates. Those come within a few frames: one frame captured in two places.
const MAX_DONE: usize = 64;

/// Time that an entry may spend in a list.
const fn timeout_nanos(list: List) -> u64 {
    const SECOND: u64 = 1_000_000_000;
    match list {
        // Fragments travel together. What is not whole by now will hardly ever be, and TCP reassembly, which gives a
        // hole three seconds, needs the beginning before.
        List::Fresh | List::Done => SECOND,
        // RFC 1122 section 3.3.2 has 60 to 120 seconds in mind, RFC 8200 section 4.5 has 60; Linux waits 30.
        List::Waiting => 29 * SECOND,
    }
}

/// What fragments came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FragmentStats {
    /// Fragments that brought bytes which were there already.
    pub overlaps: u64,
    ignored: [u64; Reason::ALL.len()],
}

impl FragmentStats {
    /// Frames that came to nothing, by reason. [`Reason::IpFragment`]: no datagram became whole (the others never
    /// came, came too late, contradicted each other, or had to give way to memory), nor was the frame part of a
    /// beginning that could be read. Other reasons: the datagram became whole, and was nothing for us.
    pub fn ignored(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        let counted = |reason: Reason| (reason, self.ignored[reason.index()]);
        Reason::ALL
            .into_iter()
            .map(counted)
            .filter(|(_, count)| *count > 0)
    }
}

/// Puts fragments together again.
///
/// A datagram that is complete is decoded from there on, which may end in another fragment (fragments in a tunnel
/// whose packets were fragmented); that one comes back here. A packet has the number and time of the frame that
/// completed it, and the length of all frames that were needed for it, so that each frame is counted once.
///
/// * Of bytes that come twice the first copy stays, and the second fragment counts as an overlap. That includes
///   fragments of a datagram that was complete up to a second ago, if they say the same; what says something else is
///   a new datagram with an old identification.
/// * The snap length cuts fragments as it cuts packets: such a datagram is complete when each of its bytes came by,
///   captured or not. The packet ends at the first byte that is not there, and the rest is its `cut`.
/// * A datagram is dropped when it contradicts itself: it ends in two places, or goes on behind its end.
/// * A datagram that is not complete after 30 seconds of capture time is given up, as is the oldest one when memory
///   is short, and what is left when the capture ends. What is there of its beginning is read all the same: if that
///   has a transport header there is a packet, with what is known to be missing as its `cut`. Each datagram causes
///   one such packet at most, so a flood of first fragments costs what the same number of packets would.
/// * The beginning of a TCP segment does not wait as long. It is passed on after a second, without `cut`, since the
///   sender's next try may still fill the hole; and once more when the rest comes after all.
#[derive(Debug)]
pub struct Defragmenter {
    pub(super) table: Table<Unfinished>,
    max_datagrams: usize,
    limit: usize,
    used: usize,
    now: Timestamp,
    /// When the next entry has spent its time, or before.
    due: Timestamp,
    stats: FragmentStats,
}

impl Defragmenter {
    /// A defragmenter that holds at most `memory` bytes, its own lists and tables included.
    pub fn new(memory: usize) -> Self {
        let max_datagrams = (memory / MEMORY_PER_DATAGRAM).min(1 << 30);
        Self {
            table: Table::default(),
            max_datagrams,
            limit: memory - max_datagrams * SLOT_BYTES,
            used: 0,
            now: Timestamp::from_nanos(i64::MIN),
            due: Timestamp::from_nanos(i64::MAX),
            stats: FragmentStats::default(),
        }
    }

    /// Memory that the datagrams hold which are here now, in bytes.
    pub fn used(&self) -> usize {
        self.used
    }

    /// What was counted so far.
    pub fn stats(&self) -> FragmentStats {
        self.stats
    }

    /// Time goes on. To be called for each frame, before it is looked at: almost always one comparison.
    #[inline]
    pub fn tick(&mut self, now: Timestamp, deliver: &mut dyn FnMut(&Packet<'_>)) {
        if now > self.now {
            self.now = now;
            if now >= self.due {
                self.sweep(deliver);
            }
        }
    }

    /// Takes a fragment.
    pub fn push(&mut self, fragment: &Fragment<'_>, deliver: &mut dyn FnMut(&Packet<'_>)) {
        self.tick(fragment.meta.timestamp, deliver);
        self.push_inner(fragment, 0, deliver);
    }

    /// No more fragments will come.
    pub fn finish(&mut self, deliver: &mut dyn FnMut(&Packet<'_>)) {
        while let Some(slot) = self.table.cheapest(None) {
            self.give_up(slot, 0, deliver);
        }
    }

    /// `depth`: how many datagrams are being read that the fragment is inside of, or had to make room.
    fn push_inner(
        &mut self,
        fragment: &Fragment<'_>,
        depth: usize,
        deliver: &mut dyn FnMut(&Packet<'_>),
    ) {
        let key = Key {
            src: fragment.src,
            dst: fragment.dst,
            protocol: match fragment.src {
                IpAddr::V4(_) => fragment.protocol,
                IpAddr::V6(_) => 0,
            },
            identification: fragment.identification,
            path: fragment.path,
        };
        if depth > MAX_LAYERS || !fragment.is_sound() {
            self.ignore(Reason::IpFragment, fragment.frames);
            return;
        }
        let range = Range {
            offset: fragment.offset as u32,
            data: fragment.payload,
            cut: fragment.cut as u32,
            more: fragment.more,
            frames: fragment.frames,
        };
        if self.was_done(&key, &range) {
            self.stats.overlaps += 1;
            return;
        }
        let Some(slot) = self.room(key, fragment, &range, depth, deliver) else {
            self.ignore(Reason::IpFragment, fragment.frames);
            return;
        };
        let Some(entry) = self.table.get_mut(slot) else {
            return;
        };
        let datagram = &mut entry.value;
        let added = datagram.add(fragment, &range);
        let cost = DATAGRAM_BYTES + datagram.pieces.cost();
        self.used = self.used - datagram.charged + cost;
        datagram.charged = cost;
        match added {
            Ok(overlap) => {
                self.stats.overlaps += u64::from(overlap);
                if datagram.pieces.is_whole() {
                    self.complete(slot, depth, deliver);
                }
            }
            Err(_) => self.drop_whole(slot),
        }
    }

    /// The fragment is one of a datagram that was complete a moment ago. If its bytes are others, that datagram is
    /// forgotten: the identification is in use again.
    fn was_done(&mut self, key: &Key, range: &Range<'_>) -> bool {
        let Some(slot) = self.table.find(key) else {
            return false;
        };
        let Some(entry) = self.table.get_mut(slot) else {
            return false;
        };
        if entry.list != List::Done {
            return false;
        }
        let repeats = entry.value.pieces.repeats(range);
        if !repeats {
            self.forget(slot);
        }
        repeats
    }

    /// The fragment's datagram, with enough memory to take the fragment.
    fn room(
        &mut self,
        key: Key,
        fragment: &Fragment<'_>,
        range: &Range<'_>,
        depth: usize,
        deliver: &mut dyn FnMut(&Packet<'_>),
    ) -> Option<Slot> {
        loop {
            // Anew in each round: what had to give way may have had fragments inside.
            let slot = self.table.find(&key);
            let known = slot.and_then(|slot| self.table.get_mut(slot));
            let need = known.map_or_else(
                || DATAGRAM_BYTES + Pieces::default().need(range),
                |entry| entry.value.pieces.need(range),
            );
            let full = slot.is_none() && self.table.len() >= self.max_datagrams;
            if !full && self.used + need <= self.limit {
                return Some(slot.unwrap_or_else(|| self.open(key, fragment)));
            }
            let Some(victim) = self.table.cheapest(slot) else {
                // Too large for all of the memory.
                self.drop_whole(slot?);
                return None;
            };
            self.give_up(victim, depth, deliver);
        }
    }

    fn open(&mut self, key: Key, fragment: &Fragment<'_>) -> Slot {
        let datagram = Unfinished::new(fragment, DATAGRAM_BYTES);
        self.used += DATAGRAM_BYTES;
        self.wake_after(List::Fresh);
        self.table
            .insert(Entry::new(key, self.now, datagram), List::Fresh)
    }

    /// Each byte of the datagram came by.
    fn complete(&mut self, slot: Slot, depth: usize, deliver: &mut dyn FnMut(&Packet<'_>)) {
        let Some(mut entry) = self.table.remove(slot) else {
            return;
        };
        let frames = entry.value.frames;
        let decoded = entry.value.read(&entry.key);
        self.pass_on(&decoded, frames, depth, deliver);
        if self.table.len() < self.max_datagrams && self.table.find(&entry.key).is_none() {
            entry.since = self.now;
            self.wake_after(List::Done);
            self.table.insert(entry, List::Done);
            if self.table.count(List::Done) > MAX_DONE
                && let Some((oldest, _)) = self.table.oldest(List::Done)
            {
                self.forget(oldest);
            }
        } else {
            self.used -= entry.value.charged;
        }
    }

    fn pass_on(
        &mut self,
        decoded: &Decoded<'_>,
        frames: u32,
        depth: usize,
        deliver: &mut dyn FnMut(&Packet<'_>),
    ) {
        match decoded {
            Decoded::Packet(packet) => deliver(packet),
            Decoded::Fragment(inner) => {
                self.push_inner(&Fragment { frames, ..*inner }, depth + 1, deliver);
            }
            Decoded::Ignored(reason) => self.ignore(*reason, frames),
        }
    }

    /// The datagram will not be complete any more, or is not needed any more.
    fn give_up(&mut self, slot: Slot, depth: usize, deliver: &mut dyn FnMut(&Packet<'_>)) {
        let Some(mut entry) = self.table.remove(slot) else {
            return;
        };
        if entry.list != List::Done {
            let datagram = &mut entry.value;
            let frames = datagram.frames;
            let mut useful = datagram.pieces.beginning().frames;
            if !datagram.told {
                match datagram.read_beginning(&entry.key) {
                    Decoded::Ignored(_) => useful = 0,
                    decoded => self.pass_on(&decoded, useful, depth, deliver),
                }
            }
            self.ignore(Reason::IpFragment, frames.saturating_sub(useful));
        }
        self.used -= entry.value.charged;
    }

    /// The datagram cannot be one, or cannot be held: nothing of it is used.
    fn drop_whole(&mut self, slot: Slot) {
        if let Some(entry) = self.table.remove(slot) {
            self.used -= entry.value.charged;
            self.ignore(Reason::IpFragment, entry.value.frames);
        }
    }

    fn forget(&mut self, slot: Slot) {
        if let Some(entry) = self.table.remove(slot) {
            self.used -= entry.value.charged;
        }
    }

    fn ignore(&mut self, reason: Reason, frames: u32) {
        self.stats.ignored[reason.index()] += u64::from(frames);
    }

    /// Something that came into a list now has to be looked at when its time is up.
    fn wake_after(&mut self, list: List) {
        self.due = self.due.min(after(self.now, timeout_nanos(list)));
    }

    /// Looks at what has spent its time in its list.
    #[cold]
    fn sweep(&mut self, deliver: &mut dyn FnMut(&Packet<'_>)) {
        while let Some(slot) = self.overdue(List::Done) {
            self.forget(slot);
        }
        while let Some(slot) = self.overdue(List::Fresh) {
            self.table.relist(slot, List::Waiting);
            if let Some(entry) = self.table.get_mut(slot) {
                entry.since = after(entry.since, timeout_nanos(List::Fresh));
                entry.value.tell_tcp(&entry.key, deliver);
            }
        }
        while let Some(slot) = self.overdue(List::Waiting) {
            self.give_up(slot, 0, deliver);
        }
        self.due = List::ALL
            .into_iter()
            .filter_map(|list| Some(after(self.table.oldest(list)?.1, timeout_nanos(list))))
            .min()
            .unwrap_or(Timestamp::from_nanos(i64::MAX));
    }

    fn overdue(&self, list: List) -> Option<Slot> {
        let (slot, since) = self.table.oldest(list)?;
        (self.now.nanos_since(since) >= timeout_nanos(list)).then_some(slot)
    }
}

fn after(time: Timestamp, nanos: u64) -> Timestamp {
    Timestamp::from_nanos(time.as_nanos().saturating_add_unsigned(nanos))
}
