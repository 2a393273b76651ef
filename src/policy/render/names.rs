//! Names of chains, counters and sets: one a group.

use super::RuleNames;
use crate::model::Service;
use crate::policy::Plan;
use crate::ruleset::Feature;
use std::collections::BTreeSet;

/// iptables chain names: 28 characters (`XT_EXTENSION_MAXNAMELEN` is 29, with the final NUL).
const MAX_IPTABLES: usize = 28;
/// nftables takes 255 and more; nobody wants to type that.
const MAX_NFTABLES: usize = 60;

/// What is refused because an earlier packet of its connection was recognised.
pub(super) const MARKED: &str = "marked";

/// `aim_icq_session`: a counter; the chain has a prefix of its own, so that it is never a reserved word.
pub(super) fn nftables(plan: &Plan) -> RuleNames {
    let mut taken = BTreeSet::from([MARKED.to_owned()]);
    named(plan, |kind, services, what| {
        let what = match what {
            What::Feature(feature) => format!("_{feature}"),
            What::Nothing => String::new(),
        };
        let prefix = match kind {
            Kind::Port => "",
            Kind::Seen => "seen_",
            Kind::Custom => "rule_",
            Kind::Names => "names_",
            Kind::Signature => "sig_",
            Kind::Sni => "sni_",
        };
        let full = format!("{prefix}{}{what}", services.join("_")).replace('-', "_");
        unique(&mut taken, MAX_NFTABLES, '_', &full)
    })
}

/// `IMW-AIM-ICQ-SESSION`.
pub(super) fn iptables(plan: &Plan) -> RuleNames {
    let ours = [
        "IMW-SCOPE",
        "IMW-CLIENTS",
        "IMW-REFUSE",
        "IMW-AUDIT",
        "IMW-SIGNATURES",
        "IMW-GREETINGS",
        "IMW-HELLOS",
        "IMW-MARKED",
    ];
    let mut taken: BTreeSet<String> = ours.map(str::to_owned).into();
    named(plan, |kind, services, what| {
        let what = match what {
            What::Feature(feature) => format!("-{}", short(feature)),
            What::Nothing => String::new(),
        };
        let prefix = match kind {
            Kind::Port => "",
            Kind::Seen => "SEEN-",
            Kind::Custom => "RULE-",
            Kind::Names => "NAMES-",
            Kind::Signature => "SIG-",
            Kind::Sni => "SNI-",
        };
        let full = format!("IMW-{prefix}{}{what}", services.join("-")).to_uppercase();
        unique(&mut taken, MAX_IPTABLES, '-', &full)
    })
}

enum Kind {
    Port,
    Seen,
    Custom,
    Names,
    Signature,
    Sni,
}

enum What {
    Feature(Feature),
    Nothing,
}

fn named(plan: &Plan, mut name: impl FnMut(Kind, &[&str], What) -> String) -> RuleNames {
    let ids = |services: &[Service]| -> Vec<String> {
        services.iter().map(|it| it.id().to_owned()).collect()
    };
    let mut several = |kind, services: Vec<String>, feature| {
        let services: Vec<&str> = services.iter().map(String::as_str).collect();
        name(kind, &services, What::Feature(feature))
    };
    let groups = plan
        .groups
        .iter()
        .map(|group| several(Kind::Port, ids(&group.services), group.feature))
        .collect();
    let seen = plan
        .seen
        .iter()
        .map(|group| {
            let services = vec![group.service.id().to_owned()];
            several(Kind::Seen, services, group.feature)
        })
        .collect();
    let signatures = plan
        .signatures
        .iter()
        .map(|group| several(Kind::Signature, ids(&group.services), group.feature))
        .collect();
    let custom = plan
        .custom
        .iter()
        .map(|rule| name(Kind::Custom, &[&rule.id], What::Nothing))
        .collect();
    let names = plan
        .names
        .iter()
        .map(|group| name(Kind::Names, &[&group.id], What::Nothing))
        .collect();
    let sni = plan
        .sni
        .iter()
        .map(|group| name(Kind::Sni, &[&group.id], What::Nothing))
        .collect();
    RuleNames {
        groups,
        seen,
        custom,
        names,
        signatures,
        sni,
    }
}

/// Rule files can make names that are too long, or alike (`a-b` is also `a` and `b`): these are numbered.
fn unique(taken: &mut BTreeSet<String>, max: usize, joint: char, full: &str) -> String {
    let mut candidate = full.to_owned();
    let mut number = 2_usize;
    while candidate.len() > max || taken.contains(&candidate) {
        let tail = format!("{joint}{number}");
        let stem = full.get(..full.len().min(max.saturating_sub(tail.len())));
        candidate = format!("{}{tail}", stem.unwrap_or_default());
        number += 1;
    }
    taken.insert(candidate.clone());
    candidate
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
