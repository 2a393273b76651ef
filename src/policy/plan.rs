//! The plan: normalised, sorted, explained. The only thing renderers see.

use super::conflict::{self, Shadowed};
use super::groups::{disjoint, group};
use super::hello;
use super::named::{self, Places};
use super::observed::{self, SeenGroup, Sightings, Unseen};
use super::request::Selected;
use super::safety::{self, Judgement};
use super::signature::{self, SignatureGroup};
use super::{
    Action, CustomRule, Exception, Hook, Interfaces, Mark, Place, PlanError, Profile, Request,
    Target, Touched, User, Who, scope,
};
use crate::model::{Service, Transport};
use crate::ruleset::{Feature, HostRule, HostUse, Messenger, PortRange, RuleSet, Source, Speaker};
use ipnet::IpNet;
use jiff::civil::Date;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The fact behind a closed port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// What it serves; first, so that the plainest use of a port names its group.
    pub feature: Feature,
    /// Whose it is.
    pub service: Service,
    /// Who says so; the most trusted first.
    pub source: Source,
    /// The fact's id.
    pub id: String,
    /// What closing it promises, or cannot do.
    pub note: Option<String>,
}

/// Ports to close. No port is in two of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports {
    /// TCP or UDP.
    pub transport: Transport,
    /// Which.
    pub range: PortRange,
    /// Every fact that names them, at least one.
    pub owners: Vec<Owner>,
}

/// Ports that are counted together: one feature, of one messenger or of several that share the port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What they serve.
    pub feature: Feature,
    /// Whose they are.
    pub services: Vec<Service>,
    /// The ports, in order.
    pub ports: Vec<Ports>,
}

/// A host to deny, by a resolver or proxy: a packet filter knows no names.
#[derive(Clone, Debug)]
pub struct HostDeny {
    /// Whose it is.
    pub service: Service,
    /// `login.icq.com` or `*.msg.yahoo.com`.
    pub name: String,
    /// Who says so.
    pub source: Source,
    /// What denying it promises.
    pub note: Option<String>,
}

/// Host names that are counted together: by their addresses, once a resolver has told them, or by the hellos for them.
#[derive(Clone, Debug)]
pub struct NameGroup {
    /// The messenger's id, or the id of a rule of one's own.
    pub id: String,
    /// The names: none is below another.
    pub names: Vec<HostDeny>,
    /// Only these ports; all of TCP and UDP, if `None`.
    pub ports: Option<(Transport, PortRange)>,
    /// It is a rule of one's own.
    pub custom: bool,
}

/// A known port that stays open.
#[derive(Clone, Debug)]
pub struct LeftOut {
    /// The fact's id.
    pub id: String,
    /// TCP or UDP.
    pub transport: Transport,
    /// Which ports.
    pub range: PortRange,
    /// Who says so.
    pub source: Source,
    /// Why.
    pub reason: String,
}

/// What will be closed, how, and what will not.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Ids and names of the messengers that it is about.
    pub messengers: Vec<(Service, String)>,
    /// The features asked for; empty for all.
    pub chosen: Vec<String>,
    /// Which facts were taken.
    pub profile: Profile,
    /// Where, in order, each once.
    pub hooks: Vec<Hook>,
    /// How.
    pub action: Action,
    /// Clients that it is about; none for all. No network is inside another.
    pub sources: Vec<IpNet>,
    /// Hosts and networks that are left alone. No network is inside another.
    pub exceptions: Vec<IpNet>,
    /// Users of this machine who are left alone in what they open.
    pub users: Vec<User>,
    /// Which way connections take that are judged.
    pub interfaces: Interfaces,
    /// Why some are left alone.
    pub reasons: Vec<Exception>,
    /// Rules of one's own with an address or a port; the narrower first, and all before the tables'.
    pub custom: Vec<CustomRule>,
    /// Names that sets are kept of.
    pub names: Vec<NameGroup>,
    /// What connections open with.
    pub signatures: Vec<SignatureGroup>,
    /// Names that TLS clients ask for (SNI).
    pub sni: Vec<NameGroup>,
    /// Hosts that serve others too, below names of the messengers.
    pub spared: Vec<String>,
    /// Those of them that whoever knows names does not refuse: no rule of one's own is about them.
    pub passed: Vec<String>,
    /// What a connection that opened so is marked with.
    pub mark: Mark,
    /// The NFLOG group that refusals are told to.
    pub log: Option<u16>,
    /// What is closed.
    pub groups: Vec<Group>,
    /// Endpoints that messengers were seen at.
    pub seen: Vec<SeenGroup>,
    /// Flows that were seen and for which there is no rule.
    pub unseen: Vec<Unseen>,
    /// What a resolver should deny as well.
    pub hosts: Vec<HostDeny>,
    /// What stays open although a messenger uses it.
    pub left_out: Vec<LeftOut>,
    /// Features that were asked for, but have nothing to close in this profile.
    pub idle: Vec<String>,
    /// What no rule of this kind can stop.
    pub limits: Vec<String>,
    /// Rules and exceptions that are over, and were left out.
    pub expired: Vec<String>,
    /// Rules of one's own that end, and their last day.
    pub ends: Vec<(String, Date)>,
    /// Rules that never decide, and those that do so before them.
    pub shadowed: Vec<Shadowed>,
    /// How many flows of others were seen.
    pub others: u64,
    /// Each rule of a packet filter, and how many of them it would touch.
    pub touched: Vec<(String, Touched)>,
    /// The same of each name in `hosts`.
    pub denied: Vec<(String, Touched)>,
    /// What else is to be known: ports that messengers share, what `--force` overrode.
    pub notes: Vec<String>,
}

