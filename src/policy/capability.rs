//! What each target can do of a plan: nothing of it is left out in silence.

use super::{Action, CustomRule, Hook, HostDeny, NameGroup, Place, Plan, Target, Who, hello};
use crate::model::Service;
use crate::ruleset::Speaker;
use std::net::{IpAddr, Ipv4Addr};

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
    /// It closes something; else it says for whom, or how.
    pub closes: bool,
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

/// Kinds of targets: what they look at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A packet filter that we write every rule of.
    Filter,
    /// A front of a packet filter, with rules of ports and addresses.
    Front,
    /// Who answers for names.
    Resolver,
    /// What tells a packet filter the addresses of names.
    Feeder,
    /// A proxy.
    Proxy,
    /// An engine that reads content.
    Engine,
}

impl Target {
    pub(super) const fn kind(self) -> Kind {
        match self {
            Self::Nftables
            | Self::NftablesKeep
            | Self::Iptables
            | Self::Ip6tables
            | Self::IptablesScript => Kind::Filter,
            Self::Firewalld | Self::Ufw | Self::Pf | Self::Openwrt | Self::Mikrotik => Kind::Front,
            Self::Rpz | Self::Unbound | Self::Dnsmasq | Self::Hosts => Kind::Resolver,
            Self::Ipset | Self::DnsmasqNftset | Self::DnsmasqIpset => Kind::Feeder,
            Self::Squid => Kind::Proxy,
            Self::Suricata => Kind::Engine,
        }
    }
}

/// What this target makes of the plan, part by part.
pub fn capabilities(plan: &Plan, target: Target) -> Vec<Capability> {
    let mut all = Vec::new();
    let mut say = |what: String, can: Can| {
        all.push(Capability {
            what,
            can,
            closes: true,
        });
    };
    for rule in &plan.custom {
        say(
            format!("{} ({})", rule.id, rule.words()),
            custom(target, rule),
        );
    }
    for group in &plan.groups {
        let ports: Vec<String> = group
            .ports
            .iter()
            .map(|ports| format!("{} {}", ports.transport.name(), ports.range))
            .collect();
        let what = format!(
            "{} {} ({})",
            ids(&group.services),
            group.feature,
            ports.join(", ")
        );
        say(what, port(target));
    }
    for seen in plan.seen.iter().flat_map(|group| &group.seen) {
        let what = format!("{} {}", seen.transport.name(), seen.server);
        let can = match &seen.opening {
            _ if !speaks(target, seen.server.ip) => other_family(target),
            None if target == Target::Ipset => Can::Exact,
            None => endpoint(target),
            Some(_) => opening(target, seen.server.ip),
        };
        say(what, can);
    }
    for group in &plan.signatures {
        let what = format!(
            "{} {}, by what is said",
            ids(&group.services),
            group.feature
        );
        let any = match target {
            // What is not sure for one family is not sure.
            Target::Iptables => opening(target, IpAddr::from([0, 0, 0, 0])),
            _ => opening(target, IpAddr::from([0; 16])),
        };
        say(what, any);
        if group.is_in_http() {
            let what = format!(
                "{} {}, inside HTTP requests",
                ids(&group.services),
                group.feature
            );
            say(what, in_http(target));
        }
    }
    for group in &plan.sni {
        for host in &group.names {
            say(hello::what(group, host), asked_for(target, host));
        }
    }
    for host in &plan.hosts {
        say(host.name.clone(), name(plan, target, host));
    }
    let some_ports = |group: &&NameGroup| group.custom && group.ports.is_some();
    for group in plan.names.iter().filter(some_ports) {
        for host in &group.names {
            let what = format!("{} ({})", host.name, group.id);
            let can = match target.kind() {
                Kind::Resolver | Kind::Proxy | Kind::Engine => {
                    Can::Impossible("only some ports of it are meant, and names have none here")
                }
                _ => told(target),
            };
            say(what, can);
        }
    }
    all.extend(scope(plan, target));
    all
}

