//! From the shape of a rule file to facts that the rest of the program may trust.

use super::error::{Mistake, SourceFile};
use super::parse::{self, RawHost, RawPort, RawSignature};
use super::pattern::Pattern;
use super::read::{Reader, is_id_char, optional};
use super::{
    Feature, HostMatch, HostRule, HostUse, Messenger, Opening, PortRange, PortRule, SignatureRule,
    Speaker,
};
use crate::model::{Service, Transport};
use std::collections::HashMap;
use toml::Spanned;

/// A port-only guess from a wider range would be a guess at random.
const MAX_HINT_PORTS: u32 = 1024;
/// `IMW-` + id + `-` + feature must fit into the 28 characters of an iptables chain name.
const MAX_ID: usize = 14;
const MAX_FACT_ID: usize = 60;

/// What was claimed by which fact, over all files.
#[derive(Default)]
pub(super) struct Seen {
    services: HashMap<String, String>,
    facts: HashMap<String, String>,
    hosts: HashMap<(String, &'static str), (String, HostUse, Service)>,
    pub(super) alpns: HashMap<String, String>,
    pub(super) ja4: HashMap<String, String>,
    pub(super) networks: Vec<(ipnet::IpNet, String)>,
}

/// Reads all files; on mistakes, as many of them as can be told at once. Files of `yielding` give way to what `files`
/// state: a messenger of the same id is left out as a whole, a host, an address range or a protocol as such.
pub(super) fn messengers(
    files: impl IntoIterator<Item = SourceFile>,
    yielding: impl IntoIterator<Item = SourceFile>,
) -> Result<Vec<Messenger>, Vec<Mistake>> {
    let mut seen = Seen::default();
    let mut mistakes = Vec::new();
    let mut messengers = Vec::new();
    let firm = files.into_iter().map(|file| (file, false));
    let yielding = yielding.into_iter().map(|file| (file, true));
    for (file, yields) in firm.chain(yielding) {
        match parse::parse(&file) {
            Ok(raw) if yields && seen.services.contains_key(raw.id.get_ref()) => {}
            Ok(raw) => {
                let mut check = Check {
                    read: Reader {
                        file: &file,
                        mistakes: &mut mistakes,
                    },
                    seen: &mut seen,
                    yields,
                };
                messengers.extend(check.messenger(&raw));
            }
            Err(mistake) => mistakes.push(mistake),
        }
    }
    if mistakes.is_empty() {
        Ok(messengers)
    } else {
        Err(mistakes)
    }
}

pub(super) struct Check<'a> {
    pub(super) read: Reader<'a>,
    pub(super) seen: &'a mut Seen,
    /// Whether it gives way to what was stated before, instead of being a mistake.
    pub(super) yields: bool,
}

