//! Decides what one stream is, then follows it.
//!
//! While it is undecided, each direction keeps the bytes that some detector still wants
//! ([`NeedMore`](super::Probe::NeedMore)) and nothing else. As soon as one detector claims the stream, its dissector
//! gets what was kept and all that follows.
//! A stream inside a carrier (HTTP CONNECT) runs through the same code as one on the wire.

use super::undecided::{Answer, Claimed, Undecided, ask};
use super::{Dissector, Events, ProbeInput, Start};
use crate::model::{Direction, Event, Format, Transport};

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

enum State {
    /// `None` before the first byte, so that a flow without payload costs nothing.
    Undecided(Option<Box<Undecided>>),
    /// Boxed as a whole: most flows never come so far.
    Decided(Box<Followed>),
    GivenUp,
}

/// A decided stream.
struct Followed {
    dissector: Box<dyn Dissector>,
    /// How far each direction has come.
    at: [u64; 2],
}

impl Followed {
    /// Does something with the dissector that takes a direction so many bytes further.
    fn advance(
        &mut self,
        direction: Direction,
        bytes: u64,
        out: &mut Events,
        act: impl FnOnce(&mut dyn Dissector, &mut Events),
    ) {
        let at = &mut self.at[direction.index()];
        let around = out.begin_piece(direction, *at);
        *at = at.saturating_add(bytes);
        act(self.dissector.as_mut(), out);
        out.back_to(around);
    }
}

/// One stream or datagram flow.
pub struct Stream {
    state: State,
    transport: Transport,
    /// Whether the first byte fed is the first byte of the stream.
    from_start: bool,
    datagrams: u32,
}

impl Stream {
    /// What an undecided TCP flow costs on the heap, besides the bytes that a detector still wants.
    pub const UNDECIDED_BYTES: usize = size_of::<Undecided>() + 16;

    /// A stream of which nothing was seen yet.
    pub const fn new(transport: Transport, from_start: bool) -> Self {
        Self {
            state: State::Undecided(None),
            transport,
            from_start,
            datagrams: 0,
        }
    }

    /// Whether a detector claimed it.
    pub const fn is_decided(&self) -> bool {
        matches!(self.state, State::Decided(..))
    }

    /// Whether more bytes can still tell anything.
    pub fn wants_bytes(&self) -> bool {
        match &self.state {
            State::Undecided(_) => true,
            State::Decided(followed) => !followed.dissector.is_done(),
            State::GivenUp => false,
        }
    }

    /// How many of the next bytes of a direction it is enough to count ([`Self::skip`]).
    pub fn skippable(&self, direction: Direction) -> u64 {
        match &self.state {
            State::Decided(followed) => followed.dissector.skippable(direction),
            State::Undecided(_) | State::GivenUp => 0,
        }
    }

    /// So many of those bytes were there.
    pub fn skip(&mut self, direction: Direction, bytes: u64) {
        if let State::Decided(followed) = &mut self.state {
            let at = &mut followed.at[direction.index()];
            *at = at.saturating_add(bytes);
            followed.dissector.skip(direction, bytes);
        }
    }

    /// Whether nobody knew it and nobody looks any more.
    pub const fn is_given_up(&self) -> bool {
        matches!(self.state, State::GivenUp)
    }

    /// Whether what was seen may be the beginning of something, and more must come before anybody can say.
    pub fn is_in_doubt(&self) -> bool {
        matches!(&self.state, State::Undecided(Some(undecided)) if undecided.is_in_doubt())
    }

    /// Bytes held on the heap.
    pub fn memory(&self) -> usize {
        match &self.state {
            State::Undecided(Some(undecided)) => Self::UNDECIDED_BYTES + undecided.memory(),
            State::Decided(followed) => size_of::<Followed>() + followed.dissector.memory(),
            State::Undecided(None) | State::GivenUp => 0,
        }
    }

