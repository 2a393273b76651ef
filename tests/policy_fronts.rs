//! firewalld and ufw, by their own programs: every combination is accepted without a word of complaint, and says what it should;
//! and the check itself finds what is wrong. Those that no checker was at hand for say so.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

#[path = "policy_support/combinations.rs"]
mod combinations;
mod policy_support;

use combinations::texts;
use imwarden::policy::Target;
use policy_support::{can_run, in_private_network};
use std::collections::BTreeSet;

/// Folders that the programs read and would write to, each a copy.
const COPY: &str = "set -e; mkdir fw; cp -R /etc/firewalld/. fw/; mkdir -p fw/policies";

#[test]
fn firewalld_takes_every_combination_and_complains_of_none() {
    let name = "firewalld_takes_every_combination_and_complains_of_none";
    if !can_run(name, &["firewall-offline-cmd"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let texts = texts(Target::Firewalld);
    assert!(texts.len() > 100, "{}", texts.len());
    for (number, (text, _)) in texts.iter().enumerate() {
        std::fs::write(dir.path().join(format!("{number:04}.sh")), text).unwrap();
    }
    // All policies of all files in one configuration, so that one start of the checker judges them; twice written, they are the same.
    let script = format!(
        "{COPY}
        for file in *.sh; do
            mkdir one
            FIREWALLD=one RELOAD=true sh $file write; cp -R one two
            FIREWALLD=one RELOAD=true sh $file write; diff -r one two
            for policy in one/policies/*.xml; do
                [ ! -e $policy ] || mv $policy fw/policies/p${{file%.sh}}-$(basename $policy | sed 's/imwarden-\\(.\\).*/\\1/').xml
            done
            rm -r one two
        done
        firewall-offline-cmd --system-config $PWD/fw --check-config 2>&1
        ls fw/policies | wc -l"
    );
    let told = in_private_network(dir.path(), &script);
    // Nothing else is said, on either output.
    let policies: usize = told.trim().parse().unwrap_or_else(|_| panic!("{told}"));
    assert!(policies > 200, "{policies}");
}

#[test]
fn the_check_of_firewalld_sees_what_the_daemon_would_ignore() {
    let name = "the_check_of_firewalld_sees_what_the_daemon_would_ignore";
    if !can_run(name, &["firewall-offline-cmd"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let texts = texts(Target::Firewalld);
    let (good, _) = texts.iter().max_by_key(|(text, _)| text.len()).unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("good.sh", good);
    // firewalld's own check ends with 0 here and says so on its standard error only.
    let weak = good.replace("<reject/>", "<reject type=\"icmp-port-unreachable\"/>");
    assert_ne!(weak, *good);
    write("weak.sh", &weak);
    write(
        "bad.sh",
        &good.replace("protocol=\"tcp\"", "protocol=\"tpc\""),
    );
    let script = format!(
        "{COPY}
        export FIREWALLD=$PWD/fw RELOAD=true
        for name in good weak bad; do sh $name.sh check >/dev/null 2>&1 && echo $name yes || echo $name no; done
        # A file that is not right is not written.
        sh bad.sh load >/dev/null 2>&1 || true
        ls fw/policies | wc -l
        sh good.sh load && ls fw/policies | tr '\\n' ' '
        sh good.sh remove && ls fw/policies | wc -l"
    );
    let told = in_private_network(dir.path(), &script);
    assert_eq!(
        told.split_whitespace().collect::<Vec<_>>(),
        [
            "good",
            "yes",
            "weak",
            "no",
            "bad",
            "no",
            "0",
            "imwarden-forward.xml",
            "imwarden-input.xml",
            "imwarden-output.xml",
            "0"
        ],
        "{told}"
    );
}

#[test]
fn ufw_takes_every_rule_and_writes_it_for_both_families() {
    let name = "ufw_takes_every_rule_and_writes_it_for_both_families";
    if !can_run(name, &["ufw"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let texts = texts(Target::Ufw);
    // A file is a list of rules, each by itself: every different one is given to ufw once.
    let rules: BTreeSet<&str> = texts
        .iter()
        .flat_map(|(text, _)| text.lines())
        .filter(|line| line.starts_with("\trouted ") || line.starts_with("\tdirect "))
        .map(str::trim)
        .collect();
    assert!(rules.len() > 80, "{}", rules.len());
    // One start of ufw after another takes a tenth of a second: both cores help.
    let script = |rules: &[&str]| {
        let mut script = String::from(
            "direct() { ufw --dry-run prepend \"$@\" >said 2>&1 || echo \"refused: $*: $(cat said)\"
                grep -q -- '^-A ufw-user-[a-z]*put .*-j' said && grep -q -- '^-A ufw6-user-[a-z]*put .*-j' said || echo \"not written: $*: $(cat said)\"
            }
            routed() { ufw --dry-run route prepend \"$@\" >said 2>&1 || echo \"refused: $*: $(cat said)\"
                grep -q -- '^-A ufw-user-forward .*-j' said && grep -q -- '^-A ufw6-user-forward .*-j' said || echo \"not written: $*: $(cat said)\"
            }\n",
        );
        for rule in rules {
            script.push_str(rule);
            script.push('\n');
        }
        script
    };
    let rules: Vec<&str> = rules.into_iter().collect();
    let halves = rules.chunks(rules.len().div_ceil(2)).map(script);
    let halves: Vec<String> = halves.collect();
    std::thread::scope(|scope| {
        for (number, half) in halves.iter().enumerate() {
            let folder = dir.path().join(number.to_string());
            scope.spawn(move || {
                std::fs::create_dir(&folder).unwrap();
                assert_eq!(in_private_network(&folder, half), "");
            });
        }
    });
    // And each file is sound shell.
    for (number, (text, _)) in texts.iter().enumerate() {
        std::fs::write(dir.path().join(format!("{number}.sh")), text).unwrap();
    }
    assert_eq!(
        in_private_network(
            dir.path(),
            "for file in *.sh; do sh -n $file || echo $file; done"
        ),
        ""
    );
}

#[test]
fn what_was_never_tried_says_so_first() {
    for target in [Target::Pf, Target::Openwrt, Target::Mikrotik] {
        for (text, _) in texts(target) {
            assert!(text.starts_with("# UNVERIFIED: "), "{target:?}");
        }
    }
    for target in Target::ALL {
        let (text, _) = &texts(target)[0];
        let tried = !matches!(target, Target::Pf | Target::Openwrt | Target::Mikrotik);
        assert_eq!(text.contains("UNVERIFIED"), !tried, "{target:?}");
        for word in ["load", "remove"] {
            let told = text.contains(&format!("   {word} ")) || target == Target::Suricata;
            assert!(told, "{target:?} does not say how to {word} it");
        }
    }
}

/// A namespace where these programs may be root: their folders are copies, and a machine behind a cable has servers on a messenger's port
/// and on the web's.
const LIVE: &str = r#"set -eu
mount -t tmpfs -o mode=755 none /run
mount -t tmpfs -o mode=755 none /var/lib
mount -t tmpfs -o mode=755 none /var/log
mkdir -p /run/lock /run/dbus /run/firewalld
for folder in $FOLDERS; do
    mkdir -p /run/copy; cp -R $folder/. /run/copy/
    mount -t tmpfs -o mode=755 none $folder; cp -R /run/copy/. $folder/; rm -r /run/copy
done
ip link set lo up
ip netns add far; ip -n far link set lo up
ip link add near type veth peer name far0 netns far
ip addr add 192.0.2.1/24 dev near; ip link set near up
ip -n far addr add 192.0.2.9/24 dev far0; ip -n far link set far0 up
ip netns exec far python3 -c '
import socket, threading
for port in 1863, 80:
    server = socket.create_server(("", port))
    threading.Thread(target=lambda server=server: [server.accept() for _ in range(99)]).start()
' &
servers=$!
try() { python3 -c '
import socket, sys
try:
    socket.create_connection(("192.0.2.9", int(sys.argv[1])), 5)
    print("open")
except OSError as error:
    print(type(error).__name__)
' $1; }
for i in $(seq 100); do [ "$(try 80)$(try 1863)" = openopen ] && break; sleep 0.1; done
echo "before: $(try 80) $(try 1863)"
"#;

/// The file is loaded twice, tried, and taken out again.
const ROUND: &str = r#"
rules >/run/before
sh FILE load >/dev/null
echo "loaded: $(try 80) $(try 1863)"
rules >/run/once
sh FILE load >/dev/null
rules | cmp - /run/once && echo "the same again"
sh FILE remove >/dev/null
echo "removed: $(try 80) $(try 1863)"
rules | cmp - /run/before && echo "as before"
kill $servers
"#;

fn live(format: &str, folders: &str, start: &str, end: &str) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rules");
    let written = std::process::Command::new(env!("CARGO_BIN_EXE_imwarden"))
        .args([
            "policy",
            "--format",
            format,
            "--service",
            "msn",
            "--direction",
            "output",
            "-o",
        ])
        .arg(&file)
        .status();
    assert!(written.unwrap().success());
    let round = ROUND.replace("FILE", &file.display().to_string());
    let script = format!("FOLDERS='{folders}'\n{LIVE}\n{start}\n{round}\n{end}");
    let run = std::process::Command::new("unshare")
        .args(["-Urnm", "sh", "-c", &script])
        .current_dir(dir.path())
        .env("PATH", policy_support::path())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&run.stdout);
    let err = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{format}\n{told}\n{err}");
    assert_eq!(
        told.lines().collect::<Vec<_>>(),
        [
            "before: open open",
            "loaded: open ConnectionRefusedError",
            "the same again",
            "removed: open open",
            "as before",
        ],
        "{format}\n{err}"
    );
}

#[test]
fn ufw_refuses_for_real_and_what_it_had_before_stays() {
    let name = "ufw_refuses_for_real_and_what_it_had_before_stays";
    if !can_run(name, &["ufw", "python3", "mount", "ip"]) {
        return;
    }
    // Somebody allows the whole machine: rules of ours stand before that.
    let start = "ufw --force enable >/dev/null; ufw allow out to 192.0.2.9 >/dev/null; ufw reload >/dev/null
        rules() { iptables -S; ip6tables -S; }";
    // ufw keeps one rule of two about the same: that is not passed over in silence.
    let end = "ufw allow out 1863/tcp >/dev/null
        sh ./rules load >/dev/null 2>said && echo loaded || grep -c 'somebody has a rule of his own' said >&2";
    live("ufw", "/etc/ufw", start, end);
}

#[test]
fn firewalld_refuses_for_real_and_what_it_had_before_stays() {
    let name = "firewalld_refuses_for_real_and_what_it_had_before_stays";
    if !can_run(
        name,
        &[
            "firewalld",
            "firewall-cmd",
            "dbus-daemon",
            "python3",
            "mount",
            "ip",
            "nft",
        ],
    ) {
        return;
    }
    let start = r#"cat >/run/bus.conf <<'END'
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_destination="*"/>
<allow receive_type="method_call"/><allow receive_type="method_return"/><allow receive_type="error"/><allow receive_type="signal"/>
</policy></busconfig>
END
dbus-daemon --config-file=/run/bus.conf --nofork & bus=$!
for i in $(seq 100); do [ -S /run/dbus/system_bus_socket ] && break; sleep 0.1; done
firewalld --nofork --nopid >/run/daemon.log 2>&1 & daemon=$!
for i in $(seq 300); do firewall-cmd --state >/dev/null 2>&1 && break; sleep 0.1; done
rules() { nft -s list ruleset; }
"#;
    live("firewalld", "/etc/firewalld", start, "kill $daemon $bus");
}
