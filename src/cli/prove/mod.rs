//! `imwarden prove`: replays captures through the kernel's firewall, with and without a policy, and counts what passed.

mod certificate;

use self::certificate::{certify, text};
use super::namespace::Namespace;
use super::observe::{self, Flow};
use super::policy::{ConfidenceArg, PlanArgs};
use super::{CliError, DONE, NOT_PROVEN, output};
use crate::flow::Chosen;
use crate::model::{Confidence, Endpoint, FiveTuple};
use crate::policy::prove::{Backend, Fate, Firewall, Lab, ProveError, Replay, Rules};
use crate::policy::{Opening, Plan, Request, Sightings, Target, render};
use crate::ruleset::RuleSet;
use clap::{Args as ClapArgs, ValueEnum};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Prove what a policy blocks, and what it leaves alone.
///
/// Replays each capture's packets, in their order and both ways, through a real kernel's firewall: in a private
/// network namespace, so that nothing of this machine is touched and, where the kernel allows it, root is not needed. Once
/// without rules and once with the policy, each flow's payload either comes out at the other side or it does not.
///
/// Without a policy, the one that `imwarden policy --observed CAPTURE` writes is proven, and what the document's table
/// would have done stands beside it.
#[derive(ClapArgs, Clone, Debug)]
#[command(after_help = "\
Examples:
  imwarden prove office.pcap                          the policy made from what is seen in it
  imwarden prove --policy im.nft office.pcap          a file that you wrote, or had written
  imwarden prove --profile full office.pcap           the tables, without what is seen
  imwarden prove --backend all --format json office.pcap

A flow is blocked if none of its payload reaches the other side, and cut if only its beginning does. The exit code is
0 if every messenger's flow is blocked and no other flow is touched, and 1 if not. Messengers' flows of hosts that a policy
leaves alone (--except, --source, exceptions in policy.toml) are counted apart: they must pass.")]
pub struct Args {
    /// Captures to replay
    #[arg(required = true, value_name = "CAPTURE")]
    captures: Vec<PathBuf>,

    /// A rule file instead of a plan: for nft, for iptables-restore, or a script of `--format iptables-script`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["plan", "service", "feature", "profile", "matching", "observed", "action"])]
    policy: Option<PathBuf>,

    #[command(flatten)]
    plan: PlanArgs,

    /// Which firewall judges
    #[arg(
        long,
        value_enum,
        value_name = "NAME,...",
        value_delimiter = ',',
        default_value = "nftables"
    )]
    backend: Vec<BackendArg>,

    /// How to print the certificate
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// List every flow
    #[arg(long, short)]
    verbose: bool,
}

/// `--backend`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum BackendArg {
    /// nft
    Nftables,
    /// iptables and ip6tables over nftables
    IptablesNft,
    /// iptables and ip6tables as they were
    IptablesLegacy,
    /// All three
    All,
}

/// `--format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For reading
    Text,
    /// For programs
    Json,
}

/// What a child is to do in its namespace: the rules come on its standard input.
#[derive(ClapArgs, Clone, Debug)]
pub struct ReplayArgs {
    capture: PathBuf,
    #[arg(long, value_enum)]
    backend: BackendArg,
    #[arg(long, value_enum)]
    confidence: ConfidenceArg,
    #[arg(long)]
    rules: Option<PathBuf>,
}

/// A policy to be proven.
struct Candidate {
    name: &'static str,
    /// It decides the exit code; others are for comparison.
    decides: bool,
    /// For nftables, and for the two others.
    rules: Vec<Rules>,
    /// Whom it leaves alone, and whose clients it is about; a file does not say.
    plan: Option<Plan>,
}

