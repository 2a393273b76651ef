//! The tree of pieces against an array that notes who brought each byte first.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::pieces::{Contradiction, Pieces, Range};
use proptest::prelude::*;

/// Units of 8 bytes in the datagram.
const UNITS: usize = 24;
const LENGTH: usize = 8 * UNITS - 3;

/// A byte of the datagram: never came by, cut off by the snap length, or there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Byte {
    Unknown,
    Cut,
    There(u8),
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    from: usize,
    to: usize,
    captured: usize,
    fill: u8,
}

impl Sent {
    fn end(&self) -> usize {
        (8 * self.to).min(LENGTH)
    }

    fn bytes(&self) -> Vec<u8> {
        let length = self.end() - 8 * self.from;
        vec![self.fill; length.min(self.captured)]
    }
}

fn sent() -> impl Strategy<Value = Vec<Sent>> {
    let captured = prop_oneof![3 => Just(usize::MAX), 1 => 0_usize..64];
    let piece =
        (0..UNITS, 1_usize..8, captured, any::<u8>()).prop_map(|(from, length, captured, fill)| {
            Sent {
                from,
                to: (from + length).min(UNITS),
                captured,
                fill,
            }
        });
    prop::collection::vec(piece, 1..40)
}

fn add(pieces: &mut Pieces, sent: &Sent) -> Result<bool, Contradiction> {
    let data = sent.bytes();
    let range = Range {
        offset: 8 * sent.from as u32,
        data: &data,
        cut: (sent.end() - 8 * sent.from - data.len()) as u32,
        more: sent.to < UNITS,
        frames: 1,
    };
    let allowed = pieces.cost() + pieces.need(&range);
    let added = pieces.add(&range);
    assert!(pieces.cost() <= allowed, "{} > {allowed}", pieces.cost());
    added
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_first_copy_of_each_byte_stays(sent in sent(), look_at in 0_usize..40) {
        let mut pieces = Pieces::default();
        let mut bytes = vec![Byte::Unknown; LENGTH];
        let mut end_known = false;
        for (number, piece) in sent.iter().enumerate() {
            let at = 8 * piece.from..piece.end();
            let overlap = bytes[at.clone()].iter().any(|byte| *byte != Byte::Unknown);
            prop_assert_eq!(add(&mut pieces, piece), Ok(overlap));
            let data = piece.bytes();
            for (place, byte) in bytes[at].iter_mut().enumerate() {
                *byte = match (*byte, data.get(place)) {
                    (Byte::There(first), _) => Byte::There(first),
                    (_, Some(now)) => Byte::There(*now),
                    (_, None) => Byte::Cut,
                };
            }
            end_known |= piece.to == UNITS;
            let whole = bytes.iter().all(|byte| *byte != Byte::Unknown);
            prop_assert_eq!(pieces.is_whole(), whole);
            // Looking changes nothing, whenever.
            if number >= look_at || number + 1 == sent.len() {
                let beginning: Vec<u8> = bytes
                    .iter()
                    .map_while(|byte| match byte {
                        Byte::There(byte) => Some(*byte),
                        Byte::Cut | Byte::Unknown => None,
                    })
                    .collect();
                let extent = bytes.iter().rposition(|byte| *byte != Byte::Unknown).map_or(0, |last| last + 1);
                let got = pieces.beginning();
                prop_assert_eq!(got.data, &beginning[..]);
                prop_assert_eq!(got.missing, extent - beginning.len());
                prop_assert_eq!(got.end_known, end_known);
                prop_assert!(got.frames as usize <= number + 1);
            }
        }
    }
}

fn range(offset: u32, data: &[u8], more: bool) -> Range<'_> {
    Range {
        offset,
        data,
        cut: 0,
        more,
        frames: 1,
    }
}

#[test]
fn in_order_there_is_one_piece_and_no_copy() {
    let mut pieces = Pieces::default();
    for n in 0..100 {
        pieces.add(&range(n * 8, &[n as u8; 8], n < 99)).unwrap();
    }
    assert!(pieces.is_whole());
    let before = pieces.beginning().data.as_ptr();
    let beginning = pieces.beginning();
    assert_eq!((beginning.data.len(), beginning.frames), (800, 100));
    assert_eq!(beginning.data.as_ptr(), before);
    // One piece and at most twice the bytes.
    assert!(pieces.cost() < 2_000, "{}", pieces.cost());
}

#[test]
fn a_repetition_says_nothing_new() {
    let mut pieces = Pieces::default();
    pieces.add(&range(0, b"abcdefghABCDEFGH", true)).unwrap();
    pieces.add(&range(16, b"xyz", false)).unwrap();
    for (repeats, sent) in [
        (true, range(0, b"abcdefgh", true)),
        (true, range(8, b"ABCDEFGH", true)),
        (true, range(16, b"xyz", false)),
        (true, range(8, b"ABCDEFGHxyz", false)),
        // Other bytes, in the first, a middle or the last place.
        (false, range(0, b"Xbcdefgh", true)),
        (false, range(0, b"abcdefghABCXEFGH", true)),
        (false, range(16, b"xyX", false)),
        // Another end.
        (false, range(16, b"xy", false)),
        (false, range(16, b"xyz", true)),
        (false, range(16, b"xyz.....", true)),
        (false, range(24, b"x", false)),
        (false, range(8, b"ABCDEFGH", false)),
    ] {
        assert_eq!(pieces.repeats(&sent), repeats, "{sent:?}");
    }
}

#[test]
fn overlaps_made_to_cost_time_end_the_datagram() {
    // Every other unit, and then all of it again and again in frames that the snap length cut to nothing.
    let mut pieces = Pieces::default();
    for n in 0..1_000 {
        pieces.add(&range(16 * n, &[0; 8], true)).unwrap();
    }
    let all = Range {
        cut: 16_000,
        ..range(0, &[], true)
    };
    let taken = (0..1_000).take_while(|_| pieces.add(&all).is_ok()).count();
    assert!((5..50).contains(&taken), "{taken}");
}

#[test]
fn a_far_offset_costs_no_memory() {
    let mut pieces = Pieces::default();
    pieces.add(&range(65_520, &[1; 8], true)).unwrap();
    assert!(pieces.cost() < 200, "{}", pieces.cost());
    assert!(pieces.beginning().data.is_empty());
}