/// Whether this target can say nothing at all of what the plan wants closed.
pub fn closes_nothing(plan: &Plan, target: Target) -> bool {
    capabilities(plan, target)
        .iter()
        .filter(|it| it.closes)
        .all(|it| matches!(it.can, Can::Impossible(_)))
}

fn ids(services: &[Service]) -> String {
    let ids: Vec<&str> = services.iter().map(Service::id).collect();
    ids.join(", ")
}

const fn speaks(target: Target, ip: IpAddr) -> bool {
    !matches!(
        (target, ip),
        (Target::Iptables, IpAddr::V6(_)) | (Target::Ip6tables, IpAddr::V4(_))
    )
}

const fn other_family(target: Target) -> Can {
    match target {
        Target::Iptables => Can::Impossible("IPv4 only"),
        _ => Can::Impossible("IPv6 only"),
    }
}

const fn port(target: Target) -> Can {
    match target {
        Target::Nftables
        | Target::NftablesKeep
        | Target::IptablesScript
        | Target::Suricata
        | Target::Pf => Can::Exact,
        Target::Iptables => Can::Weaker("IPv4 only, ip6tables needs a file of its own"),
        Target::Ip6tables => Can::Weaker("IPv6 only, iptables needs a file of its own"),
        Target::Firewalld | Target::Ufw | Target::Openwrt => {
            Can::Weaker("a session that is open already goes on: this firewall accepts those first")
        }
        Target::Mikrotik => {
            Can::Weaker("only where it stands before what is accepted; see the head of the file")
        }
        Target::Squid => Can::Weaker("only what asks this proxy for a tunnel"),
        Target::Rpz | Target::Unbound | Target::Dnsmasq | Target::Hosts => {
            Can::Impossible("names are all that a resolver knows")
        }
        Target::Ipset | Target::DnsmasqNftset | Target::DnsmasqIpset => {
            Can::Impossible("this file is about the sets of names only")
        }
    }
}

/// An address and a port of it.
const fn endpoint(target: Target) -> Can {
    match target {
        Target::Iptables | Target::Ip6tables => Can::Exact,
        Target::Firewalld | Target::Ufw | Target::Openwrt | Target::Pf | Target::Mikrotik => {
            Can::Weaker("only connections to it that are new")
        }
        _ => port(target),
    }
}

fn custom(target: Target, rule: &CustomRule) -> Can {
    match (&rule.place, &rule.ports) {
        (Place::Net(net), _) if !speaks(target, net.addr()) => other_family(target),
        (Place::Net(_), _) if matches!(target, Target::Iptables | Target::Ip6tables) => Can::Exact,
        _ => port(target),
    }
}

const fn opening(target: Target, ip: IpAddr) -> Can {
    const SPLIT: Can = Can::Weaker("a request that is cut into several segments passes");
    match (target, ip) {
        (Target::Suricata, _) => Can::Exact,
        (Target::Nftables | Target::NftablesKeep, _)
        | (Target::Iptables | Target::IptablesScript, IpAddr::V4(_)) => SPLIT,
        (Target::Iptables | Target::Ip6tables | Target::IptablesScript, _) => Can::Weaker(
            "a request that is cut into several segments passes, and so does one behind IPv6 extension headers",
        ),
        (Target::Squid, _) => Can::Impossible("a proxy looks into no tunnel"),
        (target, _) => match target.kind() {
            Kind::Front => Can::Impossible("it judges by address and port"),
            _ => port(target),
        },
    }
}

