//! `OpenWrt`: sections for its firewall's configuration.

use super::front;
use super::text::{Text, place};
use crate::policy::{Action, Hook, Plan, Target};

pub(super) fn render(plan: &Plan) -> String {
    let mut text = Text::default();
    front::head(
        &mut text,
        plan,
        Target::Openwrt,
        false,
        &[
            ("check", "fw4 check, once it is appended"),
            (
                "load",
                "append to /etc/config/firewall; service firewall reload",
            ),
            ("watch", "nft list table inet fw4"),
            ("remove", "delete these sections; service firewall reload"),
            (
                "or",
                "the file of --format nftables, which says all: config include, option type nftables, option position ruleset-post, option path FILE",
            ),
        ],
    );
    let target = match plan.action {
        Action::Drop => "DROP",
        _ => "REJECT",
    };
    for hook in &plan.hooks {
        for line in front::lines(plan) {
            text.line("config rule");
            let mut option =
                |name: &str, value: &str| text.line(format!("\toption {name} '{value}'"));
            option("name", &format!("imwarden {}", line.comment));
            // Without a destination a rule is about the router itself, without a source about what it opens.
            if *hook != Hook::Output {
                option("src", "*");
            }
            if *hook != Hook::Input {
                option("dest", "*");
            }
            option("proto", &line.proto());
            if let Some(range) = line.range('-') {
                option("dest_port", &range);
            }
            if let Some(net) = line.from {
                option("src_ip", &place(net));
            }
            if let Some(net) = line.to {
                option("dest_ip", &place(net));
            }
            option("target", target);
            text.blank();
        }
    }
    text.finish()
}
