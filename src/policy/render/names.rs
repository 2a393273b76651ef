//! Names of chains and counters, one a group.

use crate::policy::{Group, Plan, SeenGroup};
use crate::ruleset::Feature;
use std::collections::BTreeSet;

/// iptables chain names: 28 characters (`XT_EXTENSION_MAXNAMELEN` is 29, with the final NUL).
const MAX_IPTABLES: usize = 28;
/// nftables takes 255 and more; nobody wants to type that.
const MAX_NFTABLES: usize = 60;

/// `aim_icq_session`: a counter; the chain has a prefix of its own, so that it is never a reserved word.
pub(super) fn nftables(plan: &Plan) -> Vec<String> {
    unique(plan, MAX_NFTABLES, |group| {
        let services = joined(group, "_");
        format!("{services}_{}", group.feature).replace('-', "_")
    })
}

/// `IMW-AIM-ICQ-SESSION`.
pub(super) fn iptables(plan: &Plan) -> Vec<String> {
    unique(plan, MAX_IPTABLES, |group| {
        let services = joined(group, "-");
        format!("IMW-{services}-{}", short(group.feature)).to_uppercase()
    })
}

/// `seen_aim_session`. No messenger's id is `seen`.
pub(super) fn seen_nftables(group: &SeenGroup) -> String {
    format!("seen_{}_{}", group.service, group.feature).replace('-', "_")
}

/// `IMW-SEEN-AIM-SESSION`, cut to what fits: ids are short.
pub(super) fn seen_iptables(group: &SeenGroup) -> String {
    let mut name = format!("IMW-SEEN-{}-{}", group.service, short(group.feature)).to_uppercase();
    name.truncate(MAX_IPTABLES);
    name
}

fn joined(group: &Group, joint: &str) -> String {
    let ids: Vec<_> = group
        .services
        .iter()
        .map(crate::model::Service::id)
        .collect();
    ids.join(joint)
}

/// Rule files can make names that are too long, or alike (`a-b` is also `a` and `b`): these are numbered.
fn unique(plan: &Plan, max: usize, name: impl Fn(&Group) -> String) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let mut names = Vec::with_capacity(plan.groups.len());
    for group in &plan.groups {
        let full = name(group);
        let mut candidate = full.clone();
        let mut number = 2_usize;
        while candidate.len() > max || taken.contains(&candidate) {
            let tail = format!("{}{number}", if full.contains('-') { '-' } else { '_' });
            let stem = full.get(..full.len().min(max.saturating_sub(tail.len())));
            candidate = format!("{}{tail}", stem.unwrap_or_default());
            number += 1;
        }
        taken.insert(candidate.clone());
        names.push(candidate);
    }
    names
}

const fn short(feature: Feature) -> &'static str {
    match feature {
        Feature::Session => "SESSION",
        Feature::Images => "IMAGES",
        Feature::FileTransfer => "FILES",
        Feature::Conferencing => "CONF",
        Feature::Voice => "VOICE",
        Feature::Video => "VIDEO",
        Feature::Webcam => "WEBCAM",
        Feature::ApplicationSharing => "APPSHARE",
        Feature::RemoteAssistance => "REMOTE",
        Feature::Games => "GAMES",
        Feature::PeerToPeer => "P2P",
        Feature::Http => "HTTP",
        Feature::Everything => "ALL",
    }
}