impl Group {
    /// Every fact behind it, each once, in order.
    pub fn owners(&self) -> Vec<&Owner> {
        let mut owners: Vec<_> = self.ports.iter().flat_map(|ports| &ports.owners).collect();
        owners.sort_unstable();
        owners.dedup();
        owners
    }
}

impl Plan {
    /// Plans a request; the same request and rules always give the same plan.
    pub fn new(rules: &RuleSet, request: &Request) -> Result<Self, PlanError> {
        Self::observing(rules, request, &Sightings::default())
    }

    /// [`Plan::new`], with rules against what was seen as well.
    pub fn observing(
        rules: &RuleSet,
        request: &Request,
        sightings: &Sightings,
    ) -> Result<Self, PlanError> {
        if request.hooks.is_empty() {
            return Err(PlanError::NoHook);
        }
        let selected = request.select(rules)?;
        let mut facts = Vec::new();
        let mut left_out = Vec::new();
        let mut refused = Vec::new();
        for Selected {
            messenger,
            features,
        } in &selected
        {
            for rule in &messenger.ports {
                if !features.contains(&rule.feature) || !request.profile.takes(rule.source) {
                    continue;
                }
                match safety::judge(rule) {
                    Ok(Judgement::Close) => facts.push(Ports {
                        transport: rule.transport,
                        range: rule.ports,
                        owners: vec![Owner {
                            feature: rule.feature,
                            service: messenger.service.clone(),
                            id: rule.id.clone(),
                            source: rule.source,
                            note: rule.note.clone(),
                        }],
                    }),
                    Ok(Judgement::LeaveOpen(reason)) => left_out.push(LeftOut {
                        id: rule.id.clone(),
                        transport: rule.transport,
                        range: rule.ports,
                        source: rule.source,
                        reason,
                    }),
                    Err(refusal) => refused.push(refusal),
                }
            }
        }
        if !refused.is_empty() {
            return Err(PlanError::Unsafe(refused));
        }
        if !request.matching.ports {
            facts.clear();
            left_out.clear();
        }
        let asked = |service: &Service, feature| wanted(&selected, request, service, feature);
        let places = named::places(sightings, rules, asked);
        let (seen, mut unseen) = observed::groups(sightings, places.seen, asked);
        unseen.extend(places.unseen);
        let mut hooks = request.hooks.clone();
        hooks.sort_unstable();
        hooks.dedup();
        let named = |messenger: &Messenger| (messenger.service.clone(), messenger.name.clone());
        let over = |until| scope::is_over(until, request.as_of);
        let (ended, mut rules_of_ones_own): (Vec<_>, Vec<_>) = request
            .rules
            .iter()
            .cloned()
            .partition(|rule| over(rule.until));
        let (no_longer, reasons): (Vec<_>, Vec<_>) = request
            .dated_exceptions
            .iter()
            .cloned()
            .partition(|exception| over(exception.until));
        rules_of_ones_own.sort_by(|a, b| a.width().cmp(&b.width()));
        let mut hosts = hosts(request, &selected);
        let of_messengers = names_of(&hosts);
        let by_port = Places::add_to(&mut hosts, places.hosts);
        let spared = hello::shared_below(&hosts, rules);
        let of_messengers = [of_messengers, by_port].concat();
        let sni = hello::groups(request, &rules_of_ones_own, of_messengers.clone());
        let mut names = of_messengers;
        names.retain(|_| request.matching.names);
        for rule in &rules_of_ones_own {
            names_of_ones_own(rule, request, &mut hosts, &mut names);
        }
        let custom = rules_of_ones_own
            .iter()
            .filter(|rule| rule.place.host().is_none());
        let exceptions: Vec<IpNet> = request
            .exceptions
            .iter()
            .copied()
            .chain(reasons.iter().flat_map(|exception| exception.who.nets()))
            .collect();
        let mut users: Vec<User> = reasons
            .iter()
            .filter_map(|exception| match &exception.who {
                Who::User(user) => Some(user.clone()),
                _ => None,
            })
            .collect();
        users.sort_unstable();
        users.dedup();
        let signatures = if request.matching.signatures {
            signature::groups(&selected)
        } else {
            Vec::new()
        };
        let mut plan = Self {
            messengers: selected
                .iter()
                .map(|selected| named(selected.messenger))
                .collect(),
            chosen: request.features.iter().map(ToString::to_string).collect(),
            profile: request.profile,
            hooks,
            action: request.action,
            sources: IpNet::aggregate(&request.sources),
            exceptions: IpNet::aggregate(&exceptions),
            users,
            interfaces: request.interfaces.clone(),
            reasons,
            idle: idle(request, &selected, &facts, &signatures),
            ends: rules_of_ones_own
                .iter()
                .filter_map(|rule| Some((rule.id.clone(), rule.until?)))
                .collect(),
            custom: custom.cloned().collect(),
            names,
            signatures,
            sni,
            passed: passed(&spared, &rules_of_ones_own),
            spared,
            mark: request.mark,
            log: request.log,
            groups: group(disjoint(&facts)),
            seen,
            unseen,
            hosts,
            left_out,
            limits: selected
                .iter()
                .flat_map(|s| s.messenger.limits.iter().cloned())
                .collect(),
            expired: ended
                .iter()
                .map(|rule| conflict::ended(&rule.id, &rule.words(), rule.until))
                .chain(
                    no_longer
                        .iter()
                        .map(|it| conflict::ended("exception", &it.who.to_string(), it.until)),
                )
                .collect(),
            shadowed: Vec::new(),
            others: sightings.others.count(),
            touched: Vec::new(),
            denied: Vec::new(),
            notes: Vec::new(),
        };
        plan.keep_safe(rules, request, &rules_of_ones_own)?;
        hello::keep_shared(&mut plan);
        let shadowed = hello::settle(&mut plan);
        if !plan.sni.is_empty() {
            plan.limits.push(hello::LIMIT.to_owned());
        }
        plan.weigh(sightings);
        plan.shadowed = conflict::shadowed(&plan);
        plan.shadowed.extend(shadowed);
        plan.notes.extend(conflict::shared(&plan, rules));
        Ok(plan)
    }

