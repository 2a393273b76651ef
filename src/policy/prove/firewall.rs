//! The kernel's firewall: rules are loaded, and counters read, by the programs that administrators use.

use super::ProveError;
use crate::policy::tool;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Which firewall judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// nftables.
    Nftables,
    /// iptables and ip6tables as they are today: nftables underneath.
    IptablesNft,
    /// iptables and ip6tables as they were.
    IptablesLegacy,
}

impl Backend {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Nftables, Self::IptablesNft, Self::IptablesLegacy];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nftables => "nftables",
            Self::IptablesNft => "iptables-nft",
            Self::IptablesLegacy => "iptables-legacy",
        }
    }

    /// Its programs for IPv4 and IPv6, if it is one of the two iptables.
    pub(in crate::policy) const fn xtables(self) -> [&'static str; 2] {
        match self {
            Self::IptablesLegacy => ["iptables-legacy", "ip6tables-legacy"],
            Self::Nftables | Self::IptablesNft => ["iptables-nft", "ip6tables-nft"],
        }
    }
}

/// Rules in a form that can be loaded.
#[derive(Clone, Debug)]
pub enum Rules {
    /// A file for `nft -f`.
    Nft(String),
    /// A shell script that calls `$IPTABLES` and `$IP6TABLES`.
    Script(String),
    /// A file for `iptables-restore`: IPv4 only.
    Restore(String),
}

impl Rules {
    /// What kind of file this is, by how it looks.
    pub fn of(text: String) -> Option<Self> {
        let first = text.lines().next().unwrap_or_default();
        if first.starts_with("#!") && first.contains("nft") {
            return Some(Self::Nft(text));
        }
        if first.starts_with("#!") {
            return first.contains("sh").then_some(Self::Script(text));
        }
        let word = text
            .lines()
            .map(str::trim_start)
            .find(|line| !line.is_empty() && !line.starts_with('#'))?;
        if word.starts_with('*') {
            return Some(Self::Restore(text));
        }
        let nft = [
            "table", "add", "create", "delete", "destroy", "flush", "define", "include",
        ];
        nft.iter()
            .any(|start| word.starts_with(start))
            .then_some(Self::Nft(text))
    }

    /// Whether this firewall takes them.
    pub const fn fits(&self, backend: Backend) -> bool {
        matches!(
            (self, backend),
            (Self::Nft(_), Backend::Nftables)
                | (
                    Self::Script(_) | Self::Restore(_),
                    Backend::IptablesNft | Backend::IptablesLegacy
                )
        )
    }
}

/// A loaded set of rules.
pub struct Firewall {
    backend: Backend,
}

impl Firewall {
    /// Loads rules into this namespace.
    pub fn load(backend: Backend, rules: &Rules) -> Result<Self, ProveError> {
        let [v4, v6] = backend.xtables();
        let environment = [("IPTABLES", v4), ("IP6TABLES", v6)];
        match rules {
            Rules::Nft(text) => run("nft", &["-f", "/dev/stdin"], &[], text)?,
            Rules::Script(text) => run("sh", &["-s"], &environment, text)?,
            Rules::Restore(text) => run(&format!("{v4}-restore"), &["-w", "--noflush"], &[], text)?,
        };
        Ok(Self { backend })
    }

    /// What is loaded already.
    pub(in crate::policy) const fn here(backend: Backend) -> Self {
        Self { backend }
    }

    /// How many packets each rule has refused, or would have where it only looks, by the rule's name.
    pub fn counters(&self) -> Result<BTreeMap<String, u64>, ProveError> {
        match self.backend {
            Backend::Nftables => {
                let text = run("nft", &["-j", "list", "counters"], &[], "")?;
                let listing: Value = serde_json::from_str(&text).unwrap_or_default();
                let all = listing["nftables"].as_array().cloned().unwrap_or_default();
                Ok(all
                    .iter()
                    .filter_map(|it| it.get("counter"))
                    .filter_map(|counter| {
                        let name = counter["name"].as_str()?;
                        Some((name.to_owned(), counter["packets"].as_u64()?))
                    })
                    .collect())
            }
            Backend::IptablesNft | Backend::IptablesLegacy => {
                let mut all = BTreeMap::new();
                for program in self.backend.xtables() {
                    let text = run(&format!("{program}-save"), &["-c", "-t", "filter"], &[], "")?;
                    for (name, packets) in text.lines().filter_map(refusal) {
                        *all.entry(name).or_default() += packets;
                    }
                }
                Ok(all)
            }
        }
    }
}

/// The chain and the packets of a rule that refuses or, where the policy only looks, logs: `[3:180] -A IMW-MSN-SESSION -m comment ... -j IMW-REFUSE`.
fn refusal(line: &str) -> Option<(String, u64)> {
    let (counts, rule) = line.strip_prefix('[')?.split_once("] -A ")?;
    let packets = counts.split(':').next()?.parse().ok()?;
    let chain = rule.split(' ').next()?;
    let (_, target) = rule.rsplit_once(" -j ")?;
    // The second is that of a policy that only looks.
    let refuses = ["IMW-REFUSE", "IMW-AUDIT", "DROP", "REJECT"]
        .iter()
        .any(|end| target.starts_with(end));
    (refuses && chain != "IMW-REFUSE").then(|| (chain.to_owned(), packets))
}

/// Runs a program in this namespace, where nobody else is.
pub(super) fn run(
    program: &str,
    arguments: &[&str],
    environment: &[(&str, &str)],
    input: &str,
) -> Result<String, ProveError> {
    let mut environment = environment.to_vec();
    // Only root may lock where iptables-legacy does by itself, and here is nobody else.
    environment.push(("XTABLES_LOCKFILE", "/dev/null"));
    Ok(tool::run(program, arguments, &environment, input)?)
}

#[cfg(test)]
mod tests {
    use super::{Rules, refusal};

    #[test]
    fn files_are_known_by_how_they_look() {
        let kind = |text: &str| match Rules::of(text.to_owned()) {
            Some(Rules::Nft(_)) => "nft",
            Some(Rules::Script(_)) => "script",
            Some(Rules::Restore(_)) => "restore",
            None => "?",
        };
        assert_eq!(kind("#!/usr/sbin/nft -f\ntable inet x\n"), "nft");
        assert_eq!(kind("# rules\ntable inet x {\n}\n"), "nft");
        assert_eq!(kind("#!/bin/sh\niptables -L\n"), "script");
        assert_eq!(kind("# rules\n*filter\nCOMMIT\n"), "restore");
        assert_eq!(kind("hello"), "?");
        assert_eq!(kind(""), "?");
    }

    #[test]
    fn refusals_are_counted_by_their_chain() {
        let line = "[3:180] -A IMW-MSN-SESSION -m comment --comment \"msn/session\" -j IMW-REFUSE";
        assert_eq!(refusal(line), Some(("IMW-MSN-SESSION".into(), 3)));
        let inner = "[3:180] -A IMW-REFUSE -p tcp -j REJECT --reject-with tcp-reset";
        assert_eq!(refusal(inner), None);
        assert_eq!(refusal("[9:1] -A IMWARDEN -p tcp -j IMW-MSN-SESSION"), None);
        assert_eq!(refusal(":IMWARDEN - [0:0]"), None);
    }
}
