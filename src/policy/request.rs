//! What somebody asks for, and what is wrong with asking for it.

use super::safety::{Guard, Refusal};
use super::{CustomRule, Exception, Interfaces, Mark, Matching};
use crate::ruleset::{Feature, Messenger, RuleSet, Source};
use ipnet::IpNet;
use jiff::civil::Date;
use std::fmt;

/// Which facts become rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// The document's table, and what a site's own rule files add.
    #[default]
    Document,
    /// Every fact, whoever states it.
    Full,
    /// No fact at all: only what was seen.
    None,
}

impl Profile {
    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Document => "document",
            Self::Full => "full",
            Self::None => "none",
        }
    }

    /// Whether facts of this source belong to it.
    pub(super) fn takes(self, source: Source) -> bool {
        match self {
            Self::Document => matches!(source, Source::Document | Source::Site),
            Self::Full => true,
            Self::None => false,
        }
    }
}

/// Where on the way of a packet the rules sit. The order is the one they are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hook {
    /// Connections that pass through this machine, either way.
    Forward,
    /// Connections that this machine opens.
    Output,
    /// Connections that others open to this machine.
    Input,
}

impl Hook {
    /// Its name in nftables and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Input => "input",
        }
    }
}

/// What happens to a packet that is not wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// Say no: a client gives up at once instead of trying for minutes.
    #[default]
    Reject,
    /// Say nothing.
    Drop,
    /// Count and log, and refuse nothing: to see what a policy would do.
    Log,
}

/// One feature, of one messenger or of all that have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureChoice {
    /// The messenger's id; `None` for all.
    pub service: Option<String>,
    /// The feature's name.
    pub feature: String,
}

impl FeatureChoice {
    /// From `feature` or `service:feature`.
    pub fn parse(text: &str) -> Self {
        match text.split_once(':') {
            Some((service, feature)) => Self {
                service: Some(service.trim().to_owned()),
                feature: feature.trim().to_owned(),
            },
            None => Self {
                service: None,
                feature: text.trim().to_owned(),
            },
        }
    }
}

impl fmt::Display for FeatureChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.service {
            Some(service) => write!(f, "{service}:{}", self.feature),
            None => f.write_str(&self.feature),
        }
    }
}

/// What somebody asks for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Ids of messengers; none for all that are not for the asking only.
    pub services: Vec<String>,
    /// Features; none for all.
    pub features: Vec<FeatureChoice>,
    /// Which facts.
    pub profile: Profile,
    /// Where; must not be empty.
    pub hooks: Vec<Hook>,
    /// How.
    pub action: Action,
    /// Clients that it is about; none for all.
    pub sources: Vec<IpNet>,
    /// Hosts and networks that are left alone, whichever end of a connection they are.
    pub exceptions: Vec<IpNet>,
    /// The same, each with a reason and perhaps an end.
    pub dated_exceptions: Vec<Exception>,
    /// By what messengers are known.
    pub matching: Matching,
    /// Which way connections take that are judged.
    pub interfaces: Interfaces,
    /// Rules of one's own.
    pub rules: Vec<CustomRule>,
    /// What recognised connections are marked with.
    pub mark: Mark,
    /// The NFLOG group that refusals are told to, five a second at most.
    pub log: Option<u16>,
    /// Today: what ended before is left out. Nothing ends, if `None`.
    pub as_of: Option<Date>,
    /// What must not be cut off.
    pub guard: Guard,
    /// Plan what the guard would refuse, and say so.
    pub force: bool,
}

/// Why a request cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// No rule file has that id.
    #[error("there is no messenger `{}`; the rule files know: {known}", name.escape_debug())]
    UnknownService {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A feature of a messenger that `--service` leaves out.
    #[error("`{choice}` asks for {service}, but the services asked for are: {asked}")]
    NotAsked {
        /// The feature asked for.
        choice: String,
        /// Its messenger.
        service: String,
        /// The messengers asked for.
        asked: String,
    },
    /// No such feature, or none of the messengers asked for has it.
    #[error("there is no feature `{}` here; there is:\n{known}", choice.escape_debug())]
    UnknownFeature {
        /// What was asked for.
        choice: String,
        /// What there is, a line a messenger.
        known: String,
    },
    /// No direction to look in.
    #[error("a policy needs at least one direction: forward, output or input")]
    NoHook,
    /// A rule file asks for what would cut off more than a messenger.
    #[error("{}", list(.0))]
    Unsafe(Vec<Refusal>),
    /// A rule of one's own, or what was seen, would cut off what nobody may.
    #[error("{}", .0.join("\n"))]
    Never(Vec<String>),
    /// The same, and somebody may want it.
    #[error("{}\n--force writes it all the same", .0.join("\n"))]
    Guarded(Vec<String>),
}

