//! A real kernel judges every rule set: each combination of what can be asked for is accepted, loading it
//! twice leaves the same rules, and what others have loaded stays.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod policy_support;

use imwarden::policy::{Action, FeatureChoice, Hook, Plan, Profile, Request, Target, render};
use imwarden::ruleset::RuleSet;
use policy_support::{can_run, in_private_network, installed};
use std::collections::BTreeSet;
use std::path::Path;

/// Each direction alone, the default, and all.
fn directions() -> Vec<Vec<Hook>> {
    use Hook::{Forward, Input, Output};
    vec![
        vec![Forward],
        vec![Output],
        vec![Input],
        vec![Forward, Output],
        vec![Forward, Output, Input],
    ]
}

fn subsets<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    let masks = 1_usize..1 << items.len();
    let subset = |mask: usize| {
        items
            .iter()
            .enumerate()
            .filter(move |(at, _)| mask >> at & 1 == 1)
            .map(|(_, t)| t.clone())
    };
    masks.map(|mask| subset(mask).collect()).collect()
}

/// Every selection of messengers, and every single feature, with and without its messenger.
fn selections(rules: &RuleSet) -> Vec<(Vec<String>, Vec<FeatureChoice>)> {
    let ids: Vec<_> = rules
        .messengers()
        .iter()
        .map(|m| m.service.id().to_owned())
        .collect();
    let mut selections: Vec<_> = subsets(&ids)
        .into_iter()
        .map(|ids| (ids, Vec::new()))
        .collect();
    let mut names = BTreeSet::new();
    for messenger in rules.messengers() {
        for feature in messenger.features() {
            names.insert(feature.name().to_owned());
            names.insert(format!("{}:{feature}", messenger.service));
        }
    }
    for name in names {
        selections.push((Vec::new(), vec![FeatureChoice::parse(&name)]));
    }
    let several = ["msn:file-transfer", "aim:images", "yahoo:webcam"];
    selections.push((Vec::new(), several.map(FeatureChoice::parse).to_vec()));
    selections
}

