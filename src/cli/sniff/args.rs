//! What `imwarden sniff` is asked for.

use super::enforce::EnforceArgs;
use super::metrics;
use super::pieces::Rotation;
#[cfg(feature = "tui")]
use super::screen;
use crate::capture::live;
use crate::cli::limits::{Limits, seconds};
use crate::cli::redaction::Redaction;
use crate::cli::size::Size;
use crate::report::{Eve, Journal, Lines, Ndjson, Report, Syslog, Verbosity};
use crate::ruleset::RuleSet;
use clap::ValueEnum;
use std::path::PathBuf;
#[cfg(feature = "tui")]
use std::sync::Arc;
use std::time::Duration;

/// Listen on interfaces and say who uses which messenger as it happens.
#[derive(Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch")]
pub struct Args {
    /// Listen on this interface (several: -i eth0 -i wlan0; with libpcap `any` as well)
    #[arg(short, long = "interface", value_name = "IFACE")]
    pub interfaces: Vec<String>,

    /// List the interfaces there are
    #[arg(short = 'D', long)]
    pub list_interfaces: bool,

    /// Only packets that this expression lets through, in tcpdump's language (needs libpcap)
    #[arg(short, long, value_name = "EXPRESSION")]
    pub filter: Option<String>,

    /// Take so many bytes of each packet
    #[arg(short, long = "snapshot-length", default_value_t = 262_144, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(64..=262_144))]
    pub snap_len: u32,

    /// Only packets that are for this host anyway: no promiscuous mode
    #[arg(short = 'p', long)]
    pub no_promiscuous_mode: bool,

    /// What the kernel keeps for imwarden while it is busy, in KiB
    #[arg(short = 'B', long, default_value_t = 32_768, value_name = "KIB", value_parser = clap::value_parser!(u32).range(64..=1_048_576))]
    pub buffer_size: u32,

    /// Take each packet at once instead of a few at a time, 20 ms late at most
    #[arg(long)]
    pub immediate_mode: bool,

    /// End after so many packets
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,

    /// End after so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds())]
    pub duration: Option<u64>,

    /// Show users, flows and risks on a screen with keys to sort, filter, open and block (? in it tells which); records are
    /// written to --output only
    #[arg(long, conflicts_with_all = ["sandbox_check", "list_interfaces"])]
    pub tui: bool,

    /// How to write what is found
    #[arg(long, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    pub format: Format,

    /// Tell in the table what people did
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// Write to this file instead of standard output; it goes on behind what is there
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Begin the output file anew at this size; what is finished is renamed to FILE-TIME-NUMBER
    #[arg(long, value_name = "SIZE", requires = "output", value_parser = Size::of_file)]
    pub rotate_size: Option<Size>,

    /// Begin the output file anew after so many seconds
    #[arg(long, value_name = "SECONDS", requires = "output", value_parser = seconds())]
    pub rotate_every: Option<u64>,

    /// Keep so many finished output files, and remove older ones
    #[arg(long, value_name = "N", requires = "output", value_parser = clap::value_parser!(u32).range(1..))]
    pub rotate_keep: Option<u32>,

    /// Also save all packets to this pcapng file
    #[arg(short, long, value_name = "FILE", conflicts_with = "redact")]
    pub write: Option<PathBuf>,

    /// Begin the packet file anew at this size
    #[arg(long, value_name = "SIZE", requires = "write", value_parser = Size::of_file)]
    pub ring_size: Option<Size>,

    /// Begin the packet file anew after so many seconds
    #[arg(long, value_name = "SECONDS", requires = "write", value_parser = seconds())]
    pub ring_every: Option<u64>,

    /// Keep so many finished packet files, and remove older ones
    #[arg(long, value_name = "N", requires = "write", value_parser = clap::value_parser!(u32).range(1..))]
    pub ring_keep: Option<u32>,

    /// Write detections and risks to the system log instead (RFC 5424, through this socket)
    #[arg(long, value_name = "SOCKET", num_args = 0..=1, default_missing_value = "/dev/log", conflicts_with_all = ["output", "format"])]
    pub syslog: Option<PathBuf>,

