//! `imwarden apply`, `confirm`, `undo` and `status`: a policy in force on this machine.

mod guard;
mod status;
mod trial;
mod undo;

pub use guard::{GuardArgs, guard};
pub use status::{StatusArgs, status};
pub use trial::{differences, in_namespace};
pub use undo::{ConfirmArgs, UndoArgs, confirm, undo};

use self::trial::in_private;
use super::namespace::Namespace;
use super::policy::PlanArgs;
use super::{CliError, DONE, output};
use crate::policy::apply::{self, ApplyError, Candidate, Folder, Keep, State, Task, Trial};
use crate::policy::prove::{Backend, Rules};
use crate::policy::{Plan, Target, closes_nothing, contents_of, outgrown_sets, render};
use clap::{Args as ClapArgs, ValueEnum};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Others who are at it are soon done.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// Put a policy in force on this machine.
///
/// Tries it in a private network first, on top of what is in force; keeps what was there; loads it in one transaction; and
/// takes it back by itself unless `imwarden confirm` follows in time, even if the shell that this was typed in is gone.
/// Only the table inet imwarden, or chains named IMWARDEN and IMW-*, are ever touched.
#[derive(ClapArgs, Clone, Debug)]
#[command(after_help = "\
Examples:
  imwarden apply                              the document's table, by nftables, for 60 seconds
  imwarden confirm                            keep it
  imwarden undo                               or take it back
  imwarden apply --service msn --direction input,output --confirm-within 5m
  imwarden apply --backend iptables --yes     at once and for good, by iptables and ip6tables
  imwarden apply im.nft                       a file of `imwarden policy`, as you have changed it

What is applied lasts until the next start of the machine. A policy that would cut the SSH connection it is typed on, this
machine's gateway or resolver, or a port that everybody lives by, is refused; with a FILE this is tried, in the private network.
A policy made of options takes the place of the one before around what that has counted and learned: with nftables nothing
is lost, with iptables what is counted at that very moment. A FILE is loaded as it stands. Needs root, or CAP_NET_ADMIN.")]
pub struct Args {
    /// A file of `imwarden policy --format nftables` or `iptables-script`; `-` reads the standard input
    #[arg(value_name = "FILE", conflicts_with = "PlanArgs")]
    file: Option<PathBuf>,

    #[command(flatten)]
    plan: PlanArgs,

    /// Which firewall [default: nftables, or what FILE is for]
    #[arg(long, value_enum, value_name = "NAME")]
    backend: Option<BackendArg>,

    /// Take it back unless it is confirmed within this time: 30s, 5m
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = span, conflicts_with = "yes")]
    confirm_within: Duration,

    /// Keep it without being asked to confirm
    #[arg(long)]
    yes: bool,

    /// Only try it, and say what would happen
    #[arg(long)]
    dry_run: bool,

    /// Apply even what would touch other flows, or cut this SSH connection, the gateway, the resolver or ports that everybody
    /// lives by; it is said what that overrides
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    state: StateArg,
}

impl Args {
    /// What a file must not cut; a plan was judged when it was made.
    #[cfg(target_os = "linux")]
    fn lifelines(&self) -> Result<Option<apply::Lifelines>, ApplyError> {
        let guard = || apply::Lifelines::of_this_machine(&super::policy::guard::of_this_machine());
        Ok(self.file.as_ref().map(|_| guard()).transpose()?)
    }
}

/// Where it is remembered what was applied.
#[derive(ClapArgs, Clone, Debug)]
pub struct StateArg {
    /// Folder that remembers what was applied
    #[arg(
        long = "state",
        value_name = "DIR",
        env = "IMWARDEN_STATE",
        default_value = "/run/imwarden"
    )]
    dir: PathBuf,
}

impl StateArg {
    fn open(&self) -> Result<Folder, CliError> {
        Ok(Folder::open(&std::path::absolute(&self.dir)?)?)
    }

    /// What is remembered there, if it is there at all. Nothing is made.
    pub fn remembered(&self) -> Result<(Option<Folder>, State), CliError> {
        let folder = Folder::find(&std::path::absolute(&self.dir)?)?;
        let state = match &folder {
            Some(folder) => folder.load()?,
            None => State::default(),
        };
        Ok((folder, state))
    }
}

/// `--backend`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BackendArg {
    /// nft
    Nftables,
    /// iptables and ip6tables, whichever this machine has
    Iptables,
    /// iptables and ip6tables over nftables
    IptablesNft,
    /// iptables and ip6tables as they were
    IptablesLegacy,
}

