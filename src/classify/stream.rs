//! Decides what one stream is, then follows it.
//!
//! Each direction keeps the bytes that some detector still wants ([`Probe::NeedMore`]) and nothing else.
//! As soon as one detector claims the stream, its dissector gets what was kept and all that follows.
//! A stream inside a carrier (HTTP CONNECT) runs through the same code as one on the wire.

use super::{Claim, Detector, Dissector, Events, Probe, ProbeInput, Start, registry};
use crate::model::{Confidence, Direction, Event, Transport};
use std::cmp::Reverse;

/// Bytes that one undecided direction may keep.
const WINDOW: usize = 16 * 1024;
/// A direction joined in the middle is searched for the start of a unit this far, then given up.
const SEARCH: u32 = 128 * 1024;
/// Datagrams of an undecided flow that are looked at.
const DATAGRAMS: u32 = 32;

/// What is known around the stream.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// The server's port.
    pub server_port: u16,
    /// What an earlier flow said this one would be.
    pub expected: Option<&'static str>,
}

/// One undecided direction.
#[derive(Default)]
struct Side {
    /// Bytes that a detector still wants, from the first unruled one on.
    kept: Vec<u8>,
    /// Where `kept` (or, when empty, the next byte) lies.
    start: Option<Start>,
    /// The other side's progress when `kept` began: to feed both in the order they came.
    arrived: u32,
    /// Ask again when `kept` is that long.
    ask_at: u32,
    /// Bytes looked at.
    seen: u32,
    /// Bytes ruled out and dropped, or missing.
    dropped: bool,
    /// Nothing more is to be found here.
    done: bool,
}

enum State {
    /// Both directions; `None` before the first byte, so that a flow without payload costs nothing.
    Undecided(Option<Box<[Side; 2]>>),
    Decided(Box<dyn Dissector>),
    GivenUp,
}

/// One stream or datagram flow.
pub struct Stream {
    state: State,
    transport: Transport,
    /// Whether the first byte fed is the first byte of the stream.
    from_start: bool,
    datagrams: u32,
    clock: u32,
}

enum Answer {
    Claimed(&'static dyn Detector, Claim, Confidence),
    /// Keep from this offset, ask again at this length.
    Wait(usize, usize),
    Nobody,
}

impl Stream {
    /// What an undecided TCP flow costs on the heap, besides the bytes that a detector still wants.
    pub const UNDECIDED_BYTES: usize = size_of::<[Side; 2]>() + 16;

    /// A stream of which nothing was seen yet.
    pub const fn new(transport: Transport, from_start: bool) -> Self {
        Self {
            state: State::Undecided(None),
            transport,
            from_start,
            datagrams: 0,
            clock: 0,
        }
    }

    /// Whether a detector claimed it.
    pub const fn is_decided(&self) -> bool {
        matches!(self.state, State::Decided(_))
    }

    /// Whether more bytes can still tell anything.
    pub fn wants_bytes(&self) -> bool {
        match &self.state {
            State::Undecided(_) => true,
            State::Decided(dissector) => !dissector.is_done(),
            State::GivenUp => false,
        }
    }

    /// Whether nobody knew it and nobody looks any more.
    pub const fn is_given_up(&self) -> bool {
        matches!(self.state, State::GivenUp)
    }

    /// Bytes held on the heap.
    pub fn memory(&self) -> usize {
        match &self.state {
            State::Undecided(Some(sides)) => {
                let kept: usize = sides.iter().map(|side| side.kept.capacity()).sum();
                Self::UNDECIDED_BYTES + kept
            }
            State::Decided(dissector) => dissector.memory(),
            State::Undecided(None) | State::GivenUp => 0,
        }
    }

    /// The next bytes of one direction.
    pub fn feed(&mut self, direction: Direction, bytes: &[u8], context: Context, out: &mut Events) {
        match &mut self.state {
            State::GivenUp => {}
            State::Decided(dissector) => dissector.feed(direction, bytes, out),
            State::Undecided(sides) => {
                let from_start = self.from_start;
                self.clock = self.clock.saturating_add(1);
                let sides = sides.get_or_insert_with(Default::default);
                let side = &mut sides[direction.index()];
                if side.done {
                    side.dropped = true;
                    return;
                }
                side.start.get_or_insert(if from_start {
                    Start::Beginning
                } else {
                    Start::Joined
                });
                let claim = side.probe(direction, bytes, context, self.clock);
                self.conclude(direction, claim, context, out);
            }
        }
    }

