//! The flow table: entries by key, and one list a class in order of last use.
//!
//! All flows of a class share one timeout, so the longest-idle flow of a class stands at the head of its
//! list: expiry and eviction look at list heads only and never scan.

use crate::model::{Brief, FlowKey, Timestamp};
use hashbrown::HashTable;
use std::hash::BuildHasher;

/// Index of an entry.
pub type Slot = u32;
const NONE: Slot = u32::MAX;

/// What a value is found by.
pub trait Keyed {
    /// Its key.
    fn key(&self) -> FlowKey;
}

/// What passed by of a flow since somebody looked at it, by the lower and the higher end of its key.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Passed {
    /// Packets.
    pub packets: [u32; 2],
    /// Their bytes.
    pub bytes: [u32; 2],
    /// Time of the last packet.
    pub last_seen: Timestamp,
    /// Its number.
    pub number: u64,
}

impl Passed {
    /// No packet.
    pub const NONE: Self = Self {
        packets: [0; 2],
        bytes: [0; 2],
        last_seen: Timestamp::from_nanos(i64::MIN),
        number: 0,
    };

    /// One more packet, from the lower end or from the higher one; `false`, and nothing changed, when there were too many to
    /// count.
    #[allow(clippy::inline_always, reason = "every packet, see ARCHITECTURE.md")]
    #[inline(always)]
    pub fn count(&mut self, from_low: bool, time: Timestamp, number: u64, length: u32) -> bool {
        let side = usize::from(!from_low);
        let packets = self.packets[side].checked_add(1);
        let bytes = self.bytes[side].checked_add(length);
        let (Some(packets), Some(bytes)) = (packets, bytes) else {
            return false;
        };
        self.packets[side] = packets;
        self.bytes[side] = bytes;
        self.last_seen = self.last_seen.max(time);
        self.number = number;
        true
    }
}

/// What is asked and changed for most packets: one cache line an entry, apart from the value.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Front {
    addresses: u64,
    ports: u32,
    kind: u8,
    class: u8,
    /// The owner's.
    pub marks: u8,
    /// The owner's.
    pub passed: Passed,
    /// When it is to go to the end of its list once more.
    due: Timestamp,
    previous: Slot,
    next: Slot,
}

const _: () = assert!(size_of::<Front>() == 64, "one cache line");

impl Front {
    const fn brief(&self) -> Brief {
        Brief {
            addresses: self.addresses,
            ports: self.ports,
            kind: self.kind,
        }
    }

    /// Whether it is to go to the end of its list if it is used now.
    #[inline]
    pub fn is_due(&self, now: Timestamp) -> bool {
        now >= self.due
    }
}

/// An entry that is used again within this time keeps its place in the list: moving it costs three cache misses,
/// and no timeout is that short.
const LIST_NANOS: i64 = 500_000_000;

#[derive(Clone, Copy)]
struct List {
    head: Slot,
    tail: Slot,
}

/// A map from [`FlowKey`] to `V` that knows which entry of each class was idle longest.
pub struct Table<V, const CLASSES: usize> {
    index: HashTable<Slot>,
    fronts: Vec<Front>,
    values: Vec<Option<V>>,
    free: Vec<Slot>,
    lists: [List; CLASSES],
    hasher: foldhash::fast::RandomState,
}

impl<V, const CLASSES: usize> Default for Table<V, CLASSES> {
    fn default() -> Self {
        Self {
            index: HashTable::new(),
            fronts: Vec::new(),
            values: Vec::new(),
            free: Vec::new(),
            lists: [List {
                head: NONE,
                tail: NONE,
            }; CLASSES],
            hasher: foldhash::fast::RandomState::default(),
        }
    }
}

impl<V: Keyed, const CLASSES: usize> Table<V, CLASSES> {
    /// A table that will not have to move its entries before there are so many: a move needs twice the room while it lasts. The room is only
    /// set aside, and becomes memory as entries come; where that much cannot be set aside, the table grows as any other.
    pub fn with_room(entries: usize) -> Self {
        let mut table = Self::default();
        if table.values.try_reserve_exact(entries).is_err() {
            table.values = Vec::new();
        }
        if table.fronts.try_reserve_exact(entries).is_err() {
            table.fronts = Vec::new();
        }
        table
    }

