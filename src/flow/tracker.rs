//! One packet in, each flow's bytes in order out.

use super::class::{CLASSES, Class, HOLDERS, TIERS};
use super::reassembly::Chunk;
use super::table::{Slot, Table};
use super::{Budget, Reassembler, Timeouts};
use crate::model::{
    Counts, Direction, FiveTuple, FlowKey, Headline, LayerPath, Mac, Packet, TcpFlags, TcpHeader,
    Timestamp, Transport, TransportHeader,
};

/// A SYN that was captured behind the first bytes of its connection comes at most so far behind.
const LATE_SYN_BYTES: u32 = 64 * 1024;
const LATE_SYN_PACKETS: u64 = 16;
/// Time between two looks for flows that were idle for too long.
const SWEEP_NANOS: i64 = 1_000_000_000;
/// Memory kept free for what the next packets bring, at most.
const RESERVE: usize = 512 * 1024;

/// What the tracker knows of a flow.
#[derive(Clone, Copy, Debug)]
#[repr(C)] // What every packet changes comes first: see `Flow`.
pub struct FlowInfo {
    /// Packets and bytes, to the server and to the client.
    pub sides: [Counts; 2],
    /// Time of the last packet.
    pub last_seen: Timestamp,
    /// Number of the packet being handled.
    pub packet: u64,
    /// Number in order of the first packet, from 1.
    pub id: u64,
    /// Client and server: exact if `opening_seen`, else as [`FlowHandler::sent_by_client`] guessed. Never changes.
    pub tuple: FiveTuple,
    /// A SYN or SYN-ACK said who is the client, and the stream is seen from its first byte.
    pub opening_seen: bool,
    /// Time of the first packet.
    pub first_seen: Timestamp,
    /// What the first packet was wrapped in.
    pub path: LayerPath,
    /// The card of the first packet's sender, where the link shows it, and which way that packet went.
    pub card: Option<(Direction, Mac)>,
    /// Number of the first packet.
    pub first_packet: u64,
}

impl FlowInfo {
    /// Packets and bytes, both directions.
    pub const fn counts(&self) -> Counts {
        let [there, back] = &self.sides;
        Counts {
            packets: there.packets + back.packets,
            bytes: there.bytes + back.bytes,
        }
    }
}

/// How much the handler wants to keep a flow when memory runs short. Lower goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Interest {
    /// Nothing is known yet, or ever will be.
    Undecided,
    /// A messenger's port.
    Possible,
    /// A messenger.
    Decided,
}

/// Takes what the flows say.
pub trait FlowHandler {
    /// What the handler remembers of each flow.
    type State;

    /// No SYN was seen: did the client send this packet, as far as one can guess?
    fn sent_by_client(&self, packet: &Packet<'_>) -> bool;

    /// A new flow; `info.packet` is its first packet.
    fn open(&mut self, info: &FlowInfo) -> Self::State;

    /// The next piece of a TCP stream.
    fn stream(
        &mut self,
        info: &FlowInfo,
        state: &mut Self::State,
        direction: Direction,
        chunk: Chunk<'_>,
    );

    /// One direction of a TCP stream is complete: no more bytes will come.
    fn stream_end(&mut self, info: &FlowInfo, state: &mut Self::State, direction: Direction);

    /// A datagram. `wire_len` is its payload's length before the snap length cut it.
    fn datagram(
        &mut self,
        info: &FlowInfo,
        state: &mut Self::State,
        direction: Direction,
        payload: &[u8],
        wire_len: usize,
    );

    /// Whether more bytes of the flow can still tell anything. Once `false`, it stays so, and the tracker only counts.
    fn wants_bytes(&self, state: &Self::State) -> bool;

    /// How dear the flow is.
    fn interest(&self, state: &Self::State) -> Interest;

    /// Bytes that the handler holds for the flow on the heap.
    fn memory(&self, state: &Self::State) -> usize;

    /// The flow is over: ended, idle for too long, or evicted.
    fn close(&mut self, info: &FlowInfo, state: Self::State);
}

/// What the tracker counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrackerStats {
    /// Flows seen.
    pub flows: u64,
    /// Flows dropped early to stay within memory.
    pub evictions: u64,
    /// Segments that brought bytes which were there already.
    pub overlaps: u64,
}

#[derive(Default)]
struct Tcp {
    sides: [Reassembler; 2],
    /// Initial sequence number of the client's SYN, to tell a repeated SYN from a new connection.
    isn: Option<u32>,
    fin: [bool; 2],
    reset: bool,
    payload: bool,
}

