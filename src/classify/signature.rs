//! The signatures of the rule files, as one more detector.
//!
//! Each is anchored: known bytes at a fixed place of what a side says first. The byte that a stream begins with tells which
//! of them to look at, so that many cost no more than few.

use super::call::{Calls, Watch};
use super::opening::Openings;
use super::{Claim, Detector, Dissector, Events, Probe, ProbeInput, Start};
use crate::model::{Confidence, Direction, Event, Evidence, Format, Service, Transport, feature};
use crate::ruleset::{BeginningRule, Match, RuleSet, Sender};
use std::sync::Arc;

/// Longest beginning of the other side that is held against what it should answer.
const MAX_OPENING: usize = 1500;
/// A beginning that says nothing alone is kept until it is that long.
const PATIENCE: usize = 512;
/// What must be known of a beginning to be believed where a stream is joined in the middle.
const JOINED_BITS: u32 = 40;
/// Datagrams that are looked at for the same.
const DATAGRAMS: u8 = 32;

/// All signatures of a rule set.
#[derive(Debug)]
pub struct Signatures {
    tcp: Compiled,
    udp: Compiled,
    calls: Calls,
}

impl Signatures {
    /// Those of these rules; `None` when there are none.
    pub fn of(rules: &RuleSet) -> Option<Self> {
        let signatures = Self {
            tcp: Compiled::of(rules, Transport::Tcp),
            udp: Compiled::of(rules, Transport::Udp),
            calls: Calls::of(rules),
        };
        let none =
            signatures.tcp.is_empty() && signatures.udp.is_empty() && signatures.calls.is_empty();
        (!none).then_some(signatures)
    }

    /// The detector for a transport, if it has anything to look for.
    pub fn detector(&self, transport: Transport) -> Option<&dyn Detector> {
        let compiled = match transport {
            Transport::Tcp => &self.tcp,
            Transport::Udp => &self.udp,
        };
        (!compiled.is_empty()).then_some(compiled)
    }

    /// What is known of calls.
    pub const fn calls(&self) -> &Calls {
        &self.calls
    }
}

/// The signatures of one transport, by the byte they begin with.
#[derive(Debug)]
struct Compiled {
    transport: Transport,
    known: Arc<[(Service, BeginningRule)]>,
    /// For each first byte, those that may follow, in the rules' order.
    first: Vec<Box<[u16]>>,
}

impl Compiled {
    fn of(rules: &RuleSet, transport: Transport) -> Self {
        let messengers = rules.messengers().iter();
        let known: Arc<[_]> = messengers
            .flat_map(|messenger| {
                let signatures = messenger.beginnings.iter();
                signatures.map(|rule| (messenger.service.clone(), rule.clone()))
            })
            .filter(|(_, rule)| rule.transport == transport)
            .take(usize::from(u16::MAX))
            .collect();
        let may_begin = |rule: &BeginningRule, byte: u8| {
            let first = rule.pattern.byte(0).filter(|_| rule.offset == 0);
            first.is_none_or(|(want, mask)| byte & mask == want)
        };
        let first = (0..=u8::MAX).map(|byte| {
            let those = known.iter().enumerate();
            let those = those.filter(|(_, (_, rule))| may_begin(rule, byte));
            those.map(|(at, _)| at as u16).collect()
        });
        Self {
            transport,
            first: first.collect(),
            known: Arc::clone(&known),
        }
    }

    fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

fn sent_by(direction: Direction) -> Sender {
    match direction {
        Direction::ToServer => Sender::Client,
        Direction::ToClient => Sender::Server,
    }
}

impl Detector for Compiled {
    fn name(&self) -> &'static str {
        "signature"
    }

    fn transport(&self) -> Transport {
        self.transport
    }

    fn probe(&self, input: &ProbeInput<'_>) -> Probe {
        if input.start == Start::Later {
            return Probe::No;
        }
        let Some(byte) = input.bytes.first() else {
            return Probe::NeedMore { from: 0, total: 1 };
        };
        // The direction of a stream seen from its beginning is known; that of datagrams, and of a stream joined in the
        // middle, is a guess. Where the latter is joined may be anywhere, and a few bytes may be anything there.
        let may_send = |rule: &BeginningRule| {
            let own = rule.sender == Sender::Either || rule.sender == sent_by(input.direction);
            match (self.transport, input.start) {
                (Transport::Tcp, Start::Beginning) => own,
                (Transport::Tcp, _) => rule.pattern.known_bits() >= JOINED_BITS,
                (Transport::Udp, _) => true,
            }
        };
        let at_port = |rule: &BeginningRule| {
            rule.ports
                .is_none_or(|ports| ports.contains(input.server_port))
        };
        // The first that is not ruled out decides, so that the answer does not depend on where the bytes are cut.
        for (service, rule) in self.first[usize::from(*byte)]
            .iter()
            .filter_map(|at| self.known.get(usize::from(*at)))
            .filter(|(_, rule)| at_port(rule) && may_send(rule))
        {
            match rule.matches(input.bytes, input.wire_len) {
                Match::No => {}
                Match::NeedMore(_) if input.ended => {}
                Match::NeedMore(total) => return Probe::NeedMore { from: 0, total },
                // Kept for a while: what the other side says may make it proof.
                Match::Yes if !rule.alone && (input.ended || input.bytes.len() > PATIENCE) => {}
                Match::Yes if !rule.alone => {
                    let total = input.bytes.len() + 1;
                    return Probe::NeedMore { from: 0, total };
                }
                Match::Yes => {
                    return Probe::Likely(Claim {
                        format: format(service),
                        offset: 0,
                        sender_is_client: match rule.sender {
                            Sender::Client => Some(true),
                            Sender::Server => Some(false),
                            Sender::Either => None,
                        },
                        evidence: evidence(rule),
                    });
                }
            }
        }
        Probe::No
    }

