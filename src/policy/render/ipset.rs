//! Sets for iptables, both families in one file: addresses that a resolver tells, and endpoints that were seen.
//!
//! The former are kept, whatever is loaded. The latter are what the policy says: they are made beside the old ones, and change
//! places with them.

use super::text::Text;
use super::{header, names, words};
use crate::policy::{Plan, Seen, SeenGroup, Target};
use std::net::IpAddr;

/// How long an address is refused that a resolver told, unless somebody goes on asking for it: a day.
const TOLD_FOR: u32 = 86_400;
/// More endpoints than anybody has; the kernel's own limit is 65,536, and cannot be changed once the set is there.
const MOST: u32 = 1 << 20;
/// Where new endpoints wait.
const FRESH: &str = "imw-fresh";

/// `imw-names-yahoo4`: at most 31 characters.
pub(super) fn name(chain: &str, v4: bool) -> String {
    format!("{}{}", chain.to_lowercase(), digit(v4))
}

const fn digit(v4: bool) -> char {
    if v4 { '4' } else { '6' }
}

const fn family(v4: bool) -> &'static str {
    if v4 { "inet" } else { "inet6" }
}

/// The endpoints of a group that are closed as a whole.
pub(super) fn endpoints(group: &SeenGroup, v4: bool) -> impl Iterator<Item = &Seen> {
    group
        .seen
        .iter()
        .filter(move |seen| seen.opening.is_none() && seen.server.ip.is_ipv4() == v4)
}

/// The sets of a plan.
pub(super) struct Sets {
    /// Their names.
    pub names: Vec<String>,
    /// Lines for `ipset restore -exist` that make them; what is there already stays as it is.
    pub make: Vec<String>,
    /// Lines that put what was seen into them, at once.
    pub fill: Vec<String>,
}

impl Sets {
    pub(super) fn of(plan: &Plan) -> Self {
        let mut sets = Self {
            names: Vec::new(),
            make: Vec::new(),
            fill: Vec::new(),
        };
        let names = names::iptables(plan);
        for (chain, v4) in names.names.iter().flat_map(|it| [(it, true), (it, false)]) {
            let set = name(chain, v4);
            let family = family(v4);
            sets.make.push(format!(
                "create {set} hash:ip family {family} timeout {TOLD_FOR}"
            ));
            sets.names.push(set);
        }
        for (group, chain) in plan.seen.iter().zip(&names.seen) {
            for v4 in [true, false] {
                sets.seen(name(chain, v4), group, v4);
            }
        }
        sets
    }

    fn seen(&mut self, set: String, group: &SeenGroup, v4: bool) {
        if endpoints(group, v4).next().is_none() {
            return;
        }
        let kind = format!("hash:ip,port family {} maxelem {MOST} comment", family(v4));
        let fresh = format!("{FRESH}{}", digit(v4));
        self.make.push(format!("create {set} {kind}"));
        self.fill.push(format!("create {fresh} {kind}"));
        // One of a load that went wrong may still be there.
        self.fill.push(format!("flush {fresh}"));
        for seen in endpoints(group, v4) {
            let ip: IpAddr = seen.server.ip;
            let proto = seen.transport.name().to_lowercase();
            self.fill.push(format!(
                "add {fresh} {ip},{proto}:{} comment \"{}\"",
                seen.server.port,
                seen.words()
            ));
        }
        self.fill.push(format!("swap {fresh} {set}"));
        self.fill.push(format!("destroy {fresh}"));
        self.names.push(set);
    }
}

/// A file for `ipset restore`.
pub(super) fn render(plan: &Plan) -> String {
    let mut text = Text::default();
    header::write(
        &mut text,
        plan,
        Target::Ipset,
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
    let sets = Sets::of(plan);
    if sets.names.is_empty() {
        text.line("#");
        text.line("# NO SET IS NEEDED: this policy keeps none (--match name and --observed do).");
    }
    for group in &plan.names {
        text.line(format!("# {}: {}", group.id, words::names_of(group)));
    }
    for line in sets.make.iter().chain(&sets.fill) {
        text.line(line);
    }
    text.finish()
}
