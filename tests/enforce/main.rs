//! `imwarden sniff --enforce` on a router: real sockets on both sides of it, three firewalls, both families.
//!
//! The tests start themselves again inside private networks.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod cut;
mod inline;
mod lab;
mod pieces;
#[path = "../policy_support/mod.rs"]
mod policy_support;
mod talk;

use cut::{cut, refreshed, silent, six};
use lab::{
    Lab, ROLE, actions, is_clean, machine, play, refused, ruleset, said, sh, until, until_said,
};
use policy_support::can_run;
use std::thread::sleep;
use std::time::Duration;

const PROGRAMS: [&str; 9] = [
    "nft",
    "ip",
    "unshare",
    "setpriv",
    "conntrack",
    "ipset",
    "iptables-nft",
    "ip6tables-nft",
    "iptables-legacy",
];

/// A server, by both families.
const V4: &str = "198.51.100.10";
const V6: &str = "[2001:db8:2::10]";

/// A client that speaks first, and one whose server does.
const MSN: (&str, &str) = ("msn-signon-chat", "207.46.107.25:1863");
const AIM: (&str, &str) = ("aim-signon-message", "205.188.7.9:5190");

const SCENES: [(&str, fn()); 29] = [
    ("cut nftables", || cut("nftables")),
    ("cut iptables-nft", || cut("iptables-nft")),
    ("cut iptables-legacy", || cut("iptables-legacy")),
    ("six nftables", || six("nftables")),
    ("six iptables", || six("iptables")),
    ("silent nftables", || silent("nftables")),
    ("silent iptables", || silent("iptables")),
    ("refreshed nftables", || refreshed("nftables")),
    ("refreshed iptables", || refreshed("iptables")),
    ("dry", dry),
    ("spared", spared),
    ("rate", rate),
    ("ports of others", ports_of_others),
    ("killed", killed),
    ("flushed", flushed),
    ("rights", rights),
    ("policy", policy),
    ("inline nftables", || inline::held("nftables", V4)),
    ("inline iptables-nft", || inline::held("iptables-nft", V4)),
    ("inline iptables-legacy", || {
        inline::held("iptables-legacy", V4);
    }),
    ("inline six nftables", || inline::held("nftables", V6)),
    ("inline six iptables", || inline::held("iptables", V6)),
    ("inline bystanders", inline::bystanders),
    ("inline counts", inline::counts),
    ("inline asleep", inline::asleep),
    ("inline stopped", inline::stopped),
    ("inline own", inline::own),
    ("inline spared", inline::spared),
    ("inline dry", inline::dry),
];

#[test]
#[ignore = "started by the other tests, in private networks"]
fn inside() {
    let role = std::env::var(ROLE).unwrap_or_default();
    if role == "machine" {
        return machine();
    }
    let scene = SCENES.iter().find(|(name, _)| *name == role);
    scene.unwrap_or_else(|| panic!("no scene {role}")).1();
}

fn stage(scenes: &[&str]) {
    if can_run(&format!("enforce, {}", scenes.join(", ")), &PROGRAMS) {
        for scene in scenes {
            play(scene);
        }
    }
}

#[test]
fn chat_is_cut_within_a_second_and_a_download_goes_on() {
    stage(&["cut nftables", "cut iptables-nft", "cut iptables-legacy"]);
}

#[test]
fn the_same_by_ipv6() {
    stage(&["six nftables", "six iptables"]);
}

#[test]
fn a_session_whose_server_speaks_first_is_not_opened_again() {
    stage(&["silent nftables", "silent iptables"]);
}

#[test]
fn a_server_is_refused_for_as_long_as_somebody_tries_and_not_for_longer() {
    stage(&["refreshed nftables", "refreshed iptables"]);
}

#[test]
fn a_dry_run_changes_nothing_and_says_what_it_would() {
    stage(&["dry"]);
}

#[test]
fn what_is_to_be_left_alone_is() {
    stage(&["spared"]);
}

#[test]
fn no_more_is_done_in_a_minute_than_may_be() {
    stage(&["rate"]);
}

