//! Plays conversations many times over, each time between other hosts, into one capture.

use crate::scenario::talk::{Scenario, Talk, Transport};
use crate::scenario::{self, wire};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Scenarios that one machine plays against servers: they can be played by many machines at once. In those between
/// two machines the messages name addresses.
const MESSENGERS: [&str; 12] = [
    "aim-signon-message",
    "aim-xor-signon",
    "aim-port-443",
    "aim-toc",
    "icq-signon-message",
    "icq-udp",
    "msn-signon-chat",
    "msn-md5",
    "msn-http-gateway",
    "yahoo-signon-message",
    "yahoo-v9-signon",
    "yahoo-v16-signon",
];

/// Numbers that look random and are the same every time (xorshift64*).
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }
}

/// A messenger's flow: transport, client, server, service.
type Named = (Transport, SocketAddr, SocketAddr, &'static str);

/// A conversation as frames of Ethernet and IPv4.
#[derive(Clone)]
pub struct Script(Rc<Lines>);

struct Lines {
    /// In order of time.
    frames: Vec<wire::Seen>,
    /// The machine that is another one each time.
    client: Ipv4Addr,
    flows: u64,
    named: Vec<Named>,
}

impl Script {
    /// Talks of one client, which is the only one with such an address.
    pub fn new(talks: &[Talk]) -> Self {
        let start = talks.iter().map(|talk| talk.start_ms).min().unwrap_or(0) * 1000;
        let mut frames: Vec<_> = talks
            .iter()
            .enumerate()
            .flat_map(|(number, talk)| wire::frames(talk, number))
            .collect();
        frames.sort_by_key(|seen| seen.micros);
        for seen in &mut frames {
            seen.micros -= start;
        }
        let SocketAddr::V4(client) = talks[0].client else {
            panic!("a conversation over IPv4");
        };
        assert!(talks.iter().all(|talk| talk.client.ip() == *client.ip()));
        let named = talks.iter().filter_map(|talk| {
            let truth = talk.truth.as_ref()?;
            Some((talk.transport, talk.client, talk.server, truth.service))
        });
        Self(Rc::new(Lines {
            frames,
            client: *client.ip(),
            flows: talks.len() as u64,
            named: named.collect(),
        }))
    }

    /// What messengers say: of each scenario, what each machine does.
    pub fn messengers() -> Vec<Self> {
        let wanted = |scenario: &Scenario| MESSENGERS.contains(&scenario.name);
        let mut by_machine = BTreeMap::new();
        for scenario in scenario::all().into_iter().filter(wanted) {
            for talk in scenario.talks {
                let machine = (scenario.name, talk.client.ip());
                by_machine
                    .entry(machine)
                    .or_insert_with(Vec::new)
                    .push(talk);
            }
        }
        let talks = by_machine.into_values();
        talks
            .map(|talks| Self::new(&talks))
            .filter(|script| script.named() > 0)
            .collect()
    }

    pub fn packets(&self) -> u64 {
        self.0.frames.len() as u64
    }

    pub fn flows(&self) -> u64 {
        self.0.flows
    }

    /// How many of the flows are messengers'.
    pub fn named(&self) -> u64 {
        self.0.named.len() as u64
    }
}

/// A script while it is played.
struct Player {
    script: Script,
    /// Next frame.
    at: usize,
    start: u64,
    client: Ipv4Addr,
}

impl Player {
    fn micros(&self) -> Option<u64> {
        let seen = self.script.0.frames.get(self.at)?;
        Some(self.start + seen.micros)
    }
}

/// Everybody who plays, and the capture.
pub struct Stage {
    out: BufWriter<File>,
    truth: BufWriter<File>,
    truth_path: PathBuf,
    players: Vec<Player>,
    /// Who is next.
    turns: BinaryHeap<Reverse<(u64, usize)>>,
    packets: u64,
    bytes: u64,
    flows: u64,
    named: u64,
}

impl Stage {
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
        out.write_all(&wire::header())?;
        let mut truth_path = path.as_os_str().to_owned();
        truth_path.push(".tsv");
        let truth_path = PathBuf::from(truth_path);
        let mut truth = BufWriter::new(File::create(&truth_path)?);
        writeln!(
            truth,
            "proto\tclient_ip\tclient_port\tserver_ip\tserver_port\tservice"
        )?;
        Ok(Self {
            out,
            truth,
            truth_path,
            players: Vec::new(),
            turns: BinaryHeap::new(),
            packets: 0,
            bytes: 0,
            flows: 0,
            named: 0,
        })
    }

    /// Somebody new plays the script from that time on.
    pub fn enter(&mut self, script: &Script, start: u64) {
        // 10.128.0.0/9 belongs to them, one address each.
        let number = self.players.len() as u32;
        let player = Player {
            script: script.clone(),
            at: 0,
            start,
            client: Ipv4Addr::from(0x0a80_0001 + number),
        };
        self.flows += script.flows();
        self.turns
            .extend(player.micros().map(|at| Reverse((at, number as usize))));
        self.players.push(player);
    }

    /// Plays everything that comes before that time.
    pub fn play_until(&mut self, micros: u64) -> io::Result<()> {
        while let Some(Reverse((at, number))) = self.turns.peek().copied() {
            if at >= micros {
                break;
            }
            self.turns.pop();
            let player = &mut self.players[number];
            let script = player.script.clone();
            let mut frame = script.0.frames[player.at].frame.clone();
            move_client(&mut frame, script.0.client, player.client);
            player.at += 1;
            self.turns
                .extend(player.micros().map(|at| Reverse((at, number))));
            self.write(at, &frame)?;
        }
        Ok(())
    }

    pub fn write(&mut self, micros: u64, frame: &[u8]) -> io::Result<()> {
        self.packets += 1;
        self.bytes += frame.len() as u64;
        self.out.write_all(&wire::record(micros, frame))?;
        self.out.write_all(frame)
    }

    /// Writes the truth; says what there is.
    pub fn finish(mut self) -> io::Result<String> {
        for player in &self.players {
            for (transport, client, server, service) in &player.script.0.named {
                let proto = if *transport == Transport::Tcp {
                    "TCP"
                } else {
                    "UDP"
                };
                writeln!(
                    self.truth,
                    "{proto}\t{}\t{}\t{}\t{}\t{service}",
                    player.client,
                    client.port(),
                    server.ip(),
                    server.port(),
                )?;
                self.named += 1;
            }
        }
        self.truth.flush()?;
        self.out.flush()?;
        Ok(format!(
            "{} packets of {} bytes on average, {} messenger flows (in {}) among {} that are played",
            self.packets,
            self.bytes / self.packets.max(1),
            self.named,
            self.truth_path.display(),
            self.flows,
        ))
    }
}

