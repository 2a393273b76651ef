//! Traps that firewalls lay, each met on a real kernel, and the test that holds it.
//!
//! | trap | where |
//! |---|---|
//! | T1 a refusal's own reset is refused | [`t1_a_refusal_gets_out`]; `policy_matrix` (all hooks on all machines), mutations (`resets pass`) |
//! | T2 a client whose own port is a messenger's | `policy_matrix` (every closed port as a client's own), `policy_differential`, `policy_scan` |
//! | T3 `conntrack -D` opens a session whose server speaks first | [`t3_forgetting_a_connection_is_no_way_to_end_it`]; `policy_bypass` (first rules of a machine); `enforce` (`silent`: marked, and not opened again) |
//! | T4 `nft -c` does not see loops | [`t4_a_check_does_not_see_a_loop_and_loading_does`]; `policy_kernel` loads for real |
//! | T5 reserved words as names | [`t5_no_name_is_a_reserved_word`] |
//! | T6 long log prefixes | [`t6_what_is_logged_begins_with_few_words`] |
//! | T7 the JSON listing is not what was loaded | [`t7_only_the_text_of_a_listing_can_be_loaded_again`] |
//! | T8 a table that is replaced forgets counters | [`t8_loading_again_forgets_and_the_file_says_so`]; `policy_keep` (what `apply` does about it) |
//! | T9 `auto-merge` mixes time-outs | [`t9_no_set_merges_what_expires`] |
//! | T10 a base chain's priority cannot change in place | [`t10_another_priority_takes_a_new_table`] |
//! | T11 `meta hour` is translated when it is loaded | [`t11_no_rule_asks_for_the_hour`] |
//! | T12 a private network's log is muted | nothing here reads a log: `policy_matrix` and `policy_differential` count (`Action::Log` too) |
//! | T13 a dead path reads as "blocked" | `policy_matrix`, `policy_scan` (baseline), `policy::prove::Lab::new` (both ways, before any rule), `policy_bypass` |
//! | T14 a policy that only looks, with a stray drop | [`t14_a_policy_that_only_looks_has_no_refusal_in_it`]; `policy_matrix`, `policy_differential` (`looks`) |
//! | T15 rules that learn from packets block bystanders | [`t15_no_rule_learns_from_packets`]; `enforce` adds what was proven, and packets only lengthen what is in a set |
//! | T16 iptables looks at fixed places behind IPv6 | `policy_differential` (extension headers), `policy_bypass` |
//! | T17 checkers that say yes to nonsense | [`t17_a_checker_that_says_yes_has_said_nothing`]; `policy_targets` asks dnsmasq for names |
//! | T18 squid's shared memory has one name | `policy_targets` (`squid -n`) |
//! | T19 somebody's `flush ruleset` | [`t19_a_flush_takes_everything`]; `policy_apply` (`status`), `policy_verify`; `enforce` (`flushed`: loaded again) |
//! | T20 chains on one line | [`t20_chains_need_lines`] |
//! | T21 DNAT changes what `forward` sees | [`t21_what_is_judged_is_where_a_connection_really_goes`] |
//! | T22 time-outs of elements that nobody renews | no file has any ([`t9_no_set_merges_what_expires`]); `enforce` (`refreshed`: for as long as somebody tries, and no longer) |
//! | T23 a network becomes one address | [`t23_a_network_is_a_network`]; `policy_differential` (`some`) |
//! | T24 dnsmasq without `CAP_NET_ADMIN` | [`t24_dnsmasq_needs_a_capability_to_fill_a_set`] |
//! | T25 reading one counter reads every set | speed only: live enforcement reads no set while it runs (names of tables only) and marks a connection without reading the others |
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod policy_support;
#[path = "policy_support/wrap.rs"]
#[allow(dead_code, reason = "the differential's part of it")]
mod wrap;

use imwarden::model::{Direction, Endpoint, Service, TcpFlags, Transport};
use imwarden::policy::prove::{Backend, Firewall, Lab, Refusal, Rules};
use imwarden::policy::{
    Action, Attempt, Hook, Plan, Profile, Request, Sighting, Sightings, Target, feature_of, render,
};
use imwarden::ruleset::RuleSet;
use policy_support::{can_run, in_private_network, path};
use std::process::{Command, Stdio};
use wrap::{Sent, Wire, tcp};

const INSIDE: &str = "IMWARDEN_TRAP";

fn plan(request: &Request, seen: &Sightings) -> Plan {
    Plan::observing(&RuleSet::builtin().unwrap(), request, seen).unwrap()
}

