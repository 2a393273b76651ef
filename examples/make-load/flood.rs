//! What somebody sends to make a program run out of memory or time.

use crate::player::Chance;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flood {
    /// Flows of one SYN each.
    SynScan,
    /// Connections whose content is random.
    Random,
    /// Fragments of datagrams that never become whole.
    Fragments,
    /// Connections that miss a segment, with what came behind it.
    Queues,
}

impl Flood {
    pub fn of(kind: &str) -> Option<Self> {
        match kind {
            "syn-scan" => Some(Self::SynScan),
            "random" => Some(Self::Random),
            "fragments" => Some(Self::Fragments),
            "queues" => Some(Self::Queues),
            _ => None,
        }
    }

    /// How many units such a capture has unless somebody says otherwise.
    pub const fn usual(self) -> u64 {
        match self {
            Self::SynScan => 10_000_000,
            Self::Random | Self::Queues => 1_000_000,
            Self::Fragments => 4_000_000,
        }
    }

    /// Time between the beginnings of two units.
    pub const fn micros_a_unit(self) -> u64 {
        match self {
            Self::SynScan => 4,
            Self::Random | Self::Queues => 40,
            Self::Fragments => 10,
        }
    }

    /// The frames with their times.
    pub fn frames(self, units: u64) -> Box<dyn Iterator<Item = (u64, Vec<u8>)>> {
        let pace = self.micros_a_unit();
        match self {
            Self::SynScan => Box::new((0..units).map(move |n| (n * pace, syn(n)))),
            Self::Fragments => Box::new((0..units).map(move |n| (n * pace, fragment(n)))),
            Self::Random => by_flow(units, pace, 5, |flow, step| match step {
                0 => syn(flow),
                1 => tcp(flow, false, 0, SYN | ACK, &[]),
                2 => tcp(flow, true, 1, ACK, &[]),
                3 => tcp(flow, true, 1, ACK, &content(flow, 300)),
                _ => tcp(flow, false, 1, ACK, &content(flow + 1, 700)),
            }),
            Self::Queues => by_flow(units, pace, 4, |flow, step| match step {
                0 => syn(flow),
                1 => tcp(flow, false, 0, SYN | ACK, &[]),
                // The first hundred bytes are missing.
                2 => tcp(flow, true, 101, ACK, &content(flow, 200)),
                _ => tcp(flow, false, 101, ACK, &content(flow + 1, 400)),
            }),
        }
    }
}

/// Flows of so many frames each. Five hundred run at a time, each a step ahead of the next hundred.
fn by_flow(
    flows: u64,
    pace: u64,
    steps: u64,
    frame: impl Fn(u64, u64) -> Vec<u8> + 'static,
) -> Box<dyn Iterator<Item = (u64, Vec<u8>)>> {
    const BEHIND: u64 = 100;
    let turns = flows + BEHIND * (steps - 1);
    Box::new((0..turns).flat_map(move |turn| {
        let frames: Vec<_> = (0..steps)
            .filter_map(|step| {
                let flow = turn.checked_sub(step * BEHIND)?;
                (flow < flows).then(|| (turn * pace, frame(flow, step)))
            })
            .collect();
        frames
    }))
}

const SYN: u8 = 2;
const ACK: u8 = 16;

fn content(flow: u64, most: u64) -> Vec<u8> {
    let mut chance = Chance::new(flow + 1);
    let length = 1 + chance.below(most);
    (0..length).map(|_| (chance.next() >> 56) as u8).collect()
}

/// The hosts of a flow: a network that asks, and everybody whom it asks.
fn hosts(flow: u64) -> ([u8; 4], [u8; 4]) {
    let asker = [203, 0, 113, (flow >> 24) as u8];
    let asked = [
        100,
        64 | (flow >> 16) as u8 & 63,
        (flow >> 8) as u8,
        flow as u8,
    ];
    (asker, asked)
}

fn syn(flow: u64) -> Vec<u8> {
    tcp(flow, true, 0, SYN, &[])
}

fn tcp(flow: u64, from_client: bool, offset: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut chance = Chance::new(flow + 7);
    let client_port = 1024 + chance.below(60_000) as u16;
    let server_port = 1 + chance.below(65_535) as u16;
    let starts = [chance.next() as u32, chance.next() as u32];
    let (client, server) = hosts(flow);
    let mut ends = [
        ((client, client_port), starts[0]),
        ((server, server_port), starts[1]),
    ];
    if !from_client {
        ends.reverse();
    }
    let [(from, seq), (to, ack)] = ends;
    let ack = if flags & ACK == 0 {
        0
    } else {
        ack.wrapping_add(1)
    };
    let header = [
        &from.1.to_be_bytes()[..],
        &to.1.to_be_bytes(),
        &seq.wrapping_add(offset).to_be_bytes(),
        &ack.to_be_bytes(),
        &[5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0],
    ]
    .concat();
    ethernet(
        0x0800,
        &ipv4(
            from.0,
            to.0,
            (flow as u16, 0x4000),
            6,
            &[&header, payload].concat(),
        ),
    )
}

/// A fragment of a datagram of its own, or of one of the last thousand; a third of them IPv6.
fn fragment(number: u64) -> Vec<u8> {
    let mut chance = Chance::new(number);
    let datagram = number - chance.below(number.min(1000) + 1);
    // Anything but the whole: the first eight bytes never come.
    let place = 1 + chance.below(180) as u16;
    let payload = content(number, 20)[..].repeat(8);
    let (from, to) = hosts(datagram);
    let mark = datagram as u32;
    if datagram.is_multiple_of(3) {
        let field = place << 3 | 1;
        let header = [&[17, 0][..], &field.to_be_bytes(), &mark.to_be_bytes()].concat();
        let length = ((header.len() + payload.len()) as u16).to_be_bytes();
        let start = [0x60, 0, 0, 0, length[0], length[1], 44, 64];
        let address =
            |host: [u8; 4]| [&[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0][..], &host].concat();
        let packet = [&start[..], &address(from), &address(to), &header, &payload];
        return ethernet(0x86dd, &packet.concat());
    }
    let more = 0x2000;
    ethernet(
        0x0800,
        &ipv4(from, to, (mark as u16, more | place), 17, &payload),
    )
}

fn ipv4(
    from: [u8; 4],
    to: [u8; 4],
    (id, place): (u16, u16),
    protocol: u8,
    payload: &[u8],
) -> Vec<u8> {
    let length = (20 + payload.len() as u16).to_be_bytes();
    let (id, place) = (id.to_be_bytes(), place.to_be_bytes());
    let start = [
        0x45, 0, length[0], length[1], id[0], id[1], place[0], place[1], 64, protocol, 0, 0,
    ];
    [&start[..], &from, &to, payload].concat()
}

fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    let addresses = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    [&addresses[..], &kind.to_be_bytes(), payload].concat()
}
