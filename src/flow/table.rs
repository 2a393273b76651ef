//! The flow table: entries by key, and one list a class in order of last use.
//!
//! All flows of a class share one timeout, so the longest-idle flow of a class stands at the head of its
//! list: expiry and eviction look at list heads only and never scan.

use crate::model::{FlowKey, Timestamp};
use hashbrown::HashTable;
use std::hash::BuildHasher;

/// Index of an entry.
pub type Slot = u32;
const NONE: Slot = u32::MAX;

/// In this order, so that what is asked for every packet (the key, and the beginning of the value) lies side by side. (Not aligned
/// to cache lines: a table that grows could not be moved without a copy then.)
#[repr(C)]
struct Entry<V> {
    key: FlowKey,
    /// When it went to the end of its list.
    listed: Timestamp,
    previous: Slot,
    next: Slot,
    class: u8,
    value: V,
}

/// An entry that is used again within this time keeps its place in the list: moving it costs three cache misses,
/// and no timeout is that short.
const LIST_NANOS: u64 = 500_000_000;

#[derive(Clone, Copy)]
struct List {
    head: Slot,
    tail: Slot,
}

/// A map from [`FlowKey`] to `V` that knows which entry of each class was idle longest.
pub struct Table<V, const CLASSES: usize> {
    index: HashTable<Slot>,
    entries: Vec<Option<Entry<V>>>,
    free: Vec<Slot>,
    lists: [List; CLASSES],
    hasher: foldhash::fast::RandomState,
}

impl<V, const CLASSES: usize> Default for Table<V, CLASSES> {
    fn default() -> Self {
        Self {
            index: HashTable::new(),
            entries: Vec::new(),
            free: Vec::new(),
            lists: [List {
                head: NONE,
                tail: NONE,
            }; CLASSES],
            hasher: foldhash::fast::RandomState::default(),
        }
    }
}

impl<V, const CLASSES: usize> Table<V, CLASSES> {
    /// A table that will not have to move its entries before there are so many: a move needs twice the room while it lasts. The room is only
    /// set aside, and becomes memory as entries come; where that much cannot be set aside, the table grows as any other.
    pub fn with_room(entries: usize) -> Self {
        let mut table = Self::default();
        if table.entries.try_reserve_exact(entries).is_err() {
            table.entries = Vec::new();
        }
        table
    }

    /// What one entry costs, index included.
    pub const ENTRY_BYTES: usize = size_of::<Option<Entry<V>>>() + 2 * size_of::<Slot>();

    fn entry(&self, slot: Slot) -> Option<&Entry<V>> {
        self.entries.get(slot as usize)?.as_ref()
    }

    fn entry_mut(&mut self, slot: Slot) -> Option<&mut Entry<V>> {
        self.entries.get_mut(slot as usize)?.as_mut()
    }

    /// Whether the next entry needs no more memory.
    pub fn has_free_slot(&self) -> bool {
        !self.free.is_empty()
    }

