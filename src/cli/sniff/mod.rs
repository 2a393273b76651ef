//! `imwarden sniff`: interfaces -> findings as they happen.
//!
//! Three threads and one that looks after them ([`crew`]). The one that listens waits for nobody but the kernel: what the writers
//! have no room for is counted, not waited for. All that needs rights is done before they begin (see [`open`] and [`sandbox`]).

mod args;
mod board;
mod check;
mod crew;
mod enforce;
mod listen;
mod log;
mod metrics;
mod open;
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

pub use args::Args;
pub use enforce::{EnforcerArgs, enforce as enforce_live};
pub use sandbox::has_landlock;

use super::{CliError, DONE, output};
use crate::capture::live;
use crate::ruleset::RuleSet;
use args::Format;
use board::Board;
use crew::Crew;
use enforce::{Enforcer, Surroundings};
use open::{Opened, may_write};
use sandbox::Needs;
#[cfg(feature = "tui")]
use screen::unfit;
use signal_hook::consts::SIGINT;
use std::io::Write;
use std::sync::Arc;
use user::User;
use wishes::Wishes;

/// Why there can be no screen.
#[cfg(not(feature = "tui"))]
#[allow(clippy::unnecessary_wraps, reason = "built with it, there may be one")]
const fn unfit() -> Option<&'static str> {
    Some(
        "this imwarden was built without the screen of --tui (cargo's feature `tui`); without --tui, lines are written as \
         things happen",
    )
}

/// Runs it.
pub fn run(args: &Args) -> Result<u8, CliError> {
    if args.list_interfaces {
        let mut out = output::stdout();
        super::devices::run(&mut out)?;
        out.flush()?;
        return Ok(DONE);
    }
    if args.tui
        && !args.interfaces.is_empty()
        && let Some(why) = unfit()
    {
        return Err(CliError::Usage(why));
    }
    let wishes = Wishes::of(args)?;
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
        interfaces: &wishes.interfaces,
    })?;
    let opened = Opened::open(args, &wishes)?;
    let needs = opened.needs(args)?;
    let enforcing = enforcer.as_mut().map(Enforcer::begin).transpose()?;
    #[cfg(feature = "tui")]
    let screen = args.tui.then(|| args.screen(&rules, redactor.as_ref()));
    #[cfg(feature = "tui")]
    let screen = screen.transpose()?;
    lock_in(args, &needs, user.as_ref())?;

    let closing = args.tui || wishes.output.is_some() || !matches!(opened.format, Format::Table);
    let board = Arc::new(Board::new(stop));
    let crew = Crew {
        args,
        rules,
        redactor,
        enforcer,
        #[cfg(feature = "tui")]
        screen,
    };
    let waiting = crew.start(opened, &board)?;
    if !args.no_sandbox {
        sandbox::seal(&needs).map_err(CliError::Sandbox)?;
    }
    if args.sandbox_check {
        check::check(&mut output::stdout())?;
        return Ok(DONE);
    }
    waiting.begin();
    // The screen says it itself.
    if !args.tui {
        output::complain(&format!(
            "listening on {} ({}); Ctrl-C ends it",
            wishes.interfaces.join(", "),
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
    Ok(watch.over(waiting.threads, &board, &waiting.records, &reload, closing))
}

/// Gives up what is not needed any more, before any thread is there.
fn lock_in(args: &Args, needs: &Needs, user: Option<&User>) -> Result<(), CliError> {
    if args.no_sandbox {
        output::complain(
            "--no-sandbox: the process keeps its rights; whoever finds a mistake in it has them as well",
        );
        return Ok(());
    }
    for notice in sandbox::confine(needs, user).map_err(CliError::Sandbox)? {
        output::complain(&notice);
    }
    for folder in &needs.write {
        may_write(folder, user)?;
    }
    Ok(())
}
