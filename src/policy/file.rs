//! `policy.toml`: what is asked for, in a file to be kept in version control.
//!
//! ```toml
//! services = ["aim", "icq"]                # all, if it is left out; so with everything here
//! features = ["msn:file-transfer"]
//! profile = "document"                     # document, full, none
//! match = ["port", "name", "signature", "sni"]
//! observed = ["office.pcap"]               # captures, or findings (*.ndjson); beside this file
//! confidence = "confirmed"                 # or probable
//! direction = ["forward", "output"]
//! action = "reject"                        # reject, drop, log
//! sources = ["10.0.0.0/8"]
//! interfaces = ["in:lan0", "out:wan0"]
//! mark = "0x490000/0xff0000"
//! log = 73
//!
//! [[rule]]
//! id = "old-chat"
//! to = "192.0.2.0/24"                      # an address, a network, chat.example.com, *.chat.example.com
//! transport = "tcp"                        # tcp, unless told otherwise
//! port = "7000-7010"                       # all ports, if it is left out; anywhere, if `to` is
//! reason = "closed since the audit of 2026"
//! until = 2027-01-31                       # the last day
//!
//! [[rule]]
//! id = "new-chat"
//! sni = "*.chat.example.net"               # what a TLS client asks its server for, whatever its address
//! reason = "not on this network"
//!
//! [[exception]]
//! net = "10.0.0.7"
//! why = "the press office talks to customers there"
//! until = 2026-12-31
//!
//! [[exception]]                            # `net`, `name` or `user`
//! name = "printer.example.com"             # the addresses that it has when the rules are written
//! why = "the printer reports by AIM"
//!
//! [[exception]]
//! user = "backup"                          # what this user, or number, of the machine opens; direction output
//! why = "the backup uses port 5190"
//! ```

mod exceptions;

use self::exceptions::RawException;
use super::{
    Action, CustomRule, Exception, FeatureChoice, Hook, Interfaces, Mark, Matching, Place, Profile,
};
use crate::model::{Confidence, Transport};
use crate::ruleset::{Messenger, Mistake, Plain, Reader, RuleSet, SourceFile, read_toml};
use ipnet::IpNet;
use jiff::civil::Date;
use serde::Deserialize;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use toml::Spanned;

/// `IMW-RULE-` + id must fit into the name of a chain.
const MAX_ID: usize = 18;

