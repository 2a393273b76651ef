//! nftables: one table of our own, replaced as a whole in one transaction.
//!
//! The base chains accept by policy and every verdict is accept-here, reject or drop: an accept in one table
//! does not undo a drop in another, so this table can close ports but never open what others close.

use super::names::{self, MARKED};
use super::nft_rules::{Family, clients, content, custom, named, others, payload, scope, ways};
use super::nft_table::{self, Kind, Object};
use super::text::{Text, reference};
use super::{RuleNames, header, words};
use crate::model::Transport;
use crate::policy::{Action, Hook, Owner, Plan, Target, closes_nothing};
use crate::ruleset::Speaker;

/// nft refuses a comment of 129 characters.
pub(super) const MAX_COMMENT: usize = 128;
/// How long an address is refused that a resolver told, unless somebody goes on asking for it. Longer than resolvers
/// and clients remember one.
const TOLD_FOR: &str = "1d";

/// Replaced as a whole, or with its counters and learned addresses kept.
pub(super) fn render(plan: &Plan, keep: bool) -> String {
    let mut text = Text::default();
    text.line("#!/usr/sbin/nft -f");
    let load = if keep {
        "nft -f FILE (again at will: counters, and addresses that a resolver told, are kept)"
    } else {
        "nft -f FILE (again at will: it replaces itself, and the counters start at 0)"
    };
    header::write(
        &mut text,
        plan,
        Target::Nftables,
        &[
            ("check", "nft -c -f FILE"),
            ("load", load),
            ("watch", "nft list counters table inet imwarden"),
            ("remove", "nft delete table inet imwarden"),
        ],
    );
    if keep {
        text.line("#");
        text.paragraph(
            "# ",
            "# ",
            "Kept: the table itself is not replaced. Counters and sets of rules that are no longer in this file stay behind, \
             without effect, until the table is deleted; loads after versions of imwarden that place their chains otherwise are refused as a whole: \
             delete the table then.",
        );
    }
    text.blank();
    let objects = objects(plan, keep);
    if keep {
        nft_table::keep(&mut text, &objects);
    } else {
        nft_table::replace(&mut text, &objects);
    }
    text.finish()
}

fn objects(plan: &Plan, keep: bool) -> Vec<Object> {
    let names = names::nftables(plan);
    let mut all = counters(plan, &names);
    all.extend(name_sets(plan, &names));
    let mut judged = Vec::new();
    for (transport, word) in [(Transport::Tcp, "tcp"), (Transport::Udp, "udp")] {
        if let Some(map) = port_map(plan, &names, transport, word) {
            judged.push(word);
            all.push(map);
        }
    }
    let mut families = Vec::new();
    for family in Family::BOTH {
        if let Some(map) = seen_map(plan, &names, family) {
            families.push(family);
            all.push(map);
        }
    }
    if !closes_nothing(plan, Target::Nftables) {
        all.extend(refusal(plan));
        feature_chains(&mut all, plan, &names);
        if !plan.signatures.is_empty() {
            content(&mut all, plan, &names);
        }
    }
    all.push(judge(plan, &names, &judged, &families));
    for hook in [Hook::Forward, Hook::Output, Hook::Input] {
        let wanted = plan.hooks.contains(&hook);
        // A chain of an earlier file is emptied: there is no taking it away without the table.
        if wanted || keep {
            all.push(base_chain(plan, hook, wanted));
        }
    }
    all
}

fn counters(plan: &Plan, names: &RuleNames) -> Vec<Object> {
    let every = [
        &names.custom,
        &names.names,
        &names.groups,
        &names.seen,
        &names.signatures,
    ];
    let mut all: Vec<Object> = every
        .into_iter()
        .flatten()
        .map(|name| Object::counter(name.clone()))
        .collect();
    if plan.marks_in(Target::Nftables) {
        all.push(Object::counter(MARKED));
    }
    if let Some(first) = all.first_mut() {
        first
            .comment
            .push("One counter a feature: the attempts that were refused.".to_owned());
    }
    all
}

/// A map from port to chain: one look-up however many ports there are.
fn port_map(plan: &Plan, names: &RuleNames, transport: Transport, word: &str) -> Option<Object> {
    let mut map = Object::new(Kind::Map, format!("{word}_ports"));
    map.head = vec![
        "type inet_service : verdict".to_owned(),
        "flags interval".to_owned(),
    ];
    for (group, ports) in plan.ports(transport) {
        let mut all = plan.groups.iter().zip(&names.groups);
        let Some((_, name)) = all.find(|(it, _)| *it == group) else {
            continue;
        };
        let owners: Vec<&Owner> = ports.owners.iter().collect();
        let comment = reference(&owners, MAX_COMMENT);
        map.line(format!(
            "{} comment \"{comment}\" : goto f_{name}",
            ports.range
        ));
    }
    (!map.body.is_empty()).then_some(map)
}

