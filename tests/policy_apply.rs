//! Policies put in force and taken back, in a private network beside rules of others: nothing of others changes, a bad file
//! changes nothing, and what nobody confirms goes by itself, whoever has died in the meantime.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod policy_support;

use policy_support::{can_run, in_private_network};
use std::path::Path;

/// Firewalls, with what others have in them and how all of it is listed.
const BACKENDS: [(&str, &str); 3] = [
    ("nftables", "nft"),
    ("iptables-nft", "iptables-nft"),
    ("iptables-legacy", "iptables-legacy"),
];

/// Rules of others in every firewall; `others` lists them, without ours and without remarks.
const PROLOGUE: &str = r#"
set -u
export IMWARDEN_STATE="$PWD/state"
ip link set lo up
rules_of_others() {
	nft -f - <<-'END'
	table inet filter {
		chain input { type filter hook input priority filter; policy drop;
			ct state established,related accept
			iif lo accept
			tcp dport 22 accept
		}
		chain forward { type filter hook forward priority filter; policy drop;
			tcp dport 8080 drop
			accept
		}
	}
	table ip nat {
		chain post { type nat hook postrouting priority srcnat; oifname "wan" masquerade
		}
	}
	END
	for program in iptables-nft ip6tables-nft iptables-legacy ip6tables-legacy; do
		"$program" -w -N OTHERS
		"$program" -w -A OTHERS -p tcp --dport 8080 -j DROP
		"$program" -w -A FORWARD -m comment --comment 'not -j IMWARDEN' -j OTHERS
		"$program" -w -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
	done
}
# Everything, in every firewall.
all() {
	nft -s list ruleset 2>/dev/null
	for program in iptables-nft ip6tables-nft iptables-legacy ip6tables-legacy; do
		"$program-save" 2>/dev/null | grep -v '^#' | sed 's/ \[[0-9:]*\]$//'
	done
}
# Everything but what is ours. What iptables has in nftables is listed by iptables, which shows built-in chains whether
# they have been used yet or not.
others() {
	nft -s list ruleset 2>/dev/null |
		awk '/^table (inet imwarden|ip filter|ip6 filter) \{/ { skip = 1 } !skip; /^}/ { skip = 0 }'
	for program in iptables-nft ip6tables-nft iptables-legacy ip6tables-legacy; do
		"$program-save" 2>/dev/null | grep -v '^#' | sed 's/ \[[0-9:]*\]$//' |
			grep -v -e '^:IMW' -e '^-A IMW' -e '-j IMWARDEN$'
	done
}
# until SECONDS COMMAND...: waits for it.
until_() {
	left=$((10 * $1)); shift
	while ! "$@" >/dev/null 2>&1; do
		left=$((left - 1))
		[ $left -gt 0 ] || { echo "never: $*"; return 1; }
		sleep 0.1
	done
}
# The same without the order in which tables and chains were made.
meaning() { all | sort; nft -s list table inet imwarden 2>/dev/null; all | grep '^-A'; }
loaded() { all | grep -q -e 'table inet imwarden' -e 'IMWARDEN$'; }
gone() { ! loaded; }
field() { "$imwarden" status --json | sed -n "s/^ *\"$1\": \(.*[^,]\),*\$/\1/p" | head -n 1; }
"#;

fn run(dir: &Path, script: &str) -> String {
    let program = env!("CARGO_BIN_EXE_imwarden");
    in_private_network(dir, &format!("imwarden={program}\n{PROLOGUE}\n{script}"))
}

fn here(test: &str) -> bool {
    can_run(
        test,
        &[
            "nft",
            "ip",
            "iptables-nft-save",
            "ip6tables-nft-save",
            "iptables-legacy-save",
            "ip6tables-legacy-save",
        ],
    )
}

/// Runs the script; it must say exactly this.
fn expect(test: &str, script: &str, told: &str) {
    if !here(test) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let found = run(dir.path(), script);
    assert_eq!(found.trim(), told.trim(), "{test}");
}

#[test]
fn rules_of_others_stay_as_they_are_byte_by_byte() {
    let name = "rules_of_others_stay_as_they_are_byte_by_byte";
    for (backend, _) in BACKENDS {
        expect(
            name,
            &format!(
                r#"
rules_of_others
all >before
others >others
grep -c 8080 others
"$imwarden" apply --backend {backend} --yes >told || cat told
grep -c 'The rules of others are the same' told
loaded && others | cmp - others
"$imwarden" apply --backend {backend} --profile full --direction input,forward --service msn --yes >/dev/null
loaded && others | cmp - others
"$imwarden" undo >/dev/null
loaded && others | cmp - others
all | grep -c -i 'yahoo' >yahoo; [ "$(cat yahoo)" -gt 0 ] || echo 'the first policy did not come back'
"$imwarden" undo
all | diff - before && echo same
"#
            ),
            "5\n1\nPolicy 1 was taken back: nothing of ours is loaded now.\nsame",
        );
    }
}

