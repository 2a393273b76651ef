//! `imwarden confirm` and `imwarden undo`: what was applied stays, or goes.

use super::super::{CliError, DONE, output};
use super::{LOCK_PATIENCE, StateArg, state_words};
use crate::policy::apply::{self, ApplyError, State};
use crate::policy::live;
use clap::Args as ClapArgs;
use std::io::Write;

/// Arguments of `imwarden confirm`.
#[derive(ClapArgs, Clone, Debug)]
pub struct ConfirmArgs {
    #[command(flatten)]
    state: StateArg,
}

/// Arguments of `imwarden undo`.
#[derive(ClapArgs, Clone, Debug)]
#[command(after_help = "\
What was in force before the last `imwarden apply` is in force again: the policy before it, or none. Rules of others
stay as they are. Again, and the one before that is taken back.")]
pub struct UndoArgs {
    /// Take away everything of ours, whoever loaded it, and forget what was applied
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    state: StateArg,
}

/// Runs `imwarden confirm`.
pub fn confirm(args: &ConfirmArgs) -> Result<u8, CliError> {
    let folder = args.state.open()?;
    let lock = folder.lock(LOCK_PATIENCE)?;
    let number = apply::confirm(&folder, &lock)?;
    let mut out = output::stdout();
    writeln!(
        out,
        "Policy {number} stays in force. `imwarden undo{}` takes it back.",
        state_words(&args.state)
    )?;
    out.flush()?;
    Ok(DONE)
}

/// Runs `imwarden undo`.
pub fn undo(args: &UndoArgs) -> Result<u8, CliError> {
    let folder = args.state.open()?;
    let lock = folder.lock(LOCK_PATIENCE)?;
    let mut out = output::stdout();
    if args.all {
        let all = apply::in_force()?;
        for (backend, _) in &all {
            apply::remove(*backend)?;
            writeln!(out, "Taken away: everything of ours in {}.", backend.name())?;
        }
        let live = live::in_force().map_err(ApplyError::from)?;
        let running = !live.is_empty() && live::is_running();
        for (backend, _) in &live {
            if running {
                writeln!(
                    out,
                    "What `imwarden sniff --enforce` refuses live stays: it is running, and takes its rules away when it ends."
                )?;
                break;
            }
            live::remove(*backend).map_err(ApplyError::from)?;
            writeln!(
                out,
                "Taken away: what `imwarden sniff --enforce --keep` left in {}.",
                backend.name()
            )?;
        }
        if all.is_empty() && live.is_empty() {
            writeln!(out, "Nothing of ours was loaded.")?;
        }
        folder.store(&State::default())?;
    } else {
        let back = apply::undo(&folder, &lock)?;
        let now = if back.before.is_none() {
            "nothing of ours is loaded now"
        } else {
            "what was in force before is in force again"
        };
        writeln!(out, "Policy {} was taken back: {now}.", back.number)?;
    }
    out.flush()?;
    Ok(DONE)
}
