//! Arguments turned once into typed settings; one file a command.

mod analyze;
mod apply;
mod devices;
#[cfg(target_os = "linux")]
mod doctor;
mod explain;
mod extract;
mod jobs;
mod limits;
mod mailbox;
mod manual;
mod namespace;
mod observe;
mod output;
pub mod policy;
mod progress;
mod prove;
mod redaction;
pub mod rules;
mod scrub;
mod shell;
mod size;
#[cfg(target_os = "linux")]
mod sniff;
mod verify;

use clap::{Parser, Subcommand};
use signal_hook::{consts::SIGINT, flag};
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Done.
const DONE: u8 = 0;
/// A policy does not do what it is for, or something is wrong with the rules that are in force.
const NOT_PROVEN: u8 = 1;
/// Wrong arguments or a mistake in a rule file.
const USAGE: u8 = 2;
/// Results given, but some input was unreadable.
const UNREADABLE: u8 = 3;
/// No permission, or no such device.
const PERMISSION: u8 = 4;

/// Exit code of a program that Ctrl-C ended, as shells have it.
const INTERRUPTED: i32 = 130;

#[cfg(have_libpcap)]
const LONG_VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\ncapture files: pcap, pcapng, gzip, zstd\nnetwork interfaces: libpcap"
);
#[cfg(not(have_libpcap))]
const LONG_VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\ncapture files: pcap, pcapng, gzip, zstd\nnetwork interfaces: pnet (built without libpcap)"
);

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the policy that was to be proven does not block what it should, or blocks more; verify found a fault
  2  wrong arguments, or a mistake in a rule file
  3  results given, but some input was not read: damaged, or Ctrl-C (stderr says which and where); sniff: not all was written
  4  no permission or no such device; sniff: nothing is left to listen on";

/// Finds instant messengers on a network and hands over the firewall rules that block them.
///
/// AIM, ICQ, MSN/.NET Messenger and Yahoo! Messenger are recognised by what they say, on any port, from the
/// middle of a connection, from one direction only. What cannot be told is left unsaid.
#[derive(Debug, Parser)]
#[command(name = "imwarden", version, long_version = LONG_VERSION, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read saved captures and say who used which messenger
    Analyze(analyze::Args),
    /// Listen on interfaces and say who uses which messenger as it happens
    #[cfg(target_os = "linux")]
    Sniff(Box<sniff::Args>),
    /// Say why a flow was given its name
    Explain(explain::Args),
    /// Write a small capture with names and text replaced that still gives the same verdicts
    Scrub(scrub::Args),
    /// Write firewall rules that block messengers
    Policy(Box<policy::PolicyArgs>),
    /// Replay captures through the kernel's firewall and prove what a policy blocks
    Prove(Box<prove::Args>),
    #[command(hide = true)]
    ReplayInNamespace(prove::ReplayArgs),
    /// Put a policy in force on this machine; it is taken back unless it is confirmed
    Apply(Box<apply::Args>),
    /// Keep the policy that was applied
    Confirm(apply::ConfirmArgs),
    /// Take back what was applied
    Undo(apply::UndoArgs),
    /// Say what is in force, what it has refused, and whether somebody has changed it
    Status(apply::StatusArgs),
    /// Look for faults in the rules that are in force
    Verify(verify::Args),
    #[command(hide = true)]
    GuardApply(apply::GuardArgs),
    #[command(hide = true)]
    TryInNamespace,
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    EnforceLive(sniff::EnforcerArgs),
    /// List, show or check the rule files
    Rules(rules::RulesArgs),
    /// List network interfaces
    Devices,
    /// Say what is missing on this host for listening and for policies, and what mends it
    #[cfg(target_os = "linux")]
    Doctor,
    /// Write a completion script for a shell
    Completions(shell::CompletionArgs),
    /// Write the manual
    Man(manual::ManArgs),
}

