//! What the tracker makes of packets: flows, directions, ends.

use super::{Chunk, FlowHandler, FlowInfo, Interest, Timeouts, Tracker, TrackerStats};
use crate::model::{
    Direction, Endpoint, FlowKey, LayerPath, Packet, TcpFlags, TcpHeader, Timestamp, Transport,
    TransportHeader,
};

/// Writes down what each flow was: `id client>server [what was said] packets`.
#[derive(Default)]
struct Log(Vec<String>);

impl FlowHandler for Log {
    type State = String;

    fn sent_by_client(&self, packet: &Packet<'_>) -> bool {
        packet.dst.port < packet.src.port
    }

    fn open(&mut self, _: &FlowInfo) -> String {
        String::new()
    }

    fn stream(&mut self, _: &FlowInfo, said: &mut String, direction: Direction, chunk: Chunk<'_>) {
        said.push(if direction == Direction::ToServer {
            '>'
        } else {
            '<'
        });
        match chunk {
            Chunk::Data(bytes) => said.push_str(&String::from_utf8_lossy(bytes)),
            Chunk::Gap(n) => said.extend(["(", &n.to_string(), ")"]),
        }
    }

    fn stream_end(&mut self, _: &FlowInfo, said: &mut String, _: Direction) {
        said.push('.');
    }

    fn datagram(
        &mut self,
        _: &FlowInfo,
        said: &mut String,
        _: Direction,
        payload: &[u8],
        wire_len: usize,
    ) {
        said.extend([&payload.len().to_string(), "/", &wire_len.to_string(), " "]);
    }

    fn wants_bytes(&self, said: &String) -> bool {
        !said.contains("enough")
    }

    /// As many as a client said last, in braces.
    fn skippable(&self, said: &String, direction: Direction) -> u64 {
        let told = said.strip_suffix('}').and_then(|it| it.rsplit_once('{'));
        match (told, direction) {
            (Some((_, bytes)), Direction::ToServer) => bytes.parse().unwrap_or(0),
            _ => 0,
        }
    }

    fn skip(&mut self, said: &mut String, direction: Direction, bytes: u64) {
        let left = self.skippable(said, direction) - bytes;
        said.truncate(said.rfind('{').unwrap_or_default());
        said.extend(["~", &bytes.to_string(), "{", &left.to_string(), "}"]);
    }

    fn memory(&self, said: &String) -> usize {
        said.capacity()
    }

    fn interest(&self, said: &String) -> Interest {
        if said.contains("AIM") {
            Interest::Decided
        } else {
            Interest::Undecided
        }
    }

    fn close(&mut self, info: &FlowInfo, said: String) {
        let (client, server) = (info.tuple.client.port, info.tuple.server.port);
        self.0.push(format!(
            "{} {client}>{server} [{said}] {}",
            info.id,
            info.counts().packets
        ));
    }
}

const SYN: TcpFlags = TcpFlags {
    syn: true,
    ack: false,
    fin: false,
    rst: false,
};
const SYN_ACK: TcpFlags = TcpFlags {
    syn: true,
    ack: true,
    fin: false,
    rst: false,
};
const ACK: TcpFlags = TcpFlags {
    syn: false,
    ack: true,
    fin: false,
    rst: false,
};
const FIN: TcpFlags = TcpFlags {
    syn: false,
    ack: true,
    fin: true,
    rst: false,
};
const RST: TcpFlags = TcpFlags {
    syn: false,
    ack: false,
    fin: false,
    rst: true,
};

struct Rig {
    tracker: Tracker<Log>,
    number: u64,
}

impl Rig {
    fn new(memory: usize) -> Self {
        Self {
            tracker: Tracker::new(Log::default(), memory, Timeouts::default(), 1),
            number: 0,
        }
    }

    /// A packet between port `from` of one host and port `to` of the other, `seconds` after the start.
    fn packet(
        &mut self,
        seconds: i64,
        (from, to): (u16, u16),
        header: TransportHeader,
        payload: &[u8],
        cut: usize,
    ) {
        let host = |port| Endpoint::new([192, 0, 2, if port < 1024 { 1 } else { 2 }].into(), port);
        self.number += 1;
        self.tracker.packet(&Packet {
            number: self.number,
            timestamp: Timestamp::from_nanos(seconds * 1_000_000_000),
            src: host(from),
            dst: host(to),
            header,
            payload,
            cut,
            wire_len: 54 + payload.len() as u32,
            path: LayerPath::default(),
            card: None,
        });
    }

