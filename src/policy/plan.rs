//! The plan: normalised, sorted, explained. The only thing renderers see.

use super::observed::{self, SeenGroup, Sightings, Unseen};
use super::request::Selected;
use super::safety::{self, Judgement};
use super::{Action, Hook, PlanError, Profile, Request};
use crate::model::{Service, Transport};
use crate::ruleset::{Feature, HostUse, Messenger, PortRange, RuleSet, Source};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
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
        let (seen, unseen) = observed::groups(sightings, |service, feature| {
            wanted(&selected, request, service, feature)
        });
        let mut hooks = request.hooks.clone();
        hooks.sort_unstable();
        hooks.dedup();
        let named = |messenger: &Messenger| (messenger.service.clone(), messenger.name.clone());
        Ok(Self {
            messengers: selected
                .iter()
                .map(|selected| named(selected.messenger))
                .collect(),
            chosen: request.features.iter().map(ToString::to_string).collect(),
            profile: request.profile,
            hooks,
            action: request.action,
            sources: IpNet::aggregate(&request.sources),
            exceptions: IpNet::aggregate(&request.exceptions),
            idle: idle(request, &selected, &facts),
            groups: group(disjoint(&facts)),
            seen,
            unseen,
            hosts: hosts(request, &selected),
            left_out,
            limits: selected
                .iter()
                .flat_map(|s| s.messenger.limits.iter().cloned())
                .collect(),
        })
    }

    /// Whether nothing at all will be closed.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.seen.is_empty()
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
    for Selected {
        messenger,
        features,
    } in selected
    {
        let wanted = messenger.hosts.iter().filter(|host| {
            host.usage == HostUse::Exclusive
                && features.contains(&host.feature)
                && request.profile.takes(host.source)
        });
        hosts.extend(wanted.map(|host| HostDeny {
            service: messenger.service.clone(),
            name: host.to_string(),
            source: host.source,
            note: host.note.clone(),
        }));
    }
    hosts
}

/// What was asked for by name and gives no rule: said aloud, never dropped in silence.
fn idle(request: &Request, selected: &[Selected<'_>], facts: &[Ports]) -> Vec<String> {
    if request.features.is_empty() {
        return Vec::new();
    }
    let closed: BTreeSet<_> = facts
        .iter()
        .flat_map(|ports| {
            ports
                .owners
                .iter()
                .map(|owner| (owner.service.id(), owner.feature))
        })
        .collect();
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

/// Cuts overlapping facts at each other's borders, so that every port stands in one place with all its owners.
fn disjoint(facts: &[Ports]) -> Vec<Ports> {
    let mut result = Vec::new();
    for transport in [Transport::Tcp, Transport::Udp] {
        let facts: Vec<_> = facts
            .iter()
            .filter(|fact| fact.transport == transport)
            .collect();
        let starts = facts.iter().map(|fact| u32::from(fact.range.first()));
        let ends = facts.iter().map(|fact| u32::from(fact.range.last()) + 1);
        let borders: BTreeSet<u32> = starts.chain(ends).collect();
        let pairs = borders.iter().zip(borders.iter().skip(1));
        for (&from, &to) in pairs {
            let bounds = (u16::try_from(from), u16::try_from(to.saturating_sub(1)));
            let (Ok(first), Ok(last)) = bounds else {
                continue;
            };
            let Some(range) = PortRange::new(first, last) else {
                continue;
            };
            let here = facts.iter().filter(|fact| fact.range.contains(first));
            let owners: BTreeSet<_> = here.flat_map(|fact| fact.owners.iter().cloned()).collect();
            if !owners.is_empty() {
                result.push(Ports {
                    transport,
                    range,
                    owners: owners.into_iter().collect(),
                });
            }
        }
    }
    result
}

/// One group for each feature and the messengers that share its ports.
fn group(ports: Vec<Ports>) -> Vec<Group> {
    let mut groups: BTreeMap<(Vec<Service>, Feature), Vec<Ports>> = BTreeMap::new();
    for ports in ports {
        let Some(feature) = ports.owners.first().map(|owner| owner.feature) else {
            continue;
        };
        let sharing = ports.owners.iter().filter(|owner| owner.feature == feature);
        let mut services: Vec<_> = sharing.map(|owner| owner.service.clone()).collect();
        services.dedup();
        groups.entry((services, feature)).or_default().push(ports);
    }
    let group = |((services, feature), ports)| Group {
        feature,
        services,
        ports,
    };
    let mut groups: Vec<_> = groups.into_iter().map(group).collect();
    // A messenger's groups stand together, its session first.
    groups.sort_by(|a, b| {
        let key = |group: &Group| (group.services.first().cloned(), group.feature);
        key(a)
            .cmp(&key(b))
            .then_with(|| a.services.cmp(&b.services))
    });
    groups
}