/// What begins the body of a request.
const fn in_http(target: Target) -> Can {
    match target {
        Target::Nftables | Target::NftablesKeep => Can::Impossible(
            "nftables compares bytes at fixed places, and where a request's head ends is none; only a body that begins a segment is seen",
        ),
        Target::Iptables | Target::Ip6tables | Target::IptablesScript => Can::Weaker(
            "only of what is posted, and where its first bytes are in the first segment, whole, or begin one",
        ),
        _ => opening(target, IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
    }
}

/// What weakens a search for a name in a hello.
macro_rules! search {
    ($more:literal) => {
        concat!(
            "a hello is searched for its bytes, each segment by itself: it passes if it is cut before or inside the name, as one too \
             long for a segment is (keys against quantum computers) that the network card does not put together, or hides the name (ECH), \
             and other bytes that look like it are taken for it",
            $more
        )
    };
}

/// A name in a TLS hello.
fn asked_for(target: Target, host: &HostDeny) -> Can {
    let (_, below) = hello::parts(host);
    match target {
        Target::Nftables | Target::NftablesKeep => Can::Impossible(
            "nftables compares bytes at fixed places, and where a hello has its name is none",
        ),
        Target::Iptables | Target::Ip6tables | Target::IptablesScript if !hello::fits(host) => {
            Can::Impossible("it is longer than what iptables can search for")
        }
        Target::Iptables if below => Can::Weaker(search!(
            "; so does one below it that is the last of the hello, or before an extension of its own making; IPv4 only"
        )),
        Target::Iptables => Can::Weaker(search!("; IPv4 only")),
        Target::Ip6tables | Target::IptablesScript if below => Can::Weaker(search!(
            "; so does one below it that is the last of the hello, or before an extension of its own making, and any behind IPv6 extension headers"
        )),
        Target::Ip6tables | Target::IptablesScript => {
            Can::Weaker(search!("; so does one behind IPv6 extension headers"))
        }
        Target::Suricata => Can::Exact,
        Target::Squid => Can::Weaker(
            "by the host that this proxy is asked to tunnel to: Debian's squid is built without ssl-bump, and sees no hello",
        ),
        Target::Mikrotik => {
            Can::Impossible("its tls-host is not written: there was none to try it on")
        }
        Target::Ipset | Target::DnsmasqNftset | Target::DnsmasqIpset => port(target),
        _ => match target.kind() {
            Kind::Resolver => Can::Impossible("a resolver sees no hello"),
            _ => Can::Impossible("it judges by address and port"),
        },
    }
}

/// Addresses that a resolver tells to a packet filter.
const fn told(target: Target) -> Can {
    match target.kind() {
        Kind::Filter | Kind::Feeder => Can::Weaker(
            "by the addresses that dnsmasq tells: not for who asks elsewhere, and with what else is at the same address",
        ),
        _ => Can::Impossible("it knows addresses, not names"),
    }
}

fn name(plan: &Plan, target: Target, host: &HostDeny) -> Can {
    let below = host.name.starts_with("*.");
    let kept = plan.names.iter().any(|group| {
        let whole = group.ports.is_none() || !group.custom;
        whole && group.names.iter().any(|it| it.name == host.name)
    });
    if plan.action == Action::Log && target.kind() == Kind::Resolver {
        return Can::Impossible("this policy only looks, and a resolver cannot");
    }
    match (target, below) {
        (Target::Unbound, true) => beside(plan, host),
        (Target::Rpz | Target::Squid | Target::Suricata | Target::Unbound | Target::Dnsmasq, _)
        | (Target::Hosts, false) => Can::Exact,
        (Target::Hosts, true) => Can::Impossible("a hosts file knows no names below a name"),
        (target, _) => match target.kind() {
            Kind::Filter | Kind::Feeder if kept => told(target),
            Kind::Filter => Can::Impossible("a packet filter knows addresses, not names"),
            Kind::Feeder => Can::Impossible("no set is kept of it: --match name does"),
            _ => Can::Impossible("it knows addresses, not names"),
        },
    }
}

/// What unbound makes of hosts below this one that serve others: a zone of its own each, with all that is below it.
fn beside(plan: &Plan, host: &HostDeny) -> Can {
    let (domain, _) = hello::parts(host);
    let shared = plan.passed.iter();
    let (own, below): (Vec<&String>, Vec<&String>) = shared
        .filter(|it| hello::takes_in(&host.name, it) && !it.starts_with("*."))
        .partition(|it| *it == domain);
    match (own.is_empty(), below.is_empty()) {
        (true, true) => Can::Exact,
        (false, true) => Can::Weaker("the domain's own name serves others, and is refused as well"),
        (true, false) => Can::Weaker("names below hosts that serve others are answered as well"),
        (false, false) => Can::Weaker(
            "the domain's own name serves others, and is refused as well; names below other hosts that do are answered",
        ),
    }
}

/// What can be said of who opens a connection, at each hook that there is.
fn user_can(plan: &Plan, kind: Kind) -> Vec<(&'static str, Can)> {
    if kind != Kind::Filter {
        return vec![(
            "",
            Can::Impossible("nobody here asks who opens a connection"),
        )];
    }
    let answers_are_judged =
        !plan.seen.is_empty() || plan.said_by(Speaker::Server).next().is_some();
    let at = |hook: &Hook| match hook {
        Hook::Output => ("", Can::Exact),
        Hook::Forward => (
            ", in what passes through this machine",
            Can::Impossible("only the machine that opens a connection knows by whom"),
        ),
        Hook::Input if answers_are_judged => (
            ", in what comes in",
            Can::Weaker("answers are judged there as well, and nobody knows yet for whom they are"),
        ),
        Hook::Input => (", in what comes in", Can::Exact),
    };
    plan.hooks.iter().map(at).collect()
}
/// What becomes of those who were not meant.
const EVERYBODY: &str = "whoever comes here is refused";

/// For whom, which way, and how: where that cannot be said, the file means everybody.
fn scope(plan: &Plan, target: Target) -> Vec<Capability> {
    use Kind::{Engine, Feeder, Filter, Front, Proxy, Resolver};
    let mut all = Vec::new();
    let mut say = |what: &str, can: Can| {
        all.push(Capability {
            what: what.to_owned(),
            can,
            closes: false,
        });
    };
    let kind = target.kind();
    // Sets are filled, and nobody is refused by that.
    if kind == Feeder {
        return all;
    }
    if !plan.sources.is_empty() {
        say(
            "only some clients",
            match kind {
                Front if target == Target::Openwrt => Can::Impossible(EVERYBODY),
                Filter | Engine | Front => Can::Exact,
                _ => Can::Impossible(EVERYBODY),
            },
        );
    }
    let left_alone = match kind {
        Filter | Engine => Can::Exact,
        _ if target == Target::Pf => Can::Exact,
        Front => Can::Impossible(
            "they would have to be allowed, which would open what other rules close",
        ),
        _ => Can::Impossible(EVERYBODY),
    };
    if !plan.exceptions.is_empty() {
        say("exceptions", left_alone);
    }
    for exception in &plan.reasons {
        match (&exception.who, left_alone) {
            (Who::Name { name, .. }, Can::Exact) => say(
                &format!("the exception for {name}"),
                Can::Weaker("by the addresses that it had when this was written"),
            ),
            (Who::User(user), _) => {
                for (what, can) in user_can(plan, kind) {
                    say(
                        &format!("the exception for user {}{what}", user.name()),
                        can,
                    );
                }
            }
            _ => {}
        }
    }
    if !plan.interfaces.is_any() {
        say(
            "only some interfaces",
            match kind {
                Filter => Can::Exact,
                _ => Can::Impossible("whichever way connections come is the same here"),
            },
        );
    }
    if plan.action == Action::Log && matches!(kind, Proxy | Front) {
        say(
            "counting and logging without refusing",
            Can::Impossible("nothing is written"),
        );
    }
    if plan.log.is_some() && kind != Filter {
        say(
            "the log group",
            Can::Impossible("logs are this program's own business"),
        );
    }
    if plan.action == Action::Drop && matches!(kind, Resolver | Proxy) {
        say(
            "dropping without a word",
            Can::Weaker("whoever asks is told no"),
        );
    }
    all
}
