//! OFT2 and OFT3: a file goes from one user to the other, over a connection of their own.
//!
//! A header from the sender, the same back with another type, then as many bytes as the header said, then a
//! header back that the file is complete. Whoever listens speaks first.

use super::bytes::Bytes;
use super::flap::{Start as Found, prefix};
use super::hunt::hunt;
use super::rendezvous;
use super::tell::{Teller, Told};
use crate::classify::file::{File, Passing};
use crate::classify::{Claim, Detector, Dissector, Events, Probe, ProbeInput, Start};
use crate::model::{
    Activity, Direction, Evidence, Format, Service, Transport, feature, risk, what,
};

/// The fixed part, behind which the file's name stands.
const SHORTEST: usize = 192;
/// Longer names have not been met.
const LONGEST: usize = 0x800;
/// Magic, length, type, cookie, encryption and compression.
const FIXED: usize = 20;

/// Header types that the two sides act on.
mod kind {
    pub const PROMPT: u16 = 0x0101;
    pub const RESUME_ACCEPT: u16 = 0x0106;
    pub const ACK: u16 = 0x0202;
    pub const DONE: u16 = 0x0204;
    pub const RESUME_ACK: u16 = 0x0207;
    /// The rest: a wish to resume, and the dialogue of shared folders.
    pub const RESUME: u16 = 0x0205;
    pub const SHARING: [u16; 6] = [0x1108, 0x1209, 0x120A, 0x120B, 0x120C, 0x120E];
}

/// A header's facts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Header {
    len: usize,
    kind: u16,
    /// Length of the file.
    size: u32,
    /// How much of it was there before.
    received: u32,
    /// Of the offer; zeros in the first header.
    cookie: [u8; 8],
    /// Files of this connection.
    files: u16,
    file: File,
}

impl Header {
    /// Reads a whole header.
    fn read(bytes: &[u8]) -> Found<Self> {
        let magic = [&b"OFT2"[..], b"OFT3"].map(|magic| prefix(bytes, magic));
        if !magic.contains(&Found::Yes(())) {
            let possible = magic.iter().any(|found| *found != Found::No);
            return if possible {
                Found::Short(SHORTEST)
            } else {
                Found::No
            };
        }
        Self::fields(bytes).unwrap_or(Found::Short(SHORTEST))
    }

    /// `None` when the bytes end before something is wrong.
    fn fields(bytes: &[u8]) -> Option<Found<Self>> {
        let mut cursor = Bytes::new(bytes);
        cursor.take(4)?;
        let len = usize::from(cursor.be16()?);
        if !(SHORTEST..=LONGEST).contains(&len) {
            return Some(Found::No);
        }
        let kind = cursor.be16()?;
        let known = [
            kind::PROMPT,
            kind::RESUME_ACCEPT,
            kind::ACK,
            kind::DONE,
            kind::RESUME,
            kind::RESUME_ACK,
        ];
        if !known.contains(&kind) && !kind::SHARING.contains(&kind) {
            return Some(Found::No);
        }
        // Cookie, then encryption and compression, which nobody implemented.
        let cookie = cursor.take(8)?.try_into().ok()?;
        if cursor.be32()? != 0 {
            return Some(Found::No);
        }
        // Files, files left, parts, parts left, total size.
        let files = cursor.be16()?;
        cursor.take(10)?;
        let size = cursor.be32()?;
        // Times and checksums.
        cursor.take(24)?;
        let received = cursor.be32()?;
        cursor.take(4)?;
        // The program's words about itself, such as `Cool FileXfer`.
        let id = cursor.take(32)?;
        let text = id.split(|byte| *byte == 0).next().unwrap_or_default();
        if text.is_empty()
            || !text
                .iter()
                .all(|byte| byte.is_ascii_graphic() || *byte == b' ')
        {
            return Some(Found::No);
        }
        let Some(name) = bytes.get(SHORTEST..len) else {
            return Some(Found::Short(len));
        };
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        Some(Found::Yes(Self {
            len,
            kind,
            size,
            received,
            cookie,
            files,
            file: File::new(name, Some(u64::from(size))),
        }))
    }
}

/// Recognises file transfers.
#[derive(Debug)]
pub struct Oft;

impl Detector for Oft {
    fn name(&self) -> &'static str {
        "oft"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn probe(&self, input: &ProbeInput<'_>) -> Probe {
        let claim = |evidence, offset| Claim {
            format: Format::messenger(Service::OSCAR, "oft", "peer"),
            offset,
            sender_is_client: None,
            evidence,
        };
        // All that is fixed in a header stands in its first bytes.
        let begins = input.ended && input.start == Start::Beginning && input.bytes.len() >= FIXED;
        if begins && matches!(Header::read(input.bytes), Found::Short(_)) {
            let evidence = Evidence::payload("oft-header", "beginning of an OFT header");
            return Probe::Likely(claim(evidence, 0));
        }
        hunt(input, b'O', |bytes| match Header::read(bytes) {
            Found::Yes(header) => Found::Yes(Evidence::payload(
                "oft-header",
                format!("OFT header of type {:04x}", header.kind),
            )),
            Found::Short(need) => Found::Short(need),
            Found::No => Found::No,
        })
        .into_probe(claim)
    }

    fn dissector(&self, _claim: &Claim) -> Box<dyn Dissector> {
        Box::new(OftDissector::default())
    }
}