    fn dissector(&self, claim: &Claim) -> Box<dyn Dissector> {
        let id = &*claim.evidence.detail;
        let claimed = self.known.iter().position(|(_, rule)| rule.id == id);
        let partners = claimed.map_or_else(Vec::new, |claimed| self.partners(claimed));
        Box::new(Pair {
            known: Arc::clone(&self.known),
            transport: self.transport,
            claimed: claimed.unwrap_or_default(),
            partners,
            found: [[false; 2]; 2],
            openings: Openings::new(MAX_OPENING),
            fed: [false; 2],
            datagrams: 0,
            done: false,
            voice: Watch::default(),
        })
    }
}

impl Compiled {
    /// Those that the other side must say for proof.
    fn partners(&self, claimed: usize) -> Vec<usize> {
        let Some((_, rule)) = self.known.get(claimed) else {
            return Vec::new();
        };
        let others = self.known.iter().enumerate();
        let pairs = |other: &BeginningRule| {
            rule.answers.as_ref() == Some(&other.id) || other.answers.as_ref() == Some(&rule.id)
        };
        others
            .filter(|(_, (_, other))| pairs(other))
            .map(|(at, _)| at)
            .collect()
    }
}

fn format(service: &Service) -> Format {
    Format {
        service: Some(service.clone()),
        app_proto: "signature",
        role: None,
    }
}

fn evidence(rule: &BeginningRule) -> Evidence {
    Evidence::payload("signature", rule.id.clone())
}

/// Waits for the other half of a pair.
struct Pair {
    known: Arc<[(Service, BeginningRule)]>,
    transport: Transport,
    claimed: usize,
    partners: Vec<usize>,
    /// For each direction: whether it said what was claimed, and whether it said what answers that.
    found: [[bool; 2]; 2],
    openings: Openings,
    fed: [bool; 2],
    datagrams: u8,
    done: bool,
    /// Datagrams only: what comes behind may be a call.
    voice: Watch,
}

impl Pair {
    /// Holds a beginning against both halves; `true` when neither can still be in it.
    fn look(&mut self, direction: Direction, bytes: &[u8]) -> bool {
        let mut open = false;
        let mut is = |at: &usize| {
            let matched = self
                .known
                .get(*at)
                .map(|(_, rule)| rule.matches(bytes, bytes.len()));
            open |= matches!(matched, Some(Match::NeedMore(_)));
            matched == Some(Match::Yes)
        };
        let claimed = is(&self.claimed);
        let answer = self.partners.iter().any(&mut is);
        let found = &mut self.found[direction.index()];
        found[0] |= claimed;
        found[1] |= answer;
        claimed || answer || !open
    }

    fn tell(&mut self, out: &mut Events) {
        let [one, other] = self.found;
        if self.done || !((one[0] && other[1]) || (one[1] && other[0])) {
            return;
        }
        self.done = true;
        if let Some((service, rule)) = self.partners.first().and_then(|at| self.known.get(*at)) {
            out.identified(format(service), Confidence::Confirmed, evidence(rule));
        }
    }
}

impl Dissector for Pair {
    fn feed(&mut self, direction: Direction, bytes: &[u8], out: &mut Events) {
        if self.is_done() {
            return;
        }
        self.fed[direction.index()] = true;
        if self.transport == Transport::Udp {
            self.datagrams += 1;
            self.look(direction, bytes);
            if self.voice.feed(direction, bytes) {
                out.push(Event::Feature(feature::VOICE));
            }
        } else {
            let mut openings = std::mem::replace(&mut self.openings, Openings::new(0));
            openings.feed(direction, bytes, |opening| self.look(direction, opening));
            self.openings = openings;
        }
        self.tell(out);
    }

    fn gap(&mut self, direction: Direction, _: u64, _: &mut Events) {
        // Where a stream is joined in the middle, what is missing may be nothing at all.
        if self.fed[direction.index()] {
            self.openings.close(direction);
        }
    }

    fn is_done(&self) -> bool {
        if self.transport == Transport::Udp {
            return self.datagrams >= DATAGRAMS;
        }
        self.done || self.partners.is_empty() || self.openings.is_done()
    }

    fn memory(&self) -> usize {
        size_of_val(self) + self.openings.memory() + size_of_val(self.partners.as_slice())
    }
}
