//! iptables and ip6tables: chains of our own, filled by `iptables-restore --noflush`.

use super::text::{Text, place, reference};
use super::{RuleNames, header, ipset, names, u32, words};
use crate::model::Transport;
use crate::policy::signature::WINDOW;
use crate::policy::{Action, Group, Hook, Owner, Place, Plan, Ports, Seen};
use crate::ruleset::{PortRange, Speaker};
use ipnet::IpNet;

/// `-m comment` takes 255 characters.
const MAX_COMMENT: usize = 255;
/// `-m multiport` takes 15 ports; a range counts as two.
const MAX_MULTIPORT: usize = 15;

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

    const fn unreachable(self) -> &'static str {
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
    let to = "-m comment --comment \"imwarden\" -j IMWARDEN";
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

/// All chains of ours, the entry first.
pub(super) fn chains(plan: &Plan) -> Vec<String> {
    let names = names::iptables(plan);
    let mut chains = vec!["IMWARDEN".to_owned()];
    if !plan.sources.is_empty() {
        chains.extend(["IMW-SCOPE".to_owned(), "IMW-CLIENTS".to_owned()]);
    }
    for (speaker, name) in CONTENT {
        if plan.said_by(speaker).next().is_some() {
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
    for part in [
        names.custom,
        names.names,
        names.groups,
        names.seen,
        names.signatures,
    ] {
        chains.extend(part);
    }
    chains
}

/// Who says something, and the chain that listens.
const CONTENT: [(Speaker, &str); 2] = [
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
    let commands = if plan.names.is_empty() {
        commands.get(1..).unwrap_or_default()
    } else {
        &commands
    };
    header::write(&mut text, plan, commands);
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

/// Answers pass; where servers are recognised by what they say first, not before that is looked at.
fn answers(text: &mut Text, plan: &Plan, family: Family, judge: &str) {
    text.line(
        "# Only the opener's packets are judged: whose own port happens to be 5190 loses nothing.",
    );
    let reply = format!("-A {judge} -m conntrack --ctdir REPLY");
    if plan.said_by(Speaker::Server).next().is_some() {
        let greetings = "imwarden: answers pass, but for greetings";
        if plan.sources.is_empty() {
            text.line(goto(&reply, greetings, "IMW-GREETINGS"));
            return;
        }
        let here = |net: &&IpNet| net.addr().is_ipv4() == (family == Family::V4);
        for net in plan.sources.iter().filter(here) {
            let rule = format!("{reply} -d {}", place(*net));
            text.line(goto(&rule, greetings, "IMW-GREETINGS"));
        }
    }
    text.line(own(&reply, "imwarden: answers pass", "RETURN"));
}

/// `-p tcp -m tcp --dport 7000`, or both transports.
fn ports_of(ports: Option<&(Transport, PortRange)>) -> Vec<String> {
    match ports {
        Some((transport, range)) => {
            let word = transport.name().to_lowercase();
            vec![format!("-p {word} -m {word} --dport {}", span(*range))]
        }
        None => vec!["-p tcp".to_owned(), "-p udp".to_owned()],
    }
}

fn custom(text: &mut Text, plan: &Plan, names: &RuleNames, family: Family, judge: &str) {
    for (rule, name) in plan.custom.iter().zip(&names.custom) {
        let comment = format!("{}, a rule of this site", rule.id);
        let to = match &rule.place {
            Place::Net(net) if net.addr().is_ipv4() == (family == Family::V4) => {
                format!("-d {} ", place(*net))
            }
            Place::Net(_) => continue,
            _ => String::new(),
        };
        text.paragraph("# ", "# ", &format!("{}: {}", rule.id, rule.reason));
        for ports in ports_of(rule.ports.as_ref()) {
            text.line(own(&format!("-A {judge} {to}{ports}"), &comment, name));
        }
        text.line(own(&format!("-A {name}"), &comment, target(plan)));
    }
}

/// An address stays in its set as long as somebody goes on asking for it.
fn named(text: &mut Text, plan: &Plan, names: &RuleNames, family: Family, judge: &str) {
    for (group, name) in plan.names.iter().zip(&names.names) {
        let comment = format!("{}, by its host names", group.id);
        let set = ipset::name(name, family == Family::V4);
        for ports in ports_of(group.ports.as_ref()) {
            let rule = format!("-A {judge} {ports} -m set --match-set {set} dst");
            text.line(own(&rule, &comment, name));
        }
        let again = format!("SET --add-set {set} dst --exist");
        text.line(own(
            &format!("-A {name}"),
            "imwarden: still asked for",
            &again,
        ));
        text.line(own(&format!("-A {name}"), &comment, target(plan)));
    }
}

/// What connections open with: each segment is judged by itself, and only the first of a connection.
fn content(text: &mut Text, plan: &Plan, names: &RuleNames, family: Family, judge: &str) {
    for (speaker, chain) in CONTENT {
        if plan.said_by(speaker).next().is_none() {
            continue;
        }
        if speaker == Speaker::Client {
            text.line(goto(
                &format!("-A {judge} -p tcp"),
                "imwarden: by what is said, on any port",
                chain,
            ));
        }
        let side = match speaker {
            Speaker::Client => "original",
            Speaker::Server => "reply",
        };
        text.line(own(
            &format!(
                "-A {chain} -m connbytes --connbytes {}: --connbytes-dir {side} --connbytes-mode packets",
                WINDOW + 1
            ),
            "imwarden: no beginning any more",
            "RETURN",
        ));
        for (at, signature) in plan.said_by(speaker) {
            let owners: Vec<&Owner> = signature.owners.iter().collect();
            if let Some(name) = names.signatures.get(at) {
                text.line(own(
                    &format!(
                        "-A {chain} -p tcp {}",
                        u32::matches(&signature.opening, family)
                    ),
                    &reference(&owners, MAX_COMMENT),
                    name,
                ));
            }
        }
    }
    for (group, name) in plan.signatures.iter().zip(&names.signatures) {
        let comment = reference(&group.owners(), MAX_COMMENT);
        if plan.marks() {
            let mark = format!("CONNMARK --set-xmark {}", plan.mark);
            let rule = format!("-A {name}");
            text.line(own(&rule, "imwarden: the rest of it, too", &mark));
        }
        text.line(own(&format!("-A {name}"), &comment, target(plan)));
    }
}

/// What becomes of what is not wanted.
fn refusal(text: &mut Text, plan: &Plan, family: Family) {
    if plan.is_empty() {
        return;
    }
    let chain = target(plan);
    let (told, what) = match plan.action {
        Action::Log => (true, "imwarden: what would be refused"),
        _ => (plan.log.is_some(), "imwarden: what is refused"),
    };
    if told {
        let log = match plan.log {
            Some(group) => {
                format!("NFLOG --nflog-group {group} --nflog-prefix \"imwarden: \" --nflog-size 96")
            }
            None => "LOG --log-prefix \"imwarden: \"".to_owned(),
        };
        let rule = format!("-A {chain} -m limit --limit 5/second --limit-burst 10");
        text.line(own(&rule, what, &log));
    }
    match plan.action {
        Action::Log => {}
        Action::Drop if chain == "DROP" => {}
        Action::Drop => text.line(own(
            &format!("-A {chain}"),
            "imwarden: without a word",
            "DROP",
        )),
        Action::Reject => {
            let unreachable = format!("REJECT --reject-with {}", family.unreachable());
            text.line(own(
                "-A IMW-REFUSE -p tcp",
                "imwarden: TCP, at once",
                "REJECT --reject-with tcp-reset",
            ));
            text.line(own("-A IMW-REFUSE", "imwarden: UDP, at once", &unreachable));
        }
    }
}

/// Who is left alone, and who is not meant; the chain that goes on.
fn scope(text: &mut Text, plan: &Plan, family: Family) -> &'static str {
    let here = |net: &&IpNet| net.addr().is_ipv4() == (family == Family::V4);
    for net in plan.exceptions.iter().filter(here) {
        for end in ["-s", "-d"] {
            let rule = format!("-A IMWARDEN {end} {}", place(*net));
            text.line(own(&rule, "imwarden: left alone", "RETURN"));
        }
    }
    if plan.sources.is_empty() {
        return "IMWARDEN";
    }
    for net in plan.sources.iter().filter(here) {
        for end in ["-s", "-d"] {
            text.line(goto(
                &format!("-A IMWARDEN {end} {}", place(*net)),
                "imwarden: meant",
                "IMW-SCOPE",
            ));
        }
    }
    "IMW-SCOPE"
}

/// From here on the client is the sender, and must be meant; the chain that goes on.
fn clients(text: &mut Text, plan: &Plan, family: Family, judge: &'static str) -> &'static str {
    if plan.sources.is_empty() {
        return judge;
    }
    let here = |net: &&IpNet| net.addr().is_ipv4() == (family == Family::V4);
    for net in plan.sources.iter().filter(here) {
        text.line(goto(
            &format!("-A {judge} -s {}", place(*net)),
            "imwarden: its own clients",
            "IMW-CLIENTS",
        ));
    }
    "IMW-CLIENTS"
}

/// Goes on in another chain and does not come back: a connection is counted once, also by a policy that only looks.
fn goto(rule: &str, comment: &str, chain: &str) -> String {
    format!("{rule} -m comment --comment \"{comment}\" -g {chain}")
}

const fn target(plan: &Plan) -> &'static str {
    match (plan.action, plan.log) {
        (Action::Reject, _) | (Action::Drop, Some(_)) => "IMW-REFUSE",
        (Action::Drop, None) => "DROP",
        (Action::Log, _) => "IMW-AUDIT",
    }
}

/// Endpoints of this family, with the name of their chain.
fn seen_in<'a>(
    plan: &'a Plan,
    names: &'a RuleNames,
    family: Family,
) -> impl Iterator<Item = (&'a Seen, &'a String)> {
    plan.seen
        .iter()
        .zip(&names.seen)
        .flat_map(move |(group, name)| {
            let here = move |seen: &&Seen| seen.server.ip.is_ipv4() == (family == Family::V4);
            group.seen.iter().filter(here).map(move |seen| (seen, name))
        })
}

/// Endpoints that are closed as a whole, both ways: a session that is open ends whoever speaks next.
fn seen_endpoints(text: &mut Text, plan: &Plan, names: &RuleNames, family: Family, judge: &str) {
    for (group, name) in plan.seen.iter().zip(&names.seen) {
        let words = format!(
            "imwarden: {} {}, where it was seen",
            group.service, group.feature
        );
        text.line(own(&format!("-A {name}"), &words, target(plan)));
    }
    for (seen, name) in seen_in(plan, names, family) {
        if seen.opening.is_some() {
            continue;
        }
        let (ip, port) = (seen.server.ip, seen.server.port);
        let word = seen.transport.name().to_lowercase();
        for (host, side) in [("-d", "--dport"), ("-s", "--sport")] {
            text.line(goto(
                &format!("-A {judge} {host} {ip} -p {word} -m {word} {side} {port}"),
                &seen.words(),
                name,
            ));
        }
    }
}

/// What others use too is judged by the first bytes of a segment.
fn seen_openings(text: &mut Text, plan: &Plan, names: &RuleNames, family: Family, judge: &str) {
    for (seen, name) in seen_in(plan, names, family) {
        let Some(opening) = &seen.opening else {
            continue;
        };
        let (ip, port) = (seen.server.ip, seen.server.port);
        let word = seen.transport.name().to_lowercase();
        text.line(goto(
            &format!(
                "-A {judge} -d {ip} -p {word} -m {word} --dport {port} {}",
                u32::matches(opening, family)
            ),
            &seen.words(),
            name,
        ));
    }
}

/// The rules that lead to one feature's chain.
fn matches(text: &mut Text, group: &Group, name: &str, judge: &str) {
    for (transport, word) in [(Transport::Tcp, "tcp"), (Transport::Udp, "udp")] {
        let mut ports: Vec<_> = group
            .ports
            .iter()
            .filter(|p| p.transport == transport)
            .collect();
        ports.sort_by_key(|ports| ports.range);
        for chunk in chunks(&ports) {
            let list: Vec<_> = chunk.iter().map(|ports| span(ports.range)).collect();
            let condition = match list.as_slice() {
                [one] => format!("-m {word} --dport {one}"),
                many => format!("-m multiport --dports {}", many.join(",")),
            };
            let mut owners: Vec<&Owner> = chunk.iter().flat_map(|ports| &ports.owners).collect();
            owners.sort_unstable();
            owners.dedup();
            let comment = reference(&owners, MAX_COMMENT);
            text.line(goto(
                &format!("-A {judge} -p {word} {condition}"),
                &comment,
                name,
            ));
        }
    }
}

fn chunks<'a>(ports: &[&'a Ports]) -> Vec<Vec<&'a Ports>> {
    let mut chunks: Vec<Vec<&Ports>> = Vec::new();
    let mut room = 0;
    for &ports in ports {
        let cost = if ports.range.count() == 1 { 1 } else { 2 };
        match chunks.last_mut() {
            Some(chunk) if room >= cost => chunk.push(ports),
            _ => {
                chunks.push(vec![ports]);
                room = MAX_MULTIPORT;
            }
        }
        room -= cost;
    }
    chunks
}

fn span(range: PortRange) -> String {
    let (first, last) = (range.first(), range.last());
    if first == last {
        first.to_string()
    } else {
        format!("{first}:{last}")
    }
}

fn own(rule: &str, comment: &str, target: &str) -> String {
    format!("{rule} -m comment --comment \"{comment}\" -j {target}")
}
