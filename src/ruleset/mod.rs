//! The rule files: which messenger uses which ports and hosts, and who says so.
//!
//! One TOML file a messenger. Four are built in (`rules/*.toml`); a folder of one's own replaces them **as a
//! whole**, so copy the built-in ones into it and change what you like.
//!
//! ```toml
//! id = "chat"                      # lower case, digits and '-': names flows, chains and counters
//! name = "Corporate Chat"
//! about = "One sentence."
//! limits = ["Chat: what no port or host rule can stop."]        # optional
//!
//! [[port]]
//! id = "chat/session"              # begins with the messenger's id
//! feature = "session"              # session, images, file-transfer, conferencing, voice, ...
//! transport = "tcp"                # tcp or udp
//! port = 7000                      # or "7000-7010"
//! direction = "out"                # out (default), in, both: who opens connections to it
//! source = "site"                  # document, site, vendor, observed, software, field, revival
//! hint = true                      # may this port alone make a flow "possible"? default: if not shared
//! shared_with = "the web (HTTP)"   # optional: whose port it is really; known, but never closed
//! note = "What closing it promises, or cannot do."              # optional
//!
//! [[host]]
//! name = "chat.example.com"
//! match = "suffix"                 # exact, or suffix: this name and all below it
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
//! source = "site"
//! note = "..."                     # optional
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

mod error;
mod fact;
mod feature;
mod index;
mod parse;
mod pattern;
mod read;
mod risks;
#[cfg(test)]
mod tests;
mod validate;

pub use error::{Mistake, Plain, RulesError, SourceFile};
pub use fact::{
    HostMatch, HostRule, HostUse, Messenger, Opening, Origin, PortRange, PortRule, SignatureRule,
    Source, Speaker,
};
pub use feature::Feature;
pub use pattern::Pattern;
pub use read::{Reader, toml as read_toml};

use crate::model::{Risk, Service, Transport};
use std::path::{Path, PathBuf};

const BUILTIN_RISKS: &str = include_str!("../../rules/risks.toml");

const BUILTIN: [(&str, &str); 4] = [
    ("rules/aim.toml", include_str!("../../rules/aim.toml")),
    ("rules/icq.toml", include_str!("../../rules/icq.toml")),
    ("rules/msn.toml", include_str!("../../rules/msn.toml")),
    ("rules/yahoo.toml", include_str!("../../rules/yahoo.toml")),
];

/// All messengers that are known, with their ports and hosts.
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
        Self::from_texts(BUILTIN.iter().map(|&(name, text)| SourceFile {
            name: name.into(),
            text: text.into(),
        }))
    }

    /// Every `*.toml` in a folder, in the order of their names, in place of the built-in rules.
    pub fn load_dir(dir: &Path) -> Result<Self, RulesError> {
        Self::load_files(&Self::files_in(dir)?)
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

    /// These files together, in place of the built-in rules.
    pub fn load_files(files: &[PathBuf]) -> Result<Self, RulesError> {
        let mut sources = Vec::with_capacity(files.len());
        for path in files {
            let text = std::fs::read_to_string(path).map_err(|error| RulesError::Unreadable {
                path: path.clone(),
                error,
            })?;
            sources.push(SourceFile {
                name: path.display().to_string().into(),
                text: text.into(),
            });
        }
        Self::from_texts(sources)
    }

    /// One rule file that is no file: its text, and the name that mistakes give it.
    pub fn from_text(name: &str, text: &str) -> Result<Self, RulesError> {
        Self::from_texts([SourceFile {
            name: name.into(),
            text: text.into(),
        }])
    }

    fn from_texts(files: impl IntoIterator<Item = SourceFile>) -> Result<Self, RulesError> {
        let is_risks = |file: &SourceFile| {
            Path::new(&*file.name)
                .file_name()
                .is_some_and(|name| name == risks::FILE)
        };
        let (described, files): (Vec<_>, Vec<_>) = files.into_iter().partition(is_risks);
        // A folder without that file has its messengers judged as usual.
        let described = described.into_iter().next_back().unwrap_or(SourceFile {
            name: "rules/risks.toml".into(),
            text: BUILTIN_RISKS.into(),
        });
        let risks = risks::parse(&described).map_err(RulesError::Invalid)?;
        let messengers = validate::messengers(files).map_err(RulesError::Invalid)?;
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

    /// Whether this host is known to serve a messenger and others alike.
    pub fn is_shared_host(&self, name: &str) -> bool {
        self.index
            .host(&self.messengers, name, HostUse::Shared)
            .is_some()
    }
}