/// A flow. The order is that of the fields in memory: those that a packet of a [`quiet`](Self::quiet) flow is counted in, most
/// packets, come first and lie beside the key that the flow was found by.
#[repr(C)]
struct Flow<S> {
    /// Nobody listens, and a packet that does not open, end or reset the flow changes nothing about it.
    quiet: bool,
    /// The client is the lower endpoint of the key.
    client_is_low: bool,
    /// The handler knows that no more will come.
    ended: bool,
    /// Bytes of `state` on the heap, as charged to the budget. 32 bits, since every byte of a flow counts a million times.
    charged: u32,
    info: FlowInfo,
    state: S,
    /// Not used by UDP.
    tcp: Tcp,
}

/// Where a flow is in the table, if it is there.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    hash: u64,
    slot: Option<Slot>,
}

/// The flow table with everything around it.
pub struct Tracker<H: FlowHandler> {
    table: Table<Flow<H::State>, { CLASSES.len() }>,
    max_slots: usize,
    reserve: usize,
    budget: Budget,
    timeouts: Timeouts,
    handler: H,
    next_id: u64,
    now: Timestamp,
    /// When the next look for idle flows is due.
    sweep_at: Timestamp,
    stats: TrackerStats,
}

impl<H: FlowHandler> Tracker<H> {
    /// What one flow costs, not counting the bytes that wait in queues and what the handler holds on the heap.
    pub const FLOW_BYTES: usize = Table::<Flow<H::State>, { CLASSES.len() }>::ENTRY_BYTES;

    /// A tracker that holds at most `memory` bytes of flows, waiting segments and the handler's state, and numbers
    /// flows from `first_id` on.
    pub fn new(handler: H, memory: usize, timeouts: Timeouts, first_id: u64) -> Self {
        // Slots are never given back, so a flood of flows must leave room for bytes.
        let max_slots = (memory / 4 * 3 / Self::FLOW_BYTES).max(1);
        Self {
            table: Table::with_room(max_slots),
            max_slots,
            reserve: RESERVE.min(memory / 16),
            budget: Budget::new(memory),
            timeouts,
            handler,
            next_id: first_id,
            now: Timestamp::default(),
            sweep_at: Timestamp::default(),
            stats: TrackerStats::default(),
        }
    }

    /// What was counted so far.
    pub fn stats(&self) -> TrackerStats {
        self.stats
    }

    /// Bytes held now.
    pub fn memory(&self) -> usize {
        self.budget.used()
    }

    /// The handler.
    pub fn handler(&self) -> &H {
        &self.handler
    }

    /// The handler, to take out what it has gathered.
    pub fn handler_mut(&mut self) -> &mut H {
        &mut self.handler
    }

    /// Flows in the table.
    pub fn open_flows(&self) -> usize {
        self.table.len()
    }

    /// Time goes on, with packets or without.
    #[inline]
    pub fn tick(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        if self.now >= self.sweep_at {
            self.sweep();
        }
    }

    /// Shows the handler every flow that is open, in no particular order.
    pub fn visit(&mut self, visit: &mut dyn FnMut(&mut H, &FlowInfo, &mut H::State)) {
        let Self { table, handler, .. } = self;
        for flow in table.values_mut() {
            visit(handler, &flow.info, &mut flow.state);
        }
    }

    /// What the handler remembers of a flow, if it is open.
    pub fn state(&self, key: &FlowKey) -> Option<&H::State> {
        let slot = self.table.find(self.table.hash(key), key)?;
        self.table.get(slot).map(|flow| &flow.state)
    }

    /// Takes one packet.
    pub fn packet(&mut self, packet: &Packet<'_>) {
        let headline = packet.headline();
        if let Some(place) = self.pass(&headline) {
            self.take(packet, &headline, place);
        }
    }

    /// Most packets are of a flow that nobody listens to any more, and change nothing about it. They are counted, and nobody has to
    /// look at the rest of them. Any other packet is to be taken next ([`Self::take`]) with what comes back.
    #[allow(clippy::inline_always, reason = "every packet, see ARCHITECTURE.md")]
    #[inline(always)]
    pub fn pass(&mut self, headline: &Headline) -> Option<Place> {
        self.tick(headline.timestamp);
        let hash = self.table.hash(&headline.key);
        let slot = self.table.find(hash, &headline.key);
        let count = |flow: &mut Flow<_>| {
            let passes = flow.quiet && !headline.opens_or_ends;
            if passes {
                flow.count(headline);
            }
            passes
        };
        let passed = slot.is_some_and(|slot| self.table.use_if(slot, self.now, count));
        (!passed).then_some(Place { hash, slot })
    }

