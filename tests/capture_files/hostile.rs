//! Whatever the bytes: no panic, no hang, no more memory than the limits allow.

use super::build::{BOTH, Order};
use super::compressed::{gzip, zstd};
use super::{Outcome, drain, read};
use imwarden::capture::open_reader;
use proptest::prelude::*;
use std::io::{Cursor, Read};

fn captures() -> Vec<Vec<u8>> {
    let mut captures = Vec::new();
    for order in BOTH {
        captures.push(
            [
                order.pcap_header(0xa1b2_c3d4, 1),
                order.pcap_record(1, 2, &[3; 70]),
                order.pcap_record(1, 3, &[4; 9]),
            ]
            .concat(),
        );
        captures.push(
            [
                order.section(),
                order.interface(
                    1,
                    64,
                    &[
                        order.option(9, &[6]),
                        order.option(14, &[0; 8]),
                        order.option(0, &[]),
                    ],
                ),
                order.enhanced(0, 1, &[5; 33]),
                order.simple(9, &[6; 9]),
                order.statistics(0, &[order.option(5, &order.u64(1))]),
                order.obsolete(0, 1, 2, &[7; 5]),
                order.block(0x0bad, &[8; 12]),
            ]
            .concat(),
        );
    }
    captures.push(gzip(&captures[1]));
    captures.push(zstd(&captures[1]));
    captures
}

/// For compressed input, which may unpack to any length; `drain` holds it to an end.
fn piped(bytes: Vec<u8>) -> Outcome {
    drain(
        open_reader(Box::new(Cursor::new(bytes)), "hostile"),
        1 << 20,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn changed_bytes(which in 0_usize..6, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = captures().swap_remove(which);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        piped(bytes);
    }

    #[test]
    fn appended_bytes(which in 0_usize..4, tail in prop::collection::vec(any::<u8>(), 0..200)) {
        let capture = captures().swap_remove(which);
        let whole = piped(capture.clone());
        let longer = read(&[capture, tail].concat());
        prop_assert!(longer.frames.starts_with(&whole.frames));
    }

    #[test]
    fn random_bytes(which in 0_usize..6, keep in 0_usize..40, tail in prop::collection::vec(any::<u8>(), 0..400)) {
        let capture = captures().swap_remove(which);
        let keep = keep.min(capture.len());
        piped([&capture[..keep], &tail[..]].concat());
    }

    #[test]
    fn absurd_lengths(which in 0_usize..4, at in any::<prop::sample::Index>(), value in prop_oneof![
        Just(u32::MAX), Just(u32::MAX - 3), Just(0x8000_0000), Just(0x7fff_fffc), Just(1 << 24), Just(0), Just(1), Just(12)
    ]) {
        let mut bytes = captures().swap_remove(which);
        let at = at.index(bytes.len() / 4) * 4;
        bytes[at..at + 4].copy_from_slice(&if which < 2 { value.to_le_bytes() } else { value.to_be_bytes() });
        piped(bytes);
    }
}

/// A pipe that fails after its first bytes.
struct Failing(Cursor<Vec<u8>>);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(std::io::Error::other("the cable was pulled")),
            n => Ok(n),
        }
    }
}

#[test]
fn a_reading_error_comes_behind_the_frames_before_it() {
    let order = Order::Little;
    let bytes = [
        order.pcap_header(0xa1b2_c3d4, 1),
        order.pcap_record(1, 2, b"abc"),
        vec![1, 2, 3],
    ]
    .concat();
    let outcome = drain(
        open_reader(Box::new(Failing(Cursor::new(bytes))), "pipe"),
        10,
    );
    assert_eq!(outcome.payloads(), [b"abc"]);
    let message = outcome.error.expect("an error").to_string();
    assert!(
        message.contains("at byte 43") && message.contains("the cable was pulled"),
        "{message}"
    );
}

/// A live pipe that must not be asked for more than is needed for the next frame.
struct Live(Vec<Vec<u8>>);

impl Read for Live {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        assert!(!self.0.is_empty(), "would block for ever");
        let first = &mut self.0[0];
        let n = first.as_slice().read(buffer)?;
        first.drain(..n);
        self.0.retain(|part| !part.is_empty());
        Ok(n)
    }
}

#[test]
fn a_live_pipe_is_not_waited_for_without_need() {
    let order = Order::Little;
    let parts = vec![
        order.pcap_header(0xa1b2_c3d4, 1),
        order.pcap_record(1, 2, b"a"),
        order.pcap_record(1, 3, b"b"),
    ];
    let mut source = open_reader(Box::new(Live(parts)), "live").unwrap();
    assert_eq!(source.next_frame().unwrap().unwrap().data, b"a");
    assert_eq!(source.next_frame().unwrap().unwrap().data, b"b");
}

#[cfg(unix)]
#[test]
fn a_file_that_shrinks_while_it_is_read_ends_in_an_error() {
    use std::io::Write;
    let order = Order::Little;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&order.pcap_header(0xa1b2_c3d4, 1)).unwrap();
    let record = order.pcap_record(1, 2, &[1; 4080]);
    // 24 MiB of records of 4 KiB: three of the steps in which the length is looked at.
    for _ in 0..6144 {
        file.write_all(&record).unwrap();
    }
    let mut source = imwarden::capture::open(file.path()).unwrap();
    for _ in 0..100 {
        source.next_frame().unwrap().unwrap();
    }
    file.as_file().set_len(18 << 20).unwrap();
    let mut frames = 100_u64;
    let error = loop {
        match source.next_frame() {
            Ok(Some(frame)) => frames += frame.data.first().map_or(0, |byte| u64::from(*byte)),
            Ok(None) => panic!("no error"),
            Err(error) => break error,
        }
    };
    // (18 MiB - 24) / 4096
    assert_eq!(frames, 4607);
    assert!(error.is_truncated());
}
