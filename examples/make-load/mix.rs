//! What goes over an office network besides messengers, and how much of each.

use crate::player::{Chance, Script};
use crate::scenario::bytes::{be16, join, noise};
use crate::scenario::ordinary;
use crate::scenario::talk::Talk;
use std::net::Ipv4Addr;

/// Scripts, each with its share of the flows.
pub struct Mix {
    scripts: Vec<(u64, Script)>,
    usual: u64,
}

/// An office of some hundred machines sends some thousand packets a second.
pub const MICROS_A_PACKET: u64 = 250;

/// Each script is another machine's when it is played.
const CLIENT: &str = "10.0.0.1:40000";
const RESOLVER: &str = "192.168.10.1:53";

impl Mix {
    pub fn of(kind: &str) -> Option<Self> {
        match kind {
            "office" => Some(Self::office()),
            "small" => Some(Self::small()),
            _ => None,
        }
    }

    /// How many packets such a capture has unless somebody says otherwise.
    pub const fn usual(&self) -> u64 {
        self.usual
    }

    pub fn pick(&self, chance: &mut Chance) -> &Script {
        let all = self.scripts.iter().map(|(share, _)| share).sum();
        let mut ticket = chance.below(all);
        for (share, script) in &self.scripts {
            if ticket < *share {
                return script;
            }
            ticket -= share;
        }
        unreachable!("a ticket is less than all shares")
    }

    /// What messengers say in an office: those of the floods, and the chats that are lines of text.
    pub fn messengers() -> Vec<Script> {
        let mut scripts = Script::messengers();
        scripts.push(alone(ordinary::irc(CLIENT, &server(100, 6667), 0)));
        scripts.push(alone(ordinary::xmpp(CLIENT, &server(100, 5222), 0)));
        scripts
    }

    fn office() -> Self {
        let mut scripts = Vec::new();
        for n in 0..8 {
            scripts.push((76, names(n)));
            scripts.push((
                10,
                alone(ordinary::web(CLIENT, &server(n, 80), 0, &host(n), &page(n))),
            ));
            scripts.push((
                30,
                alone(ordinary::tls(CLIENT, &server(n, 443), 0, &host(n))),
            ));
            scripts.push((12, alone(secret(n, 60_000))));
            scripts.push((8, alone(secret(n, 420_000))));
        }
        scripts.push((
            6,
            alone(ordinary::download(
                CLIENT,
                "198.51.100.90:80",
                0,
                "mirror.example.org",
                1_500_000,
            )),
        ));
        scripts.push((
            4,
            alone(ordinary::download(
                CLIENT,
                "198.51.100.91:8080",
                0,
                "mirror.example.net",
                1_900_000,
            )),
        ));
        scripts.push((1, alone(call(9, 160))));
        scripts.extend(services(2));
        Self {
            scripts,
            usual: 2_000_000,
        }
    }

    /// Lines, keystrokes, voice and names: some twenty packets a flow.
    fn small() -> Self {
        let mut scripts = Vec::new();
        for n in 0..8 {
            scripts.push((40, names(n)));
            scripts.push((1, alone(shell(n))));
            scripts.push((1, alone(call(n, 20))));
        }
        scripts.extend(services(20));
        Self {
            scripts,
            usual: 1_000_000,
        }
    }
}

fn alone(talk: Talk) -> Script {
    Script::new(&[talk])
}

fn host(n: u8) -> String {
    format!("www{n}.example.com")
}

fn server(n: u8, port: u16) -> String {
    format!("198.51.100.{}:{port}", 20 + n)
}

fn page(n: u8) -> String {
    format!(
        "<html><h1>Minutes {n}</h1>{}</html>",
        "<p>Nothing was decided.</p>".repeat(200)
    )
}

fn names(n: u8) -> Script {
    let address = Ipv4Addr::new(198, 51, 100, 20 + n);
    alone(ordinary::dns(
        CLIENT,
        RESOLVER,
        u64::from(n),
        &host(n),
        address,
    ))
}

/// Writes a talk between a client and a server.
type Writer = fn(&str, &str, u64) -> Talk;

