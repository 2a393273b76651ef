//! What the `policy` commands are asked, turned into a request and a plan.

use super::{PolicyError, guard};
use crate::cli::{observe, output};
use crate::model::Confidence;
use crate::policy::{
    Action, Exception, FeatureChoice, Hook, Interfaces, Mark, Matching, Plan, PolicyFile, Profile,
    Request, Sightings, Target, Unseen, Who, net as network,
};
use crate::ruleset::{RuleSet, RulesError};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use ipnet::IpNet;
use jiff::civil::Date;
use std::collections::BTreeMap;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

/// What to block, where and how.
#[derive(Args, Clone, Debug, Default)]
pub struct PlanArgs {
    /// Messengers, by their ids [default: aim, icq, msn, yahoo and your own; `imwarden rules list` shows all]
    #[arg(long, value_name = "ID,...", value_delimiter = ',')]
    service: Vec<String>,

    /// Features only, as FEATURE or SERVICE:FEATURE, such as msn:file-transfer,aim:images [default: all]
    #[arg(long, value_name = "FEATURE,...", value_delimiter = ',')]
    feature: Vec<String>,

    /// A policy file (policy.toml): what it says, these flags say otherwise; --except and --observed add to it
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,

    /// Which ports: those of the document's table, or all that anybody states [default: document; none with --observed]
    #[arg(long, value_enum)]
    profile: Option<ProfileArg>,

    /// By what messengers are known [default: port]
    #[arg(
        long = "match",
        value_enum,
        value_name = "KIND,...",
        value_delimiter = ','
    )]
    matching: Vec<MatchArg>,

    /// Captures, or findings (`analyze --format ndjson`, named *.ndjson): rules against the addresses and ports that
    /// messengers were seen at there, and those that they named for others
    #[arg(long, value_name = "FILE,...", value_delimiter = ',')]
    observed: Vec<PathBuf>,

    /// How sure must be what --observed takes [default: confirmed]
    #[arg(long, value_enum)]
    confidence: Option<ConfidenceArg>,

    /// Where the connections to judge are [default: forward,output]
    #[arg(long, value_enum, value_name = "WHERE,...", value_delimiter = ',')]
    direction: Vec<DirectionArg>,

    /// What happens to them [default: reject]
    #[arg(long, value_enum)]
    action: Option<ActionArg>,

    /// Judge only what comes in or goes out there, as in:NAME or out:NAME; where there is no such side, it is not asked
    #[arg(long, value_name = "SIDE:NAME,...", value_delimiter = ',')]
    interface: Vec<String>,

    /// Tell refusals to this NFLOG group, five a second at most
    #[arg(long, value_name = "GROUP")]
    log: Option<u16>,

    /// The byte of the connection mark that is ours, and what is written there [default: 0x490000/0xff0000]
    #[arg(long, value_name = "VALUE/MASK")]
    mark: Option<Mark>,

    /// Today, for what ends with a day [default: today, UTC]
    #[arg(long, value_name = "DATE")]
    as_of: Option<Date>,

    /// Judge only clients at these addresses and networks [default: all]
    #[arg(long, value_name = "NET,...", value_delimiter = ',', value_parser = net)]
    source: Vec<IpNet>,

    /// Leave these addresses and networks alone, whichever end of a connection they are
    #[arg(long, value_name = "NET,...", value_delimiter = ',', value_parser = net)]
    except: Vec<IpNet>,

    /// Rule files of your own, before the built-in ones
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
}

