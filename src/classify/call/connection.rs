//! Follows a flow that speaks STUN: whose call it is, and whether anybody talks.

use super::Watch;
use super::stun::{Beginning, Message, channel};
use crate::classify::units::{Sides, Step};
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
    sides: Sides,
}

impl Call {
    /// The next message or packet of a stream.
    fn step(&mut self, direction: Direction, held: &[u8], out: &mut Events) -> Step {
        if self.is_done() {
            return Step::Lost;
        }
        match Message::begin(held) {
            Beginning::Message(_, length) | Beginning::Short(length) if length > MAX_MESSAGE => {
                Step::Lost
            }
            Beginning::Message(message, length) => {
                self.message(direction, &message, out);
                Step::Past(length)
            }
            Beginning::Short(length) => Step::WaitFor(length),
            Beginning::Other => match channel(held) {
                Some((data, length)) if held.len() >= length.min(MAX_DATA) => {
                    self.data(direction, data, out);
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
        if self.call.is_done() {
            return;
        }
        self.sides.feed(direction, bytes, MAX_MESSAGE, |held| {
            self.call.step(direction, held, out)
        });
    }

    fn gap(&mut self, direction: Direction, missing: u64, _: &mut Events) {
        self.sides.gap(direction, missing);
    }

    fn is_done(&self) -> bool {
        self.call.is_done() || self.sides.are_lost()
    }

    fn memory(&self) -> usize {
        size_of_val(self) + self.call.memory() + self.sides.memory()
    }
}