    /// The next bytes of one direction.
    pub fn feed(&mut self, direction: Direction, bytes: &[u8], context: Context, out: &mut Events) {
        match &mut self.state {
            State::GivenUp => {}
            State::Decided(followed) => {
                followed.advance(direction, bytes.len() as u64, out, |dissector, out| {
                    dissector.feed(direction, bytes, out);
                });
            }
            State::Undecided(undecided) => {
                let undecided = undecided.get_or_insert_default();
                let claimed =
                    undecided.feed(direction, bytes, self.from_start, context, out.tools());
                self.conclude(direction, claimed, context, out);
            }
        }
    }

    /// Bytes of one direction are missing.
    pub fn gap(&mut self, direction: Direction, missing: u64, context: Context, out: &mut Events) {
        match &mut self.state {
            State::GivenUp => {}
            State::Decided(followed) => {
                followed.advance(direction, missing, out, |dissector, out| {
                    dissector.gap(direction, missing, out);
                });
            }
            State::Undecided(undecided) => {
                let undecided = undecided.get_or_insert_default();
                let claimed = undecided.gap(direction, context, out.tools().1);
                self.conclude(direction, claimed, context, out);
                if self.is_decided() {
                    self.gap(direction, missing, context, out);
                }
            }
        }
    }

    /// No more bytes of this direction will come.
    pub fn end_of(&mut self, direction: Direction, context: Context, out: &mut Events) {
        if let State::Undecided(Some(undecided)) = &mut self.state {
            let claimed = undecided.end_of(direction, context, out.tools().1);
            self.conclude(direction, claimed, context, out);
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
            State::Decided(followed) => {
                followed.advance(direction, 0, out, |dissector, out| {
                    dissector.feed(direction, payload, out);
                });
            }
            State::Undecided(_) => {
                self.datagrams += 1;
                let signatures = out.tools().1;
                let input = ProbeInput {
                    direction,
                    bytes: payload,
                    start: Start::Beginning,
                    wire_len,
                    ended: true,
                    server_port: context.server_port,
                    expected: context.expected,
                    signatures,
                };
                if let Answer::Claimed(claimed) = ask(self.transport, &input) {
                    let around = out.begin_piece(direction, 0);
                    let (mut dissector, _) = announce(claimed, direction, out);
                    dissector.feed(direction, payload, out);
                    out.back_to(around);
                    let at = [0; 2];
                    self.state = State::Decided(Box::new(Followed { dissector, at }));
                } else if self.datagrams >= DATAGRAMS {
                    self.state = State::GivenUp;
                }
            }
        }
    }

    /// The flow is over.
    pub fn end(&mut self, out: &mut Events) {
        if let State::Decided(followed) = &mut self.state {
            followed.dissector.end(out);
        }
    }

    /// Starts the dissector of a claim, or gives the stream up when nothing more is to be found.
    fn conclude(
        &mut self,
        direction: Direction,
        claimed: Option<Claimed>,
        context: Context,
        out: &mut Events,
    ) {
        let State::Undecided(Some(undecided)) = &mut self.state else {
            return;
        };
        if let Some(claimed) = claimed {
            let undecided = std::mem::take(undecided);
            let at = undecided.claimed_at(direction, claimed.claim.offset);
            let around = out.begin_piece(direction, at);
            let (mut dissector, offset) = announce(claimed, direction, out);
            let at = undecided.hand_over(
                direction,
                offset,
                self.from_start,
                context,
                dissector.as_mut(),
                out,
            );
            out.back_to(around);
            self.state = State::Decided(Box::new(Followed { dissector, at }));
        } else if undecided.is_given_up() {
            self.state = State::GivenUp;
        }
    }
}

/// Tells of a claim that a direction proved; gives who follows the stream, and from where.
fn announce(
    claimed: Claimed,
    direction: Direction,
    out: &mut Events,
) -> (Box<dyn Dissector>, usize) {
    let Claimed {
        detector,
        claim,
        confidence,
        dissector,
    } = claimed;
    tracing::trace!(detector, ?claim, "claimed");
    if claim.format == Format::UNTOLD {
        return (dissector, claim.offset);
    }
    if let Some(sender_is_client) = claim.sender_is_client {
        out.push(Event::ClientIs(if sender_is_client {
            direction
        } else {
            direction.reverse()
        }));
    }
    out.identified(claim.format, confidence, claim.evidence);
    (dissector, claim.offset)
}
