//! `imwarden sniff`: interfaces -> findings as they happen.
//!
//! Three threads and one that looks after them. The one that listens waits for nobody but the kernel: what the writers
//! have no room for is counted, not waited for. All that needs rights is done before they begin (see `sandbox`).

mod board;
mod check;
mod enforce;
mod listen;
mod log;
mod metrics;
mod pieces;
mod record;
mod sandbox;
mod save;
#[cfg(feature = "tui")]
mod screen;
mod user;
mod watch;
mod wishes;
mod write;

use super::limits::{Limits, seconds};
use super::mailbox::Mailbox;
use super::redaction::Redaction;
use super::size::Size;
use super::{CliError, DONE, output};
use crate::capture::live::{self, Live};
use crate::pipeline::Settings;
use crate::report::{Eve, Journal, Lines, Ndjson, Report, Syslog, Verbosity};
use crate::ruleset::RuleSet;
use board::Board;
use clap::ValueEnum;
use enforce::{EnforceArgs, Enforcer, Surroundings};
pub use enforce::{EnforcerArgs, enforce as enforce_live};
use listen::{Plan, Readers};
use log::{Log, Protocol};
use pieces::{Existing, Pieces, Rotation};
use sandbox::Needs;
pub use sandbox::has_landlock;
use save::Saver;
#[cfg(feature = "tui")]
use screen::unfit;
use signal_hook::consts::SIGINT;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;
use write::{Output, Scribe};

/// Listen on interfaces and say who uses which messenger as it happens.
#[derive(Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch")]
pub struct Args {
    /// Listen on this interface (several: -i eth0 -i wlan0; with libpcap `any` as well)
    #[arg(short, long = "interface", value_name = "IFACE")]
    interfaces: Vec<String>,

    /// List the interfaces there are
    #[arg(short = 'D', long)]
    list_interfaces: bool,

    /// Only packets that this expression lets through, in tcpdump's language (needs libpcap)
    #[arg(short, long, value_name = "EXPRESSION")]
    filter: Option<String>,

    /// Take so many bytes of each packet
    #[arg(short, long = "snapshot-length", default_value_t = 262_144, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(64..=262_144))]
    snap_len: u32,

    /// Only packets that are for this host anyway: no promiscuous mode
    #[arg(short = 'p', long)]
    no_promiscuous_mode: bool,

    /// What the kernel keeps for imwarden while it is busy, in KiB
    #[arg(short = 'B', long, default_value_t = 32_768, value_name = "KIB", value_parser = clap::value_parser!(u32).range(64..=1_048_576))]
    buffer_size: u32,

    /// Take each packet at once instead of a few at a time, 20 ms late at most
    #[arg(long)]
    immediate_mode: bool,

    /// End after so many packets
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// End after so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds())]
    duration: Option<u64>,

    /// Show users, flows and risks on a screen with keys to sort, filter, open and block (? in it tells which); records are
    /// written to --output only
    #[arg(long, conflicts_with_all = ["sandbox_check", "list_interfaces"])]
    tui: bool,

    /// How to write what is found
    #[arg(long, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    format: Format,

    /// Tell in the table what people did
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,

    /// Write to this file instead of standard output; it goes on behind what is there
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Begin the output file anew at this size; what is finished is renamed to FILE-TIME-NUMBER
    #[arg(long, value_name = "SIZE", requires = "output", value_parser = Size::of_file)]
    rotate_size: Option<Size>,

    /// Begin the output file anew after so many seconds
    #[arg(long, value_name = "SECONDS", requires = "output", value_parser = seconds())]
    rotate_every: Option<u64>,

    /// Keep so many finished output files, and remove older ones
    #[arg(long, value_name = "N", requires = "output", value_parser = clap::value_parser!(u32).range(1..))]
    rotate_keep: Option<u32>,

    /// Also save all packets to this pcapng file
    #[arg(short, long, value_name = "FILE", conflicts_with = "redact")]
    write: Option<PathBuf>,

    /// Begin the packet file anew at this size
    #[arg(long, value_name = "SIZE", requires = "write", value_parser = Size::of_file)]
    ring_size: Option<Size>,

    /// Begin the packet file anew after so many seconds
    #[arg(long, value_name = "SECONDS", requires = "write", value_parser = seconds())]
    ring_every: Option<u64>,

    /// Keep so many finished packet files, and remove older ones
    #[arg(long, value_name = "N", requires = "write", value_parser = clap::value_parser!(u32).range(1..))]
    ring_keep: Option<u32>,

