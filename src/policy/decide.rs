//! Which rule decides about a connection: the plan, read as a firewall reads its rules.

use super::render::{RuleNames, rule_names};
use super::{Action, HostDeny, Opening, Owner, Place, Plan, Sightings, Target, hello};
use crate::model::{Endpoint, Transport};
use crate::ruleset::Speaker;
use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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
        match (self.judge(attempt, target, around), self.action) {
            (Decision::Refused(reason) | Decision::RefusedByPayload(reason), Action::Log) => {
                Decision::Logged(reason)
            }
            (decision, _) => decision,
        }
    }

    fn judge(&self, attempt: &Attempt, target: Target, around: &Surroundings) -> Decision {
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
        let names = rule_names(self, target);
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
        self.by_place(attempt, &names, around)
            .map(Decision::Refused)
            .or_else(|| {
                self.by_content(attempt, target, &names, around)
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

/// Flows of others that a plan would touch.
#[derive(Clone, Debug, Default)]
pub struct Collateral {
    /// How many.
    pub touched: u64,
    /// Of so many.
    pub flows: u64,
    /// Where they went, by which rule, and how many each; the most first.
    pub places: Vec<(Transport, Endpoint, String, u64)>,
}

impl Collateral {
    /// How many of them a rule touches.
    pub fn by(&self, rule: &str) -> u64 {
        let its = self.places.iter().filter(|place| place.2 == rule);
        its.map(|place| place.3).sum()
    }

    /// More than one in a thousand: nobody would want that by accident.
    pub const fn is_too_much(&self) -> bool {
        self.touched.saturating_mul(1000) > self.flows
    }
}

impl Plan {
    /// For each rule, in their order: its counter in nftables, and how many of the other flows that were seen it would touch;
    /// `None` where that depends on what is said, which only a replay tells.
    pub(super) fn touch(&self, sightings: &Sightings) -> Vec<(String, Option<u64>)> {
        let collateral = self.collateral(sightings);
        let names = rule_names(self, Target::Nftables);
        let by_place = names.seen.iter().zip(&self.seen).map(|(name, group)| {
            let whole = group.seen.iter().any(|seen| seen.opening.is_none());
            (name, whole)
        });
        let known = names.custom.iter().map(|name| (name, true));
        let told = names.names.iter().map(|name| (name, false));
        let said = names.signatures.iter().map(|name| (name, false));
        by_place
            .chain(known)
            .chain(told)
            .chain(names.groups.iter().map(|name| (name, true)))
            .chain(said)
            .map(|(name, counts)| (name.clone(), counts.then(|| collateral.by(name))))
            .collect()
    }

    /// The same in words, if others were seen at all.
    pub fn touched_words(&self) -> Option<String> {
        if self.others == 0 {
            return None;
        }
        let (known, open): (Vec<_>, Vec<_>) = self.touched.iter().partition(|(_, it)| it.is_some());
        let known: Vec<String> = known
            .iter()
            .map(|(name, flows)| format!("{name} {}", flows.unwrap_or_default()))
            .collect();
        let open: Vec<&str> = open.iter().map(|(name, _)| name.as_str()).collect();
        let mut words = format!(
            "Of {} flows of others that were seen, so many would be touched by each rule: {}",
            self.others,
            if known.is_empty() {
                "-".to_owned()
            } else {
                known.join(", ")
            }
        );
        if !open.is_empty() {
            words.push_str("; by names or content, which only `imwarden prove` can tell: ");
            words.push_str(&open.join(", "));
        }
        Some(words)
    }

    /// What these rules would do to the other flows that were seen. Who opened them is not kept, so that `--source` does not
    /// make it less.
    pub fn collateral(&self, sightings: &Sightings) -> Collateral {
        let mut all = Collateral {
            flows: sightings.other_flows(),
            ..Collateral::default()
        };
        for ((transport, server), flows) in &sightings.others {
            let attempt = Attempt {
                transport: *transport,
                client: self.anybody(server.ip),
                server: *server,
                payload: Vec::new(),
                extended: false,
            };
            if let Decision::Refused(reason) = self.decide(&attempt, Target::Nftables) {
                all.touched += flows;
                all.places.push((*transport, *server, reason.rule, *flows));
            }
        }
        all.places
            .sort_by(|a, b| b.3.cmp(&a.3).then_with(|| (a.0, a.1).cmp(&(b.0, b.1))));
        all
    }

    /// A client that the plan is about.
    fn anybody(&self, server: IpAddr) -> Endpoint {
        let same = |net: &&IpNet| net.addr().is_ipv4() == server.is_ipv4();
        let ip = match (self.sources.iter().find(same), server) {
            (Some(net), _) => net.addr(),
            (None, IpAddr::V4(_)) => Ipv4Addr::UNSPECIFIED.into(),
            (None, IpAddr::V6(_)) => Ipv6Addr::UNSPECIFIED.into(),
        };
        Endpoint::new(ip, 0)
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::policy::{Hook, Request};
    use crate::ruleset::RuleSet;

    #[test]
    fn other_flows_on_closed_ports_are_counted() {
        let request = Request {
            hooks: vec![Hook::Forward],
            ..Request::default()
        };
        let plan = Plan::new(&RuleSet::builtin().unwrap(), &request).unwrap();
        let at = |last, port| {
            let place = Endpoint::new([192, 0, 2, last].into(), port);
            (Transport::Tcp, place)
        };
        let with = |others: &[((Transport, Endpoint), u64)]| {
            plan.collateral(&Sightings {
                others: others.iter().copied().collect(),
                ..Sightings::default()
            })
        };
        let few = with(&[(at(1, 443), 9_999), (at(2, 5050), 1)]);
        assert_eq!((few.touched, few.flows), (1, 10_000));
        assert!(!few.is_too_much());
        let many = with(&[(at(1, 443), 900), (at(2, 5050), 1), (at(3, 1863), 5)]);
        assert!(many.is_too_much());
        assert_eq!(many.places[0].2, "msn_session");
        assert!(!with(&[(at(1, 443), 5)]).is_too_much());
        assert!(!with(&[]).is_too_much());
    }
}