/// One place where AIM was seen.
fn seen() -> Sightings {
    let end = |ip: &str, port| Endpoint::new(ip.parse().unwrap(), port);
    Sightings {
        flows: vec![Sighting {
            service: Service::AIM,
            feature: feature_of("oscar"),
            transport: Transport::Tcp,
            client: end("10.0.0.200", 50_000),
            server: end("198.51.100.30", 8080),
            proxied: false,
            opening: None,
            place: "made up, flow 1".into(),
        }],
        ..Sightings::default()
    }
}

/// Files for packet filters: every action, profile and choice of hooks, with and without what was seen, clients and exceptions.
fn files(target: Target) -> Vec<(Action, String)> {
    let nets = |all: &[&str]| {
        all.iter()
            .map(|net| net.parse().unwrap())
            .collect::<Vec<_>>()
    };
    let mut all = Vec::new();
    for action in [Action::Reject, Action::Drop, Action::Log] {
        for profile in [Profile::Document, Profile::Full] {
            for seen in [Sightings::default(), seen()] {
                for sources in [nets(&[]), nets(&["10.0.0.0/8", "2001:db8::/32"])] {
                    let request = Request {
                        action,
                        profile,
                        hooks: vec![Hook::Forward, Hook::Output, Hook::Input],
                        exceptions: nets(if sources.is_empty() {
                            &[]
                        } else {
                            &["10.9.0.0/16"]
                        }),
                        sources,
                        ..Request::default()
                    };
                    all.push((action, render(&plan(&request, &seen), target)));
                }
            }
        }
    }
    all
}

/// What a file does: no comments, neither lines nor those of rules.
fn bare(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim().starts_with('#'));
    let without = |line: &str| {
        let mut words = line.split('"');
        let mut kept = String::new();
        while let Some(outside) = words.next() {
            kept += outside;
            words.next();
        }
        kept + "\n"
    };
    lines.map(without).collect()
}

/// Runs a script in a private network with these files in its folder, and returns what it said.
fn sh(files: &[(&str, &str)], script: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    in_private_network(dir.path(), script)
}

/// The default policy for nftables.
fn default() -> String {
    let request = Request {
        hooks: vec![Hook::Forward, Hook::Output],
        ..Request::default()
    };
    render(&plan(&request, &Sightings::default()), Target::Nftables)
}

#[test]
fn every_trap_has_its_row_and_every_row_its_test() {
    let own = include_str!("policy_traps.rs");
    let tests = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    for number in 1..=25 {
        let start = format!("//! | T{number} ");
        let rows: Vec<&str> = own
            .lines()
            .filter(|line| line.starts_with(&start))
            .collect();
        let [row] = rows.as_slice() else {
            panic!("T{number}: {rows:?}");
        };
        let mut held = 0;
        for name in row.split('`').skip(1).step_by(2) {
            if name.starts_with('t') && own.contains(&format!("fn {name}()")) {
                held += 1;
            } else if name.starts_with("policy_") {
                let folder = tests.join(name).join("main.rs").exists();
                assert!(folder || tests.join(format!("{name}.rs")).exists(), "{row}");
                held += 1;
            }
        }
        // Of live enforcement, and no file of a policy has any of it.
        let elsewhere = number == 25;
        assert_eq!(held == 0, elsewhere, "{row}");
    }
}

// --- with a router -------------------------------------------------------------------------------------------

fn inside(role: &str) {
    let output = Command::new("unshare")
        .args(["-Urn", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "inside_the_network", "--nocapture"])
        .env("PATH", path())
        .env(INSIDE, role)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && told.contains("1 passed"),
        "{told}\n{words}"
    );
}

#[test]
#[ignore = "the inside of some traps; they start it themselves"]
fn inside_the_network() {
    let Ok(role) = std::env::var(INSIDE) else {
        return;
    };
    let mut lab = Lab::new().unwrap();
    match role.as_str() {
        "resets" => resets(&mut lab),
        "forgetting" => forgetting(&mut lab),
        "translation" => translation(&mut lab),
        other => panic!("{other}"),
    }
}

fn load(text: String) {
    Firewall::load(Backend::Nftables, &Rules::of(text).unwrap()).unwrap();
}

