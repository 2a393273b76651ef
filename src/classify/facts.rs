//! What is known of one flow, and the verdict that follows from it.

use super::carrier::http::Known;
use super::learned::Expectation;
use crate::flow::FlowInfo;
use crate::model::{
    Activity, Confidence, Direction, Event, Evidence, EvidenceKind, Exposure, Finding, FiveTuple,
    Format, Names, News, Service, ServiceHint, SessionKey, Sighting, Timestamp, Token, Unit,
    feature, risk, what,
};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

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

/// What is worth telling of a flow that goes on, in short: when this changes there may be something new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    format: Option<(Option<Service>, &'static str, Option<&'static str>)>,
    service: Option<Service>,
    confidence: Option<Confidence>,
    hosts: [bool; 4],
    counts: [usize; 4],
}

/// What was told of a flow before its end.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// As it was when it was last looked at.
    pub outline: Option<Outline>,
    /// As what, if it was told of.
    identity: Option<(Option<Service>, Option<Confidence>, usize)>,
    risks: BTreeSet<&'static str>,
    /// Its last packet when that was.
    pub at: Timestamp,
}

impl Told {
    /// Whether it was told of as a messenger.
    pub const fn is_detected(&self) -> bool {
        self.identity.is_some()
    }

    /// Takes note of what is told now; what of it is new.
    pub fn tell(&mut self, finding: &Finding) -> News {
        self.at = finding.last_seen;
        let now = (
            finding.service.clone(),
            finding.confidence,
            finding.accounts.len(),
        );
        let risks = finding.risks.keys();
        let risks: Vec<_> = risks.filter(|risk| self.risks.insert(risk)).collect();
        match self.identity.replace(now.clone()) {
            None => News::New,
            Some(before) => News::More {
                identity: before != now,
                risks: risks.into_iter().copied().collect(),
            },
        }
    }
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
    pub network: Option<(Service, Evidence)>,
    /// The server's port is a messenger's.
    pub port: Option<(Service, Evidence)>,
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
    pub told: Told,
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

    /// Bytes held, itself included.
    pub const fn memory(&self) -> usize {
        size_of::<Self>() + self.held
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
        by_content || self.host.is_some() || self.announced.is_some()
    }

    /// What is known, in short.
    pub fn outline(&self) -> Outline {
        let format = self.format.as_ref();
        Outline {
            format: format.map(|it| (it.service.clone(), it.app_proto, it.role)),
            service: self.service(),
            confidence: self.confidence,
            hosts: [
                self.host.is_some(),
                self.other_host,
                self.announced.is_some(),
                self.looks.is_some(),
            ],
            counts: [
                self.accounts.len(),
                self.features.len(),
                self.risks.len(),
                usize::from(self.client.is_some()),
            ],
        }
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
                    self.format = Some(format);
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

    /// DNS said that the server's address belongs to a messenger's host.
    pub fn resolved_host(&mut self, service: &Service, name: &str, from_flow: u64, packet: u64) {
        self.add_evidence(Evidence {
            kind: EvidenceKind::Host,
            what: "dns",
            detail: format!("{name}, as DNS resolved it").into(),
            packet,
            offset: 0,
        });
        self.hint(service.clone(), ServiceHint::Host);
        self.learned_from.get_or_insert(from_flow);
        self.resolved = Some(service.clone());
    }

    /// Another flow announced this one: its address, or what it would show.
    pub fn announced(&mut self, expectation: &Expectation, proven: bool, packet: u64) {
        let Expectation {
            format, from_flow, ..
        } = expectation;
        let role = format.role.unwrap_or("connection");
        let what = if proven { "token" } else { "announced" };
        let detail: Cow<'_, str> = if proven {
            "shows what an earlier flow had given out for it".into()
        } else {
            format!("an earlier flow announced this {} {role}", format.app_proto).into()
        };
        self.add_evidence(Evidence {
            kind: EvidenceKind::Learned,
            what,
            detail,
            packet,
            offset: 0,
        });
        if let Some(service) = format
            .service
            .clone()
            .filter(|service| *service != Service::OSCAR)
        {
            self.hint(service, ServiceHint::Teacher);
        }
        self.learned_from = Some(*from_flow);
        let proven = proven || self.announced.as_ref().is_some_and(|known| known.proven);
        self.announced = Some(Box::new(Announced {
            expectation: expectation.clone(),
            proven,
        }));
    }

