//! Everything that can be asked for: each service and feature, direction, action and way to know a messenger by.
#![allow(dead_code, reason = "a test uses what it needs")]

use imwarden::policy::{
    Action, FeatureChoice, Hook, Matching, Plan, Profile, Request, Target, render,
};
use imwarden::ruleset::RuleSet;
use std::collections::BTreeSet;

/// Each direction alone, the default, and all.
pub fn directions() -> Vec<Vec<Hook>> {
    use Hook::{Forward, Input, Output};
    vec![
        vec![Forward],
        vec![Output],
        vec![Input],
        vec![Forward, Output],
        vec![Forward, Output, Input],
    ]
}

/// The messengers that a policy is about by default, each messenger alone, and every single feature of the former, with
/// and without its messenger.
fn selections(rules: &RuleSet) -> Vec<(Vec<String>, Vec<FeatureChoice>)> {
    let mut selections = vec![(Vec::new(), Vec::new())];
    let mut names = BTreeSet::new();
    for messenger in rules.messengers() {
        let id = messenger.service.id().to_owned();
        selections.push((vec![id.clone()], Vec::new()));
        for feature in messenger.features() {
            if !messenger.by_default {
                continue;
            }
            names.insert(feature.name().to_owned());
            names.insert(format!("{id}:{feature}"));
        }
    }
    for name in names {
        selections.push((Vec::new(), vec![FeatureChoice::parse(&name)]));
    }
    let several = ["msn:file-transfer", "aim:images", "yahoo:webcam"];
    selections.push((Vec::new(), several.map(FeatureChoice::parse).to_vec()));
    selections
}

/// Every combination of these.
pub fn requests(rules: &RuleSet) -> Vec<Request> {
    let ports = Matching::default();
    let all = Matching {
        ports: true,
        names: true,
        signatures: true,
        sni: true,
    };
    let kinds = [
        (Profile::Document, ports, None),
        (Profile::Full, ports, None),
        (Profile::Document, all, Some(73)),
    ];
    let mut requests = Vec::new();
    for (services, features) in selections(rules) {
        for (profile, matching, log) in kinds {
            for action in [Action::Reject, Action::Drop, Action::Log] {
                for hooks in directions() {
                    requests.push(Request {
                        services: services.clone(),
                        features: features.clone(),
                        profile,
                        matching,
                        log,
                        hooks,
                        action,
                        ..Request::default()
                    });
                }
            }
        }
    }
    requests
}

/// One text for each different set of rules, and whether it is for all directions; comments make no difference.
pub fn texts(target: Target) -> Vec<(String, bool)> {
    let rules = RuleSet::builtin().unwrap();
    let mut seen = BTreeSet::new();
    let mut texts = Vec::new();
    for request in requests(&rules) {
        let text = render(&Plan::new(&rules, &request).unwrap(), target);
        let bare: Vec<&str> = text
            .lines()
            .filter(|line| !line.trim().starts_with(['#', ';']))
            .collect();
        if seen.insert(bare.join("\n")) {
            texts.push((text, request.hooks.len() == 3));
        }
    }
    texts
}
