//! Suricata rules, for an engine that sits in the path. Suricata 7 reads every file, finds in captures what it should, and refuses
//! that in the path of a router.

use super::text::{Text, and, reference};
use crate::model::Transport;
use crate::policy::{Action, HostDeny, Opening, Owner, Place, Plan, hello};
use crate::ruleset::Speaker;
use ipnet::IpNet;

/// Where local rules begin.
const FIRST_ID: u32 = 1_900_001;

struct Rules {
    text: Text,
    action: &'static str,
    /// Whose connections.
    clients: String,
    /// Where to; the exceptions are not among them.
    anywhere: String,
    next: u32,
}

impl Rules {
    /// One rule: `reject tcp any any -> any 5190 (msg:"..."; flow:to_server; sid:1; rev:1;)`.
    fn add(&mut self, head: &str, message: &str, options: &str) {
        let (action, id) = (self.action, self.next);
        self.next += 1;
        self.text.line(format!(
            "{action} {head} (msg:\"imwarden {message}\"; {options}classtype:policy-violation; sid:{id}; rev:1;)"
        ));
    }
}

pub(super) fn render(plan: &Plan) -> String {
    let mut text = Text::default();
    let names: Vec<_> = plan
        .messengers
        .iter()
        .map(|(_, name)| name.as_str())
        .collect();
    text.paragraph(
        "# ",
        "# ",
        &format!(
            "imwarden policy: refuses {} (profile {}). Suricata 7.0 was tried with such rules, on captures and in the path of a router (suricata -q).",
            and(&names),
            plan.profile.name()
        ),
    );
    text.line("#");
    text.line("#   check    suricata -T -S FILE");
    text.line("#   load     suricata in the path (IPS mode) with -S FILE, or in rule-files");
    text.line("#   remove   leave it out again; suricatasc -c reload-rules");
    text.line("#");
    let touched = [plan.touched_words(), plan.denied_words()];
    for words in touched.into_iter().flatten() {
        text.paragraph("# ", "# ", &words);
        text.line("#");
    }
    let action = match plan.action {
        Action::Reject => "reject",
        Action::Drop => "drop",
        Action::Log => "alert",
    };
    let but: Vec<String> = plan
        .exceptions
        .iter()
        .map(|net| format!("!{net}"))
        .collect();
    let list = |nets: &[IpNet]| {
        let nets = nets.iter().map(ToString::to_string);
        let all: Vec<String> = nets.chain(but.iter().cloned()).collect();
        match all.as_slice() {
            [] => "any".to_owned(),
            all => format!("[{}]", all.join(",")),
        }
    };
    let mut rules = Rules {
        text,
        action,
        clients: list(&plan.sources),
        anywhere: list(&[]),
        next: FIRST_ID,
    };
    own(&mut rules, plan);
    for transport in [Transport::Tcp, Transport::Udp] {
        for (_, ports) in plan.ports(transport) {
            let owners: Vec<&Owner> = ports.owners.iter().collect();
            let range = ports.range.to_string().replace('-', ":");
            let word = transport.name().to_lowercase();
            let head = format!("{word} {} any -> {} {range}", rules.clients, rules.anywhere);
            rules.add(&head, &reference(&owners, 120), "flow:to_server; ");
        }
    }
    for group in &plan.seen {
        for seen in &group.seen {
            let word = seen.transport.name().to_lowercase();
            if plan.leaves_alone(seen.server.ip) {
                continue;
            }
            let ip = bracketed(&seen.server.ip.to_string());
            let head = format!("{word} {} any -> {ip} {}", rules.clients, seen.server.port);
            let content = seen.opening.as_ref().map(content).unwrap_or_default();
            let message = format!("{} {}, {}", group.service, group.feature, seen.words());
            rules.add(&head, &message, &format!("flow:to_server; {content}"));
        }
    }
    for group in &plan.signatures {
        for signature in &group.signatures {
            let owners: Vec<&Owner> = signature.owners.iter().collect();
            let (head, side) = match signature.speaker {
                Speaker::Client => (
                    format!("tcp {} any -> {} any", rules.clients, rules.anywhere),
                    "to_server",
                ),
                Speaker::Server => (
                    format!("tcp {} any -> {} any", rules.anywhere, rules.clients),
                    "to_client",
                ),
            };
            let options = format!(
                "flow:{side}; stream_size:{},<,2000; {}",
                if side == "to_server" {
                    "client"
                } else {
                    "server"
                },
                content(&signature.opening)
            );
            rules.add(&head, &reference(&owners, 120), &options);
            if signature.in_http {
                let head = format!("http {} any -> {} any", rules.clients, rules.anywhere);
                let options = format!(
                    "flow:to_server; http.request_body; {}",
                    content(&signature.opening)
                );
                rules.add(&head, &reference(&owners, 120), &options);
            }
        }
    }
    for host in &plan.hosts {
        for (proto, buffer) in [
            ("dns", "dns.query"),
            ("tls", "tls.sni"),
            ("http", "http.host"),
        ] {
            let but: Vec<&str> = plan.passed.iter().map(String::as_str).collect();
            let options = format!("{buffer}; {}", named(host, &but));
            // The host of a request has no capitals by the time that it is compared.
            let options = match proto {
                "http" => options.replace("nocase; ", ""),
                _ => options,
            };
            let message = format!("{} {} ({})", host.service, host.name, host.source);
            let head = format!("{proto} {} any -> {} any", rules.clients, rules.anywhere);
            rules.add(&head, &message, &options);
        }
    }
    hellos(&mut rules, plan);
    rules.text.finish()
}