    /// It is what another flow said it would be, and showed what that gave out for it, if it gave anything.
    fn as_announced(&self) -> Option<&Announced> {
        let app_proto = self.app_proto();
        self.announced
            .as_deref()
            .filter(|known| Some(known.expectation.format.app_proto) == app_proto)
    }

    /// Who uses it, where only another flow says so.
    fn inherit(&mut self) {
        let Some(known) = self
            .as_announced()
            .filter(|known| known.proven || known.expectation.token.is_none())
        else {
            return;
        };
        let Expectation { account, peer, .. } = known.expectation.clone();
        if self.accounts.is_empty() {
            self.accounts.extend(account);
        }
        if self.peers.is_empty() {
            self.peers.extend(peer);
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

    /// Whose the session is that this flow is a part of, as flows before it said. Asked when the flow is over, so that
    /// it does not matter how slowly they spoke.
    pub fn session_of(&mut self, known: &Known, this_flow: u64) {
        let earlier = known
            .accounts
            .iter()
            .filter(|(_, teacher)| **teacher < this_flow);
        for (name, _) in earlier {
            add_name(&mut self.accounts, name.clone());
        }
    }

    /// What other flows of its session say.
    pub fn part_of(&mut self, known: &Known, this_flow: u64, packet: u64) {
        for (service, hint) in &known.hints {
            self.hint(service.clone(), *hint);
        }
        if known.first_flow != this_flow {
            // Closer than an announcement, which is for anybody behind the client's address.
            self.learned_from = Some(known.first_flow);
            self.add_evidence(Evidence {
                kind: EvidenceKind::Learned,
                what: "session",
                detail: "the same session as an earlier flow".into(),
                packet,
                offset: 0,
            });
        }
        let by_content = self.recognised().is_some();
        if let Some((format, confidence)) = known.format.as_ref().filter(|_| !by_content) {
            self.format = Some(format.clone());
            self.confidence = Some(*confidence);
            self.features.insert(feature::HTTP.to_owned());
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

    /// The verdict.
    pub fn finding(mut self, info: &FlowInfo) -> Finding {
        self.inherit();
        let tuple = self.tuple(info);
        let (service, app_proto, role, confidence) = self.verdict();
        let mut evidence = self.evidence;
        let looks = self
            .looks
            .filter(|it| Some(&it.service) == service.as_ref());
        evidence.extend(looks.map(|looks| looks.evidence));
        if confidence == Some(Confidence::Possible) {
            let guesses = [self.network, self.port].into_iter().flatten();
            let same = guesses.filter(|(of, _)| Some(of) == service.as_ref());
            evidence.extend(same.map(|(_, evidence)| evidence));
        }
        Finding {
            flow_id: info.id,
            first_seen: info.first_seen,
            last_seen: info.last_seen,
            tuple,
            card: info
                .card
                .filter(|(direction, _)| (*direction == Direction::ToClient) == self.swapped)
                .map(|(_, card)| card),
            service,
            app_proto,
            role,
            confidence,
            path: info.path,
            carriers: self.carriers,
            accounts: self.accounts,
            peers: self.peers,
            client: self.client,
            features: self.features,
            risks: self.risks,
            units: self.units,
            counts: info.counts(),
            to_server: info.sides[usize::from(self.swapped)],
            evidence,
            learned_from: self.learned_from,
            names: self.names,
        }
    }

    /// Whether the finding has a service.
    pub fn names_a_service(&self) -> bool {
        self.verdict().0.is_some()
    }

    fn verdict(
        &self,
    ) -> (
        Option<Service>,
        Option<&'static str>,
        Option<&'static str>,
        Option<Confidence>,
    ) {
        let app_proto = self.format.as_ref().map(|format| format.app_proto);
        let role = self.format.as_ref().and_then(|format| format.role);
        let by_content = self
            .format
            .as_ref()
            .is_some_and(|format| format.service.is_some());
        if by_content {
            // A predicted endpoint that behaves is proof.
            let confidence = if self.as_announced().is_some() {
                Some(Confidence::Confirmed)
            } else {
                self.confidence
            };
            return (self.service(), app_proto, role, confidence);
        }
        if let Some(service) = &self.host {
            return (
                Some(service.clone()),
                app_proto,
                role,
                Some(Confidence::Probable),
            );
        }
        // What only others say of this flow holds as long as the flow itself does not speak against it.
        if let Some(Announced { expectation, .. }) = self.announced.as_deref()
            && !self.other_host
            && app_proto.is_none()
        {
            let format = &expectation.format;
            let service = self.hint.as_ref().map(|(_, service)| service.clone());
            let service = service.or_else(|| format.service.clone());
            return (
                service,
                Some(format.app_proto),
                format.role,
                Some(Confidence::Probable),
            );
        }
        // A messenger's host may well speak TLS, where nobody can look inside. Who was not heard from the beginning may
        // have said that it is something else.
        if let Some(service) = &self.resolved
            && !self.other_host
            && app_proto.is_none_or(hides)
        {
            let confidence = if self.client_heard {
                Confidence::Probable
            } else {
                Confidence::Possible
            };
            return (Some(service.clone()), app_proto, role, Some(confidence));
        }
        if let Some((service, _)) = &self.network
            && !self.other_host
            && app_proto.is_none_or(hides)
        {
            let service = Some(service.clone());
            return (service, app_proto, role, Some(Confidence::Possible));
        }
        // Programs share libraries: a fingerprint is a guess, and somebody else's name speaks against it.
        if let Some(looks) = self.looks.as_deref()
            && (looks.fits || !self.other_host)
        {
            let service = Some(looks.service.clone());
            return (service, app_proto, role, Some(Confidence::Possible));
        }
        match &self.port {
            Some((service, _)) if app_proto.is_none() => (
                Some(service.clone()),
                None,
                None,
                Some(Confidence::Possible),
            ),
            _ => (None, app_proto, role, None),
        }
    }
}

/// Carriers that nobody can look into, or whose words are the same for everybody.
fn hides(app_proto: &str) -> bool {
    matches!(app_proto, "tls" | "quic" | "stun" | "sip")
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

#[cfg(test)]
mod tests {
    use super::{
        At, Confidence, Evidence, EvidenceKind, Expectation, Facts, Format, Known, Service,
    };
    use crate::model::{Event, ServiceHint};

    const AIM_BOS: Format = Format::messenger(Service::OSCAR, "oscar", "bos");

    fn announced(facts: &mut Facts) {
        let expectation = Expectation {
            format: AIM_BOS,
            from_flow: 3,
            client: None,
            account: None,
            peer: None,
            token: None,
        };
        facts.announced(&expectation, false, 1);
    }

    fn identified(facts: &mut Facts, format: Format, confidence: Confidence) {
        let evidence = Evidence::payload("test", "test");
        facts.take(
            Event::Identified {
                format,
                confidence,
                evidence,
            },
            At::default(),
        );
    }

    fn verdict(facts: &Facts) -> Option<(String, Confidence)> {
        let (service, _, _, confidence) = facts.verdict();
        service
            .map(|service| service.id().to_owned())
            .zip(confidence)
    }

    #[allow(clippy::unnecessary_wraps, reason = "it stands beside `verdict`")]
    fn is(service: &str, confidence: Confidence) -> Option<(String, Confidence)> {
        Some((service.to_owned(), confidence))
    }

    #[test]
    fn a_port_alone_is_possible_until_the_content_speaks() {
        let evidence = Evidence {
            kind: EvidenceKind::Port,
            ..Evidence::payload("port", "TCP 1863")
        };
        let mut facts = Facts {
            port: Some((Service::MSN, evidence)),
            ..Facts::default()
        };
        assert_eq!(verdict(&facts), is("msn", Confidence::Possible));
        identified(&mut facts, Format::other("tls"), Confidence::Confirmed);
        assert_eq!(verdict(&facts), None);
    }

    #[test]
    fn an_announcement_needs_a_flow_that_does_not_speak_against_it() {
        let mut facts = Facts::default();
        announced(&mut facts);
        assert_eq!(verdict(&facts), is("oscar", Confidence::Probable));
        identified(&mut facts, Format::other("tls"), Confidence::Confirmed);
        assert_eq!(verdict(&facts), None);

        let mut facts = Facts::default();
        announced(&mut facts);
        identified(&mut facts, AIM_BOS, Confidence::Probable);
        assert_eq!(
            verdict(&facts),
            is("oscar", Confidence::Confirmed),
            "it behaves as announced"
        );
    }

    #[test]
    fn a_resolved_host_may_speak_tls_but_not_for_somebody_else() {
        let mut facts = Facts::default();
        facts.resolved_host(&Service::YAHOO, "scs.msg.yahoo.com", 1, 1);
        identified(&mut facts, Format::other("tls"), Confidence::Confirmed);
        assert_eq!(verdict(&facts), is("yahoo", Confidence::Possible));
        facts.client_heard = true;
        assert_eq!(verdict(&facts), is("yahoo", Confidence::Probable));
        facts.named_host(None, "192.0.2.5", "http-host", 2);
        assert_eq!(verdict(&facts), is("yahoo", Confidence::Probable));
        facts.named_host(None, "www.example.com", "tls-sni", 2);
        assert_eq!(verdict(&facts), None);
    }

    #[test]
    fn the_sign_on_name_beats_every_other_hint_between_aim_and_icq() {
        let mut facts = Facts::default();
        identified(&mut facts, AIM_BOS, Confidence::Confirmed);
        for (service, hint, expected) in [
            (Service::AIM, ServiceHint::Host, "aim"),
            (Service::ICQ, ServiceHint::OwnUnits, "icq"),
            (Service::AIM, ServiceHint::Teacher, "aim"),
            (Service::ICQ, ServiceHint::SignOnName, "icq"),
            (Service::AIM, ServiceHint::OwnUnits, "icq"),
        ] {
            facts.take(Event::ServiceHint(service, hint), At::default());
            assert_eq!(
                verdict(&facts),
                is(expected, Confidence::Confirmed),
                "after {hint:?}"
            );
        }
        identified(
            &mut facts,
            Format::messenger(Service::MSN, "msnp", "notification"),
            Confidence::Confirmed,
        );
        assert_eq!(
            verdict(&facts),
            is("msn", Confidence::Confirmed),
            "the hint is for OSCAR only"
        );
    }

    #[test]
    fn a_session_names_its_flows_and_earlier_flows_name_their_user() {
        let known = Known {
            first_flow: 4,
            format: Some((
                Format::messenger(Service::MSN, "msn-http", "gateway"),
                Confidence::Confirmed,
            )),
            accounts: [("alice@example.com".to_owned(), 6)].into(),
            hints: Vec::new(),
        };
        let mut poll = Facts::default();
        identified(&mut poll, Format::other("http"), Confidence::Confirmed);
        poll.part_of(&known, 7, 1);
        poll.session_of(&known, 7);
        assert_eq!(verdict(&poll), is("msn", Confidence::Confirmed));
        assert_eq!((poll.learned_from, poll.accounts.len()), (Some(4), 1));

        let mut first = Facts::default();
        first.part_of(&known, 4, 1);
        first.session_of(&known, 4);
        assert_eq!((first.learned_from, first.accounts.len()), (None, 0));

        // Content of its own counts more.
        let mut other = Facts::default();
        identified(&mut other, AIM_BOS, Confidence::Probable);
        other.part_of(&known, 8, 1);
        assert_eq!(verdict(&other), is("oscar", Confidence::Probable));
    }
}
