//! A connection's packets as they go over the wire: with options, behind IPv6 extension headers, in fragments, in whatever
//! order. None of it makes another connection of it.

use etherparse::{Ipv4Header, PacketBuilder};
use imwarden::model::{
    Direction, LinkType, TcpFlags, TcpHeader, Timestamp, Transport, TransportHeader,
};
use imwarden::packet::{Decoded, Defragmenter, FrameMeta, decode};
use imwarden::policy::Attempt;
use imwarden::policy::prove::Lab;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What may stand between an IPv6 header and the transport's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Header {
    HopByHop,
    Routing,
    Destination,
    /// Of `IPsec`, of a packet that is signed and not encrypted.
    Authentication,
    /// A fragment that is the whole.
    Atomic,
}

use Header::{Atomic, Authentication, Destination, HopByHop, Routing};

impl Header {
    const fn number(self) -> u8 {
        match self {
            HopByHop => 0,
            Routing => 43,
            Atomic => 44,
            Authentication => 51,
            Destination => 60,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            HopByHop => "hop-by-hop",
            Routing => "routing",
            Atomic => "atomic fragment",
            Authentication => "authentication",
            Destination => "destination options",
        }
    }

    /// With the number of what follows.
    fn bytes(self, next: u8) -> Vec<u8> {
        match self {
            // Padding, and nothing else.
            HopByHop | Destination => vec![next, 0, 1, 4, 0, 0, 0, 0],
            // At its end.
            Routing => vec![next, 0, 0, 0, 0, 0, 0, 0],
            Atomic => vec![next, 0, 0, 0, 0, 0, 0, 9],
            Authentication => vec![next, 2, 0, 0, 0, 0, 0, 5, 0, 0, 0, 1, 1, 2, 3, 4],
        }
    }
}

/// Alone, several in a row, in the order that the standard recommends and in others.
pub const CHAINS: [&[Header]; 9] = [
    &[Destination],
    &[HopByHop],
    &[Routing],
    &[Destination, Destination, Destination],
    &[HopByHop, Destination, Routing, Destination],
    &[HopByHop, Routing],
    &[Routing, Destination],
    &[Atomic],
    &[HopByHop, Destination, Atomic],
];

/// How one connection's packets are sent.
#[derive(Clone, Debug, Default)]
pub struct Wire {
    /// Between IPv6 and the transport.
    pub headers: &'static [Header],
    /// IPv4 and TCP have options.
    pub options: bool,
    /// Bytes of a fragment's payload, if it is to be cut.
    pub cut: Option<usize>,
    /// The last fragment is sent first.
    pub backwards: bool,
}

/// One segment or datagram, in as many packets as it takes.
pub struct Sent {
    pub pieces: Vec<Vec<u8>>,
    attempt: Attempt,
    payload: Vec<u8>,
    /// It comes out as it goes in, but for what every router changes.
    plain: bool,
}

impl Sent {
    pub fn new(attempt: &Attempt, tcp: TcpHeader, payload: &[u8], wire: &Wire, id: u32) -> Self {
        let transport = transport(attempt, tcp, payload, wire);
        let mut pieces = match (attempt.client.ip, attempt.server.ip) {
            (IpAddr::V4(_), IpAddr::V4(_)) => four(attempt, &transport, wire, id),
            _ => six(attempt, &transport, wire, id),
        };
        if wire.backwards {
            pieces.reverse();
        }
        let pieces_are_one = pieces.len() == 1;
        Self {
            pieces,
            attempt: attempt.clone(),
            payload: payload.to_vec(),
            plain: pieces_are_one && !wire.headers.contains(&Atomic),
        }
    }

    /// Whether it comes out at the other side, in whatever pieces.
    pub fn passes(&self, lab: &mut Lab, direction: Direction) -> bool {
        if self.plain {
            return lab.passes(direction, &self.pieces[0]).unwrap();
        }
        let arrived = lab.delivers(direction, &self.pieces).unwrap();
        let mut found = false;
        let mut look = |packet: &imwarden::model::Packet<'_>| {
            found |= packet.src == self.attempt.client
                && packet.dst == self.attempt.server
                && packet.payload == self.payload
                && (packet.header == TransportHeader::Udp)
                    == (self.attempt.transport == Transport::Udp);
        };
        let mut defragmenter = Defragmenter::new(1 << 20);
        for bytes in &arrived {
            let meta = FrameMeta {
                number: 1,
                timestamp: Timestamp::default(),
                link: LinkType::RAW,
                wire_len: u32::try_from(bytes.len()).unwrap(),
            };
            match &decode(meta, bytes) {
                Decoded::Packet(packet) => look(packet),
                Decoded::Fragment(fragment) => defragmenter.push(fragment, &mut look),
                Decoded::Ignored(_) => {}
            }
        }
        found
    }
}