/// The set that a resolver fills with the addresses of one group of names.
pub(super) fn set_name(name: &str, v4: bool) -> String {
    format!("{name}{}", if v4 { '4' } else { '6' })
}

fn name_sets(plan: &Plan, names: &RuleNames) -> Vec<Object> {
    let mut all = Vec::new();
    for (group, name) in plan.names.iter().zip(&names.names) {
        for family in Family::BOTH {
            let mut set = Object::new(Kind::Learned, set_name(name, family == Family::V4));
            if family == Family::V4 {
                set.comment.push(format!(
                    "The addresses of {}, as a resolver tells them (imwarden policy --format dnsmasq-nftset).",
                    words::names_of(group)
                ));
            }
            set.head = vec![
                format!("type {}", family.key()),
                "size 65535".to_owned(),
                "flags dynamic,timeout".to_owned(),
                format!("timeout {TOLD_FOR}"),
            ];
            all.push(set);
        }
    }
    all
}

/// Endpoints that are closed as a whole: one look-up however many there are.
fn seen_map(plan: &Plan, names: &RuleNames, family: Family) -> Option<Object> {
    let mut map = Object::new(Kind::Map, format!("seen{}", family.digit()));
    map.head = vec![format!(
        "type {} . inet_proto . inet_service : verdict",
        family.key()
    )];
    for (group, name) in plan.seen.iter().zip(&names.seen) {
        for seen in group.seen.iter().filter(|seen| seen.opening.is_none()) {
            if Family::of(seen.server.ip) == family {
                map.line(format!(
                    "{} . {} . {} comment \"{}\" : goto f_{name}",
                    seen.server.ip,
                    seen.transport.name().to_lowercase(),
                    seen.server.port,
                    seen.words()
                ));
            }
        }
    }
    (!map.body.is_empty()).then_some(map)
}

fn verdict(plan: &Plan) -> &'static str {
    match (plan.action, plan.log) {
        (Action::Reject, _) | (Action::Drop, Some(_)) => "goto refuse",
        (Action::Drop, None) => "drop",
        (Action::Log, _) => "goto audit",
    }
}

/// What becomes of what is not wanted.
fn refusal(plan: &Plan) -> Option<Object> {
    let group = plan
        .log
        .map(|group| format!(" group {group} snaplen 96"))
        .unwrap_or_default();
    let told = |what: &str| {
        format!(
            "limit rate 5/second burst 10 packets log prefix \"imwarden: \"{group} comment \"imwarden: {what}\""
        )
    };
    let mut chain = match plan.action {
        Action::Log => Object::chain("audit"),
        Action::Drop if plan.log.is_none() => return None,
        _ => Object::chain("refuse"),
    };
    if plan.action != Action::Log && plan.log.is_some() {
        chain.line(told("what is refused"));
    }
    match plan.action {
        Action::Log => chain.line(told("what would be refused")),
        Action::Drop => chain.line("drop comment \"imwarden: without a word\""),
        Action::Reject => {
            chain.line("meta l4proto tcp reject with tcp reset comment \"imwarden: TCP, at once\"");
            chain
                .line("reject with icmpx type port-unreachable comment \"imwarden: UDP, at once\"");
        }
    }
    Some(chain)
}

