//! One packet in, each flow's bytes in order out.

use super::reassembly::Chunk;
use super::table::{Slot, Table};
use super::{Budget, Reassembler};
use crate::model::{
    Counts, Direction, FiveTuple, FlowKey, LayerPath, Packet, TcpFlags, TcpHeader, Timestamp,
    TransportHeader,
};

/// What the tracker knows of a flow.
#[derive(Clone, Copy, Debug)]
pub struct FlowInfo {
    /// Number in order of the first packet, from 1.
    pub id: u64,
    /// Client and server: exact if `opening_seen`, else as [`FlowHandler::sent_by_client`] guessed. Never changes.
    pub tuple: FiveTuple,
    /// A SYN or SYN-ACK said who is the client, and the stream is seen from its first byte.
    pub opening_seen: bool,
    /// Time of the first packet.
    pub first_seen: Timestamp,
    /// Time of the last packet.
    pub last_seen: Timestamp,
    /// Packets and bytes, both directions.
    pub counts: Counts,
    /// What the first packet was wrapped in.
    pub path: LayerPath,
    /// Number of the packet being handled.
    pub packet: u64,
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

    /// How dear the flow is.
    fn interest(&self, state: &Self::State) -> Interest;

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

/// Classes of flows, cheapest to lose first. A class has one timeout and one list in the table.
#[derive(Clone, Copy)]
enum Class {
    HalfOpen,
    UndecidedUdp,
    UndecidedTcp,
    Possible,
    Finished,
    DecidedUdp,
    DecidedTcp,
}

const CLASSES: [Class; 7] = [
    Class::HalfOpen,
    Class::UndecidedUdp,
    Class::UndecidedTcp,
    Class::Possible,
    Class::Finished,
    Class::DecidedUdp,
    Class::DecidedTcp,
];

impl Class {
    /// Idle time after which a flow is over, in seconds.
    const fn timeout(self) -> u64 {
        match self {
            Self::HalfOpen => 30,
            Self::UndecidedUdp => 60,
            Self::UndecidedTcp | Self::Possible => 300,
            // Long enough for stragglers and the other side's last ACK.
            Self::Finished => 10,
            // ICQ clients keep quiet for up to two minutes.
            Self::DecidedUdp => 180,
            // Messengers idle for hours, but every client sends keep-alives within this time.
            Self::DecidedTcp => 900,
        }
    }
}

struct Tcp {
    sides: [Reassembler; 2],
    /// Initial sequence number of the client's SYN, to tell a repeated SYN from a new connection.
    isn: Option<u32>,
    fin: [bool; 2],
    reset: bool,
    payload: bool,
}

struct Flow<S> {
    info: FlowInfo,
    state: S,
    tcp: Option<Box<Tcp>>,
}

/// The flow table with everything around it.
pub struct Tracker<H: FlowHandler> {
    table: Table<Flow<H::State>, { CLASSES.len() }>,
    budget: Budget,
    handler: H,
    next_id: u64,
    now: Timestamp,
    swept: Timestamp,
    stats: TrackerStats,
}

impl<H: FlowHandler> Tracker<H> {
    const FLOW_BYTES: usize =
        Table::<Flow<H::State>, { CLASSES.len() }>::ENTRY_BYTES + size_of::<Tcp>();

    /// A tracker that holds at most `memory` bytes of flows and waiting segments, and numbers flows from
    /// `first_id` on.
    pub fn new(handler: H, memory: usize, first_id: u64) -> Self {
        Self {
            table: Table::default(),
            budget: Budget::new(memory),
            handler,
            next_id: first_id,
            now: Timestamp::default(),
            swept: Timestamp::default(),
            stats: TrackerStats::default(),
        }
    }

    /// What was counted so far.
    pub fn stats(&self) -> TrackerStats {
        self.stats
    }

    /// The handler.
    pub fn handler(&self) -> &H {
        &self.handler
    }

    /// Takes one packet.
    pub fn packet(&mut self, packet: &Packet<'_>) {
        self.now = self.now.max(packet.timestamp);
        self.sweep();
        let key = FlowKey::new(packet.transport(), packet.src, packet.dst);
        let mut slot = self.table.find(&key);
        if let (Some(known), TransportHeader::Tcp(tcp)) = (slot, packet.header)
            && self.is_new_connection(known, &tcp)
        {
            self.close(known);
            slot = None;
        }
        let slot = slot.unwrap_or_else(|| self.open(key, packet));
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
        flow.info.packet = packet.number;
        flow.info.last_seen = flow.info.last_seen.max(packet.timestamp);
        flow.info.counts.packets += 1;
        flow.info.counts.bytes += u64::from(packet.wire_len);
        let direction = if packet.src == flow.info.tuple.client {
            Direction::ToServer
        } else {
            Direction::ToClient
        };
        match packet.header {
            TransportHeader::Udp => {
                let wire_len = packet.payload.len() + packet.cut;
                handler.datagram(
                    &flow.info,
                    &mut flow.state,
                    direction,
                    packet.payload,
                    wire_len,
                );
            }
            TransportHeader::Tcp(header) => {
                let before = flow.overlaps();
                flow.segment(handler, budget, direction, header, packet);
                stats.overlaps += flow.overlaps() - before;
            }
        }
        let class = flow.class(handler);
        table.touch(slot, class as u8, self.now);
    }