impl BackendArg {
    /// Which one that is on this machine.
    pub fn backend(self) -> Result<Backend, ApplyError> {
        match self {
            Self::Nftables => Ok(Backend::Nftables),
            Self::Iptables => apply::usual_iptables(),
            Self::IptablesNft => Ok(Backend::IptablesNft),
            Self::IptablesLegacy => Ok(Backend::IptablesLegacy),
        }
    }
}

/// `30s`, `5m`, or a number of seconds.
pub fn span(text: &str) -> Result<Duration, String> {
    let seconds = match text.parse::<i64>() {
        Ok(seconds) => seconds,
        Err(_) => text
            .parse::<jiff::SignedDuration>()
            .map_err(|_| "write a time such as 30s or 5m".to_owned())?
            .as_secs(),
    };
    match u64::try_from(seconds) {
        Ok(seconds @ 1..=86_400) => Ok(Duration::from_secs(seconds)),
        _ => Err("between a second and a day".to_owned()),
    }
}

/// The rules to load: what they are called, and their text.
struct Chosen {
    what: String,
    text: String,
    backend: Backend,
    /// What it was made of; a file is loaded as it stands.
    plan: Option<Plan>,
}

impl Chosen {
    const fn target(backend: Backend) -> Target {
        match backend {
            Backend::Nftables => Target::Nftables,
            Backend::IptablesNft | Backend::IptablesLegacy => Target::IptablesScript,
        }
    }

    /// How it comes in the place of what was applied before, with what that one counted and learned.
    fn keep(&self, state: &State) -> Option<Keep> {
        let plan = self.plan.as_ref()?;
        let old = state.current().filter(|now| now.backend == self.backend);
        Some(Keep {
            text: (self.backend == Backend::Nftables).then(|| render(plan, Target::NftablesKeep)),
            outgrown: old.map_or_else(Vec::new, |old| {
                outgrown_sets(plan, Self::target(self.backend), &old.text)
            }),
        })
    }
}

/// Runs `imwarden apply`.
pub fn run(args: &Args) -> Result<u8, CliError> {
    let chosen = choose(args)?;
    let namespace = Namespace::find()?;
    let folder = args.state.open()?;
    let lock = folder.lock(LOCK_PATIENCE)?;
    let mut state = folder.load()?;
    if let Some(waiting) = state.current().filter(|now| now.until.is_some()) {
        let number = waiting.number;
        if folder.is_guarded(number) {
            return Err(ApplyError::Pending(number).into());
        }
        // Whoever was to take it back was killed.
        apply::roll_back(&folder, number)?;
        folder.forget_guard(number);
        state = folder.load()?;
        output::complain(&format!(
            "policy {number} was never confirmed, and is taken back now"
        ));
    }
    let mut before = None;
    for (backend, ours) in apply::in_force()? {
        if backend != chosen.backend {
            return Err(ApplyError::OtherFirewall(backend.name()).into());
        }
        before = Some(ours);
    }
    let before = match before {
        Some(ours) => ours,
        None => apply::read(chosen.backend)?,
    };
    let keep = chosen.keep(&state);
    let tried = in_private(
        &namespace,
        &Task::Try(Box::new(Trial {
            backend: chosen.backend,
            text: chosen.text.clone(),
            before: before.clone(),
            keep,
            #[cfg(target_os = "linux")]
            lifelines: args.lifelines()?,
        })),
    )?;
    if !tried.cut.is_empty() && !args.force {
        return Err(ApplyError::Cuts(tried.cut).into());
    }
    for line in &tried.cut {
        output::complain(&format!("--force overrides: {line}"));
    }
    let mut out = output::stdout();
    // Rules do not say which names a set is for, nor when one of them ends.
    let says_the_same = state
        .current()
        .is_some_and(|now| contents_of(&now.text) == contents_of(&chosen.text));
    let same = says_the_same
        && apply::drift(&tried.wanted, &apply::read_plain(chosen.backend)?).is_empty();
    if same {
        writeln!(out, "This policy is in force already: nothing was changed.")?;
        out.flush()?;
        return Ok(DONE);
    }
    writeln!(
        out,
        "Tried in a private network: it loads on top of what is in force here, and what is in force can be restored."
    )?;
    if args.dry_run {
        writeln!(out, "Nothing was changed (--dry-run).")?;
        out.flush()?;
        return Ok(DONE);
    }
    let wait = (!args.yes).then_some(args.confirm_within);
    let now = jiff::Timestamp::now().as_second();
    let until = wait.map(|wait| now.saturating_add_unsigned(wait.as_secs()));
    let (kept, counts_on, nothing_before) = (tried.kept, tried.counts_on, before.is_none());
    let candidate = Candidate {
        backend: chosen.backend,
        text: chosen.text,
        tried,
        before,
        what: chosen.what.clone(),
        until,
    };
    let arm = |number| match wait {
        Some(wait) => guard::start(folder.path(), number, wait),
        None => Ok(()),
    };
    let applied = apply::apply(&folder, &lock, &mut state, candidate, arm)?;
    writeln!(
        out,
        "Policy {} is in force, by {}: {}.",
        applied.number,
        chosen.backend.name(),
        chosen.what.escape_debug()
    )?;
    if counts_on {
        writeln!(out, "Rules that were there before count on.")?;
    }
    if kept > 0 {
        writeln!(out, "{kept} sets keep the addresses that they had learned.")?;
    }
    if applied.others_same {
        writeln!(out, "The rules of others are the same as before.")?;
    } else {
        output::complain("somebody else changed other rules at the same time");
    }
    match (wait, until) {
        (Some(wait), Some(until)) => writeln!(
            out,
            "It is taken back in {} seconds, at {}, and {} then, unless you run:\n  imwarden confirm{}\nBest from a new login, which shows that one can still get in.",
            wait.as_secs(),
            clock(until),
            if nothing_before {
                "nothing of ours is loaded"
            } else {
                "what was in force before is in force again"
            },
            state_words(&args.state),
        )?,
        _ => writeln!(
            out,
            "`imwarden undo{}` takes it back.",
            state_words(&args.state)
        )?,
    }
    out.flush()?;
    Ok(DONE)
}

