//! The contract between the engine and a protocol family.

use super::call::Calls;
use super::carrier::Fingerprints;
use super::carrier::http::Sessions;
use super::signature::Signatures;
use crate::model::{Activity, Confidence, Direction, Event, Evidence, Format, Transport};
use crate::ruleset::RuleSet;
use std::sync::Arc;

/// Where the bytes of a [`ProbeInput`] lie in their stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// `bytes[0]` is the very first byte of this direction (the SYN was seen), or a whole datagram.
    Beginning,
    /// `bytes[0]` is the first byte that the capture has of this direction (it began in the middle), or the
    /// first after a gap: often, but not surely, the start of a unit.
    Joined,
    /// `bytes[0]` lies somewhere behind that: only a detector that can resynchronise should look.
    Later,
}

/// What a detector is asked about.
#[derive(Clone, Copy, Debug)]
pub struct ProbeInput<'a> {
    /// Which way the bytes went, as far as is known: exact if the SYN was seen, else a guess. A detector
    /// that can tell the side from the bytes says so in [`Claim::sender_is_client`].
    pub direction: Direction,
    /// Contiguous bytes of that direction; for UDP the datagram's payload.
    pub bytes: &'a [u8],
    /// Where they lie.
    pub start: Start,
    /// UDP: the payload's length on the wire, more than `bytes.len()` in a cut capture.
    pub wire_len: usize,
    /// No more bytes will come in this direction (it ended, or a gap follows): `NeedMore` is a no.
    pub ended: bool,
    /// The server's port as far as known. A port is never enough, but may choose between two readings.
    pub server_port: u16,
    /// What an earlier flow said this one would be: `app_proto` of the expected format. With it a detector
    /// may accept structure that is too weak to stand alone.
    pub expected: Option<&'static str>,
    /// What rule files know of beginnings: whoever looks inside a carrier asks them as well.
    pub signatures: Option<&'a Signatures>,
}

/// A detector's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Not this protocol, and no byte of the input is worth keeping.
    No,
    /// Undecided: keep the bytes from offset `from` on (0 = all) and ask again when there are at least
    /// `total` bytes, counted from offset 0 of this input. `from` may pass over bytes that a resynchronising
    /// detector has ruled out; it must be 0 for a detector that only looks at the start.
    NeedMore {
        /// First byte still needed.
        from: usize,
        /// Ask again when the input is that long; more than `bytes.len()`.
        total: usize,
    },
    /// One unambiguous signature: `probable`.
    Likely(Claim),
    /// Structure proven: `confirmed`.
    Certain(Claim),
}

/// A detector recognises the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What it is. `Format::other` for something that is no messenger, `Format::UNTOLD` for what one dissector alone may find out.
    pub format: Format,
    /// The first byte of the first unit: the dissector is fed from here on.
    pub offset: usize,
    /// Whether these bytes can only have been sent by the client (`Some(true)`), only by the server
    /// (`Some(false)`), or by either side (`None`).
    pub sender_is_client: Option<bool>,
    /// Why.
    pub evidence: Evidence,
}

/// Recognises one protocol. Pure: no clock, no I/O, no state.
pub trait Detector: Sync {
    /// Short name for logs.
    fn name(&self) -> &'static str;

    /// TCP or UDP.
    fn transport(&self) -> Transport;

    /// Is it this protocol?
    ///
    /// Called with a growing input until the answer is not `NeedMore`. The answer may only depend on the
    /// bytes, not on how they were cut into segments: whatever is `Likely` or `Certain` for a long input
    /// must be `NeedMore` or the same for each of its beginnings, never `No`.
    fn probe(&self, input: &ProbeInput<'_>) -> Probe;

    /// A dissector for a stream that this detector claimed. It will be fed both directions from the first
    /// byte kept (the claimed direction from [`Claim::offset`]).
    fn dissector(&self, claim: &Claim) -> Box<dyn Dissector>;
}

/// Follows a decided stream and tells what happens in it.
///
/// A dissector must never panic and never hold more than a bounded number of bytes, whatever it is fed.
/// A direction keeps its label for the dissector's whole life, even if the label proves wrong
/// ([`Event::ClientIs`] corrects the record only), so where the bytes say who speaks, believe the bytes.
pub trait Dissector: Send {
    /// The next bytes of one direction, cut anywhere (TCP), or one whole datagram (UDP).
    fn feed(&mut self, direction: Direction, bytes: &[u8], out: &mut Events);

    /// `missing` bytes of this direction were not captured. Skip them where the position in the protocol
    /// allows it, else look for the next unit.
    fn gap(&mut self, direction: Direction, missing: u64, out: &mut Events) {
        let _ = (direction, missing, out);
    }

    /// How many of the next bytes of a direction change nothing but where it is: it is enough to count them ([`Self::skip`]).
    fn skippable(&self, direction: Direction) -> u64 {
        let _ = direction;
        0
    }

    /// So many of the bytes that change nothing were there.
    fn skip(&mut self, direction: Direction, bytes: u64) {
        let _ = (direction, bytes);
    }

    /// Whether nothing that may still come can tell anything more. Once `true`, it stays so.
    fn is_done(&self) -> bool {
        false
    }

    /// Bytes held, itself and its buffers, to be counted against the memory that flows may use.
    fn memory(&self) -> usize {
        size_of_val(self)
    }

    /// The flow ended or was given up.
    fn end(&mut self, out: &mut Events) {
        let _ = out;
    }
}

/// Carriers inside each other that are opened: each costs a few stack frames, and nobody needs many.
const MAX_DEPTH: u8 = 8;

/// What a dissector told something of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unit {
    /// Whose words they are; `None` outside of what anybody said.
    pub direction: Option<Direction>,
    /// Where it begins, in the bytes of its direction.
    pub offset: u64,
}

