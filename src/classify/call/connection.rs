//! Follows a flow that speaks STUN: whose call it is, and whether anybody talks.

use super::Watch;
use super::stun::{Beginning, Message, channel};
use crate::classify::{Dissector, Events};
use crate::model::{Confidence, Direction, Event, Evidence, Service, feature};
use crate::ruleset::StunMessage;

/// Messages and packets that are looked at.
const LOOKED_AT: u16 = 200;
/// Facts of a messenger that a flow showed and that are remembered.
const MAX_SHOWN: usize = 4;
/// The attribute with the data that a relay carries outside of channels.
const DATA: u16 = 0x0013;
/// Longest message over TCP that is waited for.
const MAX_MESSAGE: usize = 2048;
/// So much of what a channel carries says whether it is RTP.
const MAX_DATA: usize = 96;

/// What is known of a call.
#[derive(Debug, Default)]
struct Call {
    /// Whose it is, and what was shown of that.
    named: Option<(Service, Vec<String>)>,
    voice: Watch,
    told: bool,
    looked: u16,
}

impl Call {
    fn message(&mut self, direction: Direction, message: &Message<'_>, out: &mut Events) {
        self.looked = self.looked.saturating_add(1);
        let Some(calls) = out.calls() else {
            self.looked = LOOKED_AT;
            return;
        };
        for (service, rule) in calls.shown_by(message) {
            let (named, shown) = self
                .named
                .get_or_insert_with(|| (service.clone(), Vec::new()));
            // The messenger that was shown first keeps it.
            if named != service || shown.contains(&rule.id) || shown.len() >= MAX_SHOWN {
                continue;
            }
            shown.push(rule.id.clone());
            // One may be chance; a second one that differs is proof.
            let sure = if rule.sure == Confidence::Probable && shown.len() > 1 {
                Confidence::Confirmed
            } else {
                rule.sure
            };
            let evidence = Evidence::payload(super::FORMAT, rule.id.clone());
            out.identified(super::format(service.clone()), sure, evidence);
        }
        for (_, value) in message.attributes().filter(|(kind, _)| *kind == DATA) {
            self.voice.feed(direction, value);
        }
        self.tell(out);
    }

    fn data(&mut self, direction: Direction, bytes: &[u8], out: &mut Events) {
        self.looked = self.looked.saturating_add(1);
        self.voice.feed(direction, bytes);
        self.tell(out);
    }

    fn tell(&mut self, out: &mut Events) {
        if self.voice.is_done() && self.named.is_some() && !self.told {
            self.told = true;
            out.push(Event::Feature(feature::VOICE));
        }
    }

    fn is_done(&self) -> bool {
        self.looked >= LOOKED_AT
    }

    fn memory(&self) -> usize {
        let shown = self.named.iter().flat_map(|(_, shown)| shown);
        shown.map(|id| size_of::<String>() + id.capacity()).sum()
    }
}

/// Datagrams: STUN, what a relay carries, and RTP, all over one pair of ports.
pub(super) struct Flow {
    call: Call,
    /// The capture cuts datagrams: a message that is too short is no wrong one.
    cut: bool,
}

impl Flow {
    pub(super) fn new(cut: bool) -> Self {
        Self {
            call: Call::default(),
            cut,
        }
    }
}

impl Dissector for Flow {
    fn feed(&mut self, direction: Direction, bytes: &[u8], out: &mut Events) {
        if self.call.is_done() {
            return;
        }
        let message = Message::datagram(bytes);
        if let Some(message) = message.filter(|it| self.cut || it.length == bytes.len()) {
            self.call.message(direction, &message, out);
        } else {
            let data = channel(bytes).map_or(bytes, |(data, _)| data);
            self.call.data(direction, data, out);
        }
    }

    fn is_done(&self) -> bool {
        self.call.is_done()
    }

    fn memory(&self) -> usize {
        size_of_val(self) + self.call.memory()
    }
}

/// The same over TCP, one behind the other.
#[derive(Default)]
pub(super) struct Turn {
    call: Call,
    sides: [Side; 2],
}

#[derive(Default)]
struct Side {
    held: Vec<u8>,
    /// Bytes that are passed over.
    skip: usize,
    /// Nobody knows any more where a message begins.
    lost: bool,
}

/// What a side's bytes begin with.
enum Step {
    /// Something that takes so many bytes was dealt with.
    Past(usize),
    /// More bytes are needed.
    Wait,
    Lost,
}

impl Turn {
    fn step(&mut self, direction: Direction, held: &[u8], out: &mut Events) -> Step {
        match Message::begin(held) {
            Beginning::Message(message, length) => {
                self.call.message(direction, &message, out);
                Step::Past(length)
            }
            Beginning::Short(length) if length > MAX_MESSAGE => Step::Lost,
            Beginning::Short(_) => Step::Wait,
            Beginning::Other => match channel(held) {
                Some((data, length)) if held.len() >= length.min(MAX_DATA) => {
                    self.call.data(direction, data, out);
                    Step::Past(length)
                }
                Some(_) => Step::Wait,
                None if held.len() < 4 => Step::Wait,
                None => Step::Lost,
            },
        }
    }
}

impl Dissector for Turn {
    fn feed(&mut self, direction: Direction, bytes: &[u8], out: &mut Events) {
        let side = &mut self.sides[direction.index()];
        if side.lost || self.call.is_done() {
            return;
        }
        let skipped = side.skip.min(bytes.len());
        side.skip -= skipped;
        let mut held = std::mem::take(&mut side.held);
        held.extend_from_slice(&bytes[skipped..]);
        let mut at = 0;
        while at < held.len() && !self.call.is_done() {
            match self.step(direction, &held[at..], out) {
                Step::Past(length) => at += length,
                Step::Wait => break,
                Step::Lost => {
                    self.sides[direction.index()].lost = true;
                    return;
                }
            }
        }
        let side = &mut self.sides[direction.index()];
        side.skip += at.saturating_sub(held.len());
        held.drain(..at.min(held.len()));
        held.shrink_to(MAX_MESSAGE);
        side.held = held;
    }

    fn gap(&mut self, direction: Direction, missing: u64, _: &mut Events) {
        let side = &mut self.sides[direction.index()];
        match usize::try_from(missing) {
            Ok(missing) if missing <= side.skip => side.skip -= missing,
            _ => {
                side.lost = true;
                side.held = Vec::new();
            }
        }
    }

    fn is_done(&self) -> bool {
        self.call.is_done() || self.sides.iter().all(|side| side.lost)
    }

    fn memory(&self) -> usize {
        let held = self.sides.iter().map(|side| side.held.capacity());
        size_of_val(self) + self.call.memory() + held.sum::<usize>()
    }
}