    /// Bytes of one direction are missing.
    pub fn gap(&mut self, direction: Direction, missing: u64, context: Context, out: &mut Events) {
        match &mut self.state {
            State::GivenUp => {}
            State::Decided(dissector) => dissector.gap(direction, missing, out),
            State::Undecided(sides) => {
                let sides = sides.get_or_insert_with(Default::default);
                let side = &mut sides[direction.index()];
                side.dropped = true;
                side.look_again(direction, context);
                if side.done {
                    self.conclude(direction, None, context, out);
                    return;
                }
                let claim = side.last_chance(direction, context);
                if claim.is_none() {
                    side.restart(Start::Joined);
                    side.done = side.seen >= SEARCH;
                }
                self.conclude(direction, claim, context, out);
                if let State::Decided(dissector) = &mut self.state {
                    dissector.gap(direction, missing, out);
                }
            }
        }
    }

    /// No more bytes of this direction will come.
    pub fn end_of(&mut self, direction: Direction, context: Context, out: &mut Events) {
        if let State::Undecided(Some(sides)) = &mut self.state {
            let side = &mut sides[direction.index()];
            let claim = side.last_chance(direction, context);
            side.done = true;
            self.conclude(direction, claim, context, out);
        }
    }

    /// A datagram; `wire_len` is its length before the snap length cut it.
    pub fn datagram(
        &mut self,
        direction: Direction,
        payload: &[u8],
        wire_len: usize,
        context: Context,
        out: &mut Events,
    ) {
        match &mut self.state {
            State::GivenUp => {}
            State::Decided(dissector) => dissector.feed(direction, payload, out),
            State::Undecided(_) => {
                self.datagrams += 1;
                let input = ProbeInput {
                    direction,
                    bytes: payload,
                    start: Start::Beginning,
                    wire_len,
                    ended: true,
                    server_port: context.server_port,
                    expected: context.expected,
                };
                if let Answer::Claimed(detector, claim, confidence) = ask(self.transport, &input) {
                    self.decide(detector, &claim, confidence, direction, out);
                    if let State::Decided(dissector) = &mut self.state {
                        dissector.feed(direction, payload, out);
                    }
                } else if self.datagrams >= DATAGRAMS {
                    self.state = State::GivenUp;
                }
            }
        }
    }

    /// The flow is over.
    pub fn end(&mut self, out: &mut Events) {
        if let State::Decided(dissector) = &mut self.state {
            dissector.end(out);
        }
    }

    /// After a probe: starts the dissector, or gives the stream up when both directions are done.
    fn conclude(
        &mut self,
        direction: Direction,
        claim: Option<(&'static dyn Detector, Claim, Confidence)>,
        context: Context,
        out: &mut Events,
    ) {
        let State::Undecided(Some(sides)) = &mut self.state else {
            return;
        };
        let Some((detector, claim, confidence)) = claim else {
            if sides.iter().all(|side| side.done) {
                self.state = State::GivenUp;
            }
            return;
        };
        let mut sides = std::mem::take(sides);
        sides[direction.index()]
            .kept
            .drain(..claim.offset.min(sides[direction.index()].kept.len()));
        sides[direction.index()].dropped |= claim.offset > 0;
        sides[direction.reverse().index()].look_again(direction.reverse(), context);
        self.decide(detector, &claim, confidence, direction, out);
        let State::Decided(dissector) = &mut self.state else {
            return;
        };
        let mut order = Direction::BOTH;
        order.sort_by_key(|direction| sides[direction.index()].arrived);
        let (claimed, from_start) = (direction, self.from_start);
        for direction in order {
            let side = &sides[direction.index()];
            // A stream joined in the middle begins anywhere in a unit, but for what was claimed.
            let begins_anywhere = !from_start && direction != claimed;
            if (side.dropped && direction != claimed) || begins_anywhere {
                // How much is missing is unknown: enough to make the dissector look for the next unit.
                dissector.gap(direction, u64::from(u32::MAX), out);
            }
            if !side.kept.is_empty() {
                dissector.feed(direction, &side.kept, out);
            }
        }
    }

    fn decide(
        &mut self,
        detector: &'static dyn Detector,
        claim: &Claim,
        confidence: Confidence,
        direction: Direction,
        out: &mut Events,
    ) {
        tracing::trace!(detector = detector.name(), ?claim, "claimed");
        if let Some(sender_is_client) = claim.sender_is_client {
            out.push(Event::ClientIs(if sender_is_client {
                direction
            } else {
                direction.reverse()
            }));
        }
        out.identified(claim.format.clone(), confidence, claim.evidence.clone());
        self.state = State::Decided(detector.dissector(claim));
    }
}

impl Side {
    fn restart(&mut self, start: Start) {
        self.kept = Vec::new();
        self.ask_at = 0;
        self.start = Some(start);
    }

    fn input<'a>(
        &self,
        direction: Direction,
        bytes: &'a [u8],
        ended: bool,
        context: Context,
    ) -> ProbeInput<'a> {
        ProbeInput {
            direction,
            bytes,
            start: self.start.unwrap_or(Start::Later),
            wire_len: bytes.len(),
            ended,
            server_port: context.server_port,
            expected: context.expected,
        }
    }