impl Check<'_> {
    fn messenger(&mut self, raw: &parse::RawFile) -> Option<Messenger> {
        let id = self.service_id(&raw.id)?;
        let service = Service::named(id);
        let name = self.read.text(&raw.name);
        let about = self.read.text(&raw.about);
        let limits = raw
            .limits
            .iter()
            .filter_map(|limit| self.read.text(limit))
            .collect();
        let updated = self.updated(raw);
        let by_default = raw.policy.as_ref().map_or(Some(true), |policy| {
            self.read
                .choice("policy", policy, &[("always", true), ("asked", false)])
        });
        let open = raw.servers.as_ref().map_or(Some(false), |servers| {
            self.read
                .choice("servers", servers, &[("named", false), ("anybody", true)])
        });
        let contents = raw.beginnings.is_empty() && raw.stuns.is_empty();
        if raw.ports.is_empty() && raw.hosts.is_empty() && contents {
            let message = format!("`{service}` has no port, no host and no beginning");
            let label = "add a [[port]], a [[host]] or a [[beginning]]";
            self.read.wrong(raw.id.span(), message, label);
        }
        // All facts are looked at, also behind a wrong one: every mistake is told at once.
        let ports: Vec<_> = raw
            .ports
            .iter()
            .map(|port| self.port(&service, port))
            .collect();
        let mut hosts = Vec::new();
        for host in &raw.hosts {
            if self.unless_stated(host) {
                hosts.push(self.host(&service, host));
            }
        }
        let alpns = self.alpns(&raw.alpns);
        let fingerprints = self.fingerprints(&raw.fingerprints);
        let networks = self.networks(raw);
        let beginnings = self.beginnings(&service, &raw.beginnings);
        let stuns = self.stuns(&service, &raw.stuns);
        let samples = self.samples(&raw.samples);
        let signatures: Vec<_> = raw
            .signatures
            .iter()
            .map(|signature| self.signature(&service, signature))
            .collect();
        Some(Messenger {
            service,
            name: name?,
            about: about?,
            limits,
            updated: updated?,
            by_default: by_default?,
            open: open?,
            ports: ports.into_iter().collect::<Option<_>>()?,
            hosts: hosts.into_iter().collect::<Option<_>>()?,
            signatures: signatures.into_iter().collect::<Option<_>>()?,
            alpns: alpns?,
            fingerprints: fingerprints?,
            networks: networks?,
            beginnings: beginnings?,
            stuns: stuns?,
            samples: samples?,
            origin: self.read.file.origin(0),
        })
    }

    fn service_id(&mut self, id: &Spanned<String>) -> Option<String> {
        let text = id.get_ref();
        let shaped = text.len() <= MAX_ID
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(is_id_char);
        if !shaped {
            let message = format!("`{}` cannot name a messenger", text.escape_debug());
            let label =
                format!("a letter, then letters, digits and '-', all lower case, at most {MAX_ID}");
            self.read.wrong(id.span(), message, label);
            return None;
        }
        if text == "oscar" {
            self.read.wrong(
                id.span(),
                "`oscar` is taken: it says \"AIM or ICQ\"",
                "choose another id",
            );
            return None;
        }
        let here = self.read.file.origin(id.span().start).to_string();
        if let Some(first) = self.seen.services.get(text) {
            let message = format!("messenger `{text}` is defined twice");
            let label = format!("first defined at {first}");
            self.read.wrong(id.span(), message, label);
            return None;
        }
        self.seen.services.insert(text.clone(), here);
        Some(text.clone())
    }

    /// Whether a host is to be looked at: not, when this file gives way and somebody else has it.
    fn unless_stated(&self, raw: &RawHost) -> bool {
        let name = raw.name.get_ref().to_ascii_lowercase();
        let stated = ["exact", "suffix"]
            .into_iter()
            .any(|matching| self.seen.hosts.contains_key(&(name.clone(), matching)));
        !(self.yields && stated)
    }

    fn port(&mut self, service: &Service, raw: &RawPort) -> Option<PortRule> {
        let id = self.fact_id(service, &raw.id);
        let feature = self.read.feature(&raw.feature);
        let transport = self.read.choice(
            "transport",
            &raw.transport,
            &[("tcp", Transport::Tcp), ("udp", Transport::Udp)],
        );
        let ports = self.read.port_range(&raw.port);
        let opening = match &raw.direction {
            Some(direction) => {
                self.read
                    .choice("direction", direction, &Opening::ALL.map(|o| (o.name(), o)))
            }
            None => Some(Opening::Out),
        };
        let source = self.read.source(&raw.source);
        let shared_with = raw.shared_with.as_ref().map(|text| self.read.text(text));
        let reference = raw.reference.as_ref().map(|text| self.read.text(text));
        let note = raw.note.as_ref().map(|text| self.read.text(text));
        let hint = self.hint(raw, ports);
        if let (Some(Feature::Everything), true) = (feature, ports.is_some()) {
            self.read.wrong(
                raw.feature.span(),
                "a port cannot serve `everything`",
                "this is for hosts that are denied on all ports",
            );
        }
        Some(PortRule {
            id: id?,
            feature: feature?,
            transport: transport?,
            ports: ports?,
            opening: opening?,
            source: source?,
            hint: hint?,
            shared_with: optional(shared_with)?,
            reference: optional(reference)?,
            note: optional(note)?,
            origin: self.read.file.origin(raw.id.span().start),
        })
    }

    fn signature(&mut self, service: &Service, raw: &RawSignature) -> Option<SignatureRule> {
        let id = self.fact_id(service, &raw.id);
        let feature = self.read.feature(&raw.feature);
        let speaker = self
            .read
            .choice("from", &raw.from, &Speaker::ALL.map(|s| (s.name(), s)));
        let pattern = Pattern::parse(raw.pattern.get_ref());
        if let Err(problem) = &pattern {
            self.read
                .wrong(raw.pattern.span(), "not a pattern", *problem);
        }
        let in_http = raw.in_http.as_ref().is_some_and(|it| *it.get_ref());
        if in_http && speaker == Some(Speaker::Server) {
            let span = raw.in_http.as_ref().map_or(raw.id.span(), Spanned::span);
            self.read.wrong(
                span,
                "a server asks nothing",
                "requests are a client's: leave this out",
            );
            return None;
        }
        let source = self.read.source(&raw.source);
        let note = raw.note.as_ref().map(|text| self.read.text(text));
        Some(SignatureRule {
            id: id?,
            feature: feature?,
            speaker: speaker?,
            pattern: pattern.ok()?,
            in_http,
            source: source?,
            note: optional(note)?,
            origin: self.read.file.origin(raw.id.span().start),
        })
    }

    pub(super) fn fact_id(&mut self, service: &Service, id: &Spanned<String>) -> Option<String> {
        let text = id.get_ref();
        let own = text
            .strip_prefix(service.id())
            .and_then(|rest| rest.strip_prefix('/'));
        let shaped = text.len() <= MAX_FACT_ID
            && own.is_some_and(|own| !own.is_empty() && own.chars().all(is_id_char));
        if !shaped {
            let message = format!(
                "`{}` cannot name a fact of `{service}`",
                text.escape_debug()
            );
            let label = format!("`{service}/` and lower-case letters, digits and '-'");
            self.read.wrong(id.span(), message, label);
            return None;
        }
        let here = self.read.file.origin(id.span().start).to_string();
        if let Some(first) = self.seen.facts.get(text) {
            let label = format!("first used at {first}");
            self.read
                .wrong(id.span(), format!("the id `{text}` is used twice"), label);
            return None;
        }
        self.seen.facts.insert(text.clone(), here);
        Some(text.clone())
    }

    /// A port that others own makes no guess; neither does half the port space.
    fn hint(&mut self, raw: &RawPort, ports: Option<PortRange>) -> Option<bool> {
        let wide = ports.is_some_and(|ports| ports.count() > MAX_HINT_PORTS);
        let Some(hint) = &raw.hint else {
            return Some(raw.shared_with.is_none() && !wide);
        };
        if *hint.get_ref() && raw.shared_with.is_some() {
            self.read.wrong(
                hint.span(),
                "a port that others own cannot be a hint",
                "leave out `hint` or `shared_with`",
            );
            return None;
        }
        if *hint.get_ref() && wide {
            let label = format!("at most {MAX_HINT_PORTS} ports");
            self.read
                .wrong(hint.span(), "so wide a range cannot be a hint", label);
            return None;
        }
        Some(*hint.get_ref())
    }

    fn host(&mut self, service: &Service, raw: &RawHost) -> Option<HostRule> {
        let name = self.read.host_name(&raw.name);
        let matching = self.read.choice(
            "match",
            &raw.matching,
            &[("exact", HostMatch::Exact), ("suffix", HostMatch::Suffix)],
        );
        let feature = self.read.feature(&raw.feature);
        let usage = self.read.choice(
            "use",
            &raw.usage,
            &[
                ("exclusive", HostUse::Exclusive),
                ("shared", HostUse::Shared),
            ],
        );
        let source = self.read.source(&raw.source);
        let reference = raw.reference.as_ref().map(|text| self.read.text(text));
        let note = raw.note.as_ref().map(|text| self.read.text(text));
        let (name, matching, usage) = (name?, matching?, usage?);
        self.host_once(service, raw, &name, matching, usage)?;
        Some(HostRule {
            name,
            matching,
            feature: feature?,
            usage,
            source: source?,
            reference: optional(reference)?,
            note: optional(note)?,
            origin: self.read.file.origin(raw.name.span().start),
        })
    }

    /// A host is stated once; only what is shared may be stated by several messengers.
    fn host_once(
        &mut self,
        service: &Service,
        raw: &RawHost,
        name: &str,
        matching: HostMatch,
        usage: HostUse,
    ) -> Option<()> {
        let here = self.read.file.origin(raw.name.span().start).to_string();
        let key = (name.to_owned(), matching.name());
        match self.seen.hosts.get(&key) {
            None => {
                self.seen.hosts.insert(key, (here, usage, service.clone()));
                Some(())
            }
            Some((_, HostUse::Shared, other)) if usage == HostUse::Shared && other != service => {
                Some(())
            }
            Some((first, _, _)) => {
                let label = format!("first named at {first}");
                self.read.wrong(
                    raw.name.span(),
                    format!("the host {name} is named twice"),
                    label,
                );
                None
            }
        }
    }
}
