//! What is known of one flow, and the verdict that follows from it.

mod others;
mod told;
mod verdict;

use super::learned::Expectation;
use crate::flow::FlowInfo;
use crate::model::{
    Activity, Confidence, Direction, Event, Evidence, EvidenceKind, Exposure, FiveTuple, Format,
    Names, Service, ServiceHint, SessionKey, Sighting, Timestamp, Token, Unit, risk, what,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use told::Told;

/// Accounts, peers and the like that one flow may name; a busy chat room has more, but nobody reads on.
const MAX_NAMES: usize = 256;
/// Longest name or client string kept.
const MAX_NAME_LEN: usize = 256;
/// Kinds of units of one flow; the protocols have some two hundred.
const MAX_UNITS: usize = 512;
/// Messages within ten seconds that nobody types and nobody reads.
const FLOOD: u32 = 40;
const FLOOD_NANOS: u64 = 10_000_000_000;
/// Evidence rows of one flow.
const MAX_EVIDENCE: usize = 24;

/// Where and when a fact was met.
#[derive(Clone, Copy, Debug, Default)]
pub struct At {
    /// The packet's time.
    pub time: Timestamp,
    /// The packet.
    pub packet: u64,
    /// Where its unit begins in the bytes of its direction.
    pub offset: u64,
}

/// What another flow said of this one.
#[derive(Clone)]
struct Announced {
    expectation: Expectation,
    /// This flow showed what the other one had given out for it.
    proven: bool,
}

/// The client's hello is one that a messenger's program sends.
#[derive(Clone)]
struct Looks {
    service: Service,
    evidence: Evidence,
    /// The name that the flow carries is one that this messenger uses among others.
    fits: bool,
}

/// Facts of one flow, as they come in.
#[derive(Clone, Default)]
pub struct Facts {
    format: Option<Format>,
    confidence: Option<Confidence>,
    /// The best hint between AIM and ICQ.
    hint: Option<(ServiceHint, Service)>,
    /// A host name that the flow itself carries, of this messenger.
    host: Option<Service>,
    /// The flow itself carries a host name that is no messenger's.
    other_host: bool,
    /// The server's certificate is for hosts of this messenger alone.
    certified: Option<Box<(Service, Evidence)>>,
    looks: Option<Box<Looks>>,
    /// DNS named the server.
    resolved: Option<Service>,
    /// All that the client said was seen, as far as anybody looked.
    pub client_heard: bool,
    /// The address that a proxy was asked for.
    pub through: Option<IpAddr>,
    /// Another flow announced this one.
    announced: Option<Box<Announced>>,
    /// What this flow showed that nobody had given out by then.
    pub shown: Vec<Token>,
    learned_from: Option<u64>,
    /// Host names that it tells of, where somebody asks for them.
    names: Option<Box<Names>>,
    /// The session that this flow carries a part of; of several, the first.
    pub session: Option<SessionKey>,
    /// The server's address is in a messenger's range.
    pub network: Option<Box<(Service, Evidence)>>,
    /// The server's port is a messenger's.
    pub port: Option<Box<(Service, Evidence)>>,
    swapped: bool,
    accounts: BTreeSet<String>,
    peers: BTreeSet<String>,
    client: Option<String>,
    features: BTreeSet<String>,
    risks: BTreeMap<&'static str, Exposure>,
    units: BTreeMap<Unit, u64>,
    /// Since when so many messages came in a row.
    burst: (Timestamp, u32),
    carriers: Vec<&'static str>,
    evidence: Vec<Evidence>,
    /// What was told of it before its end (live only).
    told: Option<Box<Told>>,
    /// What names and evidence cost on the heap.
    held: usize,
}

/// A name's place in its tree and the allocator's share, besides its text.
const NAME_BYTES: usize = 2 * size_of::<String>() + 16;

impl Facts {
    /// Client and server as the record will show them.
    pub fn tuple(&self, info: &FlowInfo) -> FiveTuple {
        if self.swapped {
            info.tuple.swapped()
        } else {
            info.tuple
        }
    }

    /// Which way that is between those two, where [`FlowInfo`] knows a direction by who was seen first.
    pub fn way(&self, direction: Direction) -> Direction {
        if self.swapped {
            direction.reverse()
        } else {
            direction
        }
    }

    /// Looks at each part of it that the flow's end will need; what comes back means nothing.
    pub fn fetch(&self) -> usize {
        let evidence = self.evidence.first().map_or(0, |it| it.packet as usize);
        let names = self.accounts.len() ^ self.peers.len() ^ self.features.len();
        names ^ self.risks.len() ^ self.units.len() ^ self.carriers.len() ^ self.memory() ^ evidence
    }

    /// Bytes held, itself included.
    pub const fn memory(&self) -> usize {
        let told = match &self.told {
            Some(_) => size_of::<Told>(),
            None => 0,
        };
        size_of::<Self>() + told + self.held
    }

    /// The messenger as known by now.
    pub fn service(&self) -> Option<Service> {
        let found = self
            .format
            .as_ref()
            .and_then(|format| format.service.clone());
        match &self.hint {
            Some((_, service)) if found.as_ref().is_none_or(Service::is_oscar_family) => {
                Some(service.clone())
            }
            _ => found,
        }
    }

    /// Recognised as a messenger by its content, by a host name or by another flow.
    pub fn is_messenger(&self) -> bool {
        let by_content = self
            .format
            .as_ref()
            .is_some_and(|format| format.service.is_some());
        by_content || self.named().is_some() || self.announced.is_some()
    }

    /// Takes what a dissector told.
    pub fn take(&mut self, event: Event, at: At) {
        let At { packet, offset, .. } = at;
        match event {
            Event::Identified {
                format,
                confidence,
                evidence,
            } => {
                // A carrier that is recognised again does not undo the messenger found inside it.
                if format.service.is_some() || self.format.is_none() {
                    let carrier = self.format.replace(format);
                    // How sure what carries it is says nothing of it.
                    if carrier.is_some_and(|carrier| carrier.service.is_none()) {
                        self.confidence = None;
                    }
                    self.confidence = self.confidence.max(Some(confidence));
                }
                self.add_evidence(Evidence {
                    packet,
                    offset,
                    ..evidence
                });
            }
            Event::ClientIs(direction) => self.swapped = direction == Direction::ToClient,
            Event::ServiceHint(service, hint) => self.hint(service, hint),
            Event::Account(name) => self.held += add_name(&mut self.accounts, name),
            Event::Peer(name) => self.held += add_name(&mut self.peers, name),
            Event::Client(text) => {
                self.client.get_or_insert_with(|| shorten(text));
            }
            Event::SignOn(method) => {
                self.add_evidence(Evidence {
                    packet,
                    offset,
                    ..Evidence::payload("sign-on", method)
                });
            }
            // (Most were told before.)
            Event::Feature(feature) if self.features.contains(feature) => {}
            Event::Feature(feature) => {
                self.features.insert(feature.to_owned());
            }
            Event::Risk(risk) => self.expose(risk, None, at),
            Event::Unit(unit) => self.count(unit),
            Event::Done(activity) => self.done(&activity, at),
            Event::Exposed(risk, detail) => self.expose(risk, Some(detail), at),
            Event::Carried(carrier) => {
                // What runs inside is named as if it ran alone; the path names what it runs in.
                if self
                    .format
                    .take_if(|format| format.service.is_none())
                    .is_some()
                {
                    self.confidence = None;
                }
                if self.carriers.len() < crate::model::MAX_LAYERS {
                    self.carriers.push(carrier);
                }
            }
            // Of use to other flows; the engine has dealt with them.
            Event::Redirect { .. }
            | Event::Host { .. }
            | Event::Certificate(_)
            | Event::Alpn(_)
            | Event::Ja4(_)
            | Event::Resolved { .. }
            | Event::Through(_)
            | Event::Shows(_)
            | Event::PartOf(_) => {}
        }
    }

    fn done(&mut self, activity: &Activity, at: At) {
        if activity.what != what::MESSAGE {
            return;
        }
        let (since, count) = &mut self.burst;
        if at.time.nanos_since(*since) > FLOOD_NANOS {
            (*since, *count) = (at.time, 0);
        }
        *count += 1;
        if *count == FLOOD {
            let detail = format!("{FLOOD} messages within 10 seconds");
            self.expose(risk::FLOOD, Some(detail), at);
        }
    }

    fn count(&mut self, unit: Unit) {
        if let Some(known) = self.units.get_mut(&unit) {
            *known += 1;
        } else if self.units.len() < MAX_UNITS {
            self.units.insert(unit, 1);
            self.held += 2 * size_of::<(Unit, u64)>();
        }
    }

    fn expose(&mut self, risk: &'static str, detail: Option<String>, at: At) {
        let At {
            time,
            packet,
            offset,
        } = at;
        self.held += self.risks.entry(risk).or_insert(Exposure::at(time)).seen(
            time,
            Sighting {
                packet,
                offset,
                detail: detail.map(shorten),
            },
        );
    }

    /// The client's account, when there is just one.
    pub fn only_account(&self) -> Option<&str> {
        match self.accounts.len() {
            1 => self.accounts.first().map(String::as_str),
            _ => None,
        }
    }

    /// The part that this connection plays, as far as known.
    pub fn role(&self) -> Option<&'static str> {
        self.format.as_ref()?.role
    }

    /// Whether another flow said that this one would come.
    pub const fn was_announced(&self) -> bool {
        self.learned_from.is_some()
    }

    /// The wire format, as far as known.
    pub fn app_proto(&self) -> Option<&'static str> {
        self.format.as_ref().map(|format| format.app_proto)
    }

    /// The flow carries a host name.
    pub fn named_host(
        &mut self,
        service: Option<Service>,
        name: &str,
        via: &'static str,
        packet: u64,
    ) {
        let Some(service) = service else {
            // An address is not somebody else's name.
            self.other_host |= name.parse::<IpAddr>().is_err();
            return;
        };
        self.add_evidence(Evidence {
            kind: EvidenceKind::Host,
            what: via,
            detail: name.to_owned().into(),
            packet,
            offset: 0,
        });
        self.hint(service.clone(), ServiceHint::Host);
        self.host.get_or_insert(service);
    }

    /// The server's certificate is for these hosts, which this messenger alone uses.
    pub fn certified(&mut self, service: &Service, names: &[String], packet: u64) {
        let [first, others @ ..] = names else { return };
        if self.certified.is_some() {
            return;
        }
        let detail = match others.len() {
            0 => first.clone(),
            more => format!("{first} and {more} more, all {service}'s"),
        };
        self.held += size_of::<(Service, Evidence)>() + detail.len();
        let evidence = Evidence {
            kind: EvidenceKind::Host,
            what: "tls-certificate",
            detail: detail.into(),
            packet,
            offset: 0,
        };
        self.certified = Some(Box::new((service.clone(), evidence)));
    }

    /// The server's certificate, as long as no word of the client's names anybody: what is asked for is what counts, whichever
    /// comes first in the capture.
    fn certificate(&self) -> Option<&(Service, Evidence)> {
        let unnamed = self.host.is_none() && !self.other_host;
        self.certified.as_deref().filter(|_| unnamed)
    }

    /// The messenger of a host name that the flow itself carries.
    fn named(&self) -> Option<&Service> {
        let certified = || self.certificate().map(|(service, _)| service);
        self.host.as_ref().or_else(certified)
    }

    /// The flow asks for a host.
    pub fn carry(&mut self, name: &str) {
        self.held += self.names.get_or_insert_default().carry(name);
    }

    /// The flow gives these addresses for a name.
    pub fn give(&mut self, name: &str, addresses: &[IpAddr]) {
        let names = self.names.get_or_insert_default();
        self.held += addresses
            .iter()
            .map(|ip| names.give(name, *ip))
            .sum::<usize>();
    }

    /// The flow asks for a protocol in TLS that only this messenger speaks.
    pub fn named_protocol(&mut self, service: &Service, protocol: &str, packet: u64) {
        self.add_evidence(Evidence {
            packet,
            ..Evidence::payload("alpn", protocol.to_owned())
        });
        self.host.get_or_insert_with(|| service.clone());
    }

    /// The client's hello has a fingerprint that a messenger's program has.
    pub fn looks_like(&mut self, service: &Service, ja4: String, packet: u64) {
        if self.looks.is_none() {
            self.held += size_of::<Looks>() + ja4.len();
            self.looks = Some(Box::new(Looks {
                service: service.clone(),
                evidence: Evidence {
                    packet,
                    ..Evidence::payload("ja4", ja4)
                },
                fits: false,
            }));
        }
    }

    /// Whose program the client seems to be.
    pub fn looks(&self) -> Option<&Service> {
        self.looks.as_deref().map(|looks| &looks.service)
    }

    /// The flow's name is one that this messenger uses, though others do as well.
    pub fn name_fits_looks(&mut self) {
        if let Some(looks) = &mut self.looks {
            looks.fits = true;
        }
    }

    /// The user's name, as far as known by now.
    pub fn own_name(&self) -> Option<&str> {
        let expected = || self.as_announced()?.expectation.account.as_deref();
        self.only_account().or_else(expected)
    }

    /// The name of the user at the other end.
    pub fn other_name(&self) -> Option<&str> {
        let expected = || self.as_announced()?.expectation.peer.as_deref();
        match self.peers.len() {
            1 => self.peers.first().map(String::as_str),
            _ => expected(),
        }
    }

    /// The messenger's format that this flow was recognised as, and how sure.
    pub fn recognised(&self) -> Option<(&Format, Confidence)> {
        let format = self.format.as_ref()?;
        format.service.as_ref()?;
        Some((format, self.confidence?))
    }

    /// What speaks most for AIM or for ICQ.
    pub fn best_hint(&self) -> Option<(Service, ServiceHint)> {
        let (hint, service) = self.hint.as_ref()?;
        Some((service.clone(), *hint))
    }

    fn hint(&mut self, service: Service, hint: ServiceHint) {
        if service.is_oscar_family() && self.hint.as_ref().is_none_or(|(known, _)| hint < *known) {
            self.hint = Some((hint, service));
        }
    }

    fn add_evidence(&mut self, evidence: Evidence) {
        let known = self
            .evidence
            .iter()
            .any(|known| known.what == evidence.what && known.detail == evidence.detail);
        if !known && self.evidence.len() < MAX_EVIDENCE {
            self.held += 2 * size_of::<Evidence>() + evidence.detail.len();
            // Most flows have one: do not make room for four.
            if self.evidence.is_empty() {
                self.evidence.reserve_exact(1);
            }
            self.evidence.push(evidence);
        }
    }
}

fn shorten(text: String) -> String {
    match text.char_indices().nth(MAX_NAME_LEN) {
        Some((end, _)) => text[..end].to_owned(),
        None => text,
    }
}

/// Adds a name and says what it costs.
fn add_name(names: &mut BTreeSet<String>, name: String) -> usize {
    if name.is_empty() || names.len() >= MAX_NAMES {
        return 0;
    }
    let name = shorten(name);
    let cost = NAME_BYTES + name.len();
    if names.insert(name) { cost } else { 0 }
}
