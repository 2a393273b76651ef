//! A plan in the words of one firewall. Same plan, same bytes.

mod header;
mod iptables;
mod names;
mod nftables;
mod script;
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
}

/// Writes a plan for one target.
pub fn render(plan: &Plan, target: Target) -> String {
    match target {
        Target::Nftables => nftables::render(plan),
        Target::Iptables => iptables::file(plan, iptables::Family::V4),
        Target::Ip6tables => iptables::file(plan, iptables::Family::V6),
        Target::IptablesScript => script::render(plan),
    }
}
