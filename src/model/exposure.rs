//! What a flow exposes: seen in flows, described by the rule files.

use super::Timestamp;
use serde::Serialize;
use std::fmt;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Of use to an attacker who has something else already.
    Low,
    /// Breaks what most policies ask for.
    Medium,
    /// Hands over an account or a machine to whoever listens.
    High,
    /// An attack.
    Critical,
}

impl Severity {
    /// All, the worst first.
    pub const ALL: [Self; 5] = [
        Self::Critical,
        Self::High,
        Self::Medium,
        Self::Low,
        Self::Info,
    ];

    /// Lower-case name, as in the records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What is to be said of a risk, from `rules/risks.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Risk {
    /// As in the flow record, from [`id`].
    pub id: String,
    /// A line.
    pub title: String,
    /// How bad.
    pub severity: Severity,
    /// What it means.
    pub about: String,
    /// What to do about it.
    pub advice: String,
}

/// A place where a risk shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sighting {
    /// Number of the packet that completed it.
    pub packet: u64,
    /// Where in the bytes of its direction it begins.
    pub offset: u64,
    /// What exactly was seen, where that says more than the risk's title. Never text, never a credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Places of one risk in one flow that are kept; more are counted.
const MAX_SIGHTINGS: usize = 8;

/// One risk of one flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// How often.
    pub count: u64,
    /// First seen.
    pub first_seen: Timestamp,
    /// Last seen.
    pub last_seen: Timestamp,
    /// Where.
    pub sightings: Vec<Sighting>,
}

impl Exposure {
    /// Not seen yet, but about to be.
    pub const fn at(time: Timestamp) -> Self {
        Self {
            count: 0,
            first_seen: time,
            last_seen: time,
            sightings: Vec::new(),
        }
    }

    /// Seen once more; the bytes that it costs to remember.
    pub fn seen(&mut self, time: Timestamp, sighting: Sighting) -> usize {
        self.count += 1;
        self.last_seen = self.last_seen.max(time);
        // One that says something new is worth a place; the same again is counted.
        let told = self
            .sightings
            .iter()
            .any(|known| known.detail == sighting.detail && sighting.detail.is_some());
        if told || self.sightings.len() >= MAX_SIGHTINGS {
            return 0;
        }
        let cost = 2 * size_of::<Sighting>() + sighting.detail.as_ref().map_or(0, String::len);
        self.sightings.push(sighting);
        cost
    }
}

/// The risks that are known how to be seen. Each has its entry in `rules/risks.toml`.
pub mod id {
    /// Messages crossed in clear text.
    pub const CLEARTEXT_MESSAGES: &str = "cleartext-messages";
    /// A password crossed in clear.
    pub const CLEARTEXT_PASSWORD: &str = "cleartext-password";
    /// A password crossed under a reversible cipher (XOR roast, TOC, ICQ UDP).
    pub const REVERSIBLE_PASSWORD: &str = "reversible-password";
    /// A password hash crossed that can be guessed offline (MD5 sign-on, YMSG challenge).
    pub const WEAK_SIGN_ON: &str = "weak-sign-on";
    /// A session cookie or ticket crossed in clear.
    pub const CLEARTEXT_COOKIE: &str = "cleartext-cookie";
    /// The address of a user was told to another party.
    pub const ADDRESS_REVEALED: &str = "address-revealed";
    /// A file was offered or sent.
    pub const FILE_TRANSFER: &str = "file-transfer";
    /// That file is a program.
    pub const EXECUTABLE_FILE: &str = "executable-file";
    /// That file holds others.
    pub const ARCHIVE_FILE: &str = "archive-file";
    /// That file is music, a film or a picture.
    pub const MEDIA_FILE: &str = "media-file";
    /// A folder was opened to another user.
    pub const FILE_SHARE: &str = "file-share";
    /// Somebody else was asked to take the machine over.
    pub const REMOTE_ASSISTANCE: &str = "remote-assistance";
    /// A program or the whole screen is shown to another user.
    pub const APPLICATION_SHARING: &str = "application-sharing";
    /// What a known attack looks like.
    pub const EXPLOIT: &str = "exploit";
    /// Units that no client of that messenger makes.
    pub const MALFORMED: &str = "malformed";
    /// More than a person can type or read.
    pub const FLOOD: &str = "flood";
    /// A server that none of the messenger's host names led to.
    pub const UNEXPECTED_SERVER: &str = "unexpected-server";

    /// All of them.
    pub const ALL: [&str; 17] = [
        CLEARTEXT_MESSAGES,
        CLEARTEXT_PASSWORD,
        REVERSIBLE_PASSWORD,
        WEAK_SIGN_ON,
        CLEARTEXT_COOKIE,
        ADDRESS_REVEALED,
        FILE_TRANSFER,
        EXECUTABLE_FILE,
        ARCHIVE_FILE,
        MEDIA_FILE,
        FILE_SHARE,
        REMOTE_ASSISTANCE,
        APPLICATION_SHARING,
        EXPLOIT,
        MALFORMED,
        FLOOD,
        UNEXPECTED_SERVER,
    ];
}
