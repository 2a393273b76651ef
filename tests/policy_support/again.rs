//! A test that starts itself again inside a private network, to be root there.

#![allow(dead_code, reason = "a test uses what it needs")]

use crate::policy_support::can_run;
use imwarden::policy::prove::Backend;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs an ignored test of this very program there, under a role that the environment names; it must pass. `flags` are unshare's.
/// Gives what it has said aloud.
pub fn again(flags: &str, test: &str, variable: &str, role: &str, locks: &Path) -> String {
    let run = Command::new("unshare")
        .args([flags, "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", test, "--nocapture"])
        .env("PATH", crate::policy_support::path())
        // The lock of iptables-legacy lies where only the real root may write.
        .env("XTABLES_LOCKFILE", locks.join("lock"))
        .env(variable, role)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr),
    );
    assert!(run.status.success(), "{role}\n{out}\n{err}");
    assert!(out.contains("1 passed"), "it did run: {out}");
    err.into_owned()
}

/// Runs one part of a test on each of three firewalls, with what those need and these programs.
pub fn on_each_firewall(test: &str, variable: &str, part: &str, programs: &[&str]) {
    let common = [
        "ip",
        "nft",
        "iptables",
        "ip6tables",
        "iptables-legacy",
        "ip6tables-legacy",
        "ipset",
    ];
    if !can_run(part, &[&common[..], programs].concat()) {
        return;
    }
    for backend in Backend::ALL {
        let locks = tempfile::tempdir().unwrap();
        let role = format!("{} {part}", backend.name());
        again("-Urn", test, variable, &role, locks.path());
    }
}

/// Which firewall and which part, inside.
pub fn role(variable: &str) -> Option<(Backend, String)> {
    let role = std::env::var(variable).ok()?;
    let (name, part) = role.split_once(' ')?;
    let backend = Backend::ALL.into_iter().find(|it| it.name() == name)?;
    Some((backend, part.to_owned()))
}