#[test]
fn on_ports_of_others_the_connection_ends_and_nothing_else() {
    stage(&["ports of others"]);
}

#[test]
fn the_rules_go_with_the_process_however_it_ends_unless_they_are_to_stay() {
    stage(&["killed"]);
}

#[test]
fn rules_that_somebody_flushed_come_back() {
    stage(&["flushed"]);
}

#[test]
fn only_the_enforcer_has_a_right_and_without_it_nothing_begins() {
    stage(&["rights"]);
}

#[test]
fn policies_beside_it_are_told_apart_from_it() {
    stage(&["policy"]);
}

#[test]
fn what_is_held_does_not_leak_however_it_is_cut() {
    stage(&[
        "inline nftables",
        "inline iptables-nft",
        "inline iptables-legacy",
    ]);
}

#[test]
fn what_is_held_does_not_leak_by_ipv6_either() {
    stage(&["inline six nftables", "inline six iptables"]);
}

#[test]
fn those_who_are_held_and_are_no_messenger_go_on_whole_and_are_counted_once() {
    stage(&["inline bystanders", "inline counts"]);
}

#[test]
fn when_nobody_looks_everything_passes() {
    stage(&["inline asleep"]);
}

#[test]
fn when_whoever_holds_packets_is_stopped_it_is_said_and_what_has_begun_goes_on() {
    stage(&["inline stopped"]);
}

#[test]
fn the_machines_own_connections_are_held_and_those_to_be_left_alone_are_let_go() {
    stage(&["inline own", "inline spared", "inline dry"]);
}

fn dry() {
    const AT: &str = "198.51.100.10:1863";
    let mut lab = Lab::new();
    lab.host(AT, MSN);
    assert_eq!(
        sh(
            "nft 'table inet others { chain f { type filter hook forward priority 0; ct state established accept; }; }'"
        ),
        ""
    );
    let was = ruleset();
    lab.enforce(&["--dry-run"]);
    assert_eq!(ruleset(), was);
    let (chat, _) = lab.chat("-", AT, MSN, "talking");
    until_said("would cut TCP");
    sleep(Duration::from_millis(500));
    assert_eq!(ruleset(), was);
    assert_eq!(lab.client.heard(chat).len(), 1, "it goes on");
    assert_eq!(lab.connect(AT), "open");
    let words = said();
    assert!(words.contains("table inet imwarden_live {"), "{words}");
    // What is said can be done: as it stands there, it does what it says.
    let commands: Vec<&str> = words
        .lines()
        .find(|line| line.contains("would cut"))
        .unwrap()
        .split("; ")
        .filter(|it| it.starts_with("conntrack ") || it.starts_with("nft "))
        .collect();
    assert_eq!(commands.len(), 2, "{words}");
    let table = words.split("would be loaded:\n").nth(1).unwrap();
    let table = &table[..table.find("\n}\n").unwrap() + 3];
    std::fs::write("table.nft", table).unwrap();
    assert_eq!(sh("nft -f table.nft"), "");
    let marked = sh(commands[0]);
    assert!(
        marked.contains("1 flow entries have been updated"),
        "{marked}"
    );
    assert_eq!(sh(commands[1]), "");
    assert_eq!(lab.ended(chat).end, "ConnectionReset");
    assert_eq!(lab.connect(AT), "ConnectionRefused");
    assert_eq!(lab.end("TERM"), Some(0));
    assert!(said().contains("nothing was changed"));
    assert!(!is_clean(), "what somebody else loaded is not taken away");
}

