//! `imwarden policy`: firewall rules from the rule files.

mod args;
mod diff;
mod explain;
pub mod guard;

pub use args::{ConfidenceArg, PlanArgs, ask_for_addresses, net, today};

use self::args::target;
use super::output;
use crate::model::Service;
use crate::policy::{
    Action, Capability, Collateral, Hook, Plan, PlanError, PolicyFileError, Request, Target,
    capabilities, closes_nothing, render,
};
use crate::ruleset::{RuleSet, RulesError};
use clap::Args;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Write firewall rules that block messengers.
///
/// Prints a file that a firewall loads: nftables, or iptables and ip6tables. Nothing on this machine is
/// changed. The default is the document's port table for all messengers, for a router and for what it opens
/// itself. The head of the file says how to check, load and remove it, what it cannot stop, and which host
/// names a resolver should deny as well.
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
Examples:
  imwarden policy --format nftables -o im.nft && nft -c -f im.nft && nft -f im.nft
  imwarden policy --format iptables-script --service msn,yahoo -o im.sh && sh im.sh
  imwarden policy --format nftables --feature file-transfer,aim:images   these features only
  imwarden policy --format nftables --direction output,input             a workstation by itself
  imwarden policy --observed office.pcap > seen.nft                      where messengers were seen, whatever the port
  imwarden policy --match port,signature                                 on other ports too, by what is said first
  imwarden policy --service signal --profile full --match sni --format iptables-script     by the names in TLS hellos
  imwarden policy --plan policy.toml --diff im.nft                       what a policy file changes

Ports 22, 53, 80 and 443, and other ports that everybody shares, are never closed: the file names what it
left open, and why. `imwarden rules show NAME` lists every port and host, and who states it.")]
pub struct PolicyArgs {
    #[command(subcommand)]
    command: Option<PolicyCommand>,

    /// What to write the rules for
    #[arg(long, value_parser = target(), value_name = "FORMAT", default_value = "nftables")]
    pub format: Target,

    #[command(flatten)]
    plan: PlanArgs,

    /// Write rules that would touch more than one in a thousand of the other flows that --observed saw, or cut off this
    /// machine's gateway, resolver or administrator; it is said what that overrides
    #[arg(long)]
    pub force: bool,

    /// Refuse to write what this format cannot say exactly
    #[arg(long)]
    pub strict: bool,

    /// Write no rules, but what changes from an older policy: a policy file (*.toml), or a file that imwarden wrote
    #[arg(long, value_name = "OLD")]
    pub diff: Option<PathBuf>,

