//! Whole streams, from the protocol's own rules. Lengths are computed, so that names can be changed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod gateway;
mod joined;
mod others;
mod peers;
mod sessions;

use crate::classify::msn::DETECTORS;
use crate::classify::{Claim, Events, Probe, ProbeInput, Start};
use crate::model::{Confidence, Direction, Event, Format};

/// The detector that claimed, its claim, and whether it was certain.
type Verdict = Option<(usize, Claim, bool)>;

/// Asks every detector with growing input, as the engine does.
fn ask(
    bytes: &[u8],
    direction: Direction,
    start: Start,
    expected: Option<&'static str>,
    step: usize,
) -> Verdict {
    let mut verdict = None;
    for (index, detector) in DETECTORS.iter().enumerate() {
        let mut end = 0;
        let mut wanted = 1;
        while end < bytes.len() {
            end = (end + step).min(bytes.len());
            if end < wanted {
                continue;
            }
            let bytes = &bytes[..end];
            let wire_len = end;
            let input = ProbeInput {
                direction,
                bytes,
                start,
                wire_len,
                ended: false,
                server_port: 1863,
                expected,
                signatures: None,
            };
            let (claim, certain) = match detector.probe(&input) {
                Probe::No => break,
                Probe::NeedMore { from, total } => {
                    assert!(from <= end && total > end && (from == 0 || start != Start::Beginning));
                    wanted = total;
                    continue;
                }
                Probe::Likely(claim) => (claim, false),
                Probe::Certain(claim) => (claim, true),
            };
            assert!(
                verdict.is_none(),
                "two detectors claim {}",
                String::from_utf8_lossy(bytes)
            );
            verdict = Some((index, claim, certain));
            break;
        }
    }
    verdict
}

/// The same verdict for every cut.
fn verdict(bytes: &[u8], direction: Direction, start: Start) -> Verdict {
    let whole = ask(bytes, direction, start, None, bytes.len().max(1));
    for step in [1, 3] {
        assert_eq!(
            ask(bytes, direction, start, None, step),
            whole,
            "pieces of {step}"
        );
    }
    whole
}

fn is_nothing(bytes: &[u8]) {
    for start in [Start::Beginning, Start::Joined, Start::Later] {
        for direction in Direction::BOTH {
            assert_eq!(
                verdict(bytes, direction, start),
                None,
                "{start:?} {}",
                String::from_utf8_lossy(bytes)
            );
        }
    }
}

/// Follows a conversation cut in pieces.
fn follow(claim: (usize, &Claim), turns: &[(Direction, Vec<u8>)], step: usize) -> Vec<Event> {
    let mut dissector = DETECTORS[claim.0].dissector(claim.1);
    let mut out = Events::default();
    for (direction, bytes) in turns {
        for piece in bytes.chunks(step) {
            dissector.feed(*direction, piece, &mut out);
        }
    }
    dissector.end(&mut out);
    crate::classify::testing::facts(out.drain())
}

/// Verdict on the first turn and all events, the same for every cut.
fn converse(turns: &[(Direction, Vec<u8>)]) -> (Claim, bool, Vec<Event>) {
    let (direction, bytes) = &turns[0];
    let (index, claim, certain) = verdict(bytes, *direction, Start::Beginning).expect("a claim");
    let whole = follow((index, &claim), turns, 1 << 20);
    for step in [1, 3] {
        assert_eq!(
            follow((index, &claim), turns, step),
            whole,
            "pieces of {step}"
        );
    }
    (claim, certain, whole)
}

fn turn(direction: Direction, text: &str) -> (Direction, Vec<u8>) {
    (direction, text.as_bytes().to_vec())
}

fn accounts(events: &[Event]) -> Vec<&str> {
    events
        .iter()
        .filter_map(|e| {
            if let Event::Account(name) = e {
                Some(name.as_str())
            } else {
                None
            }
        })
        .collect()
}

fn peers(events: &[Event]) -> Vec<&str> {
    events
        .iter()
        .filter_map(|e| {
            if let Event::Peer(name) = e {
                Some(name.as_str())
            } else {
                None
            }
        })
        .collect()
}

fn confirmed(events: &[Event]) -> Option<&Format> {
    events.iter().find_map(|event| match event {
        Event::Identified {
            format,
            confidence: Confidence::Confirmed,
            ..
        } => Some(format),
        _ => None,
    })
}

fn message(head: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    let mut payload = format!("MIME-Version: 1.0\r\nContent-Type: {kind}\r\n\r\n").into_bytes();
    payload.extend_from_slice(body);
    let mut message = format!("{head} {}\r\n", payload.len()).into_bytes();
    message.extend_from_slice(&payload);
    message
}
