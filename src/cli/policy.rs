//! `imwarden policy`: firewall rules from the rule files.

use super::{observe, output};
use crate::model::{Confidence, Endpoint, Service, Transport};
use crate::policy::{
    Action, Attempt, Capability, Collateral, FeatureChoice, Hook, Plan, PlanError, Profile,
    Request, Sightings, Target, capabilities, closes_nothing, render,
};
use crate::ruleset::{RuleSet, RulesError};
use clap::{Args, ValueEnum};
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
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

Ports 22, 53, 80 and 443, and other ports that everybody shares, are never closed: the file names what it
left open, and why. `imwarden rules show NAME` lists every port and host, and who states it.")]
pub struct PolicyArgs {
    #[command(subcommand)]
    command: Option<PolicyCommand>,

    /// What to write the rules for
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "nftables")]
    pub format: Format,

    #[command(flatten)]
    plan: PlanArgs,

    /// Write rules that would touch more than one in a thousand of the other flows that --observed saw
    #[arg(long)]
    pub force: bool,

    /// Refuse to write what this format cannot say exactly
    #[arg(long)]
    pub strict: bool,

    /// Write to FILE instead of the standard output
    #[arg(long, short = 'o', value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `imwarden policy COMMAND`.
#[derive(Clone, Debug, clap::Subcommand)]
enum PolicyCommand {
    /// Say what each rule blocks, why, and what it cannot stop; or which rule decides about a connection
    Explain(ExplainArgs),
}

/// Arguments of `imwarden policy explain`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  imwarden policy explain --service aim
  imwarden policy explain --flow 'tcp:10.0.0.5->64.12.24.50:5190'
  imwarden policy explain --observed office.pcap --flow 'tcp:10.0.0.5->10.0.0.1:3128:434f4e4e454354'")]
struct ExplainArgs {
    /// Connections, as PROTO:CLIENT[:PORT]->SERVER:PORT[:HEX], with IPv6 addresses in brackets; HEX is what the client says first
    #[arg(long, value_name = "FLOW")]
    flow: Vec<String>,

    #[command(flatten)]
    plan: PlanArgs,
}

/// What to block, where and how.
#[derive(Args, Clone, Debug)]
pub struct PlanArgs {
    /// Messengers, by their ids [default: all; `imwarden rules list` shows them]
    #[arg(long, value_name = "ID,...", value_delimiter = ',')]
    service: Vec<String>,

    /// Features only, as FEATURE or SERVICE:FEATURE, such as msn:file-transfer,aim:images [default: all]
    #[arg(long, value_name = "FEATURE,...", value_delimiter = ',')]
    feature: Vec<String>,

    /// Which ports: those of the document's table, or all that anybody states [default: document; none with --observed]
    #[arg(long, value_enum)]
    profile: Option<ProfileArg>,

    /// Captures, or findings (`analyze --format ndjson`, named *.ndjson): rules against the addresses and ports that
    /// messengers were seen at there
    #[arg(long, value_name = "FILE,...", value_delimiter = ',')]
    observed: Vec<PathBuf>,

    /// How sure must be what --observed takes
    #[arg(long, value_enum, default_value_t = ConfidenceArg::Confirmed)]
    confidence: ConfidenceArg,

    /// Where the connections to judge are
    #[arg(
        long,
        value_enum,
        value_name = "WHERE,...",
        value_delimiter = ',',
        default_values_t = [DirectionArg::Forward, DirectionArg::Output]
    )]
    direction: Vec<DirectionArg>,

    /// What happens to them
    #[arg(long, value_enum, default_value_t = ActionArg::Reject)]
    action: ActionArg,

    /// Judge only clients at these addresses and networks [default: all]
    #[arg(long, value_name = "NET,...", value_delimiter = ',', value_parser = net)]
    source: Vec<IpNet>,

    /// Leave these addresses and networks alone, whichever end of a connection they are
    #[arg(long, value_name = "NET,...", value_delimiter = ',', value_parser = net)]
    except: Vec<IpNet>,

    /// Rule files to use in place of all built-in ones
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
}

/// `--format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A file for `nft -f`, IPv4 and IPv6
    Nftables,
    /// A file for `iptables-restore --noflush`, IPv4 only
    Iptables,
    /// A file for `ip6tables-restore --noflush`, IPv6 only
    Ip6tables,
    /// A shell script that loads both, checks first, can run again, and removes them
    IptablesScript,
    /// Host names: a response policy zone, for BIND, unbound and others
    Rpz,
    /// Host names, for unbound
    Unbound,
    /// Host names, for dnsmasq
    Dnsmasq,
    /// Host names, for a hosts file: those without names below them
    Hosts,
    /// Host names and ports, for squid
    Squid,
    /// Everything, for Suricata in the path (not tried with the engine)
    Suricata,
}

