//! The rule files: which messenger uses which ports and hosts, and who says so.
//!
//! One TOML file a messenger. Those of `rules/` and `rules/modern/` are built in; a folder of one's own comes before
//! them: a file of the same `id` takes a built-in one's place, and a host, protocol or address range that it states is
//! its own.
//!
//! ```toml
//! id = "chat"                      # lower case, digits and '-': names flows, chains and counters
//! name = "Corporate Chat"
//! about = "One sentence."
//! updated = "2026-11-28"           # when the facts were last held against their sources; old lists are warned about
//! policy = "asked"                 # optional: a policy is about it only when it is named; default: "always"
//! servers = "anybody"              # optional: a server that no name led to is nothing unexpected; default: "named"
//! limits = ["Chat: what no port or host rule can stop."]        # optional
//!
//! [[port]]
//! id = "chat/session"              # begins with the messenger's id
//! feature = "session"              # session, images, file-transfer, conferencing, voice, ...
//! transport = "tcp"                # tcp or udp
//! port = 7000                      # or "7000-7010"
//! direction = "out"                # out (default), in, both: who opens connections to it
//! source = "site"                  # document, site, vendor, observed, software, field, revival
//! reference = "RFC 0000, 5.1"      # optional, here and below: where that can be read
//! hint = true                      # may this port alone make a flow "possible"? default: if not shared
//! shared_with = "the web (HTTP)"   # optional: whose port it is really; known, but never closed
//! note = "What closing it promises, or cannot do."              # optional
//!
//! [[host]]
//! name = "chat.example.com"
//! match = "suffix"                 # exact, or suffix: this name and all below it, label by label
//! feature = "everything"
//! use = "exclusive"                # exclusive, or shared with other services: then it proves nothing
//! source = "site"
//! note = "..."                     # optional
//!
//! [[signature]]
//! id = "chat/hello"
//! feature = "session"
//! from = "client"                  # who says it first: client or server
//! pattern = "'HELLO ' ?? 00 01"    # text, bytes in hex, any byte: what a connection opens with
//! in_http = true                   # a client's only: so does the body of an HTTP request that carries it; false, if left out
//! source = "site"
//! note = "..."                     # optional
//!
//! [[alpn]]                         # the protocol's name in TLS, when it is this messenger's alone: "probable"
//! protocol = "chat-client"
//! source = "site"
//!
//! [[fingerprint]]                  # the JA4 of its programs' hellos: supports, and never more than "possible" alone
//! ja4 = ["t13d1516h2_8daaf6152771_e5627efa2ab1"]                # over TLS (t) and QUIC (q)
//! date = "2026-11-28"              # when they were taken: programs change; old ones are warned about
//! source = "site"
//!
//! [[network]]                      # addresses of servers: never more than "possible", never closed; needs `updated`
//! net = "192.0.2.0/24"
//! source = "site"
//!
//! [[beginning]]                    # how one side begins: "probable"
//! id = "chat/hello"
//! transport = "tcp"
//! sender = "client"                # client, server, either
//! bytes = "43 48 41 54 0? ??"      # hexadecimal, `?` for an unknown digit; at least 32 bits known
//! mask = "df df df df ff ff"       # optional: the bits of `bytes` that count; `df` takes a letter in any case
//! offset = 0                       # where they stand
//! length = 24                      # that side says at least so many bytes
//! longest = 90                     # optional, UDP: a datagram has no more
//! port = 7000                      # optional: the server's port, or "7000-7010"; default: any
//! regex = "^CHAT..[a-z]+"          # optional: must match the first `length` bytes; then 24 known bits are enough
//! within = 200                     # optional: the regex may match anywhere in so many, as soon as it does
//! source = "site"
//!
//! [[beginning]]                    # two that belong together, one a side: "confirmed"
//! id = "chat/welcome"
//! answers = "chat/hello"
//! alone = false                    # optional: says nothing without its other half
//! transport = "tcp"
//! sender = "server"
//! bytes = "4f 4b 41 59"
//! source = "site"
//!
//! [[stun]]                         # what the calls show in a STUN or TURN message, all of it together: "probable";
//! id = "chat/relay"                # two facts that differ in one flow: "confirmed"
//! message = "0x0800-0x0802"        # its type is one of these; a number, or a run of them
//! attribute = 0x4000               # it has such an attribute; neither may be everybody's alone
//! realm = "chat.example.com"       # its REALM is this name or one below it, label by label
//! software = "ChatRelay/"          # its SOFTWARE begins so
//! username = "^[0-9]{10}:chat$"    # its USERNAME matches
//! cookie = true                    # it has the magic cookie of RFC 8489 (default), or has not (RFC 3489)
//! sure = "possible"                # for what others may send as well; default: "probable"
//! source = "site"
//!
//! [[sample]]                       # what must be found (at least that sure) and what must be "silent"
//! expect = "confirmed"
//! transport = "tcp"
//! port = 7000
//! client = "43 48 41 54 01 00 61 61 61 61 61 61 61 61 61 61 61 61 61 61 61 61 61 61"
//! server = "4f 4b 41 59"           # or: host = "name" (TLS), alpn = "name" (TLS), capture = "file.pcap"
//!
//! [[sample]]
//! expect = "silent"
//! host = "chat.example.com.evil.example"
//! ```
//!
//! `risks.toml` beside them says of each risk that a flow can show how bad it is and what to do:
//!
//! ```toml
//! [[risk]]
//! id = "cleartext-messages"        # one of those that are looked for; each must be described
//! title = "Messages crossed in clear text"
//! severity = "medium"              # info, low, medium, high, critical
//! about = "What it means."
//! advice = "What to do about it."
//! ```