/// What a file asks for; `None` and empty lists for what it leaves open.
#[derive(Clone, Debug, Default)]
pub struct PolicyFile {
    /// Messengers.
    pub services: Vec<String>,
    /// Features.
    pub features: Vec<FeatureChoice>,
    /// Which facts.
    pub profile: Option<Profile>,
    /// By what messengers are known.
    pub matching: Option<Matching>,
    /// Captures and findings; the paths are as good as the file's own.
    pub observed: Vec<PathBuf>,
    /// How sure must be what is taken of those.
    pub confidence: Option<Confidence>,
    /// Where.
    pub hooks: Vec<Hook>,
    /// How.
    pub action: Option<Action>,
    /// Whose clients.
    pub sources: Vec<IpNet>,
    /// Which way.
    pub interfaces: Interfaces,
    /// What recognised connections are marked with.
    pub mark: Option<Mark>,
    /// The NFLOG group that refusals are told to.
    pub log: Option<u16>,
    /// Rules of one's own.
    pub rules: Vec<CustomRule>,
    /// Who is left alone.
    pub exceptions: Vec<Exception>,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFileError {
    /// It cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It has mistakes.
    #[error("{}", Plain(.0))]
    Invalid(Vec<Mistake>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    services: Vec<Spanned<String>>,
    #[serde(default)]
    features: Vec<Spanned<String>>,
    profile: Option<Spanned<String>>,
    #[serde(rename = "match")]
    matching: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    observed: Vec<Spanned<String>>,
    confidence: Option<Spanned<String>>,
    #[serde(default)]
    direction: Vec<Spanned<String>>,
    action: Option<Spanned<String>>,
    #[serde(default)]
    sources: Vec<Spanned<String>>,
    #[serde(default)]
    interfaces: Vec<Spanned<String>>,
    mark: Option<Spanned<String>>,
    log: Option<Spanned<toml::Value>>,
    #[serde(default, rename = "rule")]
    rules: Vec<RawRule>,
    #[serde(default, rename = "exception")]
    exceptions: Vec<RawException>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    id: Spanned<String>,
    to: Option<Spanned<String>>,
    sni: Option<Spanned<String>>,
    transport: Option<Spanned<String>>,
    port: Option<Spanned<toml::Value>>,
    reason: Spanned<String>,
    until: Option<Spanned<toml::Value>>,
}

impl PolicyFile {
    /// Reads a file; what it names must be in these rules.
    pub fn load(path: &Path, rules: &RuleSet) -> Result<Self, PolicyFileError> {
        let text = std::fs::read_to_string(path).map_err(|error| PolicyFileError::Unreadable {
            path: path.to_owned(),
            error,
        })?;
        let mut file = Self::parse(&path.display().to_string(), &text, rules)
            .map_err(PolicyFileError::Invalid)?;
        if let Some(folder) = path.parent() {
            for observed in &mut file.observed {
                *observed = folder.join(&*observed);
            }
        }
        Ok(file)
    }

    /// The same of a text, under the name that mistakes give it; as many of them as can be told at once.
    pub fn parse(name: &str, text: &str, rules: &RuleSet) -> Result<Self, Vec<Mistake>> {
        let source = SourceFile {
            name: name.into(),
            text: text.into(),
        };
        let raw: Raw = read_toml(&source, "not a policy").map_err(|mistake| vec![mistake])?;
        let mut mistakes = Vec::new();
        let mut check = Check {
            read: Reader {
                file: &source,
                mistakes: &mut mistakes,
            },
            rules,
        };
        let file = check.file(&raw);
        if mistakes.is_empty() {
            Ok(file)
        } else {
            Err(mistakes)
        }
    }
}

struct Check<'a> {
    read: Reader<'a>,
    rules: &'a RuleSet,
}

impl Check<'_> {
    fn file(&mut self, raw: &Raw) -> PolicyFile {
        let mut file = PolicyFile {
            services: raw
                .services
                .iter()
                .filter_map(|it| self.service(it))
                .collect(),
            features: raw
                .features
                .iter()
                .filter_map(|it| self.feature(it))
                .collect(),
            observed: raw.observed.iter().map(|it| it.get_ref().into()).collect(),
            sources: raw.sources.iter().filter_map(|it| self.net(it)).collect(),
            mark: raw
                .mark
                .as_ref()
                .and_then(|it| self.parsed(it, "not a mark")),
            log: raw.log.as_ref().and_then(|it| self.group(it)),
            ..PolicyFile::default()
        };
        let profiles = [Profile::Document, Profile::Full, Profile::None].map(|it| (it.name(), it));
        let confidences = [Confidence::Confirmed, Confidence::Probable].map(|it| (it.name(), it));
        let actions = [
            ("reject", Action::Reject),
            ("drop", Action::Drop),
            ("log", Action::Log),
        ];
        let hooks = [Hook::Forward, Hook::Output, Hook::Input].map(|it| (it.name(), it));
        file.profile = self.one("profile", raw.profile.as_ref(), &profiles);
        file.confidence = self.one("confidence", raw.confidence.as_ref(), &confidences);
        file.action = self.one("action", raw.action.as_ref(), &actions);
        for direction in &raw.direction {
            file.hooks
                .extend(self.read.choice("direction", direction, &hooks));
        }
        file.matching = raw.matching.as_ref().map(|kinds| self.matching(kinds));
        for interface in &raw.interfaces {
            if let Err(problem) = file.interfaces.add(interface.get_ref()) {
                self.read
                    .wrong(interface.span(), "not an interface", problem);
            }
        }
        for rule in &raw.rules {
            let rule_read = self.rule(rule, &file.rules);
            file.rules.extend(rule_read);
        }
        file.exceptions = raw
            .exceptions
            .iter()
            .filter_map(|it| self.exception(it))
            .collect();
        file
    }