    /// What one entry costs, index included.
    pub const ENTRY_BYTES: usize =
        size_of::<Front>() + size_of::<Option<V>>() + 2 * size_of::<Slot>();

    fn front(&self, slot: Slot) -> Option<&Front> {
        self.fronts.get(slot as usize)
    }

    /// What lies in front of the value at a slot.
    #[inline]
    pub fn front_mut(&mut self, slot: Slot) -> Option<&mut Front> {
        self.fronts.get_mut(slot as usize)
    }

    /// Whether the next entry needs no more memory.
    pub fn has_free_slot(&self) -> bool {
        !self.free.is_empty()
    }

    /// Slots in memory, used or free.
    pub fn slots(&self) -> usize {
        self.values.len()
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// What the flow is looked for by.
    #[allow(clippy::inline_always, reason = "every packet, see ARCHITECTURE.md")]
    #[inline(always)]
    pub fn hash(&self, key: &FlowKey) -> u64 {
        self.hasher.hash_one(key)
    }

    /// Where the flow is, if it is known.
    #[allow(clippy::inline_always, reason = "every packet, see ARCHITECTURE.md")]
    #[inline(always)]
    pub fn find(&self, hash: u64, key: &FlowKey) -> Option<Slot> {
        let brief = key.brief();
        if !brief.is_whole() {
            // By value: what lies in memory for somebody else's sake does so for every packet.
            return self.find_long(hash, *key);
        }
        let is_at = |slot: &Slot| {
            let front = self.front(*slot);
            front.is_some_and(|front| front.brief() == brief)
        };
        self.index.find(hash, is_at).copied()
    }

    #[inline(never)]
    fn find_long(&self, hash: u64, key: FlowKey) -> Option<Slot> {
        let is_at = |slot: &Slot| self.value(*slot).is_some_and(|it| it.key() == key);
        self.index.find(hash, is_at).copied()
    }

    /// The value at a slot.
    pub fn value(&self, slot: Slot) -> Option<&V> {
        self.values.get(slot as usize)?.as_ref()
    }

    /// The value at a slot, and what lies in front of it.
    #[inline]
    pub fn get_mut(&mut self, slot: Slot) -> Option<(&mut Front, &mut V)> {
        let value = self.values.get_mut(slot as usize)?.as_mut()?;
        Some((self.fronts.get_mut(slot as usize)?, value))
    }

    /// All values, in no particular order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&mut Front, &mut V)> {
        let values = self.values.iter_mut();
        let entries = self.fronts.iter_mut().zip(values);
        entries.filter_map(|(front, value)| Some((front, value.as_mut()?)))
    }

    /// Adds a flow that is not in the table yet, as the last used of its class.
    #[inline]
    pub fn insert(&mut self, hash: u64, brief: Brief, value: V, class: u8, now: Timestamp) -> Slot {
        let Brief {
            addresses,
            ports,
            kind,
        } = brief;
        let front = Front {
            addresses,
            ports,
            kind,
            class,
            marks: 0,
            passed: Passed::NONE,
            due: now.after(LIST_NANOS),
            previous: NONE,
            next: NONE,
        };
        let slot = if let Some(slot) = self.free.pop() {
            self.fronts[slot as usize] = front;
            self.values[slot as usize] = Some(value);
            slot
        } else {
            self.fronts.push(front);
            self.values.push(Some(value));
            (self.values.len() - 1) as Slot
        };
        let (fronts, values, hasher) = (&self.fronts, &self.values, &self.hasher);
        let hash_of = |slot: &Slot| {
            let slot = *slot as usize;
            let whole = fronts.get(slot).and_then(|front| front.brief().key());
            let key = whole.or_else(|| Some(values.get(slot)?.as_ref()?.key()));
            key.map_or(0, |key| hasher.hash_one(key))
        };
        self.index.insert_unique(hash, slot, hash_of);
        self.link(slot, class);
        slot
    }

    /// The flow was used: it becomes one of the last of its class.
    #[inline]
    pub fn used(&mut self, slot: Slot, now: Timestamp) {
        if let Some(front) = self.front(slot)
            && front.is_due(now)
        {
            self.relist(slot, front.class, now);
        }
    }

