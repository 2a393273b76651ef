//! The default rules, word for word, as they were read and found right.
//!
//! After a change that is meant: `imwarden policy --format nftables >tests/golden/default.nft`, and so on for
//! each file below; then read the difference.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use assert_cmd::Command;
use std::path::Path;

fn policy(args: &[&str]) -> String {
    let output = Command::cargo_bin("imwarden")
        .unwrap()
        .arg("policy")
        .args(args)
        .assert()
        .success();
    String::from_utf8(output.get_output().stdout.clone()).unwrap()
}

fn golden(name: &str, args: &[&str]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    let expected = std::fs::read_to_string(&path).unwrap();
    let told = policy(args);
    for (number, (told, expected)) in told.lines().zip(expected.lines()).enumerate() {
        assert_eq!(told, expected, "tests/golden/{name}, line {}", number + 1);
    }
    assert_eq!(
        told.lines().count(),
        expected.lines().count(),
        "tests/golden/{name}"
    );
}

#[test]
fn nftables_by_default() {
    golden("default.nft", &["--format", "nftables"]);
}

#[test]
fn nftables_in_full() {
    golden(
        "full-drop.nft",
        &[
            "--format",
            "nftables",
            "--profile",
            "full",
            "--action",
            "drop",
            "--direction",
            "input",
        ],
    );
}

#[test]
fn iptables_by_default() {
    golden("default.iptables", &["--format", "iptables"]);
}

#[test]
fn ip6tables_by_default() {
    golden("default.ip6tables", &["--format", "ip6tables"]);
}

#[test]
fn iptables_script_for_some() {
    golden(
        "msn-yahoo.sh",
        &[
            "--format",
            "iptables-script",
            "--service",
            "msn,yahoo",
            "--profile",
            "full",
            "--direction",
            "forward",
        ],
    );
}

#[test]
fn the_same_request_gives_the_same_bytes() {
    let args = ["--format", "nftables", "--profile", "full"];
    assert_eq!(policy(&args), policy(&args));
}
