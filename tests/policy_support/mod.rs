//! What the tests with a real kernel share: whether they can run at all, and a shell in a private network.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may fail, and uses what it needs"
)]

use std::io::Write;
use std::process::{Command, Stdio};

/// Whether these programs are here and a private network namespace can be had. If not, the test is skipped
/// aloud, or fails when `IMWARDEN_REQUIRE_KERNEL=1` is set.
pub fn can_run(test: &str, programs: &[&str]) -> bool {
    let missing: Vec<_> = programs
        .iter()
        .filter(|program| !installed(program))
        .collect();
    let reason = if !missing.is_empty() {
        format!("not installed: {missing:?}")
    } else if !quiet(Command::new("unshare").args(["-Urn", "true"])) {
        "no private network namespace (unshare -Urn)".to_owned()
    } else {
        return true;
    };
    assert!(
        std::env::var_os("IMWARDEN_REQUIRE_KERNEL").is_none_or(|value| value != "1"),
        "{test} must run here, but: {reason}"
    );
    skip(test, &reason);
    false
}

/// Says that a test did not run. Straight to the real standard error: a test runner hides what passing tests
/// print.
pub fn skip(test: &str, reason: &str) {
    say(&format!("SKIPPED {test}: {reason}"));
}

/// A line on the real standard error.
pub fn say(line: &str) {
    std::io::stderr()
        .write_all(format!("{line}\n").as_bytes())
        .unwrap();
}

/// Bytes, as machines of a lab tell them to each other in a line.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

pub fn unhex(text: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

/// `PATH` with the folders of system programs, which are not in everybody's.
pub fn path() -> String {
    format!(
        "{}:/usr/local/sbin:/usr/sbin:/sbin",
        std::env::var("PATH").unwrap_or_default()
    )
}

/// Whether a program can be found.
pub fn installed(program: &str) -> bool {
    quiet(Command::new("sh").args(["-c", "command -v \"$1\"", "sh", program]))
}

fn quiet(command: &mut Command) -> bool {
    let command = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Runs a shell script in a network of its own, as its root; gives what it printed, errors behind it.
pub fn in_private_network(dir: &std::path::Path, script: &str) -> String {
    let output = Command::new("unshare")
        .args(["-Urn", "sh", "-c", script])
        .current_dir(dir)
        .env("PATH", path())
        // The lock of iptables-legacy lies where only the real root may write.
        .env("XTABLES_LOCKFILE", dir.join("xtables.lock"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text + &String::from_utf8_lossy(&output.stderr)
}
