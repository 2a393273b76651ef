//! Places that messengers' flows name for others: servers of redirects, endpoints of offers between users. Nobody need have been seen
//! to go there, so that all that is known is what was said; what could be anybody's gives no rule, and that is said.

use super::observed::{Opening, Seen, Sightings, Unseen, plain};
use super::plan::{HostDeny, NameGroup};
use super::{hello, safety};
use crate::model::{Endpoint, Service, Target, Transport};
use crate::ruleset::{Feature, HostUse, PortRange, RuleSet, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A place that a messenger's flow names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// The messenger.
    pub service: Service,
    /// What will go there.
    pub feature: Feature,
    /// Where.
    pub address: Address,
    /// What connections to it open with, as far as their format says.
    pub openings: Vec<Opening>,
    /// Where it was named: `flow 17 of office.pcap`.
    pub place: String,
}

/// An address or a host name, with the port that goes with it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Address {
    /// An address.
    At(Endpoint),
    /// A host name.
    Host(String, u16),
}

impl Address {
    /// From the words of a record; a port that they lack is that of the flow's server.
    pub fn parse(text: &str, port: u16) -> Option<Self> {
        Some(match Target::parse(text)? {
            Target::Address(ip, its) => Self::At(Endpoint::new(ip, its.unwrap_or(port))),
            Target::Host(name, its) => Self::Host(name, its.unwrap_or(port)),
        })
    }

    const fn port(&self) -> u16 {
        match self {
            Self::At(at) => at.port,
            Self::Host(_, port) => *port,
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::At(at) => at.fmt(f),
            Self::Host(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

/// What a client says first to such a server; nothing where the server speaks first, or where others say the same.
pub fn openings_of(app_proto: &str, role: &str) -> Vec<Opening> {
    let said: &[&[u8]] = match (app_proto, role) {
        ("oscar", _) => return vec![Opening::flap()],
        ("ymsg", _) => &[b"YMSG"],
        ("msnp", "switchboard") => &[b"ANS ", b"USR "],
        ("msnp", _) => &[b"VER "],
        _ => &[],
    };
    said.iter().map(|bytes| Opening::prefix(bytes)).collect()
}

/// Endpoints to close and host names to refuse, and what is left without a rule.
#[derive(Default)]
pub(super) struct Places {
    pub seen: Vec<(Service, Feature, Seen)>,
    /// Each with the port that goes with it.
    pub hosts: Vec<(HostDeny, u16)>,
    pub unseen: Vec<Unseen>,
}

impl Places {
    /// Adds the hosts that are not refused already, and gives their names for who knows ports as well.
    pub fn add_to(hosts: &mut Vec<HostDeny>, named: Vec<(HostDeny, u16)>) -> Vec<NameGroup> {
        let mut groups = Vec::new();
        for (host, port) in named {
            let known =
                |it: &HostDeny| it.name == host.name || hello::takes_in(&it.name, &host.name);
            if hosts.iter().any(known) {
                continue;
            }
            hosts.push(host.clone());
            groups.extend(PortRange::new(port, port).map(|range| NameGroup {
                id: host.service.id().to_owned(),
                names: vec![host],
                ports: Some((Transport::Tcp, range)),
                custom: false,
            }));
        }
        groups
    }
}

/// What comes of everything that was named and that messengers were not seen at.
pub(super) fn places(
    sightings: &Sightings,
    rules: &RuleSet,
    wanted: impl Fn(&Service, Feature) -> bool,
) -> Places {
    let flows = sightings.flows.iter();
    let met: BTreeSet<Endpoint> = flows
        .filter(|flow| flow.transport == Transport::Tcp)
        .map(|flow| flow.server)
        .collect();
    let mut all: BTreeMap<(&Service, Feature, &Address), &Named> = BTreeMap::new();
    for named in &sightings.named {
        let known = matches!(&named.address, Address::At(at) if met.contains(at));
        if !known && wanted(&named.service, named.feature) {
            let key = (&named.service, named.feature, &named.address);
            all.entry(key).or_insert(named);
        }
    }
    let mut places = Places::default();
    for named in all.into_values() {
        let refused = match &named.address {
            Address::At(at) => place(named, *at, sightings, &mut places.seen),
            Address::Host(name, _) if sightings.others.ask_for(name) => {
                Err("others were seen to go to it as well")
            }
            Address::Host(name, _) => host(named, name, rules, &mut places.hosts),
        };
        if let Err(reason) = refused {
            places.unseen.push(Unseen {
                place: named.place.clone(),
                service: named.service.clone(),
                server: named.address.to_string(),
                reason,
            });
        }
    }
    places
}

/// Closes an endpoint: as a whole, or where others are at home only for what opens as announced.
fn place(
    named: &Named,
    at: Endpoint,
    sightings: &Sightings,
    seen: &mut Vec<(Service, Feature, Seen)>,
) -> Result<(), &'static str> {
    if at.port == 0 {
        return Err("it was named without a port");
    }
    if let Some(reason) = nobodys(at.ip) {
        return Err(reason);
    }
    let used = sightings.others.are_at(Transport::Tcp, at);
    let everybodys = safety::protected(at.port).is_some();
    let openings = match (used || everybodys, named.openings.as_slice()) {
        (false, _) => vec![None],
        (true, [_, ..]) => named.openings.iter().cloned().map(Some).collect(),
        (true, []) if used => {
            return Err("others use the same address and port, and nothing tells how it begins");
        }
        (true, []) => {
            return Err(
                "its port is everybody's, nobody was seen to go there, and nothing tells how it begins",
            );
        }
    };
    for opening in openings {
        let one = Seen {
            transport: Transport::Tcp,
            server: at,
            opening,
            place: named.place.clone(),
            flows: 0,
        };
        seen.push((named.service.clone(), named.feature, one));
    }
    Ok(())
}

/// Has a name refused by whoever knows names.
fn host(
    named: &Named,
    name: &str,
    rules: &RuleSet,
    hosts: &mut Vec<(HostDeny, u16)>,
) -> Result<(), &'static str> {
    if !is_public(name) {
        return Err("this is no name of a host on the Internet");
    }
    let facts = rules.messengers().iter().flat_map(|it| &it.hosts);
    let mut shared = facts.filter(|fact| fact.usage == HostUse::Shared);
    let below = |fact: &str| {
        fact.strip_suffix(name)
            .is_some_and(|rest| rest.ends_with('.'))
    };
    if rules.is_shared_host(name) || shared.any(|fact| below(&fact.name)) {
        return Err("it serves others as well");
    }
    // What a rule file gives to a messenger alone may have any port.
    if rules.host(name).is_none() {
        if name.split('.').count() < 3 {
            return Err("this is a whole domain, and resolvers would refuse all that is below it");
        }
        if safety::protected(named.address.port()).is_some() {
            return Err("its port is everybody's, and a refused name has no ports");
        }
    }
    let host = HostDeny {
        service: named.service.clone(),
        name: name.to_owned(),
        source: Source::Observed,
        note: Some(plain(&format!("named in {}", named.place))),
    };
    hosts.push((host, named.address.port()));
    Ok(())
}

/// Why no rule is made of an address that somebody only named.
fn nobodys(ip: IpAddr) -> Option<&'static str> {
    let (private, nonsense) = match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let carriers = a == 100 && b & 0xC0 == 64;
            (
                ip.is_private() || ip.is_link_local() || carriers,
                a == 0 || a >= 224 || ip.is_loopback() || ip == Ipv4Addr::BROADCAST,
            )
        }
        IpAddr::V6(ip) => (
            ip.is_unique_local() || ip.is_unicast_link_local(),
            ip.is_multicast() || ip == Ipv6Addr::UNSPECIFIED || ip.is_loopback(),
        ),
    };
    if nonsense {
        Some("nobody can be reached at this address")
    } else if private {
        Some("a private address: here it may be anybody's, and nobody was seen to go there")
    } else {
        None
    }
}

