//! ufw: its own commands, in a script that can run again and again.

use super::front::{self, Line};
use super::text::Text;
use crate::policy::{Action, Hook, Plan, Target};

pub(super) fn render(plan: &Plan) -> String {
    let mut text = Text::default();
    text.line("#!/bin/sh");
    front::head(
        &mut text,
        plan,
        Target::Ufw,
        true,
        &[
            ("check", "sh FILE check"),
            (
                "load",
                "sh FILE (again at will: a rule that is there already is skipped)",
            ),
            ("watch", "ufw status numbered"),
            (
                "remove",
                "sh FILE remove (the file that was loaded; before another one is)",
            ),
        ],
    );
    text.line("set -eu");
    text.line("UFW=${UFW:-ufw}");
    text.blank();
    text.line("# rule OPTIONS... : each rule, by what is to be done with it.");
    text.line("rules() {");
    let lines = front::lines(plan);
    if lines.is_empty() || plan.hooks.is_empty() {
        text.line("\t:");
    }
    for hook in &plan.hooks {
        for line in &lines {
            text.line(format!("\t{}", rule(plan, *hook, line)));
        }
    }
    text.line("}");
    text.blank();
    text.line(REST.trim_start_matches('\n').trim_end());
    text.finish()
}

/// `route rule reject ...` or `plain rule reject out ...`: the verb that follows is put before `reject`.
fn rule(plan: &Plan, hook: Hook, line: &Line) -> String {
    let verdict = match plan.action {
        Action::Drop => "deny",
        _ => "reject",
    };
    let (kind, direction) = match hook {
        Hook::Forward => ("routed", ""),
        Hook::Output => ("direct", " out"),
        Hook::Input => ("direct", " in"),
    };
    let port = line
        .range(':')
        .map(|range| format!(" port {range}"))
        .unwrap_or_default();
    format!(
        "{kind} {verdict}{direction} proto {} from {} to {}{port} comment 'imwarden {}'",
        line.proto(),
        front::or_any(line.from),
        front::or_any(line.to),
        line.comment
    )
}

const REST: &str = r#"
routed() { number=$((number + 1)); "$UFW" $TRY route $VERB "$@"; }
direct() { number=$((number + 1)); "$UFW" $TRY $VERB "$@"; }
number=0

# Before all others: what they allow is refused all the same. But of two rules about the same, ufw keeps the first.
load() {
	TRY='' VERB=prepend
	rules
	there=$("$UFW" show added | grep -c "comment 'imwarden " || true)
	[ "$there" -ge "$number" ] && return
	echo "$0: $there of $number rules are in force: somebody has a rule of his own about the same ports (ufw show added), and ufw keeps that one" >&2
	exit 1
}

case ${1:-load} in
load) load ;;
check) TRY=--dry-run VERB=prepend; rules >/dev/null ;;
remove) TRY='' VERB=delete; rules ;;
*)
	echo "usage: sh $0 [load|check|remove]" >&2
	exit 2
	;;
esac
"#;
