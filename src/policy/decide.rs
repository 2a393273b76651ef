//! Which rule decides about a connection: the plan, read as a firewall reads its rules.

use super::render::rule_names;
use super::{Action, Opening, Plan, Target};
use crate::model::{Endpoint, Transport};
use std::fmt;

/// A connection that somebody opens.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// TCP or UDP.
    pub transport: Transport,
    /// Who opens it.
    pub client: Endpoint,
    /// To where.
    pub server: Endpoint,
    /// What the client says first, in one segment.
    pub payload: Vec<u8>,
    /// There are IPv6 extension headers before the transport's.
    pub extended: bool,
}

/// What becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is refused when it is opened.
    Refused(Reason),
    /// It is opened, and refused once the client has said what it wants.
    RefusedByPayload(Reason),
    /// It is counted and logged, and passes: the policy only looks.
    Logged(Reason),
    /// No rule is against it.
    Passes,
}

impl Decision {
    /// Whether it gets through.
    pub const fn passes(&self) -> bool {
        matches!(self, Self::Logged(_) | Self::Passes)
    }
}

/// The rule, and why it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Its counter, in nftables; its chain, in iptables.
    pub rule: String,
    /// The facts behind it.
    pub why: String,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(Reason { rule, why }) => {
                write!(f, "refused when it is opened, by {rule}: {why}")
            }
            Self::RefusedByPayload(Reason { rule, why }) => {
                write!(f, "opened, and refused at this request, by {rule}: {why}")
            }
            Self::Logged(Reason { rule, why }) => {
                write!(f, "counted and logged by {rule}, and passes: {why}")
            }
            Self::Passes => f.write_str("passes: no rule is against it"),
        }
    }
}

impl Plan {
    /// What a packet filter with these rules does with a connection.
    pub fn decide(&self, attempt: &Attempt, target: Target) -> Decision {
        match (self.judge(attempt, target), self.action) {
            (Decision::Refused(reason) | Decision::RefusedByPayload(reason), Action::Log) => {
                Decision::Logged(reason)
            }
            (decision, _) => decision,
        }
    }

    fn judge(&self, attempt: &Attempt, target: Target) -> Decision {
        let (client, server) = (attempt.client.ip, attempt.server.ip);
        if self.leaves_alone(client) || self.leaves_alone(server) {
            return Decision::Passes;
        }
        if !self.is_about(client) && !self.is_about(server) {
            return Decision::Passes;
        }
        let names = rule_names(self, target);
        // What was seen comes first, whichever end it is.
        for (group, name) in self.seen.iter().zip(&names.seen) {
            for seen in group.seen.iter().filter(|seen| seen.opening.is_none()) {
                if seen.transport == attempt.transport
                    && [attempt.server, attempt.client].contains(&seen.server)
                {
                    return Decision::Refused(Reason {
                        rule: name.clone(),
                        why: format!("{} {}, {}", group.service, group.feature, seen.words()),
                    });
                }
            }
        }
        if !self.is_about(client) {
            return Decision::Passes;
        }
        for (group, name) in self.groups.iter().zip(&names.groups) {
            let hit = group.ports.iter().find(|ports| {
                ports.transport == attempt.transport && ports.range.contains(attempt.server.port)
            });
            if let Some(ports) = hit {
                let owners: Vec<String> = ports
                    .owners
                    .iter()
                    .map(|owner| format!("{} ({})", owner.id, owner.source))
                    .collect();
                return Decision::Refused(Reason {
                    rule: name.clone(),
                    why: owners.join(", "),
                });
            }
        }
        for (group, name) in self.seen.iter().zip(&names.seen) {
            for seen in &group.seen {
                if let Some(opening) = &seen.opening
                    && seen.transport == attempt.transport
                    && seen.server == attempt.server
                    && finds(opening, attempt, target)
                {
                    return Decision::RefusedByPayload(Reason {
                        rule: name.clone(),
                        why: format!("{} {}, {}", group.service, group.feature, seen.words()),
                    });
                }
            }
        }
        Decision::Passes
    }
}

/// iptables looks at a fixed place behind the IPv6 header; nftables walks there.
fn finds(opening: &Opening, attempt: &Attempt, target: Target) -> bool {
    let blind = attempt.extended
        && attempt.server.ip.is_ipv6()
        && matches!(target, Target::Ip6tables | Target::IptablesScript);
    !blind && opening.is_in(&attempt.payload)
}
