//! nftables: one table of our own, replaced as a whole in one transaction.
//!
//! The base chains accept by policy and every verdict is accept-here, reject or drop: an accept in one table
//! does not undo a drop in another, so this table can close ports but never open what others close.

use super::header;
use super::names;
use super::text::{Text, reference};
use crate::model::Transport;
use crate::policy::{Action, Hook, Owner, Plan};

/// nft refuses a comment of 129 characters.
const MAX_COMMENT: usize = 128;

pub(super) fn render(plan: &Plan) -> String {
    let mut text = Text::default();
    text.line("#!/usr/sbin/nft -f");
    header::write(
        &mut text,
        plan,
        &[
            ("check", "nft -c -f FILE"),
            (
                "load",
                "nft -f FILE (again at will: it replaces itself, and the counters start at 0)",
            ),
            ("watch", "nft list counters table inet imwarden"),
            ("remove", "nft delete table inet imwarden"),
        ],
    );
    text.blank();
    text.line("# Replaced as a whole or not at all. (The first line makes the second work on an empty machine.)");
    text.line("table inet imwarden");
    text.line("delete table inet imwarden");
    text.blank();
    text.line("table inet imwarden {");
    body(&mut text, plan);
    text.line("}");
    text.finish()
}

fn body(text: &mut Text, plan: &Plan) {
    let names = names::nftables(plan);
    if !plan.is_empty() {
        text.line("\t# One counter a feature: the attempts that were refused.");
        for name in &names {
            text.line(format!("\tcounter {name} {{ }}"));
        }
        text.blank();
    }
    let mut judged = Vec::new();
    for (transport, word) in [(Transport::Tcp, "tcp"), (Transport::Udp, "udp")] {
        if port_map(text, plan, &names, transport, word) {
            judged.push(word);
        }
    }
    if !plan.is_empty() && plan.action == Action::Reject {
        refuse(text);
    }
    feature_chains(text, plan, &names);
    judge(text, &judged);
    for hook in &plan.hooks {
        text.blank();
        base_chain(text, *hook);
    }
}

/// A map from port to chain: one look-up however many ports there are.
fn port_map(
    text: &mut Text,
    plan: &Plan,
    names: &[String],
    transport: Transport,
    word: &str,
) -> bool {
    let ports = plan.ports(transport);
    if ports.is_empty() {
        return false;
    }
    text.line(format!("\tmap {word}_ports {{"));
    text.line("\t\ttype inet_service : verdict");
    text.line("\t\tflags interval");
    text.line("\t\telements = {");
    for (at, (group, ports)) in ports.iter().enumerate() {
        let Some(name) = plan
            .groups
            .iter()
            .zip(names)
            .find(|(g, _)| g == group)
            .map(|(_, n)| n)
        else {
            continue;
        };
        let owners: Vec<&Owner> = ports.owners.iter().collect();
        let comment = reference(&owners, MAX_COMMENT);
        let comma = if at + 1 < plan.ports(transport).len() {
            ","
        } else {
            ""
        };
        text.line(format!(
            "\t\t\t{} comment \"{comment}\" : goto f_{name}{comma}",
            ports.range
        ));
    }
    text.line("\t\t}");
    text.line("\t}");
    text.blank();
    true
}

fn refuse(text: &mut Text) {
    text.line("\tchain refuse {");
    text.line("\t\tmeta l4proto tcp reject with tcp reset comment \"imwarden: TCP, at once\"");
    text.line("\t\treject with icmpx type port-unreachable comment \"imwarden: UDP, at once\"");
    text.line("\t}");
    text.blank();
}

fn feature_chains(text: &mut Text, plan: &Plan, names: &[String]) {
    let verdict = match plan.action {
        Action::Reject => "goto refuse",
        Action::Drop => "drop",
    };
    for (group, name) in plan.groups.iter().zip(names) {
        let owners = group.owners();
        for owner in &owners {
            if let Some(note) = &owner.note {
                text.paragraph("\t# ", "\t# ", &format!("{}: {note}", owner.id));
            }
        }
        let comment = reference(&owners, MAX_COMMENT);
        text.line(format!("\tchain f_{name} {{"));
        text.line(format!(
            "\t\tcounter name \"{name}\" {verdict} comment \"{comment}\""
        ));
        text.line("\t}");
        text.blank();
    }
}

fn judge(text: &mut Text, transports: &[&str]) {
    text.line("\t# Resets pass first: a refusal is itself a reset, and must get out. Then only the opener's");
    text.line("\t# packets are judged, by the port they go to: whose own port happens to be 5190 loses nothing.");
    text.line("\tchain judge {");
    text.line("\t\ttcp flags rst accept comment \"imwarden: resets pass\"");
    text.line("\t\tct direction reply accept comment \"imwarden: answers pass\"");
    for word in transports {
        text.line(format!(
            "\t\t{word} dport vmap @{word}_ports comment \"imwarden: by port, each with its own id\""
        ));
    }
    text.line("\t}");
}

fn base_chain(text: &mut Text, hook: Hook) {
    let name = hook.name();
    text.line(format!("\tchain {name} {{"));
    // A little before the usual filter chains: what they accept early is still seen here.
    text.line(format!(
        "\t\ttype filter hook {name} priority filter - 5; policy accept;"
    ));
    match hook {
        Hook::Forward => {}
        Hook::Output => text.line("\t\toifname \"lo\" accept comment \"imwarden: loopback\""),
        Hook::Input => text.line("\t\tiifname \"lo\" accept comment \"imwarden: loopback\""),
    }
    text.line("\t\tjump judge comment \"imwarden: judge what is opened\"");
    text.line("\t}");
}
