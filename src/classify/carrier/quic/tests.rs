//! Keys of RFC 9001 (A.1) and RFC 9369 (A.1), and frames in any order. `tests/quic.rs` has the packets.
#![allow(clippy::unwrap_used)]

use super::crypto::Crypto;
use super::google;
use super::initial::{derive, packets};
use super::version::Version;

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

/// Drafts 23 to 28 and 29 to 32 have examples of their own (draft-ietf-quic-tls-23 and -29, A.1).
#[test]
fn keys_of_drafts_are_as_their_examples_say() {
    let key = |number: u32| hex(&derive(Version::from_number(number).unwrap(), &DESTINATION).0);
    assert_eq!(key(0xff00_0017), "af7fd7efebd21878ff66811248983694");
    assert_eq!(key(0xff00_001b), key(0xface_b002));
    assert_eq!(key(0xff00_001d), "175257a31eb09dea9366d8bb79ad80ba");
    assert_eq!(key(0xff00_0020), key(0xff00_001d));
    assert_eq!(key(0xff00_0022), key(1));
    for number in [0, 2, 0xff00_0015, 0xff00_0023, 0xface_b003, 0x5130_3439] {
        assert_eq!(Version::from_number(number), None, "{number:#x}");
    }
    let mut keys = Version::ALL.map(|version| derive(version, &DESTINATION).0);
    keys.sort_unstable();
    assert!(keys.windows(2).all(|two| two[0] != two[1]), "no two alike");
}

/// A handshake message of Google's: these entries, each with its value.
fn chlo(entries: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut table = [b"CHLO", &(entries.len() as u16).to_le_bytes()[..], &[0, 0]].concat();
    let mut values = Vec::new();
    for (tag, value) in entries {
        values.extend_from_slice(value);
        table.extend_from_slice(*tag);
        table.extend((values.len() as u32).to_le_bytes());
    }
    [table, values].concat()
}

#[test]
fn a_hello_in_clear_text_is_read_and_its_near_misses_are_not() {
    let hello = chlo(&[
        (b"PAD\0", &[b'-'; 60]),
        (b"SNI\0", b"chat.example.com"),
        (b"UAID", b"example"),
    ]);
    let old = |version: &[u8; 4], length: [u8; 2], more: &[u8]| {
        [
            &[0x09][..],
            &[7; 8],
            version,
            &[1],
            &[9; 12],
            more,
            &[0xa0, 1],
            &length,
            &hello,
        ]
        .concat()
    };
    let late = [
        &[0xc3][..],
        b"Q046",
        &[0x50],
        &[7; 8],
        &[0, 0, 0, 1],
        &[9; 12],
        &[0xa4, 1, 0, 0],
    ]
    .concat();
    let length = hello.len() as u16;
    let late = [&late[..], &length.to_be_bytes(), &hello].concat();
    let all = [
        (30, old(b"Q030", length.to_le_bytes(), &[0])),
        (35, old(b"Q035", length.to_le_bytes(), &[])),
        (43, old(b"Q043", length.to_be_bytes(), &[0, 0, 0])),
        (46, late),
    ];
    for (version, good) in all {
        let first = google::first(&good).unwrap();
        assert_eq!((first.version, first.hello), (version, &hello[..]));
        assert_eq!(google::server_name(first.hello), Some("chat.example.com"));
        for cut in 0..good.len() {
            let first = google::first(&good[..cut]);
            let name = first.and_then(|first| google::server_name(first.hello));
            assert!(name.is_none() || name == Some("chat.example.com"), "{cut}");
        }
        let at = good.len() - hello.len();
        for (at, value) in [
            (0, 0x08),
            (0, 0x0b | 0x10),
            (0, 0xd3),
            (at, b'X'),
            (at - 3, 5),
        ] {
            let mut bytes = good.clone();
            bytes[at] = value;
            assert_eq!(
                google::first(&bytes),
                None,
                "Q{version}: byte {at} is {value:#x}"
            );
        }
    }
    assert_eq!(
        google::first(&old(b"Q044", length.to_be_bytes(), &[])),
        None
    );
    // A table that goes back, or beyond the end.
    let mut odd = hello.clone();
    odd[12..16].copy_from_slice(&500_u32.to_le_bytes());
    assert_eq!(google::server_name(&odd), None);
    odd[20..24].copy_from_slice(&900_u32.to_le_bytes());
    assert_eq!(google::server_name(&odd), None);
    assert_eq!(google::server_name(b"CHLO\xff\xff\0\0"), None);
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
            crypto.take_frames(&frames, 6);
        }
        assert_eq!(crypto.beginning(), message, "from {start}");
    }
    let mut crypto = Crypto::default();
    crypto.take_frames(&frame(0, b"first"), 6);
    crypto.take_frames(&frame(0, b"other"), 6);
    crypto.take_frames(&frame(3, b"XXyes"), 6);
    assert_eq!(crypto.beginning(), b"firstyes");
}

#[test]
fn what_never_becomes_whole_is_bounded() {
    let mut crypto = Crypto::default();
    for n in 0..2000 {
        crypto.take_frames(&frame(1 + n * 8, &[7; 4]), 6);
    }
    assert!(crypto.is_full() && crypto.beginning().is_empty());
    assert!(crypto.memory() < 16 * 1024, "{}", crypto.memory());
    // Beyond all bounds, cut, and unknown: passed over.
    crypto.take_frames(
        &[6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0],
        6,
    );
    crypto.take_frames(&[2, 0xff], 6);
    crypto.take_frames(&[0x1c, 0, 0, 0], 6);
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
