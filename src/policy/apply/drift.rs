//! What differs between the rules that were meant and those that are there.

use super::listing;
use super::ours::Ours;
use similar::TextDiff;

impl Ours {
    /// As text that can be compared: without counters, and without elements that come and go.
    pub fn comparable(&self) -> String {
        match self {
            Self::Nftables(table) => listing::without_learned(table),
            Self::Xtables { v4, v6, sets, .. } => {
                let (sets, v4, v6) = (sets.text(), v4.text(), v6.text());
                format!("# ipset\n{sets}# iptables\n{v4}# ip6tables\n{v6}")
            }
        }
    }
}

/// The lines that are missing (`-`) and those that are too many (`+`), with the lines around them; empty if there are none.
/// Both must have been printed by the same program: each version of nft has its own ways.
pub fn drift(wanted: &Ours, live: &Ours) -> Vec<String> {
    let (wanted, live) = (wanted.comparable(), live.comparable());
    if wanted == live {
        return Vec::new();
    }
    TextDiff::from_lines(&wanted, &live)
        .unified_diff()
        .context_radius(1)
        .to_string()
        .lines()
        .map(|line| line.replace('\t', "    "))
        .collect()
}
