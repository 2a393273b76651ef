//! nftables: one table of our own, replaced as a whole in one transaction.
//!
//! The base chains accept by policy and every verdict is accept-here, reject or drop: an accept in one table
//! does not undo a drop in another, so this table can close ports but never open what others close.

use super::header;
use super::names;
use super::text::{Text, place, reference};
use crate::model::Transport;
use crate::policy::{Action, Hook, Opening, Owner, Plan, SeenGroup};
use ipnet::IpNet;
use std::net::IpAddr;

/// nft refuses a comment of 129 characters.
const MAX_COMMENT: usize = 128;

pub(super) fn render(plan: &Plan) -> String {
    let mut text = Text::default();
    text.line("#!/usr/sbin/nft -f");
    header::write(
        &mut text,
        plan,
        &[
            ("check", "nft -c -f FILE"),
            (
                "load",
                "nft -f FILE (again at will: it replaces itself, and the counters start at 0)",
            ),
            ("watch", "nft list counters table inet imwarden"),
            ("remove", "nft delete table inet imwarden"),
        ],
    );
    text.blank();
    text.line("# Replaced as a whole or not at all. (The first line makes the second work on an empty machine.)");
    text.line("table inet imwarden");
    text.line("delete table inet imwarden");
    text.blank();
    text.line("table inet imwarden {");
    body(&mut text, plan);
    text.line("}");
    text.finish()
}

fn body(text: &mut Text, plan: &Plan) {
    let names = names::nftables(plan);
    if !plan.is_empty() {
        text.line("\t# One counter a feature: the attempts that were refused.");
        let seen = plan.seen.iter().map(names::seen_nftables);
        for name in names.iter().cloned().chain(seen) {
            text.line(format!("\tcounter {name} {{ }}"));
        }
        text.blank();
    }
    let mut judged = Vec::new();
    for (transport, word) in [(Transport::Tcp, "tcp"), (Transport::Udp, "udp")] {
        if port_map(text, plan, &names, transport, word) {
            judged.push(word);
        }
    }
    let families: Vec<_> = [Family::V4, Family::V6]
        .into_iter()
        .filter(|family| seen_map(text, plan, *family))
        .collect();
    match plan.action {
        _ if plan.is_empty() => {}
        Action::Reject => refuse(text),
        Action::Log => audit(text),
        Action::Drop => {}
    }
    feature_chains(text, plan, &names);
    seen_chains(text, plan);
    judge(text, plan, &judged, &families);
    for hook in &plan.hooks {
        text.blank();
        base_chain(text, *hook);
    }
}

/// A map from port to chain: one look-up however many ports there are.
fn port_map(
    text: &mut Text,
    plan: &Plan,
    names: &[String],
    transport: Transport,
    word: &str,
) -> bool {
    let ports = plan.ports(transport);
    if ports.is_empty() {
        return false;
    }
    text.line(format!("\tmap {word}_ports {{"));
    text.line("\t\ttype inet_service : verdict");
    text.line("\t\tflags interval");
    text.line("\t\telements = {");
    for (at, (group, ports)) in ports.iter().enumerate() {
        let Some(name) = plan
            .groups
            .iter()
            .zip(names)
            .find(|(g, _)| g == group)
            .map(|(_, n)| n)
        else {
            continue;
        };
        let owners: Vec<&Owner> = ports.owners.iter().collect();
        let comment = reference(&owners, MAX_COMMENT);
        let comma = if at + 1 < plan.ports(transport).len() {
            ","
        } else {
            ""
        };
        text.line(format!(
            "\t\t\t{} comment \"{comment}\" : goto f_{name}{comma}",
            ports.range
        ));
    }
    text.line("\t\t}");
    text.line("\t}");
    text.blank();
    true
}

