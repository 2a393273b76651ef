//! The flow table: each flow is opened and closed once, its bytes come in between, and memory stays within the limit.

use super::script::Reader;
use imwarden::flow::{Chunk, FlowHandler, FlowInfo, Interest, Timeouts, Tracker};
use imwarden::model::{
    Direction, Endpoint, LayerPath, Packet, TcpFlags, TcpHeader, Timestamp, TransportHeader,
};
use std::collections::BTreeSet;

/// Bytes that the handler here pretends to hold of a flow, at most.
const MOST_KEPT: usize = 2048;

/// The input is a list of packets between a few hosts.
pub fn tracker(data: &[u8]) {
    let mut input = Reader(data);
    // From room for one flow up to room for all of them.
    let memory = 1024 << (input.u8() % 10);
    let mut tracker = Tracker::new(Recorder::default(), memory, Timeouts::default(), 1);
    // A flow and what it keeps may come on top, until the next packet makes room.
    let slack = Tracker::<Recorder>::FLOW_BYTES + MOST_KEPT;
    let mut clock = 0_i64;
    let mut number = 0;
    while !input.0.is_empty() {
        number += 1;
        let (op, hosts, flags) = (input.u8(), input.u8(), input.u8());
        let step = i64::from(input.u8());
        // Up to a quarter of a second; with one bit up to four minutes; with another one back.
        let step = step
            * if op & 2 == 0 {
                1_000_000
            } else {
                1_000_000_000
            };
        clock = if op & 4 == 0 {
            clock + step
        } else {
            clock - step
        };
        let seq = u32::from(input.u16()) << (op >> 6 & 3);
        let length = usize::from(input.u8());
        let payload = input.take(length);
        let [client, server] = [hosts & 0x0f, hosts >> 4]
            .map(|host| Endpoint::new([10, 0, 0, host].into(), 1024 + u16::from(host)));
        let (src, dst) = if op & 8 == 0 {
            (client, server)
        } else {
            (server, client)
        };
        let header = if op & 1 == 0 {
            TransportHeader::Tcp(TcpHeader {
                seq,
                ack: u32::from(flags >> 4) << 8,
                flags: TcpFlags {
                    syn: flags & 1 != 0,
                    ack: flags & 2 != 0,
                    fin: flags & 4 != 0,
                    rst: flags & 8 != 0,
                },
            })
        } else {
            TransportHeader::Udp
        };
        tracker.packet(&Packet {
            number,
            timestamp: Timestamp::from_nanos(clock),
            src,
            dst,
            header,
            payload,
            cut: usize::from(op >> 4 & 3) * 7,
            wire_len: 54 + length as u32,
            path: LayerPath::default(),
            card: None,
        });
        assert!(
            tracker.memory() <= memory.max(slack) + slack,
            "{} bytes held of {memory}",
            tracker.memory()
        );
    }
    let (recorder, stats) = tracker.finish();
    assert!(recorder.open.is_empty(), "every flow is closed");
    assert_eq!(recorder.opened, stats.flows);
}

#[derive(Default)]
struct Recorder {
    open: BTreeSet<u64>,
    opened: u64,
}

/// What the handler knows of a flow.
struct Known {
    kept: usize,
    ended: [bool; 2],
    gave_up: bool,
    interest: Interest,
}

impl FlowHandler for Recorder {
    type State = Known;

    fn sent_by_client(&self, packet: &Packet<'_>) -> bool {
        packet.src.port > packet.dst.port
    }

    fn open(&mut self, info: &FlowInfo) -> Known {
        assert!(self.open.insert(info.id), "a flow is opened once");
        self.opened += 1;
        Known {
            kept: 0,
            ended: [false; 2],
            gave_up: false,
            interest: Interest::Undecided,
        }
    }

    fn stream(
        &mut self,
        info: &FlowInfo,
        state: &mut Known,
        direction: Direction,
        chunk: Chunk<'_>,
    ) {
        assert!(self.open.contains(&info.id));
        assert!(
            !state.ended[direction.index()],
            "nothing comes behind the end"
        );
        match chunk {
            Chunk::Data(bytes) => {
                assert!(!bytes.is_empty());
                state.see(bytes);
            }
            Chunk::Gap(missing) => assert!(missing > 0),
        }
    }

    fn stream_end(&mut self, info: &FlowInfo, state: &mut Known, direction: Direction) {
        assert!(self.open.contains(&info.id));
        assert!(!state.ended[direction.index()], "a stream ends once");
        state.ended[direction.index()] = true;
    }

    fn datagram(
        &mut self,
        info: &FlowInfo,
        state: &mut Known,
        _: Direction,
        payload: &[u8],
        wire_len: usize,
    ) {
        assert!(self.open.contains(&info.id) && wire_len >= payload.len());
        state.see(payload);
    }

    fn wants_bytes(&self, state: &Known) -> bool {
        !state.gave_up
    }

    fn interest(&self, state: &Known) -> Interest {
        state.interest
    }

    fn memory(&self, state: &Known) -> usize {
        state.kept
    }

    fn close(&mut self, info: &FlowInfo, _: Known) {
        assert!(self.open.remove(&info.id), "a flow is closed once");
        assert!(info.first_seen <= info.last_seen && info.counts().packets > 0);
    }
}

impl Known {
    /// The first byte says what a handler might make of it.
    fn see(&mut self, bytes: &[u8]) {
        match bytes.first() {
            Some(0) => self.gave_up = true,
            Some(1) => self.interest = Interest::Decided,
            Some(2) => self.interest = self.interest.max(Interest::Possible),
            Some(3) => self.kept = 0,
            _ => self.kept = (self.kept + bytes.len()).min(MOST_KEPT),
        }
    }
}
