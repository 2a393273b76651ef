//! A plan in the words of one firewall. Same plan, same bytes.

mod feed;
mod firewalld;
mod front;
mod header;
mod ipset;
mod iptables;
mod mikrotik;
mod names;
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

use super::Plan;

/// What the rules are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A file for `nft -f`, IPv4 and IPv6.
    Nftables,
    /// The same, loaded around what is there: counters and learned addresses are kept.
    NftablesKeep,
    /// A file for `iptables-restore --noflush`, IPv4.
    Iptables,
    /// A file for `ip6tables-restore --noflush`, IPv6.
    Ip6tables,
    /// A file for `ipset restore -exist`: the sets that the two above name.
    Ipset,
    /// A shell script around both of these, which can run again and again.
    IptablesScript,
    /// A response policy zone: names, for BIND and others.
    Rpz,
    /// Names, for unbound.
    Unbound,
    /// Names, for dnsmasq.
    Dnsmasq,
    /// Names, for dnsmasq to tell the addresses of to the nftables table.
    DnsmasqNftset,
    /// The same, to the sets that iptables looks into.
    DnsmasqIpset,
    /// Names, for `/etc/hosts`.
    Hosts,
    /// Names and ports, for squid.
    Squid,
    /// Names, ports and content, for Suricata in the path.
    Suricata,
    /// A shell script of firewall-cmd's, with policies of our own.
    Firewalld,
    /// A shell script of ufw's.
    Ufw,
    /// An anchor for pf.
    Pf,
    /// Sections for OpenWrt's `/etc/config/firewall`.
    Openwrt,
    /// Commands for MikroTik's `RouterOS`.
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
}

/// What the rules of a plan are called, in its order.
pub(super) struct RuleNames {
    pub groups: Vec<String>,
    pub seen: Vec<String>,
    pub custom: Vec<String>,
    pub names: Vec<String>,
    pub signatures: Vec<String>,
}

/// Names of counters in nftables, of chains in iptables.
pub(super) fn rule_names(plan: &Plan, target: Target) -> RuleNames {
    match target {
        Target::Iptables | Target::Ip6tables | Target::IptablesScript => names::iptables(plan),
        _ => names::nftables(plan),
    }
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