fn segment(from: (&str, u16), to: (&str, u16), flags: TcpFlags, seq: (u32, u32)) -> Sent {
    let end = |(ip, port): (&str, u16)| Endpoint::new(ip.parse().unwrap(), port);
    let attempt = Attempt {
        transport: Transport::Tcp,
        client: end(from),
        server: end(to),
        payload: Vec::new(),
        extended: false,
    };
    Sent::new(&attempt, tcp(seq.0, seq.1, flags), &[], &Wire::default(), 1)
}

const fn flags(syn: bool, ack: bool) -> TcpFlags {
    TcpFlags {
        syn,
        ack,
        fin: false,
        rst: false,
    }
}

const CLIENT: (&str, u16) = ("10.0.0.7", 50_000);

fn resets(lab: &mut Lab) {
    // What was seen is refused both ways, also what this machine sends itself: its reset comes from there.
    let request = Request {
        profile: Profile::None,
        hooks: vec![Hook::Forward, Hook::Output],
        ..Request::default()
    };
    let text = render(&plan(&request, &seen()), Target::Nftables);
    let mut refusal = |text: String, port| {
        load(text);
        lab.refusal().unwrap();
        let syn = segment(
            (CLIENT.0, port),
            ("198.51.100.30", 8080),
            flags(true, false),
            (1, 0),
        );
        assert!(!syn.passes(lab, Direction::ToServer));
        lab.refusal().unwrap()
    };
    assert_eq!(refusal(text.clone(), 50_001), Refusal::Reset);
    let line = text
        .lines()
        .find(|line| line.contains("tcp flags rst accept"));
    let without = text.replace(&format!("{}\n", line.unwrap()), "");
    assert_eq!(
        refusal(without, 50_002),
        Refusal::Silent,
        "that line is what lets it out"
    );
}

fn forgetting(lab: &mut Lab) {
    let server = ("198.51.100.9", 5190);
    // Something makes the kernel track connections; a session is opened.
    let watch = "table inet watch {\n\tchain f {\n\t\ttype filter hook forward priority 0; policy accept;\n\t\tct state new counter\n\t}\n}\n";
    load(watch.to_owned());
    let mut open = |port: u16| {
        let client = (CLIENT.0, port);
        let opening = [
            (
                segment(client, server, flags(true, false), (1_000, 0)),
                Direction::ToServer,
            ),
            (
                segment(server, client, flags(true, true), (7_000, 1_001)),
                Direction::ToClient,
            ),
            (
                segment(client, server, flags(false, true), (1_001, 7_001)),
                Direction::ToServer,
            ),
        ];
        for (sent, direction) in opening {
            assert!(sent.passes(lab, direction));
        }
    };
    open(50_001);
    open(50_002);
    load(default());
    let run = |arguments: &[&str]| {
        let run = Command::new("conntrack").args(arguments).output().unwrap();
        assert!(run.status.success(), "{arguments:?}: {run:?}");
    };
    // The one that was forgotten is opened again by its server, as if that had called its client.
    run(&["-D", "-p", "tcp", "--orig-port-src", "50001"]);
    for (port, goes_on) in [(50_001, true), (50_002, false)] {
        let client = (CLIENT.0, port);
        let says = segment(server, client, flags(false, true), (7_001, 1_001));
        assert!(says.passes(lab, Direction::ToClient), "{port}");
        let answers = segment(client, server, flags(false, true), (1_001, 7_001));
        assert_eq!(answers.passes(lab, Direction::ToServer), goes_on, "{port}");
    }
}

fn translation(lab: &mut Lab) {
    load(
        "table ip t {\n\tchain p {\n\t\ttype nat hook prerouting priority dstnat; policy accept;\n\
         \t\tip daddr 203.0.113.9 tcp dport 7000 dnat to 198.51.100.9:5190\n\
         \t\tip daddr 203.0.113.9 tcp dport 5190 dnat to 198.51.100.9:80\n\t}\n}\n"
            .to_owned(),
    );
    let arrives = |lab: &mut Lab, from, port| {
        let syn = segment(
            (CLIENT.0, from),
            ("203.0.113.9", port),
            flags(true, false),
            (1, 0),
        );
        lab.refusal().unwrap();
        let arrived = lab.delivers(Direction::ToServer, &syn.pieces).unwrap();
        (arrived.len(), lab.refusal().unwrap())
    };
    assert_eq!(arrives(lab, 50_001, 7000).0, 1, "without rules");
    assert_eq!(arrives(lab, 50_002, 5190).0, 1, "without rules");
    load(default());
    assert_eq!(arrives(lab, 50_003, 7000), (0, Refusal::Reset));
    assert_eq!(arrives(lab, 50_004, 5190), (1, Refusal::Silent));
}

