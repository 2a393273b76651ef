//! `MikroTik`: commands for `RouterOS`, for both families.

use super::front;
use super::text::{Text, place};
use crate::model::Transport;
use crate::policy::{Action, Plan, Target};
use std::fmt::Write as _;

pub(super) fn render(plan: &Plan) -> String {
    let mut text = Text::default();
    front::head(
        &mut text,
        plan,
        Target::Mikrotik,
        false,
        &[
            (
                "check",
                "nothing checks it before; import it in Safe Mode (Ctrl-X), which takes it back if you lose the line",
            ),
            (
                "load",
                "/import file-name=FILE (again at will: it takes out its own rules first)",
            ),
            (
                "watch",
                "/ip firewall filter print stats where comment~\"^imwarden\"",
            ),
            ("remove", "the two lines below that begin with remove"),
        ],
    );
    text.paragraph(
        "# ",
        "# ",
        "Rules are put in at the top. With fasttrack, sessions that are open already pass by them.",
    );
    for family in ["ip", "ipv6"] {
        text.line(format!("/{family} firewall filter"));
        text.line("remove [find where comment~\"^imwarden\"]");
    }
    for (family, v4) in [("ip", true), ("ipv6", false)] {
        text.line(format!("/{family} firewall filter"));
        for hook in &plan.hooks {
            for line in front::lines(plan) {
                if line.is_ipv4().is_some_and(|it| it != v4) {
                    continue;
                }
                let action = match (plan.action, line.transport) {
                    (Action::Drop, _) => "action=drop",
                    (_, Transport::Tcp) => "action=reject reject-with=tcp-reset",
                    (_, Transport::Udp) => "action=reject reject-with=icmp-port-unreachable",
                };
                let mut rule = format!("add chain={} protocol={}", hook.name(), line.proto());
                for (end, net) in [("src", line.from), ("dst", line.to)] {
                    if let Some(net) = net {
                        // Writing to a String cannot fail.
                        let _ = write!(rule, " {end}-address={}", place(net));
                    }
                }
                if let Some(range) = line.range('-') {
                    let _ = write!(rule, " dst-port={range}");
                }
                text.line(format!(
                    "{rule} {action} comment=\"imwarden {}\" place-before=0",
                    line.comment
                ));
            }
        }
    }
    text.finish()
}
