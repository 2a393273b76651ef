//! What is kept of a stream while nobody has claimed it, and who is asked.

use super::signature::Signatures;
use super::stream::Context;
use super::{Claim, Detector, Dissector, Events, Probe, ProbeInput, Start, registry};
use crate::model::{Confidence, Direction, Transport};
use std::cmp::Reverse;

/// Bytes that one direction may keep.
const WINDOW: usize = 16 * 1024;
/// A direction joined in the middle is searched for the start of a unit this far, then given up.
const SEARCH: u32 = 128 * 1024;

/// So much is put together elsewhere with what follows it: what begins at the end of a segment is mostly nothing, and does
/// not deserve room for the next segment.
const SHORT: usize = 64;

/// A claim, and how sure it is.
pub struct Claimed {
    /// Who makes it, for logs.
    pub detector: &'static str,
    /// What it says.
    pub claim: Claim,
    /// How sure.
    pub confidence: Confidence,
    /// Who follows the stream.
    pub dissector: Box<dyn Dissector>,
}

impl Claimed {
    fn by(detector: &dyn Detector, claim: Claim, confidence: Confidence) -> Self {
        Self {
            detector: detector.name(),
            dissector: detector.dissector(&claim),
            claim,
            confidence,
        }
    }
}

/// Both directions of a stream that nobody has claimed.
#[derive(Default)]
pub struct Undecided {
    sides: [Side; 2],
    turns: Turns,
}

/// One direction.
#[derive(Default)]
struct Side {
    /// Bytes that a detector still wants, from the first unruled one on.
    kept: Vec<u8>,
    /// Where `kept` (or, when empty, the next byte) lies.
    start: Option<Start>,
    /// Ask again when `kept` is that long.
    ask_at: u32,
    /// Bytes looked at.
    seen: u32,
    /// Bytes ruled out and dropped, or missing.
    dropped: bool,
    /// Nothing more is to be found here.
    done: bool,
}

/// Who said how many of the kept bytes, in turn: a dissector is to hear both sides in the order they spoke, wherever
/// in it the proof was.
#[derive(Default)]
struct Turns(Vec<(Direction, u32)>);

impl Turns {
    fn add(&mut self, direction: Direction, bytes: usize) {
        let bytes = bytes as u32;
        match self.0.last_mut() {
            Some((last, said)) if *last == direction => *said += bytes,
            _ => self.0.push((direction, bytes)),
        }
    }

    /// The first bytes of a direction are not kept any more.
    fn forget(&mut self, direction: Direction, bytes: usize) {
        let mut left = bytes as u32;
        self.0.retain_mut(|(who, said)| {
            if *who == direction {
                let now = left.min(*said);
                left -= now;
                *said -= now;
            }
            *said > 0
        });
    }
}

impl Undecided {
    /// Bytes held on the heap, besides this.
    pub fn memory(&self) -> usize {
        let kept: usize = self.sides.iter().map(|side| side.kept.capacity()).sum();
        kept + self.turns.0.capacity() * size_of::<(Direction, u32)>()
    }

    /// Where in a direction the byte at `offset` of what was kept stands.
    pub fn claimed_at(&self, direction: Direction, offset: usize) -> u64 {
        let side = &self.sides[direction.index()];
        u64::from(side.seen).saturating_sub(side.kept.len() as u64) + offset as u64
    }

    /// Whether a detector wants more than it has seen of a beginning.
    pub fn is_in_doubt(&self) -> bool {
        let begun = |side: &Side| side.start == Some(Start::Beginning) && !side.kept.is_empty();
        self.sides.iter().any(begun)
    }

    /// Whether nothing more is to be found in either direction.
    pub fn is_given_up(&self) -> bool {
        self.sides.iter().all(|side| side.done)
    }