#[test]
fn t1_a_refusal_gets_out() {
    if can_run("t1_a_refusal_gets_out", &["nft", "ip"]) {
        inside("resets");
    }
}

#[test]
fn t3_forgetting_a_connection_is_no_way_to_end_it() {
    if can_run(
        "t3_forgetting_a_connection_is_no_way_to_end_it",
        &["nft", "ip", "conntrack"],
    ) {
        inside("forgetting");
    }
    // Nothing that is written here tells anybody to.
    for target in Target::ALL {
        for (_, text) in files(target) {
            assert!(!text.contains("conntrack -D"), "{target:?}");
        }
    }
}

#[test]
fn t21_what_is_judged_is_where_a_connection_really_goes() {
    if can_run(
        "t21_what_is_judged_is_where_a_connection_really_goes",
        &["nft", "ip"],
    ) {
        inside("translation");
    }
}

// --- with nft alone ------------------------------------------------------------------------------------------

#[test]
fn t4_a_check_does_not_see_a_loop_and_loading_does() {
    if !can_run("t4_a_check_does_not_see_a_loop_and_loading_does", &["nft"]) {
        return;
    }
    let text = "table inet t {\n\tchain a { jump b\n\t}\n\tchain b { jump a\n\t}\n\tchain f {\n\t\ttype filter hook forward priority 0\n\t\tjump a\n\t}\n}\n";
    let told = sh(
        &[("loop", text)],
        "nft -c -f loop 2>/dev/null && echo checked; nft -f loop 2>/dev/null || echo refused",
    );
    assert_eq!(told.trim(), "checked\nrefused");
}

#[test]
fn t5_no_name_is_a_reserved_word() {
    const WORDS: [&str; 9] = [
        "policy", "log", "drop", "set", "map", "table", "mark", "time", "fwd",
    ];
    if !can_run("t5_no_name_is_a_reserved_word", &["nft"]) {
        return;
    }
    // Messengers of such names.
    let dir = tempfile::tempdir().unwrap();
    for (port, word) in (20_000..).zip(WORDS) {
        let text = format!(
            "id = \"{word}\"\nname = \"{word}\"\nabout = \"made up\"\nlimits = [\"{word}: made up\"]\n\n[[port]]\nid = \"{word}/session\"\n\
             feature = \"session\"\ntransport = \"tcp\"\nport = {port}\ndirection = \"out\"\nsource = \"site\"\n"
        );
        std::fs::write(dir.path().join(format!("{word}.toml")), text).unwrap();
    }
    let rules = RuleSet::load_dir(dir.path()).unwrap();
    let request = Request {
        hooks: vec![Hook::Forward],
        ..Request::default()
    };
    let text = render(&Plan::new(&rules, &request).unwrap(), Target::Nftables);
    let words = WORDS.join(" ");
    let told = sh(
        &[("rules", &text)],
        &format!(
            "nft -f rules && echo loaded; nft add table inet t
            for word in {words}; do nft add chain inet t $word 2>/dev/null && echo \"$word is a name\"; done; true"
        ),
    );
    assert_eq!(told.trim(), "loaded");
}

#[test]
fn t6_what_is_logged_begins_with_few_words() {
    if !can_run("t6_what_is_logged_begins_with_few_words", &["nft"]) {
        return;
    }
    let longest = "x".repeat(127);
    let told = sh(
        &[],
        &format!(
            "nft add table inet t; nft add chain inet t c
            nft add rule inet t c log prefix '\"{longest}\"' && echo taken
            nft add rule inet t c log prefix '\"{longest}x\"' 2>/dev/null || echo refused"
        ),
    );
    assert_eq!(told.trim(), "taken\nrefused");
    let mut prefixes = 0;
    for target in [Target::Nftables, Target::IptablesScript] {
        // iptables takes 29 characters.
        let most = if target == Target::Nftables { 127 } else { 29 };
        for (_, text) in files(target) {
            for (_, rest) in text
                .match_indices("prefix \"")
                .map(|(at, it)| (at, &text[at + it.len()..]))
            {
                prefixes += 1;
                assert!(rest.split('"').next().unwrap().len() <= most, "{rest}");
            }
        }
    }
    assert!(prefixes > 0);
}

