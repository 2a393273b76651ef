//! `imwarden rules`: what the rule files say, and whether they are right.

mod import;
mod samples;

use super::{DONE, output};
use crate::model::Transport;
use crate::ruleset::{Messenger, RuleSet, RulesError, Source};
use clap::{Args, Subcommand};
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};
use std::io::Write;
use std::path::PathBuf;

/// Show, check, test or import rule files: ports, hosts, signatures, and who states them.
#[derive(Args, Clone, Debug)]
pub struct RulesArgs {
    /// What to do
    #[command(subcommand)]
    pub command: RulesCommand,
}

/// `imwarden rules ...`.
#[derive(Clone, Debug, Subcommand)]
pub enum RulesCommand {
    /// List the messengers with their features
    List {
        /// Rule files of your own, before the built-in ones
        #[arg(long, value_name = "DIR")]
        rules: Option<PathBuf>,
    },
    /// Show every port and host of a messenger, and who states it
    Show {
        /// Its id, as `imwarden rules list` shows it
        name: String,
        /// Rule files of your own, before the built-in ones
        #[arg(long, value_name = "DIR")]
        rules: Option<PathBuf>,
    },
    /// Check rule files; mistakes are shown with file, line and column
    Check {
        /// Files, or folders of *.toml files, read together [default: the built-in rules]
        #[arg(value_name = "FILE|DIR")]
        paths: Vec<PathBuf>,
    },
    /// Hold rule files against their own samples: what must be found, and what must not
    Test {
        /// Files, or folders of *.toml files, read together [default: the built-in rules]
        #[arg(value_name = "FILE|DIR")]
        paths: Vec<PathBuf>,
    },
    /// Say rules of other programs in a rule file of your own
    #[command(after_help = IMPORT_HELP)]
    Import(import::ImportArgs),
}

const IMPORT_HELP: &str = "\
What can be said exactly is taken, as [[beginning]] and [[host]]; what cannot is listed on stderr with its line and
the reason. l7-filter: patterns that begin with `^`. Suricata: contents of which one at least has a fixed place
(startswith, or depth as long as itself), with offset, depth, distance, within, nocase, dsize (UDP), flow direction
and one port; whole names in tls.sni and dns.query, or with dotprefix.

What becomes of the meaning: a [[beginning]] is what one side says first, by itself. Suricata looks at every packet, so
that a rule taken here is silent about what comes later. l7-filter looks at both sides' first ten packets as one text,
in the order they came: its `^` is where the conversation begins, here it is where either side does. So a pattern about
an answer that follows a question does not match here, and one about who speaks first matches an answer as well.

Exit codes: 0 all was taken, 3 some was left, 2 nothing was taken.";

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub enum RulesCommandError {
    /// The rule files.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// No such messenger.
    #[error("there is no messenger `{}`; the rule files know: {known}", name.escape_debug())]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// Samples that are not recognised as they should be.
    #[error("{}", .0.join("\n"))]
    Samples(Vec<String>),
    /// A file to be imported.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file to be written.
    #[error("cannot write {}: {error}", path.display())]
    Unwritable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Nothing of a file can be said.
    #[error("nothing of {} can be said in a rule file", .0.display())]
    NothingTaken(PathBuf),
    /// The standard output.
    #[error("cannot write: {0}")]
    Output(#[from] std::io::Error),
}

/// Runs the command; the exit code.
pub fn run(args: &RulesArgs, out: &mut dyn Write) -> Result<u8, RulesCommandError> {
    match &args.command {
        RulesCommand::List { rules } => list(&load(rules.as_ref())?, out),
        RulesCommand::Show { name, rules } => show(&load(rules.as_ref())?, name, out),
        RulesCommand::Check { paths } => check(paths, out),
        RulesCommand::Test { paths } => samples::test(&read(paths)?, out),
        RulesCommand::Import(args) => return import::run(args, out),
    }?;
    Ok(DONE)
}

fn load(dir: Option<&PathBuf>) -> Result<RuleSet, RulesError> {
    dir.map_or_else(RuleSet::builtin, |dir| RuleSet::load_dir(dir))
}

fn list(rules: &RuleSet, out: &mut dyn Write) -> Result<(), RulesCommandError> {
    let mut table = table(&["ID", "NAME", "PORTS", "HOSTS", "FEATURES"]);
    for messenger in rules.messengers() {
        let features: Vec<_> = messenger
            .features()
            .iter()
            .map(ToString::to_string)
            .collect();
        table.add_row([
            messenger.service.to_string(),
            messenger.name.clone(),
            messenger.ports.len().to_string(),
            messenger.hosts.len().to_string(),
            features.join(", "),
        ]);
    }
    Ok(writeln!(out, "{}", table.trim_fmt())?)
}

fn show(rules: &RuleSet, name: &str, out: &mut dyn Write) -> Result<(), RulesCommandError> {
    let Some(messenger) = rules.messenger(name) else {
        let known: Vec<_> = rules.messengers().iter().map(|m| m.service.id()).collect();
        return Err(RulesCommandError::Unknown {
            name: name.to_owned(),
            known: known.join(", "),
        });
    };
    writeln!(out, "{} ({})", messenger.name, messenger.service)?;
    writeln!(out, "{}", messenger.about)?;
    writeln!(out, "\n{}", ports(messenger).trim_fmt())?;
    writeln!(out, "\n{}", hosts(messenger).trim_fmt())?;
    if !messenger.signatures.is_empty() {
        writeln!(out, "\n{}", signatures(messenger).trim_fmt())?;
    }
    let other = other(messenger);
    if other.row_count() > 0 {
        writeln!(out, "\n{}", other.trim_fmt())?;
    }
    if let Some(date) = messenger.updated {
        writeln!(out, "\nChecked against the sources: {date}")?;
    }
    if !messenger.limits.is_empty() {
        writeln!(out, "\nWhat port and host rules cannot stop:")?;
        for limit in &messenger.limits {
            writeln!(out, "  - {limit}")?;
        }
    }
    Ok(())
}

fn ports(messenger: &Messenger) -> Table {
    let mut table = table(&["PORT", "ID", "OPENED", "SOURCE", "GUESS", "NOTE"]);
    for rule in &messenger.ports {
        let transport = match rule.transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        };
        let mut note = rule.note.clone().unwrap_or_default();
        if let Some(owner) = &rule.shared_with {
            note = format!("[never closed: shared with {owner}] {note}");
        }
        table.add_row([
            format!("{transport} {}", rule.ports),
            rule.id.clone(),
            rule.opening.name().to_owned(),
            rule.source.to_string(),
            if rule.hint { "yes" } else { "no" }.to_owned(),
            note,
        ]);
    }
    table
}