/// A whole TCP segment or UDP datagram; the pieces of it are the IP packets' affair.
fn transport(attempt: &Attempt, tcp: TcpHeader, payload: &[u8], wire: &Wire) -> Vec<u8> {
    let (client, server) = (attempt.client, attempt.server);
    let (builder, header) = match (client.ip, server.ip) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            (PacketBuilder::ipv4(src.octets(), dst.octets(), 64), 20)
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            (PacketBuilder::ipv6(src.octets(), dst.octets(), 64), 40)
        }
        mixed => panic!("{mixed:?}"),
    };
    let mut bytes = Vec::new();
    if attempt.transport == Transport::Udp {
        let builder = builder.udp(client.port, server.port);
        builder.write(&mut bytes, payload).unwrap();
    } else {
        let mut builder = builder.tcp(client.port, server.port, tcp.seq, u16::MAX);
        if wire.options {
            let time = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0];
            builder = builder.options_raw(&time).unwrap();
        }
        let flags = tcp.flags;
        if flags.syn {
            builder = builder.syn();
        }
        if flags.rst {
            builder = builder.rst();
        }
        if flags.ack {
            builder = builder.ack(tcp.ack);
        }
        builder.write(&mut bytes, payload).unwrap();
    }
    bytes.split_off(header)
}

fn number(attempt: &Attempt) -> u8 {
    match attempt.transport {
        Transport::Tcp => 6,
        Transport::Udp => 17,
    }
}

fn four(attempt: &Attempt, transport: &[u8], wire: &Wire, id: u32) -> Vec<Vec<u8>> {
    let (IpAddr::V4(src), IpAddr::V4(dst)) = (attempt.client.ip, attempt.server.ip) else {
        panic!("{attempt:?}");
    };
    let size = wire.cut.unwrap_or(transport.len()).max(8);
    let count = transport.len().div_ceil(size);
    let piece = |(at, part): (usize, &[u8])| {
        let protocol = number(attempt).into();
        let length = u16::try_from(part.len()).unwrap();
        let mut header = Ipv4Header::new(length, 64, protocol, src.octets(), dst.octets()).unwrap();
        header.identification = u16::try_from(id & 0xFFFF).unwrap();
        header.dont_fragment = false;
        header.more_fragments = at + 1 < count;
        header.fragment_offset = u16::try_from(at * size / 8).unwrap().try_into().unwrap();
        if wire.options {
            header.options = [1, 1, 1, 0].into();
            header.set_payload_len(part.len()).unwrap();
        }
        header.header_checksum = header.calc_header_checksum();
        [&header.to_bytes()[..], part].concat()
    };
    transport.chunks(size).enumerate().map(piece).collect()
}

/// Extension headers and what is behind them; the number of the first.
fn chain(headers: &[Header], last: u8, behind: &[u8]) -> (u8, Vec<u8>) {
    let mut next = last;
    let mut bytes = behind.to_vec();
    for header in headers.iter().rev() {
        bytes = [header.bytes(next), bytes].concat();
        next = header.number();
    }
    (next, bytes)
}

fn six(attempt: &Attempt, transport: &[u8], wire: &Wire, id: u32) -> Vec<Vec<u8>> {
    let (IpAddr::V6(src), IpAddr::V6(dst)) = (attempt.client.ip, attempt.server.ip) else {
        panic!("{attempt:?}");
    };
    // What routers read is in every fragment.
    let routers = wire
        .headers
        .iter()
        .rposition(|it| [HopByHop, Routing].contains(it));
    let (first, rest) = wire.headers.split_at(routers.map_or(0, |at| at + 1));
    let (inner, body) = chain(rest, number(attempt), transport);
    let packet = |(next, bytes): (u8, Vec<u8>)| {
        let length = u16::try_from(bytes.len()).unwrap();
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend(length.to_be_bytes());
        packet.extend([next, 64]);
        packet.extend(src.octets());
        packet.extend(dst.octets());
        packet.extend(bytes);
        packet
    };
    let size = wire.cut.map(|size| size + 8 * rest.len());
    let Some(size) = size.filter(|size| *size < body.len()) else {
        return vec![packet(chain(first, inner, &body))];
    };
    let count = body.len().div_ceil(size);
    body.chunks(size)
        .enumerate()
        .map(|(at, part)| {
            let place = u16::try_from(at * size).unwrap() | u16::from(at + 1 < count);
            let mut piece = vec![inner, 0];
            piece.extend(place.to_be_bytes());
            piece.extend(id.to_be_bytes());
            piece.extend(part);
            packet(chain(first, Atomic.number(), &piece))
        })
        .collect()
}

/// How often each way of sending was tried.
#[derive(Default)]
pub struct Ways(pub BTreeMap<String, u64>);

impl Ways {
    pub fn note(&mut self, attempt: &Attempt, wire: &Wire, pieces: usize) {
        let family = if attempt.server.ip.is_ipv4() {
            "IPv4"
        } else {
            "IPv6"
        };
        let transport = attempt.transport.name();
        let mut add = |what: String| *self.0.entry(what).or_default() += 1;
        add(format!("{family} {transport}"));
        if pieces > 1 {
            add(format!("{family} {transport} in fragments"));
        }
        if wire.options {
            add("with options".into());
        }
        for header in wire.headers {
            add(format!("behind {}", header.name()));
        }
        if wire.headers.len() > 1 {
            add("behind several headers".into());
        }
    }
}

/// A header of a client's own segment.
pub fn tcp(seq: u32, ack: u32, flags: TcpFlags) -> TcpHeader {
    TcpHeader { seq, ack, flags }
}
