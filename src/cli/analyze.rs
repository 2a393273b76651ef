//! `imwarden analyze`: saved captures -> findings.

use super::extract::{self, Extract};
use super::jobs::{self, Input, News};
use super::limits::Limits;
use super::progress::Progress;
use super::redaction::Redaction;
use super::{CliError, DONE, UNREADABLE, output};
use crate::capture::{self, CaptureError};
use crate::model::{Finding, Occurrence, Summary};
use crate::pipeline::Settings;
use crate::report::{
    self, Csv, Eve, Html, Json, Ndjson, Proposal, Redactor, Report, Table, Verbosity, Zeek,
};
use crate::ruleset::RuleSet;
use clap::ValueEnum;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// Read saved captures and say who used which messenger.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Captures (pcap, pcapng; plain, gzip or zstd), folders of captures, or - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// How to write the findings
    #[arg(long, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    format: Format,

    /// Tell more in the table: -v flows, -vv events
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,

    /// Also write the flows that are no messenger's, with service null (not in the table)
    #[arg(long)]
    all: bool,

    /// Use the rule files of this folder instead of the built-in ones
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,

    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Also write the packets of messengers to this pcapng file, each with its verdict as a comment
    #[arg(short, long, value_name = "FILE", conflicts_with = "redact")]
    write: Option<PathBuf>,

    #[command(flatten)]
    redaction: Redaction,

    /// Read so many captures side by side; the output is the same whatever the number
    #[arg(short, long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,

    #[command(flatten)]
    limits: Limits,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For people: users and risks (-v adds flows, -vv events), possible flows, totals
    Table,
    /// One record a line as it becomes known: events, flows, risks; then sessions, users and totals
    Ndjson,
    /// One document with all records
    Json,
    /// For spreadsheets: a line a flow
    Csv,
    /// Suricata's EVE: flows and alerts
    Eve,
    /// A tab-separated log as Zeek writes them
    Zeek,
    /// One page with charts, users, risks and a proposed policy; needs no network
    Html,
}

impl Args {
    fn report<'r>(&self, rules: &'r RuleSet) -> Box<dyn Report + 'r> {
        let risks = rules.risks();
        match self.format {
            Format::Table => Box::new(Table::new(
                risks,
                match self.verbose {
                    0 => Verbosity::Users,
                    1 => Verbosity::Flows,
                    _ => Verbosity::Events,
                },
            )),
            Format::Ndjson => Box::new(Ndjson::new(risks)),
            Format::Json => Box::new(Json::new(risks)),
            Format::Csv => Box::new(Csv::default()),
            Format::Eve => Box::new(Eve::new(risks)),
            Format::Zeek => Box::new(Zeek::default()),
            Format::Html => {
                let proposal: Proposal<'r> =
                    Box::new(|services| super::policy::against(rules, services));
                Box::new(Html::new(risks, proposal))
            }
        }
    }
}

/// Runs it.
pub fn run(args: &Args) -> Result<u8, CliError> {
    let rules = match &args.rules {
        Some(folder) => RuleSet::load_dir(folder)?,
        None => RuleSet::builtin()?,
    };
    // Opened before the work: an hour of reading must not end in "permission denied".
    let out = open_output(args.output.as_deref())?;
    let report = args.report(&rules);
    let settings = Settings {
        keep_all: args.all,
        activities: report.wants_occurrences(),
        memory: args.limits.memory(),
        timeouts: args.limits.timeouts(),
        ..Settings::default()
    };
    let redactor = args.redaction.redactor()?;
    let stop = super::stop_on_interrupt()?;
    let (inputs, missing) = inputs(&args.files);
    if args.write.is_some() && inputs.iter().any(|it| matches!(it, Input::Stdin)) {
        return Err(CliError::Usage(
            "-w reads the captures twice, which standard input does not allow; save it to a file first",
        ));
    }
    let mut reading = Reading {
        inputs: &inputs,
        report,
        redactor,
        extracts: Vec::new(),
        out,
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
        mut report,
        extracts,
        total,
        unreadable,
        ..
    } = reading;
    report.finish(&total, &mut out)?;
    out.flush()?;
    if let Some(path) = &args.write {
        let files: Vec<_> = inputs
            .iter()
            .zip(extracts)
            .filter_map(|(input, extract)| match input {
                Input::File(file) => Some((file.clone(), extract)),
                Input::Stdin => None,
            })
            .collect();
        let frames = extract::write(&files, path)?;
        output::complain(&format!("{frames} packets written to {}", path.display()));
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
    report: Box<dyn Report + 'a>,
    redactor: Option<Redactor>,
    /// What is wanted of each capture; flows are known under their own numbers there.
    extracts: Vec<Extract>,
    out: Box<dyn Write>,
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
            News::Found(finding) => return self.found(number, *finding),
            News::Done(occurrence) => return self.done(*occurrence),
            News::Idle => return self.write(|_, out| out.flush()),
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

    fn found(&mut self, number: usize, mut finding: Finding) -> bool {
        // Flows are numbered through all captures.
        finding.flow_id += self.total.flows;
        if let Some(teacher) = &mut finding.learned_from {
            *teacher += self.total.flows;
        }
        if self.extracts.len() <= number {
            self.extracts.resize_with(number + 1, Extract::default);
        }
        if let Some(extract) = self.extracts.get_mut(number) {
            extract.add(&finding);
        }
        if let Some(redactor) = &self.redactor {
            redactor.finding(&mut finding);
        }
        self.write(|report, out| report.finding(finding, out))
    }

    fn done(&mut self, mut occurrence: Occurrence) -> bool {
        occurrence.flow_id += self.total.flows;
        if let Some(redactor) = &self.redactor {
            redactor.occurrence(&mut occurrence);
        }
        self.write(|report, out| report.occurrence(&occurrence, out))
    }

    /// Writes; `false` when nobody reads any more.
    fn write(
        &mut self,
        write: impl FnOnce(&mut dyn Report, &mut dyn Write) -> io::Result<()>,
    ) -> bool {
        let (report, out) = (self.report.as_mut(), &mut self.out);
        let write = || write(report, out);
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
