//! MSN direct connections (MSNC/TCPv1): chunks between two users, without a switchboard.
//!
//! Each unit is a little-endian length and that many bytes. The dialler begins with `foo` and a NUL; then
//! both sides send a nonce, in version 1 inside a chunk header, in version 2 alone. Clients pick any port,
//! 443 included.

use super::chunk::{Assembler, Content, FILE_DATA, HEADER, Header, OBJECT_DATA};
use super::notes::Notes;
use super::slp::{self, Request};
use super::transfer::{Sessions, picture};
use super::{P2P, claim, more};
use crate::classify::exploit::exploit;
use crate::classify::{Claim, Detector, Dissector, Events, Probe, ProbeInput, Start};
use crate::model::{Confidence, Direction, Event, Evidence, Transport, feature};

/// First unit of the dialler.
const HELLO: &[u8] = b"\x04\x00\x00\x00foo\x00";

/// Beginning of a version 1 nonce: length 48, then session 0, any message id, no offset, size or total, and
/// the flag 0x100. 32 of the 36 bytes are fixed, so it stands alone.
const NONCE_LENGTH: &[u8] = &[0x30, 0, 0, 0];
const NONCE_FLAG: u32 = 0x100;

/// The longest unit believed. Clients send some 1400 bytes.
const MAX_UNIT: usize = 64 * 1024;

/// The longest unit waited for when a connection is joined in the middle.
const MAX_JOINED: usize = 2 * 1024;

/// How much of a unit is kept.
const KEEP: usize = 4 * 1024;

/// Recognises direct connections.
pub(super) struct Direct;

impl Detector for Direct {
    fn name(&self) -> &'static str {
        "msn-p2p"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn probe(&self, input: &ProbeInput<'_>) -> Probe {
        let bytes = input.bytes;
        let undecided = || {
            if input.ended {
                Probe::No
            } else {
                more(bytes.len())
            }
        };
        if input.start == Start::Later {
            return Probe::No;
        }
        if bytes.starts_with(HELLO) {
            return Probe::Likely(claim(
                P2P,
                Some(true),
                "msn-p2p-hello",
                "first unit of a direct connection",
            ));
        }
        if HELLO.starts_with(bytes) {
            return undecided();
        }
        let head = bytes.get(..4).unwrap_or(bytes);
        if NONCE_LENGTH.starts_with(head) {
            if let Some(header) = bytes.get(4..).and_then(Header::parse) {
                if is_nonce(&header) {
                    return Probe::Likely(claim(
                        P2P,
                        None,
                        "msn-p2p-nonce",
                        "nonce of a direct connection",
                    ));
                }
            } else if bytes.len() < 4 + HEADER && nonce_so_far(bytes) {
                return undecided();
            }
        }
        // A listener's version 2 nonce is 16 random bytes: nothing without the answer that announced them.
        if input.expected == Some(P2P.app_proto) && [0x10, 0, 0, 0].starts_with(head) {
            return if bytes.len() < 20 {
                undecided()
            } else {
                Probe::Likely(claim(
                    P2P,
                    None,
                    "msn-p2p-nonce",
                    "nonce of an announced direct connection",
                ))
            };
        }
        if input.start == Start::Joined {
            joined(bytes).unwrap_or_else(undecided)
        } else {
            Probe::No
        }
    }

    fn dissector(&self, _: &Claim) -> Box<dyn Dissector> {
        Box::new(Connection::default())
    }
}

fn is_nonce(header: &Header) -> bool {
    header.session == 0
        && header.offset == 0
        && header.total == 0
        && header.size == 0
        && header.flags == NONCE_FLAG
}

/// Whether a shorter input can still become a nonce: all fields but the message id (bytes 8 to 11) are fixed.
fn nonce_so_far(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .enumerate()
        .take(36)
        .all(|(at, byte)| match at {
            0 => *byte == 0x30,
            8..12 => true,
            33 => *byte == 1,
            // The mark of Windows Live Messenger.
            35 => *byte <= 1,
            _ => *byte == 0,
        })
}

/// A connection joined in the middle: a session request in a unit, or two units that continue each other.
/// `None` while undecided.
fn joined(bytes: &[u8]) -> Option<Probe> {
    let head = bytes.first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*head)).unwrap_or(usize::MAX);
    if !(HEADER + 1..=MAX_JOINED).contains(&length) {
        return Some(Probe::No);
    }
    let unit = bytes.get(4..).unwrap_or_default();
    if unit.len() < HEADER {
        return None;
    }
    let Some(first) = sane(unit, length) else {
        return Some(Probe::No);
    };
    let found = |detail| Some(Probe::Likely(claim(P2P, None, "msn-p2p-chunks", detail)));
    if first.session == 0 {
        let text = unit.get(HEADER..).unwrap_or_default();
        return match text.get(..16) {
            Some(text) if slp::is_start(text) => found("session request"),
            None if text.len() < length - HEADER => None,
            _ => Some(Probe::No),
        };
    }
    let next = unit.get(length..)?;
    let next_length =
        usize::try_from(u32::from_le_bytes(*next.first_chunk::<4>()?)).unwrap_or(usize::MAX);
    let next = next.get(4..4 + HEADER)?;
    let continues = sane(next, next_length).is_some_and(|second| {
        (second.session, second.id, second.total) == (first.session, first.id, first.total)
            && second.offset == first.offset.saturating_add(u64::from(first.size))
    });
    if continues {
        found("two chunks of one transfer")
    } else {
        Some(Probe::No)
    }
}

