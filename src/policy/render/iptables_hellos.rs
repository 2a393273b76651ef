//! iptables: names in TLS hellos.
//!
//! A name that is meant alone is one search. Of names below another only the end is known, and what may stand behind it has
//! many forms: whether the end is there at all is asked first, and the forms stand in a chain of their own.

use super::iptables::{Family, MAX_COMMENT, goto, own, target};
use super::iptables_rules::span;
use super::text::Text;
use super::text::fitting;
use super::{RuleNames, u32, xt_string};
use crate::policy::{HostDeny, NameGroup, Plan, hello};

/// Where hellos are looked at.
pub(super) const HELLOS: &str = "IMW-HELLOS";

/// Each name that can be looked for, with its group and the group's chain.
fn names<'a>(
    plan: &'a Plan,
    names: &'a RuleNames,
) -> impl Iterator<Item = (&'a NameGroup, &'a HostDeny, &'a String)> {
    let groups = plan.sni.iter().zip(&names.sni);
    let all = groups.flat_map(|(group, name)| group.names.iter().map(move |it| (group, it, name)));
    all.filter(|(_, host, _)| hello::fits(host))
}

/// The chains of ends of names, in their order.
pub(super) fn chains(plan: &Plan) -> Vec<String> {
    let hosts = plan.sni.iter().flat_map(|group| &group.names);
    let below = hosts.filter(|host| hello::fits(host) && hello::below(host).is_some());
    (1..=below.count())
        .map(|number| format!("IMW-BELOW-{number}"))
        .collect()
}

/// From the chain of what clients say.
pub(super) fn lead(text: &mut Text, family: Family, chain: &str) {
    text.line(goto(
        &format!(
            "-A {chain} -p tcp {}",
            u32::matches(&hello::opening(), family)
        ),
        "imwarden: by the name in a TLS hello",
        HELLOS,
    ));
}

pub(super) fn rules(text: &mut Text, plan: &Plan, all: &RuleNames, family: Family) {
    let ports = |group: &NameGroup| match &group.ports {
        Some((_, range)) => format!("-p tcp -m tcp --dport {} ", span(*range)),
        None => String::new(),
    };
    let comment = |group: &NameGroup, host: &HostDeny| {
        let words = if group.custom {
            format!("{}, a rule of this site", group.id)
        } else {
            format!("{} {} ({})", group.id, host.name, host.source)
        };
        fitting(&words, MAX_COMMENT)
    };
    for (host, bytes) in hello::spared(plan) {
        let found = xt_string::in_extensions(&bytes, family);
        let words = format!("imwarden: {host} serves others too");
        text.line(own(
            &format!("-A {HELLOS} {found}"),
            &fitting(&words, MAX_COMMENT),
            "RETURN",
        ));
    }
    for (group, host, name) in names(plan, all) {
        if let Some(bytes) = hello::whole(host) {
            let found = xt_string::in_extensions(&bytes, family);
            text.line(goto(
                &format!("-A {HELLOS} {}{found}", ports(group)),
                &comment(group, host),
                name,
            ));
        }
    }
    let below = names(plan, all).filter_map(|(group, host, name)| {
        hello::below(host).map(|(end, followed)| (group, host, name, end, followed))
    });
    let mut ends = Vec::new();
    for ((group, host, name, end, followed), chain) in below.zip(chains(plan)) {
        let found = xt_string::in_any_case(&end);
        text.line(own(
            &format!("-A {HELLOS} {}{found}", ports(group)),
            &comment(group, host),
            &chain,
        ));
        ends.push((chain, name, followed));
    }
    // Many, and so without a word each: what is loaded at once must fit into one message to the kernel.
    for (chain, name, followed) in ends {
        for bytes in followed {
            let found = xt_string::in_extensions(&bytes, family);
            text.line(format!("-A {chain} {found} -g {name}"));
        }
    }
    for (group, name) in plan.sni.iter().zip(&all.sni) {
        if plan.marks() {
            let mark = format!("CONNMARK --set-xmark {}", plan.mark);
            text.line(own(
                &format!("-A {name}"),
                "imwarden: the rest of it, too",
                &mark,
            ));
        }
        let words = format!("{}, by names in TLS hellos", group.id);
        text.line(own(&format!("-A {name}"), &words, target(plan)));
    }
}
