//! Noise and malice: nothing is named, nothing breaks.

use super::streams::*;
use super::{DETECTORS, DOWN, UP, decide, input};
use crate::classify::{Claim, Events, Probe, Start};
use crate::model::{Evidence, Format};

/// Marsaglia's xorshift: the same noise in every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % limit
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let noise = self.next().to_le_bytes();
            chunk.copy_from_slice(&noise[..chunk.len()]);
        }
    }
}

#[test]
fn noise_is_never_named() {
    let mut noise = Noise(0x1234_5678_9ABC_DEF1);
    let heads: [&[u8]; 6] = [
        b"",
        b"*\x01",
        b"*\x02",
        b"*\x05",
        b"*\x02\0\x01\0\x20",
        b"OFT2\x01\0\x01\x01",
    ];
    let mut window = [0; 160];
    for round in 0..200_000 {
        noise.fill(&mut window);
        let head = heads[round % heads.len()];
        window[..head.len()].copy_from_slice(head);
        let start = [Start::Beginning, Start::Joined, Start::Later][round % 3];
        for detector in DETECTORS {
            let answer = detector.probe(&input(&window, start, true));
            assert_eq!(
                answer,
                Probe::No,
                "{} in round {round}: {window:02x?}",
                detector.name()
            );
        }
    }
}

/// Every stream of the other tests, with bytes changed, cut out and put in.
fn damaged(noise: &mut Noise) -> Vec<u8> {
    let parts = [
        hello(1),
        server_hello(),
        cookie_hello(),
        key_request(),
        key_answer(),
        md5_login(true),
        login_answer("192.0.2.1:1", Some(0)),
        roast_hello(),
        channel_4_answer(),
        message_to("bob"),
        message_from("bob"),
        file_offer(),
        toc_client(),
        toc_line("IM_IN:bob:F:x"),
        toc_line("RVOUS_PROPOSE:a:b:c:d:e"),
        oft(0x0101, 300, 0),
        oft(0x0202, 300, 0),
        odc("alice", b"<BINARY>"),
        ars_create(),
        ars_created(),
        ars_ready(),
    ];
    let mut stream = Vec::new();
    for _ in 0..6 {
        stream.extend(&parts[noise.below(parts.len())]);
    }
    for _ in 0..noise.below(6) {
        let at = noise.below(stream.len());
        match noise.below(3) {
            0 => stream[at] = u8::try_from(noise.next() & 0xFF).unwrap(),
            1 => drop(stream.drain(at..(at + noise.below(40)).min(stream.len() - 1).max(at))),
            _ => stream.insert(at, 0xFF),
        }
    }
    stream
}

#[test]
fn damaged_streams_break_nothing() {
    let mut noise = Noise(0xDEAD_BEEF_0BAD_F00D);
    for _ in 0..1500 {
        let stream = damaged(&mut noise);
        let claim = Claim {
            format: Format::other("x"),
            offset: 0,
            sender_is_client: None,
            evidence: Evidence::payload("x", ""),
        };
        for detector in DETECTORS {
            let mut dissector = detector.dissector(&claim);
            let mut out = Events::default();
            let mut rest = &stream[..];
            while !rest.is_empty() {
                let (chunk, next) = rest.split_at((1 + noise.below(200)).min(rest.len()));
                let direction = if noise.below(4) == 0 { UP } else { DOWN };
                dissector.feed(direction, chunk, &mut out);
                if noise.below(8) == 0 {
                    dissector.gap(direction, noise.next() >> noise.below(64), &mut out);
                }
                rest = next;
            }
            dissector.end(&mut out);
        }
    }
}

/// A damaged stream, too, is judged by its bytes and not by its segments.
#[test]
fn damaged_streams_are_judged_alike_however_they_are_cut() {
    let mut noise = Noise(0x0123_4567_89AB_CDEF);
    for _ in 0..300 {
        let stream = damaged(&mut noise);
        for start in [Start::Beginning, Start::Joined] {
            for detector in DETECTORS {
                let whole = super::ask(*detector, &stream, start, stream.len())
                    .map(|found| (found.certain, found.claim));
                for cut in [1, 5, 64] {
                    let parts = super::ask(*detector, &stream, start, cut)
                        .map(|found| (found.certain, found.claim));
                    assert_eq!(
                        parts,
                        whole,
                        "{} cut into {cut}: {stream:02x?}",
                        detector.name()
                    );
                }
            }
        }
    }
}

#[test]
fn floods_of_names_are_cut_off() {
    let mut stream = hello(1);
    for number in 0..2000 {
        stream.extend(message_to(&format!("bob{number}")));
        stream.extend(data(
            1,
            0x17,
            3,
            &login_answer(&format!("192.0.2.1:{}", number + 1), None)[16..],
        ));
        stream.extend(data(
            1,
            0x17,
            6,
            &tlv(1, format!("alice{number}").as_bytes()),
        ));
    }
    let found = decide(&stream, Start::Beginning, 1460).unwrap();
    let mut dissector = found.detector.dissector(&found.claim);
    let mut out = Events::default();
    dissector.feed(UP, &stream, &mut out);
    let facts = crate::classify::testing::facts(out.drain());
    assert!(facts.len() < 400, "{} facts", facts.len());
}

#[test]
fn candidates_without_end_cost_no_more_than_their_length() {
    // Each `*` could be a sign-on whose TLVs run for thousands of bytes.
    let stream = hex("2a01000110000000000100060001").repeat(1200);
    let begin = std::time::Instant::now();
    assert!(decide(&stream, Start::Joined, 100).is_none());
    assert!(begin.elapsed().as_secs() < 20, "quadratic");
}