    /// The flow was used: it becomes one of the last of (perhaps another) class.
    #[inline]
    pub fn touch(&mut self, slot: Slot, class: u8, now: Timestamp) {
        if let Some(front) = self.front(slot)
            && (front.class != class || front.is_due(now))
        {
            self.relist(slot, class, now);
        }
    }

    #[cold]
    fn relist(&mut self, slot: Slot, class: u8, now: Timestamp) {
        self.unlink(slot);
        if let Some(front) = self.front_mut(slot) {
            front.class = class;
            front.due = now.after(LIST_NANOS);
        }
        self.link(slot, class);
    }

    /// The longest-idle flow of a class, and when it was last used (half a second more or less).
    pub fn oldest(&self, class: u8) -> Option<(Slot, Timestamp)> {
        let head = self.lists[class as usize].head;
        self.front(head)
            .map(|front| (head, front.due.after(-LIST_NANOS)))
    }

    /// The flow behind this one in its list.
    pub fn behind(&self, slot: Slot) -> Option<Slot> {
        let next = self.front(slot)?.next;
        (next != NONE).then_some(next)
    }

    /// Takes a flow out.
    pub fn remove(&mut self, slot: Slot) -> Option<V> {
        let value = self.values.get_mut(slot as usize)?.take()?;
        self.unlink(slot);
        let whole = self.front(slot).and_then(|front| front.brief().key());
        let hash = self.hasher.hash_one(whole.unwrap_or_else(|| value.key()));
        if let Ok(found) = self.index.find_entry(hash, |candidate| *candidate == slot) {
            found.remove();
        }
        self.free.push(slot);
        Some(value)
    }

    fn link(&mut self, slot: Slot, class: u8) {
        let list = &mut self.lists[class as usize];
        let tail = std::mem::replace(&mut list.tail, slot);
        if tail == NONE {
            list.head = slot;
        }
        if let Some(front) = self.front_mut(tail) {
            front.next = slot;
        }
        if let Some(front) = self.front_mut(slot) {
            front.previous = tail;
            front.next = NONE;
        }
    }

    fn unlink(&mut self, slot: Slot) {
        let Some(front) = self.front(slot) else {
            return;
        };
        let (class, previous, next) = (front.class as usize, front.previous, front.next);
        match self.front_mut(previous) {
            Some(front) => front.next = next,
            None => self.lists[class].head = next,
        }
        match self.front_mut(next) {
            Some(front) => front.previous = previous,
            None => self.lists[class].tail = previous,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Keyed, Slot, Table};
    use crate::model::{Endpoint, FlowKey, Timestamp, Transport};

    /// The port of a flow.
    impl Keyed for u16 {
        fn key(&self) -> FlowKey {
            key(*self)
        }
    }

    fn key(port: u16) -> FlowKey {
        let host = |last| std::net::IpAddr::from([192, 0, 2, last]);
        FlowKey::new(
            Transport::Tcp,
            Endpoint::new(host(1), port),
            Endpoint::new(host(2), 80),
        )
    }

    fn find(table: &Table<u16, 2>, key: &FlowKey) -> Option<Slot> {
        table.find(table.hash(key), key)
    }

    fn insert(table: &mut Table<u16, 2>, port: u16, class: u8, now: Timestamp) -> Slot {
        let key = key(port);
        table.insert(table.hash(&key), key.brief(), port, class, now)
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn the_oldest_of_each_class_is_at_hand() {
        let mut table = Table::<u16, 2>::default();
        for port in 1..=4 {
            insert(&mut table, port, 0, at(port.into()));
        }
        table.touch(find(&table, &key(1)).unwrap(), 0, at(5));
        table.touch(find(&table, &key(2)).unwrap(), 1, at(6));
        let (slot, used) = table.oldest(0).unwrap();
        assert_eq!((table.remove(slot), used), (Some(3), at(3)));
        assert_eq!(table.oldest(1).unwrap().1, at(6));
        assert_eq!(table.len(), 3);
        assert_eq!(find(&table, &key(3)), None);
        // A slot that was given back is used again, and finds its own key.
        let slot = insert(&mut table, 9, 1, at(7));
        assert_eq!(find(&table, &key(9)), Some(slot));
        let mut order = Vec::new();
        for class in [0, 1] {
            while let Some((slot, _)) = table.oldest(class) {
                order.extend(table.remove(slot));
            }
        }
        assert_eq!(order, [4, 1, 2, 9]);
    }
}
