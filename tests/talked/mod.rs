//! What the program tells of a capture of talks, by rules of one's own.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use crate::scenario::talk::{Scenario, Talk};
use crate::scenario::wire;
use assert_cmd::Command;
use serde_json::Value;

/// The records of its flows.
pub fn flows(rules: &str, talks: Vec<Talk>) -> Vec<Value> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("parrot.toml"), rules).unwrap();
    let scenario = Scenario {
        name: "talks",
        about: "",
        talks,
    };
    let capture = dir.path().join("talks.pcap");
    std::fs::write(&capture, wire::capture(&scenario)).unwrap();
    let run = Command::cargo_bin("imwarden")
        .unwrap()
        .args(["analyze", "--format", "ndjson", "--all", "--rules"])
        .arg(dir.path())
        .arg(&capture)
        .assert()
        .success();
    let told = String::from_utf8(run.get_output().stdout.clone()).unwrap();
    let records = told
        .lines()
        .map(|line| -> Value { serde_json::from_str(line).unwrap() });
    records
        .filter(|record| record["event_type"] == "flow")
        .collect()
}
