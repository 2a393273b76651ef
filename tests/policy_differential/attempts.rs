//! Connections that may or may not be anybody's business, the same ones every time: first a sweep over everything that a
//! policy names and what is beside it, then chance.

use crate::hellos;
use crate::wrap::{CHAINS, Header, Wire};
use imwarden::model::{Endpoint, Service, Transport};
use imwarden::policy::{
    Attempt, Opening, Other, OtherSource, Plan, Sighting, Sightings, feature_of,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The same numbers every time (splitmix64).
pub struct Dice(pub u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    pub fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// A server.
fn there(six: bool, last: u8) -> IpAddr {
    if six {
        Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, last.into()).into()
    } else {
        Ipv4Addr::new(198, 51, 100, last).into()
    }
}

/// A client; none is at the same address as another.
fn here(six: bool, number: u16) -> IpAddr {
    if six {
        Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 7, number).into()
    } else {
        Ipv4Addr::from(0x0A00_0000 + u32::from(number)).into()
    }
}

/// Clients that the narrower policy is about are at numbers below this.
const MEANT: u16 = 0x1000;
/// One that it leaves alone.
const EXCEPTED: u16 = 0x0811;
/// A server that it leaves alone.
const EXCEPTED_SERVER: u8 = 41;

/// Its neighbour, which the narrower policy is about as well.
const MEANT_SERVER: u8 = 42;

/// Where messengers were, and nobody else: address and port, by transport.
const SEEN: [(Transport, bool, u8, u16); 4] = [
    (Transport::Tcp, false, 30, 8080),
    (Transport::Udp, false, 31, 27_015),
    (Transport::Tcp, true, 30, 443),
    (Transport::Udp, true, 31, 27_015),
];
/// A proxy of each family that others use.
const PROXY: (u8, u16) = (40, 3128);

/// Requests that a proxy is asked with, and what a messenger says first.
fn requests() -> Vec<(Vec<u8>, bool)> {
    vec![
        (
            b"CONNECT messenger.hotmail.com:1863 HTTP/1.1\r\n\r\n".to_vec(),
            true,
        ),
        (b"\x05\x01\x00\x01\xC6\x33\x64\x09\x14\x46".to_vec(), true),
        (b"\x04\x01\x14\x46\xC6\x33\x64\x09alice\0".to_vec(), true),
        (b"\x2A\x01\x00\x01\x00\x04\x00\x00\x00\x01".to_vec(), false),
        (b"YMSG\x00\x0C\x00\x00\x00\x08\x00\x57".to_vec(), false),
        (b"VER 1 MSNP8 MSNP9 CVR0\r\n".to_vec(), false),
    ]
}

/// Places that belong to messengers alone, and the proxies.
pub fn sightings() -> Sightings {
    let mut all = Sightings::default();
    let mut add = |transport, server, opening, proxied| {
        all.flows.push(Sighting {
            service: Service::AIM,
            feature: feature_of("oscar"),
            transport,
            client: Endpoint::new(there(false, 200), 50_000),
            server,
            proxied,
            opening,
            place: "made up, flow 1".into(),
        });
    };
    for (transport, six, host, port) in SEEN {
        add(
            transport,
            Endpoint::new(there(six, host), port),
            None,
            false,
        );
    }
    for six in [false, true] {
        let proxy = Endpoint::new(there(six, PROXY.0), PROXY.1);
        for (request, proxied) in requests() {
            let opening = Opening::of(&request, proxied);
            add(Transport::Tcp, proxy, opening, proxied);
        }
        let other = Other::new(Transport::Tcp, there(six, 77), proxy);
        all.others.add(other, OtherSource::Record);
    }
    all
}

/// One connection in the making: the family decides who the ends are.
#[derive(Clone)]
struct Draft {
    transport: Transport,
    six: bool,
    client: (IpAddr, u16),
    server: (IpAddr, u16),
    payload: Vec<u8>,
}

/// What is tried before chance is asked.
fn sweep(plan: &Plan) -> Vec<Draft> {
    let mut all: Vec<Draft> = Vec::new();
    let mut add = |transport, six, client: Option<(IpAddr, u16)>, server, payload: &[u8]| {
        let number = u16::try_from(all.len()).unwrap() + 1;
        all.push(Draft {
            transport,
            six,
            client: client.unwrap_or((here(six, number), 50_000)),
            server,
            payload: payload.to_vec(),
        });
    };
    for six in [false, true] {
        for transport in [Transport::Tcp, Transport::Udp] {
            for port in ports(plan) {
                add(transport, six, None, (there(six, 77), port), b"hello");
            }
        }
    }
    for (transport, six, host, port) in SEEN {
        let other = match transport {
            Transport::Tcp => Transport::Udp,
            Transport::Udp => Transport::Tcp,
        };
        let place = (there(six, host), port);
        add(transport, six, None, place, b"hello");
        add(other, six, None, place, b"hello");
        add(transport, six, None, (place.0, port + 1), b"hello");
        add(transport, six, None, (there(six, host + 2), port), b"hello");
        // It speaks itself: to somebody who is meant, to somebody who is not, and to somebody who is left alone. And others
        // speak from its port, and it from another.
        let clients = [5, MEANT + 5, EXCEPTED].map(|number| here(six, number));
        for to in clients.into_iter().chain([there(six, MEANT_SERVER)]) {
            add(transport, six, Some(place), (to, 60_000), b"hello");
        }
        for from in [(place.0, port + 1), (there(six, host + 2), port)] {
            add(transport, six, Some(from), (here(six, 6), 60_000), b"hello");
        }
    }
    for six in [false, true] {
        for (port, hello) in hellos::all() {
            add(Transport::Tcp, six, None, (there(six, 77), port), &hello);
        }
    }
    for six in [false, true] {
        let excepted = there(six, EXCEPTED_SERVER);
        // Whoever is left alone, and whoever is not meant, at either end.
        let meant = there(six, MEANT_SERVER);
        for from in [here(six, EXCEPTED), here(six, MEANT + 1), excepted, meant] {
            for (to, port) in [
                (there(six, 77), 5190),
                (here(six, 7), 5190),
                (excepted, 1863),
            ] {
                if from != to {
                    add(
                        Transport::Tcp,
                        six,
                        Some((from, 50_001)),
                        (to, port),
                        b"hello",
                    );
                }
            }
        }
        add(Transport::Tcp, six, None, (excepted, 5190), b"hello");
        let proxy = there(six, PROXY.0);
        for (request, _) in requests() {
            let mut ask = |server, payload: &[u8]| add(Transport::Tcp, six, None, server, payload);
            ask((proxy, PROXY.1), &request);
            ask((proxy, PROXY.1 + 1), &request);
            ask((there(six, PROXY.0 + 2), PROXY.1), &request);
            for at in 0..request.len() {
                let mut payload = request.clone();
                payload[at] ^= 0x20;
                ask((proxy, PROXY.1), &payload);
            }
            let foreign = Some((here(six, MEANT + 2), 50_002));
            add(Transport::Tcp, six, foreign, (proxy, PROXY.1), &request);
        }
    }
    all
}

