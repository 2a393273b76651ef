//! A policy, loaded in a network that nobody is in, on top of what is in force here.
//!
//! A check alone (`nft -c`) lets pass what the kernel refuses when it is loaded, such as chains that jump in a circle. And
//! the way back is tried as well: rules that could not be restored are not replaced.

use super::listing::{self, Block};
use super::ours::{self, Ours};
use super::{ApplyError, gate, keep, xtables};
use crate::policy::prove::{Backend, Rules};
use crate::policy::tool::run;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// What to do in a private network.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Task {
    /// Try a policy.
    Try(Box<Trial>),
    /// Print these rules the way that this version of the programs prints them.
    Print(Backend, Box<Ours>),
}

/// Does it. Only for a network namespace that holds nothing else.
pub fn perform(task: &Task) -> Result<Tried, ApplyError> {
    match task {
        Task::Try(trial) => rehearse(trial),
        Task::Print(backend, ours) => {
            ours::replace(*backend, ours)?;
            Ok(Tried {
                wanted: ours::read_plain(*backend)?,
                ..Tried::default()
            })
        }
    }
}

/// What is to be tried.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trial {
    /// Where.
    pub backend: Backend,
    /// A rule file.
    pub text: String,
    /// What is in force.
    pub before: Ours,
    /// How what it counted and learned can be kept; a file is loaded as it stands.
    pub keep: Option<Keep>,
    /// What must not be cut, if that is to be tried.
    #[cfg(target_os = "linux")]
    pub lifelines: Option<super::Lifelines>,
}

/// How a policy comes in the place of another without forgetting what was counted and learned.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Keep {
    /// For nftables, a file that fills the table around its counters and sets.
    pub text: Option<String>,
    /// Sets with addresses of names that the policy is no longer about.
    pub outgrown: Vec<String>,
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tried {
    /// What will be in force.
    pub wanted: Ours,
    /// What is to be loaded for that.
    pub load: String,
    /// How many sets keep the addresses that they have learned.
    pub kept: usize,
    /// Rules that stay go on counting.
    pub counts_on: bool,
    /// Sets of ipset that are emptied.
    pub outgrown: Vec<String>,
    /// What it would cut of what this machine hangs on.
    pub cut: Vec<String>,
}

impl Default for Tried {
    fn default() -> Self {
        Self {
            wanted: Ours::Nftables(String::new()),
            load: String::new(),
            kept: 0,
            counts_on: false,
            outgrown: Vec::new(),
            cut: Vec::new(),
        }
    }
}

/// Tries it; and where that is asked for, with those around who must be reached.
#[cfg(target_os = "linux")]
fn rehearse(trial: &Trial) -> Result<Tried, ApplyError> {
    let Some(lifelines) = &trial.lifelines else {
        return attempt(trial);
    };
    let rehearsal = super::rehearsal::Rehearsal::new(lifelines);
    let tried = attempt(trial)?;
    let cut = match rehearsal {
        Ok(rehearsal) => rehearsal.cut(),
        Err(error) => vec![format!("what it would cut could not be tried: {error}")],
    };
    Ok(Tried { cut, ..tried })
}

#[cfg(not(target_os = "linux"))]
fn rehearse(trial: &Trial) -> Result<Tried, ApplyError> {
    attempt(trial)
}

fn attempt(trial: &Trial) -> Result<Tried, ApplyError> {
    let rules = Rules::of(trial.text.clone()).ok_or(ApplyError::NoRules)?;
    match (&rules, trial.backend) {
        (Rules::Restore(_), _) => Err(ApplyError::OneFamily),
        (Rules::Nft(text), Backend::Nftables) => nftables(text, &trial.before, trial.keep.as_ref()),
        (Rules::Nft(_), _) => Err(ApplyError::WrongFirewall("nftables: `--backend nftables`")),
        (Rules::Script(_), Backend::Nftables) => {
            Err(ApplyError::WrongFirewall("iptables: `--backend iptables`"))
        }
        (Rules::Script(text), backend) => {
            iptables(text, backend, &trial.before, trial.keep.as_ref())
        }
    }
}

/// Loads a file that may refuse to change what is there: a chain's priority cannot be changed in place, so the table is
/// then taken away and made again, in the same transaction.
fn load(text: &str, before: &Ours) -> Result<String, ApplyError> {
    let Err(error) = ours::load(text) else {
        return Ok(text.to_owned());
    };
    if before.is_none() {
        return Err(error);
    }
    let anew = format!("table inet imwarden\ndelete table inet imwarden\n{text}");
    match ours::load(&anew) {
        Ok(()) => Ok(anew),
        Err(_) => Err(error),
    }
}