impl Candidate {
    /// Whether this flow is to pass, whatever it is.
    fn spares(&self, tuple: &FiveTuple) -> bool {
        let Some(plan) = &self.plan else {
            return false;
        };
        let ends = [tuple.client.ip, tuple.server.ip];
        ends.iter().any(|ip| plan.leaves_alone(*ip)) || !ends.iter().any(|ip| plan.is_about(*ip))
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Result<u8, CliError> {
    let namespace = Namespace::find()?;
    let rules = args.plan.ruleset()?;
    let least = args.plan.least();
    let mut certificates = Vec::new();
    for capture in &args.captures {
        let (flows, error) = observe::flows(capture, &rules, least)?;
        if let Some(error) = error {
            output::complain(&format!("{error}; what came before it is replayed"));
        }
        let candidates = candidates(args, &rules, capture, &flows)?;
        let before = replay_in(&namespace, args, capture, Backend::Nftables, None)?;
        for candidate in &candidates {
            for backend in backends(args) {
                let Some(text) = candidate.rules.iter().find(|rules| rules.fits(backend)) else {
                    return Err(CliError::Usage(
                        "this rule file is not for the firewall that --backend names",
                    ));
                };
                let after = replay_in(&namespace, args, capture, backend, Some(text))?;
                certificates.push(certify(
                    capture, candidate, backend, &flows, &before, &after,
                ));
            }
        }
    }
    let proven = certificates
        .iter()
        .filter(|it| it.decides)
        .all(|it| it.proven);
    let mut out = output::stdout();
    match args.format {
        Format::Text => text(&certificates, args.verbose, &mut out)?,
        Format::Json => {
            let whole = serde_json::json!({
                "schema": "imwarden-proof/1",
                "proven": proven,
                "certificates": certificates,
            });
            serde_json::to_writer_pretty(&mut out, &whole).map_err(std::io::Error::from)?;
            writeln!(out)?;
        }
    }
    out.flush()?;
    Ok(if proven { DONE } else { NOT_PROVEN })
}

fn backends(args: &Args) -> Vec<Backend> {
    let named = |backend: &BackendArg| match backend {
        BackendArg::Nftables => vec![Backend::Nftables],
        BackendArg::IptablesNft => vec![Backend::IptablesNft],
        BackendArg::IptablesLegacy => vec![Backend::IptablesLegacy],
        BackendArg::All => Backend::ALL.to_vec(),
    };
    let mut all: Vec<Backend> = args.backend.iter().flat_map(named).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The policies that are proven with this capture.
fn candidates(
    args: &Args,
    rules: &RuleSet,
    capture: &Path,
    flows: &[Flow],
) -> Result<Vec<Candidate>, CliError> {
    if let Some(path) = &args.policy {
        let text = std::fs::read_to_string(path).map_err(|error| {
            CliError::Findings(format!("cannot read {}: {error}", path.display()))
        })?;
        let rules = Rules::of(text).ok_or_else(|| {
            CliError::Findings(format!(
                "{}: this is no rule file for nft, for iptables-restore or for sh",
                path.display()
            ))
        })?;
        return Ok(vec![Candidate {
            name: "the given file",
            decides: true,
            rules: vec![rules],
            plan: None,
        }]);
    }
    let written = |name, decides, plan: &Plan| Candidate {
        name,
        decides,
        rules: vec![
            Rules::Nft(render(plan, Target::Nftables)),
            Rules::Script(render(plan, Target::IptablesScript)),
        ],
        plan: Some(plan.clone()),
    };
    if args.plan.is_given() {
        let plan = args.plan.plan(rules)?;
        return Ok(vec![written("the plan asked for", true, &plan)]);
    }
    let mut sightings = Sightings::default();
    observe::from_capture(capture, flows, &mut sightings);
    let request = args.plan.request()?;
    let seen = Request {
        profile: crate::policy::Profile::None,
        ..request.clone()
    };
    let plan_of = |request: &Request, sightings: &Sightings| {
        Plan::observing(rules, request, sightings).map_err(|error| CliError::Policy(error.into()))
    };
    Ok(vec![
        written("what was seen", true, &plan_of(&seen, &sightings)?),
        written(
            "the document's table",
            false,
            &plan_of(&request, &Sightings::default())?,
        ),
    ])
}

/// Replays a capture in a namespace of its own.
fn replay_in(
    namespace: &Namespace,
    args: &Args,
    capture: &Path,
    backend: Backend,
    rules: Option<&Rules>,
) -> Result<BTreeMap<u64, Fate>, CliError> {
    let failed = |what: String| CliError::Namespace(format!("{}: {what}", capture.display()));
    let mut arguments: Vec<OsString> = vec!["replay-in-namespace".into()];
    arguments.extend(["--backend".into(), backend.name().into()]);
    arguments.extend(["--confidence".into(), args.plan.least().name().into()]);
    if let Some(dir) = args.plan.rules() {
        arguments.extend(["--rules".into(), dir.into()]);
    }
    arguments.extend(["--".into(), capture.into()]);
    let text = match rules {
        Some(Rules::Nft(text) | Rules::Script(text) | Rules::Restore(text)) => text,
        None => "",
    };
    let output = namespace
        .run_own(&arguments, text)
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed("nothing was proven: see above".to_owned()));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))
}

/// What the child does.
pub fn replay(args: &ReplayArgs) -> Result<u8, CliError> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let rules = match &args.rules {
        Some(dir) => RuleSet::load_dir(dir)?,
        None => RuleSet::builtin()?,
    };
    let (flows, _) = observe::flows(&args.capture, &rules, args.confidence.into())?;
    let backend = match args.backend {
        BackendArg::IptablesNft => Backend::IptablesNft,
        BackendArg::IptablesLegacy => Backend::IptablesLegacy,
        BackendArg::Nftables | BackendArg::All => Backend::Nftables,
    };
    let mut lab = Lab::new()?;
    let firewall = match Rules::of(text) {
        Some(rules) => Some(Firewall::load(backend, &rules)?),
        None => None,
    };
    let fates = send(&args.capture, &flows, &mut lab, firewall.as_ref())?;
    let mut out = output::stdout();
    serde_json::to_writer(&mut out, &fates).map_err(std::io::Error::from)?;
    out.flush()?;
    Ok(DONE)
}

/// Sends all packets that belong to a flow.
fn send(
    capture: &Path,
    flows: &[Flow],
    lab: &mut Lab,
    firewall: Option<&Firewall>,
) -> Result<BTreeMap<u64, Fate>, ProveError> {
    let mut chosen: Chosen<(u64, Endpoint, bool)> = Chosen::default();
    for Flow { finding, .. } in flows {
        let what = (
            finding.flow_id,
            finding.tuple.client,
            observe::is_proxied(finding),
        );
        chosen.add(&finding.tuple, finding.first_seen, finding.last_seen, what);
    }
    let mut replay = Replay::new(lab, firewall)?;
    let mut wrong = None;
    observe::packets(capture, &mut |packet| {
        if wrong.is_some() {
            return;
        }
        if let Some(&(flow, client, proxied)) = chosen.flow_of(packet) {
            // What is said to a proxy before it is asked for a connection is no messenger's.
            let begins = !proxied || Opening::of(packet.payload, true).is_some();
            wrong = replay.packet(flow, client, begins, packet).err();
        }
    });
    match wrong {
        Some(error) => Err(error),
        None => Ok(replay.finish()),
    }
}

impl From<ConfidenceArg> for Confidence {
    fn from(word: ConfidenceArg) -> Self {
        match word {
            ConfidenceArg::Confirmed => Self::Confirmed,
            ConfidenceArg::Probable => Self::Probable,
        }
    }
}