/// `--profile`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProfileArg {
    /// The document's table, and what your own rule files mark as `site`
    Document,
    /// Every known port
    Full,
    /// None of them: only what --observed saw
    None,
}

/// `--confidence`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ConfidenceArg {
    /// The protocol's structure was proven
    Confirmed,
    /// One signature, or a host name, is enough
    Probable,
}

/// `--direction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DirectionArg {
    /// Passing through this machine, either way: a router
    Forward,
    /// Opened by this machine
    Output,
    /// Opened to this machine by others
    Input,
}

/// `--action`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ActionArg {
    /// Refused at once: TCP reset, UDP port unreachable
    Reject,
    /// Dropped without a word
    Drop,
    /// Counted and logged, and not refused: to see what a policy would do
    Log,
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
        return explain(args, out);
    }
    let (plan, sightings) = args.plan.planned(&args.plan.ruleset()?)?;
    check(&plan.collateral(&sightings), args.force)?;
    for idle in &plan.idle {
        output::complain(&format!("no rule for {idle}: the file says why"));
    }
    if plan.is_empty() {
        output::complain("this policy closes nothing: the file says why");
    }
    let target = match args.format {
        Format::Nftables => Target::Nftables,
        Format::Iptables => Target::Iptables,
        Format::Ip6tables => Target::Ip6tables,
        Format::IptablesScript => Target::IptablesScript,
        Format::Rpz => Target::Rpz,
        Format::Unbound => Target::Unbound,
        Format::Dnsmasq => Target::Dnsmasq,
        Format::Hosts => Target::Hosts,
        Format::Squid => Target::Squid,
        Format::Suricata => Target::Suricata,
    };
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

/// `10.0.0.0/8`, or a host's address alone.
fn net(text: &str) -> Result<IpNet, String> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(ip));
    }
    let net: IpNet = text.parse().map_err(|_| {
        "this is no address and no network: write 10.0.0.5, 10.0.0.0/8 or 2001:db8::/32".to_owned()
    })?;
    Ok(net.trunc())
}

/// What a policy blocks and why, or what it does with some connections.
fn explain(args: &ExplainArgs, out: &mut dyn Write) -> Result<(), PolicyError> {
    let plan = args.plan.plan(&args.plan.ruleset()?)?;
    for flow in &args.flow {
        let attempt = attempt(flow).ok_or_else(|| PolicyError::NoFlow(flow.clone()))?;
        let decision = plan.decide(&attempt, Target::Nftables);
        writeln!(out, "{flow}: {decision}")?;
    }
    if !args.flow.is_empty() {
        return Ok(out.flush()?);
    }
    for group in &plan.groups {
        for ports in &group.ports {
            writeln!(out, "{} {}", ports.transport.name(), ports.range)?;
            for owner in &ports.owners {
                let note = owner.note.as_deref().map(|note| format!(": {note}"));
                let note = note.unwrap_or_default();
                writeln!(out, "  {} ({}){note}", owner.id, owner.source)?;
            }
        }
    }
    for group in &plan.seen {
        for seen in &group.seen {
            let how = match seen.opening {
                Some(_) => ", only what opens as it did",
                None => ", both ways",
            };
            writeln!(out, "{} {}{how}", seen.transport.name(), seen.server)?;
            writeln!(
                out,
                "  {} {}, {}",
                group.service,
                group.feature,
                seen.words()
            )?;
        }
    }
    for target in [Target::Nftables, Target::IptablesScript] {
        let name = match target {
            Target::Nftables => "nftables",
            _ => "iptables",
        };
        let lacking = capabilities(&plan, target);
        for words in lacking.iter().filter_map(Capability::words) {
            writeln!(out, "With {name}: {words}")?;
        }
    }
    for left in &plan.left_out {
        writeln!(
            out,
            "Left open: {} {} ({}), {}",
            left.transport.name(),
            left.range,
            left.id,
            left.reason
        )?;
    }
    for unseen in &plan.unseen {
        writeln!(out, "Left open: {}, {}", unseen.place, unseen.reason)?;
    }
    for limit in &plan.limits {
        writeln!(out, "Cannot stop: {limit}")?;
    }
    Ok(out.flush()?)
}

