//! firewalld: a policy of our own for each direction, written into its folder by a script.

use super::front::{self, Line};
use super::text::{Text, place};
use crate::policy::{Action, Hook, Plan, Target};
use std::fmt::Write as _;

pub(super) fn render(plan: &Plan) -> String {
    let mut text = Text::default();
    text.line("#!/bin/sh");
    front::head(
        &mut text,
        plan,
        Target::Firewalld,
        true,
        &[
            (
                "check",
                "sh FILE check (in a copy of the configuration; firewalld says ok to much that it then ignores, so its warnings count)",
            ),
            (
                "load",
                "sh FILE (again at will: it replaces its own policies)",
            ),
            (
                "write",
                "sh FILE write (the policies only, without a reload)",
            ),
            ("watch", "firewall-cmd --info-policy=imwarden-forward"),
            ("remove", "sh FILE remove"),
        ],
    );
    text.line("set -eu");
    text.line("# Another folder than the system's: FIREWALLD=DIR RELOAD=true sh FILE");
    text.line("FIREWALLD=${FIREWALLD:-/etc/firewalld}");
    text.line("RELOAD=${RELOAD:-firewall-cmd --reload}");
    text.blank();
    for hook in [Hook::Forward, Hook::Output, Hook::Input] {
        text.line(format!("{}() {{", hook.name()));
        if plan.hooks.contains(&hook) && !front::lines(plan).is_empty() {
            text.line("\tcat <<'END-OF-POLICY'");
            text.line(policy(plan, hook).trim_end());
            text.line("END-OF-POLICY");
        } else {
            text.line("\t:");
        }
        text.line("}");
        text.blank();
    }
    text.line(REST.trim_start_matches('\n').trim_end());
    text.finish()
}

fn policy(plan: &Plan, hook: Hook) -> String {
    let (from, to) = match hook {
        Hook::Forward => ("ANY", "ANY"),
        Hook::Output => ("HOST", "ANY"),
        Hook::Input => ("ANY", "HOST"),
    };
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n");
    // A priority below 0 stands before all zones. Writing to a String cannot fail.
    let _ = writeln!(xml, "<policy priority=\"-5\" target=\"CONTINUE\">");
    let _ = writeln!(xml, "  <short>imwarden-{}</short>", hook.name());
    for line in front::lines(plan) {
        xml.push_str(&rule(plan, &line));
    }
    let _ = writeln!(xml, "  <ingress-zone name=\"{from}\"/>");
    let _ = writeln!(xml, "  <egress-zone name=\"{to}\"/>");
    xml.push_str("</policy>\n");
    xml
}

fn rule(plan: &Plan, line: &Line) -> String {
    let verdict = match plan.action {
        Action::Drop => "drop",
        _ => "reject",
    };
    let family = match line.is_ipv4() {
        Some(true) => " family=\"ipv4\"",
        Some(false) => " family=\"ipv6\"",
        None => "",
    };
    let mut xml = String::new();
    let _ = writeln!(xml, "  <!-- {} -->", line.comment.replace("--", "-"));
    let _ = writeln!(xml, "  <rule{family}>");
    for (end, net) in [("source", line.from), ("destination", line.to)] {
        if let Some(net) = net {
            let _ = writeln!(xml, "    <{end} address=\"{}\"/>", place(net));
        }
    }
    let proto = line.proto();
    let ports = line.range('-').unwrap_or_else(|| "1-65535".to_owned());
    let _ = writeln!(xml, "    <port port=\"{ports}\" protocol=\"{proto}\"/>");
    let _ = writeln!(xml, "    <{verdict}/>");
    xml.push_str("  </rule>\n");
    xml
}

const REST: &str = r#"
# files DIR: writes our policies into a configuration, and takes out those of an earlier file.
files() {
	mkdir -p "$1/policies"
	for direction in forward output input; do
		file=$1/policies/imwarden-$direction.xml
		"$direction" >"$file.new"
		if [ -s "$file.new" ]; then mv "$file.new" "$file"; else rm -f "$file.new" "$file"; fi
	done
}

check() {
	copy=$(mktemp -d)
	trap 'rm -rf "$copy"' EXIT
	[ ! -d "$FIREWALLD" ] || cp -R "$FIREWALLD/." "$copy"
	files "$copy"
	said=$(firewall-offline-cmd --system-config "$copy" --check-config 2>&1) || { echo "$said" >&2; exit 1; }
	case $said in *WARNING* | *ERROR*) echo "$said" >&2; exit 1 ;; esac
}

remove() {
	rm -f "$FIREWALLD"/policies/imwarden-forward.xml "$FIREWALLD"/policies/imwarden-output.xml "$FIREWALLD"/policies/imwarden-input.xml
}

case ${1:-load} in
load) check; files "$FIREWALLD"; $RELOAD ;;
check) check ;;
write) files "$FIREWALLD" ;;
remove) remove; $RELOAD ;;
*)
	echo "usage: sh $0 [load|check|write|remove]" >&2
	exit 2
	;;
esac
"#;
