//! The program as a user starts it.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use assert_cmd::Command;

/// Runs it with these arguments: exit code, what it wrote to stdout, and to stderr.
pub fn run(args: &[&str]) -> (i32, String, String) {
    let output = Command::cargo_bin("imwarden")
        .unwrap()
        .args(args)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}