    fn tcp(
        &mut self,
        seconds: i64,
        ports: (u16, u16),
        flags: TcpFlags,
        seq: u32,
        payload: &str,
    ) -> &mut Self {
        let header = TransportHeader::Tcp(TcpHeader { seq, ack: 0, flags });
        self.packet(seconds, ports, header, payload.as_bytes(), 0);
        self
    }

    fn udp(&mut self, seconds: i64, ports: (u16, u16), payload: &str, cut: usize) -> &mut Self {
        self.packet(
            seconds,
            ports,
            TransportHeader::Udp,
            payload.as_bytes(),
            cut,
        );
        self
    }

    fn finish(self) -> (Vec<String>, TrackerStats) {
        let (log, stats) = self.tracker.finish();
        (log.0, stats)
    }
}

const MEMORY: usize = 1 << 20;

#[test]
fn one_connection_is_one_flow_in_both_directions() {
    let mut rig = Rig::new(MEMORY);
    rig.tcp(0, (5000, 80), SYN, 99, "")
        .tcp(0, (80, 5000), SYN_ACK, 499, "")
        .tcp(0, (5000, 80), ACK, 103, "lo")
        .tcp(0, (5000, 80), ACK, 100, "hel")
        .tcp(0, (80, 5000), ACK, 500, "hi")
        .tcp(1, (5000, 80), FIN, 105, "")
        .tcp(1, (80, 5000), FIN, 502, "");
    let (flows, stats) = rig.finish();
    assert_eq!(flows, ["1 5000>80 [>hel>lo<hi..] 7"]);
    assert_eq!((stats.flows, stats.evictions), (1, 0));
}

#[test]
fn who_sent_the_syn_is_the_client_whatever_the_ports_suggest() {
    let mut rig = Rig::new(MEMORY);
    rig.tcp(0, (80, 5000), SYN, 9, "")
        .tcp(0, (5000, 80), SYN_ACK, 9, "")
        .tcp(0, (80, 5000), ACK, 10, "x");
    assert_eq!(rig.finish().0, ["1 80>5000 [>x..] 3"]);
    let mut rig = Rig::new(MEMORY);
    rig.tcp(0, (5000, 80), SYN_ACK, 9, "")
        .tcp(0, (5000, 80), ACK, 10, "y");
    assert_eq!(
        rig.finish().0,
        ["1 80>5000 [<y..] 2"],
        "a SYN-ACK comes from the server"
    );
    let mut rig = Rig::new(MEMORY);
    rig.tcp(0, (80, 5000), ACK, 9, "z");
    assert_eq!(
        rig.finish().0,
        ["1 5000>80 [<z..] 1"],
        "without either the handler guesses"
    );
}

#[test]
fn a_port_that_is_used_again_is_a_new_flow_and_a_repeated_syn_is_not() {
    let mut rig = Rig::new(MEMORY);
    rig.tcp(0, (5000, 80), SYN, 99, "")
        .tcp(1, (5000, 80), SYN, 99, "")
        .tcp(1, (5000, 80), ACK, 100, "one")
        .tcp(2, (80, 5000), RST, 0, "go away")
        .tcp(3, (5000, 80), SYN, 7099, "")
        .tcp(3, (5000, 80), ACK, 7100, "two");
    assert_eq!(
        rig.finish().0,
        ["1 5000>80 [>one..] 4", "2 5000>80 [>two..] 2"]
    );
}

