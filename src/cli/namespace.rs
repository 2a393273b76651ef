//! This program once more, in a private network that nobody else is in and that ends with it.

use super::CliError;
use std::ffi::OsString;
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// How this machine lets a process have a network of its own.
pub struct Namespace {
    flags: &'static str,
}

/// Rules about users. In a namespace of one user iptables knows no other: only root can try them, with the users that there are.
const OF_USERS: &str = "--uid-owner";

impl Namespace {
    /// Without root where the kernel allows that. Who is root stays root there: a user of a namespace's own may send the kernel
    /// no more than 200 KiB at once, and many names in hellos make longer files for iptables.
    pub fn find() -> Result<Self, CliError> {
        let ways = if rustix::process::geteuid().is_root() {
            ["-n", "-Urn"]
        } else {
            ["-Urn", "-n"]
        };
        for flags in ways {
            let tried = Command::new("unshare")
                .args([flags, "--", "true"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            match tried {
                Ok(status) if status.success() => return Ok(Self { flags }),
                Ok(_) => {}
                Err(error) => {
                    return Err(CliError::Namespace(format!(
                        "cannot run unshare (package util-linux): {error}"
                    )));
                }
            }
        }
        Err(CliError::Namespace(
            "this kernel gives no private network to this user: run as root, or allow it with \
             `sysctl kernel.unprivileged_userns_clone=1` or, on Ubuntu, `sysctl kernel.apparmor_restrict_unprivileged_userns=0`"
                .to_owned(),
        ))
    }

    /// Runs this program there, with these arguments and this to read; its errors go where ours go.
    pub fn run_own(&self, arguments: &[OsString], input: &str) -> std::io::Result<Output> {
        let flags = if input.contains(OF_USERS) && rustix::process::geteuid().is_root() {
            "-n"
        } else {
            self.flags
        };
        let mut child = Command::new("unshare")
            .args([flags, "--"])
            .arg(std::env::current_exe()?)
            .args(arguments)
            // Only root may lock where iptables-legacy does by itself, and there is nobody else.
            .env("XTABLES_LOCKFILE", "/dev/null")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // If it has ended already, its exit status says why.
            let _ = stdin.write_all(input.as_bytes());
        }
        child.wait_with_output()
    }
}
