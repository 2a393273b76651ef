//! Sets for iptables: the addresses that a resolver tells. Both families in one file.

use super::text::Text;
use super::{header, names, words};
use crate::policy::Plan;

/// How long an address is refused that a resolver told, unless somebody goes on asking for it: a day.
const TOLD_FOR: u32 = 86_400;

/// `imw-names-yahoo4`: at most 31 characters.
pub(super) fn name(chain: &str, v4: bool) -> String {
    format!("{}{}", chain.to_lowercase(), if v4 { '4' } else { '6' })
}

/// All sets, each with what it is about.
pub(super) fn all(plan: &Plan) -> Vec<String> {
    let names = names::iptables(plan);
    let each = |chain: &String| [name(chain, true), name(chain, false)];
    names.names.iter().flat_map(each).collect()
}

/// The lines that `ipset restore -exist` reads: what is there already stays as it is.
pub(super) fn lines(plan: &Plan) -> Vec<String> {
    all(plan)
        .into_iter()
        .map(|set| {
            let family = if set.ends_with('4') { "inet" } else { "inet6" };
            format!("create {set} hash:ip family {family} timeout {TOLD_FOR}")
        })
        .collect()
}

/// A file for `ipset restore`.
pub(super) fn render(plan: &Plan) -> String {
    let mut text = Text::default();
    header::write(
        &mut text,
        plan,
        &[
            ("check", "unshare -rn ipset restore -exist -file FILE"),
            (
                "load",
                "ipset restore -exist -file FILE (again at will: what was learned is kept), then the files of --format iptables and ip6tables",
            ),
            ("watch", "ipset list"),
            (
                "remove",
                "ipset destroy NAME, once no rule names it any more",
            ),
        ],
    );
    if plan.names.is_empty() {
        text.line("#");
        text.line("# NO SET IS NEEDED: this policy keeps none (--match name does).");
    }
    for group in &plan.names {
        text.line(format!("# {}: {}", group.id, words::names_of(group)));
    }
    for line in lines(plan) {
        text.line(line);
    }
    text.finish()
}
