//! What the tests of this family share.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::classify::{Claim, Detector, Events, Probe, ProbeInput, Start};
use crate::model::{Direction, Event};

/// A packet with the version in big-endian order and vendor and session id 0.
pub fn packet(version: u16, service: u16, status: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = b"YMSG".to_vec();
    bytes.extend(version.to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    bytes.extend(service.to_be_bytes());
    bytes.extend(status.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(body);
    bytes
}

/// A body: `1=alice&5=bob` with the separators of the wire.
pub fn body(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (key, value) in text.split('&').filter_map(|pair| pair.split_once('=')) {
        for part in [key, value] {
            bytes.extend(part.as_bytes());
            bytes.extend([0xC0, 0x80]);
        }
    }
    bytes
}

pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
        .collect()
}

pub fn input(bytes: &[u8], start: Start, ended: bool) -> ProbeInput<'_> {
    ProbeInput {
        direction: Direction::ToServer,
        bytes,
        start,
        wire_len: bytes.len(),
        ended,
        server_port: 40_000,
        expected: None,
        signatures: None,
    }
}

/// Asks like the engine: again whenever enough bytes have come, cut into pieces of `step` bytes.
pub fn ask(detector: &dyn Detector, bytes: &[u8], start: Start, step: usize) -> Probe {
    let (mut base, mut want, mut have, mut now) = (0, 1, 0, start);
    while have < bytes.len() {
        have = (have + step).min(bytes.len());
        let ended = have == bytes.len();
        if have - base < want && !ended {
            continue;
        }
        match detector.probe(&input(&bytes[base..have], now, false)) {
            Probe::NeedMore { from, total } => {
                assert!(total > have - base, "must ask for more than it has");
                assert!(from <= have - base && (from == 0 || start != Start::Beginning));
                want = total - from;
                base += from;
                if from > 0 {
                    now = Start::Later;
                }
            }
            Probe::Likely(claim) => return Probe::Likely(shift(claim, base)),
            Probe::Certain(claim) => return Probe::Certain(shift(claim, base)),
            Probe::No => return Probe::No,
        }
    }
    match detector.probe(&input(&bytes[base..], now, true)) {
        Probe::Likely(claim) => Probe::Likely(shift(claim, base)),
        Probe::Certain(claim) => Probe::Certain(shift(claim, base)),
        other => other,
    }
}

fn shift(mut claim: Claim, by: usize) -> Claim {
    claim.offset += by;
    claim
}

/// Asks in many cuts; all must agree.
pub fn verdict(detector: &dyn Detector, bytes: &[u8], start: Start) -> Probe {
    let whole = ask(detector, bytes, start, bytes.len().max(1));
    for step in [1, 3, 4, 7] {
        assert_eq!(ask(detector, bytes, start, step), whole, "cut into {step}");
    }
    whole
}

pub fn claim_of(probe: Probe) -> Claim {
    match probe {
        Probe::Likely(claim) | Probe::Certain(claim) => claim,
        other => panic!("no claim: {other:?}"),
    }
}

/// Feeds a dissector with these turns in many cuts; all must tell the same.
pub fn events(detector: &dyn Detector, turns: &[(Direction, Vec<u8>)]) -> Vec<Event> {
    let first = turns.first().unwrap();
    let claim = claim_of(verdict(detector, &first.1, Start::Beginning));
    let run = |step: usize| {
        let mut dissector = detector.dissector(&claim);
        let mut out = Events::default();
        for (direction, bytes) in turns {
            for piece in bytes.chunks(step) {
                dissector.feed(*direction, piece, &mut out);
            }
        }
        dissector.end(&mut out);
        crate::classify::testing::facts(out.drain())
    };
    let whole = run(usize::MAX);
    for step in [1, 3] {
        assert_eq!(run(step), whole, "cut into {step}");
    }
    whole
}
