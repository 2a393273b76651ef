//! What the family makes of streams whose meaning is known beforehand.
#![allow(clippy::unwrap_used, clippy::panic)]

mod expect;
mod facts;
mod hostile;
mod peers;
mod recognise;
mod strangers;
mod streams;
mod talk;

use super::DETECTORS;
use crate::classify::{Claim, Detector, Events, Probe, ProbeInput, Start};
use crate::model::{Direction, Event};

/// What was decided about one direction of a stream.
struct Decision {
    certain: bool,
    claim: Claim,
    detector: &'static dyn Detector,
}

fn input(bytes: &[u8], start: Start, ended: bool) -> ProbeInput<'_> {
    ProbeInput {
        direction: Direction::ToServer,
        bytes,
        start,
        wire_len: bytes.len(),
        ended,
        server_port: 5190,
        expected: None,
        signatures: None,
    }
}

/// Asks one detector as the engine does: with more and more bytes, without those it has done with.
fn ask(
    detector: &'static dyn Detector,
    stream: &[u8],
    start: Start,
    cut: usize,
) -> Option<Decision> {
    let (mut base, mut wanted) = (0, 0);
    let mut fed = 0;
    loop {
        let ended = fed >= stream.len();
        if fed >= wanted || ended {
            let start = if base > 0 { Start::Later } else { start };
            match detector.probe(&input(&stream[base.min(fed)..fed], start, ended)) {
                Probe::No => return None,
                Probe::NeedMore { from, total } => {
                    assert!(!ended, "nothing more will come");
                    assert!(
                        base + total > fed,
                        "{} asked for what it had",
                        detector.name()
                    );
                    wanted = base + total;
                    base += from;
                }
                Probe::Likely(claim) => return Some(decision(false, claim, base, detector)),
                Probe::Certain(claim) => return Some(decision(true, claim, base, detector)),
            }
        }
        fed = (fed + cut).min(stream.len());
    }
}

fn decision(
    certain: bool,
    mut claim: Claim,
    base: usize,
    detector: &'static dyn Detector,
) -> Decision {
    claim.offset += base;
    Decision {
        certain,
        claim,
        detector,
    }
}

/// The family's decision; at most one detector may have one.
fn decide(stream: &[u8], start: Start, cut: usize) -> Option<Decision> {
    let mut found: Vec<_> = DETECTORS
        .iter()
        .filter_map(|detector| ask(*detector, stream, start, cut))
        .collect();
    assert!(found.len() <= 1, "claimed by more than one");
    found.pop()
}

/// A conversation: who said what, in order.
type Talk = Vec<(Direction, Vec<u8>)>;

const UP: Direction = Direction::ToServer;
const DOWN: Direction = Direction::ToClient;

/// Decides on the first direction that can be decided, then lets the dissector follow from the first byte.
/// Does so for several cuts, which must make no difference.
fn follow(talk: &[(Direction, Vec<u8>)], start: Start) -> Vec<Event> {
    let whole = follow_cut(talk, start, usize::MAX);
    for cut in [1, 3, 1000] {
        assert_eq!(follow_cut(talk, start, cut), whole, "cut into {cut}");
    }
    whole
}

fn follow_cut(talk: &[(Direction, Vec<u8>)], start: Start, cut: usize) -> Vec<Event> {
    let side = |wanted| -> Vec<u8> {
        talk.iter()
            .filter(|(direction, _)| *direction == wanted)
            .flat_map(|(_, bytes)| bytes.clone())
            .collect()
    };
    let size = cut.min(1 << 20);
    let decision = [UP, DOWN]
        .into_iter()
        .find_map(|direction| decide(&side(direction), start, size))
        .unwrap();
    let mut dissector = decision.detector.dissector(&decision.claim);
    let mut out = Events::default();
    for (direction, bytes) in talk {
        for chunk in bytes.chunks(size) {
            dissector.feed(*direction, chunk, &mut out);
        }
    }
    dissector.end(&mut out);
    crate::classify::testing::facts(out.drain())
}
