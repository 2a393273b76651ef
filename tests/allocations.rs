//! A packet of a flow that nobody knows, or that nobody looks at any more, allocates nothing.
#![allow(clippy::unwrap_used)]

use imwarden::classify::engine::Engine;
use imwarden::flow::{Timeouts, Tracker};
use imwarden::model::{LinkType, Timestamp};
use imwarden::packet::{Decoded, FrameMeta, decode};
use imwarden::ruleset::RuleSet;

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
/// Flows of each kind.
const FLOWS: u16 = 200;

/// Ethernet, IPv4 and a transport segment between client and server number `flow`.
fn frame(flow: u16, up: bool, protocol: u8, segment: &[u8]) -> Vec<u8> {
    let [high, low] = flow.to_be_bytes();
    let (client, server) = ([10, 0, high, low], [198, 51, 100, 7]);
    let [from, to] = if up {
        [client, server]
    } else {
        [server, client]
    };
    let total = u16::try_from(20 + segment.len()).unwrap().to_be_bytes();
    [
        &[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0][..],
        &total,
        &[0, 0, 0x40, 0, 64, protocol, 0, 0],
        &from,
        &to,
        segment,
    ]
    .concat()
}

fn ports(up: bool, server: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (40_000_u16.to_be_bytes(), server.to_be_bytes());
    if up { [a, b, c, d] } else { [c, d, a, b] }
}

fn tcp(flow: u16, up: bool, seq: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let seq = seq.to_be_bytes();
    let rest = [0, 0, 0, 1, 5 << 4, flags, 255, 255, 0, 0, 0, 0];
    let segment = [&ports(up, 9000)[..], &seq, &rest, payload].concat();
    frame(flow, up, 6, &segment)
}

fn udp(flow: u16, up: bool, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap().to_be_bytes();
    let segment = [&ports(up, 9000)[..], &length, &[0, 0], payload].concat();
    frame(flow, up, 17, &segment)
}

/// Bytes of no protocol, other ones for each number (xorshift64).
fn noise(number: u64, length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ (number + 1).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let byte = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[0]
    };
    (0..length).map(byte).collect()
}

const SIZE: usize = 1000;

/// The segment or datagram number `turn` of a flow: both sides speak in turn.
fn said(flow: u16, turn: u32, is_tcp: bool) -> Vec<u8> {
    let up = turn.is_multiple_of(2);
    let payload = noise(u64::from(flow) << 32 | u64::from(turn), SIZE);
    if is_tcp {
        let at = 1001 + turn / 2 * u32::try_from(SIZE).unwrap();
        tcp(flow, up, at, ACK, &payload)
    } else {
        udp(flow, up, &payload)
    }
}

struct Run {
    what: &'static str,
    /// What each flow begins with.
    opening: Vec<Vec<u8>>,
    /// What is then to cost nothing.
    steady: Vec<Vec<u8>>,
    /// Whether the flows are given up by then.
    given_up: bool,
}

/// Turns `from..to` of all flows, one turn after the other.
fn turns(from: u32, to: u32, is_tcp: bool) -> Vec<Vec<u8>> {
    let flows = |turn| (0..FLOWS).map(move |flow| said(flow, turn, is_tcp));
    (from..to).flat_map(flows).collect()
}

fn handshakes() -> Vec<Vec<u8>> {
    let handshake = |flow| {
        [
            tcp(flow, true, 1000, SYN, &[]),
            tcp(flow, false, 1000, SYN | ACK, &[]),
        ]
    };
    (0..FLOWS).flat_map(handshake).collect()
}

fn runs() -> Vec<Run> {
    let acknowledgements = |_| (0..FLOWS).map(|flow| tcp(flow, true, 1001, ACK, &[]));
    vec![
        Run {
            what: "TCP without payload",
            opening: handshakes(),
            steady: (0..10).flat_map(acknowledgements).collect(),
            given_up: false,
        },
        Run {
            what: "TCP that was joined in the middle and is searched",
            opening: turns(0, 8, true),
            steady: turns(8, 60, true),
            given_up: false,
        },
        Run {
            what: "TCP that was given up",
            opening: [handshakes(), turns(0, 8, true)].concat(),
            steady: turns(8, 60, true),
            given_up: true,
        },
        Run {
            what: "UDP that is still looked at",
            opening: turns(0, 4, false),
            steady: turns(4, 30, false),
            given_up: false,
        },
        Run {
            what: "UDP that was given up",
            opening: turns(0, 33, false),
            steady: turns(33, 60, false),
            given_up: true,
        },
    ]
}

fn feed(tracker: &mut Tracker<Engine<'_>>, frames: &[Vec<u8>], first: u64) {
    for (number, data) in (first..).zip(frames) {
        let meta = FrameMeta {
            number,
            timestamp: Timestamp::from_nanos(1_000_000_000),
            link: LinkType::ETHERNET,
            wire_len: u32::try_from(data.len()).unwrap(),
        };
        if let Decoded::Packet(packet) = decode(meta, data) {
            tracker.packet(&packet);
        }
    }
}

#[test]
fn packets_of_unknown_flows_allocate_nothing() {
    let rules = RuleSet::builtin().unwrap();
    for run in runs() {
        let engine = Engine::new(&rules, 1 << 20, false, true);
        let mut tracker = Tracker::new(engine, 256 << 20, Timeouts::default(), 1);
        feed(&mut tracker, &run.opening, 1);
        assert_eq!(tracker.stats().flows, u64::from(FLOWS), "{}", run.what);
        let given_up = tracker.handler().given_up();
        assert_eq!(
            given_up == u64::from(FLOWS),
            run.given_up,
            "{}: {given_up} given up",
            run.what
        );
        let counted = allocation_counter::measure(|| feed(&mut tracker, &run.steady, 10_000));
        assert_eq!(
            counted.count_total,
            0,
            "{}: of {} packets",
            run.what,
            run.steady.len()
        );
    }
}