/// What else tells it: protocols, addresses and signatures.
fn other(messenger: &Messenger) -> Table {
    let mut table = table(&["FACT", "KIND", "GIVES", "SOURCE", "NOTE"]);
    let mut row = |fact: String, kind: &str, gives: &str, source: Source, note: &Option<String>| {
        table.add_row([
            fact,
            kind.to_owned(),
            gives.to_owned(),
            source.to_string(),
            note.clone().unwrap_or_default(),
        ]);
    };
    for rule in &messenger.beginnings {
        let gives = match &rule.answers {
            Some(_) => "confirmed",
            None => "probable",
        };
        let kind = format!("{} says", rule.sender.name());
        row(rule.id.clone(), &kind, gives, rule.source, &rule.note);
    }
    for rule in &messenger.stuns {
        let kind = format!("STUN: {}", rule.conditions());
        let gives = rule.sure.name();
        row(rule.id.clone(), &kind, gives, rule.source, &rule.note);
    }
    for rule in &messenger.alpns {
        let fact = rule.protocol.clone();
        row(fact, "TLS protocol", "probable", rule.source, &rule.note);
    }
    for rule in &messenger.fingerprints {
        for ja4 in &rule.ja4 {
            let kind = format!("JA4 of {}", rule.date);
            row(ja4.clone(), &kind, "possible", rule.source, &rule.note);
        }
    }
    for rule in &messenger.networks {
        let fact = rule.net.to_string();
        row(fact, "addresses", "possible", rule.source, &rule.note);
    }
    table
}

fn hosts(messenger: &Messenger) -> Table {
    let mut table = table(&["HOST", "FEATURE", "USE", "SOURCE", "NOTE"]);
    for rule in &messenger.hosts {
        table.add_row([
            rule.to_string(),
            rule.feature.to_string(),
            rule.usage.name().to_owned(),
            rule.source.to_string(),
            rule.note.clone().unwrap_or_default(),
        ]);
    }
    table
}

fn signatures(messenger: &Messenger) -> Table {
    let mut table = table(&["OPENS WITH", "ID", "SAID BY", "SOURCE", "NOTE"]);
    for rule in &messenger.signatures {
        table.add_row([
            rule.pattern.to_string(),
            rule.id.clone(),
            rule.speaker.name().to_owned(),
            rule.source.to_string(),
            match (rule.in_http, &rule.note) {
                (false, note) => note.clone().unwrap_or_default(),
                (true, None) => "also in HTTP requests".to_owned(),
                (true, Some(note)) => format!("{note}; also in HTTP requests"),
            },
        ]);
    }
    table
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    // The same width into a pipe and onto a terminal: the last column is the one that wraps.
    table
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(120);
    table.set_header(header.iter().copied());
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if at + 1 < header.len() {
            column.set_constraint(ColumnConstraint::ContentWidth);
        } else {
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(30)));
        }
    }
    table
}

fn read(paths: &[PathBuf]) -> Result<RuleSet, RulesError> {
    if paths.is_empty() {
        return RuleSet::builtin();
    }
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(RuleSet::files_in(path)?);
        } else {
            files.push(path.clone());
        }
    }
    RuleSet::load_files(&files)
}

fn check(paths: &[PathBuf], out: &mut dyn Write) -> Result<(), RulesCommandError> {
    let rules = read(paths)?;
    for messenger in rules.messengers() {
        let counts = [
            (messenger.ports.len(), "ports"),
            (messenger.hosts.len(), "hosts"),
            (messenger.alpns.len(), "protocols"),
            (messenger.fingerprints.len(), "fingerprints"),
            (messenger.networks.len(), "networks"),
            (messenger.beginnings.len(), "beginnings"),
            (messenger.stuns.len(), "STUN facts"),
            (messenger.samples.len(), "samples"),
        ];
        let counts = counts
            .into_iter()
            .filter(|(count, what)| *count > 0 || matches!(*what, "ports" | "hosts"))
            .map(|(count, what)| format!("{count} {what}"));
        writeln!(
            out,
            "ok: {} ({}): {}",
            messenger.origin.file,
            messenger.service,
            counts.collect::<Vec<_>>().join(", ")
        )?;
    }
    warn(&rules);
    Ok(())
}

/// What to look at again, for whoever keeps the files.
fn warn(rules: &RuleSet) {
    for warning in rules.warnings(crate::cli::policy::today()) {
        output::complain(&format!("warning: {warning}"));
    }
}
