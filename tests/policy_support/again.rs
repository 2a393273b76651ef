//! A test that starts itself again inside a private network, to be root there.

use std::path::Path;
use std::process::{Command, Stdio};

/// Runs an ignored test of this very program there, under a role that the environment names; it must pass. `flags` are unshare's.
pub fn again(flags: &str, test: &str, variable: &str, role: &str, locks: &Path) {
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
}
