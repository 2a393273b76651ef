//! How sure, and why.

use serde::Serialize;
use std::borrow::Cow;
use std::fmt;

/// How sure a verdict is. Ordered: `Possible < Probable < Confirmed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// A port of that messenger, nothing else. Never counted as a detection.
    Possible,
    /// One unambiguous signature, or a host name that only that messenger uses.
    Probable,
    /// Protocol structure proven: two chained units, a unit and its answer, or a predicted
    /// endpoint that behaves.
    Confirmed,
}

impl Confidence {
    /// Lower-case name, as in the flow record.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Possible => "possible",
            Self::Probable => "probable",
            Self::Confirmed => "confirmed",
        }
    }
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Where a piece of evidence was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EvidenceKind {
    /// In the bytes of the flow.
    Payload,
    /// A host name: DNS answer, TLS SNI, HTTP Host or CONNECT.
    Host,
    /// Another flow said that this one would come.
    Learned,
    /// The server's port.
    Port,
    /// The server's address.
    Address,
}

/// One reason for a verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Where it was found.
    pub kind: EvidenceKind,
    /// Short stable identifier, such as `flap-chain`.
    pub what: &'static str,
    /// For people: what exactly was seen. Never message text, never a credential.
    pub detail: Cow<'static, str>,
    /// Number of the packet that showed it; 0 until the engine fills it in.
    pub packet: u64,
    /// Where in the bytes of its direction that begins; 0 until the engine fills it in.
    pub offset: u64,
}

impl Evidence {
    /// Evidence from the bytes of the flow.
    pub fn payload(what: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind: EvidenceKind::Payload,
            what,
            detail: detail.into(),
            packet: 0,
            offset: 0,
        }
    }
}
