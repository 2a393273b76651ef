//! Any segmentation, order within a window, repetition and overlap of the same bytes gives the same verdicts.

use super::datagrams::{Datagrams, TCP, is_fragment, is_v4, set_length};
use super::scenario;
use super::{Capture, datagrams, findings, layers, records, verdicts};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::HashMap;

/// IPv4 and TCP, both without options.
const HEADERS: usize = 40;
/// How far a segment may be ahead of its place.
const WINDOW: usize = 6;

const WINDOW_MICROS: u64 = 300_000;

/// Choices, again from the first when they run out.
struct Choices<'a> {
    of: &'a [u8],
    next: usize,
}

impl Choices<'_> {
    /// A number below `n`.
    fn below(&mut self, n: usize) -> usize {
        self.next += 1;
        let a = usize::from(self.of[self.next % self.of.len()]);
        let b = usize::from(self.of[(self.next * 7 + 3) % self.of.len()]);
        (a << 8 | b) % n.max(1)
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

fn has_payload(datagram: &[u8]) -> bool {
    is_v4(datagram)
        && !is_fragment(datagram)
        && datagram[9] == TCP
        && datagram[32] >> 4 == 5
        && datagram.len() > HEADERS
}

/// The bytes from `from` to `to` of a segment, as a segment.
fn part(datagram: &[u8], from: usize, to: usize) -> Vec<u8> {
    let (headers, payload) = datagram.split_at(HEADERS);
    let mut part = [headers, &payload[from..to]].concat();
    let seq = u32::from_be_bytes([part[24], part[25], part[26], part[27]]);
    let seq = seq.wrapping_add(u32::try_from(from).unwrap());
    part[24..28].copy_from_slice(&seq.to_be_bytes());
    if to < payload.len() {
        // The end of the stream is not told before it is there.
        part[33] &= !1;
    }
    set_length(&mut part);
    part
}

/// Every segment in pieces, some of which bring bytes of the one before again, and some come twice.
fn cut(all: Datagrams, choices: &mut Choices<'_>) -> Datagrams {
    let mut out = Datagrams::new();
    for (time, datagram) in all {
        let payload = datagram.len().saturating_sub(HEADERS);
        if !has_payload(&datagram) || choices.one_in(3) {
            out.push((time, datagram));
            continue;
        }
        let mut sent = 0;
        while sent < payload {
            let most = [1, 2, 5, 40, 1500][choices.below(5)];
            let to = payload.min(sent + 1 + choices.below(most));
            let again = if choices.one_in(4) { sent.min(20) } else { 0 };
            let from = sent - choices.below(again + 1);
            let piece = part(&datagram, from, to);
            if choices.one_in(6) {
                out.push((time, piece.clone()));
            }
            out.push((time, piece));
            sent = to;
        }
    }
    out
}

/// Some segments change places with one of the next of the same sender and connection.
fn stirred(mut all: Datagrams, choices: &mut Choices<'_>) -> Datagrams {
    let mut waiting: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
    for (at, (_, datagram)) in all.iter().enumerate() {
        if has_payload(datagram) {
            let ends = datagram[12..24].to_vec();
            waiting.entry(ends).or_default().push(at);
        }
    }
    let mut senders: Vec<_> = waiting.into_iter().collect();
    senders.sort();
    for (_, places) in senders {
        for at in 0..places.len() {
            if choices.one_in(3) {
                let other = (at + 1 + choices.below(WINDOW)).min(places.len() - 1);
                let (a, b) = (places[at], places[other]);
                let times = (all[a].0, all[b].0);
                // Nobody sends on for long when a segment is missing.
                if times.1 - times.0 > WINDOW_MICROS {
                    continue;
                }
                all.swap(a, b);
                (all[a].0, all[b].0) = times;
            }
        }
    }
    all
}

fn found(datagrams: Datagrams) -> Vec<String> {
    let capture = Capture {
        link: 1,
        records: records(datagrams, layers::ethernet),
    };
    verdicts(&findings(capture.pcap()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_bytes_give_the_same_verdicts(
        which in any::<prop::sample::Index>(),
        choices in vec(any::<u8>(), 32..400),
    ) {
        let scenarios = scenario::all();
        let scenario = which.get(&scenarios);
        let plain = datagrams(scenario);
        let mut choices = Choices { of: &choices, next: 0 };
        let mut other = cut(plain.clone(), &mut choices);
        // Where a stream begins whose opening was not captured, its first segments say.
        if scenario.talks.iter().all(|talk| talk.shown != super::Shown::WithoutOpening) {
            other = stirred(other, &mut choices);
        }
        prop_assert_eq!(found(other), found(plain), "{}", scenario.name);
    }
}
