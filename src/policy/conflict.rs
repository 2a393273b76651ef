//! Rules that get into each other's way: those that never decide, and ports that messengers share.

use super::{Place, Plan};
use crate::model::Transport;
use crate::ruleset::{PortRange, RuleSet};
use ipnet::IpNet;
use jiff::civil::Date;
use std::fmt;

/// A rule that never decides, because another one always does so before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadowed {
    /// The rule.
    pub rule: String,
    /// What decides before.
    pub by: String,
}

impl fmt::Display for Shadowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} never decides: {} comes before it",
            self.rule, self.by
        )
    }
}

/// What a rule or exception that is over is said of.
pub(super) fn ended(id: &str, words: &str, until: Option<Date>) -> String {
    match until {
        Some(until) => format!("{id} ({words}) ended on {until}"),
        None => format!("{id} ({words}) ended"),
    }
}

/// What one rule is about, as far as it can be compared.
struct Extent<'a> {
    name: String,
    net: Option<IpNet>,
    ports: Option<(Transport, &'a PortRange)>,
}

impl Extent<'_> {
    /// Whether all that `other` is about is this one's, too.
    fn covers(&self, other: &Self) -> bool {
        let net = match (self.net, other.net) {
            (None, _) => true,
            (Some(own), Some(its)) => own.contains(&its),
            (Some(_), None) => false,
        };
        let ports = match (self.ports, other.ports) {
            (None, _) => true,
            (Some((transport, range)), Some((its, part))) => {
                transport == its && range.first() <= part.first() && part.last() <= range.last()
            }
            (Some(_), None) => false,
        };
        net && ports
    }
}

/// Rules that are about nothing which a rule before them does not take.
pub(super) fn shadowed(plan: &Plan) -> Vec<Shadowed> {
    let mut rules: Vec<Extent<'_>> = Vec::new();
    for rule in &plan.custom {
        let net = match rule.place {
            Place::Net(net) => Some(net),
            _ => None,
        };
        rules.push(Extent {
            name: format!("{} ({})", rule.id, rule.words()),
            net,
            ports: rule
                .ports
                .as_ref()
                .map(|(transport, range)| (*transport, range)),
        });
    }
    for ports in plan.groups.iter().flat_map(|group| &group.ports) {
        let ids: Vec<&str> = ports.owners.iter().map(|owner| owner.id.as_str()).collect();
        rules.push(Extent {
            name: format!(
                "{} ({} {})",
                ids.join(", "),
                ports.transport.name(),
                ports.range
            ),
            net: None,
            ports: Some((ports.transport, &ports.range)),
        });
    }
    let mut found = Vec::new();
    let exceptions = plan.exceptions.iter().map(|net| Extent {
        name: format!("the exception {}", Place::Net(*net)),
        net: Some(*net),
        ports: None,
    });
    let exceptions: Vec<Extent<'_>> = exceptions.collect();
    for (at, rule) in rules.iter().enumerate() {
        let before = exceptions.iter().chain(rules.iter().take(at));
        if let Some(by) = before.into_iter().find(|before| before.covers(rule)) {
            found.push(Shadowed {
                rule: rule.name.clone(),
                by: by.name.clone(),
            });
        }
    }
    let left_alone = |ip| plan.exceptions.iter().find(|net| net.contains(&ip));
    for seen in plan.seen.iter().flat_map(|group| &group.seen) {
        if let Some(net) = left_alone(seen.server.ip) {
            found.push(Shadowed {
                rule: format!("{} {}", seen.transport.name(), seen.server),
                by: format!("the exception {}", Place::Net(*net)),
            });
        }
    }
    for source in &plan.sources {
        if let Some(net) = plan.exceptions.iter().find(|net| net.contains(source)) {
            found.push(Shadowed {
                rule: format!("every rule for clients in {}", Place::Net(*source)),
                by: format!("the exception {}", Place::Net(*net)),
            });
        }
    }
    found
}

/// Ports that are also a messenger's which was not asked for, and those that several own.
pub(super) fn shared(plan: &Plan, rules: &RuleSet) -> Vec<String> {
    let mut notes = Vec::new();
    for ports in plan.groups.iter().flat_map(|group| &group.ports) {
        let (transport, range) = (ports.transport, ports.range);
        let mut owners: Vec<&str> = ports.owners.iter().map(|it| it.service.id()).collect();
        owners.sort_unstable();
        owners.dedup();
        if owners.len() > 1 {
            notes.push(format!(
                "{} {range} is {}'s alike: one rule and one counter; host names and what was seen, which tell them apart, are judged before the bare port",
                transport.name(),
                owners.join("'s and ")
            ));
        }
        for messenger in rules.messengers() {
            let id = messenger.service.id();
            let touched = messenger.ports.iter().find(|rule| {
                rule.transport == transport
                    && rule.shared_with.is_none()
                    && rule.ports.first() <= range.last()
                    && range.first() <= rule.ports.last()
            });
            let asked = plan
                .messengers
                .iter()
                .any(|(service, _)| service.id() == id);
            if let Some(rule) = touched
                && !asked
            {
                notes.push(format!(
                    "{} {range} is also {id}'s ({}), which was not asked for and is refused with it",
                    transport.name(),
                    rule.id
                ));
            }
        }
    }
    for group in &plan.signatures {
        for signature in &group.signatures {
            for messenger in rules.messengers() {
                let id = messenger.service.id();
                let asked = plan
                    .messengers
                    .iter()
                    .any(|(service, _)| service.id() == id);
                let alike = messenger.signatures.iter().find(|rule| {
                    rule.speaker == signature.speaker
                        && rule.pattern.pieces() == signature.opening.pieces
                });
                if let Some(rule) = alike
                    && !asked
                {
                    notes.push(format!(
                        "{id} opens connections alike ({}), was not asked for and is refused with it",
                        rule.id
                    ));
                }
            }
        }
    }
    notes
}
