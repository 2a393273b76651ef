//! ODC2: direct IM. Two users' clients exchange messages and images without a server.

use super::bytes::Bytes;
use super::flap::{Start as Found, prefix};
use super::hunt::hunt;
use super::names;
use super::rendezvous;
use super::tell::{Teller, Told};
use crate::classify::{Claim, Detector, Dissector, Events, Probe, ProbeInput, Start};
use crate::model::{
    Activity, Direction, Evidence, Format, Service, Transport, feature, risk, what,
};

/// Length of the header.
const HEADER: usize = 76;
/// Magic, length, type, subtype, zero.
const HEAD: [u8; 12] = *b"ODC2\x00\x4C\x00\x01\x00\x06\x00\x00";
/// In front of the images of a message.
const IMAGES: &[u8] = b"<BINARY>";

#[derive(Clone, Debug, PartialEq, Eq)]
struct Header {
    /// Bytes behind the header; none in a typing notice.
    payload: u32,
    /// Of the offer.
    cookie: [u8; 8],
    /// Who sends it.
    sender: String,
}

impl Header {
    fn read(bytes: &[u8]) -> Found<Self> {
        if prefix(bytes, &HEAD) == Found::No {
            return Found::No;
        }
        let mut cursor = Bytes::new(bytes);
        let cookie = cursor.take(12).and_then(|_| cursor.take(8));
        let payload = cursor.take(8).and_then(|_| cursor.be32());
        let name = cursor.take(12).and_then(|_| cursor.take(32));
        let (Some(payload), Some(name), Some(Ok(cookie))) =
            (payload, name, cookie.map(<[u8; 8]>::try_from))
        else {
            return Found::Short(HEADER);
        };
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        names::account(name).map_or(Found::No, |sender| {
            Found::Yes(Self {
                payload,
                cookie,
                sender,
            })
        })
    }
}

/// Recognises direct IM.
#[derive(Debug)]
pub struct Odc;

impl Detector for Odc {
    fn name(&self) -> &'static str {
        "odc"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn probe(&self, input: &ProbeInput<'_>) -> Probe {
        let claim = |what, offset| Claim {
            format: Format::messenger(Service::OSCAR, "odc", "peer"),
            offset,
            sender_is_client: None,
            evidence: Evidence::payload("odc-header", what),
        };
        if input.ended
            && input.start == Start::Beginning
            && input.bytes.starts_with(&HEAD)
            && matches!(Header::read(input.bytes), Found::Short(_))
        {
            return Probe::Likely(claim("beginning of an ODC2 header", 0));
        }
        hunt(input, b'O', Header::read)
            .into_probe(|_, offset| claim("ODC2 header with a screen name", offset))
    }

    fn dissector(&self, _claim: &Claim) -> Box<dyn Dissector> {
        Box::new(OdcDissector::default())
    }
}

/// Follows direct IM, without a look at what is said.
#[derive(Debug, Default)]
pub struct OdcDissector {
    sides: [Side; 2],
    told: Told,
}

#[derive(Debug, Default)]
struct Side {
    /// Payload bytes to come.
    left: u32,
    /// How much of [`IMAGES`] the payload's last bytes are.
    matched: usize,
    /// The beginning of a header, or of something that may be one.
    held: Vec<u8>,
}

impl Dissector for OdcDissector {
    fn feed(&mut self, direction: Direction, bytes: &[u8], out: &mut Events) {
        let Some(side) = self.sides.get_mut(direction.index()) else {
            return;
        };
        let mut tell = Teller::new(&mut self.told, out);
        if side.held.is_empty() {
            side.run(direction, bytes, &mut tell);
        } else {
            let held = std::mem::take(&mut side.held);
            side.run(direction, &[&held, bytes].concat(), &mut tell);
        }
    }

    fn gap(&mut self, direction: Direction, missing: u64, _out: &mut Events) {
        let Some(side) = self.sides.get_mut(direction.index()) else {
            return;
        };
        side.held.clear();
        side.matched = 0;
        // A gap over the end of the payload: the next header is looked for.
        side.left = u32::try_from(missing).map_or(0, |missing| side.left.saturating_sub(missing));
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
    fn run(&mut self, direction: Direction, mut bytes: &[u8], tell: &mut Teller<'_>) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let len = usize::try_from(self.left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                let (payload, next) = bytes.split_at_checked(len).unwrap_or((bytes, &[]));
                self.payload(payload, tell);
                self.left = self
                    .left
                    .saturating_sub(u32::try_from(payload.len()).unwrap_or(u32::MAX));
                bytes = next;
                continue;
            }
            match Header::read(bytes) {
                Found::Yes(header) => {
                    self.left = header.payload;
                    self.matched = 0;
                    Self::facts(direction, header, tell);
                    bytes = bytes.get(HEADER..).unwrap_or_default();
                }
                Found::Short(_) => {
                    self.held = bytes.to_vec();
                    return;
                }
                Found::No => {
                    let next = memchr::memchr(b'O', bytes.get(1..).unwrap_or_default());
                    bytes = next
                        .and_then(|at| bytes.get(at.saturating_add(1)..))
                        .unwrap_or_default();
                }
            }
        }
    }

    /// The name in a header is its sender's.
    fn facts(direction: Direction, header: Header, tell: &mut Teller<'_>) {
        match direction {
            Direction::ToServer => tell.account(header.sender),
            Direction::ToClient => tell.peer(header.sender),
        }
        tell.feature(feature::DIRECT_CONNECTION);
        let by_client = direction == Direction::ToServer;
        let between = |what| Activity::between_peers(what, by_client);
        if header.payload > 0 {
            tell.feature(feature::MESSAGE);
            tell.risk(risk::CLEARTEXT_MESSAGES);
            tell.done(between(what::MESSAGE).with("length", u64::from(header.payload)));
        } else {
            tell.done(between(what::TYPING));
        }
        tell.shows(rendezvous::token(&header.cookie));
    }

    fn payload(&mut self, payload: &[u8], tell: &mut Teller<'_>) {
        for byte in payload {
            // The pattern's first byte occurs once in it, so a mismatch goes back to the start.
            self.matched = match IMAGES.get(self.matched) {
                Some(wanted) if wanted == byte => self.matched.saturating_add(1),
                _ => usize::from(*byte == b'<'),
            };
            if self.matched == IMAGES.len() {
                tell.feature(feature::IMAGES);
                self.matched = 0;
            }
        }
    }
}