/// A connection that may or may not be anybody's business.
fn chance(dice: &mut Dice, ports: &[u16], number: u16) -> Draft {
    let transport = *dice.of(&[Transport::Tcp, Transport::Tcp, Transport::Udp]);
    let six = dice.below(2) == 1;
    let host = *dice.of(&[9, 30, 31, 40, 40, 40, 41, 77]);
    let port = match dice.below(4) {
        _ if host == PROXY.0 && dice.below(4) > 0 => PROXY.1,
        0 => 1 + u16::try_from(dice.below(65_000)).unwrap(),
        1 => PROXY.1,
        _ => *dice.of(ports),
    };
    // A client may be at a place where a messenger was, and from any port, a messenger's too.
    let from = *dice.of(&[50_000, 5190, 1863, 6891, 8080, 3128]);
    let client = match dice.below(40) {
        0 if !six => (there(six, 30), 8080),
        1 if six => (there(six, 30), 443),
        _ => (here(six, number), from),
    };
    let mut payload = match dice.below(3) {
        0 => dice.of(&hellos::all()).1.clone(),
        _ => dice.of(&requests()).0.clone(),
    };
    match dice.below(5) {
        // One byte is another.
        0 => {
            let at = dice.below(payload.len());
            payload[at] ^= 0x20;
        }
        // It is not at the beginning.
        1 => payload.insert(0, b' '),
        // It is cut off.
        2 => payload.truncate(1 + dice.below(payload.len())),
        _ => {}
    }
    Draft {
        transport,
        six,
        client,
        server: (there(six, host), port),
        payload,
    }
}

/// So many connections, how each is sent, and where its payload is cut.
pub fn all(plan: &Plan, chances: usize) -> Vec<(Attempt, Wire, usize)> {
    let mut dice = Dice(20_261_124);
    let ports = ports(plan);
    let mut drafts = sweep(plan);
    let swept = drafts.len();
    for number in drafts.len()..drafts.len() + chances {
        let number = u16::try_from(number).unwrap() + 1;
        drafts.push(chance(&mut dice, &ports, number));
    }
    let finish = |(number, draft): (usize, Draft)| {
        let wire = wire(&mut dice, draft.transport, draft.six);
        let attempt = Attempt {
            transport: draft.transport,
            client: Endpoint::new(draft.client.0, draft.client.1),
            server: Endpoint::new(draft.server.0, draft.server.1),
            payload: draft.payload,
            // The kernel takes a fragment's header off before any rule looks.
            extended: wire.headers.iter().any(|header| *header != Header::Atomic),
        };
        let split = *dice.of(&[usize::MAX, usize::MAX, usize::MAX, 1, 5, 12]);
        // What is swept is asked in one piece, and IPv6 without headers that hide it.
        if number < swept {
            let mut wire = wire;
            wire.headers = &[];
            let attempt = Attempt {
                extended: false,
                ..attempt
            };
            return (attempt, wire, usize::MAX);
        }
        (attempt, wire, split)
    };
    drafts.into_iter().enumerate().map(finish).collect()
}

/// One in three goes as it is.
fn wire(dice: &mut Dice, transport: Transport, six: bool) -> Wire {
    let mut wire = Wire::default();
    if dice.below(3) == 0 {
        return wire;
    }
    wire.options = dice.below(3) == 0;
    if six && dice.below(2) == 0 {
        wire.headers = CHAINS[dice.below(CHAINS.len())];
    }
    if !wire.headers.contains(&Header::Atomic) && dice.below(2) == 0 {
        // The first piece of IPv6 must hold the whole transport header, or nobody takes it. In IPv4 it may hold the ports only.
        let least = if six && transport == Transport::Tcp {
            24
        } else {
            8
        };
        wire.cut = Some(least + 8 * dice.below(3));
        wire.backwards = dice.below(4) == 0;
    }
    wire
}

/// Both ends of every range of ports that the plan closes, and their neighbours.
fn ports(plan: &Plan) -> Vec<u16> {
    let ranges = plan.groups.iter().flat_map(|group| &group.ports);
    let mut all: Vec<u16> = ranges
        .flat_map(|ports| {
            let (first, last) = (ports.range.first(), ports.range.last());
            [first - 1, first, last, last + 1]
        })
        .chain([80, 443, 3128, 8080, 4000])
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}
