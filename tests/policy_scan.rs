//! A scan in a private network, before and after: client, gateway and server, each in a namespace of its own,
//! IPv4 and IPv6. Every port of the document's table answers before the rules are loaded and is closed after,
//! bystanders answer all the time, and everything answers again once the rules are taken out.
//!
//! The test starts itself again inside the namespaces, so it needs nothing but `unshare`, `ip` and the firewall.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

#[path = "policy_support/again.rs"]
mod again;
#[path = "policy_support/agent.rs"]
mod agent;
#[path = "policy_support/attempts.rs"]
#[allow(dead_code, reason = "the matrix's part of it")]
mod attempts;
#[path = "policy_support/lab.rs"]
#[allow(dead_code, reason = "the matrix's part of it")]
mod lab;
mod policy_support;

use lab::{Backend, Lab, Place};
use policy_support::{installed, skip};

/// Everything that is tried on one firewall; runs as root of a private network, the gateway's.
fn scenario(backend: Backend) {
    let mut lab = Lab::new();
    lab.serve();
    lab.wait_until_all_is_open();

    // A router, with the settings nobody has to give.
    lab.hold_session();
    let rules = lab.load(Place::Gateway, backend, &[]);
    lab.expect_closed("default", &["refused"]);
    lab.expect_session_cut();
    lab.expect_open_from_a_messengers_port();
    if backend == Backend::Nftables {
        Lab::expect_counters();
    }
    // Again, over itself.
    rules.load(&mut lab);
    lab.expect_closed("reloaded", &["refused"]);
    rules.remove(&mut lab);
    lab.expect_all_open("removed");

    let rules = lab.load(
        Place::Gateway,
        backend,
        &["--direction", "forward", "--action", "drop"],
    );
    lab.expect_closed("forward, drop", &["silent"]);
    rules.remove(&mut lab);

    // A workstation: what it opens itself. Its own kernel tells it "not permitted" where it refuses a datagram.
    let rules = lab.load(Place::Client, backend, &["--direction", "output"]);
    lab.expect_closed("output", &["refused", "denied"]);
    rules.remove(&mut lab);

    // A host that others call.
    let rules = lab.load(Place::Server, backend, &["--direction", "input"]);
    lab.expect_closed("input", &["refused"]);
    rules.remove(&mut lab);

    // Rules for one direction say nothing about another.
    let rules = lab.load(Place::Gateway, backend, &["--direction", "input,output"]);
    lab.expect_all_open("input and output of the gateway");
    rules.remove(&mut lab);

    // One feature of one messenger, and nothing else.
    let rules = lab.load(Place::Gateway, backend, &["--feature", "msn:file-transfer"]);
    lab.expect_closed_only("one feature", &[6891], &["refused"]);
    rules.remove(&mut lab);
    lab.expect_all_open("all removed");
}

#[test]
#[ignore = "the inside of the scans; they start it themselves"]
fn inside_the_lab() {
    lab::inside(scenario);
}

#[test]
fn scan_with_nftables() {
    lab::run("scan_with_nftables", Backend::Nftables, &["ip", "nft"]);
}

#[test]
fn scan_with_iptables() {
    let programs = [
        "ip",
        "iptables",
        "ip6tables",
        "iptables-restore",
        "ip6tables-restore",
    ];
    lab::run("scan_with_iptables", Backend::Iptables, &programs);
}

#[test]
fn scan_with_iptables_legacy() {
    // Many machines have only one back-end of iptables; then the test above has judged it.
    let name = "scan_with_iptables_legacy";
    if installed("iptables-legacy") && installed("ip6tables-legacy") {
        lab::run(name, Backend::IptablesLegacy, &["ip"]);
    } else {
        skip(name, "iptables-legacy is not installed");
    }
}