#[test]
fn t7_only_the_text_of_a_listing_can_be_loaded_again() {
    if !can_run(
        "t7_only_the_text_of_a_listing_can_be_loaded_again",
        &["nft"],
    ) {
        return;
    }
    let told = sh(
        &[("rules", &default())],
        "set -e
        nft -f rules; nft -s list ruleset >text; nft -j list ruleset >json
        nft flush ruleset; nft -f text; nft -s list ruleset | cmp - text && echo 'text is the same'
        nft flush ruleset; nft add table inet t
        nft 'add set inet t s { type ipv4_addr; flags interval; auto-merge; }'
        nft list ruleset | grep -c auto-merge; nft -j list ruleset >json
        nft flush ruleset; nft -j -f json && nft list ruleset | grep -c auto-merge || echo 'json is less'",
    );
    assert_eq!(told.trim(), "text is the same\n1\n0\njson is less");
}

#[test]
fn t8_loading_again_forgets_and_the_file_says_so() {
    if !can_run(
        "t8_loading_again_forgets_and_the_file_says_so",
        &["nft", "ip"],
    ) {
        return;
    }
    let text = default();
    assert!(text.contains("it replaces itself, and the counters start at 0"));
    // This machine calls a messenger, and is refused.
    let told = sh(
        &[("rules", &text)],
        "ip link set lo up; ip link add d0 type veth peer name d1; ip addr add 192.0.2.1/24 dev d0; ip link set d0 up
        packets() { nft list counter inet imwarden msn_session | sed -n 's/.*packets \\([0-9]*\\).*/\\1/p'; }
        nft -f rules; timeout 1 bash -c 'echo >/dev/tcp/192.0.2.9/1863' 2>/dev/null; packets; nft -f rules; packets",
    );
    assert_eq!(told.trim(), "1\n0");
}

#[test]
fn t9_no_set_merges_what_expires() {
    if !can_run("t9_no_set_merges_what_expires", &["nft"]) {
        return;
    }
    let told = sh(
        &[],
        "nft add table inet t; nft 'add set inet t s { type ipv4_addr; flags interval,timeout; auto-merge; }'
        nft 'add element inet t s { 10.0.0.0/24 timeout 60s, 10.0.1.0/24 timeout 30s }'; nft list set inet t s | grep -o '10.0.0.0/.. timeout [^ ]*'",
    );
    assert_eq!(
        told.trim(),
        "10.0.0.0/23 timeout 1m",
        "both last as long as one"
    );
    for (_, text) in files(Target::Nftables) {
        for block in bare(&text).split("}\n") {
            assert!(
                !(block.contains("auto-merge") && block.contains("timeout")),
                "{block}"
            );
        }
    }
}

#[test]
fn t10_another_priority_takes_a_new_table() {
    if !can_run("t10_another_priority_takes_a_new_table", &["nft"]) {
        return;
    }
    let other = default().replace("priority filter - 5", "priority filter - 7");
    let told = sh(
        &[("rules", &default()), ("other", &other)],
        "nft -f rules
        nft 'add chain inet imwarden forward { type filter hook forward priority 9; }' 2>/dev/null || echo 'not in place'
        nft -f other; nft list chain inet imwarden forward | grep -o 'priority filter - .'",
    );
    assert_eq!(told.trim(), "not in place\npriority filter - 7");
}

#[test]
fn t11_no_rule_asks_for_the_hour() {
    if !can_run("t11_no_rule_asks_for_the_hour", &["nft"]) {
        return;
    }
    let told = sh(
        &[],
        "nft add table inet t; nft add chain inet t c
        TZ=JST-9 nft add rule inet t c meta hour '\"09:00\"-\"17:30\"' accept
        TZ=UTC nft list chain inet t c | grep -o '\"00:00\"-\"08:30\"'",
    );
    assert_eq!(
        told.trim(),
        "\"00:00\"-\"08:30\"",
        "the zone is whose loads it"
    );
    for target in [Target::Nftables, Target::IptablesScript] {
        for (_, text) in files(target) {
            for word in ["meta hour", "meta day", "meta time", "-m time"] {
                assert!(!bare(&text).contains(word), "{word}");
            }
        }
    }
}

#[test]
fn t14_a_policy_that_only_looks_has_no_refusal_in_it() {
    let refuses = ["drop", "reject", "DROP", "REJECT"];
    for target in [Target::Nftables, Target::Iptables, Target::Ip6tables] {
        for (action, text) in files(target) {
            let text = bare(&text);
            let any = refuses.iter().any(|word| {
                let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                words.any(|it| it == *word)
            });
            assert_eq!(any, action != Action::Log, "{target:?} {action:?}\n{text}");
        }
    }
}

