//! What was done about what was found (live only).

use super::{Confidence, FiveTuple, Service, Timestamp};

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// The connection was cut.
    Cut,
    /// Its server is refused to everybody.
    Blocked,
    /// Nothing: it is to be left alone.
    Spared,
    /// Nothing for now: there are too many.
    RateLimited,
    /// It did not work.
    Failed,
    /// All that was refused is not any more.
    Removed,
}

impl Deed {
    /// As records have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::Blocked => "blocked",
            Self::Spared => "spared",
            Self::RateLimited => "rate_limited",
            Self::Failed => "failed",
            Self::Removed => "removed",
        }
    }
}

/// The connection that something was done about.
#[derive(Clone, Debug)]
pub struct Concerned {
    /// Number of the flow.
    pub flow_id: u64,
    /// Client and server.
    pub tuple: FiveTuple,
    /// The messenger.
    pub service: Option<Service>,
    /// Its protocol.
    pub app_proto: Option<&'static str>,
    /// How sure that was.
    pub confidence: Option<Confidence>,
    /// Whose it was, where known.
    pub account: Option<String>,
}

/// Something that was done, or was not.
#[derive(Clone, Debug)]
pub struct Action {
    /// When.
    pub timestamp: Timestamp,
    /// What.
    pub deed: Deed,
    /// About which connection; none where it is about all of them.
    pub about: Option<Concerned>,
    /// When it ends by itself, unless somebody tries again before that.
    pub until: Option<Timestamp>,
    /// Why it is so, or is no more than that.
    pub reason: Option<String>,
    /// It was only said, not done.
    pub dry_run: bool,
}