/// Every combination of service, feature, profile, direction and action.
fn requests(rules: &RuleSet) -> Vec<Request> {
    let mut requests = Vec::new();
    for (services, features) in selections(rules) {
        for profile in [Profile::Document, Profile::Full] {
            for action in [Action::Reject, Action::Drop] {
                for hooks in directions() {
                    let (services, features) = (services.clone(), features.clone());
                    requests.push(Request {
                        services,
                        features,
                        profile,
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

/// One file for each different rule set; comments make no difference to a kernel.
fn write_all(dir: &Path, target: Target, extension: &str) -> usize {
    let rules = RuleSet::builtin().unwrap();
    let requests = requests(&rules);
    assert!(requests.len() > 500, "{}", requests.len());
    let mut seen = BTreeSet::new();
    for request in requests {
        let text = render(&Plan::new(&rules, &request).unwrap(), target);
        let bare: Vec<_> = text
            .lines()
            .filter(|line| !line.trim().starts_with('#'))
            .collect();
        if seen.insert(bare.join("\n")) {
            let all = if request.hooks.len() == 3 { "-all" } else { "" };
            let name = format!("{:04}{all}.{extension}", seen.len());
            std::fs::write(dir.join(name), text).unwrap();
        }
    }
    assert!(seen.len() > 200, "{}", seen.len());
    seen.len()
}

/// Runs `try FILE` of a shell script for every file; the script prints a line for each that fails.
fn all_pass(test: &str, dir: &Path, extension: &str, prepare: &str, judge: &str, files: usize) {
    let script = format!(
        "set -u\n{prepare}\njudge() {{\n{judge}\n}}\nn=0\nfor f in *.{extension}; do\n\tn=$((n + 1))\n\tjudge \"$f\" >out 2>&1 || {{ echo \"$f\"; cat out; }}\ndone\necho \"judged $n\""
    );
    let told = in_private_network(dir, &script);
    assert_eq!(told.trim(), format!("judged {files}"), "{test}");
}

#[test]
fn nft_takes_every_combination_and_reloads_it_to_the_same() {
    if !can_run(
        "nft_takes_every_combination_and_reloads_it_to_the_same",
        &["nft"],
    ) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let files = write_all(dir.path(), Target::Nftables, "nft");
    // Loading for real as well: a check alone does not see a loop of jumps.
    let judge = "nft -c -f \"$1\" || return 1
        case $1 in *-all.nft) ;; *) return 0 ;; esac
        nft -f \"$1\" && nft -s list ruleset >a &&
        nft -f \"$1\" && nft -s list ruleset >b && cmp a b && grep -q 'table inet imwarden' a";
    all_pass("nft", dir.path(), "nft", "", judge, files);
}

#[test]
fn iptables_restore_takes_every_combination() {
    if !can_run(
        "iptables_restore_takes_every_combination",
        &["iptables-restore", "ip6tables-restore"],
    ) {
        return;
    }
    for (target, program) in [
        (Target::Iptables, "iptables-restore"),
        (Target::Ip6tables, "ip6tables-restore"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let files = write_all(dir.path(), target, "rules");
        let judge = format!("{program} --noflush --test \"$1\"");
        all_pass(program, dir.path(), "rules", "", &judge, files);
    }
}

/// Loads a script again and again and takes it out, beside rules of somebody else.
fn script_cycle(iptables: &str, ip6tables: &str) {
    let dir = tempfile::tempdir().unwrap();
    let rules = RuleSet::builtin().unwrap();
    let write = |name: &str, hooks: Vec<Hook>, profile, services: &[&str], action| {
        let services = services.iter().map(ToString::to_string).collect();
        let request = Request {
            services,
            hooks,
            profile,
            action,
            ..Request::default()
        };
        let text = render(
            &Plan::new(&rules, &request).unwrap(),
            Target::IptablesScript,
        );
        std::fs::write(dir.path().join(name), text).unwrap();
    };
    let all = directions().pop().unwrap();
    write("all.sh", all, Profile::Full, &[], Action::Reject);
    write(
        "less.sh",
        vec![Hook::Forward],
        Profile::Document,
        &["msn"],
        Action::Drop,
    );
    let script = format!(
        r#"
set -eu
export IPTABLES={iptables} IP6TABLES={ip6tables}
rules() {{ "$IPTABLES" -w -S; "$IP6TABLES" -w -S; }}
jumps() {{ rules | grep -c -- '-j IMWARDEN' || true; }}
"$IPTABLES" -w -N OTHERS
"$IPTABLES" -w -A FORWARD -p tcp --dport 8080 -j DROP
"$IP6TABLES" -w -A OUTPUT -p tcp --dport 8080 -j OTHERS 2>/dev/null || "$IP6TABLES" -w -A OUTPUT -p tcp --dport 8080 -j DROP
rules >before
sh all.sh check
rules | cmp - before
sh all.sh
rules >once
echo "jumps $(jumps)"
sh all.sh
rules | cmp - once
sh all.sh load
rules | cmp - once
sh less.sh
rules >less
echo "jumps $(jumps), chains $(grep -c '^-N IMW' less)"
sh less.sh
rules | cmp - less
sh all.sh
sh less.sh remove
rules | cmp - before
sh all.sh remove
rules | cmp - before
sh all.sh nonsense 2>/dev/null || echo "usage $?"
"#
    );
    let told = in_private_network(dir.path(), &script);
    // Two families: three directions each, then one; the entry and four features of MSN, twice.
    assert_eq!(
        told.trim(),
        "jumps 6\njumps 2, chains 10\nusage 2",
        "{iptables}"
    );
}

#[test]
fn the_script_can_run_again_and_again_and_leaves_nothing() {
    let name = "the_script_can_run_again_and_again_and_leaves_nothing";
    if !can_run(name, &["iptables", "ip6tables"]) {
        return;
    }
    script_cycle("iptables", "ip6tables");
    for (v4, v6) in [
        ("iptables-nft", "ip6tables-nft"),
        ("iptables-legacy", "ip6tables-legacy"),
    ] {
        if installed(v4) && installed(v6) {
            script_cycle(v4, v6);
        }
    }
}

#[test]
fn every_script_is_sound_shell() {
    if !can_run("every_script_is_sound_shell", &["sh"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let files = write_all(dir.path(), Target::IptablesScript, "sh");
    all_pass("sh -n", dir.path(), "sh", "", "sh -n \"$1\"", files);
}

#[test]
fn restore_files_load_beside_the_rules_of_others() {
    let name = "restore_files_load_beside_the_rules_of_others";
    if !can_run(name, &["iptables-restore", "ip6tables-restore"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let rules = RuleSet::builtin().unwrap();
    let request = Request {
        hooks: directions().pop().unwrap(),
        ..Request::default()
    };
    let plan = Plan::new(&rules, &request).unwrap();
    for (target, program) in [
        (Target::Iptables, "iptables"),
        (Target::Ip6tables, "ip6tables"),
    ] {
        std::fs::write(dir.path().join("rules"), render(&plan, target)).unwrap();
        let script = format!(
            "set -eu
            {program} -w -A FORWARD -p tcp --dport 8080 -j DROP
            {program}-restore -w --noflush rules
            {program} -w -S | grep -c -- '-A FORWARD -p tcp -m tcp --dport 8080 -j DROP'
            {program} -w -S >once
            {program}-restore -w --noflush rules
            {program} -w -S >twice
            # Only the jumps may be there a second time, as the file's head says.
            grep -v -- '-j IMWARDEN' once >a; grep -v -- '-j IMWARDEN' twice >b; cmp a b
            grep -c -- '-j IMWARDEN' once"
        );
        assert_eq!(
            in_private_network(dir.path(), &script).trim(),
            "1\n3",
            "{program}"
        );
    }
}

#[test]
fn the_nftables_file_leaves_others_alone_and_goes_without_trace() {
    if !can_run(
        "the_nftables_file_leaves_others_alone_and_goes_without_trace",
        &["nft"],
    ) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let rules = RuleSet::builtin().unwrap();
    let request = Request {
        hooks: directions().pop().unwrap(),
        ..Request::default()
    };
    let text = render(&Plan::new(&rules, &request).unwrap(), Target::Nftables);
    std::fs::write(dir.path().join("rules"), &text).unwrap();
    std::fs::write(
        dir.path().join("broken"),
        text.replace("jump judge", "jump nowhere"),
    )
    .unwrap();
    let script = "set -eu
        nft add table inet others
        nft 'add chain inet others forward { type filter hook forward priority 0; policy drop; }'
        nft add rule inet others forward tcp dport 22 accept
        nft -s list ruleset >before
        nft -f rules
        nft -s list table inet others | cmp - before
        nft -s list ruleset >loaded
        # A transaction that fails leaves the old table in force.
        nft -f broken 2>/dev/null && echo 'the broken file was taken'
        nft -s list ruleset | cmp - loaded
        nft delete table inet imwarden
        nft -s list ruleset | cmp - before
        echo done";
    assert_eq!(in_private_network(dir.path(), script).trim(), "done");
}
