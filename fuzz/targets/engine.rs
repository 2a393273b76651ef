//! Conversations of several hosts through the whole program: the same bytes, cut, swapped and repeated in another way,
//! give the same findings.

use super::frames::{Memory, builtin, disturb};
use super::script::{Cuts, Step, What, hash, steps};
use imwarden::model::{Direction, Finding, LinkType, Timestamp};
use imwarden::pipeline::{self, Settings};
use std::sync::atomic::AtomicBool;

/// Server ports of the flows; the last two are UDP.
const PORTS: [u16; 8] = [5190, 1863, 5050, 80, 443, 40_000, 53, 4000];
const FIRST_UDP: usize = 6;
/// Longest gap of a stream here: longer ones are another connection to TCP.
const MOST_MISSING: u64 = 1 << 20;
/// A hole this old is given up.
const HOLE_NANOS: i64 = 4_000_000_000;

/// The first byte says which flows are seen from their beginning, the rest is a [`script`](super::script).
pub fn engine(data: &[u8]) {
    let Some((opened, rest)) = data.split_first() else {
        return;
    };
    let steps = steps(rest);
    let whole = findings(*opened, &steps, Cuts::Whole, None);
    let seed = hash(rest);
    assert_eq!(
        findings(*opened, &steps, Cuts::Ones, None),
        whole,
        "single bytes"
    );
    assert_eq!(
        findings(*opened, &steps, Cuts::Random(seed), None),
        whole,
        "pieces"
    );
    let disturbed = findings(*opened, &steps, Cuts::Random(seed + 1), Some(seed));
    assert_eq!(disturbed, whole, "pieces out of order");
}

/// What is found, as text, without what depends on packets.
fn findings(opened: u8, steps: &[Step], cuts: Cuts, disturbed: Option<u64>) -> Vec<String> {
    let frames = frames(opened, steps, cuts, disturbed);
    let mut source = Memory::new(LinkType::RAW, frames);
    let never = AtomicBool::new(false);
    let settings = Settings::default();
    let mut findings = Vec::new();
    let sink = &mut |finding| findings.push(finding);
    let analysis = pipeline::run(&mut source, builtin(), settings, &never, &mut |_| {}, sink);
    assert!(analysis.error.is_none() && analysis.summary.evictions == 0);
    findings.iter().map(said).collect()
}

fn said(finding: &Finding) -> String {
    let evidence: Vec<_> = finding
        .evidence
        .iter()
        // Of two flows of one session, each may have told the other; and which of them a fact of the session is told by
        // depends on when the first segment of a stream that was joined is let through.
        .filter(|evidence| evidence.what != "session" && finding.role != Some("gateway"))
        .map(|evidence| (evidence.kind, evidence.what))
        .collect();
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {evidence:?}",
        finding.flow_id,
        finding.tuple,
        finding.service,
        finding.app_proto,
        finding.role,
        finding.confidence,
        finding.carriers,
        finding.accounts,
        finding.peers,
        finding.client,
        finding.features,
        finding.risks.keys().collect::<Vec<_>>(),
    )
}

/// One direction of a connection.
#[derive(Clone, Copy, Default)]
struct Side {
    seq: u32,
}

