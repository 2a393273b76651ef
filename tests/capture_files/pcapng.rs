//! The pcapng format.

use super::build::{BOTH, Order};
use super::{cut_everywhere, read};
use imwarden::model::LinkType;

const TSRESOL: u16 = 9;
const TSOFFSET: u16 = 14;

#[test]
fn the_three_kinds_of_packet_block_in_both_byte_orders() {
    for order in BOTH {
        let outcome = read(
            &[
                order.section(),
                order.interface(1, 0, &[]),
                order.enhanced(0, 1_700_000_000_000_001, b"enhanced"),
                order.simple(6, b"simple"),
                order.obsolete(0, 0xffff, 1_700_000_000_000_002, b"old"),
            ]
            .concat(),
        );
        assert!(outcome.error.is_none(), "{:?}", outcome.error);
        assert_eq!(outcome.payloads(), [&b"enhanced"[..], b"simple", b"old"]);
        let times: Vec<_> = outcome.frames.iter().map(|frame| frame.nanos).collect();
        // A simple packet block has no time of its own and takes that of the packet before.
        assert_eq!(
            times,
            [
                1_700_000_000_000_001_000,
                1_700_000_000_000_001_000,
                1_700_000_000_000_002_000
            ]
        );
        assert_eq!(outcome.stats.dropped, 0, "65535 lost packets mean: unknown");
    }
}

#[test]
fn each_interface_has_its_own_link_type_and_clock() {
    let order = Order::Big;
    let mut bytes = [order.section(), order.interface(1, 0, &[])].concat();
    let clocks: [(u8, i64, u64, i64); 6] = [
        (3, 0, 1_234, 1_234_000_000),
        (9, 0, 1_234, 1_234),
        (0, 0, 2, 2_000_000_000),
        (12, 0, 7_999, 7),
        (0x80 | 0x0a, 0, 1024 + 512, 1_500_000_000),
        (6, -3, 5_000_000, 2_000_000_000),
    ];
    for (resolution, offset, ..) in clocks {
        let options = [
            order.option(2, b"eth0"),
            order.option(TSRESOL, &[resolution]),
            order.option(TSOFFSET, &offset.to_be_bytes()),
            order.option(0, &[]),
        ];
        bytes.extend(order.interface(113, 0, &options));
    }
    bytes.extend(order.enhanced(0, 9, b"default"));
    for (interface, (.., count, _)) in clocks.iter().enumerate() {
        bytes.extend(order.enhanced(u32::try_from(interface).unwrap() + 1, *count, b"x"));
    }
    let outcome = read(&bytes);
    assert!(outcome.error.is_none());
    assert_eq!(
        (outcome.frames[0].nanos, outcome.frames[0].link),
        (9_000, LinkType::ETHERNET)
    );
    for (frame, (.., nanos)) in outcome.frames[1..].iter().zip(clocks) {
        assert_eq!((frame.nanos, frame.link), (nanos, LinkType::LINUX_SLL));
    }
}

#[test]
fn sections_may_differ_in_byte_order_and_forget_their_interfaces() {
    let (big, little) = (Order::Big, Order::Little);
    let sections = [
        big.section(),
        big.interface(1, 0, &[]),
        big.interface(101, 0, &[]),
        big.enhanced(1, 1, b"one"),
        little.section(),
        little.interface(276, 0, &[]),
        little.enhanced(0, 2, b"two"),
    ];
    let outcome = read(&sections.concat());
    assert!(outcome.error.is_none());
    assert_eq!(outcome.payloads(), [b"one", b"two"]);
    assert_eq!(outcome.frames[0].link, LinkType::RAW);
    assert_eq!(outcome.frames[1].link, LinkType::LINUX_SLL2);

    let offset = sections.concat().len() as u64;
    let outcome = read(&[sections.concat(), little.enhanced(1, 3, b"whose?")].concat());
    assert_eq!(outcome.payloads(), [b"one", b"two"]);
    assert_eq!(
        outcome.corrupt(),
        Some((offset, "a packet from interface 1, when 1 are described"))
    );
}

#[test]
fn blocks_about_other_things_are_passed_over() {
    let order = Order::Little;
    let outcome = read(
        &[
            order.section(),
            order.block(4, b"names"),
            order.interface(1, 0, &[]),
            order.block(0x0bad, &[1; 33]),
            order.block(0x4000_0bad, &[]),
            order.block(10, b"secrets"),
            order.enhanced(0, 1, b"packet"),
            order.block(0x7fff_ffff, &[0xff; 400]),
        ]
        .concat(),
    );
    assert!(outcome.error.is_none());
    assert_eq!(outcome.payloads(), [b"packet"]);
    assert_eq!(outcome.stats.skipped_blocks, 5);
}

#[test]
fn simple_packets_end_at_the_snap_length() {
    let order = Order::Big;
    let outcome = read(
        &[
            order.section(),
            order.interface(1, 6, &[]),
            order.simple(1500, b"abcdef\0\0"),
            order.simple(3, b"xyz"),
        ]
        .concat(),
    );
    assert_eq!(outcome.payloads(), [&b"abcdef"[..], b"xyz"]);
    assert_eq!(outcome.frames[0].wire_len, 1500);
}

#[test]
fn options_behind_a_packet_are_not_part_of_it() {
    let order = Order::Little;
    let mut body = order.enhanced_body(0, 1, b"abcde\0\0\0");
    body[12..20].copy_from_slice(&order.words(&[5, 5]));
    body.extend(order.option(1, b"a comment"));
    let outcome = read(
        &[
            order.section(),
            order.interface(1, 0, &[]),
            order.block(6, &body),
        ]
        .concat(),
    );
    assert_eq!(outcome.payloads(), [b"abcde"]);
}

