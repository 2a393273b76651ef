//! A policy applied in the place of another: what was counted and learned stays, what is no longer asked for goes.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod policy_support;

use policy_support::{can_run, in_private_network};

/// A way out, and calls to messengers that nobody answers.
const PROLOGUE: &str = r#"
set -u
export IMWARDEN_STATE="$PWD/state"
ip link set lo up
ip link add d0 type veth peer name d1
ip addr add 192.0.2.1/24 dev d0
ip link set d0 up
call() { timeout 2 bash -c "echo >/dev/tcp/192.0.2.9/$1" 2>/dev/null; }
count() { "$imwarden" status --json | tr -d ' \n' | grep -o "\"name\":\"$1\",\"packets\":[0-9]*" | grep -o '[0-9]*$'; }
apply() { "$imwarden" apply --yes --as-of 2026-11-28 "$@" >told || cat told; }
"#;

fn expect(test: &str, programs: &[&str], script: &str, told: &str) {
    if !can_run(test, programs) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_imwarden");
    let script = format!("imwarden={program}\n{PROLOGUE}\n{script}");
    let found = in_private_network(dir.path(), &script);
    assert_eq!(found.trim(), told.trim(), "{test}");
}

#[test]
fn nftables_counts_on_and_remembers_and_what_is_no_longer_asked_for_is_gone() {
    expect(
        "nftables_counts_on_and_remembers_and_what_is_no_longer_asked_for_is_gone",
        &["nft", "ip", "bash"],
        r#"
apply --service msn,yahoo --match port,name --direction forward,output
call 1863; call 5050
echo "$(count msn_session) $(count yahoo_session)"
nft add element inet imwarden names_msn4 '{ 198.51.100.7 timeout 1h }'
nft add element inet imwarden names_yahoo4 '{ 198.51.100.8 timeout 1h }'
# Another plan: less of one, more of another; one direction less, and one more.
apply --service msn,icq --match port,name --direction output,input
grep -e 'count on' -e learned told
echo "$(count msn_session) $(count icq_session) yahoo: $(nft list table inet imwarden | grep -ci yahoo) forward: $(nft list table inet imwarden | grep -c 'hook forward')"
nft list set inet imwarden names_msn4 | grep -c '198.51.100.7 timeout 1h expires 59m'
call 1863; call 5050; call 5190
echo "$(count msn_session) $(count icq_session)"
# It is what the same plan is by itself, and nobody sees a difference.
"$imwarden" status | grep -c -e '^  +' -e '^  -'
"$imwarden" policy --as-of 2026-11-28 --service msn,icq --match port,name --direction output,input >alone.nft
unshare -n sh -c 'nft -f alone.nft && nft -s list table inet imwarden' | sort >alone
nft -s list table inet imwarden | grep -v 198.51.100.7 | sort | diff alone - && echo 'as if it were alone'
apply --service msn,icq --match port,name --direction output,input; cat told
# The way back has what was counted until then.
"$imwarden" undo
echo "$(count msn_session) $(count yahoo_session)"
nft list set inet imwarden names_yahoo4 | grep -c 198.51.100.8
"#,
        "\
1 1
Rules that were there before count on.
1 sets keep the addresses that they had learned.
1 0 yahoo: 0 forward: 0
1
2 1
0
as if it were alone
This policy is in force already: nothing was changed.
Policy 2 was taken back: what was in force before is in force again.
1 1
1",
    );
}

#[test]
fn a_file_is_loaded_as_it_stands_and_a_table_that_does_not_fit_is_made_anew() {
    expect(
        "a_file_is_loaded_as_it_stands_and_a_table_that_does_not_fit_is_made_anew",
        &["nft", "ip", "bash"],
        r#"
apply --service msn --match port,name
call 1863; count msn_session
nft add element inet imwarden names_msn4 '{ 198.51.100.7 timeout 1h }'
# Chains of another place: they cannot be moved, so the table is made again, with what was learned.
nft list table inet imwarden | sed 's/priority filter - 5/priority filter - 9/' >moved
nft delete table inet imwarden; nft -f moved
apply --service msn,yahoo --match port,name
grep -e 'count on' -e learned told
echo "$(count msn_session) $(nft list table inet imwarden | grep -c 'priority filter - 5')"
nft list set inet imwarden names_msn4 | grep -c 198.51.100.7
call 1863; count msn_session
"$imwarden" policy --service msn --match port,name >file.nft
"$imwarden" apply --yes file.nft >/dev/null; count msn_session
"#,
        "\
1
1 sets keep the addresses that they had learned.
0 2
1
1
0",
    );
}

#[test]
fn addresses_of_a_name_that_is_no_longer_meant_are_forgotten() {
    let script = |backend: &str, add: &str, list: &str| {
        format!(
            r#"
plan() {{
	printf '[[rule]]\nid = "chat"\nto = "%s"\nport = 443\nreason = "made up"\n[[rule]]\nid = "talk"\nto = "talk.example.com"\nport = 443\nreason = "made up"\n' "$1" >policy.toml
	apply --backend {backend} --plan policy.toml --service "$2"
}}
plan chat.example.com msn
{add}
plan chat.example.com aim
{list} | grep -c 198.51.100
plan other.example.com aim
{list} | grep -o '198.51.100..'
"#
        )
    };
    expect(
        "addresses_of_a_name_that_is_no_longer_meant_are_forgotten",
        &["nft", "ip", "bash"],
        &script(
            "nftables",
            "nft add element inet imwarden names_chat4 '{ 198.51.100.7 timeout 1h }'; nft add element inet imwarden names_talk4 '{ 198.51.100.8 timeout 1h }'",
            "nft list table inet imwarden",
        ),
        "2\n198.51.100.8",
    );
    for backend in ["iptables-nft", "iptables-legacy"] {
        expect(
            "addresses_of_a_name_that_is_no_longer_meant_are_forgotten",
            &["ipset", "iptables-nft", "iptables-legacy", "ip", "bash"],
            &script(
                backend,
                "ipset add imw-names-chat4 198.51.100.7; ipset add imw-names-talk4 198.51.100.8",
                "ipset save",
            ),
            "2\n198.51.100.8",
        );
    }
}

#[test]
fn rules_of_iptables_that_stay_count_on() {
    for backend in ["iptables-nft", "iptables-legacy"] {
        expect(
            "rules_of_iptables_that_stay_count_on",
            &["iptables-nft", "iptables-legacy", "ip", "bash"],
            &format!(
                r#"
apply --backend {backend} --service msn,yahoo
call 1863; call 5050
echo "$(count IMW-MSN-SESSION) $(count IMW-YAHOO-SESSION)"
apply --backend {backend} --service msn,icq
grep 'count on' told
echo "$(count IMW-MSN-SESSION) $(count IMW-ICQ-SESSION)"
{backend}-save | grep -c YAHOO
call 1863; call 5190
echo "$(count IMW-MSN-SESSION) $(count IMW-ICQ-SESSION)"
"#
            ),
            "1 1\nRules that were there before count on.\n1 0\n0\n2 1",
        );
    }
}