/// An exception, this machine's gateway, its resolver: nothing of theirs is touched, whatever they say.
fn spared() {
    let mut lab = Lab::new();
    assert_eq!(sh("ip route add default via 198.51.100.80"), "");
    std::fs::write(
        "policy.toml",
        "services = [\"msn\"]\n[[exception]]\nnet = \"192.0.2.11\"\nwhy = \"a lab\"\n",
    )
    .unwrap();
    let ends = [
        ("192.0.2.10", "198.51.100.80:1863", "gateway"),
        ("192.0.2.11", "198.51.100.10:1863", "exception of --plan"),
        ("2001:db8:1::10", "[2001:db8:2::10]:1863", "--allow"),
    ];
    for (_, at, _) in ends {
        lab.host(at, MSN);
    }
    lab.enforce(&["--allow", "2001:db8:2::/64", "--plan", "policy.toml"]);
    let was = ruleset();
    let mut chats = Vec::new();
    for (from, at, why) in ends {
        chats.push(lab.chat(from, at, MSN, "talking").0);
        until("left alone", || {
            said()
                .lines()
                .any(|line| line.contains("enforce: ") && line.contains(from) && line.contains(why))
        });
    }
    // Each interval tells of them again.
    sleep(Duration::from_millis(2500));
    for chat in chats {
        assert_eq!(lab.client.heard(chat).len(), 1, "it goes on");
    }
    assert_eq!(
        said().matches("left alone: ").count(),
        3,
        "said once: {}",
        said()
    );
    let told = actions("spared", 3);
    let spared: Vec<_> = told
        .iter()
        .map(|it| (&it["src_ip"], &it["reason"]))
        .collect();
    assert_eq!(spared.len(), 3, "{spared:?}");
    for (from, _, why) in ends {
        let one = spared.iter().find(|(client, _)| *client == from);
        let reason = one.unwrap_or_else(|| panic!("{spared:?}")).1.as_str();
        assert!(reason.unwrap().contains(why), "{spared:?}");
    }
    assert_eq!(ruleset(), was);
    // One that nobody protects.
    lab.chat("192.0.2.10", "198.51.100.10:1863", MSN, "talking");
    until("it is refused", || refused("nftables"));
    until_said("cut TCP 192.0.2.10:");
    assert_eq!(lab.end("TERM"), Some(0));
    assert!(
        said().contains("1 cut, 1 places refused, 3 left alone"),
        "{}",
        said()
    );
}

