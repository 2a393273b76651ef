//! The shell around the iptables rules: each line of it is needed, too. What it has to do is written down as a script of its own,
//! which stops at the first thing that is not so.

use crate::mutation::those;
use crate::policy_support::{can_run, in_private_network, say};
use crate::{PROGRAMS, RuleSet};
use imwarden::model::{Endpoint, Service, Transport};
use imwarden::policy::{
    Action, FeatureChoice, Hook, Plan, Request, Sighting, Sightings, Target, feature_of, render,
};
use std::collections::BTreeSet;
use std::path::Path;

/// Everything that the file promises in its head, beside rules of somebody else, behind an earlier policy that was more, and
/// with a firewall that refuses to take half of it. `FRESH` is how many jumps each direction is to have.
const PROMISES: &str = r#"
set -eu
export IPTABLES=iptables-legacy IP6TABLES=ip6tables-legacy
rules() { "$IPTABLES" -w -S; "$IP6TABLES" -w -S; }
same() { rules | cmp -s - "$1"; }
jumps() { rules | grep -c -- "-A $1 .*-j IMWARDEN" || true; }
for program in "$IPTABLES" "$IP6TABLES"; do
	"$program" -w -N OTHERS
	"$program" -w -A FORWARD -p tcp --dport 8080 -j OTHERS
done
rules >before

sh new check && same before
# What was seen is not in force by that.
[ "$(ipset save | grep -c '^add imw-')" = 0 ]
# Without a word about programs it takes the usual ones.
env -u IPTABLES -u IP6TABLES sh new check

# Half of it is refused: nothing is changed.
for family in 4 6; do
	case $family in
	4) refuse="IPTABLES=./refuse" ;;
	6) refuse="IP6TABLES=./refuse" ;;
	esac
	for verb in check load; do
		if env "$refuse" sh new "$verb"; then exit 1; fi
		same before
	done
done

# Behind an earlier policy in all directions, each jump of which is there twice.
sh old
"$IPTABLES" -w -I FORWARD 1 -m comment --comment imwarden -j IMWARDEN
"$IPTABLES" -w -I OUTPUT 1 ! -o lo -m comment --comment imwarden -j IMWARDEN
"$IPTABLES" -w -I INPUT 1 ! -i lo -m comment --comment imwarden -j IMWARDEN
sh new
# One is enough.
[ "$(jumps FORWARD) $(jumps OUTPUT) $(jumps INPUT)" = "$FRESH" ]
[ "$(rules | grep -c '^-N OTHERS$')" = 2 ]
[ "$(rules | grep -c '^-N IMW')" = 8 ]
ipset test imw-seen-msn-files4 198.51.100.30,tcp:8080 2>/dev/null
ipset test imw-seen-msn-files6 2001:db8:2::30,tcp:8080 2>/dev/null
[ "$(rules | grep -c -- '--dport 6891')" = 2 ]
rules >once
sh new load && same once
# What a load that was cut short has left is not taken for what was seen.
for set in imw-seen-msn-files4 imw-seen-msn-files6; do
	ipset save "$set" | sed -n "s/^create $set /create imw-fresh${set#imw-seen-msn-files} /p" | ipset restore
done
ipset add imw-fresh4 198.51.100.31,tcp:8080
ipset add imw-fresh6 2001:db8:2::31,tcp:8080
sh new load && same once
[ "$(ipset save | grep -c '^add imw-seen')" = 2 ]
# A jump that is right already stays, with what it has counted.
"$IPTABLES" -w -R FORWARD 1 -c 7 7 -m comment --comment imwarden -j IMWARDEN
sh new load
"$IPTABLES" -w -v -S FORWARD 1 | grep -q -- '-c 7 7 '
# One that leads less in does not.
"$IPTABLES" -w -R FORWARD 1 -p tcp -m comment --comment imwarden -j IMWARDEN
sh new load && same once

sh new remove && same before
[ -z "$(ipset list -n)" ]
sh old
sh new remove && same before
sh new
[ "$(jumps FORWARD) $(jumps OUTPUT) $(jumps INPUT)" = "$FRESH" ]
sh new remove && same before
if sh new nonsense 2>words; then exit 1; else [ $? = 2 ]; fi
grep -q '^usage: ' words
echo kept
"#;

fn script(feature: &str, hooks: &[Hook]) -> String {
    let request = Request {
        features: vec![FeatureChoice::parse(feature)],
        hooks: hooks.to_vec(),
        action: Action::Reject,
        ..Request::default()
    };
    let plan = Plan::observing(&RuleSet::builtin().unwrap(), &request, &seen()).unwrap();
    render(&plan, Target::IptablesScript)
}

/// Files between users of MSN.
fn seen() -> Sightings {
    let end = |ip: &str, port| Endpoint::new(ip.parse().unwrap(), port);
    let flow = |server| Sighting {
        service: Service::MSN,
        feature: feature_of("msnftp"),
        transport: Transport::Tcp,
        client: end("10.0.0.200", 50_000),
        server,
        proxied: false,
        opening: None,
        place: "made up, flow 1".into(),
    };
    Sightings {
        flows: vec![
            flow(end("198.51.100.30", 8080)),
            flow(end("2001:db8:2::30", 8080)),
        ],
        ..Sightings::default()
    }
}

/// Whether a script keeps its promises.
fn keeps(text: &str, fresh: &str) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    let all = [Hook::Forward, Hook::Output, Hook::Input];
    write("new", text);
    write("old", &script("session", &all));
    // A firewall that takes nothing.
    for name in ["refuse", "refuse-restore"] {
        write(name, "#!/bin/sh\ncat >/dev/null\nexit 1\n");
        executable(&dir.path().join(name));
    }
    let told = in_private_network(dir.path(), &format!("FRESH='{fresh}'\n{PROMISES}"));
    told.lines().last() == Some("kept")
}

fn executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// The lines that are no comment and no rule.
fn shell(text: &str) -> Vec<(usize, &str)> {
    let mut rules = false;
    let mut all = Vec::new();
    for (at, line) in text.lines().enumerate() {
        rules &= line != "END-OF-RULES";
        let word = line.trim();
        if !rules && !word.is_empty() && !word.starts_with('#') {
            all.push((at, line));
        }
        rules |= line.ends_with("<<'END-OF-RULES'");
    }
    all
}

#[test]
fn no_line_of_the_script_can_go_without_being_missed() {
    if !can_run(
        "no_line_of_the_script_can_go_without_being_missed",
        &PROGRAMS,
    ) {
        return;
    }
    let all = [Hook::Forward, Hook::Output, Hook::Input];
    let mut known = BTreeSet::new();
    let mut mutants = Vec::new();
    for (hooks, fresh) in [(&all[..1], "2 0 0"), (&all[..], "2 2 2")] {
        let text = script("msn:file-transfer", hooks);
        assert!(
            keeps(&text, fresh),
            "whole, it keeps its promises: {hooks:?}"
        );
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in shell(&text) {
            if known.insert(line.to_owned()) {
                let mut rest = lines.clone();
                rest.remove(at);
                mutants.push((line.to_owned(), rest.join("\n") + "\n", fresh));
            }
        }
    }
    let survivors: Vec<&String> = those(&mutants, |(_, text, fresh)| keeps(text, fresh))
        .into_iter()
        .map(|(line, _, _)| line)
        .collect();
    say(&format!(
        "mutations, script: noticed {} of {} lines",
        mutants.len() - survivors.len(),
        mutants.len()
    ));
    assert!(mutants.len() > 50, "{}", mutants.len());
    assert!(survivors.is_empty(), "missed by nobody: {survivors:#?}");
}