fn list(refusals: &[Refusal]) -> String {
    refusals
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

/// What was chosen of one messenger.
pub(super) struct Selected<'a> {
    pub(super) messenger: &'a Messenger,
    pub(super) features: Vec<Feature>,
}

impl Request {
    /// The messengers and features asked for, in the order of the rule files; an error names what there is.
    pub(super) fn select<'a>(&self, rules: &'a RuleSet) -> Result<Vec<Selected<'a>>, PlanError> {
        for name in &self.services {
            known_service(rules, name)?;
        }
        let asked = |messenger: &&Messenger| {
            let id = messenger.service.id();
            let of_feature = |choice: &FeatureChoice| choice.service.as_deref() == Some(id);
            if self.services.is_empty() {
                messenger.by_default || self.features.iter().any(of_feature)
            } else {
                self.services.iter().any(|name| name == id)
            }
        };
        let messengers: Vec<_> = rules.messengers().iter().filter(asked).collect();
        for choice in &self.features {
            self.check(rules, &messengers, choice)?;
        }
        let selected = messengers.into_iter().map(|messenger| Selected {
            messenger,
            features: self.features_of(messenger),
        });
        Ok(selected
            .filter(|selected| !selected.features.is_empty())
            .collect())
    }

    fn check(
        &self,
        rules: &RuleSet,
        messengers: &[&Messenger],
        choice: &FeatureChoice,
    ) -> Result<(), PlanError> {
        if let Some(service) = &choice.service {
            known_service(rules, service)?;
            if !messengers
                .iter()
                .any(|messenger| messenger.service.id() == service)
            {
                return Err(PlanError::NotAsked {
                    choice: choice.to_string(),
                    service: service.clone(),
                    asked: self.services.join(", "),
                });
            }
        }
        if messengers
            .iter()
            .any(|messenger| applies(choice, messenger))
        {
            return Ok(());
        }
        let known: Vec<_> = messengers
            .iter()
            .map(|messenger| {
                let names: Vec<_> = messenger
                    .features()
                    .into_iter()
                    .map(Feature::name)
                    .collect();
                format!("  {}: {}", messenger.service, names.join(", "))
            })
            .collect();
        Err(PlanError::UnknownFeature {
            choice: choice.to_string(),
            known: known.join("\n"),
        })
    }

    /// No choice at all means everything, and so does the feature of that name.
    fn features_of(&self, messenger: &Messenger) -> Vec<Feature> {
        let all = messenger.features();
        let chosen = |feature: &Feature| {
            let by = |choice: &&FeatureChoice| choice.feature == feature.name();
            self.features
                .iter()
                .filter(by)
                .any(|choice| applies(choice, messenger))
        };
        if self.features.is_empty() || chosen(&Feature::Everything) {
            all
        } else {
            all.into_iter().filter(chosen).collect()
        }
    }
}

fn applies(choice: &FeatureChoice, messenger: &Messenger) -> bool {
    let named = choice
        .service
        .as_deref()
        .is_none_or(|id| id == messenger.service.id());
    named
        && messenger
            .features()
            .iter()
            .any(|feature| feature.name() == choice.feature)
}

fn known_service(rules: &RuleSet, name: &str) -> Result<(), PlanError> {
    if rules.messenger(name).is_some() {
        return Ok(());
    }
    let known: Vec<_> = rules
        .messengers()
        .iter()
        .map(|messenger| messenger.service.id())
        .collect();
    Err(PlanError::UnknownService {
        name: name.to_owned(),
        known: known.join(", "),
    })
}
