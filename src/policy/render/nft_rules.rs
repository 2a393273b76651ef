//! nftables: whom rules are about, and rules of one's own, of names and of what is said.

use super::RuleNames;
use super::nft_table::Object;
use super::nftables::{MAX_COMMENT, set_name};
use super::text::{place, reference};
use crate::model::Transport;
use crate::policy::signature::WINDOW;
use crate::policy::{Hook, Interface, NameGroup, Opening, Owner, Place, Plan, User};
use crate::ruleset::{PortRange, Speaker};
use ipnet::IpNet;
use std::net::IpAddr;

/// IPv4 or IPv6: addresses have a type each.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) const BOTH: [Self; 2] = [Self::V4, Self::V6];

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::V4 => "ip",
            Self::V6 => "ip6",
        }
    }

    pub(super) const fn digit(self) -> char {
        match self {
            Self::V4 => '4',
            Self::V6 => '6',
        }
    }

    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::V4 => "ipv4_addr",
            Self::V6 => "ipv6_addr",
        }
    }

    pub(super) const fn protocol(self) -> &'static str {
        match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
        }
    }

    pub(super) const fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// `@ih,0,16 0x2a01 @ih,48,32 0x1`: at most sixteen bytes an expression. nftables finds them behind any TCP options.
pub(super) fn payload(opening: &Opening) -> String {
    let mut words = Vec::new();
    for (at, bytes) in &opening.pieces {
        for (number, part) in bytes.chunks(16).enumerate() {
            let bit = (usize::from(*at) + 16 * number) * 8;
            let value = part
                .iter()
                .fold(0_u128, |value, byte| value << 8 | u128::from(*byte));
            words.push(format!("@ih,{bit},{} {value:#x}", part.len() * 8));
        }
    }
    words.join(" ")
}

/// Networks of one family as a set: `{ 10.0.0.0/8, 192.0.2.1 }`.
pub(super) fn nets(nets: &[IpNet], family: Family) -> Option<String> {
    let all: Vec<String> = nets
        .iter()
        .filter(|net| Family::of(net.addr()) == family)
        .map(|net| place(*net))
        .collect();
    (!all.is_empty()).then(|| format!("{{ {} }}", all.join(", ")))
}

/// Who is left alone, and who is not meant.
pub(super) fn scope(chain: &mut Object, plan: &Plan) {
    for family in Family::BOTH {
        let word = family.word();
        if let Some(set) = nets(&plan.exceptions, family) {
            for end in ["saddr", "daddr"] {
                chain.line(format!(
                    "{word} {end} {set} accept comment \"imwarden: left alone\""
                ));
            }
        }
    }
    if plan.sources.is_empty() {
        return;
    }
    for family in Family::BOTH {
        let word = family.word();
        chain.line(match nets(&plan.sources, family) {
            Some(set) => format!(
                "{word} saddr != {set} {word} daddr != {set} accept comment \"imwarden: not meant\""
            ),
            None => format!(
                "meta nfproto {} accept comment \"imwarden: not meant\"",
                family.protocol()
            ),
        });
    }
}

/// Whom a packet must not be from. What is left of a connection whose program is gone is nobody's: it is not judged where users
/// are, else the last of what they sent would be lost.
pub(super) fn others(plan: &Plan) -> String {
    let user = |user: &User| {
        if user.is_number() {
            format!("meta skuid != {} ", user.name())
        } else {
            format!("meta skuid != \"{}\" ", user.name())
        }
    };
    plan.users.iter().map(user).collect()
}

/// From here on the client is the one at this end, and must be meant.
pub(super) fn clients(chain: &mut Object, plan: &Plan, end: &str) {
    for family in Family::BOTH {
        if let Some(set) = nets(&plan.sources, family) {
            chain.line(format!(
                "{} {end} != {set} accept comment \"imwarden: another's client\"",
                family.word()
            ));
        }
    }
}

/// `tcp dport 7000`, or both transports.
pub(super) fn ports_of(ports: Option<&(Transport, PortRange)>) -> String {
    match ports {
        Some((transport, range)) => {
            format!("{} dport {range}", transport.name().to_lowercase())
        }
        None => "meta l4proto { tcp, udp }".to_owned(),
    }
}

pub(super) fn custom(chain: &mut Object, plan: &Plan, names: &RuleNames) {
    for (rule, name) in plan.custom.iter().zip(&names.custom) {
        let to = match &rule.place {
            Place::Net(net) => {
                format!("{} daddr {} ", Family::of(net.addr()).word(), place(*net))
            }
            _ => String::new(),
        };
        chain.line(format!(
            "{to}{} goto f_{name} comment \"{}, a rule of this site\"",
            ports_of(rule.ports.as_ref()),
            rule.id
        ));
    }
}

/// An address stays in its set as long as somebody goes on asking for it.
pub(super) fn named(chain: &mut Object, group: &NameGroup, name: &str) {
    for family in Family::BOTH {
        let (word, set) = (family.word(), set_name(name, family == Family::V4));
        chain.line(format!(
            "{word} daddr @{set} {} update @{set} {{ {word} daddr }} goto f_{name} comment \"{}, by its host names\"",
            ports_of(group.ports.as_ref()),
            group.id
        ));
    }
}

/// What connections open with: each segment is judged by itself, and only the first of a connection.
pub(super) fn content(all: &mut Vec<Object>, plan: &Plan, names: &RuleNames) {
    for (speaker, name) in [
        (Speaker::Server, "greetings"),
        (Speaker::Client, "openings"),
    ] {
        if plan.said_by(speaker).next().is_none() {
            continue;
        }
        let mut chain = Object::chain(name);
        let side = match speaker {
            Speaker::Client => "original",
            Speaker::Server => {
                clients(&mut chain, plan, "daddr");
                "reply"
            }
        };
        chain.line("meta l4proto != tcp accept comment \"imwarden: only TCP has a beginning\"");
        chain.line(format!(
            "ct {side} packets > {WINDOW} accept comment \"imwarden: no beginning any more\""
        ));
        for (at, signature) in plan.said_by(speaker) {
            let owners: Vec<&Owner> = signature.owners.iter().collect();
            if let Some(name) = names.signatures.get(at) {
                chain.line(format!(
                    "{} goto f_{name} comment \"{}\"",
                    payload(&signature.opening),
                    reference(&owners, MAX_COMMENT)
                ));
            }
        }
        all.push(chain);
    }
}

/// Connections that take another way are left alone: the opener's packets by one interface, the answers by the other.
pub(super) fn ways(chain: &mut Object, plan: &Plan, hook: Hook) {
    let set = |all: &[Interface]| -> Option<String> {
        let names: Vec<String> = all.iter().map(|it| format!("\"{it}\"")).collect();
        (!names.is_empty()).then(|| format!("{{ {} }}", names.join(", ")))
    };
    let sides = [
        (set(&plan.interfaces.incoming), "iifname", "oifname"),
        (set(&plan.interfaces.outgoing), "oifname", "iifname"),
    ];
    for (set, opener, answer) in sides {
        let Some(set) = set else { continue };
        for (direction, side) in [("original", opener), ("reply", answer)] {
            let there = match hook {
                Hook::Forward => true,
                Hook::Output => side == "oifname",
                Hook::Input => side == "iifname",
            };
            if there {
                chain.line(format!(
                    "ct direction {direction} {side} != {set} accept comment \"imwarden: another way\""
                ));
            }
        }
    }
}
