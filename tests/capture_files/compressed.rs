//! gzip and zstd around a capture.

use super::build::Order;
use super::{Outcome, drain, read};
use flate2::{Compression, write::GzEncoder};
use imwarden::capture::{CaptureError, open_reader};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use std::io::{Cursor, Write};

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

/// A pcap header and one record of 4 bytes, written by the `zstd` program itself (version 1.5, checksum on).
const BY_ZSTD: &[u8] = &[
    0x28, 0xb5, 0x2f, 0xfd, 0x04, 0x58, 0x0d, 0x01, 0x00, 0xa8, 0xd4, 0xc3, 0xb2, 0xa1, 0x02, 0x00,
    0x04, 0x00, 0xff, 0xff, 0x00, 0x00, 0x01, 0x00, 0x02, 0x00, 0x00, 0x61, 0x62, 0x63, 0x64, 0x04,
    0x00, 0x20, 0x40, 0xcf, 0x3b, 0x76, 0xa3, 0x10, 0x80, 0x0b, 0x10, 0x78, 0x8d, 0x31,
];

fn captures() -> [Vec<u8>; 2] {
    let order = Order::Big;
    let mut pcap = order.pcap_header(0xa1b2_c3d4, 1);
    let mut pcapng = [order.section(), order.interface(1, 0, &[])].concat();
    for i in 0..200_u8 {
        // Different enough that a decompressor hands out many pieces.
        let data: Vec<u8> = (0..1000_u32)
            .map(|k| (k.wrapping_mul(u32::from(i) + 7) >> 3) as u8)
            .collect();
        pcap.extend(order.pcap_record(u32::from(i), 1, &data));
        pcapng.extend(order.enhanced(0, u64::from(i), &data));
    }
    [pcap, pcapng]
}

fn same(plain: &Outcome, packed: &Outcome) {
    assert!(packed.error.is_none(), "{:?}", packed.error);
    assert_eq!(plain.frames, packed.frames);
}

#[test]
fn gives_the_frames_of_the_plain_file() {
    for capture in captures() {
        let plain = read(&capture);
        assert_eq!(plain.frames.len(), 200);
        for packed in [gzip(&capture), zstd(&capture)] {
            let outcome = read(&packed);
            same(&plain, &outcome);
            // Progress counts in the file and not in what comes out of it.
            assert_eq!(outcome.stats.position, packed.len() as u64);
            assert_eq!(outcome.stats.total, Some(packed.len() as u64));
        }
    }
}

#[test]
fn reads_what_the_zstd_program_writes() {
    let outcome = read(BY_ZSTD);
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    assert_eq!(outcome.payloads(), [b"abcd"]);
}

#[test]
fn a_wrong_zstd_checksum_is_told() {
    let mut bytes = BY_ZSTD.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    let outcome = read(&bytes);
    let message = outcome.error.expect("an error").to_string();
    assert!(message.contains("checksum"), "{message}");
}

#[test]
fn members_and_frames_are_joined_wherever_they_meet() {
    for capture in captures() {
        let plain = read(&capture);
        for at in [0, 1, 11, 24, 30, 5000, capture.len()] {
            let (a, b) = capture.split_at(at);
            same(&plain, &read(&[gzip(a), gzip(b)].concat()));
            // With an empty frame and a skippable one between.
            let skippable = [&[0x53, 0x2a, 0x4d, 0x18, 5, 0, 0, 0][..], b"notes"].concat();
            same(
                &plain,
                &read(&[skippable.clone(), zstd(a), zstd(b""), skippable, zstd(b)].concat()),
            );
        }
    }
}

#[test]
fn a_cut_gives_the_frames_before_it_and_counts_in_the_decompressed_data() {
    for capture in captures() {
        let plain = read(&capture);
        for packed in [gzip(&capture), zstd(&capture)] {
            for cut in (20..packed.len())
                .step_by(packed.len() / 60)
                .chain([packed.len() - 1])
            {
                let outcome = drain(
                    open_reader(Box::new(Cursor::new(packed[..cut].to_vec())), "cut"),
                    capture.len(),
                );
                assert!(plain.frames.starts_with(&outcome.frames));
                let Some(CaptureError::Truncated {
                    place,
                    needed,
                    have,
                }) = outcome.error
                else {
                    panic!("cut at {cut} of {}: {:?}", packed.len(), outcome.error);
                };
                assert!(place.decompressed && needed > have);
                let delivered = outcome.frames.len() as u64;
                // 16 or 32 bytes around each 1000, behind the file's header or, if none was there, at 0.
                let record = if capture[0] == 0xa1 { 1016 } else { 1032 };
                let header = if capture[0] == 0xa1 { 24 } else { 48 };
                assert!(
                    [0, 28, header + delivered * record].contains(&place.offset),
                    "{place}"
                );
            }
        }
    }
}

#[test]
fn damage_inside_is_an_error_behind_good_frames() {
    let [capture, _] = captures();
    let plain = read(&capture);
    for packed in [gzip(&capture), zstd(&capture)] {
        for at in (30..packed.len() - 8).step_by(packed.len() / 40) {
            let mut bytes = packed.clone();
            for byte in &mut bytes[at..at + 8] {
                *byte ^= 0xa5;
            }
            // Not necessarily found at once (only the checksum at the end is sure), but never a panic or a hang.
            let outcome = drain(
                open_reader(Box::new(Cursor::new(bytes)), "bad"),
                10 * capture.len(),
            );
            assert!(outcome.error.is_some() || outcome.frames.len() == plain.frames.len());
        }
    }
}

/// Stored blocks (RFC 1951 section 3.2.4) show what is damaged and what is not: each is a length and the bytes.
#[test]
fn frames_before_the_damage_are_delivered_whatever_the_size_of_the_buffer() {
    let order = Order::Little;
    let header = order.pcap_header(0xa1b2_c3d4, 1);
    let stored = |bytes: &[u8]| {
        let length = u16::try_from(bytes.len()).unwrap();
        [
            &[0][..],
            &length.to_le_bytes(),
            &(!length).to_le_bytes(),
            bytes,
        ]
        .concat()
    };
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    packed.extend(stored(&header));
    for number in 0..9 {
        packed.extend(stored(&order.pcap_record(number, 2, b"abc")));
    }
    // A length that contradicts its complement.
    packed.extend([0, 7, 0, 7, 0]);
    packed.resize(packed.len() + 1000, 0);
    let outcome = read(&packed);
    assert_eq!(outcome.frames.len(), 9);
    let message = outcome.error.expect("an error").to_string();
    assert!(message.contains("the gzip data is damaged"), "{message}");
}

#[test]
fn what_follows_the_compressed_data_does_not_cost_the_frames() {
    let [capture, _] = captures();
    for packed in [gzip(&capture), zstd(&capture)] {
        let outcome = read(&[packed, b"trailing rubbish".to_vec()].concat());
        assert_eq!(outcome.frames.len(), 200);
        let message = outcome.error.expect("an error").to_string();
        assert!(
            message.contains("decompressed data") && message.contains("damaged"),
            "{message}"
        );
    }
}