/// Collects what a dissector tells, and lends what lasts longer than one flow.
#[derive(Debug, Default)]
pub struct Events {
    told: Vec<Event>,
    /// What each of them was told of.
    units: Vec<Unit>,
    /// The piece that a dissector is being fed.
    piece: Unit,
    /// Where the unit begins.
    unit: u64,
    depth: u8,
    sessions: Sessions,
    signatures: Option<Arc<Signatures>>,
    fingerprints: Option<Arc<Fingerprints>>,
    /// See [`Self::tools`].
    scratch: Vec<u8>,
}

impl Events {
    /// Nothing told yet, with these sessions, and what rule files look for.
    pub fn lending(sessions: Sessions, rules: &RuleSet) -> Self {
        let mut events = Self {
            sessions,
            ..Self::default()
        };
        events.lend(rules);
        events
    }

    /// Other rules from now on.
    pub fn lend(&mut self, rules: &RuleSet) {
        self.signatures = Signatures::of(rules).map(Arc::new);
        self.fingerprints = Fingerprints::of(rules.fingerprints()).map(Arc::new);
    }

    /// The JA4 of hellos that rules are about, if any is.
    pub fn fingerprints(&self) -> Option<Arc<Fingerprints>> {
        self.fingerprints.clone()
    }

    /// Tells one event.
    pub fn push(&mut self, event: Event) {
        self.told.push(event);
        self.units.push(self.unit());
    }

    /// A piece is going to be fed that begins at this offset of its direction. What was before is to be put back
    /// with [`Self::back_to`], for carriers hold streams inside streams.
    pub const fn begin_piece(&mut self, direction: Direction, offset: u64) -> Unit {
        let around = self.piece;
        self.back_to(Unit {
            direction: Some(direction),
            offset,
        });
        around
    }

    /// Goes on with the piece around the one that was fed.
    pub const fn back_to(&mut self, around: Unit) {
        self.unit = around.offset;
        self.piece = around;
    }

    /// What is being told of.
    pub const fn unit(&self) -> Unit {
        Unit {
            direction: self.piece.direction,
            offset: self.unit,
        }
    }

    /// Tells of something that was said before, and not told of then.
    pub fn of(&mut self, unit: Unit, tell: impl FnOnce(&mut Self)) {
        let around = (self.piece, self.unit);
        self.back_to(unit);
        tell(self);
        (self.piece, self.unit) = around;
    }

    /// What is told next is told of a unit that begins so far behind the beginning of the piece; before it, if
    /// negative.
    pub const fn at(&mut self, start: isize) {
        self.unit = self.piece.offset.saturating_add_signed(start as i64);
    }

    /// Tells that somebody did something.
    pub fn done(&mut self, activity: Activity) {
        self.push(Event::Done(Box::new(activity)));
    }

    /// Tells that the stream was recognised (again, or better).
    pub fn identified(&mut self, format: Format, confidence: Confidence, evidence: Evidence) {
        self.push(Event::Identified {
            format,
            confidence,
            evidence,
        });
    }

    /// Takes all events told so far, in order.
    pub fn drain(&mut self) -> impl Iterator<Item = Event> + '_ {
        self.units.clear();
        self.told.drain(..)
    }

    /// Takes the events away, each with its unit, to be dealt with while the rest is used;
    /// [`Self::recycle`] gives the room back.
    pub fn take(&mut self) -> (Vec<Event>, Vec<Unit>) {
        (
            std::mem::take(&mut self.told),
            std::mem::take(&mut self.units),
        )
    }

    /// Takes the emptied lists back, so that their room is used again. Nothing may have been told meanwhile.
    pub fn recycle(&mut self, (mut told, mut units): (Vec<Event>, Vec<Unit>)) {
        told.clear();
        units.clear();
        (self.told, self.units) = (told, units);
    }

    /// What an undecided stream works with: a room for bytes that are put together and looked at once, in which nothing
    /// lasts, and the signatures of rule files.
    pub fn tools(&mut self) -> (&mut Vec<u8>, Option<&Signatures>) {
        (&mut self.scratch, self.signatures.as_deref())
    }

    /// What rule files say of calls, if they say anything.
    pub fn calls(&self) -> Option<Calls> {
        let calls = self.signatures.as_deref()?.calls();
        (!calls.is_empty()).then(|| calls.clone())
    }

    /// Whether nothing was told.
    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// How many events were told so far.
    pub fn count(&self) -> usize {
        self.told.len()
    }

    /// The events told since there were `count` of them.
    pub fn since(&self, count: usize) -> &[Event] {
        self.told.get(count..).unwrap_or_default()
    }

    /// The same, to be put right.
    pub fn since_mut(&mut self, count: usize) -> &mut [Event] {
        self.told.get_mut(count..).unwrap_or_default()
    }

    /// Does something one carrier further in; nothing at all when that is too deep.
    pub fn deeper(&mut self, go: impl FnOnce(&mut Self)) {
        if self.depth < MAX_DEPTH {
            self.depth += 1;
            go(self);
            self.depth -= 1;
        }
    }

    /// The sessions that many flows share.
    pub const fn sessions(&mut self) -> &mut Sessions {
        &mut self.sessions
    }
}

/// So that a test can look at what was told.
impl AsRef<[Event]> for Events {
    fn as_ref(&self) -> &[Event] {
        &self.told
    }
}