/// What has a port of its own in an office.
fn services(share: u64) -> Vec<(u64, Script)> {
    let talks: [(Writer, u16); 12] = [
        (ordinary::smtp, 25),
        (ordinary::pop3, 110),
        (ordinary::imap, 143),
        (ordinary::ftp, 21),
        (ordinary::ssh, 22),
        (news, 119),
        (broker, 61_613),
        (ordinary::nats, 4222),
        (ordinary::redis, 6379),
        (ordinary::sip, 5060),
        (ordinary::ntp, 123),
        (ordinary::dce_rpc, 135),
    ];
    let script = |(talk, port): (Writer, u16)| (share, alone(talk(CLIENT, &server(100, port), 0)));
    talks.into_iter().map(script).collect()
}

/// News, in lines that begin with numbers as IRC's do.
fn news(client: &str, server: &str, start_ms: u64) -> Talk {
    ordinary::lines(
        client,
        server,
        start_ms,
        &[
            "S: 200 news.example.net ready, posting allowed",
            "C: MODE READER",
            "S: 200 posting allowed",
            "C: GROUP example.lunch",
            "S: 211 2 1 2 example.lunch",
            "C: OVER 1-2",
            "S: 224 overview follows\r\n1\tNoon?\talice@example.com\r\n2\tRe: Noon?\tbob@example.com\r\n.",
            "C: QUIT",
            "S: 205 bye",
        ],
    )
}

/// A message broker (STOMP): messages go through it, but nobody's.
fn broker(client: &str, server: &str, start_ms: u64) -> Talk {
    ordinary::lines(
        client,
        server,
        start_ms,
        &[
            "C: CONNECT\naccept-version:1.2\nhost:broker.example.net\n\n\0",
            "S: CONNECTED\nversion:1.2\nheart-beat:0,0\n\n\0",
            "C: SUBSCRIBE\nid:0\ndestination:/queue/orders\nack:auto\n\n\0",
            "C: SEND\ndestination:/queue/orders\ncontent-type:text/plain\n\n17 of the blue ones\0",
            "S: MESSAGE\nsubscription:0\nmessage-id:1\ndestination:/queue/orders\n\n17 of the blue ones\0",
            "C: DISCONNECT\nreceipt:1\n\n\0",
            "S: RECEIPT\nreceipt-id:1\n\n\0",
        ],
    )
}

/// TLS that goes on for so many bytes.
fn secret(n: u8, size: usize) -> Talk {
    let mut talk = ordinary::tls(CLIENT, &server(n, 443), u64::from(n), &host(n));
    let content = noise(size as u64 + u64::from(n), size);
    for page in content.chunks(64_000) {
        let record = |kind: u8, bytes: &[u8]| join(&[&[kind, 3, 3], &be16(bytes.len()), bytes]);
        let request = record(0x17, &noise(u64::from(n), 90));
        let answer: Vec<u8> = page
            .chunks(16_000)
            .flat_map(|bytes| record(0x17, bytes))
            .collect();
        talk = talk.pause(40).client(request).server(answer);
    }
    talk
}

/// A call: two minutes of voice, so many bytes a packet.
fn call(n: u8, voice: usize) -> Talk {
    let client = CLIENT;
    (0..600_u16).fold(Talk::udp(client, &server(n, 13_500), 0), |talk, number| {
        let time = (u32::from(number) * 160).to_be_bytes();
        let header = join(&[
            &[0x80, 0],
            &number.to_be_bytes(),
            &time,
            &[0x12, 0x34, 0x56, n],
        ]);
        let packet = join(&[&header, &noise(u64::from(number), voice)]);
        match number % 2 {
            0 => talk.client(packet),
            _ => talk.server(packet),
        }
    })
}

/// Somebody types.
fn shell(n: u8) -> Talk {
    let talk = ordinary::ssh(CLIENT, &server(n, 22), u64::from(n));
    (0..150).fold(talk, |talk, key| {
        let key = noise(key + u64::from(n), 36);
        talk.pause(150).client(key.clone()).server(key)
    })
}
