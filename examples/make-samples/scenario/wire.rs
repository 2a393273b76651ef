//! Turns conversations into packets and packets into a capture.

use super::talk::{Message, Scenario, Shown, Side, Talk, Transport};
use etherparse::PacketBuilder;
use std::net::{IpAddr, SocketAddr};

/// 2026-01-02 03:04:05 UTC.
const START_SECONDS: u64 = 1_767_323_045;
/// Largest TCP payload of an Ethernet frame without options.
const SEGMENT: usize = 1460;
/// Time a packet takes between the hosts.
const TRAVEL_MICROS: u64 = 20_000;
/// Time between packets that are sent back to back.
const SPACING_MICROS: u64 = 120;
const WINDOW: u16 = 64_240;

/// A frame and when it was seen, in microseconds after the start.
pub struct Seen {
    pub micros: u64,
    pub frame: Vec<u8>,
}

/// What a talk looks like on the wire; talks of other numbers have other sequence numbers.
pub fn frames(talk: &Talk, number: usize) -> Vec<Seen> {
    match talk.transport {
        Transport::Tcp => Connection::new(talk, number).run(),
        Transport::Udp => datagrams(talk),
    }
}

/// The header of a pcap file: little-endian, microseconds, Ethernet.
pub fn header() -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(0xa1b2_c3d4_u32.to_le_bytes());
    out.extend(2_u16.to_le_bytes());
    out.extend(4_u16.to_le_bytes());
    out.extend([0; 8]);
    out.extend(262_144_u32.to_le_bytes());
    out.extend(1_u32.to_le_bytes());
    out
}

/// What a pcap file holds before a frame.
pub fn record(micros: u64, frame: &[u8]) -> [u8; 16] {
    let seconds = u32::try_from(START_SECONDS + micros / 1_000_000).expect("before 2106");
    let length = u32::try_from(frame.len()).expect("a frame");
    let words = [seconds, (micros % 1_000_000) as u32, length, length];
    let mut record = [0; 16];
    for (place, word) in record.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    record
}

/// The scenario as a pcap file: little-endian, microseconds, Ethernet.
pub fn capture(scenario: &Scenario) -> Vec<u8> {
    let mut seen: Vec<Seen> = scenario
        .talks
        .iter()
        .enumerate()
        .flat_map(|(number, talk)| frames(talk, number))
        .collect();
    seen.sort_by_key(|seen| seen.micros);
    let mut out = header();
    for Seen { micros, frame } in seen {
        out.extend(record(micros, &frame));
        out.extend(frame);
    }
    out
}

/// A locally administered address that belongs to the host.
fn mac(ip: IpAddr) -> [u8; 6] {
    let octets = match ip {
        IpAddr::V4(v4) => v4.octets(),
        IpAddr::V6(v6) => [
            v6.octets()[1],
            v6.octets()[3],
            v6.octets()[14],
            v6.octets()[15],
        ],
    };
    [2, 0, octets[0], octets[1], octets[2], octets[3]]
}

fn ip_layer(
    from: SocketAddr,
    to: SocketAddr,
) -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
    let ethernet = PacketBuilder::ethernet2(mac(from.ip()), mac(to.ip()));
    match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => ethernet.ipv4(from.octets(), to.octets(), 64),
        (IpAddr::V6(from), IpAddr::V6(to)) => ethernet.ipv6(from.octets(), to.octets(), 64),
        _ => panic!("both ends of a talk speak the same IP version"),
    }
}

fn datagrams(talk: &Talk) -> Vec<Seen> {
    let mut micros = talk.start_ms * 1000;
    talk.messages
        .iter()
        .map(|message| {
            micros += message.after_ms * 1000 + TRAVEL_MICROS;
            let (from, to) = ends(talk, message.from);
            let mut frame = Vec::new();
            ip_layer(from, to)
                .udp(from.port(), to.port())
                .write(&mut frame, &message.bytes)
                .expect("a datagram that fits a frame");
            Seen { micros, frame }
        })
        .collect()
}

