//! A POSIX shell script around both restore files, because only a script can ask whether a jump is there.

use super::header;
use super::iptables::{self, Family};
use super::text::Text;
use crate::policy::{Hook, Plan};

pub(super) fn render(plan: &Plan) -> String {
    let mut text = Text::default();
    text.line("#!/bin/sh");
    header::write(
        &mut text,
        plan,
        &[
            ("check", "sh FILE check"),
            ("load", "sh FILE (again at will: it replaces itself)"),
            ("watch", "iptables -w -nvL; ip6tables -w -nvL"),
            ("remove", "sh FILE remove"),
        ],
    );
    text.blank();
    text.line("set -eu");
    text.blank();
    text.line(
        "# To choose a back-end: IPTABLES=iptables-legacy IP6TABLES=ip6tables-legacy sh FILE",
    );
    text.line("IPTABLES=${IPTABLES:-iptables}");
    text.line("IP6TABLES=${IP6TABLES:-ip6tables}");
    text.blank();
    text.line(format!("CHAINS=\"{}\"", iptables::chains(plan).join(" ")));
    text.blank();
    for (family, name) in [(Family::V4, "rules_v4"), (Family::V6, "rules_v6")] {
        text.line(format!("{name}() {{"));
        text.line("\tcat <<'END-OF-RULES'");
        text.line(iptables::table(plan, family).trim_end());
        text.line("END-OF-RULES");
        text.line("}");
        text.blank();
    }
    jumps(&mut text, plan);
    text.line(REST.trim_start_matches('\n').trim_end());
    text.finish()
}

/// Wanted jumps are put in where they are missing; those of an earlier policy are taken out.
fn jumps(text: &mut Text, plan: &Plan) {
    text.line("# jumps PROGRAM: leads the directions asked for into our chains, and no others.");
    text.line("jumps() {");
    for hook in [Hook::Forward, Hook::Output, Hook::Input] {
        let (chain, rule) = (iptables::chain(hook), iptables::jump(hook));
        if plan.hooks.contains(&hook) {
            text.line(format!("\t\"$1\" -w -C {chain} {rule} 2>/dev/null ||"));
            text.line(format!("\t\t\"$1\" -w -I {chain} 1 {rule}"));
        } else {
            text.line(format!("\tunjump \"$1\" {chain} {rule}"));
        }
    }
    text.line("}");
    text.blank();
    text.line("no_jumps() {");
    for hook in [Hook::Forward, Hook::Output, Hook::Input] {
        let (chain, rule) = (iptables::chain(hook), iptables::jump(hook));
        text.line(format!("\tunjump \"$1\" {chain} {rule}"));
    }
    text.line("}");
    text.blank();
}

const REST: &str = r#"
# unjump PROGRAM RULE...: deletes the rule, however often it is there.
unjump() {
	tool=$1
	shift
	while "$tool" -w -D "$@" 2>/dev/null; do :; done
}

# our_chains PROGRAM: every chain that an imwarden policy has left here.
our_chains() {
	"$1" -w -S | sed -n 's/^-N \(IMWARDEN\)$/\1/p; s/^-N \(IMW-[A-Z0-9-]*\)$/\1/p'
}

# drop_chains PROGRAM KEEP: deletes our chains but those to keep. All are emptied before the first is
# deleted, because a chain that another one names cannot go.
drop_chains() {
	old=
	for chain in $(our_chains "$1"); do
		case " $2 " in
		*" $chain "*) ;;
		*) old="$old $chain" ;;
		esac
	done
	for chain in $old; do "$1" -w -F "$chain"; done
	for chain in $old; do "$1" -w -X "$chain"; done
}

check() {
	rules_v4 | "$IPTABLES-restore" -w --noflush --test
	rules_v6 | "$IP6TABLES-restore" -w --noflush --test
}

load() {
	check
	rules_v4 | "$IPTABLES-restore" -w --noflush
	rules_v6 | "$IP6TABLES-restore" -w --noflush
	for program in "$IPTABLES" "$IP6TABLES"; do
		jumps "$program"
		drop_chains "$program" "$CHAINS"
	done
}

remove() {
	for program in "$IPTABLES" "$IP6TABLES"; do
		no_jumps "$program"
		drop_chains "$program" ""
	done
}

usage() {
	echo "usage: sh $0 [load|check|remove]" >&2
	exit 2
}

case ${1:-load} in
load) load ;;
check) check ;;
remove) remove ;;
*) usage ;;
esac
"#;
