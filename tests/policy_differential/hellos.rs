//! Names in TLS hellos: what is compared beside everything else, and what becomes of a connection after its hello.

use crate::hello::Hello;
use crate::wrap::{Sent, Wire, tcp};
use imwarden::model::{Direction, Endpoint, TcpFlags, Transport};
use imwarden::policy::prove::Lab;
use imwarden::policy::{Attempt, CustomRule, Place};
use imwarden::ruleset::PortRange;
use std::net::IpAddr;

/// All names below one, and one at a port.
pub fn rules() -> Vec<CustomRule> {
    let rule = |id: &str, name: &str, below, port: Option<u16>| CustomRule {
        id: id.to_owned(),
        place: Place::Hello {
            name: name.to_owned(),
            below,
        },
        ports: port.map(|port| (Transport::Tcp, PortRange::new(port, port).unwrap())),
        reason: "the test says so".to_owned(),
        until: None,
    };
    vec![
        rule("chat", "chat.example.com", true, None),
        rule("talk", "talk.example.net", false, Some(8443)),
    ]
}

/// What may stand behind a name, each in the form that no other stands for.
const FOLLOWERS: [&[u8]; 17] = [
    b"\x00\x17",
    b"\xFF\x01",
    b"\xFE\x0D",
    b"\x44\x69",
    b"\x44\xCD",
    b"\x0A\x0A",
    b"\x1A\x1A",
    b"\x2A\x2A",
    b"\x3A\x3A",
    b"\x6A\x6A",
    b"\x7A\x7A",
    b"\x8A\x8A",
    b"\x9A\x9A",
    b"\xAA\xAA",
    b"\xBA\xBA",
    b"\xEA\xEA",
    b"\xFA\xFA",
];

fn before(name: &str, next: &[u8], random: &[u8]) -> Vec<u8> {
    let next = [u16::from_be_bytes([next[0], next[1]])];
    Hello {
        name: Some(name),
        behind: &next,
        random,
        session: 0,
        ..Hello::default()
    }
    .bytes()
}

/// Hellos, and to which port they go.
pub fn all() -> Vec<(u16, Vec<u8>)> {
    let mut all = Vec::new();
    for next in FOLLOWERS {
        // In letters of either case; and the same bytes where the random number is.
        all.push((443, before("A.Chat.example.com", next, b"")));
        let random = [&b".chat.example.com"[..], next].concat();
        all.push((443, before("www.example.com", next, &random)));
    }
    let unknown = b"\x77\x77";
    for name in [
        "chat.example.com",
        "Chat.example.com",
        "talk.example.net",
        "Talk.example.net",
    ] {
        for port in [443, 8443] {
            all.push((port, before(name, unknown, b"")));
        }
        let lower = name.to_ascii_lowercase();
        let random = [&b"\0\0\0\x15\0\x13\0\0\x10"[..], lower.as_bytes()].concat();
        all.push((8443, before("www.example.com", unknown, &random)));
    }
    for name in [
        "a.chat.example.com",
        "notchat.example.com",
        "a.chat.example.community",
        "chat.example.com.example.net",
    ] {
        all.push((443, before(name, unknown, b"")));
        all.push((443, before(name, b"\x00\x17", b"")));
    }
    // Another record, and another side's.
    for at in [0, 1, 5] {
        let mut other = before("chat.example.com", unknown, b"");
        other[at] ^= 0x20;
        all.push((443, other));
    }
    all
}

/// A connection through the router, segment by segment.
struct Talk {
    attempt: Attempt,
    sent: [u32; 2],
}

impl Talk {
    fn says(&mut self, lab: &mut Lab, direction: Direction, syn: bool, payload: &[u8]) -> bool {
        let (own, other) = match direction {
            Direction::ToServer => (0, 1),
            Direction::ToClient => (1, 0),
        };
        let attempt = match direction {
            Direction::ToServer => self.attempt.clone(),
            Direction::ToClient => Attempt {
                client: self.attempt.server,
                server: self.attempt.client,
                ..self.attempt.clone()
            },
        };
        let first = syn && own == 0;
        let flags = TcpFlags {
            syn,
            ack: !first,
            ..TcpFlags::default()
        };
        let ack = if first { 0 } else { self.sent[other] };
        let header = tcp(self.sent[own], ack, flags);
        self.sent[own] += u32::from(syn) + u32::try_from(payload.len()).unwrap();
        lab.refusal().unwrap();
        Sent::new(&attempt, header, payload, &Wire::default(), 0).passes(lab, direction)
    }

    fn open(lab: &mut Lab, from: (&str, u16), to: (&str, u16)) -> Result<Self, String> {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let mut it = Self {
            attempt: Attempt {
                transport: Transport::Tcp,
                client: Endpoint::new(ip(from.0), from.1),
                server: Endpoint::new(ip(to.0), to.1),
                payload: Vec::new(),
                extended: false,
            },
            sent: [1_000, 7_000],
        };
        let opened = it.says(lab, Direction::ToServer, true, b"")
            && it.says(lab, Direction::ToClient, true, b"")
            && it.says(lab, Direction::ToServer, false, b"");
        if opened {
            Ok(it)
        } else {
            Err(format!("{} cannot be reached", to.0))
        }
    }
}

/// What follows a refused hello is refused, either way; and only a connection's beginning is looked at.
pub fn check(lab: &mut Lab) -> Result<(), String> {
    for (client, server) in [
        ("10.0.0.70", "198.51.100.78"),
        ("2001:db8:1::7:46", "2001:db8:2::78"),
    ] {
        for (name, port) in [("chat.example.com", 443), ("talk.example.net", 8443)] {
            let hello = Hello::to(name);
            let mut early = Talk::open(lab, (client, 50_001), (server, port))?;
            for (direction, payload) in [
                (Direction::ToServer, &hello[..]),
                (Direction::ToServer, b"more"),
                (Direction::ToClient, b"more"),
            ] {
                if early.says(lab, direction, false, payload) {
                    return Err(format!("{server}: {name}, {direction:?} goes on"));
                }
            }
            let mut late = Talk::open(lab, (client, 50_002), (server, port))?;
            for _ in 0..11 {
                late.says(lab, Direction::ToServer, false, b"x");
            }
            if !late.says(lab, Direction::ToServer, false, &hello) {
                return Err(format!("{server}: {name} is refused in the end"));
            }
        }
    }
    Ok(())
}