mod beginning;
mod builtin;
mod error;
mod fact;
mod feature;
pub mod import;
mod index;
mod parse;
mod pattern;
mod read;
mod risks;
mod sample;
mod stun;
#[cfg(test)]
mod stun_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_builtin;
mod validate;
mod validate_sample;
mod validate_wire;
mod warning;

pub use beginning::{AlpnRule, BeginningRule, Bytes, FingerprintRule, Match, NetworkRule, Sender};
pub use error::{Mistake, Plain, RulesError, SourceFile};
pub use fact::{
    HostMatch, HostRule, HostUse, Messenger, Opening, Origin, PortRange, PortRule, SignatureRule,
    Source, Speaker,
};
pub use feature::Feature;
pub use pattern::Pattern;
pub use read::{Reader, toml as read_toml};
pub use sample::{Sample, Traffic};
pub use stun::{Numbers, StunMessage, StunRule};
pub use warning::Warning;

use crate::model::{Risk, Service, Transport};
use std::path::{Path, PathBuf};

/// All messengers that are known, with what is stated about them.
#[derive(Clone, Debug)]
pub struct RuleSet {
    messengers: Vec<Messenger>,
    index: index::Index,
    risks: Vec<Risk>,
}

/// A messenger that usually listens on the port asked about.
#[derive(Clone, Copy, Debug)]
pub struct PortHint<'a> {
    /// The messenger.
    pub service: &'a Service,
    /// The fact.
    pub rule: &'a PortRule,
}

/// A messenger that the host name asked about belongs to.
#[derive(Clone, Copy, Debug)]
pub struct HostHit<'a> {
    /// The messenger.
    pub service: &'a Service,
    /// The fact.
    pub rule: &'a HostRule,
}

impl RuleSet {
    /// The rules that come with the program.
    pub fn builtin() -> Result<Self, RulesError> {
        Self::from_texts(builtin::files(), [])
    }

    /// Every `*.toml` in a folder, in the order of their names, before the built-in rules, which give way.
    pub fn load_dir(dir: &Path) -> Result<Self, RulesError> {
        Self::from_texts(read(&Self::files_in(dir)?)?, builtin::files())
    }

