//! One flow: what is counted of it, its two directions, and which of its packets need not be looked at.

use super::class::Class;
use super::table::{Keyed, Passed};
use super::{Budget, FlowHandler, FlowInfo, Interest, Reassembler};
use crate::model::{Direction, FlowKey, LayerPath, Packet, TcpHeader, Transport};

#[derive(Default)]
pub(super) struct Tcp {
    pub(super) sides: [Reassembler; 2],
    /// Initial sequence number of the client's SYN, to tell a repeated SYN from a new connection.
    pub(super) isn: Option<u32>,
    pub(super) fin: [bool; 2],
    pub(super) reset: bool,
    pub(super) payload: bool,
}

/// Marks of a flow: which packets of it pass by, and are only counted. None that opens, ends or resets it does.
pub(super) mod mark {
    /// All: nobody listens, and a packet changes nothing.
    pub const QUIET: u8 = 1;
    /// TCP segments without payload: what they acknowledge is known.
    pub const ACKS: u8 = 2;
    /// TCP segments whose payload need not be shown, if they come in order.
    pub const BODY: u8 = 4;
}

/// A flow.
pub(super) struct Flow<S> {
    pub(super) info: FlowInfo,
    pub(super) state: S,
    /// Not used by UDP.
    pub(super) tcp: Tcp,
    /// Bytes of `state` on the heap, as charged to the budget. 32 bits, since every byte of a flow counts a million times.
    pub(super) charged: u32,
    /// The client is the lower endpoint of the key.
    pub(super) client_is_low: bool,
    /// The handler knows that no more will come.
    pub(super) ended: bool,
}

impl<S> Keyed for Flow<S> {
    fn key(&self) -> FlowKey {
        self.info.tuple.key()
    }
}

impl<S> Flow<S> {
    /// Looks at each of its cache lines.
    pub(super) fn fetch(&self) -> u64 {
        let Self { info, tcp, .. } = self;
        let [there, back] = &tcp.sides;
        info.id
            ^ info.packet
            ^ info.first_packet
            ^ info.counts().packets
            ^ u64::from(info.tuple.server.port)
            ^ u64::from(info.path == LayerPath::default())
            ^ u64::from(there.overlaps() ^ back.overlaps() ^ self.charged)
    }

    pub(super) fn direction(&self, sent_by_low: bool) -> Direction {
        if sent_by_low == self.client_is_low {
            Direction::ToServer
        } else {
            Direction::ToClient
        }
    }

    pub(super) fn count(&mut self, packet: &Packet<'_>, direction: Direction) {
        let info = &mut self.info;
        info.packet = packet.number;
        info.last_seen = info.last_seen.max(packet.timestamp);
        let counts = &mut info.sides[direction.index()];
        counts.packets += 1;
        counts.bytes += u64::from(packet.wire_len);
    }

    /// Takes what passed by into account.
    pub(super) fn settle(&mut self, passed: &mut Passed) {
        let Passed {
            packets,
            bytes,
            last_seen,
            number,
        } = *passed;
        if packets == [0; 2] {
            return;
        }
        *passed = Passed::NONE;
        for (low, (packets, bytes)) in [true, false]
            .into_iter()
            .zip(packets.into_iter().zip(bytes))
        {
            let counts = &mut self.info.sides[self.direction(low).index()];
            counts.packets += u64::from(packets);
            counts.bytes += u64::from(bytes);
        }
        self.info.last_seen = self.info.last_seen.max(last_seen);
        self.info.packet = number;
    }

    /// Tells of the payload that passed by.
    pub(super) fn settle_bodies<H: FlowHandler<State = S>>(&mut self, marks: u8, handler: &mut H) {
        if marks & mark::BODY == 0 {
            return;
        }
        for direction in Direction::BOTH {
            let idle = self.tcp.sides[direction.index()].idle();
            let passed = skippable(handler, &self.state, direction).saturating_sub(idle);
            if passed > 0 {
                handler.skip(&mut self.state, direction, u64::from(passed));
            }
        }
    }

    /// Which packets may pass by from now on.
    pub(super) fn marks<H: FlowHandler<State = S>>(&mut self, handler: &H) -> u8 {
        if self.is_quiet(handler) {
            return mark::QUIET;
        }
        let joining = self.tcp.sides.iter().any(Reassembler::is_joining);
        if self.info.tuple.transport == Transport::Udp || joining {
            return 0;
        }
        let mut marks = mark::ACKS;
        // Payload behind a reset says that it was none.
        if self.tcp.payload && !self.tcp.reset {
            for direction in Direction::BOTH {
                let bytes = skippable(handler, &self.state, direction);
                self.tcp.sides[direction.index()].may_pass(bytes);
                if bytes > 0 {
                    marks |= mark::BODY;
                }
            }
        }
        marks
    }