/// What went wrong, and which exit code says so.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error(transparent)]
    Rules(#[from] crate::ruleset::RulesError),
    #[error(transparent)]
    Policy(#[from] policy::PolicyError),
    #[error(transparent)]
    Prove(#[from] crate::policy::prove::ProveError),
    #[error("{0}")]
    Namespace(String),
    #[error(transparent)]
    Apply(crate::policy::apply::ApplyError),
    #[error("{0}\nThis needs root, or CAP_NET_ADMIN: sudo {1}")]
    Permission(String, String),
    #[error(transparent)]
    RulesCommand(#[from] rules::RulesCommandError),
    #[error("{0}")]
    Usage(&'static str),
    #[error(
        "there is no flow {0}: the capture has {1}, numbered from 1 (imwarden analyze --format ndjson lists them)"
    )]
    NoFlow(u64, u64),
    #[error(transparent)]
    Capture(crate::capture::CaptureError),
    #[error("{0}")]
    Findings(String),
    #[cfg(target_os = "linux")]
    #[error(transparent)]
    Live(#[from] crate::capture::live::LiveError),
    #[error("{0}")]
    Sandbox(String),
    #[error("{0}")]
    Enforce(String),
    #[error("{0}")]
    WhichInterface(String),
    #[error("cannot list the network interfaces: {0}")]
    Devices(String),
    #[cfg(target_os = "linux")]
    #[error("cannot open {what}: {source}")]
    Socket { what: String, source: io::Error },
    #[error("cannot write {what}: {source}")]
    Write { what: String, source: io::Error },
    #[error(transparent)]
    Output(#[from] io::Error),
}

impl From<crate::policy::apply::ApplyError> for CliError {
    fn from(error: crate::policy::apply::ApplyError) -> Self {
        if error.is_permission() {
            let words: Vec<String> = std::env::args_os().map(|word| quoted(&word)).collect();
            Self::Permission(error.to_string(), words.join(" "))
        } else {
            Self::Apply(error)
        }
    }
}

/// A word as a shell takes it.
fn quoted(word: &std::ffi::OsStr) -> String {
    let text = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

impl CliError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Devices(_) | Self::Namespace(_) | Self::Permission(..) | Self::Sandbox(_) => {
                PERMISSION
            }
            #[cfg(target_os = "linux")]
            Self::Live(error) if !error.is_usage() => PERMISSION,
            _ => USAGE,
        }
    }

    /// Whoever read our output has seen enough: no error (`imwarden analyze ... | head`).
    fn is_broken_pipe(&self) -> bool {
        match self {
            Self::Output(io)
            | Self::Policy(policy::PolicyError::Output(io))
            | Self::RulesCommand(rules::RulesCommandError::Output(io))
            | Self::Write { source: io, .. } => io.kind() == io::ErrorKind::BrokenPipe,
            _ => false,
        }
    }
}

/// Runs the program: parse, call, map the outcome to an exit code.
pub fn main() -> ExitCode {
    start_log();
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code.into(),
        Err(error) if error.is_broken_pipe() => DONE.into(),
        Err(error) => {
            output::complain(&error.to_string());
            error.exit_code().into()
        }
    }
}

fn run(cli: Cli) -> Result<u8, CliError> {
    let mut out = output::stdout();
    match cli.command {
        Command::Analyze(args) => return analyze::run(&args),
        #[cfg(target_os = "linux")]
        Command::Sniff(args) => return sniff::run(&args),
        Command::Explain(args) => return explain::run(&args),
        Command::Scrub(args) => return scrub::run(&args),
        Command::Prove(args) => return prove::run(&args),
        Command::ReplayInNamespace(args) => return prove::replay(&args),
        Command::Apply(args) => return apply::run(&args),
        Command::Confirm(args) => return apply::confirm(&args),
        Command::Undo(args) => return apply::undo(&args),
        Command::Status(args) => return apply::status(&args),
        Command::Verify(args) => return verify::run(&args),
        Command::GuardApply(args) => return apply::guard(&args),
        Command::TryInNamespace => return apply::in_namespace(),
        #[cfg(target_os = "linux")]
        Command::EnforceLive(args) => return sniff::enforce_live(&args),
        Command::Policy(args) => policy::run(&args, &mut out)?,
        Command::Rules(args) => {
            let code = rules::run(&args, &mut out)?;
            io::Write::flush(&mut out)?;
            return Ok(code);
        }
        Command::Devices => devices::run(&mut out)?,
        #[cfg(target_os = "linux")]
        Command::Doctor => {
            let code = doctor::run(&mut out)?;
            io::Write::flush(&mut out)?;
            return Ok(code);
        }
        Command::Completions(args) => shell::completions(&args, &mut out)?,
        Command::Man(args) => manual::run(&args, &mut out)?,
    }
    io::Write::flush(&mut out)?;
    Ok(DONE)
}

/// Set by the first Ctrl-C; the second one ends the program.
fn stop_on_interrupt() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    flag::register_conditional_shutdown(SIGINT, INTERRUPTED, Arc::clone(&stop))?;
    flag::register(SIGINT, Arc::clone(&stop))?;
    Ok(stop)
}

/// `IMWARDEN_LOG=debug` (or `trace`, ...) writes the program's own doings to stderr.
fn start_log() {
    let wish = std::env::var("IMWARDEN_LOG")
        .ok()
        .and_then(|level| level.parse::<tracing::Level>().ok());
    if let Some(level) = wish {
        tracing_subscriber::fmt()
            .with_max_level(level)
            .with_writer(io::stderr)
            .without_time()
            .init();
    }
}