fn rate() {
    let mut lab = Lab::new();
    let places: Vec<String> = (0..4)
        .map(|n| format!("198.51.100.10:{}", 3000 + n))
        .collect();
    for at in &places {
        lab.host(at, MSN);
    }
    lab.enforce(&["--enforce-rate", "2", "--metrics", "unix:metrics.sock"]);
    let chats: Vec<usize> = places
        .iter()
        .map(|at| lab.chat("-", at, MSN, "talking").0)
        .collect();
    until_said("--enforce-rate allows");
    until("two of them are cut", || {
        said().matches(": cut TCP").count() == 2
    });
    // The others are tried again at each interval, and are too many again.
    let statistics = || {
        lab.signal("USR1");
        sleep(Duration::from_millis(300));
        said()
            .lines()
            .rev()
            .find(|it| it.contains("; enforced: "))
            .map(str::to_owned)
    };
    until("counted", || {
        statistics().is_some_and(|it| it.contains("2 cut, 2 places refused"))
    });
    let gone_on = chats
        .iter()
        .filter(|chat| lab.client.heard(**chat).len() == 1)
        .count();
    // One that was cut while its client only waits looks the same from there.
    assert!((2..=4).contains(&gone_on), "{gone_on}, {}", said());
    let metrics = sh(
        "python3 -c \"import socket;s=socket.socket(socket.AF_UNIX);s.connect('metrics.sock');s.send(b'GET /metrics HTTP/1.1\\r\\n\\r\\n');d=b''\nwhile True:\n p=s.recv(65536)\n d+=p\n if not p: break\nprint(d.decode())\"",
    );
    assert!(
        metrics.contains("\nimwarden_enforce_cut_total 2\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("\nimwarden_enforce_additions_total 2\n"),
        "{metrics}"
    );
    assert!(
        !metrics.contains("\nimwarden_enforce_rate_limited_total 0\n"),
        "{metrics}"
    );
    let limited = actions("rate_limited", 1);
    assert_eq!(limited.len(), 1, "once a minute");
    // There is room for one more every half minute.
    until("the third one's turn", || {
        said().matches(": cut TCP").count() == 3
    });
    assert_eq!(lab.end("TERM"), Some(0));
}

fn ports_of_others() {
    const AT: &str = "198.51.100.10:443";
    let mut lab = Lab::new();
    lab.host(AT, MSN);
    lab.enforce(&[]);
    let (chat, _) = lab.chat("-", AT, MSN, "talking");
    assert_eq!(lab.ended(chat).end, "ConnectionReset");
    until_said("198.51.100.10:443 stays open: the port is everybody's");
    assert!(!refused("nftables"));
    assert_eq!(lab.connect(AT), "open");
    assert_eq!(lab.end("TERM"), Some(0));
    assert!(said().contains("1 cut, 0 places refused"), "{}", said());
}

fn killed() {
    const AT: &str = "198.51.100.10:1863";
    let mut lab = Lab::new();
    lab.host(AT, MSN);
    for firewall in ["nftables", "iptables"] {
        lab.enforce(&["--firewall", firewall]);
        let (chat, _) = lab.chat("-", AT, MSN, "talking");
        lab.ended(chat);
        until("it is refused", || refused(firewall));
        assert_eq!(lab.end("KILL"), None);
        until("nothing is left", is_clean);
        until_said("nobody listens any more; the rules were taken away");
        assert_eq!(lab.connect(AT), "open");
    }
    // To be kept, and found again.
    for firewall in ["nftables", "iptables"] {
        lab.enforce(&["--firewall", firewall, "--keep"]);
        let (chat, _) = lab.chat("-", AT, MSN, "talking");
        lab.ended(chat);
        until("it is refused", || refused(firewall));
        assert_eq!(lab.end("TERM"), Some(0));
        assert!(said().contains("the rules stay (--keep)"), "{}", said());
        assert_eq!(lab.connect(AT), "ConnectionRefused");
        lab.enforce(&["--firewall", firewall]);
        assert_eq!(lab.connect(AT), "ConnectionRefused");
        // Another one would take its rules away.
        let second = sh(&format!(
            "{} sniff -i wan --enforce --duration 1; echo exit $?",
            env!("CARGO_BIN_EXE_imwarden")
        ));
        assert!(second.contains("another imwarden enforces"), "{second}");
        assert!(second.ends_with("exit 2\n"), "{second}");
        assert_eq!(lab.connect(AT), "ConnectionRefused");
        assert_eq!(lab.end("INT"), Some(0));
        assert!(is_clean());
        assert_eq!(lab.connect(AT), "open");
    }
}

fn flushed() {
    const AT: &str = "198.51.100.10:1863";
    let mut lab = Lab::new();
    lab.host(AT, MSN);
    for (firewall, flush) in [
        ("nftables", "nft flush ruleset"),
        ("iptables", "iptables -F FORWARD"),
        (
            "iptables",
            "iptables -I FORWARD 1 -m conntrack --ctstate ESTABLISHED -j ACCEPT",
        ),
    ] {
        lab.enforce(&["--firewall", firewall]);
        let (chat, _) = lab.chat("-", AT, MSN, "talking");
        lab.ended(chat);
        until("it is refused", || refused(firewall));
        assert_eq!(sh(flush), "");
        until_said("loaded again, with 1 places");
        assert_eq!(lab.connect(AT), "ConnectionRefused");
        assert_eq!(lab.end("TERM"), Some(0));
        assert!(is_clean(), "{}", ruleset());
    }
    // Somebody kills the one that enforces.
    lab.enforce(&[]);
    let pid = enforcer();
    assert_eq!(sh(&format!("kill -KILL {pid}")), "");
    until_said("NOTHING IS ENFORCED ANY MORE");
    assert_eq!(lab.end("TERM"), Some(0));
    let undone = sh(&format!(
        "{} undo --all --state state",
        env!("CARGO_BIN_EXE_imwarden")
    ));
    assert!(
        undone.contains("Taken away: what `imwarden sniff --enforce --keep` left"),
        "{undone}"
    );
    assert!(is_clean());
}

/// The enforcer of this network: others may be at work on this machine.
fn enforcer() -> String {
    let id = "for p in /proc/[0-9]*; do [ \"$(readlink $p/ns/net)\" = \"$(readlink /proc/self/ns/net)\" ] || continue
        tr '\\0' ' ' < $p/cmdline | grep -q ' [e]nforce-live ' && echo ${p#/proc/}; done 2>/dev/null";
    let id = sh(id).trim().to_owned();
    assert!(id.parse::<u32>().is_ok(), "{id}");
    id
}

fn rights() {
    let mut lab = Lab::new();
    lab.enforce(&[]);
    let status = sh(&format!("cat /proc/{}/status", enforcer()));
    let has = |line: &str| status.lines().any(|it| it.replace('\t', " ") == line);
    for set in ["CapEff", "CapPrm", "CapBnd", "CapAmb"] {
        // CAP_NET_ADMIN and nothing else.
        assert!(has(&format!("{set}: 0000000000001000")), "{set}\n{status}");
    }
    assert!(has("NoNewPrivs: 1") && has("Seccomp: 2"), "{status}");
    let id = lab.sniffing_id();
    let status = sh(&format!("cat /proc/{id}/status"));
    assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
    assert_eq!(lab.end("TERM"), Some(0));
    let im = env!("CARGO_BIN_EXE_imwarden");
    let refused = sh(&format!(
        "setpriv --bounding-set=-net_admin --inh-caps=-net_admin {im} sniff -i lan --enforce --duration 1; echo exit $?"
    ));
    assert!(
        refused.contains("--enforce changes the firewall"),
        "{refused}"
    );
    assert!(
        refused.contains("This needs root, or CAP_NET_ADMIN: sudo "),
        "{refused}"
    );
    assert!(refused.ends_with("exit 4\n"), "{refused}");
    let missing = sh(&format!("{im} sniff -i lan --keep; echo exit $?"));
    assert!(
        missing.contains("--enforce") && missing.ends_with("exit 2\n"),
        "{missing}"
    );
    // Nothing to run it with.
    let nothing = sh(&format!(
        "PATH=/nowhere {im} sniff -i lan --enforce --firewall iptables-nft --duration 1; echo exit $?"
    ));
    assert!(nothing.contains("exit"), "{nothing}");
    assert!(is_clean());
}

/// `apply`, `status`, `verify` and `undo` work beside it, and do not take its rules for theirs.
fn policy() {
    const AT: &str = "198.51.100.10:3000";
    let im = env!("CARGO_BIN_EXE_imwarden");
    let mut lab = Lab::new();
    lab.host(AT, MSN);
    for (firewall, backend) in [
        ("nftables", "nftables"),
        ("iptables", "iptables"),
        ("iptables", "nftables"),
    ] {
        lab.enforce(&["--firewall", firewall]);
        let (chat, _) = lab.chat("-", AT, MSN, "talking");
        lab.ended(chat);
        until("it is refused", || refused(firewall));
        let run = |words: &str| sh(&format!("{im} {words} --state state; echo exit $?"));
        let applied = run(&format!("apply --yes --backend {backend}"));
        assert!(applied.ends_with("exit 0\n"), "{applied}");
        assert!(
            applied.contains("The rules of others are the same as before."),
            "{applied}"
        );
        until("it is whole", || {
            sleep(Duration::from_millis(500));
            lab.connect(AT) == "ConnectionRefused"
        });
        let status = run("status");
        assert!(
            status.contains("The rules are those that were applied."),
            "{status}"
        );
        let live = "Besides, 1 places are refused live, by ";
        assert!(
            status.contains(live) && status.contains("which is running"),
            "{status}"
        );
        let verified = run("verify");
        assert!(
            verified.ends_with("exit 0\n"),
            "{firewall} {backend}: {verified}"
        );
        let undone = run("undo --all");
        assert!(undone.contains("refuses live stays"), "{undone}");
        assert_eq!(lab.connect(AT), "ConnectionRefused");
        assert_eq!(lab.end("TERM"), Some(0));
        assert!(is_clean(), "{}", ruleset());
        let status = run("status");
        assert!(
            status.contains("Nothing of ours is loaded.") && !status.contains("Besides"),
            "{status}"
        );
    }
}
