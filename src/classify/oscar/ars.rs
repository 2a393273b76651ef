//! ARS: AOL's proxy for users who cannot reach each other. Both connect to it and name a meeting; when
//! both are there, the connection carries OFT or ODC as it is.

use super::bytes::Bytes;
use super::flap::Start as Found;
use super::odc::OdcDissector;
use super::oft::OftDissector;
use super::rendezvous::{self, Capability};
use super::tell::{Teller, Told};
use super::{names, tlv};
use crate::classify::{Claim, Detector, Dissector, Events, Probe, ProbeInput, Start};
use crate::model::{
    Activity, Confidence, Direction, Evidence, Format, Party, Service, Transport, what,
};

/// Length u16 of what follows it, 044A, type u16, u32 zero, flags u16.
const HEADER: usize = 12;
/// No unit that was read about is longer.
const LONGEST: usize = 512;

/// A unit of the dialogue with the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Unit {
    /// Of the whole unit.
    len: usize,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// 2 and 4: the client, its name, and what the meeting is for.
    Client {
        name: String,
        cookie: [u8; 8],
        capability: Option<Capability>,
    },
    /// 3: where the other one is to go; 5: both are there.
    Server,
    /// 1.
    Error,
}

impl Unit {
    fn read(bytes: &[u8]) -> Found<Self> {
        Self::fields(bytes).unwrap_or(Found::Short(HEADER))
    }

    /// `None` when the bytes end within the header.
    fn fields(bytes: &[u8]) -> Option<Found<Self>> {
        let mut cursor = Bytes::new(bytes);
        let len = usize::from(cursor.be16()?).saturating_add(2);
        if !(HEADER..=LONGEST).contains(&len) {
            return Some(Found::No);
        }
        if cursor.be16()? != 0x044A {
            return Some(Found::No);
        }
        let kind = cursor.be16()?;
        if !(1..=5).contains(&kind) {
            return Some(Found::No);
        }
        if cursor.be32()? != 0 {
            return Some(Found::No);
        }
        cursor.be16()?;
        let Some(body) = bytes.get(HEADER..len) else {
            return Some(Found::Short(len));
        };
        let kind = match (kind, body.len()) {
            (2 | 4, _) => client(kind == 4, body),
            // 3: port u16, address u32.
            (3, 6) | (5, 0) => Some(Kind::Server),
            (1, _) => Some(Kind::Error),
            _ => None,
        };
        Some(kind.map_or(Found::No, |kind| Found::Yes(Self { len, kind })))
    }
}

/// Name, a number when joining, cookie 8, TLV 1 with the capability's UUID.
fn client(joins: bool, body: &[u8]) -> Option<Kind> {
    let mut cursor = Bytes::new(body);
    let name = names::account(cursor.short_text()?)?;
    if joins {
        cursor.be16()?;
    }
    let cookie = cursor.take(8)?.try_into().ok()?;
    let uuid = tlv::tiles(cursor.rest()).then(|| tlv::find(cursor.rest(), 1))??;
    let uuid = <&[u8; 16]>::try_from(uuid).ok()?;
    Some(Kind::Client {
        name,
        cookie,
        capability: Capability::of(uuid),
    })
}

const fn format() -> Format {
    Format::messenger(Service::OSCAR, "ars", "proxy")
}

fn evidence() -> Evidence {
    Evidence::payload("ars-unit", "unit of AOL's rendezvous proxy")
}

/// Recognises connections to the proxy.
#[derive(Debug)]
pub struct Ars;

impl Detector for Ars {
    fn name(&self) -> &'static str {
        "ars"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn probe(&self, input: &ProbeInput<'_>) -> Probe {
        if input.start == Start::Later {
            return Probe::No;
        }
        let claim = |from_client| Claim {
            format: format(),
            offset: 0,
            sender_is_client: Some(from_client),
            evidence: evidence(),
        };
        match Unit::read(input.bytes) {
            Found::Yes(Unit {
                kind: Kind::Client { .. },
                ..
            }) => Probe::Certain(claim(true)),
            Found::Yes(Unit {
                kind: Kind::Server, ..
            }) => Probe::Likely(claim(false)),
            Found::Short(total) if !input.ended => Probe::NeedMore { from: 0, total },
            _ => Probe::No,
        }
    }

    fn dissector(&self, _claim: &Claim) -> Box<dyn Dissector> {
        Box::new(ArsDissector::default())
    }
}

/// Follows a connection to the proxy, and then what it carries.
#[derive(Debug, Default)]
pub struct ArsDissector {
    sides: [Side; 2],
    told: Told,
    units: u32,
    oft: OftDissector,
    odc: OdcDissector,
}

#[derive(Debug, Default)]
struct Side {
    /// Past the dialogue with the proxy.
    through: bool,
    held: Vec<u8>,
}

impl Dissector for ArsDissector {
    fn feed(&mut self, direction: Direction, bytes: &[u8], out: &mut Events) {
        let Some(side) = self.sides.get_mut(direction.index()) else {
            return;
        };
        let held = std::mem::take(&mut side.held);
        let joined;
        let mut bytes = if held.is_empty() {
            bytes
        } else {
            joined = [&held, bytes].concat();
            &joined
        };
        while !side.through && !bytes.is_empty() {
            match Unit::read(bytes) {
                Found::Yes(unit) => {
                    self.units = self.units.saturating_add(1);
                    // The server's units are short; two of them, or one and its answer, are proof.
                    if self.units == 2 {
                        out.identified(format(), Confidence::Confirmed, evidence());
                    }
                    if let Kind::Client {
                        name,
                        cookie,
                        capability,
                    } = unit.kind
                    {
                        let mut tell = Teller::new(&mut self.told, out);
                        tell.client_is(direction);
                        tell.account(name);
                        tell.shows(rendezvous::token(&cookie));
                        if let Some(capability) = capability {
                            capability.tell(&mut tell);
                        }
                        let purpose = capability.map(Capability::name);
                        tell.done(
                            Activity::new(what::RELAY)
                                .by(Party::Own)
                                .maybe("kind", purpose),
                        );
                    }
                    bytes = bytes.get(unit.len..).unwrap_or_default();
                }
                Found::Short(_) => {
                    side.held = bytes.to_vec();
                    return;
                }
                Found::No => side.through = true,
            }
        }
        if !bytes.is_empty() {
            // Each of the two passes over what is not its own.
            self.oft.feed(direction, bytes, out);
            self.odc.feed(direction, bytes, out);
        }
    }

    fn gap(&mut self, direction: Direction, missing: u64, out: &mut Events) {
        if let Some(side) = self.sides.get_mut(direction.index()) {
            side.held.clear();
            side.through = true;
        }
        self.oft.gap(direction, missing, out);
        self.odc.gap(direction, missing, out);
    }

    fn memory(&self) -> usize {
        let held: usize = self.sides.iter().map(|side| side.held.capacity()).sum();
        size_of_val(self) + held + self.oft.memory() + self.odc.memory()
    }
}