/// One chain a rule: it counts, and refuses.
fn feature_chains(all: &mut Vec<Object>, plan: &Plan, names: &RuleNames) {
    let verdict = verdict(plan);
    let mut chain = |name: &str, comment: &str, notes: Vec<String>, mark: bool| {
        let mut chain = Object::chain(format!("f_{name}"));
        chain.comment = notes;
        if mark {
            // Others' bits stay as they are.
            chain.line(format!(
                "ct mark set ct mark and {:#010x} or {:#010x} comment \"imwarden: the rest of it, too\"",
                !plan.mark.mask(),
                plan.mark.value()
            ));
        }
        chain.line(format!(
            "counter name \"{name}\" {verdict} comment \"{comment}\""
        ));
        all.push(chain);
    };
    for (rule, name) in plan.custom.iter().zip(&names.custom) {
        let note = format!("{}: {}", rule.id, rule.reason);
        chain(
            name,
            &format!("{}, a rule of this site", rule.id),
            vec![note],
            false,
        );
    }
    for (group, name) in plan.names.iter().zip(&names.names) {
        let comment = format!("{}, by its host names", group.id);
        chain(name, &comment, Vec::new(), false);
    }
    for (group, name) in plan.groups.iter().zip(&names.groups) {
        let owners = group.owners();
        let comment = reference(&owners, MAX_COMMENT);
        chain(name, &comment, words::notes(&owners), false);
    }
    for (group, name) in plan.seen.iter().zip(&names.seen) {
        let comment = format!(
            "imwarden: {} {}, where it was seen",
            group.service, group.feature
        );
        chain(name, &comment, Vec::new(), false);
    }
    for (group, name) in plan.signatures.iter().zip(&names.signatures) {
        let owners = group.owners();
        let comment = reference(&owners, MAX_COMMENT);
        chain(
            name,
            &comment,
            words::notes(&owners),
            plan.marks_in(Target::Nftables),
        );
    }
    if plan.marks_in(Target::Nftables) {
        chain(
            MARKED,
            "imwarden: of a connection that was recognised",
            Vec::new(),
            false,
        );
    }
}

fn judge(plan: &Plan, names: &RuleNames, transports: &[&str], families: &[Family]) -> Object {
    let mut chain = Object::chain("judge");
    let mut about = "Resets pass first: a refusal is itself a reset, and must get out. Then only the opener's \
         packets are judged, by the port they go to: whose own port happens to be 5190 loses nothing."
        .to_owned();
    if !families.is_empty() {
        about.push_str(
            " What was seen is refused both ways, so that a session that is open ends whoever speaks next.",
        );
    }
    chain.comment.push(about);
    chain.line("tcp flags rst accept comment \"imwarden: resets pass\"");
    scope(&mut chain, plan);
    if plan.marks_in(Target::Nftables) {
        chain.line(format!(
            "ct mark and {:#010x} == {:#010x} goto f_{MARKED} comment \"imwarden: recognised before\"",
            plan.mark.mask(),
            plan.mark.value()
        ));
    }
    for family in families {
        let ip = family.word();
        for (host, port) in [("daddr", "dport"), ("saddr", "sport")] {
            chain.line(format!(
                "{ip} {host} . meta l4proto . th {port} vmap @seen{} comment \"imwarden: seen, each with its place\"",
                family.digit()
            ));
        }
    }
    if plan.said_by(Speaker::Server).next().is_some() {
        chain.line("ct direction reply goto greetings comment \"imwarden: answers pass, but for greetings\"");
    } else {
        chain.line("ct direction reply accept comment \"imwarden: answers pass\"");
    }
    clients(&mut chain, plan, "saddr");
    custom(&mut chain, plan, names);
    for (group, name) in plan.names.iter().zip(&names.names) {
        named(&mut chain, group, name);
    }
    // What others use too is judged by the first bytes of a segment.
    for (group, name) in plan.seen.iter().zip(&names.seen) {
        for seen in &group.seen {
            if let Some(opening) = &seen.opening {
                chain.line(format!(
                    "{} daddr {} {} dport {} {} goto f_{name} comment \"{}\"",
                    Family::of(seen.server.ip).word(),
                    seen.server.ip,
                    seen.transport.name().to_lowercase(),
                    seen.server.port,
                    payload(opening),
                    seen.words()
                ));
            }
        }
    }
    for word in transports {
        chain.line(format!(
            "{word} dport vmap @{word}_ports comment \"imwarden: by port, each with its own id\""
        ));
    }
    if plan.said_by(Speaker::Client).next().is_some() {
        chain.line("goto openings comment \"imwarden: by what is said, on any port\"");
    }
    chain
}

fn base_chain(plan: &Plan, hook: Hook, wanted: bool) -> Object {
    let name = hook.name();
    let mut chain = Object::chain(name);
    // A little before the usual filter chains: what they accept early is still seen here.
    chain.head.push(format!(
        "type filter hook {name} priority filter - 5; policy accept;"
    ));
    if !wanted {
        return chain;
    }
    match hook {
        Hook::Forward => {}
        Hook::Output => chain.line("oifname \"lo\" accept comment \"imwarden: loopback\""),
        Hook::Input => chain.line("iifname \"lo\" accept comment \"imwarden: loopback\""),
    }
    ways(&mut chain, plan, hook);
    let users = match hook {
        Hook::Output => others(plan),
        Hook::Forward | Hook::Input => String::new(),
    };
    chain.line(format!(
        "{users}jump judge comment \"imwarden: judge what is opened\""
    ));
    chain
}
