//! A messenger in a flow that goes on.

use super::Finding;

/// What is known of it by now, and what of that is new.
#[derive(Clone, Debug)]
pub struct Detection {
    /// As if the flow ended now.
    pub finding: Finding,
    /// Why it is told.
    pub news: News,
}

/// Why a flow is told of before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// It was not told of before.
    New,
    /// More is known.
    More {
        /// Another messenger than thought, surer than before, or another account.
        identity: bool,
        /// Risks that were not there before.
        risks: Vec<&'static str>,
    },
    /// Nothing but its packets: it is time to say so.
    Interval,
}
