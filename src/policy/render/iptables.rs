//! iptables and ip6tables: chains of our own, filled by `iptables-restore --noflush`.

use super::iptables_hellos::{self, HELLOS};
use super::iptables_rules::{
    answers, clients, content, custom, matches, named, refusal, scope, seen_endpoints,
    seen_openings,
};
use super::text::{Text, reference};
use super::{header, ipset, names, words};
use crate::policy::{Action, Hook, Plan, Target, User};
use crate::ruleset::Speaker;

/// `-m comment` takes 255 characters.
pub(super) const MAX_COMMENT: usize = 255;

/// IPv4 or IPv6: two programs, two tables, two files.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// iptables.
    V4,
    /// ip6tables.
    V6,
}

impl Family {
    pub(super) const fn program(self) -> &'static str {
        match self {
            Self::V4 => "iptables",
            Self::V6 => "ip6tables",
        }
    }

    pub(super) const fn unreachable(self) -> &'static str {
        match self {
            Self::V4 => "icmp-port-unreachable",
            Self::V6 => "icmp6-port-unreachable",
        }
    }
}

/// The built-in chain of a hook.
pub(super) const fn chain(hook: Hook) -> &'static str {
    match hook {
        Hook::Forward => "FORWARD",
        Hook::Output => "OUTPUT",
        Hook::Input => "INPUT",
    }
}

/// The rules that lead from a built-in chain into ours, behind `-I CHAIN 1` or `-C CHAIN`.
///
/// Where interfaces are named there is one for each way, and one for the way back: a user's chain cannot ask where a packet
/// came in when it also sees packets that came in nowhere.
pub(super) fn jumps(plan: &Plan, hook: Hook) -> Vec<String> {
    let lo = match hook {
        Hook::Forward => "",
        Hook::Output => "! -o lo ",
        Hook::Input => "! -i lo ",
    };
    let users = match hook {
        Hook::Output => others(plan),
        Hook::Forward | Hook::Input => String::new(),
    };
    let to = format!("{users}-m comment --comment \"imwarden\" -j IMWARDEN");
    if plan.interfaces.is_any() {
        return vec![format!("{lo}{to}")];
    }
    let (has_in, has_out) = match hook {
        Hook::Forward => (true, true),
        Hook::Output => (false, true),
        Hook::Input => (true, false),
    };
    let mut all = Vec::new();
    for (direction, comes, leaves) in [("ORIGINAL", "-i", "-o"), ("REPLY", "-o", "-i")] {
        let side = |option: &str, names: &[crate::policy::Interface]| -> Vec<String> {
            let there = if option == "-i" { has_in } else { has_out };
            if names.is_empty() || !there {
                return vec![String::new()];
            }
            names.iter().map(|it| format!("{option} {it} ")).collect()
        };
        for from in side(comes, &plan.interfaces.incoming) {
            for over in side(leaves, &plan.interfaces.outgoing) {
                // Nothing is named by its interface and loopback at once.
                let lo = if from.is_empty() && over.is_empty() {
                    lo
                } else {
                    ""
                };
                all.push(format!(
                    "{lo}{from}{over}-m conntrack --ctdir {direction} {to}"
                ));
            }
        }
    }
    all
}

/// Whom a packet must not be from. What is left of a connection whose program is gone is nobody's: it is not judged where users
/// are, else the last of what they sent would be lost.
fn others(plan: &Plan) -> String {
    if plan.users.is_empty() {
        return String::new();
    }
    let user = |user: &User| format!("-m owner ! --uid-owner {} ", user.name());
    let users: String = plan.users.iter().map(user).collect();
    format!("-m owner --socket-exists {users}")
}

/// All chains of ours, the entry first.
pub(super) fn chains(plan: &Plan) -> Vec<String> {
    let names = names::iptables(plan);
    let mut chains = vec!["IMWARDEN".to_owned()];
    if !plan.sources.is_empty() {
        chains.extend(["IMW-SCOPE".to_owned(), "IMW-CLIENTS".to_owned()]);
    }
    for (speaker, name) in CONTENT {
        if plan.listens_to(speaker) {
            chains.push(name.to_owned());
        }
    }
    if plan.marks() {
        chains.push("IMW-MARKED".to_owned());
    }
    if !plan.is_empty() {
        match target(plan) {
            "DROP" => {}
            chain => chains.push(chain.to_owned()),
        }
    }
    if !plan.sni.is_empty() {
        chains.push(HELLOS.to_owned());
        chains.extend(iptables_hellos::chains(plan));
    }
    for part in [
        names.custom,
        names.names,
        names.groups,
        names.seen,
        names.signatures,
        names.sni,
    ] {
        chains.extend(part);
    }
    chains
}

