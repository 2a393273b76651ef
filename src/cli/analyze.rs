//! `imwarden analyze`: saved captures -> findings.

use super::{CliError, DONE, UNREADABLE, output};
use crate::capture::{self, CaptureError, FrameSource};
use crate::model::{Finding, Summary};
use crate::pipeline::{self, Settings};
use crate::report;
use crate::ruleset::RuleSet;
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use signal_hook::{consts::SIGINT, flag};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Exit code of a program that Ctrl-C ended, as shells have it.
const INTERRUPTED: i32 = 130;

/// Work shorter than this shows no progress bar.
const PATIENCE: Duration = Duration::from_millis(500);

/// Read saved captures and say who used which messenger.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Captures (pcap, pcapng; plain, gzip or zstd), folders of captures, or - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// How to write the findings
    #[arg(long, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    format: Format,

    /// Also write the flows that are no messenger's, with service null (ndjson and json)
    #[arg(long)]
    all: bool,

    /// Use the rule files of this folder instead of the built-in ones
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,

    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For people: users, possible flows, totals
    Table,
    /// One flow record a line, then a summary record
    Ndjson,
    /// One document with all records
    Json,
}

/// Runs it.
pub fn run(args: &Args) -> Result<u8, CliError> {
    let rules = match &args.rules {
        Some(folder) => RuleSet::load_dir(folder)?,
        None => RuleSet::builtin()?,
    };
    // Opened before the work: an hour of reading must not end in "permission denied".
    let mut out = open_output(args.output.as_deref())?;
    let mut reading = Reading {
        stop: stop_on_interrupt()?,
        ..Reading::default()
    };
    for path in &args.files {
        reading.argument(path, &rules, args.all);
    }
    if reading.stopped() {
        let packets = reading.total.packets;
        reading.complain(&format!(
            "stopped: the findings cover the first {packets} packets"
        ));
    }
    let Reading {
        findings,
        total,
        unreadable,
        ..
    } = reading;
    match args.format {
        Format::Table => report::write_table(&findings, &total, &mut out)?,
        Format::Ndjson => report::write_ndjson(&findings, &total, &mut out)?,
        Format::Json => report::write_json(&findings, &total, &mut out)?,
    }
    out.flush()?;
    if !matches!(args.format, Format::Table) || args.output.is_some() {
        output::complain(&report::totals(&findings, &total));
    }
    Ok(if unreadable { UNREADABLE } else { DONE })
}

/// The first Ctrl-C ends reading, and what was found by then is written; the second ends the program.
fn stop_on_interrupt() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    flag::register_conditional_shutdown(SIGINT, INTERRUPTED, Arc::clone(&stop))?;
    flag::register(SIGINT, Arc::clone(&stop))?;
    Ok(stop)
}

fn open_output(path: Option<&Path>) -> Result<Box<dyn Write>, CliError> {
    Ok(match path {
        Some(path) => {
            let file = File::create(path).map_err(|source| CliError::Write {
                what: path.display().to_string(),
                source,
            })?;
            Box::new(BufWriter::new(file))
        }
        None => Box::new(output::stdout()),
    })
}

/// The captures read so far.
#[derive(Default)]
struct Reading {
    findings: Vec<Finding>,
    total: Summary,
    unreadable: bool,
    stdin_read: bool,
    /// Set by Ctrl-C.
    stop: Arc<AtomicBool>,
}

impl Reading {
    /// One argument: a file, a folder or `-`.
    fn argument(&mut self, path: &Path, rules: &RuleSet, keep_all: bool) {
        if path == Path::new("-") {
            // A second "-" would find the end of the input, as with cat.
            if !std::mem::replace(&mut self.stdin_read, true) {
                let source = capture::open_reader(Box::new(io::stdin()), "standard input");
                self.source("standard input", source, rules, keep_all);
            }
            return;
        }
        match capture::expand(&[path]) {
            Ok(files) => {
                for file in files {
                    self.source(
                        &file.display().to_string(),
                        capture::open(&file),
                        rules,
                        keep_all,
                    );
                }
            }
            Err(error) => self.complain(&error.to_string()),
        }
    }

    fn source(
        &mut self,
        name: &str,
        source: Result<Box<dyn FrameSource>, CaptureError>,
        rules: &RuleSet,
        keep_all: bool,
    ) {
        if self.stopped() {
            return;
        }
        let mut source = match source {
            Ok(source) => source,
            Err(error) => return self.complain(&error.to_string()),
        };
        let mut progress = Progress::new(name, source.stats().total);
        let settings = Settings {
            keep_all,
            first_flow: self.total.flows + 1,
            ..Settings::default()
        };
        let analysis = pipeline::run(
            source.as_mut(),
            rules,
            settings,
            &self.stop,
            &mut |position| {
                progress.at(position);
            },
        );
        progress.done();
        self.findings.extend(analysis.findings);
        self.total.add(&analysis.summary);
        if let Some(error) = analysis.error {
            let packets = analysis.summary.packets;
            self.complain(&format!(
                "{error}; the findings cover the {packets} packets before it"
            ));
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn complain(&mut self, message: &str) {
        self.unreadable = true;
        output::complain(message);
    }
}

/// A bar on stderr, when that is a terminal and the work takes long enough to wonder.
struct Progress<'a> {
    name: &'a str,
    total: Option<u64>,
    started: Instant,
    bar: Option<ProgressBar>,
}

impl<'a> Progress<'a> {
    fn new(name: &'a str, total: Option<u64>) -> Self {
        Self {
            name,
            total,
            started: Instant::now(),
            bar: None,
        }
    }

    fn at(&mut self, position: u64) {
        if self.bar.is_none() && self.started.elapsed() < PATIENCE {
            return;
        }
        self.bar
            .get_or_insert_with(|| progress_bar(self.name, self.total))
            .set_position(position);
    }

    fn done(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn progress_bar(name: &str, total: Option<u64>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(8));
    let template = match total {
        Some(_) => "{msg} [{wide_bar}] {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        None => "{msg} {spinner} {bytes} {bytes_per_sec}",
    };
    // The templates are constants; a mistake in one shows the default bar.
    bar.set_style(
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar.set_message(report::clean(name).into_owned());
    bar
}
