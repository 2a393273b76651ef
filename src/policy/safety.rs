//! What is never closed, because more than a messenger would go with it.

use super::{Attempt, CustomRule, Decision, Hook, Place, Plan, PlanError, Request, Target, Unseen};
use crate::model::{Endpoint, Transport};
use crate::ruleset::{HostUse, Origin, PortRule, RuleSet};
use std::fmt;
use std::net::IpAddr;

/// Ports that carry everybody's traffic, or an administrator's only way in.
pub(super) const PROTECTED: [(u16, &str); 4] = [
    (22, "remote administration (SSH)"),
    (53, "name resolution (DNS)"),
    (80, "the web"),
    (443, "the web"),
];

/// A wider range takes in other people's connections, which take any free port.
pub(super) const MAX_CLOSED_PORTS: u32 = 1024;

/// What a port carries, if it is never closed.
pub(super) fn protected(port: u16) -> Option<&'static str> {
    let mut all = PROTECTED.iter();
    all.find(|(it, _)| *it == port).map(|(_, what)| *what)
}

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

/// A network as wide as this is everybody, and not a host of somebody's: bits of IPv4, of IPv6.
const WIDEST: (u8, u8) = (8, 19);

/// What this machine and whoever works on it cannot do without.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// Default gateways.
    pub gateways: Vec<IpAddr>,
    /// Resolvers.
    pub resolvers: Vec<IpAddr>,
    /// The administrator's own SSH connection: client and server.
    pub ssh: Option<(Endpoint, Endpoint)>,
}

impl Guard {
    /// What an address is to this machine.
    pub(super) fn known(&self, at: impl Fn(&IpAddr) -> bool) -> Option<(&'static str, IpAddr)> {
        let gateways = self.gateways.iter().map(|ip| ("gateway", *ip));
        let resolvers = self.resolvers.iter().map(|ip| ("resolver", *ip));
        let peer = self.ssh.iter().map(|(client, _)| ("SSH peer", client.ip));
        gateways.chain(resolvers).chain(peer).find(|(_, ip)| at(ip))
    }
}

/// What is wrong with a rule of one's own: what nobody may have, and what somebody may insist on.
struct Wrong {
    never: bool,
    why: String,
}

fn wrong_with(rule: &CustomRule, rules: &RuleSet, guard: &Guard) -> Option<Wrong> {
    let wrong = |never, why: String| Some(Wrong { never, why });
    match &rule.place {
        Place::Anywhere => {
            let (_, range) = rule.ports?;
            if let Some((port, what)) = PROTECTED.iter().find(|(port, _)| range.contains(*port)) {
                return wrong(true, format!("port {port} carries {what}"));
            }
            if range.count() > MAX_CLOSED_PORTS {
                let many = range.count();
                return wrong(
                    false,
                    format!("{many} ports at once take in other people's traffic"),
                );
            }
        }
        Place::Net(net) => {
            if net.prefix_len() == 0 {
                return wrong(true, format!("{net} is everybody"));
            }
            let widest = if net.addr().is_ipv4() {
                WIDEST.0
            } else {
                WIDEST.1
            };
            if net.prefix_len() < widest {
                return wrong(false, format!("{net} is a good part of the Internet"));
            }
            if let Some((what, ip)) = guard.known(|ip| net.contains(ip)) {
                let reached = match (&rule.ports, what) {
                    (None, _) => true,
                    (Some((_, range)), "resolver") => range.contains(53),
                    (Some((_, range)), "SSH peer") => range.contains(22),
                    _ => false,
                };
                if reached {
                    return wrong(false, format!("{ip} is this machine's {what}"));
                }
            }
        }
        Place::Name { name, below } | Place::Hello { name, below } => {
            let shared = |host: &str| rules.is_shared_host(host);
            let inside = |host: &str| {
                *below
                    && host
                        .strip_suffix(name.as_str())
                        .is_some_and(|rest| rest.ends_with('.'))
            };
            let hosts = rules.messengers().iter().flat_map(|it| &it.hosts);
            let inner = hosts
                .filter(|host| host.usage == HostUse::Shared)
                .find(|host| inside(&host.name));
            if shared(name) && rules.host(name).is_none() {
                return wrong(false, format!("{name} serves others as well"));
            }
            if let Some(host) = inner {
                return wrong(
                    false,
                    format!("{}, below it, serves others as well", host.name),
                );
            }
        }
    }
    None
}