#[test]
fn on_an_empty_machine_nothing_is_left_behind() {
    let name = "on_an_empty_machine_nothing_is_left_behind";
    for backend in ["nftables", "iptables-nft"] {
        expect(
            name,
            &format!(
                r#"
"$imwarden" apply --backend {backend} --yes >told
grep -c 'The rules of others are the same' told
"$imwarden" undo >told
nft list ruleset
"#
            ),
            "1",
        );
    }
}

#[test]
fn a_bad_file_leaves_the_old_policy_in_force() {
    expect(
        "a_bad_file_leaves_the_old_policy_in_force",
        r#"
rules_of_others
"$imwarden" apply --service msn --yes >/dev/null
all >before
"$imwarden" policy >good.nft
bad() {
	"$imwarden" apply --yes bad >told 2>&1; code=$?
	all | cmp - before
	[ "$(field number)" = 1 ] || echo "remembered: $(field number)"
	echo "$code $(head -n 1 told | grep -o -e 'Too many links' -e 'is about more than' -e 'syntax error' -e 'No such file' -e 'other would stay open' -e 'no rule file' -e 'that any packet goes through' -e 'is for iptables' -e 'not of our chains' -e 'leads into its chains' | head -n 1)"
}
# A circle of jumps: nft -c lets it pass.
printf 'table inet imwarden {\nchain a { jump b\n}\nchain b { jump a\n}\nchain c { type filter hook input priority 0; jump a\n}\n}\n' >bad
unshare -n nft -c -f bad && echo 'a check alone is content'
bad
(echo 'flush ruleset'; cat good.nft) >bad; bad
(cat good.nft; echo 'table inet filter { chain input { accept; }; }') >bad; bad
(cat good.nft; echo 'add table ip nat; delete table ip nat') >bad; bad
sed 's/tcp dport/tcp dpotr/' good.nft >bad; bad
sed 's/jump judge/jump nowhere/' good.nft >bad; bad
printf 'table inet imwarden\ndelete table inet imwarden\ntable inet imwarden { }\n' >bad; bad
"$imwarden" policy --format iptables >bad; bad
echo 'hello' >bad; bad
"$imwarden" apply --backend nftables --dry-run good.nft | tail -n 1
all | cmp - before
"$imwarden" undo >/dev/null
all >before
# Scripts leave more than text can: what they do is looked at.
"$imwarden" policy --format iptables-script >good.sh
script() {
	"$imwarden" apply --backend iptables-nft --yes bad >told 2>&1; code=$?
	all | cmp - before
	echo "$code $(head -n 1 told | grep -o -e 'not of our chains' -e 'leads into its chains' | head -n 1)"
}
sed 's/^load() {/load() { "$IPTABLES" -w -A INPUT -j DROP/' good.sh >bad; script
sed 's/^load() {/load() { "$IP6TABLES" -w -t nat -A OUTPUT -j ACCEPT/' good.sh >bad; script
printf '#!/bin/sh\n"$IPTABLES" -w -N IMWARDEN; "$IPTABLES" -w -I OUTPUT -j IMWARDEN\n' >bad; script
(cat good.sh; echo 'exit 7') >bad; script
"#,
        "\
a check alone is content
2 Too many links
2 is about more than
2 is about more than
2 is about more than
2 syntax error
2 No such file
2 that any packet goes through
2 other would stay open
2 no rule file
Nothing was changed (--dry-run).
2 not of our chains
2 not of our chains
2 leads into its chains
2 ",
    );
}

#[test]
fn what_nobody_confirms_goes_even_when_everybody_was_killed() {
    for (backend, _) in BACKENDS {
        expect(
            "what_nobody_confirms_goes_even_when_everybody_was_killed",
            &format!(
                r#"
rules_of_others
all >before
# A login: a session of its own, in which a shell types the command and waits.
setsid sh -c 'echo $$ >session; "$1" apply --backend {backend} --confirm-within 4 >told 2>&1; touch applied; sleep 100' sh "$imwarden" &
until_ 20 test -e applied
loaded || cat told
session=$(cat session)
# Everything of this session dies at once.
killed=0
for stat in /proc/[0-9]*/stat; do
	set -- $(sed 's/(.*)//' $stat 2>/dev/null)
	[ "${{5:-}}" = "$session" ] && kill -9 "$1" && killed=$((killed + 1))
done
[ $killed -ge 2 ] && echo "the shell and what it ran are dead"
loaded && echo 'still in force'
until_ 30 gone
all | diff - before && echo 'as before'
# The note is written when the rules are back.
until_ 5 sh -c '"$1" status | grep -q "nobody confirmed it in time"' sh "$imwarden" && echo told
ls state
"#
            ),
            "the shell and what it ran are dead\nstill in force\nas before\ntold\nlock\nstate.json",
        );
    }
}