    /// Write detections and risks to systemd's journal instead, with fields that journalctl finds them by
    #[arg(long, value_name = "SOCKET", num_args = 0..=1, default_missing_value = "/run/systemd/journal/socket",
        conflicts_with_all = ["output", "format", "syslog"])]
    pub journald: Option<PathBuf>,

    /// Answer Prometheus at this loopback address, or at unix:PATH
    #[arg(long, value_name = "ADDRESS")]
    pub metrics: Option<metrics::Address>,

    /// Every so many seconds, write what is known of connections that go on, and statistics
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = seconds())]
    pub interval: u64,

    /// Use the rule files of this folder instead of the built-in ones; SIGHUP reads them again
    #[arg(long, value_name = "DIR")]
    pub rules: Option<PathBuf>,

    /// Become this user, by name or number, once the interfaces are open (root becomes imwarden or nobody)
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,

    /// Keep all rights: do not lock the process in once everything is open
    #[arg(long, conflicts_with = "user")]
    pub no_sandbox: bool,

    /// Lock the process in, try what must not be possible, and end
    #[arg(long, hide = true)]
    pub sandbox_check: bool,

    #[command(flatten)]
    pub enforce: EnforceArgs,

    #[command(flatten)]
    pub redaction: Redaction,

    #[command(flatten)]
    pub limits: Limits,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Format {
    /// For people: a line for each messenger as it is seen; users when it ends
    Table,
    /// One record a line as it becomes known: detections, updates, events, flows, risks, statistics
    Ndjson,
    /// Suricata's EVE: flows and alerts as connections end
    Eve,
    /// RFC 5424: a line for each messenger and each risk, for a system log
    Syslog,
    /// Fields for the journal
    #[value(skip)]
    Journal,
}

impl Args {
    /// How to listen.
    pub fn options(&self) -> live::Options {
        live::Options {
            filter: self.filter.clone(),
            snap_len: self.snap_len,
            promiscuous: !self.no_promiscuous_mode,
            buffer: self.buffer_size as usize * 1024,
            immediate: self.immediate_mode,
        }
    }

    /// When the file of records begins anew.
    pub const fn rotation(&self) -> Rotation {
        rotation(self.rotate_size, self.rotate_every, self.rotate_keep)
    }

    /// When the file of packets begins anew.
    pub const fn ring(&self) -> Rotation {
        rotation(self.ring_size, self.ring_every, self.ring_keep)
    }

    /// A screen for these arguments.
    #[cfg(feature = "tui")]
    pub fn screen(
        &self,
        rules: &Arc<RuleSet>,
        redactor: Option<&crate::report::Redactor>,
    ) -> std::io::Result<screen::Screen> {
        screen::Screen::new(screen::Settings {
            interfaces: format!("{} ({})", self.interfaces.join(", "), live::BACKEND),
            memory: self.limits.memory(),
            rules: Arc::clone(rules),
            guard: crate::cli::policy::guard::of_this_machine(),
            redactor: redactor.cloned(),
        })
    }

    /// The rules.
    pub fn load_rules(&self) -> Result<RuleSet, crate::ruleset::RulesError> {
        match &self.rules {
            Some(folder) => RuleSet::load_dir(folder),
            None => RuleSet::builtin(),
        }
    }
}

/// How what is found is written.
pub fn report(format: Format, verbose: u8, rules: &RuleSet) -> Box<dyn Report + '_> {
    let risks = rules.risks();
    let verbosity = match verbose {
        0 => Verbosity::Users,
        _ => Verbosity::Events,
    };
    match format {
        Format::Table => Box::new(Lines::new(risks, verbosity)),
        Format::Ndjson => Box::new(Ndjson::live(risks)),
        Format::Eve => Box::new(Eve::new(risks)),
        Format::Syslog => {
            let uname = rustix::system::uname();
            let host = uname.nodename().to_string_lossy();
            Box::new(Syslog::new(risks, &host, std::process::id()))
        }
        Format::Journal => Box::new(Journal::new(risks)),
    }
}

const fn rotation(size: Option<Size>, every: Option<u64>, keep: Option<u32>) -> Rotation {
    Rotation {
        size: match size {
            Some(size) => Some(size.in_file()),
            None => None,
        },
        every: match every {
            Some(seconds) => Some(Duration::from_secs(seconds)),
            None => None,
        },
        keep: match keep {
            Some(keep) => Some(keep as usize),
            None => None,
        },
    }
}