    /// Write detections and risks to the system log instead (RFC 5424, through this socket)
    #[arg(long, value_name = "SOCKET", num_args = 0..=1, default_missing_value = "/dev/log", conflicts_with_all = ["output", "format"])]
    syslog: Option<PathBuf>,

    /// Write detections and risks to systemd's journal instead, with fields that journalctl finds them by
    #[arg(long, value_name = "SOCKET", num_args = 0..=1, default_missing_value = "/run/systemd/journal/socket",
        conflicts_with_all = ["output", "format", "syslog"])]
    journald: Option<PathBuf>,

    /// Answer Prometheus at this loopback address, or at unix:PATH
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<metrics::Address>,

    /// Every so many seconds, write what is known of connections that go on, and statistics
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = seconds())]
    interval: u64,

    /// Use the rule files of this folder instead of the built-in ones; SIGHUP reads them again
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,

    /// Become this user, by name or number, once the interfaces are open (root becomes imwarden or nobody)
    #[arg(long, value_name = "NAME")]
    user: Option<String>,

    /// Keep all rights: do not lock the process in once everything is open
    #[arg(long, conflicts_with = "user")]
    no_sandbox: bool,

    /// Lock the process in, try what must not be possible, and end
    #[arg(long, hide = true)]
    sandbox_check: bool,

    #[command(flatten)]
    enforce: EnforceArgs,

    #[command(flatten)]
    redaction: Redaction,

    #[command(flatten)]
    limits: Limits,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
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
    fn options(&self) -> live::Options {
        live::Options {
            filter: self.filter.clone(),
            snap_len: self.snap_len,
            promiscuous: !self.no_promiscuous_mode,
            buffer: self.buffer_size as usize * 1024,
            immediate: self.immediate_mode,
        }
    }

    const fn rotation(&self) -> Rotation {
        rotation(self.rotate_size, self.rotate_every, self.rotate_keep)
    }

    const fn ring(&self) -> Rotation {
        rotation(self.ring_size, self.ring_every, self.ring_keep)
    }

    /// A screen for these arguments.
    #[cfg(feature = "tui")]
    fn screen(
        &self,
        rules: &Arc<RuleSet>,
        redactor: Option<&crate::report::Redactor>,
    ) -> std::io::Result<screen::Screen> {
        screen::Screen::new(screen::Settings {
            interfaces: format!("{} ({})", self.interfaces.join(", "), live::BACKEND),
            memory: self.limits.memory(),
            rules: Arc::clone(rules),
            guard: super::policy::guard::of_this_machine(),
            redactor: redactor.cloned(),
        })
    }

    fn load_rules(&self) -> Result<RuleSet, crate::ruleset::RulesError> {
        match &self.rules {
            Some(folder) => RuleSet::load_dir(folder),
            None => RuleSet::builtin(),
        }
    }
}

/// Why there can be no screen.
#[cfg(not(feature = "tui"))]
#[allow(clippy::unnecessary_wraps, reason = "built with it, there may be one")]
const fn unfit() -> Option<&'static str> {
    Some(
        "this imwarden was built without the screen of --tui (cargo's feature `tui`); without --tui, lines are written as \
         things happen",
    )
}

fn report(format: Format, verbose: u8, rules: &RuleSet) -> Box<dyn Report + '_> {
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

