//! Datagrams by what their fragments have in common, and in order of their age.
//!
//! As in the flow table, each list has one timeout: expiry and eviction look at heads and never scan. Entries are
//! boxed, so that moving one from list to list, or out of the table while it is read, moves a pointer.

use crate::model::{LayerPath, Timestamp};
use hashbrown::HashTable;
use std::hash::BuildHasher;
use std::net::IpAddr;

/// Index of an entry.
pub(super) type Slot = u32;
const NONE: Slot = u32::MAX;

/// What the table itself takes for one entry at most: a pointer and a place among the free ones, both in vectors
/// that may be half empty, and the index, which may be less than half full.
pub(super) const SLOT_BYTES: usize = 48;

/// What the fragments of one datagram have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub src: IpAddr,
    pub dst: IpAddr,
    /// Of IPv4 (RFC 791 section 2.3); 0 for IPv6, which goes without (RFC 8200 section 4.5).
    pub protocol: u8,
    pub identification: u32,
    /// Addresses inside one tunnel are none of another tunnel's.
    pub path: LayerPath,
}

/// The lists, in the order in which memory is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    /// Whole and passed on; kept to know late duplicates.
    Done,
    /// Unfinished for a while.
    Waiting,
    /// Unfinished, its beginning not yet looked at.
    Fresh,
}

impl List {
    pub const ALL: [Self; 3] = [Self::Done, Self::Waiting, Self::Fresh];
}

#[derive(Debug)]
pub(super) struct Entry<V> {
    pub key: Key,
    /// When it came into its list; for unfinished ones: when the first fragment came.
    pub since: Timestamp,
    pub list: List,
    pub value: V,
    previous: Slot,
    next: Slot,
}

impl<V> Entry<V> {
    #[allow(
        clippy::unnecessary_box_returns,
        reason = "it never lives anywhere else"
    )]
    pub fn new(key: Key, since: Timestamp, value: V) -> Box<Self> {
        Box::new(Self {
            key,
            since,
            list: List::Fresh,
            value,
            previous: NONE,
            next: NONE,
        })
    }
}

#[derive(Clone, Copy, Debug)]
struct Ends {
    head: Slot,
    tail: Slot,
    count: usize,
}

#[derive(Debug)]
pub(super) struct Table<V> {
    slots: Vec<Option<Box<Entry<V>>>>,
    free: Vec<Slot>,
    index: HashTable<Slot>,
    lists: [Ends; List::ALL.len()],
    /// Not fixed, so that nobody can choose identifications that all fall into one place.
    hasher: foldhash::fast::RandomState,
}

impl<V> Default for Table<V> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            lists: [Ends {
                head: NONE,
                tail: NONE,
                count: 0,
            }; List::ALL.len()],
            hasher: foldhash::fast::RandomState::default(),
        }
    }
}

impl<V> Table<V> {
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Memory that the table itself holds, without the entries.
    #[cfg(test)]
    pub fn own_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Option<Box<Entry<V>>>>()
            + self.free.capacity() * size_of::<Slot>()
            + self.index.allocation_size()
    }

    pub fn count(&self, list: List) -> usize {
        self.lists[list as usize].count
    }

    fn entry(&self, slot: Slot) -> Option<&Entry<V>> {
        self.slots.get(slot as usize)?.as_deref()
    }

    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut Entry<V>> {
        self.slots.get_mut(slot as usize)?.as_deref_mut()
    }

    pub fn find(&self, key: &Key) -> Option<Slot> {
        let same = |slot: &Slot| self.entry(*slot).is_some_and(|entry| entry.key == *key);
        self.index.find(self.hasher.hash_one(key), same).copied()
    }

    /// The entry that is longest in a list, and since when.
    pub fn oldest(&self, list: List) -> Option<(Slot, Timestamp)> {
        let head = self.lists[list as usize].head;
        self.entry(head).map(|entry| (head, entry.since))
    }

    /// The entry to give up first, but not this one.
    pub fn cheapest(&self, spare: Option<Slot>) -> Option<Slot> {
        List::ALL.into_iter().find_map(|list| {
            let head = self.lists[list as usize].head;
            let entry = self.entry(head)?;
            if Some(head) != spare {
                return Some(head);
            }
            (entry.next != NONE).then_some(entry.next)
        })
    }

    /// Adds an entry whose key is not in the table, as the last of a list.
    pub fn insert(&mut self, entry: Box<Entry<V>>, list: List) -> Slot {
        let hash = self.hasher.hash_one(entry.key);
        let slot = self.free.pop().unwrap_or(self.slots.len() as Slot);
        match self.slots.get_mut(slot as usize) {
            Some(place) => *place = Some(entry),
            None => self.slots.push(Some(entry)),
        }
        let (slots, hasher) = (&self.slots, &self.hasher);
        let hash_of = |slot: &Slot| {
            let entry = slots.get(*slot as usize).and_then(Option::as_ref);
            entry.map_or(0, |entry| hasher.hash_one(entry.key))
        };
        self.index.insert_unique(hash, slot, hash_of);
        self.link(slot, list);
        slot
    }

    /// Moves an entry to the end of another list.
    pub fn relist(&mut self, slot: Slot, list: List) {
        self.unlink(slot);
        self.link(slot, list);
    }

    /// Takes an entry out.
    pub fn remove(&mut self, slot: Slot) -> Option<Box<Entry<V>>> {
        let hash = self.hasher.hash_one(self.entry(slot)?.key);
        self.unlink(slot);
        if let Ok(found) = self.index.find_entry(hash, |candidate| *candidate == slot) {
            found.remove();
        }
        self.free.push(slot);
        self.slots.get_mut(slot as usize)?.take()
    }

    fn link(&mut self, slot: Slot, list: List) {
        let ends = &mut self.lists[list as usize];
        let tail = std::mem::replace(&mut ends.tail, slot);
        ends.count += 1;
        if tail == NONE {
            ends.head = slot;
        }
        if let Some(entry) = self.get_mut(tail) {
            entry.next = slot;
        }
        if let Some(entry) = self.get_mut(slot) {
            entry.list = list;
            entry.previous = tail;
            entry.next = NONE;
        }
    }

    fn unlink(&mut self, slot: Slot) {
        let Some(entry) = self.entry(slot) else {
            return;
        };
        let (list, previous, next) = (entry.list as usize, entry.previous, entry.next);
        match self.get_mut(previous) {
            Some(entry) => entry.next = next,
            None => self.lists[list].head = next,
        }
        match self.get_mut(next) {
            Some(entry) => entry.previous = previous,
            None => self.lists[list].tail = previous,
        }
        self.lists[list].count -= 1;
    }
}
