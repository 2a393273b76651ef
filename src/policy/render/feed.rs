//! dnsmasq, as the one who tells a packet filter the addresses of host names.

use super::text::Text;
use super::{ipset as sets, names, nftables, resolver, words};
use crate::policy::{Plan, Target};

/// What both need to know. A hole is a moment in which a client knows an address that the set does not.
const HOLES: [&str; 5] = [
    "dnsmasq fills the sets as it answers, so clients must ask it, and it must forward: what it answers from a file or a configuration fills nothing.",
    "An answer from its cache fills nothing either. The set keeps an address for a day, and longer while somebody goes on asking for it; \
     the cache keeps answers for an hour at most (below), and clients are told so.",
    "When the sets were emptied (the table was loaded again without --keep, or taken away and put back): kill -HUP the dnsmasq, which empties its cache. \
     Clients that still know an answer pass until they ask again; a file of --format nftables-keep never empties them.",
    "Debian's dnsmasq gives away CAP_NET_ADMIN with its root rights, and then fills nothing and says so in its log only: run it with user=root, or let \
     systemd give it that capability (AmbientCapabilities).",
    "A set that is not there is an error in its log, and the name is answered all the same: load the rules first.",
];

/// `nftset=`, for the table of `--format nftables`.
pub(super) fn nftset(plan: &Plan) -> String {
    let names = names::nftables(plan);
    let sets = |name: &str| {
        let set = |v4| nftables::set_name(name, v4);
        format!(
            "4#inet#imwarden#{},6#inet#imwarden#{}",
            set(true),
            set(false)
        )
    };
    write(plan, Target::DnsmasqNftset, "nftset", &names.names, sets)
}

/// `ipset=`, for the sets of `--format ipset` and of the script.
pub(super) fn ipset(plan: &Plan) -> String {
    let names = names::iptables(plan);
    let sets = |name: &str| format!("{},{}", sets::name(name, true), sets::name(name, false));
    write(plan, Target::DnsmasqIpset, "ipset", &names.names, sets)
}

fn write(
    plan: &Plan,
    target: Target,
    option: &str,
    names: &[String],
    sets: impl Fn(&str) -> String,
) -> String {
    let mut text = Text::default();
    let rules = match target {
        Target::DnsmasqNftset => "--format nftables",
        _ => "--format iptables-script",
    };
    let first = format!(
        "imwarden policy: tells the addresses of host names to the sets that the rules of {rules} look into. It refuses no name."
    );
    text.paragraph("# ", "# ", &first);
    text.line("#");
    for (verb, command) in [
        (
            "check",
            "dnsmasq --test -C FILE (it says ok to much: look into the sets after a query as well)",
        ),
        (
            "load",
            "first the rules, with the same choice and --match name; then copy to /etc/dnsmasq.d/imwarden-sets.conf and restart dnsmasq",
        ),
        (
            "watch",
            match target {
                Target::DnsmasqNftset => "nft list table inet imwarden",
                _ => "ipset list",
            },
        ),
        ("remove", "delete that file; restart dnsmasq"),
    ] {
        text.line(format!("#   {verb:<8} {command}"));
    }
    text.line("#");
    for hole in HOLES {
        text.paragraph("#   - ", "#     ", hole);
    }
    resolver::lacking(&mut text, plan, target, "#");
    text.line("#");
    if plan.names.is_empty() {
        text.line("# THIS FILE TELLS NOTHING: no set is kept of any name (--match name does).");
        return text.finish();
    }
    text.line("max-cache-ttl=3600");
    text.line("max-ttl=3600");
    let mut told: Vec<(String, Vec<String>)> = Vec::new();
    for (group, name) in plan.names.iter().zip(names) {
        text.line(format!("# {}: {}", group.id, words::names_of(group)));
        for host in &group.names {
            let host = host.name.strip_prefix("*.").unwrap_or(&host.name);
            match told.iter_mut().find(|(it, _)| it == host) {
                Some((_, all)) => all.push(sets(name)),
                None => told.push((host.to_owned(), vec![sets(name)])),
            }
        }
    }
    // Of two lines for a name only one would count, and a longer name is not looked for below a shorter one.
    for (host, own) in &told {
        let mut all = own.clone();
        for (wider, its) in &told {
            if wider != host
                && host
                    .strip_suffix(wider.as_str())
                    .is_some_and(|rest| rest.ends_with('.'))
            {
                all.extend(its.iter().cloned());
            }
        }
        all.sort_unstable();
        all.dedup();
        text.line(format!("{option}=/{host}/{}", all.join(",")));
    }
    text.finish()
}