/// The conversation as frames of raw IPv4.
fn frames(
    opened: u8,
    steps: &[Step],
    mut cuts: Cuts,
    disturbed: Option<u64>,
) -> Vec<(Timestamp, u32, Vec<u8>)> {
    let mut sides = [[Side { seq: 1000 }; 2]; 8];
    let mut begun = [false; 8];
    // A hole that was not passed over yet.
    let mut holes = [[false; 2]; 8];
    let mut frames = Vec::new();
    let mut clock = 0;
    for step in steps {
        clock += 1_000_000;
        let time = Timestamp::from_nanos(clock);
        let mut at_once: Vec<Vec<u8>> = Vec::new();
        let flow = step.flow;
        if flow < FIRST_UDP && !begun[flow] {
            begun[flow] = true;
            if opened & 1 << flow != 0 {
                let (up, down) = (Direction::ToServer, Direction::ToClient);
                let handshake = [
                    tcp(flow, up, 999, 0, SYN, &[]),
                    tcp(flow, down, 999, 1000, SYN | ACK, &[]),
                    tcp(flow, up, 1000, 1000, ACK, &[]),
                ];
                frames.extend(handshake.map(|frame| (time, frame)));
            }
        }
        let direction = step.direction;
        match &step.what {
            What::Bytes(bytes) if flow >= FIRST_UDP => {
                at_once.push(udp(flow, direction, &bytes[..bytes.len().min(65_000)]));
            }
            What::Bytes(bytes) => {
                let ack = sides[flow][direction.reverse().index()].seq;
                let side = &mut sides[flow][direction.index()];
                for piece in cuts.pieces(bytes) {
                    for piece in piece.chunks(65_000) {
                        at_once.push(tcp(flow, direction, side.seq, ack, ACK, piece));
                        side.seq = side.seq.wrapping_add(piece.len() as u32);
                    }
                }
            }
            What::Gap(missing) if flow < FIRST_UDP => {
                let side = &mut sides[flow][direction.index()];
                side.seq = side.seq.wrapping_add((*missing).min(MOST_MISSING) as u32);
                holes[flow][direction.index()] = true;
            }
            What::Gap(_) => {}
        }
        if let Some(seed) = disturbed.filter(|_| flow < FIRST_UDP) {
            // Where a stream that was joined begins, its first segments say.
            let first = if opened & 1 << flow == 0 { 2 } else { 0 };
            disturb(&mut at_once, first, seed);
        }
        let sent = !at_once.is_empty();
        frames.extend(at_once.into_iter().map(|frame| (time, frame)));
        // The first segments of a stream that was joined wait for others or for this; what other flows say in the meantime
        // would depend on the cuts.
        if sent && flow < FIRST_UDP && opened & 1 << flow == 0 {
            let reverse = direction.reverse();
            let (seq, ack) = (
                sides[flow][reverse.index()].seq,
                sides[flow][direction.index()].seq,
            );
            frames.push((time, tcp(flow, reverse, seq, ack, ACK, &[])));
        }
        // How long a hole is waited for depends on how many segments wait behind it. Here it is over before anything else
        // happens: the last byte is sent again when the hole is too old.
        if sent && std::mem::take(&mut holes[flow][direction.index()]) {
            clock += HOLE_NANOS;
            let (ack, last) = (
                sides[flow][direction.reverse().index()].seq,
                sides[flow][direction.index()].seq.wrapping_sub(1),
            );
            let again = tcp(flow, direction, last, ack, ACK, &[0]);
            frames.push((Timestamp::from_nanos(clock), again));
        }
    }
    let captured = frames.into_iter();
    captured
        .map(|(time, frame)| (time, frame.len() as u32, frame))
        .collect()
}

const SYN: u8 = 2;
const ACK: u8 = 16;

fn tcp(
    flow: usize,
    direction: Direction,
    seq: u32,
    ack: u32,
    flags: u8,
    payload: &[u8],
) -> Vec<u8> {
    let header = [
        &ports(flow, direction)[..],
        &seq.to_be_bytes(),
        &ack.to_be_bytes(),
        &[5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0],
    ];
    ip(flow, direction, 6, &[&header.concat(), payload].concat())
}

fn udp(flow: usize, direction: Direction, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u16 + 8).to_be_bytes();
    let header = [&ports(flow, direction)[..], &length, &[0; 2]].concat();
    ip(flow, direction, 17, &[&header, payload].concat())
}

fn ports(flow: usize, direction: Direction) -> [u8; 4] {
    let client = (50_000 + flow as u16).to_be_bytes();
    let server = PORTS[flow].to_be_bytes();
    let [from, to] = match direction {
        Direction::ToServer => [client, server],
        Direction::ToClient => [server, client],
    };
    [from[0], from[1], to[0], to[1]]
}

fn ip(flow: usize, direction: Direction, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let (client, server) = ([10, 0, 0, 5], [192, 0, 2, flow as u8 + 1]);
    let [from, to] = match direction {
        Direction::ToServer => [client, server],
        Direction::ToClient => [server, client],
    };
    let length = (payload.len() as u16 + 20).to_be_bytes();
    let start = [
        0x45, 0, length[0], length[1], 0, 0, 0x40, 0, 64, protocol, 0, 0,
    ];
    [&start[..], &from, &to, payload].concat()
}