/// `--format`, by name.
pub fn target() -> impl TypedValueParser<Value = Target> {
    let values = Target::ALL.map(|it| PossibleValue::new(it.name()).help(it.about()));
    PossibleValuesParser::new(values).try_map(|name| {
        let mut all = Target::ALL.into_iter();
        all.find(|it| it.name() == name).ok_or("no such format")
    })
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

/// `--match`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MatchArg {
    /// The ports of the tables
    Port,
    /// The addresses of host names: sets that dnsmasq fills (--format dnsmasq-nftset, dnsmasq-ipset)
    Name,
    /// What a connection opens with, on any port
    Signature,
    /// The server's name in a TLS hello (SNI), on any port: iptables, Suricata; squid by what a tunnel is asked for
    Sni,
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

/// `10.0.0.0/8`, or a host's address alone.
pub fn net(text: &str) -> Result<IpNet, String> {
    network(text).ok_or_else(|| {
        "this is no address and no network: write 10.0.0.5, 10.0.0.0/8 or 2001:db8::/32".to_owned()
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
        self.confidence.map_or(Confidence::Confirmed, Into::into)
    }

    /// Whether anything is asked for but where and how.
    pub fn is_given(&self) -> bool {
        self.plan.is_some()
            || self.profile.is_some()
            || !self.matching.is_empty()
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
        self.planned_by_force(rules, false)
    }

    /// The same; by force, what the guard would refuse.
    pub fn planned_by_force(
        &self,
        rules: &RuleSet,
        force: bool,
    ) -> Result<(Plan, Sightings), PolicyError> {
        let mut file = self.file(rules)?;
        ask_for_addresses(&mut file.exceptions, self.as_of.unwrap_or_else(today))?;
        let observed = self.observed_by(&file);
        let least = match (self.confidence, file.confidence) {
            (None, Some(least)) => least,
            _ => self.least(),
        };
        let mut observed = observe::sightings(&observed, rules, least)
            .map_err(|error| PolicyError::Observed(error.to_string()))?;
        let request = Request {
            guard: guard::of_this_machine(),
            force,
            ..self.request_with(file)?
        };
        let mut plan = Plan::observing(rules, &request, &observed.sightings)?;
        observed.weigh(&mut plan);
        complain_of(&plan.unseen);
        for note in plan.notes.iter().filter(|note| note.starts_with("--force")) {
            output::complain(note);
        }
        Ok((plan, observed.sightings))
    }

    /// The policy file, or one that says nothing.
    fn file(&self, rules: &RuleSet) -> Result<PolicyFile, PolicyError> {
        match &self.plan {
            Some(path) => Ok(PolicyFile::load(path, rules)?),
            None => Ok(PolicyFile::default()),
        }
    }

    fn observed_by(&self, file: &PolicyFile) -> Vec<PathBuf> {
        let own = file.observed.iter().cloned();
        own.chain(self.observed.iter().cloned()).collect()
    }

    /// As the planner takes it. What a flag says replaces what the file says; exceptions and what was observed add up.
    fn request_with(&self, file: PolicyFile) -> Result<Request, PolicyError> {
        let observes = !self.observed_by(&file).is_empty();
        let or_file = |own: Option<Profile>| own.or(file.profile);
        let profile = or_file(self.profile.map(Into::into)).unwrap_or(if observes {
            Profile::None
        } else {
            Profile::Document
        });
        let mut interfaces = Interfaces::default();
        for text in &self.interface {
            interfaces
                .add(text)
                .map_err(|problem| PolicyError::Interface(text.clone(), problem))?;
        }
        let matching = (!self.matching.is_empty()).then(|| Matching {
            ports: self.matching.contains(&MatchArg::Port),
            names: self.matching.contains(&MatchArg::Name),
            signatures: self.matching.contains(&MatchArg::Signature),
            sni: self.matching.contains(&MatchArg::Sni),
        });
        let hooks: Vec<Hook> = self.direction.iter().map(|it| (*it).into()).collect();
        Ok(Request {
            services: either(
                self.service.iter().map(|id| id.trim().to_owned()).collect(),
                file.services,
            ),
            features: either(
                self.feature
                    .iter()
                    .map(|text| FeatureChoice::parse(text))
                    .collect(),
                file.features,
            ),
            profile,
            hooks: either(either(hooks, file.hooks), vec![Hook::Forward, Hook::Output]),
            action: self
                .action
                .map(Into::into)
                .or(file.action)
                .unwrap_or_default(),
            sources: either(self.source.clone(), file.sources),
            exceptions: self.except.clone(),
            dated_exceptions: file.exceptions,
            matching: matching.or(file.matching).unwrap_or_default(),
            interfaces: if interfaces.is_any() {
                file.interfaces
            } else {
                interfaces
            },
            rules: file.rules,
            mark: self.mark.or(file.mark).unwrap_or_default(),
            log: self.log.or(file.log),
            as_of: Some(self.as_of.unwrap_or_else(today)),
            ..Request::default()
        })
    }

    /// As the planner takes it, without a policy file.
    pub fn request(&self) -> Result<Request, PolicyError> {
        self.request_with(PolicyFile::default())
    }

    /// The plan of another policy file, with the same day.
    pub fn plan_of(&self, path: &Path, rules: &RuleSet) -> Result<Plan, PolicyError> {
        let other = Self {
            plan: Some(path.to_owned()),
            as_of: self.as_of,
            rules: self.rules.clone(),
            ..Self::default()
        };
        other.plan(rules)
    }
}

/// The addresses of hosts that are left alone by name and on this day, as this machine is told them now.
pub fn ask_for_addresses(exceptions: &mut [Exception], day: Date) -> Result<(), PolicyError> {
    for exception in exceptions {
        let over = exception.until.is_some_and(|until| until < day);
        let Who::Name {
            name,
            addresses,
            asked,
        } = &mut exception.who
        else {
            continue;
        };
        if over {
            continue;
        }
        let failed = |why: String| PolicyError::NoAddress(name.clone(), why);
        let found = (name.as_str(), 0).to_socket_addrs();
        let mut found: Vec<IpAddr> = found
            .map_err(|error| failed(error.to_string()))?
            .map(|it| it.ip())
            // What resolvers say of names that they refuse.
            .filter(|ip| !ip.is_unspecified() && !ip.is_loopback())
            .collect();
        found.sort_unstable();
        found.dedup();
        if found.is_empty() {
            return Err(failed("it has none".to_owned()));
        }
        *addresses = found;
        *asked = Some(today());
    }
    Ok(())
}

/// The day, in UTC.
pub fn today() -> Date {
    jiff::Timestamp::now()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .date()
}

/// Says what has no rule: a few for each reason, since the file has them all.
fn complain_of(unseen: &[Unseen]) {
    const SHOWN: usize = 5;
    let mut told: BTreeMap<&str, usize> = BTreeMap::new();
    for flow in unseen {
        let count = told.entry(flow.reason).or_default();
        *count += 1;
        if *count <= SHOWN {
            output::complain(&format!(
                "no rule for {}, {}: {}",
                flow.place, flow.server, flow.reason
            ));
        }
    }
    for (reason, count) in told.into_iter().filter(|(_, count)| *count > SHOWN) {
        output::complain(&format!("no rule for {} more: {reason}", count - SHOWN));
    }
}

/// The first, if it says anything.
fn either<T>(first: Vec<T>, second: Vec<T>) -> Vec<T> {
    if first.is_empty() { second } else { first }
}

impl From<ProfileArg> for Profile {
    fn from(profile: ProfileArg) -> Self {
        match profile {
            ProfileArg::Document => Self::Document,
            ProfileArg::Full => Self::Full,
            ProfileArg::None => Self::None,
        }
    }
}

impl From<DirectionArg> for Hook {
    fn from(direction: DirectionArg) -> Self {
        match direction {
            DirectionArg::Forward => Self::Forward,
            DirectionArg::Output => Self::Output,
            DirectionArg::Input => Self::Input,
        }
    }
}

impl From<ActionArg> for Action {
    fn from(action: ActionArg) -> Self {
        match action {
            ActionArg::Reject => Self::Reject,
            ActionArg::Drop => Self::Drop,
            ActionArg::Log => Self::Log,
        }
    }
}
