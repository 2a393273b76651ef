//! The plan's judgement of a connection against what the kernel does with its packets.

use crate::attempts;
use crate::wrap::{Sent, Ways, Wire, tcp};
use imwarden::model::{Direction, TcpFlags, Transport};
use imwarden::policy::prove::{Firewall, Lab, Refusal};
use imwarden::policy::{Action, Attempt, Decision, Plan, Target};
use std::collections::BTreeMap;

/// How many connections were refused at once, refused by their payload, and let through; and how they were sent.
#[derive(Default)]
pub struct Score {
    pub refused: u64,
    pub by_payload: u64,
    pub passed: u64,
    pub ways: Ways,
}

const SYN: TcpFlags = flags(true, false, false);
const ACK: TcpFlags = flags(false, true, false);
const SYN_ACK: TcpFlags = flags(true, true, false);
const RST: TcpFlags = flags(false, false, true);

const fn flags(syn: bool, ack: bool, rst: bool) -> TcpFlags {
    TcpFlags {
        syn,
        ack,
        rst,
        fin: false,
    }
}

/// A name for each datagram, so that no two are put together.
fn id(flow: usize, at: usize) -> u32 {
    u32::try_from(flow * 8 + at).unwrap()
}

/// Everything that the client sends, in order, and what the plan says of it.
fn segments(
    plan: &Plan,
    target: Target,
    attempt: &Attempt,
    wire: &Wire,
    split: usize,
    flow: usize,
) -> Vec<(Sent, Decision)> {
    let judge = |payload: &[u8]| {
        let said = Attempt {
            payload: payload.to_vec(),
            ..attempt.clone()
        };
        plan.decide(&said, target)
    };
    let send = |at, seq, flags: TcpFlags, payload: &[u8]| {
        let header = tcp(seq, u32::from(flags.ack), flags);
        Sent::new(attempt, header, payload, wire, id(flow, at))
    };
    if attempt.transport == Transport::Udp {
        let datagram = send(0, 0, ACK, &attempt.payload);
        return vec![(datagram, judge(&attempt.payload))];
    }
    let mut all = vec![(send(0, 1_000, SYN, &[]), judge(&[]))];
    let (first, second) = attempt.payload.split_at(split.min(attempt.payload.len()));
    let mut seq = 1_001;
    for part in [first, second] {
        if !part.is_empty() && all.iter().all(|(_, decision)| decision.passes()) {
            all.push((send(all.len(), seq, ACK, part), judge(part)));
            seq += u32::try_from(part.len()).unwrap();
        }
    }
    all
}

/// What is different between the plan and the kernel, if anything.
pub fn compare(
    lab: &mut Lab,
    firewall: &Firewall,
    plan: &Plan,
    target: Target,
    chances: usize,
) -> Result<Score, String> {
    let mut score = Score::default();
    // What each rule should have counted by now.
    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
    for (number, (attempt, wire, split)) in attempts::all(plan, chances).into_iter().enumerate() {
        let all = segments(plan, target, &attempt, &wire, split, number);
        let wrong = |what: String| Err(format!("flow {number}: {what}: {attempt:?}, {wire:?}"));
        let most = all.iter().map(|(sent, _)| sent.pieces.len()).max();
        score.ways.note(&attempt, &wire, most.unwrap_or_default());
        for (at, (sent, decision)) in all.iter().enumerate() {
            lab.refusal().unwrap();
            let through = sent.passes(lab, Direction::ToServer);
            if through != decision.passes() {
                return wrong(format!(
                    "packet {at}: passes {through}, the plan says {decision}"
                ));
            }
            if let Some(rule) = rule(decision) {
                *expected.entry(rule).or_default() += 1;
            }
            let wanted = match (through, plan.action, attempt.transport) {
                (true, _, _) | (_, Action::Drop, _) => Refusal::Silent,
                (false, _, Transport::Tcp) => Refusal::Reset,
                (false, _, Transport::Udp) => Refusal::Unreachable,
            };
            let told = lab.refusal().unwrap();
            if told != wanted {
                return wrong(format!(
                    "packet {at}: refused with {told:?}, not {wanted:?}"
                ));
            }
        }
        let open = all.last().is_some_and(|(_, decision)| decision.passes());
        match (all.len(), open) {
            (_, true) => score.passed += 1,
            (1, false) => score.refused += 1,
            (_, false) => score.by_payload += 1,
        }
        let plain = Wire::default();
        if open && attempt.transport == Transport::Tcp {
            // The answer goes to the client's port, whosever that is.
            let answer = Attempt {
                client: attempt.server,
                server: attempt.client,
                ..attempt.clone()
            };
            let answer = Sent::new(&answer, tcp(7_000, 1_001, SYN_ACK), &[], &plain, 0);
            if !answer.passes(lab, Direction::ToClient) {
                return wrong("the answer is refused".to_owned());
            }
            // Where a messenger was seen, both ways are judged.
            let opened = Attempt {
                payload: Vec::new(),
                ..attempt.clone()
            };
            let seen = rule(&plan.decide(&opened, target))
                .filter(|rule| rule.to_lowercase().contains("seen"));
            if let Some(rule) = seen {
                *expected.entry(rule).or_default() += 1;
            }
        }
        if all.len() == 1 && !open && attempt.transport == Transport::Tcp {
            // A reset goes through, whatever it belongs to.
            let reset = Sent::new(&attempt, tcp(1_001, 0, RST), &[], &plain, 0);
            if !reset.passes(lab, Direction::ToServer) {
                return wrong("a reset is refused".to_owned());
            }
        }
    }
    // Each was counted once, by the rule that the plan names.
    let mut counted: BTreeMap<String, u64> = firewall.counters().unwrap();
    counted.retain(|_, packets| *packets > 0);
    if counted != expected {
        return Err(format!("counted: {counted:?}, and not {expected:?}"));
    }
    Ok(score)
}

/// The rule that decides, if one does.
fn rule(decision: &Decision) -> Option<String> {
    match decision {
        Decision::Passes => None,
        Decision::Refused(reason)
        | Decision::RefusedByPayload(reason)
        | Decision::Logged(reason) => Some(reason.rule.clone()),
    }
}