/// A whole name, or any below one but these.
fn named(host: &HostDeny, but: &[&str]) -> String {
    let (name, true) = hello::parts(host) else {
        let name = &host.name;
        return format!("content:\"{name}\"; nocase; bsize:{}; ", name.len());
    };
    let but = but.iter().filter(|it| hello::takes_in(&host.name, it));
    let but: Vec<String> = but
        .map(|other| match hello::split(other) {
            (name, true) => format!("content:!\".{name}\"; nocase; endswith; "),
            (name, false) => format!("content:!\".{name}\"; nocase; startswith; endswith; "),
        })
        .collect();
    format!(
        "dotprefix; content:\".{name}\"; nocase; endswith; {}",
        but.concat()
    )
}

/// Names in hellos that are not refused as hosts already.
fn hellos(rules: &mut Rules, plan: &Plan) {
    let passed = plan.lets_pass();
    for group in &plan.sni {
        let but = if group.custom { &[][..] } else { &passed };
        let ports = group
            .ports
            .map(|(_, range)| range.to_string().replace('-', ":"));
        for host in &group.names {
            let told = plan.hosts.iter().any(|it| it.name == host.name);
            if told && ports.is_none() {
                continue;
            }
            let ports = ports.as_deref().unwrap_or("any");
            let head = format!("tls {} any -> {} {ports}", rules.clients, rules.anywhere);
            let message = format!("{} {} ({})", group.id, host.name, host.source);
            rules.add(&head, &message, &format!("tls.sni; {}", named(host, but)));
        }
    }
}

/// IPv6 addresses have colons.
fn bracketed(place: &str) -> String {
    if place.contains(':') {
        format!("[{place}]")
    } else {
        place.to_owned()
    }
}

/// Rules of one's own.
fn own(rules: &mut Rules, plan: &Plan) {
    for rule in &plan.custom {
        let place = match &rule.place {
            Place::Net(net) => bracketed(&net.to_string()),
            _ => rules.anywhere.clone(),
        };
        let each = match rule.ports {
            Some((transport, range)) => {
                vec![(transport, range.to_string().replace('-', ":"))]
            }
            None => vec![
                (Transport::Tcp, "any".to_owned()),
                (Transport::Udp, "any".to_owned()),
            ],
        };
        for (transport, range) in each {
            let word = transport.name().to_lowercase();
            let head = format!("{word} {} any -> {place} {range}", rules.clients);
            rules.add(
                &head,
                &format!("{}, a rule of this site", rule.id),
                "flow:to_server; ",
            );
        }
    }
}

/// `content:"|2a 01|"; offset:0; depth:2; `.
fn content(opening: &Opening) -> String {
    let piece = |(at, bytes): &(u16, Vec<u8>)| {
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let length = bytes.len();
        format!(
            "content:\"|{}|\"; offset:{at}; depth:{length}; ",
            hex.join(" ")
        )
    };
    opening
        .pieces
        .iter()
        .map(piece)
        .collect::<Vec<_>>()
        .concat()
}