    /// The next bytes of a direction of a stream, seen from its first byte or not. Asks the detectors, if they have as
    /// much as they wanted.
    pub fn feed(
        &mut self,
        direction: Direction,
        bytes: &[u8],
        from_start: bool,
        context: Context,
        (scratch, signatures): (&mut Vec<u8>, Option<&Signatures>),
    ) -> Option<Claimed> {
        let side = &mut self.sides[direction.index()];
        if side.done {
            side.dropped = true;
            return None;
        }
        side.start.get_or_insert(if from_start {
            Start::Beginning
        } else {
            Start::Joined
        });
        side.seen = side.seen.saturating_add(bytes.len() as u32);
        let before = side.kept.len();
        if before + bytes.len() < side.ask_at as usize {
            self.keep(direction, bytes);
            return None;
        }
        // The usual flow is ruled out by its first segment: that one is looked at where it lies.
        let apart = before <= SHORT;
        if !apart {
            self.keep(direction, bytes);
        }
        let side = &self.sides[direction.index()];
        let window = match before {
            0 => bytes,
            _ if apart => {
                scratch.clear();
                scratch.extend_from_slice(&side.kept);
                scratch.extend_from_slice(bytes);
                scratch
            }
            _ => &side.kept,
        };
        let full = window.len() >= WINDOW;
        let answer = ask(
            Transport::Tcp,
            &side.input(direction, window, full, context, signatures),
        );
        match answer {
            Answer::Claimed(claimed) => {
                if apart {
                    self.keep(direction, bytes);
                }
                return Some(claimed);
            }
            Answer::Wait(from, total) if !full => {
                let from = from.min(window.len());
                self.forget(direction, from);
                if apart {
                    self.keep(direction, &bytes[from.saturating_sub(before)..]);
                }
                let side = &mut self.sides[direction.index()];
                side.ask_at = total.saturating_sub(from).min(WINDOW) as u32;
                if from > 0 {
                    side.start = Some(Start::Later);
                    side.dropped = true;
                }
            }
            Answer::Wait(..) | Answer::Nobody => self.nobody_wants(direction),
        }
        let side = &mut self.sides[direction.index()];
        if side.start == Some(Start::Later) && side.seen >= SEARCH {
            side.done = true;
            side.dropped = true;
            self.restart(direction, Start::Later);
        }
        None
    }

    /// Bytes of a direction are missing.
    pub fn gap(
        &mut self,
        direction: Direction,
        context: Context,
        signatures: Option<&Signatures>,
    ) -> Option<Claimed> {
        self.sides[direction.index()].dropped = true;
        self.look_again(direction, context, signatures);
        if self.sides[direction.index()].done {
            return None;
        }
        let claimed = self.last_chance(direction, context, signatures);
        if claimed.is_none() {
            self.restart(direction, Start::Joined);
            let side = &mut self.sides[direction.index()];
            side.done = side.seen >= SEARCH;
        }
        claimed
    }

    /// No more bytes of a direction will come.
    pub fn end_of(
        &mut self,
        direction: Direction,
        context: Context,
        signatures: Option<&Signatures>,
    ) -> Option<Claimed> {
        let claimed = self.last_chance(direction, context, signatures);
        self.sides[direction.index()].done = true;
        claimed
    }

    /// The stream was claimed by a direction, from `offset` of what it said on: hands what was kept to the dissector.
    /// Says how far each direction has come.
    pub fn hand_over(
        mut self,
        claimed: Direction,
        offset: usize,
        from_start: bool,
        context: Context,
        dissector: &mut dyn Dissector,
        out: &mut Events,
    ) -> [u64; 2] {
        let other = claimed.reverse();
        self.forget(claimed, offset);
        self.look_again(other, context, out.tools().1);
        // A stream joined in the middle begins anywhere in a unit, but for what was claimed.
        if self.sides[other.index()].dropped || !from_start {
            // How much is missing is unknown: enough to make the dissector look for the next unit.
            dissector.gap(other, u64::from(u32::MAX), out);
        }
        let mut at = self
            .sides
            .each_ref()
            .map(|side| u64::from(side.seen).saturating_sub(side.kept.len() as u64));
        let mut rest = self.sides.each_ref().map(|side| side.kept.as_slice());
        for (direction, bytes) in self.turns.0 {
            let rest = &mut rest[direction.index()];
            let (now, later) = rest.split_at(rest.len().min(bytes as usize));
            *rest = later;
            let at = &mut at[direction.index()];
            out.begin_piece(direction, *at);
            *at += now.len() as u64;
            dissector.feed(direction, now, out);
        }
        at
    }

