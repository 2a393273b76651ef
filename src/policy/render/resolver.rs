//! Host names, for those who know them: resolvers, the hosts file, a proxy.

use super::text::{Text, and};
use crate::model::Transport;
use crate::policy::{
    Action, Capability, HostDeny, NameGroup, Place, Plan, Target, capabilities, closes_nothing,
    hello,
};

/// The head: what it does, how to handle it, and what it cannot say.
fn head(text: &mut Text, plan: &Plan, target: Target, mark: &str, commands: &[(&str, &str)]) {
    let first = format!("{mark} ");
    let names: Vec<_> = plan
        .messengers
        .iter()
        .map(|(_, name)| name.as_str())
        .collect();
    let words = format!(
        "imwarden policy: refuses the host names of {} (profile {}).",
        and(&names),
        plan.profile.name()
    );
    text.paragraph(&first, &first, &words);
    text.line(mark);
    for (verb, command) in commands {
        text.line(format!("{mark}   {verb:<8} {command}"));
    }
    text.line(mark);
    lacking(text, plan, target, mark);
    let touched = match target {
        Target::Squid => vec![plan.touched_words(), plan.denied_words()],
        _ => vec![plan.denied_words()],
    };
    for words in touched.into_iter().flatten() {
        text.paragraph(&first, &first, &words);
        text.line(mark);
    }
    let (item, rest) = (format!("{mark}   - "), format!("{mark}     "));
    text.line(format!("{mark} What refusing names cannot stop:"));
    for limit in [
        "A client that asks another resolver, over DNS in HTTPS or TLS, or that was given an address.",
        "A client that still knows the address; connections that are open already.",
    ] {
        text.paragraph(&item, &rest, limit);
    }
    let tunnels = target == Target::Squid && plan.action != Action::Log;
    if hosts_of(plan).is_empty() && (!tunnels || closes_nothing(plan, target)) {
        let why = match plan.action {
            Action::Log => "this policy only looks",
            _ => "no host name was asked for",
        };
        text.line(mark);
        text.line(format!("{mark} THIS FILE REFUSES NOTHING: {why}."));
    }
    text.line(mark);
}

/// What of the plan this target cannot say as it is meant.
pub(super) fn lacking(text: &mut Text, plan: &Plan, target: Target, mark: &str) {
    let (item, rest) = (format!("{mark}   - "), format!("{mark}     "));
    let lines: Vec<String> = capabilities(plan, target)
        .iter()
        .filter_map(Capability::words)
        .collect();
    if !lines.is_empty() {
        text.line(format!("{mark} Of this policy, this file cannot say all:"));
        for line in lines {
            text.paragraph(&item, &rest, &line);
        }
        text.line(mark);
    }
}

/// The fact behind a line.
fn about(host: &HostDeny) -> String {
    format!("{} ({})", host.service, host.source)
}

/// The hosts to name: each once, and none that another one takes in already.
fn hosts_of(plan: &Plan) -> Vec<&HostDeny> {
    let wider = |host: &HostDeny| {
        let between = |wide: &str| {
            let mut passed = plan.passed.iter();
            passed.any(|it| hello::takes_in(wide, it) && hello::takes_in(it, &host.name))
        };
        plan.hosts.iter().any(|other| {
            other.name != host.name
                && hello::takes_in(&other.name, &host.name)
                && !between(&other.name)
        })
    };
    let mut seen = std::collections::BTreeSet::new();
    plan.hosts
        .iter()
        .filter(|_| plan.action != Action::Log)
        .filter(|host| !wider(host) && seen.insert(&host.name))
        .collect()
}

/// Shared hosts below those: the name, and whether all below it are meant too.
fn passed_of(plan: &Plan) -> Vec<(&str, bool)> {
    let hosts = hosts_of(plan);
    let named = |name: &str| hosts.iter().any(|host| hello::takes_in(&host.name, name));
    let passed = plan.passed.iter().filter(|name| named(name));
    passed.map(|name| hello::split(name)).collect()
}

/// The domain itself serves others: only what is below it is refused.
fn itself_passes(plan: &Plan, domain: &str) -> bool {
    plan.passed.iter().any(|name| name == domain)
}

/// A host of a messenger's own below one that serves others.
fn is_within(plan: &Plan, host: &HostDeny) -> bool {
    let mut passed = plan.passed.iter();
    passed.any(|name| hello::takes_in(name, &host.name))
}

/// All below this name is refused.
fn is_domain(plan: &Plan, name: &str) -> bool {
    let mut hosts = hosts_of(plan).into_iter();
    hosts.any(|host| hello::parts(host) == (name, true))
}

/// What stands before the lines about them.
const PASSED: &str = "these serve others as well, and are answered";