#[test]
fn idle_flows_end_by_their_class() {
    let mut rig = Rig::new(MEMORY);
    rig.tcp(0, (5000, 80), SYN, 99, "")
        .tcp(0, (6000, 80), SYN, 0, "")
        .tcp(0, (6000, 80), ACK, 1, "AIM")
        .tcp(0, (7000, 80), ACK, 1, "who knows")
        .udp(0, (8000, 80), "x", 0)
        .tcp(31, (9000, 80), ACK, 1, "")
        .tcp(61, (9000, 80), ACK, 1, "")
        .tcp(301, (9001, 80), ACK, 1, "");
    let closed = rig.tracker.handler().0.clone();
    assert_eq!(
        closed,
        [
            "1 5000>80 [..] 1",
            "4 8000>80 [1/1 ] 1",
            "5 9000>80 [..] 2",
            "3 7000>80 [>who knows..] 1"
        ],
        "half-open after 30 s, UDP after 60 s, undecided TCP after 300 s; what is decided stays"
    );
    rig.tcp(302, (6000, 80), ACK, 4, "!")
        .tcp(7000, (6000, 80), ACK, 5, "?");
    assert!(
        rig.finish()
            .0
            .contains(&"2 6000>80 [>AIM>!>?..] 4".to_owned()),
        "and is still the same when it wakes"
    );
}

#[test]
fn when_memory_runs_short_the_least_interesting_flows_go_first() {
    let mut rig = Rig::new(100_000);
    rig.tcp(0, (6000, 80), SYN, 0, "")
        .tcp(0, (6000, 80), ACK, 1, "AIM")
        .tcp(0, (7000, 80), SYN, 0, "")
        .tcp(0, (7000, 80), ACK, 1, "who knows");
    for port in 10_000..10_500 {
        rig.tcp(0, (port, 80), SYN, 1, "");
    }
    let (flows, stats) = rig.finish();
    assert_eq!(flows.len(), 502);
    assert!(stats.evictions > 200, "{} evictions", stats.evictions);
    let last: Vec<&String> = flows.iter().rev().take(2).collect();
    assert_eq!(
        last,
        ["1 6000>80 [>AIM..] 2", "2 7000>80 [>who knows..] 2"],
        "they outlived the scan"
    );
}

#[test]
fn connections_that_nobody_looks_at_any_more_make_room_for_those_that_begin() {
    let mut rig = Rig::new(100_000);
    // Ten at a time begin and are given up, which fills the memory many times.
    for round in 0..60_u16 {
        let seconds = i64::from(round);
        let ports = (10_000 + 10 * round)..(10_010 + 10 * round);
        for port in ports.clone() {
            rig.tcp(seconds, (port, 80), SYN, 0, "");
        }
        for port in ports {
            rig.tcp(seconds, (port, 80), ACK, 1, "enough");
        }
    }
    let (flows, stats) = rig.finish();
    assert!(stats.evictions > 200, "{} evictions", stats.evictions);
    assert_eq!(
        flows.len(),
        600,
        "each was one flow from its first packet on"
    );
}

#[test]
fn a_hole_is_told_at_the_end_and_a_cut_datagram_tells_its_true_length() {
    let mut rig = Rig::new(MEMORY);
    rig.tcp(0, (5000, 80), SYN, 99, "")
        .tcp(0, (5000, 80), ACK, 103, "late")
        .udp(0, (8000, 80), "abc", 97);
    let mut flows = rig.finish().0;
    flows.sort();
    assert_eq!(flows, ["1 5000>80 [>(3)>late..] 2", "2 8000>80 [3/100 ] 1"]);
}

#[test]
fn bytes_that_wait_count_and_undecided_flows_lose_them_first() {
    let mut rig = Rig::new(200_000);
    rig.tcp(0, (6000, 80), SYN, 0, "")
        .tcp(0, (6000, 80), ACK, 1, "AIM")
        .tcp(0, (6000, 80), ACK, 9, "behind a hole");
    let block = "x".repeat(1000);
    for port in 10_000..10_400 {
        rig.tcp(0, (port, 80), SYN, 1, "")
            .tcp(0, (port, 80), ACK, 100, &block);
        assert!(rig.tracker.memory() <= 200_000, "{}", rig.tracker.memory());
    }
    rig.tcp(0, (6000, 80), ACK, 4, "12345");
    let (flows, stats) = rig.finish();
    assert!(stats.evictions > 200, "{} evictions", stats.evictions);
    assert!(flows.contains(&"1 6000>80 [>AIM>12345>behind a hole..] 4".to_owned()));
}