impl Plan {
    /// Takes out, or refuses, what would cut off the machine, its administrator, or everybody.
    pub(super) fn keep_safe(
        &mut self,
        rules: &RuleSet,
        request: &Request,
        own: &[CustomRule],
    ) -> Result<(), PlanError> {
        let (mut never, mut guarded) = (Vec::new(), Vec::new());
        for rule in own {
            if let Some(wrong) = wrong_with(rule, rules, &request.guard) {
                let words = format!(
                    "refusing the rule {} ({}): {}",
                    rule.id,
                    rule.words(),
                    wrong.why
                );
                if wrong.never {
                    never.push(words);
                } else {
                    guarded.push(words);
                }
            }
        }
        if !never.is_empty() {
            return Err(PlanError::Never(never));
        }
        self.spare(request);
        if let Some(words) = self.cuts_ssh(&request.guard) {
            guarded.push(words);
        }
        if !guarded.is_empty() && !request.force {
            return Err(PlanError::Guarded(guarded));
        }
        let overridden = guarded.into_iter().map(|words| {
            let words = words.trim_start_matches("refusing ");
            format!("--force overrides: {words}")
        });
        self.notes.extend(overridden);
        Ok(())
    }

    /// What was seen at the machine's own gateway, resolver or administrator is not closed.
    fn spare(&mut self, request: &Request) {
        let Self {
            seen,
            unseen,
            notes,
            ..
        } = self;
        for group in &mut *seen {
            let service = group.service.clone();
            group.seen.retain(|it| {
                let known = request.guard.known(|ip| *ip == it.server.ip);
                let (None, Some((what, _))) = (&it.opening, known) else {
                    return true;
                };
                if request.force {
                    notes.push(format!(
                        "--force overrides: {} is this machine's {what}",
                        it.server
                    ));
                    return true;
                }
                unseen.push(Unseen {
                    place: it.place.clone(),
                    service: service.clone(),
                    server: it.server.to_string(),
                    reason: match what {
                        "gateway" => "it is this machine's gateway",
                        "resolver" => "it is this machine's resolver",
                        _ => "it is where you are connected from",
                    },
                });
                false
            });
        }
        seen.retain(|group| !group.seen.is_empty());
    }