    /// Takes the packet of a headline that was not passed by.
    pub fn take(&mut self, packet: &Packet<'_>, headline: &Headline, place: Place) {
        let Place { hash, mut slot } = place;
        let (key, sent_by_low) = (headline.key, headline.sent_by_low);
        if self.make_room() {
            slot = self.table.find(hash, &key);
        }
        if let (Some(known), TransportHeader::Tcp(tcp)) = (slot, packet.header)
            && tcp.flags.syn
            && self.is_new_connection(known, &tcp, packet)
        {
            self.close(known);
            slot = None;
        }
        let slot = slot.unwrap_or_else(|| self.open(hash, key, sent_by_low, packet));
        let Self {
            table,
            budget,
            handler,
            stats,
            ..
        } = self;
        let Some(flow) = table.get_mut(slot) else {
            return;
        };
        flow.count(headline);
        let direction = if sent_by_low == flow.client_is_low {
            Direction::ToServer
        } else {
            Direction::ToClient
        };
        let wanted = handler.wants_bytes(&flow.state);
        match packet.header {
            TransportHeader::Udp if wanted => {
                let wire_len = packet.payload.len() + packet.cut;
                handler.datagram(
                    &flow.info,
                    &mut flow.state,
                    direction,
                    packet.payload,
                    wire_len,
                );
            }
            TransportHeader::Udp => {}
            TransportHeader::Tcp(header) => {
                let before = flow.overlaps();
                flow.segment(handler, budget, direction, header, packet, wanted);
                stats.overlaps += u64::from(flow.overlaps().wrapping_sub(before));
            }
        }
        if wanted {
            flow.charge(handler, budget);
        }
        flow.quiet = flow.is_quiet(handler);
        let class = flow.class(handler);
        table.touch(slot, class as u8, self.now);
    }

    /// Closes every flow and gives the handler back.
    pub fn finish(mut self) -> (H, TrackerStats) {
        // What still waits may concern other flows: all of it is passed on before the first of them is concluded.
        let Self {
            table,
            handler,
            budget,
            ..
        } = &mut self;
        let mut flows: Vec<&mut Flow<_>> = table.values_mut().collect();
        flows.sort_unstable_by_key(|flow| flow.info.id);
        for flow in flows {
            flow.end(handler, budget);
            flow.charge(handler, budget);
        }
        for class in CLASSES {
            while let Some((slot, _)) = self.table.oldest(class as u8) {
                self.close(slot);
            }
        }
        debug_assert_eq!(
            self.budget.used(),
            self.table.slots() * Self::FLOW_BYTES,
            "all that flows held was given back"
        );
        (self.handler, self.stats)
    }

    /// Ends flows that were idle for too long.
    #[cold]
    fn sweep(&mut self) {
        self.sweep_at = self.now.after(SWEEP_NANOS);
        for class in CLASSES {
            while let Some((slot, last_used)) = self.table.oldest(class as u8)
                && self.now.seconds_since(last_used) > class.timeout(&self.timeouts)
            {
                match class {
                    Class::DecidedTcp => self.send_to_sleep(slot),
                    _ => self.close(slot),
                }
            }
        }
    }

    /// A messenger that is silent keeps its name; what it waited for will not come.
    fn send_to_sleep(&mut self, slot: Slot) {
        let Self {
            table,
            handler,
            budget,
            ..
        } = self;
        if let Some(flow) = table.get_mut(slot) {
            flow.flush(handler, budget);
            flow.charge(handler, budget);
            flow.quiet = flow.is_quiet(handler);
            table.touch(slot, Class::Asleep as u8, self.now);
        }
    }

    /// Makes room for the bytes of the next packet: undecided flows let go of what they keep; messengers only
    /// when they alone hold more than there may be. Whether any flow had to go.
    fn make_room(&mut self) -> bool {
        let before = self.stats.evictions;
        while self.budget.room() < self.reserve && self.evict(&HOLDERS) {}
        while self.budget.is_over() && self.evict(&TIERS) {}
        self.stats.evictions != before
    }

    /// A SYN with another sequence number on a flow that was used: the ports were used again.
    fn is_new_connection(&mut self, slot: Slot, syn: &TcpHeader, packet: &Packet<'_>) -> bool {
        let Some(flow) = self.table.get_mut(slot) else {
            return false;
        };
        let tcp = &flow.tcp;
        if syn.flags.ack || tcp.isn == Some(syn.seq) {
            return false;
        }
        // Captured late: it stands just before the first bytes that were seen.
        let side = usize::from(packet.src != flow.info.tuple.client);
        let behind = |at: u32| at.wrapping_sub(syn.seq.wrapping_add(1)) < LATE_SYN_BYTES;
        let late = tcp.isn.is_none()
            && flow.info.counts().packets < LATE_SYN_PACKETS
            && tcp.sides[side].position().is_none_or(behind);
        !late && (tcp.isn.is_some() || tcp.payload || tcp.reset)
    }