    /// Whether nothing at all will be closed.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
            && self.seen.is_empty()
            && self.custom.is_empty()
            && self.names.is_empty()
            && self.signatures.is_empty()
            && self.sni.is_empty()
    }

    /// Whether connections are marked, so that the rest of them can be refused.
    pub fn marks(&self) -> bool {
        (!self.signatures.is_empty() || !self.sni.is_empty()) && self.action != Action::Log
    }

    /// The same, by this target: names in hellos are nothing to one that does not search.
    pub(super) fn marks_in(&self, target: Target) -> bool {
        self.marks() && (target.searches() || !self.signatures.is_empty())
    }

    /// Whether what somebody says is looked at, by a firewall that finds names in hellos.
    pub(super) fn listens_to(&self, speaker: Speaker) -> bool {
        self.said_by(speaker).next().is_some() || speaker == Speaker::Client && !self.sni.is_empty()
    }

    /// What somebody says first, for a rule about it.
    pub(super) fn said_by(
        &self,
        speaker: Speaker,
    ) -> impl Iterator<Item = (usize, &signature::Signature)> {
        self.signatures
            .iter()
            .enumerate()
            .flat_map(move |(at, group)| {
                let said = group
                    .signatures
                    .iter()
                    .filter(move |it| it.speaker == speaker);
                said.map(move |it| (at, it))
            })
    }

    /// Whether clients at this address are meant.
    pub fn is_about(&self, ip: IpAddr) -> bool {
        self.sources.is_empty() || self.sources.iter().any(|net| net.contains(&ip))
    }

    /// Whether this address is left alone.
    pub fn leaves_alone(&self, ip: IpAddr) -> bool {
        self.exceptions.iter().any(|net| net.contains(&ip))
    }

    /// All ports of one transport, in order.
    pub(super) fn ports(&self, transport: Transport) -> Vec<(&Group, &Ports)> {
        let mut all: Vec<_> = self
            .groups
            .iter()
            .flat_map(|group| group.ports.iter().map(move |ports| (group, ports)))
            .filter(|(_, ports)| ports.transport == transport)
            .collect();
        all.sort_by_key(|(_, ports)| ports.range);
        all
    }
}