/// IPv4 or IPv6: addresses have a type each.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl Family {
    const fn word(self) -> &'static str {
        match self {
            Self::V4 => "ip",
            Self::V6 => "ip6",
        }
    }

    const fn map(self) -> &'static str {
        match self {
            Self::V4 => "seen4",
            Self::V6 => "seen6",
        }
    }

    const fn key(self) -> &'static str {
        match self {
            Self::V4 => "ipv4_addr",
            Self::V6 => "ipv6_addr",
        }
    }

    const fn protocol(self) -> &'static str {
        match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
        }
    }

    const fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// Endpoints that are closed as a whole: one look-up however many there are.
fn seen_map(text: &mut Text, plan: &Plan, family: Family) -> bool {
    let mut elements = Vec::new();
    for group in &plan.seen {
        let name = names::seen_nftables(group);
        for seen in group.seen.iter().filter(|seen| seen.opening.is_none()) {
            if Family::of(seen.server.ip) == family {
                elements.push(format!(
                    "\t\t\t{} . {} . {} comment \"{}\" : goto f_{name}",
                    seen.server.ip,
                    seen.transport.name().to_lowercase(),
                    seen.server.port,
                    seen.words()
                ));
            }
        }
    }
    if elements.is_empty() {
        return false;
    }
    text.line(format!("\tmap {} {{", family.map()));
    text.line(format!(
        "\t\ttype {} . inet_proto . inet_service : verdict",
        family.key()
    ));
    text.line("\t\telements = {");
    text.line(elements.join(",\n"));
    text.line("\t\t}");
    text.line("\t}");
    text.blank();
    true
}

fn seen_chains(text: &mut Text, plan: &Plan) {
    let verdict = verdict(plan);
    for group in &plan.seen {
        let name = names::seen_nftables(group);
        text.line(format!("\tchain f_{name} {{"));
        text.line(format!(
            "\t\tcounter name \"{name}\" {verdict} comment \"imwarden: {} {}, where it was seen\"",
            group.service, group.feature
        ));
        text.line("\t}");
        text.blank();
    }
}

/// What others use too is judged by the first bytes of a segment, which nftables finds behind any TCP options.
fn openings(text: &mut Text, group: &SeenGroup) {
    let name = names::seen_nftables(group);
    for seen in &group.seen {
        let Some(opening) = &seen.opening else {
            continue;
        };
        text.line(format!(
            "\t\t{} daddr {} {} dport {} {} goto f_{name} comment \"{}\"",
            Family::of(seen.server.ip).word(),
            seen.server.ip,
            seen.transport.name().to_lowercase(),
            seen.server.port,
            payload(opening),
            seen.words()
        ));
    }
}

/// `@ih,0,16 0x2a01 @ih,48,32 0x1`: at most sixteen bytes an expression.
fn payload(opening: &Opening) -> String {
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

fn verdict(plan: &Plan) -> &'static str {
    match plan.action {
        Action::Reject => "goto refuse",
        Action::Drop => "drop",
        Action::Log => "goto audit",
    }
}

/// Five lines a second in the log, and nothing is refused.
fn audit(text: &mut Text) {
    text.line("\tchain audit {");
    text.line("\t\tlimit rate 5/second burst 10 packets log prefix \"imwarden: \" comment \"imwarden: what would be refused\"");
    text.line("\t}");
    text.blank();
}

/// Networks of one family as a set: `{ 10.0.0.0/8, 192.0.2.1 }`.
fn nets(nets: &[IpNet], family: Family) -> Option<String> {
    let all: Vec<String> = nets
        .iter()
        .filter(|net| Family::of(net.addr()) == family)
        .map(|net| place(*net))
        .collect();
    (!all.is_empty()).then(|| format!("{{ {} }}", all.join(", ")))
}