/// A chunk with data, that fills its unit.
fn sane(unit: &[u8], length: usize) -> Option<Header> {
    let header = Header::parse(unit)?;
    let fits =
        usize::try_from(header.size).is_ok_and(|size| size.checked_add(HEADER) == Some(length));
    let known = matches!(header.flags, FILE_DATA | OBJECT_DATA) && header.session != 0
        || header.flags == 0 && header.session == 0;
    (fits && known && header.size > 0).then_some(header)
}

/// Reads units of one direction.
#[derive(Default)]
struct Units {
    /// The length so far, then the unit's length.
    head: Vec<u8>,
    unit: Vec<u8>,
    left: Option<usize>,
    /// Bytes of the unit were lost: it is passed over.
    holed: bool,
    /// Lost its place.
    lost: bool,
}

impl Units {
    /// Takes bytes until a unit is complete; gives back its length and the bytes left over.
    fn take<'a>(&mut self, mut bytes: &'a [u8]) -> Option<(usize, &'a [u8])> {
        while !self.lost {
            let Some(left) = self.left else {
                let (now, later) = bytes.split_at((4 - self.head.len().min(4)).min(bytes.len()));
                self.head.extend_from_slice(now);
                let length = usize::try_from(u32::from_le_bytes(*self.head.first_chunk::<4>()?))
                    .unwrap_or(usize::MAX);
                self.lost = length > MAX_UNIT;
                self.unit.clear();
                self.left = Some(length);
                bytes = later;
                continue;
            };
            let (now, later) = bytes.split_at(left.min(bytes.len()));
            let room = KEEP.saturating_sub(self.unit.len());
            self.unit.extend_from_slice(now.get(..room).unwrap_or(now));
            self.left = Some(left - now.len());
            if left > now.len() {
                return None;
            }
            let length = self
                .head
                .first_chunk::<4>()
                .map_or(0, |head| u32::from_le_bytes(*head) as usize);
            self.left = None;
            self.head.clear();
            if std::mem::take(&mut self.holed) {
                self.unit.clear();
            }
            return Some((length, later));
        }
        None
    }
}

/// Follows a direct connection.
#[derive(Default)]
struct Connection {
    units: [Units; 2],
    requests: [Assembler; 2],
    sessions: Sessions,
    /// Units with structure seen so far.
    seen: u8,
    /// The direction of the dialler.
    client: Option<Direction>,
    notes: Notes,
}

impl Connection {
    fn unit(&mut self, direction: Direction, unit: &[u8], length: usize, out: &mut Events) {
        self.notes.feature(feature::DIRECT_CONNECTION, out);
        if unit == b"foo\0" {
            self.client = Some(direction);
            out.push(Event::ClientIs(direction));
            return self.count(out);
        }
        let header = Header::parse(unit);
        let nonce =
            length == 16 || length == HEADER && header.is_some_and(|header| is_nonce(&header));
        if nonce {
            let shown = unit.get(unit.len().saturating_sub(16)..);
            if let Some(token) = shown.and_then(slp::token) {
                out.push(Event::Shows(token));
            }
        }
        if nonce || sane(unit, length).is_some() {
            self.count(out);
        }
        let from_client = direction == self.client.unwrap_or(Direction::ToServer);
        let Some(assembler) = self.requests.get_mut(direction.index()) else {
            return;
        };
        match assembler.direct(unit, length) {
            Content::Request(text) => {
                let Some(request) = Request::parse(text) else {
                    return;
                };
                let (own, other) = if from_client {
                    ("From", "To")
                } else {
                    ("To", "From")
                };
                if let Some(name) = request.party(own) {
                    self.notes.account(name, out);
                }
                if let Some(name) = request.party(other) {
                    self.notes.peer(name, out);
                }
                request.tell(from_client, &mut self.sessions, &mut self.notes, out);
            }
            Content::Object(data) => {
                self.notes.feature(feature::IMAGES, out);
                picture(data.bytes, out);
            }
            Content::File(data) => self.sessions.file_data(&data, from_client, out),
            Content::Malformed(what) => exploit(what, out),
            Content::Nothing => {}
        }
    }

    fn count(&mut self, out: &mut Events) {
        self.seen = self.seen.saturating_add(1);
        if self.seen == 2 {
            let evidence = Evidence::payload("msn-p2p-units", "two units of a direct connection");
            out.identified(P2P, Confidence::Confirmed, evidence);
        }
    }
}

impl Dissector for Connection {
    fn feed(&mut self, direction: Direction, mut bytes: &[u8], out: &mut Events) {
        while let Some((length, rest)) = self
            .units
            .get_mut(direction.index())
            .and_then(|units| units.take(bytes))
        {
            let unit = self
                .units
                .get_mut(direction.index())
                .map(|units| std::mem::take(&mut units.unit))
                .unwrap_or_default();
            self.unit(direction, &unit, length, out);
            bytes = rest;
        }
    }

    fn gap(&mut self, direction: Direction, missing: u64, _: &mut Events) {
        let Some(units) = self.units.get_mut(direction.index()) else {
            return;
        };
        let left = usize::try_from(missing)
            .ok()
            .and_then(|missing| units.left?.checked_sub(missing));
        match left {
            Some(0) => {
                units.left = None;
                units.head.clear();
            }
            Some(left) => {
                units.left = Some(left);
                units.holed = true;
            }
            None => units.lost = true,
        }
    }

    fn is_done(&self) -> bool {
        self.units.iter().all(|units| units.lost)
    }

    fn memory(&self) -> usize {
        let units = |units: &Units| units.head.capacity() + units.unit.capacity();
        let units: usize = self.units.iter().map(units).sum();
        let requests: usize = self.requests.iter().map(Assembler::memory).sum();
        size_of_val(self) + units + requests + self.sessions.memory()
    }
}
