//! The plan's own judgement (`policy explain --flow`) against the kernel's: thousands of random connections, on every
//! firewall, and not one difference. And the files themselves: no line of them, and no element of a line, can go without
//! being missed.
//!
//! The tests start themselves again inside private networks.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod attempts;
mod compare;
#[path = "../policy_support/hello.rs"]
mod hello;
mod hellos;
mod hooks;
mod mutation;
#[path = "../policy_support/mod.rs"]
mod policy_support;
mod script;
#[path = "../policy_support/wrap.rs"]
#[allow(dead_code, reason = "the ways around's part of it")]
mod wrap;

use attempts::sightings;
use compare::{Score, compare};
use imwarden::policy::prove::{Backend, Firewall, Lab, Rules};
use imwarden::policy::{Action, Hook, Plan, Profile, Request, Target, render};
use imwarden::ruleset::RuleSet;
use policy_support::{can_run, path, say};
use std::collections::BTreeMap;
use std::process::{Command, Stdio};

const INSIDE: &str = "IMWARDEN_DIFFERENTIAL";
const FLOWS: usize = 10_000;

/// What the tests need: every firewall of this kernel.
const PROGRAMS: [&str; 7] = [
    "ipset",
    "nft",
    "ip",
    "iptables-nft",
    "ip6tables-nft",
    "iptables-legacy",
    "ip6tables-legacy",
];

/// Policies that are judged: everything; the same without a word; for some clients, with exceptions; and one that only looks.
const VARIANTS: [&str; 4] = ["all", "drops", "some", "looks"];

fn policy(variant: &str) -> Plan {
    let nets = |all: &[&str]| all.iter().map(|net| net.parse().unwrap()).collect();
    let all = Request {
        profile: Profile::Full,
        hooks: vec![Hook::Forward],
        rules: hellos::rules(),
        ..Request::default()
    };
    let request = match variant {
        "some" => Request {
            // One of them inside another; and whoever is left alone would be meant otherwise.
            sources: nets(&[
                "10.0.0.0/20",
                "10.0.0.64/26",
                "198.51.100.40/30",
                "2001:db8:1::7:0/116",
                "2001:db8:2::28/126",
            ]),
            exceptions: nets(&[
                "10.0.8.16/28",
                "2001:db8:1::7:811/128",
                "198.51.100.41/32",
                "2001:db8:2::29/128",
            ]),
            ..all
        },
        "looks" => Request {
            action: Action::Log,
            ..all
        },
        "drops" => Request {
            action: Action::Drop,
            ..all
        },
        "everywhere" => Request {
            action: Action::Drop,
            hooks: vec![Hook::Forward, Hook::Output, Hook::Input],
            ..all
        },
        _ => all,
    };
    Plan::observing(&RuleSet::builtin().unwrap(), &request, &sightings()).unwrap()
}

fn written(plan: &Plan, backend: Backend) -> (Target, String) {
    let target = match backend {
        Backend::Nftables => Target::Nftables,
        _ => Target::IptablesScript,
    };
    (target, render(plan, target))
}

fn backend(name: &str) -> Backend {
    let mut all = Backend::ALL.into_iter();
    all.find(|it| it.name() == name).unwrap()
}

#[test]
#[ignore = "the inside of the comparison; it starts it itself"]
fn inside_the_network() {
    let Ok(role) = std::env::var(INSIDE) else {
        return;
    };
    let (name, variant) = role.split_once(' ').unwrap();
    let plan = policy(variant);
    let (target, text) = written(&plan, backend(name));
    let mut lab = lab();
    let firewall = Firewall::load(backend(name), &Rules::of(text).unwrap()).unwrap();
    let score = compare(&mut lab, &firewall, &plan, target, FLOWS);
    let Score {
        refused,
        by_payload,
        passed,
        ways,
    } = score.unwrap_or_else(|what| panic!("{name}, {what}"));
    let enough = match variant {
        "looks" => refused + by_payload == 0,
        "some" => refused > 20 && by_payload > 5 && passed > 1_000,
        _ => refused > 200 && by_payload > 100 && passed > 300,
    };
    assert!(enough, "{variant}: {refused} {by_payload} {passed}");
    let mut words: Vec<_> = ways
        .0
        .iter()
        .map(|(way, times)| format!("{way} {times}"))
        .collect();
    words.insert(0, format!("refused {refused}, by payload {by_payload}"));
    say(&format!("DIFFERENTIAL {}", words.join(", ")));
}

/// A router that tells of every refusal, however many there are in a second.
fn lab() -> Lab {
    std::fs::write("/proc/sys/net/ipv4/icmp_ratemask", "0").unwrap();
    std::fs::write("/proc/sys/net/ipv6/icmp/ratelimit", "0").unwrap();
    Lab::new().unwrap()
}

fn inside(test: &str, role: &str) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["-Urn", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", test, "--nocapture"])
        .env("PATH", path())
        .env(INSIDE, role)
        .stdin(Stdio::null());
    command
}

fn agree(test: &str, backend: Backend) {
    if !can_run(test, &PROGRAMS) {
        return;
    }
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    for variant in VARIANTS {
        let role = format!("{} {variant}", backend.name());
        let output = inside("inside_the_network", &role).output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && told.contains("1 passed"),
            "{variant}: {told}\n{words}"
        );
        let figures = words
            .lines()
            .find_map(|line| line.strip_prefix("DIFFERENTIAL "));
        for figure in figures.unwrap().split(", ") {
            let (what, number) = figure.rsplit_once(' ').unwrap();
            *sums.entry(what.to_owned()).or_default() += number.parse::<u64>().unwrap();
        }
    }
    let words: Vec<_> = sums
        .iter()
        .map(|(what, number)| format!("{what} {number}"))
        .collect();
    say(&format!(
        "plan and kernel, {}: {} connections under {} policies, 0 disagreements; {}",
        backend.name(),
        ["IPv4 TCP", "IPv4 UDP", "IPv6 TCP", "IPv6 UDP"]
            .map(|way| sums[way])
            .iter()
            .sum::<u64>(),
        VARIANTS.len(),
        words.join(", ")
    ));
    // Every way of sending was met often enough to mean something.
    assert_eq!(sums.len(), 2 + 8 + 6, "{sums:?}");
    for (way, times) in sums {
        assert!(times >= 100, "{way}: {times}");
    }
}

#[test]
fn the_plan_and_nftables_agree_on_every_connection() {
    agree(
        "the_plan_and_nftables_agree_on_every_connection",
        Backend::Nftables,
    );
}

#[test]
fn the_plan_and_iptables_nft_agree_on_every_connection() {
    agree(
        "the_plan_and_iptables_nft_agree_on_every_connection",
        Backend::IptablesNft,
    );
}

#[test]
fn the_plan_and_iptables_legacy_agree_on_every_connection() {
    agree(
        "the_plan_and_iptables_legacy_agree_on_every_connection",
        Backend::IptablesLegacy,
    );
}