    /// Closes every flow, oldest first, and gives the handler back.
    pub fn finish(mut self) -> (H, TrackerStats) {
        for class in CLASSES {
            while let Some((slot, _)) = self.table.oldest(class as u8) {
                self.close(slot);
            }
        }
        (self.handler, self.stats)
    }

    /// Ends flows that were idle for too long.
    fn sweep(&mut self) {
        if self.now.nanos_since(self.swept) < 1_000_000_000 {
            return;
        }
        self.swept = self.now;
        for class in CLASSES {
            while let Some((slot, last_used)) = self.table.oldest(class as u8)
                && self.now.seconds_since(last_used) > class.timeout()
            {
                self.close(slot);
            }
        }
    }

    /// A SYN with another sequence number on a flow that was used: the ports were used again.
    fn is_new_connection(&mut self, slot: Slot, tcp: &TcpHeader) -> bool {
        let opens = tcp.flags.syn && !tcp.flags.ack;
        opens
            && self
                .table
                .get_mut(slot)
                .and_then(|flow| flow.tcp.as_ref())
                .is_some_and(|known| {
                    known.isn != Some(tcp.seq)
                        && (known.isn.is_some() || known.payload || known.reset)
                })
    }

    fn open(&mut self, key: FlowKey, packet: &Packet<'_>) -> Slot {
        while !self.budget.try_take(Self::FLOW_BYTES) {
            if !self.evict() {
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
            counts: Counts::default(),
            path: packet.path,
            packet: packet.number,
        };
        self.next_id += 1;
        self.stats.flows += 1;
        let tcp = matches!(packet.header, TransportHeader::Tcp(_)).then(|| {
            Box::new(Tcp {
                sides: [Reassembler::default(), Reassembler::default()],
                isn: None,
                fin: [false; 2],
                reset: false,
                payload: false,
            })
        });
        let state = self.handler.open(&info);
        let flow = Flow { info, state, tcp };
        let class = flow.class(&self.handler);
        self.table.insert(key, flow, class as u8, self.now)
    }

    fn evict(&mut self) -> bool {
        let victim = CLASSES
            .iter()
            .find_map(|class| self.table.oldest(*class as u8));
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
        flow.drain(&mut self.handler, &mut self.budget);
        self.budget.give(Self::FLOW_BYTES.min(self.budget.used()));
        self.handler.close(&flow.info, flow.state);
    }
}

impl<S> Flow<S> {
    fn overlaps(&self) -> u64 {
        self.tcp
            .as_ref()
            .map_or(0, |tcp| tcp.sides.iter().map(Reassembler::overlaps).sum())
    }

    fn segment<H: FlowHandler<State = S>>(
        &mut self,
        handler: &mut H,
        budget: &mut Budget,
        direction: Direction,
        header: TcpHeader,
        packet: &Packet<'_>,
    ) {
        let Self { info, state, tcp } = self;
        let Some(tcp) = tcp.as_mut() else { return };
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
        if !packet.payload.is_empty() || packet.cut > 0 {
            tcp.payload = true;
            tcp.reset = false;
            let side = &mut tcp.sides[direction.index()];
            side.push(
                seq,
                packet.payload,
                packet.cut,
                packet.timestamp,
                budget,
                &mut |chunk| {
                    handler.stream(info, state, direction, chunk);
                },
            );
        }
        tcp.fin[direction.index()] |= header.flags.fin;
    }

    /// Passes on what still waits for a hole to fill, and says that no more will come.
    fn drain<H: FlowHandler<State = S>>(&mut self, handler: &mut H, budget: &mut Budget) {
        let Self { info, state, tcp } = self;
        let Some(tcp) = tcp.as_mut() else { return };
        for direction in Direction::BOTH {
            tcp.sides[direction.index()].flush(budget, &mut |chunk| {
                handler.stream(info, state, direction, chunk);
            });
        }
        for direction in Direction::BOTH {
            handler.stream_end(info, state, direction);
        }
    }

    fn class<H: FlowHandler<State = S>>(&self, handler: &H) -> Class {
        let interest = handler.interest(&self.state);
        match (&self.tcp, interest) {
            (Some(tcp), _) if tcp.reset || tcp.fin == [true; 2] => Class::Finished,
            (Some(_), Interest::Decided) => Class::DecidedTcp,
            (None, Interest::Decided) => Class::DecidedUdp,
            (_, Interest::Possible) => Class::Possible,
            (Some(tcp), Interest::Undecided) if !tcp.payload => Class::HalfOpen,
            (Some(_), Interest::Undecided) => Class::UndecidedTcp,
            (None, Interest::Undecided) => Class::UndecidedUdp,
        }
    }
}