/// Whether what was seen of a messenger is asked for.
fn wanted(
    selected: &[Selected<'_>],
    request: &Request,
    service: &Service,
    feature: Feature,
) -> bool {
    // AIM or ICQ, and nobody knows which.
    let family = service.id() == "oscar";
    let named = |messenger: &Messenger| {
        messenger.service == *service || family && messenger.service.is_oscar_family()
    };
    if request.features.is_empty() {
        return request.services.is_empty() || selected.iter().any(|it| named(it.messenger));
    }
    selected.iter().any(|it| {
        named(it.messenger)
            && (it.features.contains(&feature) || it.features.contains(&Feature::Everything))
    })
}

fn hosts(request: &Request, selected: &[Selected<'_>]) -> Vec<HostDeny> {
    let mut hosts = Vec::new();
    for it in selected {
        hosts.extend(exclusive(request, it).map(|host| HostDeny {
            service: it.messenger.service.clone(),
            name: host.to_string(),
            source: host.source,
            note: host.note.clone(),
        }));
    }
    hosts
}

/// Hosts of what was asked for that serve nothing else.
fn exclusive<'a>(
    request: &'a Request,
    selected: &'a Selected<'_>,
) -> impl Iterator<Item = &'a HostRule> {
    selected.messenger.hosts.iter().filter(|host| {
        host.usage == HostUse::Exclusive
            && selected.features.contains(&host.feature)
            && request.profile.takes(host.source)
    })
}

/// Shared hosts, less those that rules of one's own refuse.
fn passed(spared: &[String], own: &[CustomRule]) -> Vec<String> {
    let refused = |name: &&String| {
        let mut whole = own.iter().filter(|rule| rule.ports.is_none());
        whole.any(|rule| {
            let its = rule.place.to_string();
            matches!(rule.place, Place::Name { .. })
                && (its == **name || hello::takes_in(&its, name))
        })
    };
    let all = spared.iter();
    all.filter(|name| !refused(name)).cloned().collect()
}

/// The names of each messenger that a resolver would refuse.
fn names_of(hosts: &[HostDeny]) -> Vec<NameGroup> {
    let mut groups: Vec<NameGroup> = Vec::new();
    for host in hosts {
        let id = host.service.id();
        match groups.iter_mut().find(|group| group.id == id) {
            Some(group) => group.names.push(host.clone()),
            None => groups.push(NameGroup {
                id: id.to_owned(),
                names: vec![host.clone()],
                ports: None,
                custom: false,
            }),
        }
    }
    groups
}

/// A name of one's own: for a resolver if it is meant as a whole, and for a set if ports of it are meant or sets are kept.
fn names_of_ones_own(
    rule: &CustomRule,
    request: &Request,
    hosts: &mut Vec<HostDeny>,
    names: &mut Vec<NameGroup>,
) {
    let Place::Name { .. } = &rule.place else {
        return;
    };
    let host = HostDeny {
        service: Service::named(rule.id.clone()),
        name: rule.place.to_string(),
        source: Source::Site,
        note: Some(rule.reason.clone()),
    };
    if rule.ports.is_none() {
        hosts.push(host.clone());
    }
    if rule.ports.is_some() || request.matching.names {
        names.push(NameGroup {
            id: rule.id.clone(),
            names: vec![host],
            ports: rule.ports,
            custom: true,
        });
    }
}

/// What was asked for by name and gives no rule: said aloud, never dropped in silence.
fn idle(
    request: &Request,
    selected: &[Selected<'_>],
    facts: &[Ports],
    signatures: &[SignatureGroup],
) -> Vec<String> {
    if request.features.is_empty() {
        return Vec::new();
    }
    let by_port = facts.iter().flat_map(|ports| &ports.owners);
    let by_content = signatures.iter().flat_map(SignatureGroup::owners);
    let mut closed: BTreeSet<_> = by_port
        .chain(by_content)
        .map(|owner| (owner.service.id(), owner.feature))
        .collect();
    if request.matching.names || request.matching.sni {
        closed.extend(selected.iter().flat_map(|it| {
            let id = it.messenger.service.id();
            exclusive(request, it).map(move |host| (id, host.feature))
        }));
    }
    let mut idle = Vec::new();
    for Selected {
        messenger,
        features,
    } in selected
    {
        // Asked for as a whole, a messenger need not have a rule for each single feature.
        if features.contains(&Feature::Everything) {
            continue;
        }
        let id = messenger.service.id();
        let without = features
            .iter()
            .filter(|&&feature| !closed.contains(&(id, feature)));
        idle.extend(without.map(|feature| format!("{id}:{feature}")));
    }
    idle
}
