//! What is known for a while only, and only so much of it.

use crate::model::Timestamp;
use lru::LruCache;
use std::borrow::Borrow;
use std::hash::Hash;

/// An entry's links, its place in the index and the allocator's share.
const ENTRY_BYTES: usize = 80;

struct Told<V> {
    at: Timestamp,
    cost: usize,
    value: V,
}

/// A map whose entries expire some time after they were told. When it is full the one told longest ago makes room.
pub struct Expiring<K: Eq + Hash, V> {
    entries: LruCache<K, Told<V>, foldhash::fast::FixedState>,
    lifetime: u64,
    limit: usize,
    held: usize,
}

impl<K: Eq + Hash, V> Expiring<K, V> {
    /// An empty map that forgets after `lifetime` seconds and holds at most `limit` bytes.
    pub fn new(lifetime: u64, limit: usize) -> Self {
        Self {
            entries: LruCache::unbounded_with_hasher(foldhash::fast::FixedState::default()),
            lifetime,
            limit,
            held: 0,
        }
    }

    /// What was told of a key, if that still holds.
    pub fn get<Q>(&self, key: &Q, now: Timestamp) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        // Most captures teach nothing: do not even hash.
        if self.entries.is_empty() {
            return None;
        }
        self.entries
            .peek(key)
            .filter(|told| now.seconds_since(told.at) <= self.lifetime)
            .map(|told| &told.value)
    }

    /// Remembers `value`; `heap` is what it and its key hold on the heap, in bytes.
    pub fn insert(&mut self, key: K, value: V, heap: usize, now: Timestamp) {
        let cost = size_of::<(K, Told<V>)>() + ENTRY_BYTES + heap;
        if cost > self.limit {
            return;
        }
        self.held += cost;
        let at = now;
        if let Some(old) = self.entries.put(key, Told { at, cost, value }) {
            self.held -= old.cost;
        }
        while let Some((_, oldest)) = self.entries.peek_lru()
            && (self.held > self.limit || now.seconds_since(oldest.at) > self.lifetime)
        {
            if let Some((_, oldest)) = self.entries.pop_lru() {
                self.held -= oldest.cost;
            }
        }
    }

    /// Bytes held.
    pub const fn memory(&self) -> usize {
        self.held
    }
}

#[cfg(test)]
mod tests {
    use super::Expiring;
    use crate::model::Timestamp;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn what_was_told_is_forgotten_in_time() {
        let mut map = Expiring::new(10, 100_000);
        map.insert("a", 1, 0, at(1));
        map.insert("b", 2, 0, at(5));
        assert_eq!(
            (map.get("a", at(11)), map.get("a", at(12))),
            (Some(&1), None)
        );
        map.insert("c", 3, 0, at(14));
        let one = map.memory() / 2;
        assert_eq!(map.memory(), 2 * one, "a is gone, b and c are there");
        map.insert("b", 4, 0, at(15));
        assert_eq!((map.memory(), map.get("b", at(25))), (2 * one, Some(&4)));
    }

    #[test]
    fn a_full_map_forgets_the_oldest() {
        let mut map = Expiring::new(10, 2_000);
        for key in 0..1000_u32 {
            map.insert(key, (), 100, at(1));
            assert!(map.memory() <= 2_000);
        }
        assert_eq!(map.get(&999, at(1)), Some(&()));
        assert_eq!(map.get(&980, at(1)), None);
        map.insert(1000, (), 3_000, at(1));
        assert_eq!(map.get(&1000, at(1)), None, "more than there may be in all");
    }
}