/// What to load.
fn choose(args: &Args) -> Result<Chosen, CliError> {
    if let Some(path) = &args.file {
        let failed = |error: std::io::Error| {
            CliError::Findings(format!("cannot read {}: {error}", path.display()))
        };
        let mut text = String::new();
        if path.as_os_str() == "-" {
            std::io::stdin().read_to_string(&mut text).map_err(failed)?;
        } else {
            text = std::fs::read_to_string(path).map_err(failed)?;
        }
        let fits = match Rules::of(text.clone()) {
            Some(Rules::Nft(_)) => BackendArg::Nftables,
            Some(Rules::Script(_)) => BackendArg::Iptables,
            Some(Rules::Restore(_)) => return Err(ApplyError::OneFamily.into()),
            None => return Err(ApplyError::NoRules.into()),
        };
        return Ok(Chosen {
            what: format!("the file {}", path.display()),
            text,
            backend: args.backend.unwrap_or(fits).backend()?,
            plan: None,
        });
    }
    let (plan, sightings) = args
        .plan
        .planned_by_force(&args.plan.ruleset()?, args.force)?;
    let backend = args.backend.unwrap_or(BackendArg::Nftables).backend()?;
    let target = Chosen::target(backend);
    super::policy::check(&plan, &plan.collateral(&sightings, target), args.force)?;
    if closes_nothing(&plan, target) {
        return Err(CliError::Findings(
            "this policy closes nothing here, and so is not applied: `imwarden policy` with the same arguments says why"
                .to_owned(),
        ));
    }
    for idle in &plan.idle {
        output::complain(&format!(
            "no rule for {idle}: `imwarden policy` with the same arguments says why"
        ));
    }
    let names: Vec<&str> = plan.messengers.iter().map(|(_, name)| &**name).collect();
    let hooks: Vec<&str> = plan.hooks.iter().map(|hook| hook.name()).collect();
    Ok(Chosen {
        what: format!("against {} ({})", names.join(", "), hooks.join(", ")),
        text: render(&plan, target),
        backend,
        plan: Some(plan),
    })
}

/// Behind a command that is to be typed: the same folder.
fn state_words(state: &StateArg) -> String {
    if state.dir == Path::new("/run/imwarden") || std::env::var_os("IMWARDEN_STATE").is_some() {
        return String::new();
    }
    format!(" --state {}", super::quoted(state.dir.as_os_str()))
}

/// A time of this day, where the machine is.
fn clock(second: i64) -> String {
    jiff::Timestamp::from_second(second).map_or_else(
        |_| second.to_string(),
        |time| {
            time.to_zoned(jiff::tz::TimeZone::system())
                .strftime("%H:%M:%S")
                .to_string()
        },
    )
}