#[test]
fn a_killed_apply_is_taken_back_as_well() {
    // Killed at any moment of its work: either nothing is there, or it goes in time.
    expect(
        "a_killed_apply_is_taken_back_as_well",
        r#"
for moment in 0.01 0.02 0.03 0.04 0.05 0.06 0.07 0.08 0.09 0.1 0.12 0.14; do
	"$imwarden" apply --confirm-within 1 >/dev/null 2>&1 & apply=$!
	sleep $moment
	kill -9 $apply 2>/dev/null
	wait $apply 2>/dev/null
	until_ 30 gone || echo "killed after $moment"
	until_ 5 test ! -e state/guard-* || echo "a guard is left after $moment"
done
until_ 5 sh -c '"$1" apply --yes' sh "$imwarden" && echo 'and the next one works'
"#,
        "and the next one works",
    );
}

#[test]
fn what_is_confirmed_stays_and_can_be_taken_back_step_by_step() {
    for (backend, _) in BACKENDS {
        expect(
            "what_is_confirmed_stays_and_can_be_taken_back_step_by_step",
            &format!(
                r#"
rules_of_others
all >zero
"$imwarden" confirm 2>/dev/null; echo "nothing to confirm: $?"
"$imwarden" apply --backend {backend} --confirm-within 2 --service msn >/dev/null
"$imwarden" apply --backend {backend} --yes 2>/dev/null; echo "not while another waits: $?"
"$imwarden" confirm >/dev/null; echo "confirmed: $?"
meaning >one
# The watch is over long before its time.
until_ 2 test ! -e state/guard-1
sleep 2.5
meaning | diff - one && field until
"$imwarden" apply --backend {backend} --confirm-within 60 --service msn,aim >/dev/null
meaning >two; cmp -s one two && echo 'no change'
"$imwarden" undo; meaning | diff - one
until_ 2 test ! -e state/guard-2
"$imwarden" apply --backend {backend} --confirm-within 1 --service yahoo >/dev/null
until_ 20 sh -c '"$1" status | grep -q "the policy before it is in force again"' sh "$imwarden"
meaning | diff - one && echo 'rolled back to the first'
"$imwarden" undo >/dev/null; all | diff - zero && echo 'and to nothing'
"$imwarden" undo 2>/dev/null; echo "no more: $?"
"#
            ),
            "\
nothing to confirm: 2
not while another waits: 2
confirmed: 0
null
Policy 2 was taken back: what was in force before is in force again.
rolled back to the first
and to nothing
no more: 2",
        );
    }
}

#[test]
fn status_sees_drift_and_that_somebody_has_flushed_everything() {
    expect(
        "status_sees_drift_and_that_somebody_has_flushed_everything",
        r#"
"$imwarden" status; field loaded
"$imwarden" apply --yes >/dev/null
echo "$(field loaded) $(field gone) $(field drift)"
nft insert rule inet imwarden judge tcp dport 5190 accept
"$imwarden" status | grep -e '^  +' -e '^  -'
nft delete element inet imwarden udp_ports { 13324-13325 }
"$imwarden" status | grep -c 'elements = { 13324-13325'
# Applied again, it is as it should be, and the way back leads behind it.
"$imwarden" apply --yes >/dev/null
field drift
nft flush ruleset
echo "$(field loaded) $(field gone)"
"$imwarden" status | grep -c 'IS GONE'
"$imwarden" undo >/dev/null; "$imwarden" undo >/dev/null; field loaded
"$imwarden" apply --backend iptables-nft --yes >/dev/null
field drift
ip6tables-nft -w -D OUTPUT 1
iptables-nft -w -I IMWARDEN 1 -p tcp --dport 5190 -j ACCEPT
"$imwarden" status | grep -e '^  +' -e '^  -'
nft -f - <<-'END'
	table inet imwarden {
		chain x { type filter hook input priority 0
		}
	}
END
"$imwarden" undo --all
nft list tables
"#,
        "\
Nothing of ours is loaded.
false
true false []
  +        tcp dport 5190 accept
1
[]
false true
1
false
[]
  +-A IMWARDEN -p tcp -m tcp --dport 5190 -j ACCEPT
  --A OUTPUT ! -o lo -m comment --comment imwarden -j IMWARDEN
Taken away: everything of ours in nftables.
Taken away: everything of ours in iptables-nft.
table ip filter
table ip6 filter",
    );
}

