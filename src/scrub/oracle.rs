//! What the program makes of some frames.

use super::names;
use crate::capture::{Memory, Record};
use crate::model::{Confidence, Endpoint, Finding, FiveTuple, Service};
use crate::pipeline::{self, Settings};
use crate::ruleset::RuleSet;
use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;

/// What the oracle works with: enough for what a group holds, and soon thrown away.
const MEMORY: usize = 64 << 20;

/// How much of what is told must stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Everything but what is counted.
    Everything,
    /// What the flow is and how sure that is.
    Name,
}

/// What is told of one flow, but for counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    tuple: FiveTuple,
    service: Option<Service>,
    app_proto: Option<&'static str>,
    role: Option<&'static str>,
    confidence: Option<Confidence>,
    rest: Option<Rest>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rest {
    carriers: Vec<&'static str>,
    accounts: usize,
    peers: bool,
    /// Whom it names; not of short names, which may not be told by theirs.
    names: BTreeSet<String>,
    client: bool,
    announced: bool,
    features: BTreeSet<String>,
    risks: BTreeSet<&'static str>,
}

impl Verdict {
    /// Of a finding.
    pub fn of(finding: &Finding, level: Level) -> Self {
        let rest = || Rest {
            carriers: finding.carriers.clone(),
            accounts: finding.accounts.len(),
            peers: !finding.peers.is_empty(),
            names: finding
                .accounts
                .union(&finding.peers)
                .filter(|name| names::is_told(name))
                .cloned()
                .collect(),
            client: finding.client.is_some(),
            announced: finding.learned_from.is_some(),
            features: finding.features.clone(),
            risks: finding.risks.keys().copied().collect(),
        };
        Self {
            tuple: finding.tuple,
            service: finding.service.clone(),
            app_proto: finding.app_proto,
            role: finding.role,
            confidence: finding.confidence,
            rest: (level == Level::Everything).then(rest),
        }
    }

    /// The same of somebody else.
    #[must_use]
    pub fn anonymous(mut self) -> Self {
        if let Some(rest) = &mut self.rest {
            rest.names.clear();
        }
        self
    }

    fn order(&self) -> (u8, Endpoint, Endpoint) {
        let FiveTuple {
            transport,
            client,
            server,
        } = self.tuple;
        (transport as u8, client.min(server), client.max(server))
    }
}

/// Verdicts in an order that does not depend on which flow is told first.
pub fn in_order(mut verdicts: Vec<Verdict>) -> Vec<Verdict> {
    verdicts.sort_by_key(Verdict::order);
    verdicts
}

/// What is told of these frames.
pub fn ask(bytes: &[u8], records: &[Record], rules: &RuleSet, level: Level) -> Vec<Verdict> {
    let mut source = Memory::new(bytes, records);
    let mut verdicts = Vec::new();
    let settings = Settings {
        memory: MEMORY,
        ..Settings::default()
    };
    pipeline::run(
        &mut source,
        rules,
        settings,
        &AtomicBool::new(false),
        &mut |_| {},
        &mut |finding: Finding| verdicts.push(Verdict::of(&finding, level)),
    );
    in_order(verdicts)
}
