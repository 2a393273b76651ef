//! iptables and ip6tables: chains of our own, filled by `iptables-restore --noflush`.

use super::text::{Text, place, reference};
use super::{header, names};
use crate::model::Transport;
use crate::policy::{Action, Group, Hook, Opening, Owner, Plan, Ports, Seen};
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

/// The rule that leads from a built-in chain into ours, behind `-I CHAIN 1` or `-C CHAIN`.
pub(super) const fn jump(hook: Hook) -> &'static str {
    match hook {
        Hook::Forward => "-m comment --comment \"imwarden\" -j IMWARDEN",
        Hook::Output => "! -o lo -m comment --comment \"imwarden\" -j IMWARDEN",
        Hook::Input => "! -i lo -m comment --comment \"imwarden\" -j IMWARDEN",
    }
}

/// All chains of ours, the entry first.
pub(super) fn chains(plan: &Plan) -> Vec<String> {
    let mut chains = vec!["IMWARDEN".to_owned()];
    if !plan.sources.is_empty() {
        chains.extend(["IMW-SCOPE".to_owned(), "IMW-CLIENTS".to_owned()]);
    }
    if !plan.is_empty() {
        match plan.action {
            Action::Reject => chains.push("IMW-REFUSE".to_owned()),
            Action::Log => chains.push("IMW-AUDIT".to_owned()),
            Action::Drop => {}
        }
    }
    chains.extend(names::iptables(plan));
    chains.extend(plan.seen.iter().map(names::seen_iptables));
    chains
}

/// A whole restore file.
pub(super) fn file(plan: &Plan, family: Family) -> String {
    let program = family.program();
    let mut text = Text::default();
    let check = format!("{program}-restore --noflush --test FILE");
    let load = format!("{program}-restore -w --noflush FILE");
    let watch = format!("{program} -w -nvL");
    let remove = "sh SCRIPT remove, with the script of --format iptables-script";
    let commands = [
        ("check", &*check),
        ("load", &load),
        ("watch", &watch),
        ("remove", remove),
    ];
    header::write(&mut text, plan, &commands);
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
        text.line(format!("-I {} 1 {}", chain(*hook), jump(*hook)));
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
    seen_endpoints(text, plan, family, judge);
    text.line(
        "# Only the opener's packets are judged: whose own port happens to be 5190 loses nothing.",
    );
    text.line(own(
        &format!("-A {judge} -m conntrack --ctdir REPLY"),
        "imwarden: answers pass",
        "RETURN",
    ));
    let judge = clients(text, plan, family, judge);
    seen_openings(text, plan, family, judge);
    for (group, name) in plan.groups.iter().zip(&names) {
        for owner in group.owners() {
            if let Some(note) = &owner.note {
                text.paragraph("# ", "# ", &format!("{}: {note}", owner.id));
            }
        }
        matches(text, group, name, judge);
        let target = target(plan);
        let comment = reference(&group.owners(), MAX_COMMENT);
        text.line(own(&format!("-A {name}"), &comment, target));
    }
    if !plan.is_empty() && plan.action == Action::Log {
        text.line(own(
            "-A IMW-AUDIT -m limit --limit 5/second --limit-burst 10",
            "imwarden: what would be refused",
            "LOG --log-prefix \"imwarden: \"",
        ));
    }
    if !plan.is_empty() && plan.action == Action::Reject {
        let unreachable = format!("REJECT --reject-with {}", family.unreachable());
        text.line(own(
            "-A IMW-REFUSE -p tcp",
            "imwarden: TCP, at once",
            "REJECT --reject-with tcp-reset",
        ));
        text.line(own("-A IMW-REFUSE", "imwarden: UDP, at once", &unreachable));
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
    match plan.action {
        Action::Reject => "IMW-REFUSE",
        Action::Drop => "DROP",
        Action::Log => "IMW-AUDIT",
    }
}

/// Endpoints of this family, with the name of their chain.
fn seen_in(plan: &Plan, family: Family) -> impl Iterator<Item = (&Seen, String)> {
    plan.seen.iter().flat_map(move |group| {
        let name = names::seen_iptables(group);
        let here = move |seen: &&Seen| seen.server.ip.is_ipv4() == (family == Family::V4);
        group
            .seen
            .iter()
            .filter(here)
            .map(move |seen| (seen, name.clone()))
    })
}

/// Endpoints that are closed as a whole, both ways: a session that is open ends whoever speaks next.
fn seen_endpoints(text: &mut Text, plan: &Plan, family: Family, judge: &str) {
    for group in &plan.seen {
        let words = format!(
            "imwarden: {} {}, where it was seen",
            group.service, group.feature
        );
        let name = names::seen_iptables(group);
        text.line(own(&format!("-A {name}"), &words, target(plan)));
    }
    for (seen, name) in seen_in(plan, family) {
        if seen.opening.is_some() {
            continue;
        }
        let (ip, port) = (seen.server.ip, seen.server.port);
        let word = seen.transport.name().to_lowercase();
        for (host, side) in [("-d", "--dport"), ("-s", "--sport")] {
            text.line(goto(
                &format!("-A {judge} {host} {ip} -p {word} -m {word} {side} {port}"),
                &seen.words(),
                &name,
            ));
        }
    }
}

/// What others use too is judged by the first bytes of a segment.
fn seen_openings(text: &mut Text, plan: &Plan, family: Family, judge: &str) {
    for (seen, name) in seen_in(plan, family) {
        let Some(opening) = &seen.opening else {
            continue;
        };
        let (ip, port) = (seen.server.ip, seen.server.port);
        let word = seen.transport.name().to_lowercase();
        text.line(goto(
            &format!(
                "-A {judge} -d {ip} -p {word} -m {word} --dport {port} -m u32 --u32 \"{}\"",
                payload(opening, family)
            ),
            &seen.words(),
            &name,
        ));
    }
}

/// u32 reads four bytes at a time and at most ten times. What stands before the @ goes over the IP and TCP headers,
/// as long as they say they are; for IPv6 it supposes that no extension header is between them.
fn payload(opening: &Opening, family: Family) -> String {
    let skip = match family {
        Family::V4 => "0>>22&0x3C@12>>26&0x3C@",
        Family::V6 => "52>>26&0x3C@",
    };
    let base = match family {
        Family::V4 => 0,
        Family::V6 => 40,
    };
    let mut tests = Vec::new();
    for (at, bytes) in &opening.pieces {
        for (number, part) in bytes.chunks(4).enumerate() {
            let mut at = base + usize::from(*at) + 4 * number;
            let mut part = part.to_vec();
            // Four bytes must be there to be read: the last ones overlap with those before.
            if part.len() < 4 && number > 0 {
                let missing = 4 - part.len();
                at -= missing;
                part = bytes.get(bytes.len() - 4..).map_or(part, <[u8]>::to_vec);
            }
            let value = part
                .iter()
                .fold(0_u32, |value, byte| value << 8 | u32::from(*byte));
            let shift = match 4 - part.len() {
                0 => String::new(),
                missing => format!(">>{}", missing * 8),
            };
            tests.push(format!("{skip}{at}{shift}=0x{value:x}"));
        }
    }
    tests.truncate(10);
    tests.join("&&")
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
            let list: Vec<_> = chunk.iter().map(|ports| port(ports)).collect();
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

fn port(ports: &Ports) -> String {
    let (first, last) = (ports.range.first(), ports.range.last());
    if first == last {
        first.to_string()
    } else {
        format!("{first}:{last}")
    }
}

fn own(rule: &str, comment: &str, target: &str) -> String {
    format!("{rule} -m comment --comment \"{comment}\" -j {target}")
}