    /// Whether nobody listens, and the first payload (since a reset) was seen.
    pub(super) fn is_quiet<H: FlowHandler<State = S>>(&self, handler: &H) -> bool {
        let plain = match self.info.tuple.transport {
            Transport::Tcp => self.tcp.payload && !self.tcp.reset,
            Transport::Udp => true,
        };
        plain && !handler.wants_bytes(&self.state)
    }

    pub(super) fn overlaps(&self) -> u32 {
        let [a, b] = &self.tcp.sides;
        a.overlaps().wrapping_add(b.overlaps())
    }

    /// Keeps the account of what the handler holds for this flow.
    pub(super) fn charge<H: FlowHandler<State = S>>(&mut self, handler: &H, budget: &mut Budget) {
        let held = u32::try_from(handler.memory(&self.state)).unwrap_or(u32::MAX);
        if held > self.charged {
            budget.take((held - self.charged) as usize);
        } else {
            budget.give((self.charged - held) as usize);
        }
        self.charged = held;
    }

    pub(super) fn segment<H: FlowHandler<State = S>>(
        &mut self,
        handler: &mut H,
        budget: &mut Budget,
        direction: Direction,
        header: TcpHeader,
        packet: &Packet<'_>,
        wanted: bool,
    ) {
        let Self {
            info, state, tcp, ..
        } = self;
        let mut seq = header.seq;
        if header.flags.syn {
            if direction == Direction::ToServer {
                tcp.isn = Some(seq);
            }
            tcp.sides[direction.index()].start_after(seq);
            // TCP Fast Open: data behind the SYN begins one further.
            seq = seq.wrapping_add(1);
        }
        if header.flags.rst {
            // What a reset carries is an error text at most, never stream data.
            tcp.reset = true;
            return;
        }
        let reverse = direction.reverse();
        let answered = &mut tcp.sides[reverse.index()];
        if header.flags.ack && answered.is_joining() {
            answered.acknowledged(header.ack, budget, &mut |chunk| {
                handler.stream(info, state, reverse, chunk);
            });
        }
        if !packet.payload.is_empty() || packet.cut > 0 {
            tcp.payload = true;
            tcp.reset = false;
            if wanted {
                tcp.sides[direction.index()].push(
                    seq,
                    packet.payload,
                    packet.cut,
                    packet.timestamp,
                    budget,
                    &mut |chunk| handler.stream(info, state, direction, chunk),
                );
            }
        }
        tcp.fin[direction.index()] |= header.flags.fin;
        if wanted && !handler.wants_bytes(state) {
            for side in &mut tcp.sides {
                side.clear(budget);
            }
        }
    }

    /// Passes on what still waits for a hole to fill.
    pub(super) fn flush<H: FlowHandler<State = S>>(
        &mut self,
        handler: &mut H,
        budget: &mut Budget,
    ) {
        let Self {
            info, state, tcp, ..
        } = self;
        for direction in Direction::BOTH {
            tcp.sides[direction.index()].flush(budget, &mut |chunk| {
                handler.stream(info, state, direction, chunk);
            });
        }
    }

    /// As [`Self::flush`], and says once that no more will come.
    pub(super) fn end<H: FlowHandler<State = S>>(&mut self, handler: &mut H, budget: &mut Budget) {
        if self.info.tuple.transport == Transport::Udp || std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.flush(handler, budget);
        for direction in Direction::BOTH {
            handler.stream_end(&self.info, &mut self.state, direction);
        }
    }

    pub(super) fn class<H: FlowHandler<State = S>>(&self, handler: &H) -> Class {
        use Transport::{Tcp, Udp};
        let transport = self.info.tuple.transport;
        let ended = self.tcp.reset || self.tcp.fin == [true; 2];
        match (transport, handler.interest(&self.state)) {
            (Tcp, interest) if interest < Interest::Decided && !self.tcp.payload => Class::HalfOpen,
            (Tcp, _) if ended => Class::Finished,
            (Tcp, Interest::Decided) => Class::DecidedTcp,
            (Udp, Interest::Decided) => Class::DecidedUdp,
            (_, Interest::Possible) => Class::Possible,
            (_, Interest::Undecided) if !handler.wants_bytes(&self.state) => Class::GivenUp,
            (Tcp, Interest::Undecided) => Class::UndecidedTcp,
            (Udp, Interest::Undecided) => Class::UndecidedUdp,
        }
    }
}

/// See [`FlowHandler::skippable`]. As many as a side counts, which is enough until the next packet that is looked at.
fn skippable<H: FlowHandler>(handler: &H, state: &H::State, direction: Direction) -> u32 {
    u32::try_from(handler.skippable(state, direction)).unwrap_or(u32::MAX)
}
