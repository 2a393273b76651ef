//! The pcap format.

use super::build::{BOTH, Order};
use super::{cut_everywhere, read};
use imwarden::capture::CaptureError;
use imwarden::model::LinkType;

const MICRO: u32 = 0xa1b2_c3d4;
const NANO: u32 = 0xa1b2_3c4d;
const MODIFIED: u32 = 0xa1b2_cd34;

#[test]
fn micro_and_nanoseconds_in_both_byte_orders() {
    for order in BOTH {
        for (magic, nanos) in [
            (MICRO, 1_000_000_000_000_007_000),
            (NANO, 1_000_000_000_000_000_007),
        ] {
            let outcome = read(
                &[
                    order.pcap_header(magic, 1),
                    order.pcap_record(1_000_000_000, 7, b"first"),
                    order.pcap_record(1_000_000_001, 0, b"second"),
                ]
                .concat(),
            );
            assert!(outcome.error.is_none());
            assert_eq!(outcome.payloads(), [&b"first"[..], b"second"]);
            assert_eq!(outcome.frames[0].nanos, nanos);
            assert_eq!(outcome.frames[1].nanos, 1_000_000_001_000_000_000);
            assert_eq!(outcome.frames[0].link, LinkType::ETHERNET);
            assert_eq!(outcome.frames[0].wire_len, 5);
        }
    }
}

#[test]
fn the_modified_format_has_eight_bytes_more_a_record() {
    for order in BOTH {
        let mut record = order.words(&[5, 6, 3, 60]);
        record.extend([9, 0, 0, 0, 8, 0, 1, 0]);
        record.extend(b"abc");
        let outcome = read(&[order.pcap_header(MODIFIED, 1), record.clone(), record].concat());
        assert_eq!(outcome.payloads(), [b"abc", b"abc"]);
        assert_eq!(outcome.frames[1].nanos, 5_000_006_000);
        assert_eq!(outcome.frames[1].wire_len, 60);
    }
}

#[test]
fn the_upper_half_of_the_link_type_is_about_checksums() {
    // Frame check sequence present (bit 26), 2 times 16 bits of it (bits 28-31): the type is Linux cooked.
    let outcome = read(
        &[
            Order::Big.pcap_header(MICRO, 0x2400_0071),
            Order::Big.pcap_record(0, 0, b"x"),
        ]
        .concat(),
    );
    assert_eq!(outcome.frames[0].link, LinkType::LINUX_SLL);
}

#[test]
fn unknown_link_types_are_delivered() {
    let outcome = read(
        &[
            Order::Little.pcap_header(MICRO, 147),
            Order::Little.pcap_record(0, 0, b"x"),
        ]
        .concat(),
    );
    assert_eq!(outcome.frames[0].link, LinkType(147));
}

#[test]
fn a_capture_without_packets_is_no_error() {
    let outcome = read(&Order::Little.pcap_header(MICRO, 1));
    assert!(outcome.frames.is_empty() && outcome.error.is_none());
}

#[test]
fn cut_behind_every_byte() {
    for order in BOTH {
        let parts = [
            order.pcap_header(MICRO, 1),
            order.pcap_record(1, 2, b"hello"),
            order.pcap_record(1, 3, b""),
            order.pcap_record(1, 4, &[7; 40]),
        ];
        cut_everywhere(&parts.concat(), &[(24, 0), (45, 1), (61, 2), (117, 3)]);
    }
}

#[test]
fn says_where_the_unfinished_record_begins_and_what_it_lacks() {
    let bytes = [
        Order::Little.pcap_header(MICRO, 1),
        Order::Little.pcap_record(1, 2, &[1; 100]),
    ]
    .concat();
    assert_eq!(read(&bytes[..30]).truncated(), Some((24, 16, 6)));
    let outcome = read(&bytes[..50]);
    assert_eq!(outcome.truncated(), Some((24, 116, 26)));
    let message = outcome.error.unwrap().to_string();
    assert!(
        message.contains("at byte 24:") && message.contains("26 of 116 bytes"),
        "{message}"
    );
}

#[test]
fn a_record_of_four_gigabytes_is_damage_and_not_an_allocation() {
    for length in [u32::MAX, 0x7fff_ffff, 1 << 21] {
        let bytes = [
            Order::Little.pcap_header(MICRO, 1),
            Order::Little.pcap_record(1, 2, b"good"),
            Order::Little.words(&[1, 3, length, length]),
            vec![0; 100],
        ];
        let outcome = read(&bytes.concat());
        assert_eq!(outcome.payloads(), [b"good"]);
        let (offset, what) = outcome.corrupt().unwrap();
        assert_eq!(offset, 44);
        assert!(what.contains(&length.to_string()), "{what}");
    }
}

#[test]
fn large_segments_of_a_loopback_interface_are_no_damage() {
    let data = vec![0x5a; 300_000];
    let bytes = [
        Order::Big.pcap_header(MICRO, 1),
        Order::Big.pcap_record(1, 2, &data),
        Order::Big.pcap_record(1, 3, b"x"),
    ];
    let outcome = read(&bytes.concat());
    assert!(outcome.error.is_none());
    assert_eq!(outcome.payloads(), [&data[..], b"x"]);
}

#[test]
fn quirks_of_real_writers_are_survived() {
    let order = Order::Little;
    // Snap length 0; original length 0 or less than captured; a fraction of more than a second; a clock that
    // goes back; the last second of 2106.
    let mut header = order.pcap_header(MICRO, 1);
    header[16..20].fill(0);
    let bytes = [
        header,
        order.words(&[100, 0, 4, 0]),
        b"zero".to_vec(),
        order.words(&[50, 4_000_000_000, 4, 2]),
        b"less".to_vec(),
        order.words(&[u32::MAX, 999_999, 0, 0]),
        order.words(&[0, 0, 0, 1500]),
    ];
    let outcome = read(&bytes.concat());
    assert!(outcome.error.is_none());
    let seen: Vec<_> = outcome
        .frames
        .iter()
        .map(|f| (f.nanos, f.data.len(), f.wire_len))
        .collect();
    assert_eq!(
        seen,
        [
            (100_000_000_000, 4, 4),
            (4_050_000_000_000, 4, 4),
            (4_294_967_295_999_999_000, 0, 0),
            (0, 0, 1500)
        ]
    );
}

#[test]
fn another_version_is_named() {
    let mut bytes = Order::Big.pcap_header(MICRO, 1);
    bytes[5] = 9;
    let outcome = read(&bytes);
    assert!(matches!(outcome.error, Some(CaptureError::Corrupt { .. })));
    assert!(outcome.corrupt().unwrap().1.contains("9.4"));
}

#[test]
fn statistics_follow_the_reading() {
    let bytes = [
        Order::Big.pcap_header(MICRO, 1),
        Order::Big.pcap_record(1, 2, b"abcd"),
    ]
    .concat();
    let stats = read(&bytes).stats;
    assert_eq!(
        (stats.frames, stats.bytes, stats.position, stats.total),
        (1, 4, 44, Some(44))
    );
}
