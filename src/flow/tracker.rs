//! One packet in, each flow's bytes in order out.

use super::class::{CLASSES, Class, HOLDERS, TIERS};
use super::entry::{Flow, Tcp, mark};
use super::table::{Slot, Table};
use super::{Budget, FlowHandler, FlowInfo, Timeouts};
use crate::model::{
    Brief, Counts, Direction, FiveTuple, FlowKey, Headline, Packet, TcpFlags, TcpHeader, Timestamp,
    TransportHeader,
};

/// A SYN that was captured behind the first bytes of its connection comes at most so far behind.
const LATE_SYN_BYTES: u32 = 64 * 1024;
const LATE_SYN_PACKETS: u64 = 16;
/// Time between two looks for flows that were idle for too long.
const SWEEP_NANOS: i64 = 1_000_000_000;
/// Memory kept free for what the next packets bring, at most.
const RESERVE: usize = 512 * 1024;

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

/// Where a packet's flow is in the table, if it is there.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    hash: u64,
    brief: Brief,
    slot: Option<Slot>,
    sent_by_low: bool,
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
        for (front, flow) in table.iter_mut() {
            flow.settle(&mut front.passed);
            visit(handler, &flow.info, &mut flow.state);
        }
    }

    /// What the handler remembers of a flow, if it is open.
    pub fn state(&self, key: &FlowKey) -> Option<&H::State> {
        let slot = self.table.find(self.table.hash(key), key)?;
        self.table.value(slot).map(|flow| &flow.state)
    }

    /// Takes one packet.
    pub fn packet(&mut self, packet: &Packet<'_>) {
        if let Some(place) = self.pass(&packet.headline()) {
            self.take(packet, place);
        }
    }

    /// Most packets are of a flow that nobody listens to any more, or say what nobody needs. They are counted, and nobody has to
    /// look at the rest of them. Any other packet is to be taken next ([`Self::take`]) with what comes back.
    #[allow(clippy::inline_always, reason = "every packet, see ARCHITECTURE.md")]
    #[inline(always)]
    pub fn pass(&mut self, headline: &Headline) -> Option<Place> {
        self.tick(headline.timestamp);
        let hash = self.table.hash(&headline.key);
        let slot = self.table.find(hash, &headline.key);
        let passes = slot.is_some_and(|slot| self.passes(slot, headline));
        (!passes).then(|| Place {
            hash,
            brief: headline.key.brief(),
            slot,
            sent_by_low: headline.sent_by_low,
        })
    }

    /// Counts a packet if it need not be looked at; whether it was counted.
    #[allow(clippy::inline_always, reason = "every packet, see ARCHITECTURE.md")]
    #[inline(always)]
    fn passes(&mut self, slot: Slot, headline: &Headline) -> bool {
        let (now, length) = (self.now, headline.length);
        let Some(front) = self.table.front_mut(slot) else {
            return false;
        };
        if headline.opens_or_ends {
            return false;
        }
        let marks = match length {
            0 => mark::QUIET | mark::ACKS,
            _ => mark::QUIET,
        };
        if front.marks & marks == 0 {
            return front.marks & mark::BODY != 0
                && self.skip(
                    slot,
                    headline.sent_by_low,
                    (headline.seq, length),
                    (headline.timestamp, headline.number, headline.wire_len),
                );
        }
        // What is too much for the front is taken into account behind it.
        let passes = front.passed.count(
            headline.sent_by_low,
            headline.timestamp,
            headline.number,
            headline.wire_len,
        );
        if passes && front.is_due(now) {
            self.table.used(slot, now);
        }
        passes
    }

    /// Counts a segment whose payload need not be shown, if it is the next one; whether it was.
    #[inline(never)]
    fn skip(
        &mut self,
        slot: Slot,
        sent_by_low: bool,
        (seq, length): (u32, u32),
        (time, number, wire_len): (Timestamp, u64, u32),
    ) -> bool {
        let Some((front, flow)) = self.table.get_mut(slot) else {
            return false;
        };
        let mut passed = front.passed;
        let side = flow.direction(sent_by_low).index();
        let passes = passed.count(sent_by_low, time, number, wire_len)
            && flow.tcp.sides[side].pass(seq, length);
        if passes {
            front.passed = passed;
            self.table.used(slot, self.now);
        }
        passes
    }

    /// Takes a packet that was not passed by.
    pub fn take(&mut self, packet: &Packet<'_>, place: Place) {
        let Place {
            hash,
            mut slot,
            sent_by_low,
            ..
        } = place;
        if self.make_room() {
            let key = FlowKey::new(packet.transport(), packet.src, packet.dst);
            slot = self.table.find(hash, &key);
        }
        if let (Some(known), TransportHeader::Tcp(tcp)) = (slot, packet.header)
            && tcp.flags.syn
            && self.is_new_connection(known, &tcp, packet)
        {
            self.close(known);
            slot = None;
        }
        let slot = slot.unwrap_or_else(|| self.open(&place, packet));
        let Self {
            table,
            budget,
            handler,
            stats,
            ..
        } = self;
        let Some((front, flow)) = table.get_mut(slot) else {
            return;
        };
        flow.settle(&mut front.passed);
        flow.settle_bodies(front.marks, handler);
        let direction = flow.direction(sent_by_low);
        flow.count(packet, direction);
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
        front.marks = flow.marks(handler);
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
        let mut flows: Vec<_> = table.iter_mut().collect();
        flows.sort_unstable_by_key(|(_, flow)| flow.info.id);
        for (front, flow) in flows {
            flow.settle(&mut front.passed);
            flow.settle_bodies(front.marks, handler);
            front.marks = 0;
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
                self.fetch_behind(slot);
                match class {
                    Class::DecidedTcp => self.send_to_sleep(slot),
                    _ => self.close(slot),
                }
            }
        }
    }

    /// A flow that ends is long out of the processor's caches, in a dozen places. Those of the next ones are waited for together, while
    /// this one is dealt with.
    fn fetch_behind(&self, slot: Slot) {
        let next = self.table.behind(slot);
        let later = next.and_then(|next| self.table.behind(next));
        let flow = |slot: Option<Slot>| slot.and_then(|slot| self.table.value(slot));
        let heap = flow(next).map(|flow| self.handler.fetch(&flow.state));
        // Else the compiler would see that nobody asks.
        std::hint::black_box((heap, flow(later).map(Flow::fetch)));
    }

    /// A messenger that is silent keeps its name; what it waited for will not come.
    fn send_to_sleep(&mut self, slot: Slot) {
        let Self {
            table,
            handler,
            budget,
            ..
        } = self;
        if let Some((front, flow)) = table.get_mut(slot) {
            flow.settle(&mut front.passed);
            flow.settle_bodies(front.marks, handler);
            flow.flush(handler, budget);
            flow.charge(handler, budget);
            front.marks = flow.marks(handler);
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
        let Some((front, flow)) = self.table.get_mut(slot) else {
            return false;
        };
        flow.settle(&mut front.passed);
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

    fn open(&mut self, place: &Place, packet: &Packet<'_>) -> Slot {
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
            client_is_low: place.sent_by_low == from_client,
            ended: false,
            charged: 0,
            state: self.handler.open(&info),
            info,
            tcp: Tcp::default(),
        };
        flow.charge(&self.handler, &mut self.budget);
        let class = flow.class(&self.handler);
        self.table
            .insert(place.hash, place.brief, flow, class as u8, self.now)
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
        let front = self.table.front_mut(slot).copied();
        let (Some(mut front), Some(mut flow)) = (front, self.table.remove(slot)) else {
            return;
        };
        flow.settle(&mut front.passed);
        flow.settle_bodies(front.marks, &mut self.handler);
        flow.end(&mut self.handler, &mut self.budget);
        self.budget.give(flow.charged as usize);
        self.handler.close(&flow.info, flow.state);
    }
}