    /// Slots in memory, used or free.
    pub fn slots(&self) -> usize {
        self.entries.len()
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// What the flow is looked for by.
    pub fn hash(&self, key: &FlowKey) -> u64 {
        self.hasher.hash_one(key)
    }

    /// Where the flow is, if it is known.
    #[inline]
    pub fn find(&self, hash: u64, key: &FlowKey) -> Option<Slot> {
        let is_at = |slot: &Slot| self.entry(*slot).is_some_and(|entry| entry.key == *key);
        self.index.find(hash, is_at).copied()
    }

    /// The value at a slot.
    pub fn get(&self, slot: Slot) -> Option<&V> {
        self.entry(slot).map(|entry| &entry.value)
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut V> {
        self.entry_mut(slot).map(|entry| &mut entry.value)
    }

    /// All values, in no particular order.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        let entries = self.entries.iter_mut().flatten();
        entries.map(|entry| &mut entry.value)
    }

    /// Adds a flow that is not in the table yet, as the last used of its class.
    pub fn insert(&mut self, hash: u64, key: FlowKey, value: V, class: u8, now: Timestamp) -> Slot {
        let entry = Entry {
            key,
            listed: now,
            previous: NONE,
            next: NONE,
            class,
            value,
        };
        let slot = if let Some(slot) = self.free.pop() {
            self.entries[slot as usize] = Some(entry);
            slot
        } else {
            self.entries.push(Some(entry));
            (self.entries.len() - 1) as Slot
        };
        let (entries, hasher) = (&self.entries, &self.hasher);
        let hash_of = |slot: &Slot| {
            entries
                .get(*slot as usize)
                .and_then(Option::as_ref)
                .map_or(0, |entry| hasher.hash_one(entry.key))
        };
        self.index.insert_unique(hash, slot, hash_of);
        self.link(slot, class);
        slot
    }

    /// Looks at a flow; if `look` says that it was used, it becomes one of the last of its class. What `look` said.
    #[inline]
    pub fn use_if(
        &mut self,
        slot: Slot,
        now: Timestamp,
        look: impl FnOnce(&mut V) -> bool,
    ) -> bool {
        let Some(entry) = self.entry_mut(slot) else {
            return false;
        };
        let used = look(&mut entry.value);
        if used && now.nanos_since(entry.listed) >= LIST_NANOS {
            let class = entry.class;
            self.relist(slot, class, now);
        }
        used
    }

    /// The flow was used: it becomes one of the last of (perhaps another) class.
    #[inline]
    pub fn touch(&mut self, slot: Slot, class: u8, now: Timestamp) {
        if let Some(entry) = self.entry(slot)
            && (entry.class != class || now.nanos_since(entry.listed) >= LIST_NANOS)
        {
            self.relist(slot, class, now);
        }
    }

    #[cold]
    fn relist(&mut self, slot: Slot, class: u8, now: Timestamp) {
        self.unlink(slot);
        if let Some(entry) = self.entry_mut(slot) {
            entry.class = class;
            entry.listed = now;
        }
        self.link(slot, class);
    }

    /// The longest-idle flow of a class, and when it was last used (half a second more or less).
    pub fn oldest(&self, class: u8) -> Option<(Slot, Timestamp)> {
        let head = self.lists[class as usize].head;
        self.entry(head).map(|entry| (head, entry.listed))
    }

    /// Takes a flow out.
    pub fn remove(&mut self, slot: Slot) -> Option<V> {
        let key = self.entry(slot)?.key;
        self.unlink(slot);
        let hash = self.hasher.hash_one(key);
        if let Ok(found) = self.index.find_entry(hash, |candidate| *candidate == slot) {
            found.remove();
        }
        self.free.push(slot);
        self.entries[slot as usize].take().map(|entry| entry.value)
    }

    fn link(&mut self, slot: Slot, class: u8) {
        let list = &mut self.lists[class as usize];
        let tail = std::mem::replace(&mut list.tail, slot);
        if tail == NONE {
            list.head = slot;
        }
        if let Some(entry) = self.entry_mut(tail) {
            entry.next = slot;
        }
        if let Some(entry) = self.entry_mut(slot) {
            entry.previous = tail;
            entry.next = NONE;
        }
    }

    fn unlink(&mut self, slot: Slot) {
        let Some(entry) = self.entry(slot) else {
            return;
        };
        let (class, previous, next) = (entry.class as usize, entry.previous, entry.next);
        match self.entry_mut(previous) {
            Some(entry) => entry.next = next,
            None => self.lists[class].head = next,
        }
        match self.entry_mut(next) {
            Some(entry) => entry.previous = previous,
            None => self.lists[class].tail = previous,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Slot, Table};
    use crate::model::{Endpoint, FlowKey, Timestamp, Transport};

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

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn the_oldest_of_each_class_is_at_hand() {
        let mut table = Table::<u16, 2>::default();
        for port in 1..=4 {
            table.insert(table.hash(&key(port)), key(port), port, 0, at(port.into()));
        }
        table.touch(find(&table, &key(1)).unwrap(), 0, at(5));
        table.touch(find(&table, &key(2)).unwrap(), 1, at(6));
        let (slot, used) = table.oldest(0).unwrap();
        assert_eq!((table.remove(slot), used), (Some(3), at(3)));
        assert_eq!(table.oldest(1).unwrap().1, at(6));
        assert_eq!(table.len(), 3);
        assert_eq!(find(&table, &key(3)), None);
        // A slot that was given back is used again, and finds its own key.
        let slot = table.insert(table.hash(&key(9)), key(9), 9, 1, at(7));
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
