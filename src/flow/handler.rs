//! What the flows are told to.

use super::Chunk;
use crate::model::{Counts, Direction, FiveTuple, LayerPath, Mac, Packet, Timestamp};

/// What the tracker knows of a flow.
#[derive(Clone, Copy, Debug)]
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

    /// How many of the next bytes of a direction of a TCP stream need not be shown: it is enough to say that they were there
    /// ([`Self::skip`]) before anything else of the flow is shown.
    fn skippable(&self, state: &Self::State, direction: Direction) -> u64 {
        let _ = (state, direction);
        0
    }

    /// So many of the bytes that need not be shown were there.
    fn skip(&mut self, state: &mut Self::State, direction: Direction, bytes: u64) {
        let _ = (state, direction, bytes);
    }

    /// How dear the flow is.
    fn interest(&self, state: &Self::State) -> Interest;

    /// Bytes that the handler holds for the flow on the heap.
    fn memory(&self, state: &Self::State) -> usize;

    /// Looks at what will be needed at the flow's end, so that it is at hand then; what comes back means nothing.
    fn fetch(&self, state: &Self::State) -> usize {
        let _ = state;
        0
    }

    /// The flow is over: ended, idle for too long, or evicted.
    fn close(&mut self, info: &FlowInfo, state: Self::State);
}