/// Who is left alone, and who is not meant.
fn scope(text: &mut Text, plan: &Plan) {
    for family in [Family::V4, Family::V6] {
        let word = family.word();
        if let Some(set) = nets(&plan.exceptions, family) {
            for end in ["saddr", "daddr"] {
                text.line(format!(
                    "\t\t{word} {end} {set} accept comment \"imwarden: left alone\""
                ));
            }
        }
    }
    if plan.sources.is_empty() {
        return;
    }
    for family in [Family::V4, Family::V6] {
        let word = family.word();
        text.line(match nets(&plan.sources, family) {
            Some(set) => format!(
                "\t\t{word} saddr != {set} {word} daddr != {set} accept comment \"imwarden: not meant\""
            ),
            None => format!(
                "\t\tmeta nfproto {} accept comment \"imwarden: not meant\"",
                family.protocol()
            ),
        });
    }
}

/// From here on the client is the sender, and must be meant.
fn clients(text: &mut Text, plan: &Plan) {
    for family in [Family::V4, Family::V6] {
        if let Some(set) = nets(&plan.sources, family) {
            text.line(format!(
                "\t\t{} saddr != {set} accept comment \"imwarden: another's client\"",
                family.word()
            ));
        }
    }
}

fn refuse(text: &mut Text) {
    text.line("\tchain refuse {");
    text.line("\t\tmeta l4proto tcp reject with tcp reset comment \"imwarden: TCP, at once\"");
    text.line("\t\treject with icmpx type port-unreachable comment \"imwarden: UDP, at once\"");
    text.line("\t}");
    text.blank();
}

fn feature_chains(text: &mut Text, plan: &Plan, names: &[String]) {
    let verdict = verdict(plan);
    for (group, name) in plan.groups.iter().zip(names) {
        let owners = group.owners();
        for owner in &owners {
            if let Some(note) = &owner.note {
                text.paragraph("\t# ", "\t# ", &format!("{}: {note}", owner.id));
            }
        }
        let comment = reference(&owners, MAX_COMMENT);
        text.line(format!("\tchain f_{name} {{"));
        text.line(format!(
            "\t\tcounter name \"{name}\" {verdict} comment \"{comment}\""
        ));
        text.line("\t}");
        text.blank();
    }
}

fn judge(text: &mut Text, plan: &Plan, transports: &[&str], families: &[Family]) {
    text.line("\t# Resets pass first: a refusal is itself a reset, and must get out. Then only the opener's");
    text.line("\t# packets are judged, by the port they go to: whose own port happens to be 5190 loses nothing.");
    if !families.is_empty() {
        text.line("\t# What was seen is refused both ways, so that a session that is open ends whoever speaks next.");
    }
    text.line("\tchain judge {");
    text.line("\t\ttcp flags rst accept comment \"imwarden: resets pass\"");
    scope(text, plan);
    for family in families {
        let (ip, map) = (family.word(), family.map());
        for (host, port) in [("daddr", "dport"), ("saddr", "sport")] {
            text.line(format!(
                "\t\t{ip} {host} . meta l4proto . th {port} vmap @{map} comment \"imwarden: seen, each with its place\""
            ));
        }
    }
    text.line("\t\tct direction reply accept comment \"imwarden: answers pass\"");
    clients(text, plan);
    for group in &plan.seen {
        openings(text, group);
    }
    for word in transports {
        text.line(format!(
            "\t\t{word} dport vmap @{word}_ports comment \"imwarden: by port, each with its own id\""
        ));
    }
    text.line("\t}");
}

fn base_chain(text: &mut Text, hook: Hook) {
    let name = hook.name();
    text.line(format!("\tchain {name} {{"));
    // A little before the usual filter chains: what they accept early is still seen here.
    text.line(format!(
        "\t\ttype filter hook {name} priority filter - 5; policy accept;"
    ));
    match hook {
        Hook::Forward => {}
        Hook::Output => text.line("\t\toifname \"lo\" accept comment \"imwarden: loopback\""),
        Hook::Input => text.line("\t\tiifname \"lo\" accept comment \"imwarden: loopback\""),
    }
    text.line("\t\tjump judge comment \"imwarden: judge what is opened\"");
    text.line("\t}");
}
