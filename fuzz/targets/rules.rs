//! Rule files: a mistake is told, what is right makes a plan and rules.

use imwarden::model::Transport;
use imwarden::policy::{Hook, Plan, Profile, Request, Target, render};
use imwarden::ruleset::RuleSet;

const TARGETS: [Target; 4] = [
    Target::Nftables,
    Target::Iptables,
    Target::Ip6tables,
    Target::IptablesScript,
];

/// The bytes are one rule file.
pub fn rules(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let rules = match RuleSet::from_text("input.toml", &text) {
        Ok(rules) => rules,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert!(error.render(true).len() >= error.render(false).len());
            return;
        }
    };
    for messenger in rules.messengers() {
        assert!(rules.messenger(messenger.service.id()).is_some());
        for fact in &messenger.hosts {
            let hit = rules.host(&fact.name).map(|hit| hit.rule.name.clone());
            assert!(
                hit.is_some() || rules.is_shared_host(&fact.name),
                "{}",
                fact.name
            );
        }
    }
    for port in [22, 53, 80, 443, 5190] {
        rules.port_hints(Transport::Tcp, port).count();
    }
    for profile in [Profile::Document, Profile::Full] {
        let request = Request {
            profile,
            hooks: vec![Hook::Forward, Hook::Output, Hook::Input],
            ..Request::default()
        };
        if let Ok(plan) = Plan::new(&rules, &request) {
            for group in &plan.groups {
                for ports in &group.ports {
                    for never in [22, 53, 80, 443] {
                        assert!(!ports.range.contains(never), "{never} is never closed");
                    }
                }
            }
            for target in TARGETS {
                assert!(!render(&plan, target).is_empty());
            }
        }
    }
}