#[test]
fn a_flow_that_wants_no_more_bytes_is_only_counted() {
    let mut rig = Rig::new(MEMORY);
    rig.tcp(0, (5000, 80), SYN, 99, "")
        .tcp(0, (5000, 80), ACK, 105, "waits")
        .tcp(0, (5000, 80), ACK, 100, "enoug")
        .tcp(0, (80, 5000), SYN_ACK, 1, "")
        .tcp(0, (80, 5000), ACK, 2, "enough");
    let held = rig.tracker.memory();
    rig.tcp(0, (5000, 80), ACK, 200, "not looked at");
    assert_eq!(rig.tracker.memory(), held);
    assert_eq!(rig.finish().0, ["1 5000>80 [>enoug>waits<enough..] 6"]);
}

#[test]
fn a_syn_captured_behind_the_first_bytes_is_no_new_connection() {
    let mut rig = Rig::new(MEMORY);
    rig.tcp(0, (5000, 80), ACK, 100, "hel")
        .tcp(0, (5000, 80), SYN, 99, "")
        .tcp(0, (5000, 80), ACK, 103, "lo");
    assert_eq!(rig.finish().0, ["1 5000>80 [>hel>lo..] 3"]);
}

#[test]
fn bytes_that_nobody_needs_are_counted_before_anything_else_is_shown() {
    let mut rig = Rig::new(MEMORY);
    rig.tcp(0, (5000, 80), SYN, 99, "")
        .tcp(0, (5000, 80), ACK, 100, "{10}")
        .tcp(0, (5000, 80), ACK, 104, "abcd")
        .tcp(0, (80, 5000), ACK, 1, "")
        .tcp(1, (5000, 80), ACK, 108, "efg")
        .tcp(1, (5000, 80), ACK, 111, "more than was said")
        .tcp(1, (5000, 80), ACK, 129, "!");
    // Behind a hole, and once more.
    rig.tcp(2, (6000, 80), SYN, 99, "")
        .tcp(2, (6000, 80), ACK, 100, "{10}")
        .tcp(2, (6000, 80), ACK, 106, "late")
        .tcp(2, (6000, 80), ACK, 104, "xx");
    rig.tcp(3, (7000, 80), SYN, 99, "")
        .tcp(3, (80, 7000), SYN_ACK, 0, "")
        .tcp(3, (7000, 80), ACK, 100, "{10}")
        .tcp(3, (7000, 80), ACK, 104, "abcd")
        .tcp(3, (7000, 80), ACK, 104, "abcd")
        .tcp(3, (80, 7000), ACK, 1, "<")
        .tcp(3, (7000, 80), FIN, 108, "ef");
    // Its end comes while bytes pass by.
    rig.tcp(4, (8000, 80), SYN, 99, "")
        .tcp(4, (8000, 80), ACK, 100, "{10}")
        .tcp(4, (8000, 80), ACK, 104, "abcd");
    let (mut flows, stats) = rig.finish();
    flows.sort();
    assert_eq!(
        flows,
        [
            "1 5000>80 [>~7{3}>more than was said>!..] 7",
            "2 6000>80 [>{10}>xx>late..] 4",
            "3 7000>80 [>~4{6}<<>ef..] 7",
            "4 8000>80 [>~4{6}..] 3",
        ]
    );
    assert_eq!(stats.overlaps, 1);
}

#[test]
fn addresses_that_are_alike_in_short_are_not_the_same() {
    let host = |bits: u128| Endpoint::new(std::net::Ipv6Addr::from_bits(bits).into(), 5000);
    // Each half in turn; the differences cancel each other out.
    let twist = 0x1_0000_0001 << 64;
    let pairs = [(1 << 70, 1 << 71), (1 << 70 ^ twist, 1 << 71 ^ twist)];
    let key = |(a, b)| FlowKey::new(Transport::Udp, host(a), host(b));
    assert_eq!(key(pairs[0]).brief(), key(pairs[1]).brief());
    assert_ne!(key(pairs[0]), key(pairs[1]));
    let mut rig = Rig::new(MEMORY);
    for (a, b) in [pairs[0], pairs[1], pairs[0]] {
        rig.tracker.packet(&Packet {
            number: 1,
            timestamp: Timestamp::default(),
            src: host(a),
            dst: host(b),
            header: TransportHeader::Udp,
            payload: b"x",
            cut: 0,
            wire_len: 60,
            path: LayerPath::default(),
            card: None,
        });
    }
    let (flows, stats) = rig.finish();
    assert_eq!(stats.flows, 2);
    assert!(flows[0].ends_with("[1/1 1/1 ] 2"), "{flows:?}");
}
