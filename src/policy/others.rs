//! Flows of others that were seen: where they went, and the names that they asked for.

use super::hello;
use crate::model::{Endpoint, Transport};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

/// Names of addresses that are kept, all captures together.
const MAX_GIVEN: usize = 1 << 20;

/// Flows of others that are alike for a policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Other {
    /// TCP or UDP.
    pub transport: Transport,
    /// Who opened them.
    pub client: IpAddr,
    /// Where they went.
    pub server: Endpoint,
    /// The hosts that they asked for.
    pub names: BTreeSet<String>,
}

impl Other {
    /// A flow of which it is not known what it asked for.
    pub const fn new(transport: Transport, client: IpAddr, server: Endpoint) -> Self {
        Self {
            transport,
            client,
            server,
            names: BTreeSet::new(),
        }
    }
}

/// A rule that refuses what is said.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByContent {
    /// Its counter in nftables.
    pub rule: String,
    /// Only a firewall sees it that searches, and does not only compare bytes at fixed places.
    pub searched: bool,
}

/// How a flow was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// In a capture, with what was said.
    Capture,
    /// In the records of an earlier run, which have only where it went.
    Record,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Others {
    places: HashMap<(Transport, Endpoint), BTreeMap<Other, u64>>,
    given: HashMap<IpAddr, BTreeSet<String>>,
    kept: usize,
    all: u64,
    /// Flows whose bytes and names are not there.
    records: u64,
    /// There were more names than are kept.
    more: bool,
    /// What was said was held against rules.
    pub(super) heard: bool,
    /// Flows that rules would refuse by what is said, and where they went.
    pub(super) said: BTreeMap<(ByContent, Transport, Endpoint), u64>,
}

impl Others {
    /// One more.
    pub fn add(&mut self, other: Other, source: Source) {
        self.all += 1;
        self.records += u64::from(source == Source::Record);
        let place = self.places.entry((other.transport, other.server));
        *place.or_default().entry(other).or_default() += 1;
    }

    /// DNS gave an address for a name.
    pub fn give(&mut self, ip: IpAddr, name: String) {
        if self.kept >= MAX_GIVEN {
            self.more = true;
        } else if self.given.entry(ip).or_default().insert(name) {
            self.kept += 1;
        }
    }

    /// There were names that nobody kept.
    pub const fn lack_names(&mut self) {
        self.more = true;
    }

    /// A rule would refuse one of them by what is said.
    pub fn refuse(&mut self, by: ByContent, transport: Transport, server: Endpoint) {
        *self.said.entry((by, transport, server)).or_default() += 1;
    }

    /// All captures were read for what is said.
    pub const fn heard(&mut self) {
        self.heard = true;
    }

    /// How many there are.
    pub const fn count(&self) -> u64 {
        self.all
    }

    /// Whether any went there.
    pub fn are_at(&self, transport: Transport, server: Endpoint) -> bool {
        self.places.contains_key(&(transport, server))
    }

    /// Names that DNS gave an address for.
    pub fn names_of(&self, ip: IpAddr) -> impl Iterator<Item = &String> {
        self.given.get(&ip).into_iter().flatten()
    }

    /// Whether any went to a host of that name.
    pub fn ask_for(&self, name: &str) -> bool {
        self.each().any(|(other, _)| self.asks(other, name))
    }

    /// Those that are alike together, and how many they are.
    pub(super) fn each(&self) -> impl Iterator<Item = (&Other, u64)> {
        let all = self.places.values().flatten();
        all.map(|(other, flows)| (other, *flows))
    }

    /// Whether a flow goes to such a host (`*.` before it: or one below): what it asks for tells, else what DNS gave.
    pub(super) fn asks(&self, other: &Other, name: &str) -> bool {
        let is = |it: &String| it == name || hello::takes_in(name, it);
        if other.names.is_empty() {
            self.names_of(other.server.ip).any(is)
        } else {
            other.names.iter().any(is)
        }
    }

    /// What can be said of so many flows, if it takes their names or, as `told`, what was said.
    pub(super) const fn sure(&self, flows: u64, told: bool) -> Touched {
        if self.records == self.all || !told {
            Touched::Unknown
        } else if self.records > 0 || self.more {
            Touched::AtLeast(flows)
        } else {
            Touched::Flows(flows)
        }
    }
}

/// How many flows of others a rule would touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touched {
    /// So many.
    Flows(u64),
    /// So many, and perhaps some of those that only a record is there of.
    AtLeast(u64),
    /// It takes what was said and asked for, which nobody kept.
    Unknown,
}
