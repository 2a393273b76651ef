//! What is never closed, because more than a messenger would go with it.

use crate::ruleset::{Origin, PortRule};
use std::fmt;

/// Ports that carry everybody's traffic, or an administrator's only way in.
const PROTECTED: [(u16, &str); 4] = [
    (22, "remote administration (SSH)"),
    (53, "name resolution (DNS)"),
    (80, "the web"),
    (443, "the web"),
];

/// A wider range takes in other people's connections, which take any free port.
const MAX_CLOSED_PORTS: u32 = 1024;

/// A fact of a rule file that asks for too much.
#[derive(Clone, Debug)]
pub struct Refusal {
    id: String,
    origin: Origin,
    reason: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: refusing to close {}: {}; to keep the fact without closing the port, say whose it is: shared_with = \"...\"",
            self.origin, self.id, self.reason
        )
    }
}

/// What may be done with a port.
pub(super) enum Judgement {
    /// Close it.
    Close,
    /// Known to be somebody else's: leave it open and say so.
    LeaveOpen(String),
}

/// Whether the ports of a fact may be closed.
pub(super) fn judge(rule: &PortRule) -> Result<Judgement, Refusal> {
    if let Some(owner) = &rule.shared_with {
        return Ok(Judgement::LeaveOpen(format!("shared with {owner}")));
    }
    let protected = PROTECTED
        .iter()
        .find(|&&(port, _)| rule.ports.contains(port));
    let reason = if let Some((port, what)) = protected {
        format!("port {port} carries {what}")
    } else if rule.ports.count() > MAX_CLOSED_PORTS {
        format!(
            "{} ports at once take in other people's traffic",
            rule.ports.count()
        )
    } else {
        return Ok(Judgement::Close);
    };
    Err(Refusal {
        id: rule.id.clone(),
        origin: rule.origin.clone(),
        reason,
    })
}