/// Labels of a name that the whole world may know.
fn is_public(name: &str) -> bool {
    const LOCAL: [&str; 9] = [
        "arpa",
        "corp",
        "home",
        "internal",
        "invalid",
        "lan",
        "local",
        "localdomain",
        "localhost",
    ];
    let labels: Vec<&str> = name.split('.').collect();
    let good = |label: &&str| {
        let ends = label.starts_with('-') || label.ends_with('-');
        (1..=63).contains(&label.len()) && !ends
    };
    let top = labels.last().copied().unwrap_or_default();
    labels.len() >= 2
        && labels.iter().all(good)
        && !top.bytes().all(|byte| byte.is_ascii_digit())
        && !LOCAL.contains(&top)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::policy::{Other, OtherSource, Sighting, feature_of};

    fn other(server: &str, names: &[&str]) -> Other {
        let at: std::net::SocketAddr = server.parse().unwrap();
        Other {
            transport: Transport::Tcp,
            client: [10, 0, 0, 6].into(),
            server: Endpoint::new(at.ip(), at.port()),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    fn named(address: &str, app_proto: &str, role: &str) -> Named {
        Named {
            service: Service::AIM,
            feature: feature_of(app_proto),
            address: Address::parse(address, 443).unwrap(),
            openings: openings_of(app_proto, role),
            place: "flow 7 of made up.pcap".to_owned(),
        }
    }

    fn of(all: Vec<Named>, change: impl FnOnce(&mut Sightings)) -> Places {
        let mut sightings = Sightings {
            named: all,
            ..Sightings::default()
        };
        change(&mut sightings);
        places(&sightings, &RuleSet::builtin().unwrap(), |_, _| true)
    }

    fn one(address: &str, app_proto: &str) -> Places {
        of(vec![named(address, app_proto, "bos")], |_| {})
    }

    #[test]
    fn a_public_endpoint_is_closed_and_says_who_named_it() {
        for address in ["64.12.24.50:5191", "[2600::7]:9898"] {
            let places = one(address, "oscar");
            let (_, _, seen) = &places.seen[0];
            assert_eq!(
                (seen.server.to_string().as_str(), &seen.opening),
                (address, &None)
            );
            assert_eq!(seen.words(), "named in flow 7 of made up.pcap");
            assert!(places.unseen.is_empty() && places.hosts.is_empty());
        }
    }

    #[test]
    fn what_may_be_anybodys_or_nobodys_is_not_closed_and_said() {
        for (address, reason) in [
            ("10.0.0.5:5190", "a private address"),
            ("192.168.1.1:5190", "a private address"),
            ("100.64.3.4:5190", "a private address"),
            ("169.254.7.7:5190", "a private address"),
            ("[fd00::5]:5190", "a private address"),
            ("[::ffff:10.0.0.5]:5190", "a private address"),
            ("[fe80::1]:5190", "a private address"),
            ("0.0.0.0:5190", "nobody can be reached"),
            ("255.255.255.255:5190", "nobody can be reached"),
            ("127.0.0.1:5190", "nobody can be reached"),
            ("224.0.0.1:5190", "nobody can be reached"),
            ("[::1]:5190", "nobody can be reached"),
            ("64.12.24.50:0", "without a port"),
            ("localhost:5190", "no name of a host"),
            ("server:5190", "no name of a host"),
            ("bos.corp:5190", "no name of a host"),
            ("a..example.com:5190", "no name of a host"),
            ("bos.1.2:5190", "no name of a host"),
            ("example.com:5190", "a whole domain"),
            ("bos.example.com:443", "its port is everybody's"),
            ("www.slack.com:5190", "serves others as well"),
        ] {
            let places = one(address, "oscar");
            assert!(
                places.seen.is_empty() && places.hosts.is_empty(),
                "{address}"
            );
            let said = places.unseen[0].reason;
            assert!(said.contains(reason), "{address}: {said}");
        }
    }

    #[test]
    fn a_web_port_is_closed_only_for_what_opens_as_announced() {
        let places = one("64.12.24.50:443", "oscar");
        assert_eq!(places.seen[0].2.opening, Some(Opening::flap()));
        // Who offers a file there says nothing that tells.
        assert!(
            one("64.12.24.50:443", "oft").unseen[0]
                .reason
                .contains("its port is everybody's")
        );
        // A switchboard is greeted in two ways.
        let places = of(vec![named("64.12.24.50:80", "msnp", "switchboard")], |_| {});
        assert_eq!(places.seen.len(), 2);
    }

    #[test]
    fn where_others_were_seen_the_same_holds_and_where_messengers_were_seen_nothing_is_said_twice()
    {
        let at: std::net::SocketAddr = "64.12.24.50:5191".parse().unwrap();
        let at = Endpoint::new(at.ip(), at.port());
        let all = |proto| vec![named("64.12.24.50:5191", proto, "bos")];
        let others = |it: &mut Sightings| {
            let other = other("64.12.24.50:5191", &[]);
            it.others.add(other, OtherSource::Capture);
        };
        assert_eq!(
            of(all("oscar"), others).seen[0].2.opening,
            Some(Opening::flap())
        );
        assert!(
            of(all("oft"), others).unseen[0]
                .reason
                .contains("others use")
        );
        let places = of(all("oscar"), |it| {
            it.flows.push(Sighting {
                service: Service::AIM,
                feature: Feature::Session,
                transport: Transport::Tcp,
                client: Endpoint::new([10, 0, 0, 5].into(), 50_000),
                server: at,
                proxied: false,
                opening: None,
                place: "made up.pcap, flow 8".into(),
            });
        });
        assert!(places.seen.is_empty() && places.unseen.is_empty());
    }

    #[test]
    fn a_host_name_is_for_those_who_know_names() {
        let places = one("bos-d1.example.com:5190", "oscar");
        let (host, port) = &places.hosts[0];
        assert_eq!((host.name.as_str(), *port), ("bos-d1.example.com", 5190));
        assert_eq!(
            host.note.as_deref(),
            Some("named in flow 7 of made up.pcap")
        );
        // Where others go as well it is not refused.
        let places = of(
            vec![named("bos-d1.example.com:5190", "oscar", "bos")],
            |it| {
                let other = other("192.0.2.80:80", &["bos-d1.example.com"]);
                it.others.add(other, OtherSource::Capture);
            },
        );
        assert!(places.hosts.is_empty());
        assert!(
            places.unseen[0]
                .reason
                .contains("others were seen to go to it")
        );
        // A name that the rule files give to a messenger alone may have the web's port.
        assert_eq!(
            one("gateway.messenger.hotmail.com", "msn-http").hosts.len(),
            1
        );
    }
}
