//! Policy files: every mistake is told, what is right makes a plan and rules, and no words in it become a rule.

use imwarden::policy::{
    Hook, Plan, PlanError, PolicyFile, PolicyFileError, Profile, Request, Target, render,
};
use imwarden::ruleset::RuleSet;
use std::sync::OnceLock;

const TARGETS: [Target; 4] = [
    Target::Nftables,
    Target::Iptables,
    Target::Ip6tables,
    Target::IptablesScript,
];

fn rules() -> &'static RuleSet {
    static RULES: OnceLock<RuleSet> = OnceLock::new();
    RULES.get_or_init(|| RuleSet::builtin().unwrap_or_else(|error| panic!("{error}")))
}

/// The bytes are one policy file.
pub fn policy(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let file = match PolicyFile::parse("policy.toml", &text, rules()) {
        Ok(file) => file,
        Err(mistakes) => {
            assert!(!mistakes.is_empty());
            for mistake in &mistakes {
                assert!(!mistake.message().is_empty());
                mistake.origin();
            }
            assert!(!PolicyFileError::Invalid(mistakes).to_string().is_empty());
            return;
        }
    };
    let plan = match Plan::new(rules(), &request(file.clone())) {
        Ok(plan) => plan,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            let asked = !file.services.is_empty() || !file.features.is_empty();
            let unknown = matches!(
                error,
                PlanError::UnknownService { .. }
                    | PlanError::UnknownFeature { .. }
                    | PlanError::NotAsked { .. }
            );
            assert!(asked || !unknown, "{error}");
            return;
        }
    };
    for group in &plan.groups {
        for ports in &group.ports {
            for never in [22, 53, 80, 443] {
                assert!(!ports.range.contains(never), "{never} is never closed");
            }
        }
    }
    // The same with other reasons: the rules stay the same, whatever the reasons say.
    let mut silent = file;
    for rule in &mut silent.rules {
        "because".clone_into(&mut rule.reason);
    }
    for exception in &mut silent.exceptions {
        "because".clone_into(&mut exception.why);
    }
    let silent = Plan::new(rules(), &request(silent)).unwrap_or_else(|error| panic!("{error}"));
    for target in TARGETS {
        let rendered = render(&plan, target);
        assert_eq!(
            statements(&rendered),
            statements(&render(&silent, target)),
            "a reason became a rule: {rendered}"
        );
    }
}

fn request(file: PolicyFile) -> Request {
    let hooks = match file.hooks.is_empty() {
        true => vec![Hook::Forward, Hook::Output, Hook::Input],
        false => file.hooks,
    };
    Request {
        services: file.services,
        features: file.features,
        profile: file.profile.unwrap_or(Profile::Document),
        hooks,
        action: file.action.unwrap_or_default(),
        sources: file.sources,
        dated_exceptions: file.exceptions,
        matching: file.matching.unwrap_or_default(),
        interfaces: file.interfaces,
        rules: file.rules,
        mark: file.mark.unwrap_or_default(),
        log: file.log,
        ..Request::default()
    }
}

/// What is no comment.
fn statements(rendered: &str) -> Vec<&str> {
    let lines = rendered.lines().map(str::trim_start);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split(" comment \"").next().unwrap_or(line))
        .collect()
}
