//! ICQ's direct connections between peers (TCP), versions 2 to 8.
//!
//! Frames are a 16-bit little-endian length and that many bytes. Each side sends one that introduces itself
//! (0xFF) and acknowledges the other's (`01 00 00 00`).

use super::datagram::Reader;
use super::peer::{self, Files};
use super::session::reaches;
use crate::classify::{Claim, Detector, Dissector, Events, Probe, ProbeInput, Start};
use crate::model::{
    Confidence, Direction, Event, Evidence, Format, Service, Transport, feature, risk,
};
use std::net::Ipv4Addr;

/// The longest introduction, its length field included.
const LONGEST: usize = 50;
/// An acknowledgement, behind its length.
const ACK: [u8; 4] = [1, 0, 0, 0];

/// ICQ between two peers.
#[derive(Debug)]
pub struct IcqDirect;

fn format() -> Format {
    Format::messenger(Service::ICQ, "icq-direct", "peer")
}

/// How a peer introduces itself.
#[derive(Debug, PartialEq, Eq)]
struct Introduction {
    version: u16,
    own: u32,
    peer: Option<u32>,
    addresses: [Ipv4Addr; 2],
    /// From version 6 on: what the server had told the one who connects.
    cookie: Option<u32>,
}

/// The frame's whole length, by its version; a version's length is fixed.
fn length_of(version: u16) -> Option<usize> {
    match version {
        2..=5 => Some(28),
        6 => Some(46),
        7 | 8 => Some(50),
        _ => None,
    }
}

/// Reads one of `length` bytes; the last twelve of the longer ones say nothing that is told.
fn introduction(frame: &[u8], length: usize) -> Option<Introduction> {
    let mut reader = Reader(frame);
    (reader.byte()? == 0xFF).then_some(())?;
    let version = reader.short()?;
    (length_of(version) == Some(length + 2)).then_some(())?;
    let peer = if version >= 6 {
        // What follows, counted again: 0x27 or 0x2B; then the peer's UIN, which is 0 when not known.
        (usize::from(reader.short()?) == length - 5).then_some(())?;
        let peer = reader
            .long()
            .filter(|uin| *uin == 0 || super::datagram::is_uin(*uin))?;
        (reader.short()? == 0).then_some(())?;
        Some(peer).filter(|uin| *uin != 0)
    } else {
        (reader.short()? == 0).then_some(())?;
        None
    };
    reader.long().filter(|port| *port <= 0xFFFF)?;
    let own = reader
        .long()
        .filter(|uin| (10_000..0x8000_0000).contains(uin))?;
    let addresses = [reader.address()?, reader.address()?];
    // How the peer can be reached: 1 denied, 2 through a proxy, 4 directly, 6 not directly.
    reader.byte().filter(|mode| matches!(mode, 0..=2 | 4 | 6))?;
    reader.long().filter(|port| *port <= 0xFFFF)?;
    let cookie = if version >= 6 { reader.long() } else { None };
    addresses
        .iter()
        .all(|address| address.is_unspecified() || reaches(*address) || address.is_loopback())
        .then_some(())?;
    Some(Introduction {
        version,
        own,
        peer,
        addresses,
        cookie,
    })
}

impl Detector for IcqDirect {
    fn name(&self) -> &'static str {
        "icq-direct"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn probe(&self, input: &ProbeInput<'_>) -> Probe {
        let bytes = input.bytes;
        if input.start == Start::Later {
            return Probe::No;
        }
        let early = match bytes {
            [] | [0x1A | 0x2C | 0x30] | [0x1A | 0x2C | 0x30, 0] | [0x1A | 0x2C | 0x30, 0, 0xFF] => {
                Some(LONGEST)
            }
            [0x1A, 0, 0xFF, 2..=5, ..] => Some(28),
            [0x2C, 0, 0xFF, 6, ..] => Some(46),
            [0x30, 0, 0xFF, 7 | 8, ..] => Some(50),
            _ => None,
        };
        let Some(total) = early else { return Probe::No };
        if bytes.len() < total && !input.ended {
            // The length is that of the shortest until the version is known.
            let total = if bytes.len() < 4 { 28 } else { total };
            return Probe::NeedMore { from: 0, total };
        }
        let found = Reader(bytes)
            .short()
            .zip(bytes.get(2..))
            .and_then(|(length, frame)| introduction(frame, length.into()));
        let Some(found) = found else {
            return Probe::No;
        };
        // One frame, however long, is one unit; the acknowledgement makes the proof.
        Probe::Likely(Claim {
            format: format(),
            offset: 0,
            sender_is_client: None,
            evidence: Evidence::payload(
                "icq-direct-init",
                format!("introduction of version {}", found.version),
            ),
        })
    }