/// Who says something, and the chain that listens.
pub(super) const CONTENT: [(Speaker, &str); 2] = [
    (Speaker::Server, "IMW-GREETINGS"),
    (Speaker::Client, "IMW-SIGNATURES"),
];

/// A whole restore file.
pub(super) fn file(plan: &Plan, family: Family) -> String {
    let program = family.program();
    let mut text = Text::default();
    let check = format!("{program}-restore --noflush --test FILE");
    let load = format!("{program}-restore -w --noflush FILE");
    let watch = format!("{program} -w -nvL");
    let remove = "sh SCRIPT remove, with the script of --format iptables-script";
    let sets =
        "ipset restore -exist -file SETS, with the file of --format ipset, before the others";
    let commands = [
        ("sets", sets),
        ("check", &*check),
        ("load", &load),
        ("watch", &watch),
        ("remove", remove),
    ];
    let commands = if ipset::Sets::of(plan).names.is_empty() {
        commands.get(1..).unwrap_or_default()
    } else {
        &commands
    };
    let target = match family {
        Family::V4 => Target::Iptables,
        Family::V6 => Target::Ip6tables,
    };
    header::write(&mut text, plan, target, commands);
    text.line("#");
    text.paragraph(
        "# ",
        "# ",
        "Rules of others stay (--noflush), and our chains are emptied first. But a restore file cannot ask \
         whether a jump is there: loaded twice, it jumps twice, which is harmless and untidy. The \
         script can run again and again.",
    );
    text.line("*filter");
    declarations(&mut text, plan);
    for hook in &plan.hooks {
        for jump in jumps(plan, *hook) {
            text.line(format!("-I {} 1 {jump}", chain(*hook)));
        }
    }
    rules(&mut text, plan, family);
    text.line("COMMIT");
    text.finish()
}

/// Chains and rules without the jumps into them: loading this again changes nothing.
pub(super) fn table(plan: &Plan, family: Family) -> String {
    let mut text = Text::default();
    text.line("*filter");
    declarations(&mut text, plan);
    rules(&mut text, plan, family);
    text.line("COMMIT");
    text.finish()
}

/// A chain that is declared is made, or emptied where it is there already.
fn declarations(text: &mut Text, plan: &Plan) {
    for chain in chains(plan) {
        text.line(format!(":{chain} - [0:0]"));
    }
}

fn rules(text: &mut Text, plan: &Plan, family: Family) {
    let names = names::iptables(plan);
    text.line("# Resets pass first: a refusal is itself a reset, and must get out.");
    text.line(own(
        "-A IMWARDEN -p tcp -m tcp --tcp-flags RST RST",
        "imwarden: resets pass",
        "RETURN",
    ));
    let judge = scope(text, plan, family);
    if plan.marks() {
        text.line(own(
            &format!("-A {judge} -m connmark --mark {}", plan.mark),
            "imwarden: recognised before",
            "IMW-MARKED",
        ));
        text.line(own(
            "-A IMW-MARKED",
            "imwarden: of a connection that was recognised",
            target(plan),
        ));
    }
    seen_endpoints(text, plan, &names, family, judge);
    answers(text, plan, family, judge);
    let judge = clients(text, plan, family, judge);
    custom(text, plan, &names, family, judge);
    named(text, plan, &names, family, judge);
    seen_openings(text, plan, &names, family, judge);
    for (group, name) in plan.groups.iter().zip(&names.groups) {
        for note in words::notes(&group.owners()) {
            text.paragraph("# ", "# ", &note);
        }
        matches(text, group, name, judge);
        let comment = reference(&group.owners(), MAX_COMMENT);
        text.line(own(&format!("-A {name}"), &comment, target(plan)));
    }
    content(text, plan, &names, family, judge);
    refusal(text, plan, family);
}

/// Goes on in another chain and does not come back: a connection is counted once, also by a policy that only looks.
pub(super) fn goto(rule: &str, comment: &str, chain: &str) -> String {
    format!("{rule} -m comment --comment \"{comment}\" -g {chain}")
}

pub(super) const fn target(plan: &Plan) -> &'static str {
    match (plan.action, plan.log) {
        (Action::Reject, _) | (Action::Drop, Some(_)) => "IMW-REFUSE",
        (Action::Drop, None) => "DROP",
        (Action::Log, _) => "IMW-AUDIT",
    }
}

pub(super) fn own(rule: &str, comment: &str, target: &str) -> String {
    format!("{rule} -m comment --comment \"{comment}\" -j {target}")
}