const fn ends(talk: &Talk, side: Side) -> (SocketAddr, SocketAddr) {
    match side {
        Side::Client => (talk.client, talk.server),
        Side::Server => (talk.server, talk.client),
    }
}

#[derive(Default, Clone, Copy)]
#[allow(clippy::struct_excessive_bools, reason = "these are the header's bits")]
struct Flags {
    syn: bool,
    fin: bool,
    rst: bool,
    push: bool,
    /// All but the first packet acknowledge.
    no_ack: bool,
}

/// A TCP connection while it is written down.
struct Connection<'a> {
    talk: &'a Talk,
    /// Next sequence number of client and server.
    next: [u32; 2],
    micros: u64,
    seen: Vec<Seen>,
}

impl<'a> Connection<'a> {
    fn new(talk: &'a Talk, number: usize) -> Self {
        let number = number as u32;
        let next = [
            0x1000_0000_u32.wrapping_add(number.wrapping_mul(0x0101_0101)),
            0x7000_0000_u32.wrapping_add(number.wrapping_mul(0x0303_0303)),
        ];
        Self {
            talk,
            next,
            micros: talk.start_ms * 1000,
            seen: Vec::new(),
        }
    }

    fn run(mut self) -> Vec<Seen> {
        let syn = Flags {
            syn: true,
            ..Flags::default()
        };
        if self.talk.shown != Shown::WithoutOpening {
            self.send(
                Side::Client,
                Flags {
                    no_ack: true,
                    ..syn
                },
                &[],
            );
            self.micros += TRAVEL_MICROS;
            if self.talk.shown == Shown::Refused {
                self.send(
                    Side::Server,
                    Flags {
                        rst: true,
                        ..Flags::default()
                    },
                    &[],
                );
                return self.seen;
            }
            self.send(Side::Server, syn, &[]);
            self.micros += TRAVEL_MICROS;
            self.send(Side::Client, Flags::default(), &[]);
        }
        for message in &self.talk.messages {
            self.message(message);
        }
        for side in [Side::Client, Side::Server] {
            self.micros += TRAVEL_MICROS;
            self.send(
                side,
                Flags {
                    fin: true,
                    ..Flags::default()
                },
                &[],
            );
        }
        self.micros += TRAVEL_MICROS;
        self.send(Side::Client, Flags::default(), &[]);
        self.seen
    }

    fn message(&mut self, message: &Message) {
        self.micros += message.after_ms * 1000 + TRAVEL_MICROS;
        let other = match message.from {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        };
        let segments = message.bytes.chunks(SEGMENT).count();
        for (number, segment) in message.bytes.chunks(SEGMENT).enumerate() {
            let last = number + 1 == segments;
            self.send(
                message.from,
                Flags {
                    push: last,
                    ..Flags::default()
                },
                segment,
            );
            self.micros += SPACING_MICROS;
            // Every second segment is acknowledged, and the last.
            if last || number % 2 == 1 {
                self.send(other, Flags::default(), &[]);
                self.micros += SPACING_MICROS;
            }
        }
    }

    fn send(&mut self, side: Side, flags: Flags, payload: &[u8]) {
        let (from, to) = ends(self.talk, side);
        let [mine, theirs] = match side {
            Side::Client => [0, 1],
            Side::Server => [1, 0],
        };
        let mut tcp = ip_layer(from, to).tcp(from.port(), to.port(), self.next[mine], WINDOW);
        if !flags.no_ack {
            tcp = tcp.ack(self.next[theirs]);
        }
        if flags.syn {
            tcp = tcp.syn();
        }
        if flags.fin {
            tcp = tcp.fin();
        }
        if flags.rst {
            tcp = tcp.rst();
        }
        if flags.push {
            tcp = tcp.psh();
        }
        let mut frame = Vec::new();
        tcp.write(&mut frame, payload)
            .expect("a segment that fits a frame");
        self.seen.push(Seen {
            micros: self.micros,
            frame,
        });
        let length = payload.len() as u32 + u32::from(flags.syn) + u32::from(flags.fin);
        self.next[mine] = self.next[mine].wrapping_add(length);
    }
}
