//! The certificate: what a policy did to each flow of a capture.

use super::Candidate;
use crate::cli::observe::Flow;
use crate::model::Finding;
use crate::policy::prove::{Backend, Fate};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// What became of a flow under a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    /// None of its payload, or nothing at all, came through.
    Blocked,
    /// It began, and did not go on.
    Cut,
    /// All of it came through.
    Passed,
}

impl Outcome {
    const fn word(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Cut => "cut",
            Self::Passed => "passed",
        }
    }
}

/// How a flow counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Group {
    Messenger,
    Spared,
    Unsure,
    Other,
}

impl Outcome {
    const fn of(fate: &Fate) -> Self {
        match fate {
            Fate { refused: 0, .. } => Self::Passed,
            Fate { arrived: 0, .. } => Self::Blocked,
            _ => Self::Cut,
        }
    }
}

/// One flow in the certificate.
#[derive(Debug, Serialize)]
struct FlowLine {
    flow_id: u64,
    proto: &'static str,
    src: String,
    dest: String,
    verdict: Option<String>,
    group: Group,
    payload_packets_before: u64,
    payload_packets_after: u64,
    outcome: Outcome,
    rule: Option<String>,
}

/// Blocked and cut of so many.
#[derive(Debug, Default, Serialize)]
struct Counted {
    flows: u64,
    blocked: u64,
    cut: u64,
    passed: u64,
}

impl Counted {
    fn count(&mut self, outcome: Outcome) {
        self.flows += 1;
        *match outcome {
            Outcome::Blocked => &mut self.blocked,
            Outcome::Cut => &mut self.cut,
            Outcome::Passed => &mut self.passed,
        } += 1;
    }

    fn touched(&self) -> u64 {
        self.blocked + self.cut
    }
}

/// One capture, one policy, one firewall.
#[derive(Debug, Serialize)]
pub struct Certificate {
    capture: String,
    policy: &'static str,
    backend: &'static str,
    /// It decides the exit code; others are for comparison.
    pub decides: bool,
    /// Flows as sure as asked for.
    messengers: Counted,
    /// Those of them that the policy leaves alone, and that must pass.
    left_alone: Counted,
    /// Flows of messengers that are less sure.
    unsure: Counted,
    /// All others.
    others: Counted,
    /// Flows that do not pass a router without any rules either, such as to multicast addresses.
    not_replayed: u64,
    pub proven: bool,
    flows: Vec<FlowLine>,
}

/// Holds what became of each flow against what became of it without rules.
pub fn certify(
    capture: &Path,
    candidate: &Candidate,
    backend: Backend,
    flows: &[Flow],
    before: &BTreeMap<u64, Fate>,
    after: &BTreeMap<u64, Fate>,
) -> Certificate {
    let (mut messengers, mut left_alone) = (Counted::default(), Counted::default());
    let (mut unsure, mut others) = (Counted::default(), Counted::default());
    let (mut not_replayed, mut lines) = (0, Vec::new());
    for Flow { finding, named, .. } in flows {
        let (Some(was), Some(is)) = (before.get(&finding.flow_id), after.get(&finding.flow_id))
        else {
            not_replayed += 1;
            continue;
        };
        if was.refused > 0 || was.sent == 0 {
            not_replayed += 1;
            continue;
        }
        let outcome = Outcome::of(is);
        let group = match (named, &finding.service) {
            (true, _) if candidate.spares(&finding.tuple) => Group::Spared,
            (true, _) => Group::Messenger,
            (false, Some(_)) => Group::Unsure,
            (false, None) => Group::Other,
        };
        match group {
            Group::Messenger => messengers.count(outcome),
            Group::Spared => left_alone.count(outcome),
            Group::Unsure => unsure.count(outcome),
            Group::Other => others.count(outcome),
        }
        lines.push(line(finding, was, is, group));
    }
    let proven = messengers.blocked == messengers.flows
        && left_alone.touched() == 0
        && others.touched() == 0;
    Certificate {
        capture: capture.display().to_string(),
        policy: candidate.name,
        backend: backend.name(),
        decides: candidate.decides,
        messengers,
        left_alone,
        unsure,
        others,
        not_replayed,
        proven,
        flows: lines,
    }
}

fn line(finding: &Finding, was: &Fate, is: &Fate, group: Group) -> FlowLine {
    FlowLine {
        flow_id: finding.flow_id,
        proto: finding.tuple.transport.name(),
        src: finding.tuple.client.to_string(),
        dest: finding.tuple.server.to_string(),
        verdict: finding.verdict(),
        group,
        payload_packets_before: was.arrived,
        payload_packets_after: is.arrived,
        outcome: Outcome::of(is),
        rule: is.rule.clone(),
    }
}

/// For reading.
pub fn text(
    certificates: &[Certificate],
    verbose: bool,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let mut capture = "";
    for it in certificates {
        if capture != it.capture {
            capture = &it.capture;
            writeln!(out, "{capture}, replayed through this kernel's firewall")?;
        }
        writeln!(
            out,
            "  {} ({}): messenger flows blocked {} of {}, other flows touched {} of {}",
            it.policy,
            it.backend,
            it.messengers.blocked,
            it.messengers.flows,
            it.others.touched(),
            it.others.flows
        )?;
        if it.messengers.cut > 0 {
            writeln!(out, "    cut after they had begun: {}", it.messengers.cut)?;
        }
        if it.left_alone.flows > 0 {
            writeln!(
                out,
                "    messenger flows that it leaves alone: {} of {} touched",
                it.left_alone.touched(),
                it.left_alone.flows
            )?;
        }
        if it.unsure.flows > 0 {
            writeln!(
                out,
                "    less sure to be a messenger's: {} of {} touched, counted with neither",
                it.unsure.touched(),
                it.unsure.flows
            )?;
        }
        if it.not_replayed > 0 {
            writeln!(
                out,
                "    pass no router without rules either, and were left out: {}",
                it.not_replayed
            )?;
        }
        if it.decides {
            let verdict = match (it.proven, it.messengers.flows) {
                (true, 0) => "NOTHING TO BLOCK, nothing touched",
                (true, _) => "PROVEN",
                (false, _) => "NOT PROVEN",
            };
            writeln!(out, "    {verdict}")?;
        }
        for flow in it.flows.iter().filter(|flow| wanted(flow, it, verbose)) {
            writeln!(
                out,
                "    flow {}: {} {} -> {}, {}: {}, {} of {} packets with payload came through{}",
                flow.flow_id,
                flow.proto,
                flow.src,
                flow.dest,
                flow.verdict.as_deref().unwrap_or("no messenger"),
                flow.outcome.word(),
                flow.payload_packets_after,
                flow.payload_packets_before,
                flow.rule
                    .as_ref()
                    .map(|rule| format!(", by {rule}"))
                    .unwrap_or_default()
            )?;
        }
    }
    Ok(())
}

/// Flows that the reader must see: all if asked for, else those that speak against the policy.
fn wanted(flow: &FlowLine, of: &Certificate, verbose: bool) -> bool {
    let against = match flow.group {
        Group::Messenger => flow.outcome != Outcome::Blocked,
        Group::Other | Group::Spared => flow.outcome != Outcome::Passed,
        Group::Unsure => false,
    };
    verbose || (of.decides && against)
}
