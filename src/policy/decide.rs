//! Which rule decides about a connection: the plan, read as a firewall reads its rules.

use super::render::{RuleNames, rule_names};
use super::{Action, HostDeny, Opening, Owner, Place, Plan, Target, hello};
use crate::model::{Endpoint, Transport};
use crate::ruleset::Speaker;
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

/// What a firewall sees of a connection besides its packets, and what the other side says.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Where the opener's packets come in; `None` if nobody knows, or nowhere.
    pub incoming: Option<String>,
    /// Where they go out.
    pub outgoing: Option<String>,
    /// Names that the resolver, which fills our sets, gave this server's address for.
    pub names: Vec<String>,
    /// The user of this machine who opens it, as a policy names him.
    pub user: Option<String>,
    /// What the server says, before the client says anything, in one segment.
    pub greeting: Vec<u8>,
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
        self.decide_in(attempt, target, &Surroundings::default())
    }

    /// The same, where more is known than the connection itself.
    pub fn decide_in(&self, attempt: &Attempt, target: Target, around: &Surroundings) -> Decision {
        let names = rule_names(self, target);
        match (self.judge(attempt, target, around, &names), self.action) {
            (Decision::Refused(reason) | Decision::RefusedByPayload(reason), Action::Log) => {
                Decision::Logged(reason)
            }
            (decision, _) => decision,
        }
    }

    /// What its rules, which are called so, do with it; what only looks does as if it refused.
    pub(super) fn judge(
        &self,
        attempt: &Attempt,
        target: Target,
        around: &Surroundings,
        names: &RuleNames,
    ) -> Decision {
        let (client, server) = (attempt.client.ip, attempt.server.ip);
        let (incoming, outgoing) = (&around.incoming, &around.outgoing);
        if !self
            .interfaces
            .take(incoming.as_deref(), outgoing.as_deref())
        {
            return Decision::Passes;
        }
        if self.leaves_alone(client) || self.leaves_alone(server) {
            return Decision::Passes;
        }
        if !self.is_about(client) && !self.is_about(server) {
            return Decision::Passes;
        }
        if let Some(user) = &around.user
            && self.users.iter().any(|it| it.name() == user)
        {
            return Decision::Passes;
        }
        // What was seen comes first, whichever end it is.
        for (group, name) in self.seen.iter().zip(&names.seen) {
            for seen in group.seen.iter().filter(|seen| seen.opening.is_none()) {
                if seen.transport == attempt.transport
                    && [attempt.server, attempt.client].contains(&seen.server)
                {
                    let why = format!("{} {}, {}", group.service, group.feature, seen.words());
                    return Decision::Refused(Reason::new(name, why));
                }
            }
        }
        if !self.is_about(client) {
            return Decision::Passes;
        }
        self.by_place(attempt, names, around)
            .map(Decision::Refused)
            .or_else(|| {
                self.by_content(attempt, target, names, around)
                    .map(Decision::RefusedByPayload)
            })
            .unwrap_or(Decision::Passes)
    }

    /// By where it goes: rules of one's own, then names, then ports.
    fn by_place(
        &self,
        attempt: &Attempt,
        names: &RuleNames,
        around: &Surroundings,
    ) -> Option<Reason> {
        let Attempt {
            transport, server, ..
        } = attempt;
        for (rule, name) in self.custom.iter().zip(&names.custom) {
            let there = match &rule.place {
                Place::Net(net) => net.contains(&server.ip),
                Place::Anywhere => true,
                Place::Name { .. } | Place::Hello { .. } => false,
            };
            if there && rule.takes(*transport, server.port) {
                return Some(Reason::new(name, format!("{}: {}", rule.id, rule.reason)));
            }
        }
        for (group, name) in self.names.iter().zip(&names.names) {
            let takes = group
                .ports
                .is_none_or(|(its, range)| its == *transport && range.contains(server.port));
            let told = around.names.iter().find(|told| {
                let hit = |host: &&HostDeny| host.feeds(told);
                group.names.iter().any(|host| hit(&host))
            });
            if let (true, Some(told)) = (takes, told) {
                let why = format!("a resolver gave this address for {told}");
                return Some(Reason::new(name, why));
            }
        }
        for (group, name) in self.groups.iter().zip(&names.groups) {
            let hit = group
                .ports
                .iter()
                .find(|ports| ports.transport == *transport && ports.range.contains(server.port));
            if let Some(ports) = hit {
                return Some(Reason::new(name, owners(&ports.owners)));
            }
        }
        None
    }

    /// By what is said: at places that others use too, and anywhere.
    fn by_content(
        &self,
        attempt: &Attempt,
        target: Target,
        names: &RuleNames,
        around: &Surroundings,
    ) -> Option<Reason> {
        for (group, name) in self.seen.iter().zip(&names.seen) {
            for seen in &group.seen {
                if let Some(opening) = &seen.opening
                    && seen.transport == attempt.transport
                    && seen.server == attempt.server
                    && finds(opening, &attempt.payload, attempt, target)
                {
                    let why = format!("{} {}, {}", group.service, group.feature, seen.words());
                    return Some(Reason::new(name, why));
                }
            }
        }
        if attempt.transport != Transport::Tcp {
            return None;
        }
        for (speaker, said) in [
            (Speaker::Server, &around.greeting),
            (Speaker::Client, &attempt.payload),
        ] {
            for (at, signature) in self.said_by(speaker) {
                let in_request = searches(attempt, target) && signature.is_in_request(said);
                if in_request || finds(&signature.opening, said, attempt, target) {
                    let name = names.signatures.get(at)?;
                    return Some(Reason::new(name, owners(&signature.owners)));
                }
            }
        }
        if !searches(attempt, target) || !hello::opening().is_in(&attempt.payload) {
            return None;
        }
        let (at, host) = hello::asked(self, &attempt.payload, attempt.server.port)?;
        let why = format!("its TLS hello asks for {} ({})", host.name, host.source);
        Some(Reason::new(names.sni.get(at)?, why))
    }
}

impl Reason {
    fn new(rule: &str, why: String) -> Self {
        Self {
            rule: rule.to_owned(),
            why,
        }
    }
}

/// `aim/session (document), icq/session (document)`.
fn owners(owners: &[Owner]) -> String {
    let words: Vec<String> = owners
        .iter()
        .map(|owner| format!("{} ({})", owner.id, owner.source))
        .collect();
    words.join(", ")
}

impl HostDeny {
    /// Whether an answer for this name puts its addresses into the set: dnsmasq takes all names below one as well.
    fn feeds(&self, told: &str) -> bool {
        let name = self.name.strip_prefix("*.").unwrap_or(&self.name);
        told == name
            || told
                .strip_suffix(name)
                .is_some_and(|rest| rest.ends_with('.'))
    }
}

/// iptables looks at a fixed place behind the IPv6 header; nftables walks there.
fn finds(opening: &Opening, said: &[u8], attempt: &Attempt, target: Target) -> bool {
    !is_blind(attempt, target) && opening.is_in(said)
}

fn is_blind(attempt: &Attempt, target: Target) -> bool {
    attempt.extended
        && attempt.server.ip.is_ipv6()
        && matches!(target, Target::Ip6tables | Target::IptablesScript)
}

/// Whether bytes are found in this connection wherever they are.
fn searches(attempt: &Attempt, target: Target) -> bool {
    target.searches() && !is_blind(attempt, target)
}