#[test]
fn lost_packets_are_counted() {
    for order in BOTH {
        let lost = |interface: u32, dropped: u64, by_system: u64| {
            order.statistics(
                interface,
                &[
                    order.option(5, &order.u64(dropped)),
                    order.option(7, &order.u64(by_system)),
                    order.option(0, &[]),
                ],
            )
        };
        let outcome = read(
            &[
                order.section(),
                order.interface(1, 0, &[]),
                order.interface(1, 0, &[]),
                lost(0, 1, 1),
                order.obsolete(0, 5, 1, b"x"),
                // Each counts from the start of the capture: these replace the 1 + 1 of interface 0.
                lost(0, 10, 20),
                lost(1, 100, 0),
                // Without counts, and about an interface that is not there.
                order.statistics(0, &[order.option(4, &order.u64(77))]),
                lost(9, 1000, 0),
                order.section(),
                order.interface(1, 0, &[]),
                lost(0, 0, 4000),
            ]
            .concat(),
        );
        assert!(outcome.error.is_none());
        assert_eq!(outcome.stats.dropped, 5 + 10 + 20 + 100 + 4000);
    }
}

#[test]
fn cut_behind_every_byte() {
    for order in BOTH {
        let parts = [
            (order.section(), 0),
            (
                order.interface(1, 0, &[order.option(TSRESOL, &[9]), order.option(0, &[])]),
                0,
            ),
            (order.enhanced(0, 1, b"hello"), 1),
            (order.block(0x0bad, b"custom"), 0),
            (order.simple(4, b"four"), 1),
            (order.statistics(0, &[]), 0),
            (order.obsolete(0, 0, 1, b"old"), 1),
        ];
        let (mut bytes, mut ends, mut frames) = (Vec::new(), Vec::new(), 0);
        for (part, more) in parts {
            bytes.extend(part);
            frames += more;
            ends.push((bytes.len(), frames));
        }
        cut_everywhere(&bytes, &ends);
    }
}

#[test]
fn damage_is_told_with_its_place_behind_the_good_frames() {
    let order = Order::Little;
    let good = [
        order.section(),
        order.interface(1, 0, &[]),
        order.enhanced(0, 1, b"good"),
    ]
    .concat();
    let long_packet = order.block(6, &order.words(&[0, 0, 0, 5, 5, 0]));
    let mut two_lengths = order.enhanced(0, 1, b"bad!");
    *two_lengths.last_mut().unwrap() = 1;
    let mut no_magic = order.section();
    no_magic[8] = 0;
    let mut version = order.section();
    version[12] = 2;
    for (bad, words) in [
        (
            long_packet,
            "a packet of 5 bytes in a block with room for 4",
        ),
        (order.block(6, &[0; 8]), "too short"),
        (order.block(1, &[0; 4]), "too short"),
        (
            order.block(0x0a0d_0d0a, &order.words(&[0x1a2b_3c4d, 1])),
            "too short",
        ),
        (two_lengths, "two lengths differ"),
        (no_magic, "byte-order magic"),
        (version, "version 2"),
        (order.words(&[6, 0, 0]), "a block of 0 bytes"),
        (order.words(&[6, 8, 8]), "a block of 8 bytes"),
        (
            order.words(&[6, 33, 0, 0, 0, 0, 0, 0, 33]),
            "a block of 33 bytes",
        ),
        (
            order.words(&[6, u32::MAX - 3, 0]),
            "a block of 4294967292 bytes",
        ),
        (
            order.words(&[0x0bad, (16 << 20) + 4, 0]),
            "a block of 16777220 bytes",
        ),
        (order.enhanced(u32::MAX, 1, b"x"), "interface 4294967295"),
    ] {
        let outcome = read(&[good.clone(), bad, order.enhanced(0, 2, b"after")].concat());
        assert_eq!(outcome.payloads(), [b"good"], "{words}");
        let (offset, what) = outcome
            .corrupt()
            .unwrap_or_else(|| panic!("{words}: {:?}", outcome.error));
        assert_eq!(offset, good.len() as u64, "{words}");
        assert!(what.contains(words), "{what:?} does not say {words:?}");
    }
}

#[test]
fn a_packet_before_any_interface_is_damage() {
    let order = Order::Big;
    for packet in [
        order.enhanced(0, 1, b"x"),
        order.simple(1, b"x"),
        order.obsolete(0, 0, 1, b"x"),
    ] {
        let outcome = read(&[order.section(), packet].concat());
        assert_eq!(
            outcome.corrupt(),
            Some((28, "a packet from interface 0, when 0 are described"))
        );
    }
}

#[test]
fn broken_options_do_not_cost_the_packets() {
    let order = Order::Little;
    // Says that its value has 60000 bytes.
    let broken = [order.u16(TSRESOL), order.u16(60_000)].concat();
    // No value at all.
    let empty = order.option(TSRESOL, &[]);
    for options in [broken, empty] {
        let outcome = read(
            &[
                order.section(),
                order.interface(1, 0, &[options]),
                order.enhanced(0, 3, b"x"),
            ]
            .concat(),
        );
        assert!(outcome.error.is_none());
        assert_eq!(outcome.frames[0].nanos, 3_000);
    }
}

#[test]
fn interfaces_without_end_do_not_fill_the_memory() {
    let order = Order::Little;
    let mut bytes = order.section();
    for _ in 0..=65_536 {
        bytes.extend(order.interface(1, 0, &[]));
    }
    let outcome = super::drain(
        imwarden::capture::open_reader(Box::new(std::io::Cursor::new(bytes)), "many"),
        0,
    );
    assert_eq!(
        outcome.corrupt().map(|(offset, _)| offset),
        Some(28 + 65_536 * 20)
    );
}