#[test]
fn learned_addresses_and_a_new_priority_survive_each_other() {
    expect(
        "learned_addresses_and_a_new_priority_survive_each_other",
        r#"
policy() {
	cat <<-END
	table inet imwarden {
		set names4 { type ipv4_addr; flags timeout; timeout 1h; }
		set names6 { type ipv6_addr; flags timeout; timeout 1h; }
		counter names { }
		chain judge { ip daddr @names4 counter name names drop
		}
		chain forward { type filter hook forward priority $1; policy accept; jump judge
		}
	}
	END
}
(echo 'table inet imwarden'; echo 'delete table inet imwarden'; policy -5) >first.nft
"$imwarden" apply --yes first.nft >/dev/null
nft add element inet imwarden names4 { 192.0.2.1, 192.0.2.2 timeout 30m }
(echo 'table inet imwarden'; echo 'delete table inet imwarden'; policy -6) >second.nft
"$imwarden" apply --yes second.nft | grep learned
nft list set inet imwarden names4 | grep -c -e '192.0.2.1 expires 59m' -e '192.0.2.2 timeout 30m expires 29m'
# A file that only adds cannot change the priority of a chain: nft refuses, and it is made anew in one transaction.
(echo 'table inet imwarden { chain forward { }; chain judge { }; }' | sed 's/chain forward { };//'
 echo 'flush chain inet imwarden judge'; policy -7) >third.nft
nft -f third.nft 2>&1 | grep -o -m 1 'Operation not supported'
"$imwarden" apply --yes third.nft | grep learned
nft list table inet imwarden | grep -o 'priority filter - 7'
nft list set inet imwarden names4 | grep -c '192.0.2.1 expires 59m'
"$imwarden" undo >/dev/null
nft list table inet imwarden | grep -o 'priority filter - 6'
nft list set inet imwarden names4 | grep -c '192.0.2.1 expires 59m'
"#,
        "\
1 sets keep the addresses that they had learned.
1
Operation not supported
1 sets keep the addresses that they had learned.
priority filter - 7
1
priority filter - 6
1",
    );
}

#[test]
fn the_connection_that_one_sits_at_is_not_cut() {
    expect(
        "the_connection_that_one_sits_at_is_not_cut",
        r#"
export SSH_CONNECTION='192.0.2.7 50211 10.0.0.1 5190'
"$imwarden" apply --direction input --yes 2>told; echo "$? $(grep -c 'cut your own SSH connection from 192.0.2.7:50211 to 10.0.0.1:5190' told)"
gone && echo 'nothing was loaded'
# sudo takes the variable away.
sh -c 'env -u SSH_CONNECTION "$1" apply --direction input --yes; exit $?' sh "$imwarden" 2>told; echo "$? $(grep -c 'cut your own SSH connection' told)"
"$imwarden" apply --direction input --except 192.0.2.7 --yes >/dev/null; echo $?
"$imwarden" apply --direction input --force --yes >/dev/null 2>told; echo "$? $(grep -c 'cut your own SSH connection' told)"
SSH_CONNECTION='192.0.2.7 5190 10.0.0.1 22' "$imwarden" apply --direction input,output --yes >/dev/null; echo $?
"#,
        "2 1\nnothing was loaded\n2 1\n0\n0 1\n0",
    );
}

#[test]
fn two_at_once_do_not_undo_each_other() {
    expect(
        "two_at_once_do_not_undo_each_other",
        r#"
for n in 1 2 3 4 5 6 7 8; do
	("$imwarden" apply --yes --service "$([ $((n % 2)) = 0 ] && echo msn || echo aim)" >/dev/null 2>&1; echo $? >rc$n) &
done
wait
cat rc* | sort | uniq -c | sed 's/^ *//'
field drift
n=0; while "$imwarden" undo >/dev/null 2>&1; do n=$((n + 1)); done
# Whoever came to the same rules twice in a row changed nothing.
[ $n -ge 2 ] && [ $n -le 8 ] || echo "$n taken back"
nft list ruleset
"#,
        "8 0\n[]",
    );
}

#[test]
fn without_the_right_to_it_the_command_that_has_it_is_told() {
    let name = "without_the_right_to_it_the_command_that_has_it_is_told";
    if !here(name) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // Root of a user namespace, but in a network that belongs to another one.
    let output = std::process::Command::new("unshare")
        .args(["-Urn", "unshare", "-Ur"])
        .arg(env!("CARGO_BIN_EXE_imwarden"))
        .args(["apply", "--feature", "msn:file-transfer", "--state"])
        .arg(dir.path().join("state dir"))
        .env("PATH", policy_support::path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{told}");
    assert!(
        told.contains("This needs root, or CAP_NET_ADMIN: sudo "),
        "{told}"
    );
    assert!(
        told.contains("apply --feature msn:file-transfer --state '"),
        "{told}"
    );
}
