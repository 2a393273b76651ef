//! What is wrong with our table.
//!
//! An accept in another table does not undo a refusal in ours, so other tables are not looked at.

use super::machine::Machine;
use super::{Kind, LOAD_AGAIN, Verdict, hooks, interface};
use crate::policy::apply::{Table, TableRule};
use crate::policy::prove::Backend;
use serde_json::Value;
use std::collections::BTreeSet;

const HERE: Option<Backend> = Some(Backend::Nftables);
/// How our own rules that let pass begin their comment.
const OWN: &str = "imwarden: ";
/// What ends a packet's way through a chain.
const ENDS: [&str; 6] = ["accept", "drop", "reject", "return", "goto", "queue"];
/// What is done on the way, whatever the packet.
const DONE_BY_THE_WAY: [&str; 4] = ["counter", "log", "mangle", "set"];

pub(super) fn judge(machine: &Machine, table: &Table, verdict: &mut Verdict) {
    let refusing = refusing(table);
    let reaches = |chain: &str| {
        let mut seen = BTreeSet::new();
        leads_to(table, chain, &refusing, &mut seen)
    };
    let mut judged = Vec::new();
    let mut misplaced = false;
    for chain in &table.chains {
        let Some(base) = &chain.base else { continue };
        if !reaches(&chain.name) {
            continue;
        }
        let usual = matches!(base.hook.as_str(), "forward" | "output" | "input");
        if base.kind == "filter" && usual {
            judged.push(base.hook.as_str());
        } else {
            misplaced = true;
            verdict.fault(
                Kind::WrongHook,
                HERE,
                format!(
                    "chain {} is of type {} at the hook {}, where connections are not refused",
                    chain.name, base.kind, base.hook
                ),
                "rules belong into filter chains at forward, output or input: load the policy again",
            );
        }
    }
    if judged.is_empty() && !misplaced {
        verdict.fault(
            Kind::NotLoaded,
            HERE,
            "the table inet imwarden is there, and no packet comes to a rule in it that refuses"
                .to_owned(),
            LOAD_AGAIN,
        );
    }
    hooks(machine, Backend::Nftables, &judged, verdict);
    shadows(table, verdict);
    families(machine, table, verdict);
    sets(machine, table, verdict);
    for rule in &table.rules {
        let place = format!("a rule of chain {}", rule.chain);
        for name in interfaces(rule) {
            interface(machine, name, Backend::Nftables, &place, verdict);
        }
    }
}

/// Chains in which something is refused, or would be if the policy did not only look.
fn refusing(table: &Table) -> BTreeSet<&str> {
    table
        .rules
        .iter()
        .filter(|rule| {
            rule.expressions.iter().any(|it| {
                it.get("drop").is_some() || it.get("reject").is_some() || it.get("log").is_some()
            })
        })
        .map(|rule| rule.chain.as_str())
        .collect()
}

/// Whether a packet may come from one chain into one of these.
fn leads_to<'a>(
    table: &'a Table,
    chain: &'a str,
    wanted: &BTreeSet<&str>,
    seen: &mut BTreeSet<&'a str>,
) -> bool {
    if wanted.contains(chain) {
        return true;
    }
    seen.insert(chain)
        && table
            .rules
            .iter()
            .filter(|rule| rule.chain == chain)
            .flat_map(|rule| targets(table, rule))
            .any(|next| leads_to(table, next, wanted, seen))
}

/// Chains that a rule leads to, by itself or by a map.
fn targets<'a>(table: &'a Table, rule: &'a TableRule) -> Vec<&'a str> {
    let mut all = Vec::new();
    for expression in &rule.expressions {
        for verb in ["jump", "goto"] {
            all.extend(expression[verb]["target"].as_str());
        }
        let data = &expression["vmap"]["data"];
        let name = data.as_str().and_then(|name| name.strip_prefix('@'));
        let of_map = table
            .sets
            .iter()
            .filter(|set| Some(set.name.as_str()) == name)
            .flat_map(|set| &set.elements);
        let inline = data["set"].as_array().into_iter().flatten();
        for element in of_map.chain(inline) {
            for verb in ["jump", "goto"] {
                all.extend(element[1][verb]["target"].as_str());
            }
        }
    }
    all
}

/// How a rule ends, if it does: `accept`, `drop`, ...
fn end(rule: &TableRule) -> Option<&'static str> {
    let last = rule.expressions.last()?.as_object()?;
    ENDS.into_iter().find(|verb| last.contains_key(*verb))
}

fn is_unconditional(rule: &TableRule) -> bool {
    rule.expressions.iter().all(|expression| {
        expression.as_object().is_some_and(|object| {
            object
                .keys()
                .all(|key| DONE_BY_THE_WAY.contains(&key.as_str()) || ENDS.contains(&key.as_str()))
        })
    })
}

/// Rules that take what the rules behind them are for.
fn shadows(table: &Table, verdict: &mut Verdict) {
    for chain in &table.chains {
        let rules: Vec<&TableRule> = table
            .rules
            .iter()
            .filter(|rule| rule.chain == chain.name)
            .collect();
        for (at, rule) in rules.iter().enumerate() {
            let Some(end) = end(rule) else { continue };
            let behind = rules.len() - at - 1;
            if behind == 0 {
                break;
            }
            if is_unconditional(rule) {
                verdict.fault(
                    Kind::Shadowed,
                    HERE,
                    format!(
                        "in chain {}, rule {} of {} ends every packet's way ({end}): no packet comes to the {behind} behind it",
                        chain.name,
                        at + 1,
                        rules.len()
                    ),
                    LOAD_AGAIN,
                );
                break;
            }
            let lets_pass = matches!(end, "accept" | "return");
            // What lets IPv6 pass as a whole is told by its own name.
            if lets_pass && !rule.comment.starts_with(OWN) && only_family(rule) != Some("ipv6") {
                verdict.fault(
                    Kind::Shadowed,
                    HERE,
                    format!(
                        "in chain {}, rule {} of {} lets pass what the {behind} behind it are for, and no policy of ours has it: {}",
                        chain.name,
                        at + 1,
                        rules.len(),
                        words(rule)
                    ),
                    "if somebody is to be left alone, say so with `--except`",
                );
            }
        }
    }
}