    /// The `*.toml` files in a folder, in the order of their names; an error when there is none.
    pub fn files_in(dir: &Path) -> Result<Vec<PathBuf>, RulesError> {
        let unreadable = |error| RulesError::Unreadable {
            path: dir.to_owned(),
            error,
        };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(dir).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "toml")
            {
                files.push(path);
            }
        }
        if files.is_empty() {
            return Err(RulesError::Empty(dir.to_owned()));
        }
        files.sort_unstable();
        Ok(files)
    }

    /// These files together, without the built-in rules.
    pub fn load_files(files: &[PathBuf]) -> Result<Self, RulesError> {
        Self::from_texts(read(files)?, [])
    }

    /// One rule file that is no file: its text, and the name that mistakes give it.
    pub fn from_text(name: &str, text: &str) -> Result<Self, RulesError> {
        let file = SourceFile {
            name: name.into(),
            text: text.into(),
        };
        Self::from_texts([file], [])
    }

    fn from_texts(
        files: impl IntoIterator<Item = SourceFile>,
        yielding: impl IntoIterator<Item = SourceFile>,
    ) -> Result<Self, RulesError> {
        let is_risks = |file: &SourceFile| {
            Path::new(&*file.name)
                .file_name()
                .is_some_and(|name| name == risks::FILE)
        };
        let (described, files): (Vec<_>, Vec<_>) = files.into_iter().partition(is_risks);
        // A folder without that file has its messengers judged as usual.
        let described = described.into_iter().next_back();
        let described = described.unwrap_or_else(builtin::risks);
        let risks = risks::parse(&described).map_err(RulesError::Invalid)?;
        let messengers = validate::messengers(files, yielding).map_err(RulesError::Invalid)?;
        Ok(Self {
            index: index::Index::new(&messengers),
            messengers,
            risks,
        })
    }

    /// What is to be said of the risks that flows show.
    pub fn risks(&self) -> &[Risk] {
        &self.risks
    }

    /// All messengers, in the order of their files.
    pub fn messengers(&self) -> &[Messenger] {
        &self.messengers
    }

    /// The messenger of that id.
    pub fn messenger(&self, id: &str) -> Option<&Messenger> {
        self.messengers
            .iter()
            .find(|messenger| messenger.service.id() == id)
    }

    /// The messengers that usually listen on a port: a guess and no more. Ports that others use as much
    /// (`hint = false`) give none. One hash look-up.
    pub fn port_hints(
        &self,
        transport: Transport,
        port: u16,
    ) -> impl Iterator<Item = PortHint<'_>> {
        self.index.port_hints(&self.messengers, transport, port)
    }

    /// The messenger that alone uses this host: label by label, whatever the case, a final dot ignored, the
    /// longest fact wins. A host that other services share gives `None`.
    pub fn host(&self, name: &str) -> Option<HostHit<'_>> {
        self.index.host(&self.messengers, name, HostUse::Exclusive)
    }

    /// The messenger that alone uses every host that a certificate is for. A wildcard stands for one label (RFC 6125, 6.4.3):
    /// whatever it may be must be the messenger's.
    pub fn certified(&self, names: &[String]) -> Option<&Service> {
        let mut users = names.iter().map(|name| self.only_user(name));
        let first = users.next()??;
        users.all(|user| user == Some(first)).then_some(first)
    }

    /// The messenger that alone uses a host, or all hosts that a wildcard stands for.
    fn only_user(&self, name: &str) -> Option<&Service> {
        let above = name.strip_prefix("*.").unwrap_or(name);
        if above.contains('*') {
            return None;
        }
        // (A rule for one host is not about a name with an asterisk before it.)
        let user = self.host(name)?.service;
        let is_meant = |rule: &&HostRule| {
            let below = rule.name.strip_suffix(above);
            let label = below.and_then(|below| below.strip_suffix('.'));
            label.is_some_and(|label| !label.contains('.'))
        };
        let known = self.messengers.iter().flat_map(|it| &it.hosts);
        let others = known.filter(is_meant).map(|rule| self.host(&rule.name));
        let wild = above.len() < name.len();
        let mut others = others.map(|hit| hit.map(|hit| hit.service));
        (!wild || others.all(|other| other == Some(user))).then_some(user)
    }

    /// The messenger that alone has a protocol of that name in TLS.
    pub fn alpn(&self, protocol: &str) -> Option<&Service> {
        self.index.alpn(&self.messengers, protocol)
    }

    /// The messenger one of whose programs has this JA4: a guess and no more.
    pub fn fingerprint(&self, ja4: &str) -> Option<&Service> {
        self.index.fingerprint(&self.messengers, ja4)
    }

    /// All JA4 that rules are about.
    pub fn fingerprints(&self) -> impl Iterator<Item = &str> {
        let rules = self.messengers.iter().flat_map(|it| &it.fingerprints);
        rules.flat_map(|rule| &rule.ja4).map(String::as_str)
    }

    /// Whether this messenger is known to use a host that others use as well.
    pub fn shares_host(&self, service: &Service, name: &str) -> bool {
        let messenger = self.messenger(service.id());
        messenger.is_some_and(|messenger| {
            let mut hosts = messenger.hosts.iter();
            hosts.any(|rule| rule.usage == HostUse::Shared && rule.names(name))
        })
    }

    /// The messenger whose servers are in the range of this address, and the range: a guess and no more.
    pub fn network(&self, ip: std::net::IpAddr) -> Option<(&Service, &NetworkRule)> {
        self.index.network(&self.messengers, ip)
    }

    /// Whether this host is known to serve a messenger and others alike.
    pub fn is_shared_host(&self, name: &str) -> bool {
        self.index
            .host(&self.messengers, name, HostUse::Shared)
            .is_some()
    }
}

fn read(files: &[PathBuf]) -> Result<Vec<SourceFile>, RulesError> {
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).map_err(|error| RulesError::Unreadable {
            path: path.clone(),
            error,
        })?;
        Ok(SourceFile {
            name: path.display().to_string().into(),
            text: text.into(),
        })
    };
    files.iter().map(read).collect()
}