    /// Drops what nobody wants any more. Detectors are asked when there is as much as they wanted, which depends on how
    /// the bytes were cut; whether bytes are kept may not.
    fn look_again(&mut self, direction: Direction, context: Context) {
        let input = self.input(direction, &self.kept, false, context);
        if !self.kept.is_empty() && matches!(ask(Transport::Tcp, &input), Answer::Nobody) {
            self.nobody_wants();
        }
    }

    /// Every detector has said no.
    fn nobody_wants(&mut self) {
        self.dropped = true;
        // A stream seen from its first byte shows there what it is; only one joined in the middle
        // is searched further on.
        self.done = self.start == Some(Start::Beginning);
        self.restart(Start::Later);
    }

    /// Takes more bytes and asks the detectors, if they have as much as they wanted.
    fn probe(
        &mut self,
        direction: Direction,
        bytes: &[u8],
        context: Context,
        clock: u32,
    ) -> Option<(&'static dyn Detector, Claim, Confidence)> {
        self.seen = self.seen.saturating_add(bytes.len() as u32);
        if self.kept.is_empty() {
            self.arrived = clock;
        }
        // The usual flow is ruled out by its first segment: that one is looked at where it lies.
        let first_look = self.kept.is_empty();
        if !first_look {
            self.kept.extend_from_slice(bytes);
            if self.kept.len() < self.ask_at as usize {
                return None;
            }
        }
        let kept = std::mem::take(&mut self.kept);
        let window = if first_look { bytes } else { &kept };
        let full = window.len() >= WINDOW;
        let answer = ask(
            Transport::Tcp,
            &self.input(direction, window, full, context),
        );
        match answer {
            Answer::Claimed(detector, claim, confidence) => {
                self.kept = if first_look { bytes.to_vec() } else { kept };
                return Some((detector, claim, confidence));
            }
            Answer::Wait(from, total) if !full => {
                let from = from.min(window.len());
                self.kept = window[from..].to_vec();
                self.ask_at = total.saturating_sub(from).min(WINDOW) as u32;
                if from > 0 {
                    self.start = Some(Start::Later);
                    self.dropped = true;
                    self.arrived = clock;
                }
            }
            Answer::Wait(..) | Answer::Nobody => self.nobody_wants(),
        }
        if self.start == Some(Start::Later) && self.seen >= SEARCH {
            self.restart(Start::Later);
            self.done = true;
            self.dropped = true;
        }
        None
    }

    /// No more bytes will follow those kept: asks once more, for an answer without "more".
    fn last_chance(
        &mut self,
        direction: Direction,
        context: Context,
    ) -> Option<(&'static dyn Detector, Claim, Confidence)> {
        if self.kept.is_empty() {
            return None;
        }
        match ask(
            Transport::Tcp,
            &self.input(direction, &self.kept, true, context),
        ) {
            Answer::Claimed(detector, claim, confidence) => Some((detector, claim, confidence)),
            _ => None,
        }
    }
}

/// Asks every detector. What begins first holds the rest inside it, as HTTP holds what it carries; of two claims that
/// begin at the same place, a proof beats a signature; else the registry's order decides. A claim waits for detectors
/// that are still in doubt about an earlier place, so that nothing depends on how the bytes were cut.
fn ask(transport: Transport, input: &ProbeInput<'_>) -> Answer {
    let mut first: Option<(&'static dyn Detector, Claim, Confidence)> = None;
    let mut wait: Option<(usize, usize)> = None;
    let detectors = registry::FAMILIES.iter().copied().flatten().copied();
    for detector in detectors.filter(|detector| detector.transport() == transport) {
        let (claim, confidence) = match detector.probe(input) {
            Probe::Certain(claim) if claim.offset == 0 => {
                return Answer::Claimed(detector, claim, Confidence::Confirmed);
            }
            Probe::Certain(claim) => (claim, Confidence::Confirmed),
            Probe::Likely(claim) => (claim, Confidence::Probable),
            Probe::NeedMore { from, total } if !input.ended => {
                let (old_from, old_total) = wait.unwrap_or((usize::MAX, usize::MAX));
                let total = total.max(input.bytes.len() + 1);
                wait = Some((old_from.min(from), old_total.min(total)));
                continue;
            }
            Probe::NeedMore { .. } | Probe::No => continue,
        };
        let rank = |claim: &Claim, confidence| (claim.offset, Reverse(confidence));
        if first
            .as_ref()
            .is_none_or(|(_, known, how)| rank(&claim, confidence) < rank(known, *how))
        {
            first = Some((detector, claim, confidence));
        }
    }
    match (first, wait) {
        (Some((_, claim, confidence)), Some((from, total)))
            if from < claim.offset
                || (from == claim.offset && confidence == Confidence::Probable) =>
        {
            Answer::Wait(from, total)
        }
        (Some((detector, claim, confidence)), _) => Answer::Claimed(detector, claim, confidence),
        (None, Some((from, total))) => Answer::Wait(from, total),
        (None, None) => Answer::Nobody,
    }
}
