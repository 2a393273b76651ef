//! One port, one host: what a rule file states, and who says so.

use super::{
    AlpnRule, BeginningRule, Feature, FingerprintRule, NetworkRule, Pattern, Sample, StunRule,
};
use crate::model::{Service, Transport};
use std::fmt;
use std::sync::Arc;

/// Whose word a fact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The article whose table is the default policy.
    Document,
    /// A site's own rule file. Part of every profile: whoever wrote it down wants it.
    Site,
    /// The messenger's vendor.
    Vendor,
    /// Seen in a capture of real traffic.
    Observed,
    /// The source of a client, server or dissector.
    Software,
    /// Lists and posts from the field: often copied, seldom checked.
    Field,
    /// Servers that bring a closed network back to life.
    Revival,
}

impl Source {
    /// Every source, most trusted first.
    pub const ALL: [Self; 7] = [
        Self::Document,
        Self::Site,
        Self::Vendor,
        Self::Observed,
        Self::Software,
        Self::Field,
        Self::Revival,
    ];

    /// The name in rule files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Document => "document",
            Self::Site => "site",
            Self::Vendor => "vendor",
            Self::Observed => "observed",
            Self::Software => "software",
            Self::Field => "field",
            Self::Revival => "revival",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Who opens connections to a port, seen from the messenger's user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// The user's client calls a server.
    Out,
    /// Others call the user's client.
    In,
    /// Either.
    Both,
}

impl Opening {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::Out, Self::In, Self::Both];

    /// The name in rule files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::In => "in",
            Self::Both => "both",
        }
    }
}

/// One port, or a run of them; never empty, never port 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// The ports from `first` to `last`, both included; `None` for port 0 and for a reversed range.
    pub const fn new(first: u16, last: u16) -> Option<Self> {
        if first == 0 || first > last {
            None
        } else {
            Some(Self { first, last })
        }
    }

    /// The lowest port.
    pub const fn first(self) -> u16 {
        self.first
    }

    /// The highest port.
    pub const fn last(self) -> u16 {
        self.last
    }

    /// How many ports.
    pub const fn count(self) -> u32 {
        self.last as u32 - self.first as u32 + 1
    }

    /// Whether `port` is one of them.
    pub const fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }
}

/// `5190` or `6892-6900`.
impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            f.pad(&self.first.to_string())
        } else {
            f.pad(&format!("{}-{}", self.first, self.last))
        }
    }
}

/// Where in which file a fact stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file, as the caller named it.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// `rules/aim.toml:17:1`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A port that a messenger uses.
#[derive(Clone, Debug)]
pub struct PortRule {
    /// Name of the fact, such as `aim/session`.
    pub id: String,
    /// What it is used for.
    pub feature: Feature,
    /// TCP or UDP.
    pub transport: Transport,
    /// Which ports.
    pub ports: PortRange,
    /// Who opens connections to it.
    pub opening: Opening,
    /// Who says so.
    pub source: Source,
    /// Whether a flow on this port, with nothing else known, may be called `possible`.
    pub hint: bool,
    /// Whose port it is in the first place. Such a port is known, but never closed.
    pub shared_with: Option<String>,
    /// Where that can be read.
    pub reference: Option<String>,
    /// What closing it promises, or cannot do.
    pub note: Option<String>,
    /// Where it stands.
    pub origin: Origin,
}

/// How the name of a host fact is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostMatch {
    /// That name alone.
    Exact,
    /// That name and all names below it.
    Suffix,
}

impl HostMatch {
    /// The name in rule files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Suffix => "suffix",
        }
    }
}

/// Whether a host serves this messenger alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostUse {
    /// Only this messenger: the name proves its use, and may be denied.
    Exclusive,
    /// Others too: the name proves nothing, and must not be denied.
    Shared,
}

impl HostUse {
    /// The name in rule files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exclusive => "exclusive",
            Self::Shared => "shared",
        }
    }
}

/// A host that a messenger uses.
#[derive(Clone, Debug)]
pub struct HostRule {
    /// The name, in lower case, without a final dot.
    pub name: String,
    /// That name alone, or all names below it too.
    pub matching: HostMatch,
    /// What it is used for.
    pub feature: Feature,
    /// Whether it serves this messenger alone.
    pub usage: HostUse,
    /// Who says so.
    pub source: Source,
    /// Where that can be read.
    pub reference: Option<String>,
    /// What denying it promises, or cannot do.
    pub note: Option<String>,
    /// Where it stands.
    pub origin: Origin,
}

