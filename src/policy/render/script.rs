//! A POSIX shell script around both restore files, because only a script can ask whether a jump is there.

use super::header;
use super::ipset::Sets;
use super::iptables::{self, Family};
use super::text::Text;
use crate::policy::{Hook, Plan, Target};

pub(super) fn render(plan: &Plan) -> String {
    let mut text = Text::default();
    text.line("#!/bin/sh");
    header::write(
        &mut text,
        plan,
        Target::IptablesScript,
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
    let all = Sets::of(plan);
    sets(&mut text, &all);
    jumps(&mut text, plan);
    let mut rest = REST.trim_start_matches('\n').trim_end().to_owned();
    if all.names.is_empty() {
        rest = rest.replace("\tsets\n", "").replace("\tno_sets\n", "");
    }
    if all.fill.is_empty() {
        rest = rest.replace("\tfill_sets\n", "");
    }
    text.line(rest);
    text.finish()
}

/// Sets must be there before a rule that names them can even be checked. Those that are there keep what they learned.
fn sets(text: &mut Text, sets: &Sets) {
    if sets.names.is_empty() {
        return;
    }
    let restore = |text: &mut Text, name: &str, lines: &[String]| {
        text.line(format!("{name}() {{"));
        text.line("\t\"$IPSET\" restore -exist <<'END-OF-SETS'");
        for line in lines {
            text.line(line);
        }
        text.line("END-OF-SETS");
        text.line("}");
    };
    text.line("# Sets must be there before a rule that names them can even be checked. Those that are there stay as they are.");
    text.line("IPSET=${IPSET:-ipset}");
    restore(text, "sets", &sets.make);
    if !sets.fill.is_empty() {
        text.line("# What was seen changes places with what was in them.");
        restore(text, "fill_sets", &sets.fill);
    }
    text.line("no_sets() {");
    for set in &sets.names {
        text.line(format!("\t\"$IPSET\" destroy {set} 2>/dev/null || true"));
    }
    text.line("}");
    text.blank();
}

/// Wanted jumps are put in, and those of an earlier policy taken out.
fn jumps(text: &mut Text, plan: &Plan) {
    text.line("# jumps PROGRAM: leads the directions asked for into our chains, and no others.");
    text.line("jumps() {");
    for hook in [Hook::Forward, Hook::Output, Hook::Input] {
        let chain = iptables::chain(hook);
        let wanted = if plan.hooks.contains(&hook) {
            iptables::jumps(plan, hook)
        } else {
            Vec::new()
        };
        if let [rule] = wanted.as_slice() {
            text.line(format!("\tif ! only \"$1\" {chain} {rule}; then"));
        } else if !wanted.is_empty() {
            let all: Vec<String> = wanted
                .iter()
                .map(|rule| format!("\"$1\" -w -C {chain} {rule} 2>/dev/null"))
                .collect();
            text.line(format!(
                "\tif [ \"$(count \"$1\" {chain})\" != {} ] ||",
                wanted.len()
            ));
            text.line(format!("\t\t! {{ {}; }}; then", all.join(" &&\n\t\t\t")));
        }
        if wanted.is_empty() {
            text.line(format!("\tunjump \"$1\" {chain} 0"));
            continue;
        }
        // New ones first: there is no moment without.
        for rule in &wanted {
            text.line(format!("\t\t\"$1\" -w -I {chain} 1 {rule}"));
        }
        text.line(format!("\t\tunjump \"$1\" {chain} {}", wanted.len()));
        text.line("\tfi");
    }
    text.line("}");
    text.blank();
    text.line("no_jumps() {");
    for hook in [Hook::Forward, Hook::Output, Hook::Input] {
        text.line(format!("\tunjump \"$1\" {} 0", iptables::chain(hook)));
    }
    text.line("}");
    text.blank();
}

const REST: &str = r#"
# count PROGRAM CHAIN: how many jumps of ours are there.
count() {
	"$1" -w -S "$2" | grep -c -- '-j IMWARDEN$' || true
}

# only PROGRAM CHAIN RULE...: whether this rule leads into our chains, and no other does.
only() {
	[ "$(count "$1" "$2")" = 1 ] || return 1
	asked=$1
	shift
	"$asked" -w -C "$@" 2>/dev/null
}

# unjump PROGRAM CHAIN KEEP: takes out our jumps but the first KEEP of them.
unjump() {
	number=0
	seen=0
	old=
	for target in $("$1" -w -S "$2" | sed -n 's/^-A .*-j IMWARDEN$/ours/p; t; s/^-A .*/other/p'); do
		number=$((number + 1))
		[ "$target" = ours ] || continue
		seen=$((seen + 1))
		[ "$seen" -le "$3" ] || old="$number $old"
	done
	# From the last to the first, so that numbers stay what they are.
	for number in $old; do "$1" -w -D "$2" "$number"; done
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
	sets
	rules_v4 | "$IPTABLES-restore" -w --noflush --test
	rules_v6 | "$IP6TABLES-restore" -w --noflush --test
}

load() {
	check
	fill_sets
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
	no_sets
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