    fn keep(&mut self, direction: Direction, bytes: &[u8]) {
        self.sides[direction.index()].kept.extend_from_slice(bytes);
        if !bytes.is_empty() {
            self.turns.add(direction, bytes.len());
        }
    }

    fn forget(&mut self, direction: Direction, bytes: usize) {
        let kept = &mut self.sides[direction.index()].kept;
        let bytes = bytes.min(kept.len());
        if bytes > 0 {
            kept.drain(..bytes);
            if kept.capacity() > 4 * kept.len().max(SHORT) {
                kept.shrink_to(SHORT);
            }
            self.turns.forget(direction, bytes);
        }
    }

    fn restart(&mut self, direction: Direction, start: Start) {
        self.forget(direction, usize::MAX);
        let side = &mut self.sides[direction.index()];
        side.ask_at = 0;
        side.start = Some(start);
    }

    /// Drops what nobody wants any more. Detectors are asked when there is as much as they wanted, which depends on how
    /// the bytes were cut; whether bytes are kept may not.
    fn look_again(
        &mut self,
        direction: Direction,
        context: Context,
        signatures: Option<&Signatures>,
    ) {
        let side = &self.sides[direction.index()];
        let input = side.input(direction, &side.kept, false, context, signatures);
        if !side.kept.is_empty() && matches!(ask(Transport::Tcp, &input), Answer::Nobody) {
            self.nobody_wants(direction);
        }
    }

    /// Every detector has said no.
    fn nobody_wants(&mut self, direction: Direction) {
        let side = &mut self.sides[direction.index()];
        side.dropped = true;
        // A stream seen from its first byte shows there what it is; only one joined in the middle
        // is searched further on.
        side.done = side.start == Some(Start::Beginning);
        self.restart(direction, Start::Later);
    }

    /// No more bytes will follow those kept: asks once more, for an answer without "more".
    fn last_chance(
        &self,
        direction: Direction,
        context: Context,
        signatures: Option<&Signatures>,
    ) -> Option<Claimed> {
        let side = &self.sides[direction.index()];
        if side.kept.is_empty() {
            return None;
        }
        let input = side.input(direction, &side.kept, true, context, signatures);
        match ask(Transport::Tcp, &input) {
            Answer::Claimed(claimed) => Some(claimed),
            _ => None,
        }
    }
}

impl Side {
    fn input<'a>(
        &self,
        direction: Direction,
        bytes: &'a [u8],
        ended: bool,
        context: Context,
        signatures: Option<&'a Signatures>,
    ) -> ProbeInput<'a> {
        ProbeInput {
            direction,
            bytes,
            start: self.start.unwrap_or(Start::Later),
            wire_len: bytes.len(),
            ended,
            server_port: context.server_port,
            expected: context.expected,
            signatures,
        }
    }
}

/// What the detectors say of some bytes.
pub enum Answer {
    /// It is one's.
    Claimed(Claimed),
    /// Keep from this offset, ask again at this length.
    Wait(usize, usize),
    /// It is nobody's.
    Nobody,
}

/// Asks every detector that it may concern. What begins first holds the rest inside it, as HTTP holds what it carries; of two claims that
/// begin at the same place, a proof beats a signature; else the registry's order decides. A claim waits for detectors
/// that are still in doubt about an earlier place, so that nothing depends on how the bytes were cut.
pub fn ask(transport: Transport, input: &ProbeInput<'_>) -> Answer {
    let mut first: Option<(&dyn Detector, Claim, Confidence)> = None;
    let mut wait: Option<(usize, usize)> = None;
    let detectors = registry::concerned(transport, input);
    // What the program knows by itself comes before what a rule file says.
    let last = input.signatures.and_then(|it| it.detector(transport));
    for detector in detectors.map(|it| it as &dyn Detector).chain(last) {
        let (claim, confidence) = match detector.probe(input) {
            Probe::Certain(claim) if claim.offset == 0 => {
                return Answer::Claimed(Claimed::by(detector, claim, Confidence::Confirmed));
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
        (Some((detector, claim, confidence)), _) => {
            Answer::Claimed(Claimed::by(detector, claim, confidence))
        }
        (None, Some((from, total))) => Answer::Wait(from, total),
        (None, None) => Answer::Nobody,
    }
}
