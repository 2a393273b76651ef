//! What each target can do of a plan: nothing of it is left out in silence.

use super::{Plan, Target};
use std::net::IpAddr;

/// How well a target can say something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Can {
    /// As it is meant.
    Exact,
    /// Something near it.
    Weaker(&'static str),
    /// Not at all.
    Impossible(&'static str),
}

/// What a target makes of one part of a plan.
#[derive(Clone, Debug)]
pub struct Capability {
    /// The part: `ports`, `*.msg.yahoo.com`.
    pub what: String,
    /// How well.
    pub can: Can,
}

impl Capability {
    /// One line for a reader, if there is anything to say.
    pub fn words(&self) -> Option<String> {
        match self.can {
            Can::Exact => None,
            Can::Weaker(why) => Some(format!("{}: weaker, {why}", self.what)),
            Can::Impossible(why) => Some(format!("{}: not here, {why}", self.what)),
        }
    }
}

/// What this target makes of the plan, part by part.
pub fn capabilities(plan: &Plan, target: Target) -> Vec<Capability> {
    let mut all = Vec::new();
    let mut say = |what: String, can: Can| all.push(Capability { what, can });
    for group in &plan.groups {
        let ports: Vec<String> = group
            .ports
            .iter()
            .map(|ports| format!("{} {}", ports.transport.name(), ports.range))
            .collect();
        let owners: Vec<&str> = group
            .services
            .iter()
            .map(crate::model::Service::id)
            .collect();
        let what = format!(
            "{} {} ({})",
            owners.join(", "),
            group.feature,
            ports.join(", ")
        );
        say(what, port(target));
    }
    for seen in plan.seen.iter().flat_map(|group| &group.seen) {
        let what = format!("{} {}", seen.transport.name(), seen.server);
        say(
            what,
            match (&seen.opening, target) {
                (_, Target::Iptables) if seen.server.ip.is_ipv6() => Can::Impossible("IPv4 only"),
                (_, Target::Ip6tables) if seen.server.ip.is_ipv4() => Can::Impossible("IPv6 only"),
                (None, _) => port(target),
                (Some(_), _) => opening(target, seen.server.ip),
            },
        );
    }
    for host in &plan.hosts {
        say(host.name.clone(), name(target, host.name.starts_with("*.")));
    }
    all
}

/// Whether this target can say nothing at all of what the plan wants closed.
pub fn closes_nothing(plan: &Plan, target: Target) -> bool {
    capabilities(plan, target)
        .iter()
        .all(|it| matches!(it.can, Can::Impossible(_)))
}

const fn port(target: Target) -> Can {
    match target {
        Target::Nftables | Target::IptablesScript | Target::Suricata => Can::Exact,
        Target::Iptables => Can::Weaker("IPv4 only, ip6tables needs a file of its own"),
        Target::Ip6tables => Can::Weaker("IPv6 only, iptables needs a file of its own"),
        Target::Squid => Can::Weaker("only what asks this proxy for a tunnel"),
        Target::Rpz | Target::Unbound | Target::Dnsmasq | Target::Hosts => {
            Can::Impossible("names are all that a resolver knows")
        }
    }
}

const fn opening(target: Target, ip: IpAddr) -> Can {
    match (target, ip) {
        (Target::Suricata, _) => Can::Exact,
        (Target::Nftables, _) | (Target::Iptables | Target::IptablesScript, IpAddr::V4(_)) => {
            Can::Weaker("a request that is cut into several segments passes")
        }
        (Target::Iptables | Target::Ip6tables | Target::IptablesScript, _) => Can::Weaker(
            "a request that is cut into several segments passes, and so does one behind IPv6 extension headers",
        ),
        (target, _) => port(target),
    }
}

const fn name(target: Target, below: bool) -> Can {
    match (target, below) {
        (Target::Rpz | Target::Squid | Target::Suricata, _)
        | (Target::Unbound | Target::Dnsmasq, true)
        | (Target::Hosts, false) => Can::Exact,
        (Target::Unbound | Target::Dnsmasq, false) => {
            Can::Weaker("names below it are refused as well")
        }
        (Target::Hosts, true) => Can::Impossible("a hosts file knows no names below a name"),
        _ => Can::Impossible("a packet filter knows addresses, not names"),
    }
}