impl HostRule {
    /// Whether it is about this name, in lower case: label by label.
    pub fn names(&self, name: &str) -> bool {
        match (name.strip_suffix(self.name.as_str()), self.matching) {
            (Some(""), _) => true,
            (Some(rest), HostMatch::Suffix) => rest.ends_with('.'),
            _ => false,
        }
    }
}

/// `login.oscar.aol.com` or `*.msg.yahoo.com`.
impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.matching {
            HostMatch::Exact => f.pad(&self.name),
            HostMatch::Suffix => f.pad(&format!("*.{}", self.name)),
        }
    }
}

/// Whose first bytes a signature is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Speaker {
    /// Who opens the connection.
    Client,
    /// Who listens.
    Server,
}

impl Speaker {
    /// Either.
    pub const ALL: [Self; 2] = [Self::Client, Self::Server];

    /// The name in rule files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// Bytes that a messenger's TCP connection opens with, on whatever port.
#[derive(Clone, Debug)]
pub struct SignatureRule {
    /// Name of the fact, such as `aim/flap`.
    pub id: String,
    /// What the connection is used for.
    pub feature: Feature,
    /// Who says it.
    pub speaker: Speaker,
    /// What.
    pub pattern: Pattern,
    /// It also begins the body of HTTP requests.
    pub in_http: bool,
    /// Who states it.
    pub source: Source,
    /// What refusing it promises, or cannot do.
    pub note: Option<String>,
    /// Where it stands.
    pub origin: Origin,
}

/// One rule file: a messenger and all that is stated about it.
#[derive(Clone, Debug)]
pub struct Messenger {
    /// Its id, such as `aim`.
    pub service: Service,
    /// Its name, such as `AOL Instant Messenger`.
    pub name: String,
    /// One sentence on it.
    pub about: String,
    /// What no port or host rule can stop.
    pub limits: Vec<String>,
    /// When its facts were last held against their sources.
    pub updated: Option<jiff::civil::Date>,
    /// Whether a policy that names no messenger is about this one, too.
    pub by_default: bool,
    /// Whether anybody runs its servers, or clients know them by address: one that no name led to is nothing unexpected.
    pub open: bool,
    /// Its ports, in the file's order.
    pub ports: Vec<PortRule>,
    /// Its hosts, in the file's order.
    pub hosts: Vec<HostRule>,
    /// What its connections open with, in the file's order.
    pub signatures: Vec<SignatureRule>,
    /// Names of its protocols in TLS.
    pub alpns: Vec<AlpnRule>,
    /// Fingerprints of its programs in TLS.
    pub fingerprints: Vec<FingerprintRule>,
    /// Address ranges of its servers.
    pub networks: Vec<NetworkRule>,
    /// What it says first.
    pub beginnings: Vec<BeginningRule>,
    /// What its calls show in STUN.
    pub stuns: Vec<StunRule>,
    /// What must be found by this file, and what must not.
    pub samples: Vec<Sample>,
    /// Where its file begins.
    pub origin: Origin,
}

impl Messenger {
    /// Every feature that a port, a signature or an exclusive host of it names, in order, each once.
    pub fn features(&self) -> Vec<Feature> {
        let ports = self.ports.iter().map(|rule| rule.feature);
        let hosts = self
            .hosts
            .iter()
            .filter(|rule| rule.usage == HostUse::Exclusive);
        let signatures = self.signatures.iter().map(|rule| rule.feature);
        let mut features: Vec<_> = ports
            .chain(hosts.map(|rule| rule.feature))
            .chain(signatures)
            .collect();
        features.sort_unstable();
        features.dedup();
        features
    }

    /// Whether anything that is stated can make a flow its own.
    pub fn can_be_named(&self) -> bool {
        let host = |rule: &HostRule| rule.usage == HostUse::Exclusive;
        self.hosts.iter().any(host)
            || self.ports.iter().any(|rule| rule.hint)
            || !(self.alpns.is_empty() && self.networks.is_empty())
            || !(self.beginnings.is_empty() && self.stuns.is_empty())
            || !self.fingerprints.is_empty()
    }
}