    fn dissector(&self, _claim: &Claim) -> Box<dyn Dissector> {
        Box::new(DirectDissector::default())
    }
}

/// As much of a frame is looked at: a message's head and the name of a file behind its text.
const HOLD: usize = 4096;

/// One direction.
#[derive(Default)]
struct Side {
    /// A frame's beginning, its length included.
    held: Vec<u8>,
    /// Bytes of the frame that are not looked at.
    skip: usize,
    /// They are a file's.
    data: bool,
    /// Who speaks, and in which version; not known before the introduction.
    own: Option<(u16, u32)>,
    done: bool,
}

/// Both sides of a direct connection.
#[derive(Default)]
struct DirectDissector {
    sides: [Side; 2],
    /// Who dialled.
    client: Option<Direction>,
    handshake: Handshake,
    files: Option<Files>,
}

/// How far the handshake got.
#[derive(Default)]
struct Handshake {
    introduced: u8,
    acknowledged: bool,
    confirmed: bool,
}

impl Handshake {
    fn confirm(&mut self, out: &mut Events) {
        if !self.confirmed && (self.introduced == 2 || (self.introduced == 1 && self.acknowledged))
        {
            self.confirmed = true;
            let evidence = Evidence::payload("icq-direct-handshake", "introduction and its answer");
            out.identified(format(), Confidence::Confirmed, evidence);
        }
    }
}

impl DirectDissector {
    /// The version that both speak.
    fn version(&self) -> Option<u16> {
        let known = self.sides.iter().filter_map(|side| side.own);
        known.map(|(version, _)| version).min()
    }

    /// A frame of `length` bytes, without those two, as far as it is looked at; `false` if this is no direct connection.
    fn frame(
        &mut self,
        direction: Direction,
        frame: &[u8],
        length: usize,
        out: &mut Events,
    ) -> bool {
        let version = self.version();
        // Who dials introduces itself first; the other acknowledges that before it does.
        if self.client.is_none() {
            let client = if frame == ACK {
                direction.reverse()
            } else {
                direction
            };
            self.client = Some(client);
            out.push(Event::ClientIs(client));
        }
        let towards = self.towards(direction);
        let Some(side) = self.sides.get_mut(direction.index()) else {
            return false;
        };
        if frame == ACK {
            self.handshake.acknowledged = true;
        } else if let Some(files) = &mut self.files {
            files.frame(towards, frame, out);
        } else if let Some((own, uin)) = side.own {
            let version = version.unwrap_or(own);
            if !peer::message(version, uin, towards, (frame, length), out) {
                self.files = Files::start(towards, frame);
            }
        } else if let Some(found) = introduction(frame, length) {
            side.own = Some((found.version, found.own));
            self.handshake.introduced += 1;
            tell(towards, &found, out);
        } else {
            return false;
        }
        self.handshake.confirm(out);
        true
    }

    /// Which way these bytes go between who dialled and who was.
    fn towards(&self, direction: Direction) -> Direction {
        if self.client == Some(direction) {
            Direction::ToServer
        } else {
            Direction::ToClient
        }
    }

