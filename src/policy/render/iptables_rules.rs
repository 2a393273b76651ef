//! iptables: whom rules are about, and the rules of each kind.

use super::iptables::{CONTENT, Family, MAX_COMMENT, goto, own, target};
use super::text::{Text, place, reference};
use super::{RuleNames, ipset, iptables_hellos, u32, xt_string};
use crate::model::Transport;
use crate::policy::signature::{WINDOW, request};
use crate::policy::{Action, Group, Owner, Place, Plan, Ports};
use crate::ruleset::{PortRange, Speaker};
use ipnet::IpNet;
use std::collections::BTreeSet;

/// `-m multiport` takes 15 ports; a range counts as two.
const MAX_MULTIPORT: usize = 15;

/// Who is left alone, and who is not meant; the chain that goes on.
pub(super) fn scope(text: &mut Text, plan: &Plan, family: Family) -> &'static str {
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

/// Answers pass; where servers are recognised by what they say first, not before that is looked at.
pub(super) fn answers(text: &mut Text, plan: &Plan, family: Family, judge: &str) {
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

/// From here on the client is the sender, and must be meant; the chain that goes on.
pub(super) fn clients(
    text: &mut Text,
    plan: &Plan,
    family: Family,
    judge: &'static str,
) -> &'static str {
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

/// `-p tcp -m tcp --dport 7000`, or both transports.
pub(super) fn ports_of(ports: Option<&(Transport, PortRange)>) -> Vec<String> {
    match ports {
        Some((transport, range)) => {
            let word = transport.name().to_lowercase();
            vec![format!("-p {word} -m {word} --dport {}", span(*range))]
        }
        None => vec!["-p tcp".to_owned(), "-p udp".to_owned()],
    }
}

pub(super) fn custom(text: &mut Text, plan: &Plan, names: &RuleNames, family: Family, judge: &str) {
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
            text.line(goto(&format!("-A {judge} {to}{ports}"), &comment, name));
        }
        text.line(own(&format!("-A {name}"), &comment, target(plan)));
    }
}

/// An address stays in its set as long as somebody goes on asking for it.
pub(super) fn named(text: &mut Text, plan: &Plan, names: &RuleNames, family: Family, judge: &str) {
    for (group, name) in plan.names.iter().zip(&names.names) {
        let comment = format!("{}, by its host names", group.id);
        let set = ipset::name(name, family == Family::V4);
        for ports in ports_of(group.ports.as_ref()) {
            let rule = format!("-A {judge} {ports} -m set --match-set {set} dst");
            text.line(goto(&rule, &comment, name));
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
pub(super) fn content(
    text: &mut Text,
    plan: &Plan,
    names: &RuleNames,
    family: Family,
    judge: &str,
) {
    for (speaker, chain) in CONTENT {
        if !plan.listens_to(speaker) {
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
        // What differs at the beginning only may be alike behind a head.
        let mut requests = BTreeSet::new();
        for (at, signature) in plan.said_by(speaker) {
            let owners: Vec<&Owner> = signature.owners.iter().collect();
            let Some(name) = names.signatures.get(at) else {
                continue;
            };
            let mut rule = |found: String| {
                let comment = reference(&owners, MAX_COMMENT);
                text.line(goto(&format!("-A {chain} -p tcp {found}"), &comment, name));
            };
            rule(u32::matches(&signature.opening, family));
            if let Some(all) = signature.in_request()
                && requests.insert(all.clone())
            {
                let mut found = vec![u32::matches(&request(), family)];
                found.extend(all.iter().map(|bytes| xt_string::matches(bytes)));
                rule(found.join(" "));
            }
        }
        if speaker == Speaker::Client && !plan.sni.is_empty() {
            iptables_hellos::lead(text, family, chain);
        }
    }
    if !plan.sni.is_empty() {
        iptables_hellos::rules(text, plan, names, family);
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
pub(super) fn refusal(text: &mut Text, plan: &Plan, family: Family) {
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

/// Endpoints that are closed as a whole, both ways: a session that is open ends whoever speaks next. Which they are, and where
/// each was seen, stands in the sets.
pub(super) fn seen_endpoints(
    text: &mut Text,
    plan: &Plan,
    names: &RuleNames,
    family: Family,
    judge: &str,
) {
    for (group, name) in plan.seen.iter().zip(&names.seen) {
        let words = format!(
            "imwarden: {} {}, where it was seen",
            group.service, group.feature
        );
        text.line(own(&format!("-A {name}"), &words, target(plan)));
        let v4 = family == Family::V4;
        if ipset::endpoints(group, v4).next().is_none() {
            continue;
        }
        let set = ipset::name(name, v4);
        for end in ["dst,dst", "src,src"] {
            let rule = format!("-A {judge} -m set --match-set {set} {end}");
            text.line(goto(&rule, &words, name));
        }
    }
}

/// What others use too is judged by the first bytes of a segment.
pub(super) fn seen_openings(
    text: &mut Text,
    plan: &Plan,
    names: &RuleNames,
    family: Family,
    judge: &str,
) {
    let groups = plan.seen.iter().zip(&names.seen);
    let all = groups.flat_map(|(group, name)| group.seen.iter().map(move |seen| (seen, name)));
    let here = all.filter(|(seen, _)| seen.server.ip.is_ipv4() == (family == Family::V4));
    for (seen, name) in here {
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
pub(super) fn matches(text: &mut Text, group: &Group, name: &str, judge: &str) {
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

pub(super) fn chunks<'a>(ports: &[&'a Ports]) -> Vec<Vec<&'a Ports>> {
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

pub(super) fn span(range: PortRange) -> String {
    let (first, last) = (range.first(), range.last());
    if first == last {
        first.to_string()
    } else {
        format!("{first}:{last}")
    }
}
