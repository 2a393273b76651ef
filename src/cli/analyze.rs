//! `imwarden analyze`: saved captures -> findings.

use super::jobs::{self, Input, News};
use super::progress::Progress;
use super::size::Size;
use super::{CliError, DONE, UNREADABLE, output};
use crate::capture::{self, CaptureError};
use crate::flow::Timeouts;
use crate::model::{Finding, Summary};
use crate::pipeline::Settings;
use crate::report;
use crate::ruleset::RuleSet;
use clap::ValueEnum;
use signal_hook::{consts::SIGINT, flag};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Exit code of a program that Ctrl-C ended, as shells have it.
const INTERRUPTED: i32 = 130;

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

    /// Read so many captures side by side; the output is the same whatever the number
    #[arg(short, long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,

    /// Hold at most so much for the flows of a capture (64M, 1G); the least interesting go first
    #[arg(long, default_value = "256M", value_name = "SIZE")]
    max_memory: Size,

    /// End a TCP connection after so many idle seconds; a recognised messenger keeps its name for two hours
    #[arg(long, default_value_t = Timeouts::default().tcp_idle, value_name = "SECONDS", value_parser = seconds())]
    tcp_timeout: u64,

    /// End a TCP connection that carried nothing after so many idle seconds
    #[arg(long, default_value_t = Timeouts::default().half_open, value_name = "SECONDS", value_parser = seconds())]
    half_open_timeout: u64,

    /// End a UDP flow after so many idle seconds
    #[arg(long, default_value_t = Timeouts::default().udp, value_name = "SECONDS", value_parser = seconds())]
    udp_timeout: u64,
}

/// From one second to a year.
fn seconds() -> clap::builder::RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(1..=31_536_000)
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
    let out = open_output(args.output.as_deref())?;
    let settings = Settings {
        keep_all: args.all,
        memory: args.max_memory.bytes(),
        timeouts: Timeouts {
            half_open: args.half_open_timeout,
            udp: args.udp_timeout,
            tcp_idle: args.tcp_timeout,
        },
        ..Settings::default()
    };
    let stop = stop_on_interrupt()?;
    let (inputs, missing) = inputs(&args.files);
    let mut reading = Reading {
        inputs: &inputs,
        streams: matches!(args.format, Format::Ndjson),
        out,
        findings: Vec::new(),
        total: Summary::default(),
        unreadable: false,
        failed: None,
        progress: None,
    };
    for error in &missing {
        reading.complain(&error.to_string());
    }
    let hear = &mut |number, news| reading.hear(number, news);
    jobs::run(&inputs, args.jobs.into(), &rules, settings, &stop, hear);
    if let Some(error) = reading.failed.take() {
        return Err(error.into());
    }
    if stop.load(Ordering::Relaxed) {
        let packets = reading.total.packets;
        reading.complain(&format!(
            "stopped: the findings cover the first {packets} packets"
        ));
    }
    let Reading {
        mut out,
        mut findings,
        total,
        unreadable,
        ..
    } = reading;
    findings.sort_by_key(|finding| finding.flow_id);
    match args.format {
        Format::Table => report::write_table(&findings, &total, &mut out)?,
        Format::Ndjson => report::write_summary(&total, &mut out)?,
        Format::Json => report::write_json(&findings, &total, &mut out)?,
    }
    out.flush()?;
    if !matches!(args.format, Format::Table) || args.output.is_some() {
        output::complain(&report::totals(&total));
    }
    Ok(if unreadable { UNREADABLE } else { DONE })
}

/// The captures that the arguments name, and what is wrong with those that name none.
fn inputs(arguments: &[PathBuf]) -> (Vec<Input>, Vec<CaptureError>) {
    let (mut inputs, mut missing) = (Vec::new(), Vec::new());
    let mut stdin_named = false;
    for path in arguments {
        if path == Path::new("-") {
            // A second "-" would find the end of the input, as with cat.
            if !std::mem::replace(&mut stdin_named, true) {
                inputs.push(Input::Stdin);
            }
            continue;
        }
        match capture::expand(&[path]) {
            Ok(files) => inputs.extend(files.into_iter().map(Input::File)),
            Err(error) => missing.push(error),
        }
    }
    (inputs, missing)
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
struct Reading<'a> {
    inputs: &'a [Input],
    /// Findings are written as they come.
    streams: bool,
    out: Box<dyn Write>,
    findings: Vec<Finding>,
    total: Summary,
    unreadable: bool,
    /// Writing failed: nobody reads on.
    failed: Option<io::Error>,
    progress: Option<Progress>,
}

impl Reading<'_> {
    /// Takes the news of a capture; `false` to stop.
    fn hear(&mut self, number: usize, news: News) -> bool {
        match news {
            News::Found(finding) => return self.found(*finding),
            News::Progress(at, total) => {
                let name = || self.inputs.get(number).map(Input::name).unwrap_or_default();
                self.progress
                    .get_or_insert_with(|| Progress::new(name()))
                    .at(at, total);
            }
            News::Read(summary, error) => {
                if let Some(progress) = self.progress.take() {
                    progress.done();
                }
                self.total.add(&summary);
                if let Some(error) = error {
                    let packets = summary.packets;
                    self.complain(&match packets {
                        0 => error.to_string(),
                        _ => format!("{error}; the findings cover the {packets} packets before it"),
                    });
                }
            }
        }
        true
    }

    fn found(&mut self, mut finding: Finding) -> bool {
        // Flows are numbered through all captures.
        finding.flow_id += self.total.flows;
        if let Some(teacher) = &mut finding.learned_from {
            *teacher += self.total.flows;
        }
        if !self.streams {
            self.findings.push(finding);
            return true;
        }
        let out = &mut self.out;
        let mut write = || report::write_flow(&finding, out).and_then(|()| out.flush());
        let written = match &self.progress {
            Some(progress) => progress.aside(write),
            None => write(),
        };
        self.failed = written.err();
        self.failed.is_none()
    }

    fn complain(&mut self, message: &str) {
        self.unreadable = true;
        output::complain(message);
    }
}