    fn close(&mut self, direction: Direction) {
        let towards = self.towards(direction);
        if let Some(side) = self.sides.get_mut(direction.index()) {
            side.done = true;
            side.held = Vec::new();
        }
        if let Some(files) = &mut self.files {
            files.gap(towards);
        }
    }
}

impl Dissector for DirectDissector {
    fn feed(&mut self, direction: Direction, bytes: &[u8], out: &mut Events) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let towards = self.towards(direction);
            let Some(side) = self.sides.get_mut(direction.index()) else {
                return;
            };
            if side.done {
                return;
            }
            if side.skip > 0 {
                let (now, later) = rest.split_at(side.skip.min(rest.len()));
                rest = later;
                side.skip -= now.len();
                if let Some(files) = self.files.as_mut().filter(|_| side.data) {
                    files.data(now, out);
                }
                continue;
            }
            if side.held.is_empty() {
                out.at((bytes.len() - rest.len()).cast_signed());
            }
            // The length, the first byte of what it counts, then as much as is looked at.
            let length = Reader(&side.held).short().map(usize::from);
            let wanted = match (length, side.held.len()) {
                (None, _) => 2,
                (Some(length), 2) => 2 + length.min(1),
                (Some(length), _) => (2 + length).min(HOLD),
            };
            let missing = wanted.saturating_sub(side.held.len());
            let (now, later) = rest.split_at(missing.min(rest.len()));
            rest = later;
            side.held.extend_from_slice(now);
            let Some(length) = Reader(&side.held).short().map(usize::from) else {
                continue;
            };
            if let (Some(files), [_, _, kind]) = (&self.files, side.held.as_slice())
                && files.is_data(towards, *kind)
            {
                (side.skip, side.data) = (length - 1, true);
                side.held.clear();
            } else if side.held.len() >= (2 + length).min(HOLD) {
                (side.skip, side.data) = (2 + length - side.held.len(), false);
                let held = std::mem::take(&mut side.held);
                let frame = held.get(2..).unwrap_or_default();
                if !self.frame(direction, frame, length, out) {
                    self.close(direction);
                }
            }
        }
    }

    fn gap(&mut self, direction: Direction, _missing: u64, _out: &mut Events) {
        self.close(direction);
    }

    fn is_done(&self) -> bool {
        self.sides.iter().all(|side| side.done)
    }

    fn memory(&self) -> usize {
        size_of_val(self)
            + self
                .sides
                .iter()
                .map(|side| side.held.capacity())
                .sum::<usize>()
    }
}