/// `tcp:10.0.0.5->64.12.24.50:5190:2a01`.
fn attempt(text: &str) -> Option<Attempt> {
    let (proto, rest) = text.split_once(':')?;
    let transport = match proto.to_ascii_lowercase().as_str() {
        "tcp" => Transport::Tcp,
        "udp" => Transport::Udp,
        _ => return None,
    };
    let (client, server) = rest.split_once("->")?;
    let client = match client.parse::<SocketAddr>() {
        Ok(place) => Endpoint::new(place.ip(), place.port()),
        // Whatever port it takes.
        Err(_) => Endpoint::new(client.trim_matches(['[', ']']).parse().ok()?, 0),
    };
    // A payload is behind the port, which an IPv6 address in brackets does not hide.
    let end = server.rfind(']').map_or(0, |at| at + 1);
    let mut colons = server.get(end..)?.match_indices(':');
    let _port = colons.next()?;
    let (place, hex) = match colons.next() {
        Some((at, _)) => (server.get(..end + at)?, server.get(end + at + 1..)?),
        None => (server, ""),
    };
    let place: SocketAddr = place.parse().ok()?;
    if !hex.is_ascii() || !hex.len().is_multiple_of(2) {
        return None;
    }
    let payload = (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok())
        .collect::<Option<Vec<u8>>>()?;
    Some(Attempt {
        transport,
        client,
        server: Endpoint::new(place.ip(), place.port()),
        payload,
        extended: false,
    })
}

impl PlanArgs {
    /// The rule files asked for.
    pub fn ruleset(&self) -> Result<RuleSet, RulesError> {
        match &self.rules {
            Some(dir) => RuleSet::load_dir(dir),
            None => RuleSet::builtin(),
        }
    }

    /// The folder of rule files, if it is not the built-in one.
    pub fn rules(&self) -> Option<&Path> {
        self.rules.as_deref()
    }

    /// How sure must be what is taken for a messenger.
    pub fn least(&self) -> Confidence {
        self.confidence.into()
    }

    /// Whether anything is asked for but where and how.
    pub fn is_given(&self) -> bool {
        self.profile.is_some()
            || !self.observed.is_empty()
            || !self.service.is_empty()
            || !self.feature.is_empty()
    }

    /// What these arguments ask for.
    pub fn plan(&self, rules: &RuleSet) -> Result<Plan, PolicyError> {
        Ok(self.planned(rules)?.0)
    }

    /// The same, and what was seen.
    pub fn planned(&self, rules: &RuleSet) -> Result<(Plan, Sightings), PolicyError> {
        let seen = observe::sightings(&self.observed, rules, self.least())
            .map_err(|error| PolicyError::Observed(error.to_string()))?;
        let plan = Plan::observing(rules, &self.request(), &seen)?;
        for flow in &plan.unseen {
            output::complain(&format!("no rule for {}: {}", flow.place, flow.reason));
        }
        Ok((plan, seen))
    }

    /// As the planner takes it.
    pub fn request(&self) -> Request {
        Request {
            services: self.service.iter().map(|id| id.trim().to_owned()).collect(),
            features: self
                .feature
                .iter()
                .map(|text| FeatureChoice::parse(text))
                .collect(),
            profile: match self.profile {
                Some(ProfileArg::Document) => Profile::Document,
                Some(ProfileArg::Full) => Profile::Full,
                None if self.observed.is_empty() => Profile::Document,
                Some(ProfileArg::None) | None => Profile::None,
            },
            hooks: self
                .direction
                .iter()
                .map(|direction| match direction {
                    DirectionArg::Forward => Hook::Forward,
                    DirectionArg::Output => Hook::Output,
                    DirectionArg::Input => Hook::Input,
                })
                .collect(),
            action: match self.action {
                ActionArg::Reject => Action::Reject,
                ActionArg::Drop => Action::Drop,
                ActionArg::Log => Action::Log,
            },
            sources: self.source.clone(),
            exceptions: self.except.clone(),
        }
    }
}

/// Refuses what would touch others, and says what it would.
pub fn check(collateral: &Collateral, force: bool) -> Result<(), PolicyError> {
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
    if collateral.is_too_much() && !force {
        return Err(PolicyError::Collateral(format!(
            "{words}\nThat is more than one in a thousand: --force writes them all the same, --except leaves hosts alone"
        )));
    }
    output::complain(&words);
    Ok(())
}

/// The usual rules against these messengers, for nftables; `None` when no rule file knows them.
pub fn against(rules: &RuleSet, services: &BTreeSet<Service>) -> Option<String> {
    let mut ids: BTreeSet<&str> = services.iter().map(Service::id).collect();
    // One of the two, and nobody knows which.
    if ids.remove("oscar") {
        ids.extend(["aim", "icq"]);
    }
    let request = Request {
        services: ids
            .into_iter()
            .filter(|id| rules.messenger(id).is_some())
            .map(str::to_owned)
            .collect(),
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