    /// Write to FILE instead of the standard output
    #[arg(long, short = 'o', value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `imwarden policy COMMAND`.
#[derive(Clone, Debug, clap::Subcommand)]
enum PolicyCommand {
    /// Say what each rule blocks, why, and what it cannot stop; or which rule decides about a connection
    Explain(Box<explain::ExplainArgs>),
}

/// Why there are no rules.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The rule files.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The request.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// More than messengers would go.
    #[error("{0}")]
    Collateral(String),
    /// `--flow`.
    #[error("`{}` is no connection: write PROTO:CLIENT->SERVER:PORT[:HEX], such as tcp:10.0.0.5->64.12.24.50:5190", .0.escape_debug())]
    NoFlow(String),
    /// The policy file.
    #[error(transparent)]
    PolicyFile(#[from] PolicyFileError),
    /// A host that is left alone by name.
    #[error("the exception for {}: no address is known of it ({}); without one it would be refused like all others. Ask again when it has one, \
        write its address (net = ...), or take the exception out", .0.escape_debug(), .1)]
    NoAddress(String, String),
    /// `--interface`.
    #[error("--interface {}: {}", .0.escape_debug(), .1)]
    Interface(String, &'static str),
    /// `--diff`.
    #[error("--diff {}: {}", .0.display(), .1)]
    Old(PathBuf, String),
    /// `--strict`.
    #[error("--strict: this format cannot say all of it exactly:\n  {0}")]
    NotExact(String),
    /// What was observed.
    #[error("{0}")]
    Observed(String),
    /// The output file.
    #[error("cannot write {}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The standard output.
    #[error("cannot write: {0}")]
    Output(#[from] std::io::Error),
}

/// Runs the command.
pub fn run(args: &PolicyArgs, out: &mut dyn Write) -> Result<(), PolicyError> {
    if let Some(PolicyCommand::Explain(args)) = &args.command {
        return explain::run(args, out);
    }
    let rules = args.plan.ruleset()?;
    let (plan, sightings) = args.plan.planned_by_force(&rules, args.force)?;
    check(&plan, &plan.collateral(&sightings, args.format), args.force)?;
    for shadowed in &plan.shadowed {
        output::complain(&shadowed.to_string());
    }
    for line in &plan.expired {
        output::complain(&format!("left out: {line}"));
    }
    if let Some(old) = &args.diff {
        return diff::run(&args.plan, old, &plan, &rules, out);
    }
    for idle in &plan.idle {
        output::complain(&format!("no rule for {idle}: the file says why"));
    }
    if plan.is_empty() {
        output::complain("this policy closes nothing: the file says why");
    }
    let target = args.format;
    let lacking: Vec<String> = capabilities(&plan, target)
        .iter()
        .filter_map(Capability::words)
        .collect();
    if args.strict && !lacking.is_empty() {
        return Err(PolicyError::NotExact(lacking.join("\n  ")));
    }
    if closes_nothing(&plan, target) && !plan.is_empty() {
        output::complain("this format can say nothing of this policy: the file says why");
    }
    let text = render(&plan, target);
    match &args.output {
        Some(path) if path.as_os_str() != "-" => {
            write_file(path, &text).map_err(|error| PolicyError::File {
                path: path.clone(),
                error,
            })
        }
        _ => {
            out.write_all(text.as_bytes())?;
            Ok(out.flush()?)
        }
    }
}

/// Refuses what would touch others, and says what it would. Who only looks touches nobody.
pub fn check(plan: &Plan, collateral: &Collateral, force: bool) -> Result<(), PolicyError> {
    const SHOWN: usize = 5;
    if collateral.touched == 0 {
        return Ok(());
    }
    let places: Vec<String> = collateral
        .places
        .iter()
        .take(SHOWN)
        .map(|(transport, server, rule, flows)| {
            format!("  {} {server}: {flows}, by {rule}", transport.name())
        })
        .collect();
    let words = format!(
        "these rules would also touch {} of {} flows that are no messenger's:\n{}",
        collateral.touched,
        collateral.flows,
        places.join("\n")
    );
    if collateral.is_too_much() && !force && plan.action != Action::Log {
        return Err(PolicyError::Collateral(format!(
            "{words}\nThat is more than one in a thousand: --force writes them all the same, --except leaves hosts alone"
        )));
    }
    output::complain(&words);
    Ok(())
}

/// Ids of those of these messengers that the rule files know.
pub fn known(rules: &RuleSet, services: &BTreeSet<Service>) -> Vec<String> {
    let mut ids: BTreeSet<&str> = services.iter().map(Service::id).collect();
    // One of the two, and nobody knows which.
    if ids.remove("oscar") {
        ids.extend(["aim", "icq"]);
    }
    ids.into_iter()
        .filter(|id| rules.messenger(id).is_some())
        .map(str::to_owned)
        .collect()
}

/// The usual rules against these messengers, for nftables; `None` when no rule file knows them.
pub fn against(rules: &RuleSet, services: &BTreeSet<Service>) -> Option<String> {
    let request = Request {
        services: known(rules, services),
        hooks: vec![Hook::Forward, Hook::Output],
        ..Request::default()
    };
    if request.services.is_empty() {
        return None;
    }
    let plan = Plan::new(rules, &request).ok()?;
    Some(render(&plan, Target::Nftables))
}

fn write_file(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::write(path, text)
}