/// A response policy zone, for BIND, unbound and others.
pub(super) fn rpz(plan: &Plan) -> String {
    let mut text = Text::default();
    head(
        &mut text,
        plan,
        Target::Rpz,
        ";",
        &[
            ("check", "named-checkzone -i none rpz.imwarden FILE"),
            (
                "load",
                "BIND: response-policy { zone \"rpz.imwarden\"; }; unbound: module-config \"respip iterator\" and an rpz: clause",
            ),
            ("remove", "take the zone out again"),
        ],
    );
    text.line("$TTL 300");
    text.line("; Raise the first number with every change that others transfer.");
    text.line("@ IN SOA localhost. imwarden.invalid. ( 1 3600 600 86400 300 )");
    text.line("@ IN NS localhost.");
    for host in hosts_of(plan) {
        let (name, below) = hello::parts(host);
        text.line(format!("; {}", about(host)));
        if !(below && itself_passes(plan, name)) {
            text.line(format!("{name} CNAME ."));
        }
        if below {
            text.line(format!("*.{name} CNAME ."));
        }
    }
    for (number, (name, below)) in passed_of(plan).into_iter().enumerate() {
        if number == 0 {
            text.line(format!("; {PASSED}"));
            text.line("; (of several such zones this is to be the last: those behind it are not asked about these)");
        }
        text.line(format!("{name} CNAME rpz-passthru."));
        // A name that is there ends what the one above says of names below.
        if below {
            text.line(format!("*.{name} CNAME rpz-passthru."));
        } else if !is_domain(plan, name) {
            text.line(format!("*.{name} CNAME ."));
        }
    }
    text.finish()
}

/// unbound.
pub(super) fn unbound(plan: &Plan) -> String {
    let mut text = Text::default();
    head(
        &mut text,
        plan,
        Target::Unbound,
        "#",
        &[
            ("check", "unbound-checkconf FILE"),
            (
                "load",
                "copy to /etc/unbound/unbound.conf.d/imwarden.conf; unbound-control reload",
            ),
            ("remove", "delete that file; unbound-control reload"),
        ],
    );
    text.line("server:");
    for host in hosts_of(plan) {
        let (name, below) = hello::parts(host);
        if below {
            text.line(format!(
                "    local-zone: \"{name}.\" always_nxdomain  # {}",
                about(host)
            ));
        } else {
            // A name with something of our own has nothing else, and those below it are not ours.
            text.line(format!(
                "    local-zone: \"{name}.\" transparent  # {}",
                about(host)
            ));
            text.line(format!(
                "    local-data: '{name}. TXT \"refused by imwarden\"'"
            ));
        }
    }
    for (number, (name, _)) in passed_of(plan).into_iter().enumerate() {
        if number == 0 {
            text.line(format!("    # {PASSED}"));
        }
        // Of a domain, unbound cannot answer the one name alone.
        if !is_domain(plan, name) {
            text.line(format!("    local-zone: \"{name}.\" always_transparent"));
        }
    }
    text.finish()
}

/// dnsmasq.
pub(super) fn dnsmasq(plan: &Plan) -> String {
    let mut text = Text::default();
    head(
        &mut text,
        plan,
        Target::Dnsmasq,
        "#",
        &[
            (
                "check",
                "dnsmasq --test -C FILE (2.86 or later; it says ok to much: ask it for a name as well)",
            ),
            (
                "load",
                "copy to /etc/dnsmasq.d/imwarden.conf; restart dnsmasq",
            ),
            ("remove", "delete that file; restart dnsmasq"),
        ],
    );
    for host in hosts_of(plan) {
        let (name, below) = hello::parts(host);
        text.line(format!("# {}", about(host)));
        // Without an address: there is no such name.
        if below && itself_passes(plan, name) {
            text.line(format!("address=/*.{name}/"));
            continue;
        }
        text.line(format!("address=/{name}/"));
        if !below {
            text.line(format!("server=/*.{name}/#"));
        }
    }
    for (number, (name, below)) in passed_of(plan).into_iter().enumerate() {
        if number == 0 {
            text.line(format!("# {PASSED}"));
        }
        // By whomever the rest is asked of.
        text.line(format!("server=/{name}/#"));
        if !below && !is_domain(plan, name) {
            text.line(format!("address=/*.{name}/"));
        }
    }
    text.finish()
}

/// A hosts file: of a machine, or of a resolver that reads one.
pub(super) fn hosts(plan: &Plan) -> String {
    let mut text = Text::default();
    head(
        &mut text,
        plan,
        Target::Hosts,
        "#",
        &[
            (
                "check",
                "nothing checks such a file; when it is loaded: getent hosts NAME",
            ),
            ("load", "append to /etc/hosts"),
            ("remove", "delete these lines again"),
        ],
    );
    for host in hosts_of(plan) {
        let (name, below) = hello::parts(host);
        if !below {
            text.line(format!("0.0.0.0 {name}  # {}", about(host)));
            text.line(format!(":: {name}"));
        }
    }
    text.finish()
}

