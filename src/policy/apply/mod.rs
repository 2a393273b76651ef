//! Apply: a policy in force on this machine, and taken back again.
//!
//! * [`listing`] and [`xtables`] tell what of a machine's rules is ours and what is others';
//! * [`ours`] reads our part and puts another one in its place, in one transaction for each program;
//! * [`gate`] refuses a file that speaks of anything but our table;
//! * [`trial`] loads a policy in a network that nobody is in, on top of what is in force, before it is loaded for real;
//! * [`table`] counts; [`drift`] compares;
//! * [`keep`] puts a policy in the place of another around what that one has counted and learned;
//! * [`rehearsal`] tries there what a file would do to the lines that this machine hangs on;
//! * [`state`] remembers what was applied, what was there before, and until when somebody must confirm;
//! * [`engine`] puts these together: apply, confirm, take back.
//!
//! Rules of others are never named in anything that is loaded.

mod drift;
mod engine;
mod gate;
mod keep;
mod listing;
mod ours;
#[cfg(target_os = "linux")]
mod rehearsal;
mod sets;
mod state;
mod table;
mod trial;
mod xtables;

pub use drift::drift;
pub use engine::{Applied, Candidate, apply, confirm, roll_back, undo};
pub use ours::{Ours, fingerprint, in_force, is_here, read, read_plain, remove, usual_iptables};
#[cfg(target_os = "linux")]
pub use rehearsal::Lifelines;
pub use state::{Folder, Generation, Lock, Note, State};
pub use table::{Count, Counts, Size, counts};
pub use trial::{Keep, Task, Trial, Tried, perform};

pub(in crate::policy) use listing::{Block, blocks};
pub(in crate::policy) use ours::{has_bridge, save};
pub(in crate::policy) use table::{Set, Table, TableRule, set_has};
pub(in crate::policy) use xtables::{Rule, is_ours as is_our_chain};

use std::path::PathBuf;

/// Why nothing was applied, or nothing taken back.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// A program is missing, or refused.
    #[error(transparent)]
    Tool(#[from] super::ToolError),
    /// The file speaks of something that is not ours.
    #[error(
        "line {line} is about more than the table inet imwarden, which is all that is ever loaded: `{}`", .words.escape_debug()
    )]
    NotOurs {
        /// Counted from 1.
        line: usize,
        /// How the line begins.
        words: String,
    },
    /// The file is for iptables-restore, and so for one family.
    #[error(
        "this file is for one of iptables and ip6tables only, and the other would stay open: write it with `imwarden policy --format iptables-script`, which has both"
    )]
    OneFamily,
    /// No rule file.
    #[error(
        "this is no rule file for nft and no script of `imwarden policy --format iptables-script`"
    )]
    NoRules,
    /// The file fits another firewall.
    #[error("this file is for {0}")]
    WrongFirewall(&'static str),
    /// It loads, and leaves rules that are not ours, or none at all.
    #[error("tried in a private network, this file {0}")]
    Trial(String),
    /// It would cut what this machine hangs on.
    #[error("refusing this file, because tried in a private network it would close more than a messenger:\n  {}\n--force applies it all the same", .0.join("\n  "))]
    Cuts(Vec<String>),
    /// What is in force could not be counted.
    #[error(transparent)]
    Prove(#[from] super::prove::ProveError),
    /// The folder of the state.
    #[error("cannot use {}: {what}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        what: String,
    },
    /// Another process is at it.
    #[error("another imwarden is changing the rules at this moment: try again when it is done")]
    Busy,
    /// An earlier one is on trial.
    #[error(
        "policy {0} still waits to be confirmed: `imwarden confirm` keeps it, `imwarden undo` takes it back"
    )]
    Pending(u64),
    /// Nothing waits.
    #[error("{0}")]
    Nothing(String),
    /// Both would be in force.
    #[error(
        "a policy is already in force in {0}: `imwarden undo` takes it back first, else both would be in force"
    )]
    OtherFirewall(&'static str),
}

impl ApplyError {
    /// Whether root, or the right to administer the network, is what is missing.
    pub fn is_permission(&self) -> bool {
        match self {
            Self::Tool(error) | Self::Prove(super::prove::ProveError::Program(error)) => {
                error.is_permission()
            }
            Self::Folder { what, .. } => what.contains("ermission denied"),
            _ => false,
        }
    }
}
