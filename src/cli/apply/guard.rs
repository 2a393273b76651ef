//! The process that takes a policy back when nobody confirms it. It has a session of its own, so that it outlives the shell,
//! the terminal and the login that it was started from.

use super::super::{CliError, DONE, output};
use crate::policy::apply::{self, ApplyError, Folder};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often it looks whether somebody has confirmed.
const LOOK: Duration = Duration::from_millis(100);
/// Whoever holds the lock for longer hangs.
const PATIENCE: Duration = Duration::from_secs(10);
/// A firewall that is busy is not busy for long.
const TRIES: u32 = 5;
const ARMED: &str = "armed";

/// What it is told.
#[derive(clap::Args, Clone, Debug)]
pub struct GuardArgs {
    #[arg(long)]
    state: PathBuf,
    #[arg(long)]
    number: u64,
    #[arg(long)]
    seconds: u64,
}

/// Starts it, and waits until it stands by itself.
pub fn start(state: &Path, number: u64, wait: Duration) -> Result<(), ApplyError> {
    let failed = |what: String| ApplyError::Folder {
        path: state.to_owned(),
        what: format!("nothing was loaded, since nobody would take it back: {what}"),
    };
    let own = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
    let mut child = Command::new(own)
        .arg("guard-apply")
        .arg("--state")
        .arg(state)
        .args(["--number", &number.to_string()])
        .args(["--seconds", &wait.as_secs().to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        // What it does not say counts as much as what it does.
        let _ = BufReader::new(stdout).read_line(&mut line);
    }
    if line.trim_end() == ARMED {
        Ok(())
    } else {
        Err(failed("its process did not come up".to_owned()))
    }
}

/// What it does.
pub fn guard(args: &GuardArgs) -> Result<u8, CliError> {
    let deadline = Instant::now() + Duration::from_secs(args.seconds);
    rustix::process::setsid().map_err(std::io::Error::from)?;
    // A logout, and a login manager that ends what a login has left behind, are no reason to go.
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    std::env::set_current_dir("/")?;
    let folder = Folder::open(&args.state)?;
    let held = folder.guard(args.number)?;
    let mut out = output::stdout();
    // Whoever waits for it may be dead by now. That is what this process is for.
    let _ = writeln!(out, "{ARMED}").and_then(|()| out.flush());

    let mut seen = None;
    while Instant::now() < deadline {
        let stamp = folder.stamp();
        // The file may be large, and changes when somebody confirms.
        if stamp.is_none() || stamp != seen {
            let waits = folder.load().is_ok_and(|state| {
                state
                    .current()
                    .is_some_and(|now| now.number == args.number && now.until.is_some())
            });
            if !waits {
                break;
            }
            seen = stamp;
        }
        sleep(LOOK.min(deadline.saturating_duration_since(Instant::now())));
    }
    for _ in 0..TRIES {
        // Somebody who hangs must not keep the administrator out.
        let _lock = folder.lock(PATIENCE).ok();
        if apply::roll_back(&folder, args.number).is_ok() {
            break;
        }
        sleep(Duration::from_secs(1));
    }
    folder.forget_guard(args.number);
    drop(held);
    Ok(DONE)
}
