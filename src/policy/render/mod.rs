//! A plan in the words of one firewall. Same plan, same bytes.

mod header;
mod iptables;
mod names;
mod nftables;
mod resolver;
mod script;
mod suricata;
mod text;

use super::Plan;

/// What the rules are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A file for `nft -f`, IPv4 and IPv6.
    Nftables,
    /// A file for `iptables-restore --noflush`, IPv4.
    Iptables,
    /// A file for `ip6tables-restore --noflush`, IPv6.
    Ip6tables,
    /// A shell script around both of these, which can run again and again.
    IptablesScript,
    /// A response policy zone: names, for BIND and others.
    Rpz,
    /// Names, for unbound.
    Unbound,
    /// Names, for dnsmasq.
    Dnsmasq,
    /// Names, for `/etc/hosts`.
    Hosts,
    /// Names and ports, for squid.
    Squid,
    /// Names, ports and content, for Suricata in the path.
    Suricata,
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Nftables,
        Self::Iptables,
        Self::Ip6tables,
        Self::IptablesScript,
        Self::Rpz,
        Self::Unbound,
        Self::Dnsmasq,
        Self::Hosts,
        Self::Squid,
        Self::Suricata,
    ];
}

/// What the rules of a plan are called, in its order.
pub(super) struct RuleNames {
    pub groups: Vec<String>,
    pub seen: Vec<String>,
}

/// Names of counters in nftables, of chains in iptables.
pub(super) fn rule_names(plan: &Plan, target: Target) -> RuleNames {
    match target {
        Target::Iptables | Target::Ip6tables | Target::IptablesScript => RuleNames {
            groups: names::iptables(plan),
            seen: plan.seen.iter().map(names::seen_iptables).collect(),
        },
        _ => RuleNames {
            groups: names::nftables(plan),
            seen: plan.seen.iter().map(names::seen_nftables).collect(),
        },
    }
}

/// Writes a plan for one target.
pub fn render(plan: &Plan, target: Target) -> String {
    match target {
        Target::Nftables => nftables::render(plan),
        Target::Iptables => iptables::file(plan, iptables::Family::V4),
        Target::Ip6tables => iptables::file(plan, iptables::Family::V6),
        Target::IptablesScript => script::render(plan),
        Target::Rpz => resolver::rpz(plan),
        Target::Unbound => resolver::unbound(plan),
        Target::Dnsmasq => resolver::dnsmasq(plan),
        Target::Hosts => resolver::hosts(plan),
        Target::Squid => resolver::squid(plan),
        Target::Suricata => suricata::render(plan),
    }
}