/// Runs it.
pub fn run(args: &Args) -> Result<u8, CliError> {
    if args.list_interfaces {
        let mut out = output::stdout();
        super::devices::run(&mut out)?;
        out.flush()?;
        return Ok(DONE);
    }
    if args.interfaces.is_empty() {
        return Err(CliError::WhichInterface(which_interface()));
    }
    if args.tui
        && let Some(why) = unfit()
    {
        return Err(CliError::Usage(why));
    }
    let interfaces = wishes::interfaces(args)?;
    let output_file = wishes::output(args)?;
    let rules = Arc::new(args.load_rules()?);
    let redactor = args.redaction.redactor()?;
    let stop = if args.tui {
        // A second signal may not end the program as it is: the terminal is to be given back.
        let stop = Arc::default();
        signal_hook::flag::register(SIGINT, Arc::clone(&stop))?;
        stop
    } else {
        super::stop_on_interrupt()?
    };
    let watch = watch::Watch::new(&stop, args.tui)?;
    let user = if args.no_sandbox {
        None
    } else {
        user::choose(args.user.as_deref()).map_err(CliError::Sandbox)?
    };
    // Before anything is open that it would inherit.
    let mut enforcer = args.enforce.start(&Surroundings {
        rules: args.rules.as_deref(),
        ruleset: &rules,
        user: args.user.as_deref(),
        sandbox: !args.no_sandbox,
    })?;
    // All that needs rights: interfaces, then files.
    let mut live = Live::open(&interfaces, &args.options())?;
    let (format, log) = match (&args.syslog, &args.journald) {
        (Some(path), _) => (Format::Syslog, Some((path, Protocol::Syslog))),
        (None, Some(path)) => (Format::Journal, Some((path, Protocol::Journal))),
        (None, None) => (args.format, None),
    };
    let listener = args.metrics.as_ref().map(metrics::Listener::open);
    let metrics = listener.transpose().map_err(|source| CliError::Socket {
        what: "the socket of --metrics".to_owned(),
        source,
    })?;
    let output = match (log, output_file) {
        (Some((path, protocol)), _) => Some(Output::Log(open_log(path, protocol)?)),
        (None, Some(path)) => Some(Output::File(open_file(
            path,
            args.rotation(),
            Existing::Lines,
        )?)),
        (None, None) if args.tui => None,
        (None, None) => Some(Output::stdout()?),
    };
    let saved = match &args.write {
        Some(path) => Some(open_file(path, args.ring(), Existing::Replaced)?),
        None => None,
    };
    let needs = needs(args, output.as_ref(), saved.as_ref())?;
    let enforcing = enforcer.as_mut().map(Enforcer::begin).transpose()?;
    #[cfg(feature = "tui")]
    let screen = args.tui.then(|| args.screen(&rules, redactor.as_ref()));
    #[cfg(feature = "tui")]
    let screen = screen.transpose()?;
    if args.no_sandbox {
        output::complain(
            "--no-sandbox: the process keeps its rights; whoever finds a mistake in it has them as well",
        );
    } else {
        for notice in sandbox::confine(&needs, user.as_ref()).map_err(CliError::Sandbox)? {
            output::complain(&notice);
        }
        for folder in &needs.write {
            may_write(folder, user.as_ref())?;
        }
    }

    let board = Arc::new(Board::new(stop));
    let enforcer = enforcer.map(|it| it.divide(&args.enforce, redactor.is_none(), &board));
    let (blocker, teller) = enforcer.unzip();
    let records = Arc::new(Mailbox::with_room(write::ROOM));
    let saver = saved
        .as_ref()
        .map(|_| Arc::new(Saver::new(Arc::clone(&board))));
    // Nobody begins before all are locked in.
    let others = [
        output.is_some(),
        saved.is_some(),
        metrics.is_some(),
        teller.is_some(),
        args.tui,
    ];
    let others = others.into_iter().filter(|it| *it).count();
    let gate = Arc::new(Barrier::new(2 + others));

    let settings = Settings {
        activities: args.tui || report(format, args.verbose, &rules).wants_occurrences(),
        memory: args.limits.memory(),
        timeouts: args.limits.timeouts(),
        live: true,
        ..Settings::default()
    };
    let plan = Plan {
        count: args.count,
        duration: args.duration.map(Duration::from_secs),
        interval: Duration::from_secs(args.interval),
        metered: args.tui || metrics.is_some(),
    };
    let news = args.tui.then(|| Arc::new(Mailbox::with_room(write::ROOM)));
    #[cfg(feature = "tui")]
    let by_hand = blocker.clone();
    let listener = {
        let (gate, board) = (Arc::clone(&gate), Arc::clone(&board));
        let records = output.is_some().then(|| Arc::clone(&records));
        let news = news.clone();
        let (rules, saver) = (Arc::clone(&rules), saver.clone());
        spawn("listen", move || {
            gate.wait();
            let saver = saver.as_deref();
            let readers = Readers {
                records: records.as_deref(),
                screen: news.as_deref(),
                saver,
                enforcer: blocker.as_ref(),
            };
            let heard = listen::listen(&mut live, &rules, settings, plan, readers, &board);
            if let Some(blocker) = blocker {
                blocker.end();
            }
            if let Some(saver) = saver {
                saver.close();
            }
            heard
        })?
    };
    let writer = match output {
        Some(output) => {
            let (gate, board, records) =
                (Arc::clone(&gate), Arc::clone(&board), Arc::clone(&records));
            let rules = Arc::clone(&rules);
            let verbose = args.verbose;
            Some(spawn("write", move || {
                gate.wait();
                let report = report(format, verbose, &rules);
                Scribe::new(report, redactor, output).write(&records, &board);
            })?)
        }
        None => None,
    };
    let saving = match (saver, saved) {
        (Some(saver), Some(file)) => {
            let gate = Arc::clone(&gate);
            Some(spawn("save", move || {
                gate.wait();
                saver.write(file);
            })?)
        }
        _ => None,
    };
    let enforcing_thread = match teller {
        Some(teller) => {
            let gate = Arc::clone(&gate);
            Some(spawn("enforce", move || {
                gate.wait();
                teller.work();
            })?)
        }
        None => None,
    };
    if let Some(metrics) = metrics {
        let (gate, board) = (Arc::clone(&gate), Arc::clone(&board));
        // It answers as long as there is a process.
        spawn("metrics", move || {
            gate.wait();
            metrics.answer(&board);
        })?;
    }
    #[cfg(feature = "tui")]
    let screen = match (screen, &news) {
        (Some(mut screen), Some(news)) => {
            if let Some(blocker) = by_hand {
                screen.blocks_by(Box::new(move |flow| blocker.block(flow)));
            }
            let gate = Arc::clone(&gate);
            let shown = screen::Shown::begin(screen, news, &board, move || {
                gate.wait();
            })?;
            board.show();
            Some(Box::new(|| shown.close()) as Box<dyn FnOnce()>)
        }
        _ => None,
    };
    #[cfg(not(feature = "tui"))]
    let screen = None;
    if !args.no_sandbox {
        sandbox::seal(&needs).map_err(CliError::Sandbox)?;
    }
    if args.sandbox_check {
        check::check(&mut output::stdout())?;
        return Ok(DONE);
    }
    gate.wait();
    // The screen says it itself.
    if !args.tui {
        output::complain(&format!(
            "listening on {} ({}); Ctrl-C ends it",
            interfaces.join(", "),
            live::BACKEND
        ));
    }
    if let Some(how) = enforcing {
        board.tell(&format!("enforcing, {how}"));
    }
    let reload = || match &args.rules {
        Some(folder) => RuleSet::load_dir(folder).map(Some),
        None => Ok(None),
    };
    let closing = args.tui || output_file.is_some() || !matches!(format, Format::Table);
    let threads = watch::Threads {
        listener,
        writer,
        saver: saving,
        enforcer: enforcing_thread,
        screen,
    };
    Ok(watch.over(threads, &board, &records, &reload, closing))
}

fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<thread::JoinHandle<T>, CliError> {
    let builder = thread::Builder::new().name(name.to_owned());
    Ok(builder.spawn(work)?)
}

fn open_file(path: &Path, rotation: Rotation, existing: Existing) -> Result<Pieces, CliError> {
    Pieces::open(path, rotation, existing).map_err(|error| CliError::Write {
        what: path.display().to_string(),
        source: wishes::explained(path, error),
    })
}

fn open_log(path: &Path, protocol: Protocol) -> Result<Log, CliError> {
    Log::open(path, protocol).map_err(|source| {
        let log = match protocol {
            Protocol::Syslog => "the system log",
            Protocol::Journal => "the journal",
        };
        CliError::Socket {
            what: format!("{log} at {}", path.display()),
            source,
        }
    })
}

fn which_interface() -> String {
    format!(
        "which interface? -i NAME says it; there are: {} (imwarden devices tells more)",
        live::names().join(", ")
    )
}

/// What is needed once the sandbox is shut.
fn needs(args: &Args, output: Option<&Output>, saved: Option<&Pieces>) -> Result<Needs, CliError> {
    let output = match output {
        Some(Output::File(file)) => Some(file),
        Some(Output::Stdout(_) | Output::Log(_)) | None => None,
    };
    let rotating = [output, saved].into_iter().flatten();
    let write = rotating
        .filter(|file| file.rotates())
        .map(|file| file.folder().canonicalize())
        .collect::<Result<_, _>>()?;
    Ok(Needs {
        read: args.rules.iter().cloned().collect(),
        write,
        local_socket: std::env::var_os("NOTIFY_SOCKET").is_some(),
        log: args.syslog.is_some() || args.journald.is_some(),
        large: args.journald.is_some(),
        accept: args.metrics.is_some(),
    })
}

/// A folder that later files are to be made in: better now than in an hour.
fn may_write(folder: &Path, user: Option<&user::User>) -> Result<(), CliError> {
    let probe = folder.join(format!(".imwarden-{}", std::process::id()));
    let made = std::fs::File::create_new(&probe).and_then(|_| std::fs::remove_file(&probe));
    made.map_err(|error| {
        let name = user.map_or("root", |user| user.name());
        let folder = folder.display();
        CliError::Sandbox(format!(
            "user {name} cannot make files in {folder}, as rotation needs: {error}
  give it the folder:  sudo chown {name} {folder}
  or stay root, without root's rights:  --user root"
        ))
    })
}