/// The family that a rule is for, if it is for one only.
fn only_family(rule: &TableRule) -> Option<&str> {
    rule.expressions.iter().find_map(|expression| {
        let matched = &expression["match"];
        let key = matched["left"]["meta"]["key"].as_str()?;
        let is = matched["op"] == "==" || matched["op"] == "in";
        match matched["right"].as_str()? {
            "ipv6" | "ip6" if is && matches!(key, "nfproto" | "protocol") => Some("ipv6"),
            "ipv4" | "ip" if is && matches!(key, "nfproto" | "protocol") => Some("ipv4"),
            _ => None,
        }
    })
}

/// What lets IPv6 pass.
fn families(machine: &Machine, table: &Table, verdict: &mut Verdict) {
    let mut say = |what: String| {
        if machine.ipv6 {
            verdict.fault(Kind::NoIpv6, HERE, what, LOAD_AGAIN);
        }
    };
    for rule in &table.rules {
        let lets_pass = matches!(end(rule), Some("accept" | "return"));
        if lets_pass && only_family(rule) == Some("ipv6") && !rule.comment.starts_with(OWN) {
            say(format!(
                "in chain {}, a rule lets all IPv6 pass",
                rule.chain
            ));
        }
    }
    // Jumps out of a base chain that are for IPv4 only, without a twin.
    for chain in table.chains.iter().filter(|chain| chain.base.is_some()) {
        let jumps: Vec<Option<&str>> = table
            .rules
            .iter()
            .filter(|rule| rule.chain == chain.name && !targets(table, rule).is_empty())
            .map(only_family)
            .collect();
        if !jumps.is_empty() && jumps.iter().all(|family| *family == Some("ipv4")) {
            say(format!("chain {} has only IPv4 judged", chain.name));
        }
    }
    // Sets that a resolver fills come in pairs.
    let used = used(table);
    for set in table.sets.iter().filter(|set| set.timed) {
        let Some(stem) = set.name.strip_suffix('4') else {
            continue;
        };
        let twin = format!("{stem}6");
        if used.contains(set.name.as_str()) && !used.contains(twin.as_str()) && !set.is_joined() {
            say(format!(
                "rules look into the set {}, and none into {twin}, which would be for IPv6",
                set.name
            ));
        }
    }
}

/// Sets and maps that some rule looks into.
fn used(table: &Table) -> BTreeSet<&str> {
    fn walk<'a>(value: &'a Value, all: &mut BTreeSet<&'a str>) {
        match value {
            Value::String(text) => all.extend(text.strip_prefix('@')),
            Value::Array(items) => items.iter().for_each(|item| walk(item, all)),
            // What a rule puts into a set it does not look up.
            Value::Object(fields) => fields
                .iter()
                .filter(|(key, _)| *key != "set")
                .for_each(|(_, item)| walk(item, all)),
            _ => {}
        }
    }
    let mut all = BTreeSet::new();
    for rule in &table.rules {
        for expression in &rule.expressions {
            walk(expression, &mut all);
        }
    }
    all
}

fn sets(machine: &Machine, table: &Table, verdict: &mut Verdict) {
    let used = used(table);
    for set in &table.sets {
        if !used.contains(set.name.as_str()) {
            continue;
        }
        if set.elements.is_empty() && !set.timed {
            verdict.fault(
                Kind::EmptySet,
                HERE,
                format!(
                    "rules look into {}, and nothing is in it: they refuse nothing",
                    set.name
                ),
                LOAD_AGAIN,
            );
        }
        let expected = machine.expected.as_ref();
        let had = expected.and_then(|now| now.timed.iter().find(|(name, _)| *name == set.name));
        if let Some((name, had)) = had
            && set.elements.len() < *had
        {
            verdict.fault(
                Kind::Stale,
                HERE,
                format!(
                    "{} of the {had} addresses that {name} was loaded with have come to their end",
                    had - set.elements.len()
                ),
                "apply a policy from a newer capture: `imwarden apply --observed`",
            );
        }
    }
}

/// Interfaces that a rule names.
fn interfaces(rule: &TableRule) -> Vec<&str> {
    let mut all = Vec::new();
    for expression in &rule.expressions {
        let matched = &expression["match"];
        let key = matched["left"]["meta"]["key"].as_str().unwrap_or_default();
        if !matches!(key, "iifname" | "oifname" | "iif" | "oif") || matched["op"] == "!=" {
            continue;
        }
        let right = &matched["right"];
        all.extend(right.as_str().filter(|name| !name.starts_with('@')));
        let many = right["set"].as_array().or(right.as_array());
        all.extend(many.into_iter().flatten().filter_map(Value::as_str));
    }
    all
}

/// Enough of a rule to find it.
fn words(rule: &TableRule) -> String {
    let mut all = Vec::new();
    for expression in &rule.expressions {
        let matched = &expression["match"];
        if matched.is_object() {
            let left = &matched["left"];
            let what = left["payload"]["field"]
                .as_str()
                .or(left["meta"]["key"].as_str())
                .or(left["ct"]["key"].as_str())
                .unwrap_or("...");
            all.push(format!("{what} {}", matched["right"]).replace('"', ""));
        }
    }
    all.extend(end(rule).map(str::to_owned));
    all.join(" ").escape_debug().to_string()
}