fn nftables(text: &str, before: &Ours, keep: Option<&Keep>) -> Result<Tried, ApplyError> {
    gate::check(text)?;
    ours::replace(Backend::Nftables, before)?;
    let mut load = load(text, before)?;
    let mut wanted = ours::table(&["-s"])?;
    if !wanted.contains("type filter hook") {
        return Err(ApplyError::Trial(
            "leaves no chain in the table inet imwarden that any packet goes through".to_owned(),
        ));
    }
    let outgrown = keep.map_or(&[][..], |keep| &keep.outgrown);
    if let Some(around) = keep.and_then(|keep| keep.text.as_deref())
        && let Some(tried) = keep::around(around, outgrown, before, &wanted)
    {
        return Ok(tried);
    }
    if keep.is_some() {
        // What was tried may have left anything.
        ours::replace(Backend::Nftables, before)?;
        ours::load(&load)?;
    }
    let learned = learned(before, &wanted, outgrown);
    let mut kept = learned.len();
    if kept > 0 {
        let longer = format!("{load}\n{}", learned.concat());
        ours::replace(Backend::Nftables, before)?;
        if ours::load(&longer).is_ok() {
            load = longer;
        } else {
            kept = 0;
            ours::replace(Backend::Nftables, before)?;
            ours::load(&load)?;
        }
        wanted = ours::table(&["-s"])?;
    }
    Ok(Tried {
        wanted: Ours::Nftables(wanted),
        load,
        kept,
        ..Tried::default()
    })
}

/// What a resolver put into sets that the new policy has too, and empty. Without it they would be open until everybody's
/// cache of names has run out.
fn learned(before: &Ours, wanted: &str, outgrown: &[String]) -> Vec<String> {
    let Ours::Nftables(before) = before else {
        return Vec::new();
    };
    let old = listing::blocks(before);
    let new = listing::blocks(wanted);
    let empty =
        |block: &&Block<'_>| block.kind == "set" && block.is_timed() && block.elements().is_none();
    new.iter()
        .filter(empty)
        .filter(|set| !outgrown.iter().any(|name| name == set.name))
        .filter_map(|set| {
            let same = old.iter().find(|old| {
                old.kind == "set" && old.name == set.name && old.of_type() == set.of_type()
            })?;
            let mut line = String::new();
            // Writing to a String cannot fail.
            let _ = writeln!(
                line,
                "add element inet imwarden {} {{ {} }}",
                set.name,
                same.elements()?
            );
            Some(line)
        })
        .collect()
}

/// Runs the script here, where it can do nothing to the firewall, and takes our chains out of what it left.
fn iptables(
    text: &str,
    backend: Backend,
    before: &Ours,
    keep: Option<&Keep>,
) -> Result<Tried, ApplyError> {
    let [v4, v6] = backend.xtables();
    run("sh", &["-s"], &[("IPTABLES", v4), ("IP6TABLES", v6)], text)?;
    for program in [v4, v6] {
        let save = run(&format!("{program}-save"), &[], &[], "")?;
        let others = xtables::without_ours(&save);
        if let Some(line) = others.lines().find(|line| {
            line.starts_with("-A ") || line.starts_with(':') && !line.ends_with(" ACCEPT")
        }) {
            return Err(ApplyError::Trial(format!(
                "makes rules that are not of our chains: `{}`",
                line.escape_debug()
            )));
        }
    }
    let wanted = ours::read(backend)?;
    if let Ours::Xtables { v4, v6, .. } = &wanted {
        for (family, chains) in [("iptables", v4), ("ip6tables", v6)] {
            if chains.jumps.is_empty() {
                return Err(ApplyError::Trial(format!(
                    "leaves no rule of {family} that leads into its chains"
                )));
            }
        }
    }
    // The way back, and the way that it will be loaded.
    ours::replace(backend, before)?;
    ours::replace(backend, &wanted)?;
    Ok(Tried {
        wanted,
        counts_on: keep.is_some() && !before.is_none(),
        outgrown: keep.map_or_else(Vec::new, |keep| keep.outgrown.clone()),
        ..Tried::default()
    })
}
