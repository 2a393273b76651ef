//! Fetches from memory what will be needed of a window: the headers.
//!
//! Where a record begins is known when the length of the one before it has come from memory, which takes as long as hundreds of
//! instructions; the processor cannot hurry ahead. So the window is walked at several places at once, and the processor
//! waits for all of them together. Where records begin in the middle of a window is a guess, and may be: nothing is done with the bytes but
//! to have touched them. Whoever walks through the window next finds the headers in the cache, wherever they are.

use memchr::memmem;
use std::ops::Range;

/// Walks at the same time; a core waits for ten cache lines or more at once.
const WALKS: usize = 16;
/// Where no record is found in so many bytes, none is looked for.
const SEARCH: usize = 64 << 10;
/// Ethernet, IP and TCP headers.
const HEADERS: usize = 54;

/// How records follow each other.
pub(super) trait Records {
    /// Length of a record's header.
    fn header(&self) -> usize;

    /// Where in its header a record has bytes that it has in common with those around it.
    fn mark(&self) -> Range<usize>;

    /// Length of the record that begins with these bytes, its header included; `None` if none does.
    fn length(&self, bytes: &[u8]) -> Option<usize>;
}

/// Touches the headers of the records in a window, which begins with one.
pub(super) fn touch(window: &[u8], records: &impl Records) {
    let mut walks = beginnings(window, records);
    let mut ends = [window.len(); WALKS];
    ends[..WALKS - 1].copy_from_slice(&walks[1..]);
    let mut seen = 0;
    let mut walking = true;
    while walking {
        walking = false;
        for (at, end) in walks.iter_mut().zip(ends) {
            if *at < end
                && let Some(record) = window.get(*at..end)
                && let Some(length) = records.length(record)
            {
                seen ^= record
                    .get(records.header() + HEADERS)
                    .copied()
                    .unwrap_or_default();
                *at += length;
                walking = true;
            }
        }
    }
    // Else the compiler would see that nobody asks.
    std::hint::black_box(seen);
}

/// Where the walks begin: at records about as far from each other, as it seems, or at the end of the window.
fn beginnings(window: &[u8], records: &impl Records) -> [usize; WALKS] {
    let place = records.mark();
    let mark = window.get(place.clone()).unwrap_or_default();
    let part = window.len() / WALKS;
    let find = |from: usize| {
        let some = window.get(from..(from + SEARCH).min(window.len()))?;
        memmem::find_iter(some, mark).find_map(|hit| {
            let at = (from + hit).checked_sub(place.start)?;
            let behind = at + records.length(window.get(at..)?)?;
            records.length(window.get(behind..)?).map(|_| at)
        })
    };
    std::array::from_fn(|walk| match walk {
        0 => 0,
        _ => find(walk * part).unwrap_or(window.len()),
    })
}

#[cfg(test)]
mod tests {
    use super::{Records, WALKS, beginnings, touch};
    use std::ops::Range;

    /// A mark of two bytes, then a length.
    struct Simple;

    impl Records for Simple {
        fn header(&self) -> usize {
            4
        }

        fn mark(&self) -> Range<usize> {
            0..2
        }

        fn length(&self, bytes: &[u8]) -> Option<usize> {
            let [_, _, high, low, ..] = bytes else {
                return None;
            };
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            (length < 2000).then_some(4 + length)
        }
    }

    /// Records of these lengths, and where they begin.
    fn window(lengths: impl Iterator<Item = u16>) -> (Vec<u8>, Vec<usize>) {
        let (mut window, mut places) = (Vec::new(), Vec::new());
        for length in lengths {
            places.push(window.len());
            window.extend(*b"ab");
            window.extend(length.to_be_bytes());
            // Marks where no record begins, too.
            window.extend(b"zzzzab".iter().cycle().take(length.into()));
        }
        (window, places)
    }

    #[test]
    fn walks_begin_at_records_all_over_the_window() {
        let (window, places) = window((0..2000).map(|n| n % 100 * 37 % 1500));
        let beginnings = beginnings(&window, &Simple);
        assert!(beginnings.iter().all(|at| places.contains(at)));
        for (walk, at) in beginnings.into_iter().enumerate() {
            let part = walk * window.len() / WALKS;
            assert!(
                (part..part + 3000).contains(&at),
                "walk {walk} begins at {at}"
            );
        }
    }

    #[test]
    fn whatever_is_in_a_window_the_walks_come_to_an_end() {
        let (window, _) = window((0..100).map(|n| n % 100 * 37 % 1500));
        for length in 0..300 {
            touch(&window[..length], &Simple);
        }
        touch(&vec![0; 100_000], &Simple);
        touch(&vec![0xff; 100_000], &Simple);
        touch(&b"ab\x00\x00".repeat(30_000), &Simple);
    }
}
