//! Memory, whatever comes.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::{Defragmenter, Fragment};
use crate::model::{LayerPath, LinkType, Timestamp};
use crate::packet::{FrameMeta, Reason};
use proptest::prelude::*;
use std::net::IpAddr;

const UDP: u8 = 17;
const TCP: u8 = 6;

fn fragment(id: u32, offset: usize, more: bool, payload: &[u8]) -> Fragment<'_> {
    Fragment {
        meta: FrameMeta {
            number: 1,
            timestamp: Timestamp::from_nanos(1),
            link: LinkType::RAW,
            wire_len: 100,
        },
        frames: 1,
        path: LayerPath::default(),
        src: IpAddr::from([10, 0, 0, 5]),
        dst: IpAddr::from([192, 0, 2, 9]),
        protocol: UDP,
        identification: id,
        offset,
        more,
        payload,
        cut: 0,
    }
}

#[derive(Clone, Debug)]
struct Step {
    id: u32,
    protocol: u8,
    from: usize,
    units: usize,
    cut: usize,
    last: bool,
    millis: i64,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (
        (
            0_u32..12,
            prop_oneof![Just(UDP), Just(TCP), Just(44), Just(89)],
        ),
        (
            prop_oneof![4 => 0_usize..12, 1 => 0_usize..8_180],
            1_usize..10,
        ),
        (prop_oneof![3 => Just(0), 1 => 0_usize..200], any::<bool>()),
        prop_oneof![6 => 0_i64..50, 1 => -50_000_i64..50_000],
    );
    let step = step.prop_map(
        |((id, protocol), (from, units), (cut, last), millis)| Step {
            id,
            protocol,
            from,
            units,
            cut: cut / 8 * 8,
            last,
            millis,
        },
    );
    prop::collection::vec(step, 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn memory_stays_within_its_bounds(steps in steps(), memory in 0_usize..20_000, v6 in any::<bool>()) {
        let mut defragmenter = Defragmenter::new(memory);
        let mut frames = 0_u64;
        let mut millis = 0;
        let mut packets = 0_u64;
        // A beginning that is a UDP header, as long as it likes.
        let bytes: Vec<u8> = [0, 1, 0, 2, 0, 60, 0, 0].into_iter().cycle().take(80).collect();
        for step in &steps {
            millis += step.millis;
            let mut piece = fragment(step.id, step.from * 8, !step.last, &bytes[..8 * step.units]);
            piece.protocol = step.protocol;
            piece.cut = step.cut;
            piece.meta.timestamp = Timestamp::from_nanos(millis * 1_000_000);
            if v6 {
                piece.src = IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1_u16]);
                piece.dst = piece.src;
            }
            defragmenter.push(&piece, &mut |_| packets += 1);
            frames += 1;
            prop_assert!(defragmenter.used() <= memory);
        }
        defragmenter.finish(&mut |_| packets += 1);
        prop_assert_eq!(defragmenter.used(), 0);
        // No frame is counted twice.
        let ignored: u64 = defragmenter.stats().ignored().map(|(_, count)| count).sum();
        prop_assert!(ignored <= frames);
        prop_assert!(packets <= frames);
    }

    /// Several datagrams at once, each in pieces that repeat and overlap, all shuffled: the same as first copies put
    /// side by side.
    #[test]
    fn any_order_repetition_and_overlap_gives_the_first_copies(
        lengths in prop::collection::vec(1_usize..200, 1..5),
        seeds in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..26, 1_usize..12), 0..60),
        fills in any::<u8>(),
    ) {
        let mut defragmenter = Defragmenter::new(1 << 20);
        let mut model: Vec<Vec<Option<u8>>> = lengths.iter().map(|length| vec![None; 8 + length]).collect();
        let mut done = vec![false; lengths.len()];
        let mut number = 0_u8;
        // Whatever was not sent by then, in the end.
        let rest = (0..lengths.len()).flat_map(|which| (0..26).map(move |from| (which, from, 1)));
        let random = seeds.iter().map(|(which, from, units)| (which.index(lengths.len()), *from, *units));
        for (which, from, units) in random.chain(rest) {
            let total = model[which].len();
            let (from, to) = (8 * from, (8 * (from + units)).min(total));
            // Not a whole datagram, and nothing behind the end or after it.
            if from >= to || done[which] || (from == 0 && to == total) {
                continue;
            }
            number = number.wrapping_add(1);
            let mut bytes = vec![fills.wrapping_add(number); to - from];
            if from == 0 {
                let length = u16::try_from(total).unwrap().to_be_bytes();
                bytes[..8].copy_from_slice(&[0, 7, 0, 9, length[0], length[1], 0, 0]);
            }
            for (slot, byte) in model[which][from..to].iter_mut().zip(&bytes) {
                slot.get_or_insert(*byte);
            }
            let mut got = None;
            defragmenter.push(&fragment(which as u32, from, to < total, &bytes), &mut |packet| {
                got = Some((packet.payload.to_vec(), packet.cut));
            });
            done[which] = model[which].iter().all(Option::is_some);
            let expected = done[which].then(|| (model[which][8..].iter().copied().map(Option::unwrap).collect(), 0));
            prop_assert_eq!(got, expected);
        }
        defragmenter.finish(&mut |_| ());
        prop_assert_eq!(defragmenter.used(), 0);
    }
}