/// Where the headers of a frame begin, or have their checksum.
const IP: usize = 14;
const IP_SUM: usize = IP + 10;
const TRANSPORT: usize = IP + 20;

/// Gives the client another address; checksums stay right.
fn move_client(frame: &mut [u8], from: Ipv4Addr, to: Ipv4Addr) {
    let sum = match frame[IP + 9] {
        6 => TRANSPORT + 16,
        _ => TRANSPORT + 6,
    };
    for at in [IP + 12, IP + 16] {
        if frame[at..at + 4] == from.octets() {
            let [a, b, c, d] = to.octets();
            for (at, new) in [(at, [a, b]), (at + 2, [c, d])] {
                let old = [frame[at], frame[at + 1]];
                frame[at..at + 2].copy_from_slice(&new);
                adjust(frame, IP_SUM, old, new);
                adjust(frame, sum, old, new);
            }
        }
    }
}

/// Changes a checksum as if a word below it had changed (RFC 1624).
fn adjust(frame: &mut [u8], at: usize, old: [u8; 2], new: [u8; 2]) {
    let sum = u16::from_be_bytes([frame[at], frame[at + 1]]);
    let words = [!sum, !u16::from_be_bytes(old), u16::from_be_bytes(new)];
    let mut total: u32 = words.into_iter().map(u32::from).sum();
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    let sum = !(total as u16);
    frame[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}