    /// Whether the connection that this is asked over would end.
    fn cuts_ssh(&self, guard: &Guard) -> Option<String> {
        let (client, server) = guard.ssh?;
        let attempt = |client, server| Attempt {
            transport: Transport::Tcp,
            client,
            server,
            payload: Vec::new(),
            extended: false,
        };
        [
            (Hook::Input, attempt(client, server)),
            (Hook::Output, attempt(server, client)),
        ]
        .into_iter()
        .filter(|(hook, _)| self.hooks.contains(hook))
        .find_map(|(hook, attempt)| match self.decide(&attempt, Target::Nftables) {
            // What this machine sends is an answer, and only a place that was seen is refused both ways.
            Decision::Refused(reason) if hook == Hook::Input || reason.rule.starts_with("seen") => {
                Some(format!(
                    "refusing to cut your own SSH connection from {client} to {server}, by {}; `--except {}` leaves it alone",
                    reason.rule, client.ip
                ))
            }
            _ => None,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::Service;
    use crate::policy::{Sighting, Sightings, feature_of};
    use crate::ruleset::PortRange;

    fn guard() -> Guard {
        Guard {
            gateways: vec!["10.0.0.1".parse().unwrap(), "fe80::1".parse().unwrap()],
            resolvers: vec!["10.0.0.53".parse().unwrap()],
            ssh: None,
        }
    }

    fn rule(net: &str, port: Option<u16>) -> CustomRule {
        CustomRule {
            id: "mine".to_owned(),
            place: Place::Net(net.parse().unwrap()),
            ports: port.map(|port| (Transport::Tcp, PortRange::new(port, port).unwrap())),
            reason: "because".to_owned(),
            until: None,
        }
    }

    fn planned(rule: CustomRule, force: bool) -> Result<Plan, PlanError> {
        let request = Request {
            hooks: vec![Hook::Forward],
            rules: vec![rule],
            guard: guard(),
            force,
            ..Request::default()
        };
        Plan::new(&RuleSet::builtin().unwrap(), &request)
    }

    #[test]
    fn gateways_and_resolvers_stay_reachable() {
        for (net, port, what) in [
            ("10.0.0.1/32", None, "10.0.0.1 is this machine's gateway"),
            ("10.0.0.0/24", None, "10.0.0.1 is this machine's gateway"),
            ("fe80::/64", None, "fe80::1 is this machine's gateway"),
            (
                "10.0.0.53/32",
                Some(53),
                "10.0.0.53 is this machine's resolver",
            ),
        ] {
            let error = planned(rule(net, port), false).unwrap_err();
            assert!(matches!(error, PlanError::Guarded(_)), "{net}: {error}");
            assert!(error.to_string().contains(what), "{net}: {error}");
            let plan = planned(rule(net, port), true).unwrap();
            let said = plan
                .notes
                .iter()
                .any(|note| note.starts_with("--force overrides: ") && note.contains(what));
            assert!(said, "{net}: {:?}", plan.notes);
        }
        for (net, port) in [
            ("10.0.0.2/32", None),
            ("10.0.1.0/24", None),
            // A port of theirs that nobody lives by.
            ("10.0.0.1/32", Some(5190)),
            ("10.0.0.53/32", Some(5190)),
        ] {
            assert!(planned(rule(net, port), false).is_ok(), "{net}");
        }
    }

    #[test]
    fn what_was_seen_at_the_gateway_is_not_closed_and_said() {
        let seen = |ip: &str| Sighting {
            service: Service::AIM,
            feature: feature_of("oscar"),
            transport: Transport::Tcp,
            client: Endpoint::new([10, 0, 0, 5].into(), 50_000),
            server: Endpoint::new(ip.parse().unwrap(), 1080),
            proxied: false,
            opening: None,
            place: "made up, flow 1".into(),
        };
        let sightings = Sightings {
            flows: vec![seen("10.0.0.1"), seen("198.51.100.9")],
            ..Sightings::default()
        };
        let planned = |force| {
            let request = Request {
                hooks: vec![Hook::Forward],
                guard: guard(),
                force,
                ..Request::default()
            };
            Plan::observing(&RuleSet::builtin().unwrap(), &request, &sightings).unwrap()
        };
        let plan = planned(false);
        assert_eq!((plan.seen[0].seen.len(), plan.unseen.len()), (1, 1));
        assert_eq!(plan.unseen[0].reason, "it is this machine's gateway");
        let plan = planned(true);
        assert_eq!((plan.seen[0].seen.len(), plan.unseen.len()), (2, 0));
        assert!(plan.notes.iter().any(|note| note.contains("10.0.0.1:1080")));
    }

    #[test]
    fn only_what_is_opened_to_a_closed_port_here_would_cut_the_connection_that_one_sits_at() {
        let rules = RuleSet::builtin().unwrap();
        let plan = |hooks: &[Hook], client: u16, server: u16| {
            let end = |ip: &str, port| Endpoint::new(ip.parse().unwrap(), port);
            let request = Request {
                hooks: hooks.to_vec(),
                guard: Guard {
                    ssh: Some((end("192.0.2.7", client), end("10.0.0.1", server))),
                    ..Guard::default()
                },
                ..Request::default()
            };
            Plan::new(&rules, &request)
        };
        let all = [Hook::Forward, Hook::Output, Hook::Input];
        assert!(plan(&all, 50_211, 22).is_ok());
        assert!(plan(&all, 5190, 22).is_ok());
        assert!(matches!(
            plan(&all, 50_211, 5190),
            Err(PlanError::Guarded(_))
        ));
        assert!(plan(&[Hook::Forward, Hook::Output], 50_211, 5190).is_ok());
    }
}