/// squid.
pub(super) fn squid(plan: &Plan) -> String {
    let mut text = Text::default();
    head(
        &mut text,
        plan,
        Target::Squid,
        "#",
        &[
            ("check", "squid -k parse -f FILE"),
            (
                "load",
                "include it in squid.conf before the rules that allow; squid -k reconfigure",
            ),
            ("remove", "delete that line; squid -k reconfigure"),
        ],
    );
    for host in hosts_of(plan) {
        let (name, below) = hello::parts(host);
        let dot = if below { "." } else { "" };
        text.line(format!("# {}", about(host)));
        let acl = if is_within(plan, host) {
            "imwarden_within"
        } else {
            "imwarden_hosts"
        };
        text.line(format!("acl {acl} dstdomain {dot}{name}"));
    }
    let passed = passed_of(plan);
    for (number, (name, below)) in passed.iter().enumerate() {
        if number == 0 {
            text.line(format!("# {PASSED}"));
        }
        let dot = if *below { "." } else { "" };
        text.line(format!("acl imwarden_shared dstdomain {dot}{name}"));
    }
    if plan.action != Action::Log {
        squid_ports(&mut text, plan);
        squid_tunnels(&mut text, plan);
    }
    if hosts_of(plan).iter().any(|host| is_within(plan, host)) {
        text.line("http_access deny imwarden_within");
    }
    if !hosts_of(plan).is_empty() {
        let but = if passed.is_empty() {
            ""
        } else {
            " !imwarden_shared"
        };
        text.line(format!("http_access deny imwarden_hosts{but}"));
    }
    text.finish()
}

/// Names in hellos that are not refused as hosts already.
fn tunnels(plan: &Plan) -> impl Iterator<Item = (&NameGroup, &HostDeny)> {
    let all = plan
        .sni
        .iter()
        .flat_map(|group| group.names.iter().map(move |host| (group, host)));
    all.filter(|(group, host)| {
        group.ports.is_some() || !hosts_of(plan).iter().any(|it| it.name == host.name)
    })
}

/// Tunnels to those names: what is asked of the server inside is not looked at.
fn squid_tunnels(text: &mut Text, plan: &Plan) {
    for (number, (group, host)) in tunnels(plan).enumerate() {
        let (name, below) = hello::parts(host);
        let dot = if below { "." } else { "" };
        text.line(format!("# {}", about(host)));
        text.line(format!("acl imwarden_to_{number} dstdomain {dot}{name}"));
        let mut and = String::new();
        if let Some((_, range)) = group.ports {
            text.line(format!("acl imwarden_to_port_{number} port {range}"));
            and = format!(" imwarden_to_port_{number}");
        }
        text.line(format!(
            "http_access deny imwarden_connect imwarden_to_{number}{and}"
        ));
    }
}

/// What squid is asked to connect to, by port and by address.
fn squid_ports(text: &mut Text, plan: &Plan) {
    let ports = plan.ports(Transport::Tcp);
    let ports = ports.iter().map(|(_, ports)| ports.range.to_string());
    let own = plan.custom.iter().filter_map(|rule| match rule.ports {
        Some((Transport::Tcp, range)) if rule.place == Place::Anywhere => Some(range.to_string()),
        _ => None,
    });
    let ports: Vec<String> = ports.chain(own).collect();
    if !ports.is_empty() || tunnels(plan).next().is_some() {
        text.line("acl imwarden_connect method CONNECT");
    }
    if !ports.is_empty() {
        text.line(format!("acl imwarden_ports port {}", ports.join(" ")));
        text.line("http_access deny imwarden_connect imwarden_ports");
    }
    let mut places = std::collections::BTreeSet::new();
    for seen in plan.seen.iter().flat_map(|group| &group.seen) {
        if seen.transport == Transport::Tcp && seen.opening.is_none() {
            places.insert((
                seen.server.ip.to_string(),
                Some(seen.server.port.to_string()),
            ));
        }
    }
    for rule in &plan.custom {
        let port = match rule.ports {
            Some((Transport::Udp, _)) => continue,
            Some((Transport::Tcp, range)) => Some(range.to_string()),
            None => None,
        };
        if let Place::Net(net) = &rule.place {
            places.insert((net.to_string(), port));
        }
    }
    for (number, (net, port)) in places.iter().enumerate() {
        text.line(format!("acl imwarden_at_{number} dst {net}"));
        let mut and = String::new();
        if let Some(port) = port {
            text.line(format!("acl imwarden_on_{number} port {port}"));
            and = format!(" imwarden_on_{number}");
        }
        text.line(format!("http_access deny imwarden_at_{number}{and}"));
    }
}