fn tell(direction: Direction, found: &Introduction, out: &mut Events) {
    let (own, peer) = (found.own.to_string(), found.peer.map(|uin| uin.to_string()));
    let (account, other) = match direction {
        Direction::ToServer => (Some(own), peer),
        Direction::ToClient => (peer, Some(own)),
    };
    if let Some(name) = account {
        out.push(Event::Account(name));
    }
    if let Some(name) = other {
        out.push(Event::Peer(name));
    }
    out.push(Event::Feature(feature::DIRECT_CONNECTION));
    for address in found.addresses.iter().filter(|address| reaches(**address)) {
        out.push(Event::Exposed(risk::ADDRESS_REVEALED, address.to_string()));
    }
    if let Some(token) = found.cookie.and_then(super::direct_token) {
        out.push(Event::Shows(token));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::classify::icq::testing::hex;

    // UIN 1000001 calls UIN 654321. Made from the sources, not captured.
    const V8: &str = "3000ff08002b00f1fb0900000034120000 41420f00 c0a80105c0a801050434120000efbeadde500000000300000000000000";
    const V6: &str = "2c00ff06002700f1fb0900000034120000 41420f00 c0a80105c0a801050434120000efbeadde5000000003000000";
    const V5: &str = "1a00ff 05000000 00000000 41420f00 c0a80105 c0a80105 04 34120000";
    const V8_BACK: &str = "3000ff08002b00 41420f00 0000 35120000 f1fb0900 c0a80106 c0a80106 04 35120000 efbeadde 50000000 03000000 00000000";

    fn ack() -> Vec<u8> {
        hex("040001000000")
    }

    fn ask(bytes: &[u8], start: Start) -> Probe {
        for length in 0..=bytes.len() {
            let probe = IcqDirect.probe(&ProbeInput {
                direction: Direction::ToServer,
                bytes: &bytes[..length],
                start,
                wire_len: length,
                ended: false,
                server_port: 40_000,
                expected: None,
                signatures: None,
            });
            match probe {
                Probe::NeedMore { total, .. } => assert!(total > length),
                decided => return decided,
            }
        }
        Probe::NeedMore {
            from: 0,
            total: bytes.len() + 1,
        }
    }

    fn run(turns: &[(Direction, Vec<u8>)]) -> Vec<Event> {
        let cut = |step: usize| {
            let mut dissector = DirectDissector::default();
            let mut out = Events::default();
            for (direction, bytes) in turns {
                bytes
                    .chunks(step)
                    .for_each(|piece| dissector.feed(*direction, piece, &mut out));
            }
            crate::classify::testing::facts(out.drain())
        };
        let whole = cut(usize::MAX);
        for step in [1, 3] {
            assert_eq!(cut(step), whole);
        }
        whole
    }

    fn confirmed(told: &[Event]) -> bool {
        told.iter()
            .any(|event| matches!(event, Event::Identified { .. }))
    }

    #[test]
    fn introductions_of_all_versions_are_likely() {
        for text in [V8, V6, V5] {
            let bytes = hex(text);
            assert!(
                matches!(ask(&bytes, Start::Beginning), Probe::Likely(_)),
                "{text}"
            );
            // What follows changes nothing.
            let more = [bytes, vec![4, 0, 1, 0, 0, 0]].concat();
            assert!(matches!(ask(&more, Start::Joined), Probe::Likely(_)));
            assert_eq!(ask(&more, Start::Later), Probe::No);
        }
    }

    #[test]
    fn the_answer_is_the_proof() {
        let (up, down) = (Direction::ToServer, Direction::ToClient);
        assert!(!confirmed(&run(&[(up, hex(V8))])));
        assert!(confirmed(&run(&[(up, hex(V5)), (down, ack())])));
        let told = run(&[
            (up, hex(V8)),
            (down, [&ack()[..], &hex(V8_BACK)].concat()),
            (up, ack()),
        ]);
        assert!(confirmed(&told));
        for event in [
            Event::Account("1000001".into()),
            Event::Peer("654321".into()),
            Event::Risk(risk::ADDRESS_REVEALED),
            Event::Feature(feature::DIRECT_CONNECTION),
        ] {
            assert!(told.contains(&event), "{event:?}");
        }
        assert!(!told.contains(&Event::Account("654321".into())));
        // Something else is no answer.
        assert!(!confirmed(&run(&[
            (up, hex(V8)),
            (down, b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())
        ])));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_survived(tail: Vec<u8>, at in 0_usize..50, value: u8) {
            let mut bytes = hex(V8);
            bytes[at] = value;
            bytes.extend(tail);
            let told = run(&[(Direction::ToServer, bytes), (Direction::ToServer, vec![0; 200])]);
            proptest::prop_assert!(told.len() < 20);
        }
    }

    #[test]
    fn anything_less_is_nothing() {
        for (at, value) in [
            (0, 0x31),
            (2, 0xFE),
            (3, 9),
            (5, 0x2C),
            (11, 1),
            (15, 1),
            (20, 0x80),
            (29, 9),
        ] {
            let mut bytes = hex(V8);
            bytes[at] = value;
            assert_eq!(ask(&bytes, Start::Beginning), Probe::No, "byte {at}");
        }
        for bytes in [
            &b"\x1a\0\xff\x05rest of something that is long enough"[..],
            b"GET / HTTP/1.1\r\n",
            &[0x30; 60],
        ] {
            assert_eq!(ask(bytes, Start::Beginning), Probe::No);
        }
    }
}
