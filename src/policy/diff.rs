//! What a policy says, a line a rule: at the end of every file, so that two of them can be held against each other.

use super::{Action, Place, Plan, Who, hello};
use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

/// What stands before each line.
const MARK: &str = "imwarden-rule:";

/// All that a plan says, in order, each line once.
pub fn contents(plan: &Plan) -> Vec<String> {
    let mut all = BTreeSet::new();
    for ports in plan.groups.iter().flat_map(|group| &group.ports) {
        for owner in &ports.owners {
            all.insert(format!(
                "port {} {} {} {} {}",
                ports.transport.name().to_lowercase(),
                ports.range,
                owner.service,
                owner.feature,
                owner.id
            ));
        }
    }
    for host in &plan.hosts {
        all.insert(format!("host {} {}", host.name, host.service));
    }
    for name in &plan.passed {
        all.insert(format!("host-except {name}"));
    }
    for group in &plan.names {
        for host in &group.names {
            let ports = group
                .ports
                .map(|(transport, range)| format!(" {} {range}", transport.name().to_lowercase()));
            let ports = ports.unwrap_or_default();
            all.insert(format!("set {} {}{ports}", host.name, group.id));
        }
    }
    for group in &plan.sni {
        for host in &group.names {
            let ports = group.ports.map(|(_, range)| format!(" tcp {range}"));
            let ports = ports.unwrap_or_default();
            all.insert(format!("sni {} {}{ports}", host.name, group.id));
        }
    }
    for (name, _) in hello::spared(plan) {
        all.insert(format!("sni-except {name}"));
    }
    for group in &plan.seen {
        for seen in &group.seen {
            let opening = match &seen.opening {
                Some(opening) => format!(" opening {opening}"),
                None => String::new(),
            };
            let how = if seen.flows == 0 { "named" } else { "seen" };
            all.insert(format!(
                "{how} {} {} {} {}{opening}",
                seen.transport.name().to_lowercase(),
                seen.server,
                group.service,
                group.feature
            ));
        }
    }
    for group in &plan.signatures {
        for signature in &group.signatures {
            for owner in &signature.owners {
                all.insert(format!(
                    "signature {} {} {} {}",
                    owner.id, owner.service, owner.feature, signature.opening
                ));
            }
        }
    }
    for rule in &plan.custom {
        let to = match rule.place {
            Place::Anywhere => String::new(),
            ref place => format!(" to {place}"),
        };
        let ports = rule
            .ports
            .map(|(transport, range)| format!(" {} {range}", transport.name().to_lowercase()));
        all.insert(format!("rule {}{to}{}", rule.id, ports.unwrap_or_default()));
    }
    all.extend(
        plan.hooks
            .iter()
            .map(|hook| format!("direction {}", hook.name())),
    );
    all.extend(plan.sources.iter().map(|net| format!("source {net}")));
    all.extend(plan.exceptions.iter().map(|net| format!("except {net}")));
    for exception in &plan.reasons {
        let who = match &exception.who {
            Who::Net(net) => format!("except {net}"),
            Who::Name { name, .. } => format!("except-name {name}"),
            Who::User(user) => format!("except-user {}", user.name()),
        };
        if let Some(day) = exception.until {
            all.insert(format!("until {day} {who}"));
        }
        // Networks are there already, put together where they touch.
        if !matches!(exception.who, Who::Net(_)) {
            all.insert(who);
        }
    }
    for (id, day) in &plan.ends {
        all.insert(format!("until {day} rule {id}"));
    }
    if !plan.interfaces.is_any() {
        all.insert(format!("interfaces {}", plan.interfaces));
    }
    let action = match plan.action {
        Action::Reject => "reject",
        Action::Drop => "drop",
        Action::Log => "log",
    };
    all.insert(format!("action {action}"));
    if let Some(group) = plan.log {
        all.insert(format!("log group {group}"));
    }
    if plan.marks() {
        all.insert(format!("mark {}", plan.mark));
    }
    all.into_iter().collect()
}

/// The lines for the end of a file whose comments begin so.
pub(super) fn manifest(plan: &Plan, mark: &str) -> String {
    let mut text = format!("{mark}\n{mark} What this file is about, for imwarden policy --diff:\n");
    for line in contents(plan) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{mark} {MARK} {line}");
    }
    text
}

/// What a file that imwarden wrote says; `None` if it says nothing of the kind.
pub fn contents_of(text: &str) -> Option<Vec<String>> {
    let lines = text.lines().filter_map(|line| {
        let line = line.trim_start_matches(['#', ';', ' ', '\t']);
        line.strip_prefix(MARK).map(|rest| rest.trim().to_owned())
    });
    let all: BTreeSet<String> = lines.collect();
    (!all.is_empty()).then(|| all.into_iter().collect())
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Only the new one says it.
    Added(String),
    /// Only the old one says it.
    Removed(String),
}

/// `+ port tcp 1863 msn session msn/session`.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(line) => write!(f, "+ {line}"),
            Self::Removed(line) => write!(f, "- {line}"),
        }
    }
}

/// What changes from one to the other, in order.
pub fn difference(old: &[String], new: &[String]) -> Vec<Change> {
    let (before, after): (BTreeSet<_>, BTreeSet<_>) = (old.iter().collect(), new.iter().collect());
    let all: BTreeSet<_> = before.union(&after).copied().collect();
    all.into_iter()
        .filter_map(|line| match (before.contains(line), after.contains(line)) {
            (true, false) => Some(Change::Removed(line.clone())),
            (false, true) => Some(Change::Added(line.clone())),
            _ => None,
        })
        .collect()
}
