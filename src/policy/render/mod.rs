//! A plan in the words of one firewall. Same plan, same bytes.

mod feed;
mod firewalld;
mod front;
mod header;
mod ipset;
mod iptables;
mod iptables_hellos;
mod iptables_rules;
mod mikrotik;
mod names;
mod nft_rules;
mod nft_table;
mod nftables;
mod openwrt;
mod pf;
mod resolver;
mod script;
mod suricata;
mod text;
mod u32;
mod ufw;
mod words;
mod xt_string;

use super::Plan;

/// What the rules are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is described by `about`")]
pub enum Target {
    Nftables,
    NftablesKeep,
    Iptables,
    Ip6tables,
    Ipset,
    IptablesScript,
    Rpz,
    Unbound,
    Dnsmasq,
    DnsmasqNftset,
    DnsmasqIpset,
    Hosts,
    Squid,
    Suricata,
    Firewalld,
    Ufw,
    Pf,
    Openwrt,
    Mikrotik,
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Nftables,
        Self::NftablesKeep,
        Self::Iptables,
        Self::Ip6tables,
        Self::Ipset,
        Self::IptablesScript,
        Self::Rpz,
        Self::Unbound,
        Self::Dnsmasq,
        Self::DnsmasqNftset,
        Self::DnsmasqIpset,
        Self::Hosts,
        Self::Squid,
        Self::Suricata,
        Self::Firewalld,
        Self::Ufw,
        Self::Pf,
        Self::Openwrt,
        Self::Mikrotik,
    ];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        self.described().0
    }

    /// What it is.
    pub const fn about(self) -> &'static str {
        self.described().1
    }

    /// Whether it finds bytes wherever they are, and not only at fixed places.
    pub(super) const fn searches(self) -> bool {
        matches!(
            self,
            Self::Iptables | Self::Ip6tables | Self::IptablesScript
        )
    }

    const fn described(self) -> (&'static str, &'static str) {
        match self {
            Self::Nftables => ("nftables", "a file for `nft -f`, IPv4 and IPv6"),
            Self::NftablesKeep => (
                "nftables-keep",
                "the same, that keeps counters and learned addresses when it is loaded again",
            ),
            Self::Iptables => (
                "iptables",
                "a file for `iptables-restore --noflush`, IPv4 only",
            ),
            Self::Ip6tables => (
                "ip6tables",
                "a file for `ip6tables-restore --noflush`, IPv6 only",
            ),
            Self::Ipset => (
                "ipset",
                "a file for `ipset restore`: the sets that both need for --match name",
            ),
            Self::IptablesScript => (
                "iptables-script",
                "a shell script that loads both, checks first, can run again, and removes them",
            ),
            Self::Rpz => (
                "rpz",
                "host names: a response policy zone, for BIND, unbound and others",
            ),
            Self::Unbound => ("unbound", "host names, for unbound"),
            Self::Dnsmasq => ("dnsmasq", "host names, for dnsmasq"),
            Self::DnsmasqNftset => (
                "dnsmasq-nftset",
                "host names, for dnsmasq to tell their addresses to nftables' sets",
            ),
            Self::DnsmasqIpset => ("dnsmasq-ipset", "the same, to ipset's"),
            Self::Hosts => (
                "hosts",
                "host names, for a hosts file: those without names below them",
            ),
            Self::Squid => ("squid", "host names and ports, for squid"),
            Self::Suricata => ("suricata", "everything, for Suricata in the path"),
            Self::Firewalld => (
                "firewalld",
                "a shell script that gives firewalld policies of our own",
            ),
            Self::Ufw => ("ufw", "a shell script of ufw commands"),
            Self::Pf => ("pf", "an anchor for pf (not tried)"),
            Self::Openwrt => ("openwrt", "sections for OpenWrt (not tried)"),
            Self::Mikrotik => ("mikrotik", "commands for MikroTik's RouterOS (not tried)"),
        }
    }
}

/// What the rules of a plan are called, in its order.
pub(super) struct RuleNames {
    pub groups: Vec<String>,
    pub seen: Vec<String>,
    pub custom: Vec<String>,
    pub names: Vec<String>,
    pub signatures: Vec<String>,
    pub sni: Vec<String>,
}

/// Names of counters in nftables, of chains in iptables.
pub(super) fn rule_names(plan: &Plan, target: Target) -> RuleNames {
    match target {
        Target::Iptables | Target::Ip6tables | Target::IptablesScript => names::iptables(plan),
        _ => names::nftables(plan),
    }
}

/// Sets of this plan in which are addresses of names that only `old`, a file of ours, was about.
pub fn outgrown_sets(plan: &Plan, target: Target, old: &str) -> Vec<String> {
    let old = super::contents_of(old).unwrap_or_default();
    let names = rule_names(plan, target).names;
    let mut all = Vec::new();
    for (group, name) in plan.names.iter().zip(names) {
        let gone = old.iter().any(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            matches!(words.as_slice(), ["set", host, id, ..]
                if *id == group.id && !group.names.iter().any(|it| it.name == *host))
        });
        if gone {
            all.extend([true, false].map(|v4| match target {
                Target::Nftables | Target::NftablesKeep => nftables::set_name(&name, v4),
                _ => ipset::name(&name, v4),
            }));
        }
    }
    all
}

/// Writes a plan for one target; at its end, what `--diff` reads.
pub fn render(plan: &Plan, target: Target) -> String {
    let mut text = body(plan, target);
    let mark = match target {
        Target::Rpz => ";",
        _ => "#",
    };
    text.push_str(&crate::policy::diff::manifest(plan, mark));
    text
}

fn body(plan: &Plan, target: Target) -> String {
    match target {
        Target::Nftables => nftables::render(plan, false),
        Target::NftablesKeep => nftables::render(plan, true),
        Target::Iptables => iptables::file(plan, iptables::Family::V4),
        Target::Ip6tables => iptables::file(plan, iptables::Family::V6),
        Target::Ipset => ipset::render(plan),
        Target::IptablesScript => script::render(plan),
        Target::Rpz => resolver::rpz(plan),
        Target::Unbound => resolver::unbound(plan),
        Target::Dnsmasq => resolver::dnsmasq(plan),
        Target::DnsmasqNftset => feed::nftset(plan),
        Target::DnsmasqIpset => feed::ipset(plan),
        Target::Hosts => resolver::hosts(plan),
        Target::Squid => resolver::squid(plan),
        Target::Suricata => suricata::render(plan),
        Target::Firewalld => firewalld::render(plan),
        Target::Ufw => ufw::render(plan),
        Target::Pf => pf::render(plan),
        Target::Openwrt => openwrt::render(plan),
        Target::Mikrotik => mikrotik::render(plan),
    }
}