#[test]
fn t15_no_rule_learns_from_packets() {
    for target in [Target::Nftables, Target::IptablesScript] {
        for (_, text) in files(target) {
            for word in ["add @", "update @", "-j SET", "-m recent"] {
                assert!(!bare(&text).contains(word), "{word}");
            }
        }
    }
}

#[test]
fn t19_a_flush_takes_everything() {
    if !can_run("t19_a_flush_takes_everything", &["nft"]) {
        return;
    }
    let told = sh(
        &[("rules", &default())],
        "nft -f rules && nft flush ruleset && nft list table inet imwarden 2>/dev/null || echo gone",
    );
    assert_eq!(told.trim(), "gone");
}

#[test]
fn t20_chains_need_lines() {
    if !can_run("t20_chains_need_lines", &["nft"]) {
        return;
    }
    let told = sh(
        &[
            (
                "one",
                "table inet u { chain a { accept; } chain b { accept; } }\n",
            ),
            (
                "two",
                "table inet u { chain a { accept; }\nchain b { accept; }\n}\n",
            ),
        ],
        "nft -c -f one 2>/dev/null || echo refused; nft -c -f two && echo taken",
    );
    assert_eq!(told.trim(), "refused\ntaken");
}

#[test]
fn t23_a_network_is_a_network() {
    if !can_run("t23_a_network_is_a_network", &["nft"]) {
        return;
    }
    // nft refuses a network in a set of single addresses, or makes one address of it: never the network.
    let told = sh(
        &[],
        "nft add table inet t; nft 'add set inet t s { type ipv4_addr; }'
        nft 'add element inet t s { 10.0.0.0/24 }' 2>/dev/null; nft get element inet t s '{ 10.0.0.77 }' >/dev/null 2>&1 || echo 'not in it'",
    );
    assert_eq!(told.trim(), "not in it");
    for (_, text) in files(Target::Nftables) {
        for block in bare(&text).split("\n\t}\n") {
            let named = block.contains("\tset ") || block.contains("\tmap ");
            let network = |word: &str| {
                let range = word.split_once('/').or_else(|| word.split_once('-'));
                range.is_some_and(|(_, end)| end.chars().next().is_some_and(|c| c.is_ascii_digit()))
            };
            if named && block.split([' ', ',', '\t', '\n']).any(network) {
                assert!(block.contains("flags interval"), "{block}");
            }
        }
    }
}

// --- with others ---------------------------------------------------------------------------------------------

#[test]
fn t17_a_checker_that_says_yes_has_said_nothing() {
    if !can_run("t17_a_checker_that_says_yes_has_said_nothing", &["dnsmasq"]) {
        return;
    }
    // There is no family 5, no such table and no such set.
    let told = sh(
        &[],
        "dnsmasq --test --conf-file=/dev/null --nftset=/example.com/5#inet#none#none 2>&1",
    );
    assert!(told.contains("syntax check OK"), "{told}");
}

#[test]
fn t24_dnsmasq_needs_a_capability_to_fill_a_set() {
    if !can_run(
        "t24_dnsmasq_needs_a_capability_to_fill_a_set",
        &["nft", "ip", "dnsmasq", "dig", "setpriv"],
    ) {
        return;
    }
    let told = sh(
        &[("rules", "table inet t {\n\tset s4 { type ipv4_addr\n\t}\n}\n")],
        "ip link set lo up; nft -f rules
        resolver() { \"$@\" --no-daemon --conf-file=/dev/null --no-resolv --no-hosts --listen-address=127.0.0.1 --bind-interfaces --pid-file= --user= >>log 2>&1 & echo $! >>pids; }
        resolver dnsmasq --port=5301 --address=/#/192.0.2.80
        ask() {
            for try in 1 2 3 4 5 6 7 8; do
                dig +tries=1 +time=1 -p $1 @127.0.0.1 scs.msg.yahoo.com +short 2>/dev/null | grep -q 192.0.2.80 && break; sleep 0.1
            done
            nft list set inet t s4 | grep -c 192.0.2.80
        }
        own='--server=127.0.0.1#5301 --nftset=/msg.yahoo.com/4#inet#t#s4'
        resolver setpriv --bounding-set -net_admin --inh-caps -net_admin dnsmasq --port=5302 $own; ask 5302
        resolver dnsmasq --port=5303 $own; ask 5303
        kill $(cat pids) 2>/dev/null; true",
    );
    assert_eq!(told.trim(), "0\n1");
}