    fn open(&mut self, hash: u64, key: FlowKey, sent_by_low: bool, packet: &Packet<'_>) -> Slot {
        while !self.table.has_free_slot() {
            let grows =
                self.table.slots() < self.max_slots && self.budget.try_take(Self::FLOW_BYTES);
            if grows {
                break;
            }
            if !self.evict(&TIERS) {
                self.budget.take(Self::FLOW_BYTES);
                break;
            }
        }
        let flags = match packet.header {
            TransportHeader::Tcp(tcp) => tcp.flags,
            TransportHeader::Udp => TcpFlags::default(),
        };
        let from_client = if flags.syn {
            !flags.ack
        } else {
            self.handler.sent_by_client(packet)
        };
        let (client, server) = if from_client {
            (packet.src, packet.dst)
        } else {
            (packet.dst, packet.src)
        };
        let info = FlowInfo {
            id: self.next_id,
            tuple: FiveTuple {
                transport: packet.transport(),
                client,
                server,
            },
            opening_seen: flags.syn,
            first_seen: packet.timestamp,
            last_seen: packet.timestamp,
            sides: [Counts::default(); 2],
            path: packet.path,
            card: packet.card.map(|card| {
                let direction = if from_client {
                    Direction::ToServer
                } else {
                    Direction::ToClient
                };
                (direction, card)
            }),
            first_packet: packet.number,
            packet: packet.number,
        };
        self.next_id += 1;
        self.stats.flows += 1;
        let mut flow = Flow {
            quiet: false,
            client_is_low: sent_by_low == from_client,
            ended: false,
            charged: 0,
            state: self.handler.open(&info),
            info,
            tcp: Tcp::default(),
        };
        flow.charge(&self.handler, &mut self.budget);
        let class = flow.class(&self.handler);
        self.table.insert(hash, key, flow, class as u8, self.now)
    }

    fn evict(&mut self, tiers: &[&[Class]]) -> bool {
        let victim = tiers.iter().find_map(|classes| {
            let oldest = classes
                .iter()
                .filter_map(|class| self.table.oldest(*class as u8));
            oldest.min_by_key(|(_, last_used)| *last_used)
        });
        if let Some((slot, _)) = victim {
            self.stats.evictions += 1;
            self.close(slot);
        }
        victim.is_some()
    }

    fn close(&mut self, slot: Slot) {
        let Some(mut flow) = self.table.remove(slot) else {
            return;
        };
        flow.end(&mut self.handler, &mut self.budget);
        self.budget.give(flow.charged as usize);
        self.handler.close(&flow.info, flow.state);
    }
}

impl<S> Flow<S> {
    #[inline]
    fn count(&mut self, headline: &Headline) {
        let side = usize::from(headline.sent_by_low != self.client_is_low);
        let info = &mut self.info;
        info.packet = headline.number;
        info.last_seen = info.last_seen.max(headline.timestamp);
        let counts = &mut info.sides[side];
        counts.packets += 1;
        counts.bytes += u64::from(headline.wire_len);
    }

    /// Whether nobody listens, and the first payload (since a reset) was seen.
    fn is_quiet<H: FlowHandler<State = S>>(&self, handler: &H) -> bool {
        let plain = match self.info.tuple.transport {
            Transport::Tcp => self.tcp.payload && !self.tcp.reset,
            Transport::Udp => true,
        };
        plain && !handler.wants_bytes(&self.state)
    }

    fn overlaps(&self) -> u32 {
        let [a, b] = &self.tcp.sides;
        a.overlaps().wrapping_add(b.overlaps())
    }

    /// Keeps the account of what the handler holds for this flow.
    fn charge<H: FlowHandler<State = S>>(&mut self, handler: &H, budget: &mut Budget) {
        let held = u32::try_from(handler.memory(&self.state)).unwrap_or(u32::MAX);
        if held > self.charged {
            budget.take((held - self.charged) as usize);
        } else {
            budget.give((self.charged - held) as usize);
        }
        self.charged = held;
    }

    fn segment<H: FlowHandler<State = S>>(
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
    fn flush<H: FlowHandler<State = S>>(&mut self, handler: &mut H, budget: &mut Budget) {
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
    fn end<H: FlowHandler<State = S>>(&mut self, handler: &mut H, budget: &mut Budget) {
        if self.info.tuple.transport == Transport::Udp || std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.flush(handler, budget);
        for direction in Direction::BOTH {
            handler.stream_end(&self.info, &mut self.state, direction);
        }
    }

    fn class<H: FlowHandler<State = S>>(&self, handler: &H) -> Class {
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
