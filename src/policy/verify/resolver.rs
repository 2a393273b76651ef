//! Who fills the sets that host names are for: dnsmasq, if it runs, was told to, and may.

use super::dnsmasq::{Dnsmasq, Feed};
use super::machine::{Asked, Machine};
use super::{Kind, Verdict};
use crate::policy::apply::{ApplyError, set_has};
use crate::policy::contents_of;
use crate::policy::prove::Backend;
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::net::{IpAddr, ToSocketAddrs};

/// Names that are asked for at most.
const MAX_NAMES: usize = 32;

/// Asks for every name.
pub(super) fn ask(resolvers: &[Dnsmasq]) -> Result<Vec<Asked>, ApplyError> {
    let feeds: Vec<&Feed> = resolvers.iter().flat_map(|it| &it.feeds).collect();
    let names: BTreeSet<&str> = feeds.iter().map(|feed| feed.name.as_str()).collect();
    let mut all = Vec::new();
    for name in names.into_iter().take(MAX_NAMES) {
        let Ok(found) = (name, 0).to_socket_addrs() else {
            continue;
        };
        let addresses: BTreeSet<IpAddr> = found.map(|address| address.ip()).collect();
        for address in addresses {
            // One set for IPv4 and one for IPv6: they end in 4 and 6.
            let end = if address.is_ipv4() { '4' } else { '6' };
            for feed in feeds
                .iter()
                .filter(|it| it.name == name && it.set.ends_with(end))
            {
                all.push(Asked {
                    name: name.to_owned(),
                    address,
                    set: feed.set.clone(),
                    known: set_has(&feed.set, feed.nftables, address)?,
                });
            }
        }
    }
    Ok(all)
}

/// Hosts that a file of ours leaves alone by name, and addresses that they have by now and that it does not.
pub(super) fn moved(text: &str) -> Vec<(String, IpAddr)> {
    let contents = contents_of(text).unwrap_or_default();
    let nets: Vec<IpNet> = contents
        .iter()
        .filter_map(|line| line.strip_prefix("except ")?.parse().ok())
        .collect();
    let names = contents
        .iter()
        .filter_map(|line| line.strip_prefix("except-name "));
    let mut all = BTreeSet::new();
    for name in names.take(MAX_NAMES) {
        let found = (name, 0).to_socket_addrs().into_iter().flatten();
        let strange = found
            .map(|address| address.ip())
            .filter(|ip| !nets.iter().any(|net| net.contains(ip)));
        all.extend(strange.map(|ip| (name.to_owned(), ip)));
    }
    all.into_iter().collect()
}

pub(super) fn judge(machine: &Machine, verdict: &mut Verdict) {
    for (name, address) in &machine.moved {
        verdict.fault(
            Kind::Stale,
            None,
            format!("{name} is to be left alone and has the address {address} now, which is not"),
            "apply the policy again: it asks for the addresses of names anew",
        );
    }
    let fed: Vec<&Feed> = machine.resolvers.iter().flat_map(|it| &it.feeds).collect();
    let empty: Vec<(&str, Backend)> = waiting(machine)
        .into_iter()
        .filter(|(_, size, _)| *size == 0)
        .map(|(set, _, backend)| (set, backend))
        .collect();
    let is_fed = |set: &str| fed.iter().any(|feed| feed.set == set);
    let (fed, unfed): (Vec<_>, Vec<_>) = empty.into_iter().partition(|(set, _)| is_fed(set));
    if !fed.is_empty() {
        verdict.remarks.push(format!(
            "nothing is in {} yet: nobody has asked this machine's dnsmasq for a name of theirs, or all has come to its end",
            names(fed.iter().map(|(set, _)| *set))
        ));
    }
    if let Some((_, backend)) = unfed.first() {
        let why = if machine.resolvers.is_empty() {
            "no dnsmasq runs here that could fill it"
        } else {
            "no dnsmasq here was told to fill it"
        };
        verdict.fault(
            Kind::Resolver,
            Some(*backend),
            format!("nothing is in {}, and {why}", names(unfed.iter().map(|(set, _)| *set))),
            "`imwarden policy` writes the lines for dnsmasq; then restart it, and have clients ask it",
        );
    }
    for resolver in &machine.resolvers {
        let ours: Vec<&Feed> = resolver
            .feeds
            .iter()
            .filter(|feed| machine.set(&feed.set).is_some())
            .collect();
        if !ours.is_empty() && !resolver.may {
            verdict.fault(
                Kind::Resolver,
                None,
                format!(
                    "dnsmasq (process {}) was told to fill {}, and may not: it has given CAP_NET_ADMIN away",
                    resolver.pid,
                    names(ours.iter().map(|feed| feed.set.as_str()))
                ),
                "run it with user=root, or give it that capability (AmbientCapabilities of its systemd unit)",
            );
        }
        let missing = resolver
            .feeds
            .iter()
            .filter(|feed| machine.set(&feed.set).is_none())
            .map(|feed| feed.set.as_str());
        let missing = names(missing);
        if !missing.is_empty() {
            verdict.fault(
                Kind::Resolver,
                None,
                format!(
                    "dnsmasq (process {}) was told to fill {missing}, which is not there: it answers all the same, and nothing is refused",
                    resolver.pid
                ),
                "load the policy that has these sets, or take the lines out of its configuration",
            );
        }
    }
    for asked in machine.asked.iter().filter(|asked| !asked.known) {
        verdict.fault(
            Kind::Stale,
            None,
            format!(
                "{} has the address {} now, which is not in {}: connections to it pass",
                asked.name, asked.address, asked.set
            ),
            "clients and this machine must ask the dnsmasq that fills the sets; kill -HUP it, so that it forgets answers that it gave before the sets were there",
        );
    }
}

/// Sets that only a resolver can fill.
fn waiting(machine: &Machine) -> Vec<(&str, usize, Backend)> {
    let had = |name: &str| {
        let expected = machine.expected.as_ref();
        expected.is_some_and(|now| now.timed.iter().any(|(it, had)| it == name && *had > 0))
    };
    let of_table = machine.table.iter().flat_map(|table| &table.sets);
    let mut all: Vec<(&str, usize, Backend)> = of_table
        .filter(|set| set.timed && !set.is_map && !set.is_joined() && !had(&set.name))
        .map(|set| (set.name.as_str(), set.elements.len(), Backend::Nftables))
        .collect();
    if let Some(families) = machine.xtables.first() {
        // Those of endpoints that were seen are filled by the policy itself.
        let sets = machine
            .sets
            .iter()
            .filter(|(name, _)| !name.starts_with("imw-seen-"));
        all.extend(sets.map(|(name, size)| (name.as_str(), *size, families.backend)));
    }
    all
}

fn names<'a>(all: impl Iterator<Item = &'a str>) -> String {
    let all: BTreeSet<&str> = all.collect();
    all.into_iter().collect::<Vec<_>>().join(", ")
}
