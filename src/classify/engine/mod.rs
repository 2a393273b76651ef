//! Gathers what the streams tell into one finding a flow.

mod conclude;
mod detections;
mod events;
mod handler;
mod occurrence;

use super::Events;
use super::carrier::http::Sessions;
use super::facts::Facts;
use super::learned::Learned;
use super::outbox::Outbox;
use super::stream::Stream;
use crate::model::{Detection, Finding, Occurrence};
use crate::ruleset::RuleSet;
use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::Arc;

/// Rules for the whole of a capture, or until there are others.
enum Rules<'r> {
    Lent(&'r RuleSet),
    Own(Arc<RuleSet>),
}

impl Deref for Rules<'_> {
    type Target = RuleSet;

    fn deref(&self) -> &RuleSet {
        match self {
            Self::Lent(rules) => rules,
            Self::Own(rules) => rules,
        }
    }
}

/// Turns flows into findings.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a question of its own"
)]
pub struct Engine<'r> {
    rules: Rules<'r>,
    learned: Learned,
    events: Events,
    keep_all: bool,
    given_up: u64,
    outbox: Outbox,
    /// Whether anybody wants to hear what people did.
    listened: bool,
    /// Whether flows keep the host names that they tell of.
    naming: bool,
    occurrences: VecDeque<Occurrence>,
    /// Flows are told of while they live, and go out when they end, whatever their order.
    live: bool,
    detections: VecDeque<Detection>,
    /// Flows that were told of and are not over.
    open_detections: u64,
}

/// What the engine remembers of one flow.
pub struct FlowState {
    stream: Stream,
    /// What an earlier flow said this one would be.
    expected: Option<&'static str>,
    /// The server's port is a messenger's.
    port: bool,
    /// When it was opened, DNS had given the server's address for a messenger's name, and that held.
    given: bool,
    heard: Heard,
    /// Allocated with the first fact: most flows never have one.
    facts: Option<Box<Facts>>,
}

/// What is known of a flow, as far as somebody waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// What was seen may be the beginning of a messenger's, or is a messenger's and not yet sure.
    Doubt,
    /// Nothing that was seen is a messenger's; something that comes may be.
    Followed,
    /// More bytes tell nothing more.
    Over,
}

/// What was heard of the client, as long as it was listened to.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Heard {
    #[default]
    Nothing,
    /// From the first byte on, without a gap.
    Beginning,
    Middle,
}

impl FlowState {
    fn facts(&mut self) -> &mut Facts {
        self.facts.get_or_insert_default()
    }
}

impl<'r> Engine<'r> {
    /// An engine with these rules that remembers at most `memory` bytes of what flows say about each other. With
    /// `keep_all`, flows that are no finding are kept as well; with `listened`, what people did is told.
    pub fn new(rules: &'r RuleSet, memory: usize, keep_all: bool, listened: bool) -> Self {
        Self {
            rules: Rules::Lent(rules),
            learned: Learned::new(memory / 8 * 5),
            events: Events::lending(Sessions::new(memory / 8 * 2), rules),
            keep_all,
            given_up: 0,
            outbox: Outbox::new(memory / 8, false),
            listened,
            naming: false,
            occurrences: VecDeque::new(),
            live: false,
            detections: VecDeque::new(),
            open_detections: 0,
        }
    }

    /// The same for an interface, where flows have no end that one could wait for: detections are told as soon as they
    /// are known, and flows when they end.
    #[must_use]
    pub fn live(mut self, memory: usize) -> Self {
        self.live = true;
        self.outbox = Outbox::new(memory / 8, true);
        self
    }

    /// Findings have the host names that their flows tell of.
    #[must_use]
    pub const fn naming(mut self, naming: bool) -> Self {
        self.naming = naming;
        self
    }

    /// Other rules from now on. What was said by the old ones stands.
    pub fn set_rules(&mut self, rules: Arc<RuleSet>) {
        self.events.lend(&rules);
        self.rules = Rules::Own(rules);
    }

    /// Messengers' flows that are not over (live only).
    pub const fn open_detections(&self) -> u64 {
        self.open_detections
    }

    /// The next detection in a flow that goes on, to be taken after every packet.
    pub fn next_detection(&mut self) -> Option<Detection> {
        self.detections.pop_front()
    }

    /// Whether what was seen of a flow is enough to say what it is.
    pub fn standing(&self, state: &FlowState) -> Standing {
        let messenger = || state.facts.as_deref().is_some_and(Facts::is_messenger);
        if !state.stream.wants_bytes() {
            Standing::Over
        } else if state.stream.is_in_doubt() || messenger() {
            Standing::Doubt
        } else {
            Standing::Followed
        }
    }

    /// Flows that nobody recognised and nobody looks at any more.
    pub const fn given_up(&self) -> u64 {
        self.given_up
    }

    /// The next finding that is complete and in order.
    pub fn next_finding(&mut self) -> Option<Finding> {
        self.outbox.next()
    }

    /// The next thing that somebody did, to be taken after every packet.
    pub fn next_occurrence(&mut self) -> Option<Occurrence> {
        self.occurrences.pop_front()
    }

    /// Whether there is a finding, a detection or something that somebody did to be taken.
    #[inline]
    pub fn has_news(&self) -> bool {
        !(self.occurrences.is_empty() && self.detections.is_empty() && self.outbox.is_empty())
    }

    /// No more flows will come: what still waits for others is handed out.
    pub fn finish(&mut self) {
        self.outbox.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::Engine;
    use crate::classify::stream::Stream;
    use crate::flow::Tracker;

    #[test]
    fn an_undecided_flow_costs_at_most_512_bytes() {
        let cost = Tracker::<Engine<'_>>::FLOW_BYTES + Stream::UNDECIDED_BYTES;
        assert!(cost <= 512, "{cost} bytes");
    }
}