/// Follows a file transfer, without a look at the file.
#[derive(Debug, Default)]
pub struct OftDissector {
    sides: [Side; 2],
    told: Told,
}

#[derive(Debug, Default)]
struct Side {
    state: State,
    held: Vec<u8>,
    /// This side announced a file of that many bytes.
    file: Option<u64>,
    /// The other side asked for it.
    due: bool,
    /// What is sent, and its hash as far as it has come.
    passing: Option<(File, Passing)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// A header, or the file that was announced.
    #[default]
    Unit,
    /// In the file.
    File(u64),
    /// Anywhere.
    Lost,
}

impl Dissector for OftDissector {
    fn feed(&mut self, direction: Direction, bytes: &[u8], out: &mut Events) {
        let held = self
            .side(direction)
            .map(|side| std::mem::take(&mut side.held))
            .unwrap_or_default();
        if held.is_empty() {
            self.run(direction, bytes, out);
        } else {
            self.run(direction, &[&held, bytes].concat(), out);
        }
    }

    fn gap(&mut self, direction: Direction, missing: u64, _out: &mut Events) {
        let Some(side) = self.side(direction) else {
            return;
        };
        side.held.clear();
        side.begin_file();
        if let Some((_, passing)) = &mut side.passing {
            passing.skip(missing);
        }
        side.state = match side.state {
            State::File(left) if missing < left => State::File(left - missing),
            State::File(left) if missing == left => State::Unit,
            _ => State::Lost,
        };
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

impl Side {
    fn begin_file(&mut self) {
        if self.state == State::Unit
            && let Some(size) = self.file.take()
        {
            self.due = false;
            self.state = State::File(size);
        }
    }
}

impl OftDissector {
    fn side(&mut self, direction: Direction) -> Option<&mut Side> {
        self.sides.get_mut(direction.index())
    }

    fn run(&mut self, direction: Direction, mut bytes: &[u8], out: &mut Events) {
        while !bytes.is_empty() {
            let Some(side) = self.side(direction) else {
                return;
            };
            if side.due {
                side.begin_file();
            }
            match side.state {
                State::File(left) => {
                    let part = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    let left = left.saturating_sub(part as u64);
                    if let Some((_, passing)) = &mut side.passing {
                        passing.take(bytes.get(..part).unwrap_or_default());
                    }
                    side.state = if left == 0 {
                        State::Unit
                    } else {
                        State::File(left)
                    };
                    bytes = bytes.get(part..).unwrap_or_default();
                    if left == 0
                        && let Some((file, passing)) = side.passing.take()
                    {
                        let sha256 = passing.sha256();
                        let sent = File { sha256, ..file };
                        sent.between(what::FILE_SENT, direction == Direction::ToServer, None, out);
                    }
                }
                State::Unit => match Header::read(bytes) {
                    Found::Yes(header) => {
                        bytes = bytes.get(header.len..).unwrap_or_default();
                        self.header(direction, header, out);
                    }
                    Found::Short(_) => {
                        side.held = bytes.to_vec();
                        return;
                    }
                    Found::No if side.file.is_some() => side.begin_file(),
                    Found::No => side.state = State::Lost,
                },
                State::Lost => match next_header(bytes) {
                    Some(at) => {
                        side.state = State::Unit;
                        bytes = bytes.get(at..).unwrap_or_default();
                    }
                    None => return,
                },
            }
        }
    }

    fn header(&mut self, direction: Direction, header: Header, out: &mut Events) {
        let mut tell = Teller::new(&mut self.told, out);
        tell.feature(if kind::SHARING.contains(&header.kind) {
            feature::FILE_SHARE
        } else {
            feature::FILE_TRANSFER
        });
        if kind::SHARING.contains(&header.kind) {
            tell.risk(risk::FILE_SHARE);
            // Each unit of the dialogue about a shared folder: asking for a list of files, the list, asking for one.
            let by_client = direction == Direction::ToServer;
            tell.done(Activity::between_peers(what::QUERY, by_client).with("kind", "shared-files"));
        }
        tell.shows(rendezvous::token(&header.cookie));
        let [mine, other] = [direction, direction.reverse()];
        match header.kind {
            kind::PROMPT | kind::RESUME_ACCEPT => {
                if let Some(side) = self.side(mine) {
                    let size = u64::from(header.size.saturating_sub(header.received));
                    side.file = Some(size);
                    side.due = false;
                    let mut passing = Passing::new(size);
                    if header.received > 0 {
                        passing.skip(0);
                    }
                    let files = u64::from(header.files);
                    let file = File {
                        count: (files > 1).then_some(files),
                        ..header.file
                    };
                    let offered = file.clone();
                    side.passing = Some((file, passing));
                    let by_client = direction == Direction::ToServer;
                    offered.between(what::FILE_OFFER, by_client, None, out);
                }
            }
            kind::ACK | kind::RESUME_ACK => {
                if let Some(side) = self.side(other) {
                    side.due = side.file.is_some();
                }
            }
            kind::DONE => {
                if let Some(side) = self.side(other) {
                    side.file = None;
                    side.due = false;
                }
            }
            _ => {}
        }
    }
}

/// Where a header starts, or may start behind which more bytes are needed.
fn next_header(bytes: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'O', bytes)
        .find(|at| Header::read(bytes.get(*at..).unwrap_or_default()) != Found::No)
}
