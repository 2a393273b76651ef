//! A real kernel judges every rule set: each combination of what can be asked for is accepted, loading it
//! twice leaves the same rules, and what others have loaded stays.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

#[path = "policy_support/combinations.rs"]
mod combinations;
mod policy_support;

use combinations::{directions, texts};
use imwarden::policy::{Action, Hook, Plan, Profile, Request, Target, render};
use imwarden::ruleset::RuleSet;
use policy_support::{can_run, in_private_network, installed};
use std::path::Path;

/// One file for each different rule set; those for all directions are called so.
fn write_all(dir: &Path, target: Target, extension: &str) -> usize {
    let texts = texts(target);
    assert!(texts.len() > 150, "{target:?}: {}", texts.len());
    for (number, (text, all)) in texts.iter().enumerate() {
        let all = if *all { "-all" } else { "" };
        std::fs::write(dir.join(format!("{number:04}{all}.{extension}")), text).unwrap();
    }
    texts.len()
}

/// The sets that rules for iptables may name.
fn sets(dir: &Path) -> &'static str {
    let (all, _) = texts(Target::Ipset)
        .into_iter()
        .max_by_key(|(text, _)| text.len())
        .unwrap();
    std::fs::write(dir.join("sets"), all).unwrap();
    "ipset restore -exist -file sets && ipset restore -exist -file sets || exit 1"
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
    let name = "nft_takes_every_combination_and_reloads_it_to_the_same";
    if !can_run(name, &["nft"]) {
        return;
    }
    // Loaded for real: a check alone does not see a loop of jumps. A file that keeps finds what the one before has left: hence `delete`.
    for (target, before) in [
        (Target::Nftables, ":"),
        (
            Target::NftablesKeep,
            "nft delete table inet imwarden 2>/dev/null",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let files = write_all(dir.path(), target, "nft");
        let judge = format!(
            "{before}
            nft -f \"$1\" || return 1
            case $1 in *-all.nft) ;; *) return 0 ;; esac
            nft -s list ruleset >a &&
            nft -f \"$1\" && nft -s list ruleset >b && cmp a b && grep -q 'table inet imwarden' a"
        );
        all_pass("nft", dir.path(), "nft", "", &judge, files);
    }
}

#[test]
fn one_kept_file_after_another_leaves_what_the_last_one_says() {
    let name = "one_kept_file_after_another_leaves_what_the_last_one_says";
    if !can_run(name, &["nft"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let rules = RuleSet::builtin().unwrap();
    let write = |name: &str, request: &Request| {
        let text = render(&Plan::new(&rules, request).unwrap(), Target::NftablesKeep);
        std::fs::write(dir.path().join(name), text).unwrap();
    };
    let all = directions().pop().unwrap();
    write(
        "much",
        &Request {
            profile: Profile::Full,
            hooks: all,
            ..Request::default()
        },
    );
    write(
        "little",
        &Request {
            services: vec!["msn".to_owned()],
            hooks: vec![Hook::Output],
            ..Request::default()
        },
    );
    // Nothing that the last file does not say is reached: the hooks of the first are empty, and so are its maps.
    let script = "set -e
        nft -f much; nft -f little
        nft list chain inet imwarden forward | grep -c jump || true
        nft list chain inet imwarden output | grep -c jump
        nft list map inet imwarden tcp_ports | grep -o ' : goto' | wc -l
        nft list map inet imwarden tcp_ports | grep -c 5190 || true
        nft list map inet imwarden udp_ports | grep -c elements
        nft list chain inet imwarden judge | grep -c vmap
        nft -f much; nft delete table inet imwarden; nft list ruleset | wc -l";
    assert_eq!(
        in_private_network(dir.path(), script)
            .split_whitespace()
            .collect::<Vec<_>>(),
        ["0", "1", "3", "0", "1", "2", "0"]
    );
}

#[test]
fn iptables_restore_takes_every_combination() {
    let name = "iptables_restore_takes_every_combination";
    let programs = ["iptables-restore", "ip6tables-restore", "ipset"];
    if !can_run(name, &programs) {
        return;
    }
    // Both families at once.
    std::thread::scope(|scope| {
        for (target, program) in [
            (Target::Iptables, "iptables"),
            (Target::Ip6tables, "ip6tables"),
        ] {
            scope.spawn(move || restores(target, program));
        }
    });
}

fn restores(target: Target, program: &str) {
    for backend in ["nft", "legacy"] {
        let program = format!("{program}-{backend}");
        if !installed(&program) {
            continue;
        }
        let dir = tempfile::tempdir().unwrap();
        let files = write_all(dir.path(), target, "rules");
        let sets = sets(dir.path());
        // Loaded twice only the jumps are doubled, as the head of the file says.
        let judge = format!(
            "{program}-restore --noflush --test \"$1\" || return 1
            case $1 in *-all.rules) ;; *) return 0 ;; esac
            {program}-restore -w --noflush \"$1\" && {program} -w -S | grep -v -- '-j IMWARDEN$' >a &&
            {program}-restore -w --noflush \"$1\" && {program} -w -S | grep -v -- '-j IMWARDEN$' >b && cmp a b &&
            grep -q -- '-A IMWARDEN' a &&
            {program} -w -F && {program} -w -X"
        );
        all_pass(&program, dir.path(), "rules", sets, &judge, files);
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