#[test]
fn the_table_holds_no_more_entries_than_are_paid_for() {
    const MEMORY: usize = 256 << 10;
    let mut defragmenter = Defragmenter::new(MEMORY);
    for id in 0..10_000 {
        defragmenter.push(&fragment(id, 8, true, &[0; 8]), &mut |_| ());
        assert!(defragmenter.table.len() <= MEMORY / 1024);
        assert!(defragmenter.table.own_bytes() <= MEMORY / 1024 * super::table::SLOT_BYTES);
    }
}

#[test]
fn a_datagram_larger_than_the_memory_does_not_take_the_place_of_others() {
    let mut defragmenter = Defragmenter::new(8 << 10);
    let bytes = vec![0; 1_400];
    for n in 0..20 {
        defragmenter.push(&fragment(1, n * 1_400, true, &bytes), &mut |_| ());
    }
    defragmenter.finish(&mut |_| ());
    assert_eq!(
        defragmenter.stats().ignored().collect::<Vec<_>>(),
        [(Reason::IpFragment, 20)]
    );
}

#[test]
fn a_beginning_is_looked_at_once_only() {
    // Neither a flood nor a long capture makes the same beginning be read again and again.
    let mut defragmenter = Defragmenter::new(1 << 20);
    let mut header = vec![0, 7, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x10];
    header.resize(24, 0);
    let mut first = fragment(1, 0, true, &header);
    first.protocol = TCP;
    let mut told = 0;
    defragmenter.push(&first, &mut |_| told += 1);
    for second in 1..100 {
        let now = Timestamp::from_nanos(1 + second * 1_000_000_000);
        defragmenter.tick(now, &mut |_| told += 1);
        assert_eq!(told, 1, "{second}");
    }
    assert_eq!(defragmenter.used(), 0);
}

#[test]
fn pieces_that_nobody_can_have_sent_are_counted() {
    let mut defragmenter = Defragmenter::new(1 << 20);
    let mut huge = fragment(1, 0, true, &[0; 8]);
    huge.cut = usize::MAX;
    let mut far = fragment(1, usize::MAX - 7, true, &[0; 8]);
    far.cut = 8;
    let between = fragment(1, 4, true, &[0; 8]);
    let (empty, odd) = (fragment(1, 8, false, &[]), fragment(1, 8, true, &[0; 7]));
    for piece in [huge, far, between, empty, odd] {
        defragmenter.push(&piece, &mut |packet| unreachable!("{packet:?}"));
        assert_eq!(defragmenter.used(), 0);
    }
    let counted: Vec<_> = defragmenter.stats().ignored().collect();
    assert_eq!(counted, [(Reason::IpFragment, 5)]);
}
