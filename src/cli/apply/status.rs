//! `imwarden status`: what is in force, since when, and whether it still is what was applied.

use super::super::{CliError, DONE, output};
use super::{StateArg, clock, differences};
use crate::policy::apply::{self, ApplyError, Counts, Folder, Generation};
use crate::policy::live;
use crate::policy::prove::Backend;
use serde::Serialize;
use std::io::Write;

/// Lines of a difference that are shown to a reader.
const SHOWN: usize = 20;

/// Arguments of `imwarden status`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Says which policy is in force, since when, whether it waits to be confirmed, how many packets each rule has met, how
much is in each set, and in which lines the rules differ from those that were applied (drift). `imwarden verify` looks for
faults. Needs root, or CAP_NET_ADMIN.")]
pub struct StatusArgs {
    /// For programs
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    state: StateArg,
}

/// All that is known.
#[derive(Serialize)]
struct Status {
    schema: &'static str,
    /// Whether anything of ours is in the kernel.
    loaded: bool,
    /// In which firewalls.
    backends: Vec<&'static str>,
    /// What `imwarden apply` did last and nobody took back.
    policy: Option<Policy>,
    /// It was applied, and somebody else took it away.
    gone: bool,
    #[serde(flatten)]
    counts: Counts,
    /// Lines that are missing (`-`) or too many (`+`).
    drift: Vec<String>,
    /// What `imwarden sniff --enforce` refuses.
    live: Vec<Live>,
    last: Option<Last>,
}

#[derive(Serialize)]
struct Policy {
    number: u64,
    backend: &'static str,
    what: String,
    applied_at: String,
    /// When it is taken back unless it is confirmed.
    until: Option<String>,
    /// Whether the process that takes it back is alive.
    guarded: bool,
}

#[derive(Serialize)]
struct Live {
    backend: &'static str,
    /// How many ports of hosts.
    places: usize,
    /// Whether it is running. If not, its rules were left behind (`--keep`).
    running: bool,
}

#[derive(Serialize)]
struct Last {
    at: String,
    what: String,
}

/// Runs the command.
pub fn status(args: &StatusArgs) -> Result<u8, CliError> {
    let (folder, state) = args.state.remembered()?;
    let live: Vec<Backend> = apply::in_force()?.into_iter().map(|(b, _)| b).collect();
    let now = state.current();
    let gone = now.is_some_and(|now| !live.contains(&now.backend));
    let counted = now
        .map(|now| now.backend)
        .filter(|backend| live.contains(backend))
        .or_else(|| live.first().copied());
    let drift = match now {
        Some(now) if !gone => differences(now)?,
        _ => Vec::new(),
    };
    let status = Status {
        schema: "imwarden-status/1",
        loaded: !live.is_empty(),
        backends: live.iter().map(|backend| backend.name()).collect(),
        policy: now.map(|now| policy(now, folder.as_ref())),
        gone,
        counts: match counted {
            Some(backend) => apply::counts(backend)?,
            None => Counts::default(),
        },
        drift,
        live: live_rules()?,
        last: state.last.as_ref().map(|note| Last {
            at: time(note.at),
            what: note.what.clone(),
        }),
    };
    let mut out = output::stdout();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &status).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        text(&status, now, &mut out)?;
    }
    out.flush()?;
    Ok(DONE)
}

fn live_rules() -> Result<Vec<Live>, CliError> {
    let all = live::in_force().map_err(ApplyError::from)?;
    let running = !all.is_empty() && live::is_running();
    let live = all.into_iter().map(|(backend, places)| Live {
        backend: backend.name(),
        places,
        running,
    });
    Ok(live.collect())
}

fn policy(now: &Generation, folder: Option<&Folder>) -> Policy {
    Policy {
        number: now.number,
        backend: now.backend.name(),
        what: now.what.clone(),
        applied_at: time(now.applied_at),
        until: now.until.map(time),
        guarded: now.until.is_some() && folder.is_some_and(|it| it.is_guarded(now.number)),
    }
}

fn time(second: i64) -> String {
    jiff::Timestamp::from_second(second).map_or_else(|_| second.to_string(), |it| it.to_string())
}

fn text(status: &Status, now: Option<&Generation>, out: &mut dyn Write) -> std::io::Result<()> {
    match (&status.policy, status.loaded) {
        (Some(policy), true) if !status.gone => writeln!(
            out,
            "Policy {} is in force, by {}, since {}: {}.",
            policy.number,
            policy.backend,
            policy.applied_at,
            policy.what.escape_debug()
        )?,
        (Some(policy), _) => writeln!(
            out,
            "Policy {} was applied by {} at {} and IS GONE: somebody has flushed the rules since. `imwarden undo` forgets it, `imwarden apply` loads one again.",
            policy.number, policy.backend, policy.applied_at
        )?,
        (None, true) => writeln!(
            out,
            "A policy is in force, by {}, that was not loaded by `imwarden apply`.",
            status.backends.join(" and ")
        )?,
        (None, false) => writeln!(out, "Nothing of ours is loaded.")?,
    }
    if let (Some(policy), Some(until)) = (&status.policy, now.and_then(|now| now.until)) {
        if policy.guarded {
            writeln!(
                out,
                "It waits for `imwarden confirm`, and is taken back at {}.",
                clock(until)
            )?;
        } else {
            writeln!(
                out,
                "It was to be confirmed or taken back at {}, and the process that does so is gone: run `imwarden confirm` or `imwarden undo`.",
                clock(until)
            )?;
        }
    }
    if let Some(last) = &status.last {
        writeln!(out, "Last, at {}: {}.", last.at, last.what.escape_debug())?;
    }
    for live in &status.live {
        let how = if live.running {
            "which is running"
        } else {
            "which is not running: they were left behind (--keep), and `imwarden undo --all` takes them away"
        };
        writeln!(
            out,
            "Besides, {} places are refused live, by {}, by `imwarden sniff --enforce`, {how}.",
            live.places, live.backend
        )?;
    }
    if !status.loaded {
        return Ok(());
    }
    writeln!(out, "\n   PACKETS  RULE")?;
    for count in &status.counts.counters {
        writeln!(out, "{:>10}  {}", count.packets, count.name)?;
    }
    if !status.counts.sets.is_empty() {
        writeln!(out, "\n  ELEMENTS  SET")?;
    }
    for set in &status.counts.sets {
        let timed = if set.timed { ", which come and go" } else { "" };
        writeln!(out, "{:>10}  {}{timed}", set.elements, set.name)?;
    }
    if status.policy.is_none() || status.gone {
        return Ok(());
    }
    if status.drift.is_empty() {
        return writeln!(out, "\nThe rules are those that were applied.");
    }
    writeln!(
        out,
        "\nThe rules are NOT those that were applied; missing (-) and too many (+):"
    )?;
    // The file names of a difference say nothing here.
    let lines = status
        .drift
        .iter()
        .filter(|line| !line.starts_with("---") && !line.starts_with("+++"));
    let lines: Vec<&String> = lines.collect();
    for line in lines.iter().take(SHOWN) {
        writeln!(
            out,
            "  {}",
            line.escape_debug().to_string().replace("\\\"", "\"")
        )?;
    }
    if lines.len() > SHOWN {
        writeln!(
            out,
            "  ... and {} lines more (--json has all)",
            lines.len() - SHOWN
        )?;
    }
    Ok(())
}
