//! `imwarden verify`: the rules that are in force, read for faults.

use super::apply::{StateArg, differences};
use super::{CliError, DONE, NOT_PROVEN, output};
use crate::policy::verify::{Machine, Verdict, verify};
use std::io::Write;

/// Look for faults in the rules that are in force.
///
/// Rules can look right and block nothing. Named are: rules that are not loaded (any more), at the wrong hook, behind an accept
/// of somebody else, shadowed by a rule among them; sets in which nothing is; IPv6 that passes; interfaces that this machine
/// does not have; addresses that are out of date, and rules that were to end; and a resolver that does not fill the sets, or may not.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
The exit code is 0 if there is no fault, and 1 if there is one. Nothing is changed. It works for rules that were loaded in
other ways than by `imwarden apply` too, but then cannot tell what else was changed. Needs root, or CAP_NET_ADMIN.")]
pub struct Args {
    /// Ask for the host names that dnsmasq fills sets for, and look whether their addresses are in the sets then; and for
    /// those that are left alone by name
    #[arg(long)]
    resolve: bool,

    /// For programs
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    state: StateArg,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<u8, CliError> {
    let (folder, state) = args.state.remembered()?;
    let now = state.current();
    let mut machine = Machine::look()?;
    if let Some(now) = now {
        let guarded = folder.is_some_and(|folder| folder.is_guarded(now.number));
        let drift = if machine.has(now.backend) {
            differences(now)?
        } else {
            Vec::new()
        };
        machine.expect(now, guarded, drift, super::policy::today());
    }
    if args.resolve {
        machine.ask()?;
    }
    let verdict = verify(&machine);
    let mut out = output::stdout();
    if args.json {
        let whole = serde_json::json!({
            "schema": "imwarden-verify/1",
            "sound": verdict.faults.is_empty(),
            "faults": verdict.faults,
            "remarks": verdict.remarks,
        });
        serde_json::to_writer_pretty(&mut out, &whole).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        text(&verdict, &mut out)?;
    }
    out.flush()?;
    Ok(if verdict.faults.is_empty() {
        DONE
    } else {
        NOT_PROVEN
    })
}

fn text(verdict: &Verdict, out: &mut dyn Write) -> std::io::Result<()> {
    for fault in &verdict.faults {
        let place = fault.backend.map(|it| format!(" ({})", it.name()));
        writeln!(
            out,
            "FAULT, {}{}: {}.",
            fault.kind.name(),
            place.unwrap_or_default(),
            fault.what
        )?;
        writeln!(out, "  > {}.", fault.advice)?;
    }
    for remark in &verdict.remarks {
        writeln!(out, "To know: {remark}.")?;
    }
    match verdict.faults.len() {
        0 => writeln!(out, "No fault was found."),
        1 => writeln!(out, "\n1 fault."),
        many => writeln!(out, "\n{many} faults."),
    }
}