    fn one<T: Copy>(
        &mut self,
        what: &str,
        value: Option<&Spanned<String>>,
        choices: &[(&str, T)],
    ) -> Option<T> {
        value.and_then(|value| self.read.choice(what, value, choices))
    }

    fn parsed<T: FromStr<Err = &'static str>>(
        &mut self,
        value: &Spanned<String>,
        message: &str,
    ) -> Option<T> {
        match value.get_ref().parse() {
            Ok(value) => Some(value),
            Err(problem) => {
                self.read.wrong(value.span(), message, problem);
                None
            }
        }
    }

    fn service(&mut self, id: &Spanned<String>) -> Option<String> {
        let ids: Vec<&str> = self
            .rules
            .messengers()
            .iter()
            .map(|messenger| messenger.service.id())
            .collect();
        let choices: Vec<(&str, &str)> = ids.iter().map(|id| (*id, *id)).collect();
        self.read
            .choice("messenger", id, &choices)
            .map(str::to_owned)
    }

    fn feature(&mut self, text: &Spanned<String>) -> Option<FeatureChoice> {
        let choice = FeatureChoice::parse(text.get_ref());
        let names: Vec<String> = self
            .rules
            .messengers()
            .iter()
            .filter(|it| {
                choice
                    .service
                    .as_deref()
                    .is_none_or(|id| it.service.id() == id)
            })
            .flat_map(Messenger::features)
            .map(|feature| feature.name().to_owned())
            .collect();
        if names.contains(&choice.feature) {
            return Some(choice);
        }
        let mut known = names;
        known.sort_unstable();
        known.dedup();
        let label = match known.as_slice() {
            [] => "there is no such messenger".to_owned(),
            known => format!("there is: {}", known.join(", ")),
        };
        let message = format!("unknown feature `{}`", text.get_ref().escape_debug());
        self.read.wrong(text.span(), message, label);
        None
    }

    fn matching(&mut self, kinds: &[Spanned<String>]) -> Matching {
        let mut matching = Matching {
            ports: false,
            names: false,
            signatures: false,
            sni: false,
        };
        for kind in kinds {
            let choices = [("port", 0), ("name", 1), ("signature", 2), ("sni", 3)];
            match self.read.choice("match", kind, &choices) {
                Some(0) => matching.ports = true,
                Some(1) => matching.names = true,
                Some(2) => matching.signatures = true,
                Some(_) => matching.sni = true,
                None => {}
            }
        }
        matching
    }

    fn net(&mut self, text: &Spanned<String>) -> Option<IpNet> {
        let net = net(text.get_ref());
        if net.is_none() {
            let message = format!("`{}` is no network", text.get_ref().escape_debug());
            self.read.wrong(
                text.span(),
                message,
                "an address or a network, such as 10.0.0.5, 10.0.0.0/8 or 2001:db8::/32",
            );
        }
        net
    }

    fn group(&mut self, value: &Spanned<toml::Value>) -> Option<u16> {
        let group = value
            .get_ref()
            .as_integer()
            .and_then(|it| u16::try_from(it).ok());
        if group.is_none() {
            self.read
                .wrong(value.span(), "not a log group", "a number from 0 to 65535");
        }
        group
    }

    fn rule(&mut self, raw: &RawRule, before: &[CustomRule]) -> Option<CustomRule> {
        let id = self.id(&raw.id, before);
        let place = match (&raw.to, &raw.sni) {
            (Some(to), None) => self.place(to),
            (None, Some(sni)) => self.hello(sni),
            (None, None) => Some(Place::Anywhere),
            (Some(_), Some(sni)) => {
                self.read.wrong(
                    sni.span(),
                    "a rule has `to` or `sni`",
                    "what a client asks for is refused at any address: make two rules of it",
                );
                None
            }
        };
        let transports = [("tcp", Transport::Tcp), ("udp", Transport::Udp)];
        let transport = match &raw.transport {
            Some(transport) => self.read.choice("transport", transport, &transports),
            None => Some(Transport::Tcp),
        };
        let ports = match &raw.port {
            Some(port) => self.read.port_range(port).map(Some),
            None => Some(None),
        };
        if let (None, Some(transport)) = (&raw.port, &raw.transport) {
            self.read.wrong(
                transport.span(),
                "a transport without a port",
                "add a port, or leave this out: a rule without is about all of TCP and UDP",
            );
        }
        if raw.to.is_none() && raw.sni.is_none() && raw.port.is_none() {
            self.read.wrong(
                raw.id.span(),
                "a rule needs `to` or `sni`, `port` or both",
                "without either it would be about everything",
            );
            return None;
        }
        if let (Some(_), Some(Transport::Udp), Some(udp)) = (&raw.sni, transport, &raw.transport) {
            self.read.wrong(
                udp.span(),
                "a TLS hello goes over TCP",
                "QUIC's, over UDP, is encrypted: no rule sees the name in it",
            );
            return None;
        }
        let reason = self.read.text(&raw.reason);
        let until = self.until(raw.until.as_ref());
        let (ports, transport) = (ports?, transport?);
        Some(CustomRule {
            id: id?,
            place: place?,
            ports: ports.map(|ports| (transport, ports)),
            reason: reason?,
            until: until?,
        })
    }

    fn id(&mut self, id: &Spanned<String>, before: &[CustomRule]) -> Option<String> {
        let text = id.get_ref();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let shaped = text.len() <= MAX_ID
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(plain);
        let (message, label) = if !shaped {
            (
                format!("`{}` cannot name a rule", text.escape_debug()),
                format!("a letter, then letters, digits and '-', all lower case, at most {MAX_ID}"),
            )
        } else if before.iter().any(|rule| rule.id == *text) {
            (
                format!("the rule `{text}` is there twice"),
                "choose another id".to_owned(),
            )
        } else if self.rules.messenger(text).is_some() {
            (
                format!("`{text}` is a messenger"),
                "choose another id".to_owned(),
            )
        } else {
            return Some(text.clone());
        };
        self.read.wrong(id.span(), message, label);
        None
    }

    fn place(&mut self, to: &Spanned<String>) -> Option<Place> {
        if let Some(net) = net(to.get_ref()) {
            return Some(Place::Net(net));
        }
        let text = to.get_ref();
        // What has a slash was meant as a network.
        if text.contains('/') || text.contains(':') {
            return self.net(to).map(Place::Net);
        }
        let (name, below) = self.host(to)?;
        Some(Place::Name { name, below })
    }

    fn hello(&mut self, sni: &Spanned<String>) -> Option<Place> {
        let (name, below) = self.host(sni)?;
        Some(Place::Hello { name, below })
    }

    /// A host name, and whether all below it are meant: `*.` before it.
    fn host(&mut self, text: &Spanned<String>) -> Option<(String, bool)> {
        let (name, below) = match text.get_ref().strip_prefix("*.") {
            Some(name) => (name, true),
            None => (text.get_ref().as_str(), false),
        };
        let spanned = Spanned::new(text.span(), name.to_owned());
        Some((self.read.host_name(&spanned)?, below))
    }

    /// A day, bare or in quotes; `None` outside stands for a mistake.
    #[allow(
        clippy::option_option,
        reason = "absent and wrong are different things here"
    )]
    fn until(&mut self, until: Option<&Spanned<toml::Value>>) -> Option<Option<Date>> {
        let Some(until) = until else {
            return Some(None);
        };
        let text = match until.get_ref() {
            toml::Value::Datetime(day) => day.to_string(),
            toml::Value::String(text) => text.clone(),
            _ => String::new(),
        };
        // Exactly a day: jiff would also take a time behind it, and forget it.
        let day = text.parse::<Date>().ok().filter(|_| text.len() == 10);
        if day.is_none() {
            self.read
                .wrong(until.span(), "not a day", "such as 2026-12-31");
        }
        day.map(Some)
    }
}

/// `10.0.0.0/8`, or a host's address alone.
pub fn net(text: &str) -> Option<IpNet> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(IpNet::from(ip));
    }
    text.parse::<IpNet>().ok().map(|net| net.trunc())
}
