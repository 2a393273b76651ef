//! Keys of RFC 9001 (A.1) and RFC 9369 (A.1), and frames in any order. `tests/quic.rs` has the packets.
#![allow(clippy::unwrap_used)]

use super::crypto::Crypto;
use super::initial::{Version, derive, packets};

const DESTINATION: [u8; 8] = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}

#[test]
fn keys_are_derived_as_the_standards_examples_say() {
    let (key, nonce, header) = derive(Version::V1, &DESTINATION);
    assert_eq!(hex(&key), "1f369613dd76d5467730efcbe3b1a22d");
    assert_eq!(hex(&nonce), "fa044b2f42a3fd3b46fb255c");
    assert_eq!(hex(&header), "9f50449e04a0e810283a1e9933adedd2");
    let (key, nonce, header) = derive(Version::V2, &DESTINATION);
    assert_eq!(hex(&key), "8b1a0bc121284290a29e0971b5cd045d");
    assert_eq!(hex(&nonce), "91f73e2351d8fa91660e909f");
    assert_eq!(hex(&header), "45b95e15235d6f45a6b19cbcb0294ba9");
}

fn frame(offset: u16, bytes: &[u8]) -> Vec<u8> {
    let varint = |n: u16| (n | 0x4000).to_be_bytes();
    [
        &[6][..],
        &varint(offset),
        &varint(bytes.len() as u16),
        bytes,
    ]
    .concat()
}

#[test]
fn frames_come_in_any_order_and_the_first_copy_counts() {
    let message: Vec<u8> = (0..200).collect();
    let cuts = [(0, 50), (40, 90), (90, 150), (150, 200)];
    for start in 0..cuts.len() {
        let mut crypto = Crypto::default();
        let mut order = cuts;
        order.rotate_left(start);
        for (from, to) in order.iter().rev() {
            let ping_and_ack = [1, 2, 7, 0, 1, 0, 1, 1, 0, 0];
            let frames = [
                &ping_and_ack[..],
                &frame(*from, &message[usize::from(*from)..*to]),
            ]
            .concat();
            crypto.take_frames(&frames);
        }
        assert_eq!(crypto.beginning(), message, "from {start}");
    }
    let mut crypto = Crypto::default();
    crypto.take_frames(&frame(0, b"first"));
    crypto.take_frames(&frame(0, b"other"));
    crypto.take_frames(&frame(3, b"XXyes"));
    assert_eq!(crypto.beginning(), b"firstyes");
}

#[test]
fn what_never_becomes_whole_is_bounded() {
    let mut crypto = Crypto::default();
    for n in 0..2000 {
        crypto.take_frames(&frame(1 + n * 8, &[7; 4]));
    }
    assert!(crypto.is_full() && crypto.beginning().is_empty());
    assert!(crypto.memory() < 16 * 1024, "{}", crypto.memory());
    // Beyond all bounds, cut, and unknown: passed over.
    crypto.take_frames(&[6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0]);
    crypto.take_frames(&[2, 0xff]);
    crypto.take_frames(&[0x1c, 0, 0, 0]);
}

#[test]
fn what_is_no_initial_packet_is_none() {
    let good = [&[0xc0, 0, 0, 0, 1, 0, 0, 0, 20][..], &[0; 20]].concat();
    assert_eq!(packets(&good).count(), 1);
    assert_eq!(
        packets(&[&good[..], &good].concat()).count(),
        2,
        "one behind the other"
    );
    for (at, value) in [
        (0, 0x40),
        (0, 0x80),
        (0, 0xd0),
        (0, 0xf0),
        (4, 2),
        (4, 0),
        (5, 21),
        (8, 21),
        (8, 19),
    ] {
        let mut bytes = good.clone();
        bytes[at] = value;
        assert_eq!(packets(&bytes).count(), 0, "byte {at} is {value:#x}");
    }
    for cut in 0..good.len() {
        assert_eq!(packets(&good[..cut]).count(), 0, "{cut}");
    }
}
