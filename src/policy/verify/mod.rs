//! Verify: the rules that are in force, read for what makes rules look right and block nothing.
//!
//! * [`machine`] gathers what is there: rules, interfaces, forwarding, resolvers;
//! * [`nftables`] and [`iptables`] read the rules of one firewall;
//! * [`dnsmasq`] reads what resolvers were told, and [`resolver`] judges whether they fill the sets that names are for.
//!
//! A fault is something to repair. A remark is something to know: it makes nobody get up at night.

mod dnsmasq;
mod iptables;
mod machine;
mod nftables;
mod resolver;

pub use machine::Machine;

use crate::policy::prove::Backend;
use jiff::civil::Date;
use serde::Serialize;

/// What kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The rules are not there, or no packet goes through them.
    NotLoaded,
    /// Packets go through them at the wrong place.
    WrongHook,
    /// A rule before them accepts.
    BehindAccept,
    /// A rule among them takes what others are for.
    Shadowed,
    /// A rule looks into a set in which nothing is.
    EmptySet,
    /// IPv6 passes.
    NoIpv6,
    /// A rule is for an interface that this machine does not have.
    WrongInterface,
    /// Addresses that are out of date.
    Stale,
    /// Whoever should fill a set does not.
    Resolver,
    /// Something else was changed since it was applied.
    Changed,
    /// It was never confirmed, and nobody is there to take it back.
    Unguarded,
}

impl Kind {
    /// As it stands in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotLoaded => "not loaded",
            Self::WrongHook => "wrong hook",
            Self::BehindAccept => "behind an accept",
            Self::Shadowed => "shadowed",
            Self::EmptySet => "empty set",
            Self::NoIpv6 => "no IPv6",
            Self::WrongInterface => "wrong interface",
            Self::Stale => "stale",
            Self::Resolver => "resolver",
            Self::Changed => "changed",
            Self::Unguarded => "unguarded",
        }
    }
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Fault {
    /// What kind.
    pub kind: Kind,
    /// In which firewall.
    pub backend: Option<Backend>,
    /// What is wrong, and where.
    pub what: String,
    /// What to do.
    pub advice: String,
}

/// What a look at a machine came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verdict {
    /// What to repair.
    pub faults: Vec<Fault>,
    /// What to know.
    pub remarks: Vec<String>,
}

impl Verdict {
    fn fault(&mut self, kind: Kind, backend: Option<Backend>, what: String, advice: &str) {
        self.faults.push(Fault {
            kind,
            backend,
            what,
            advice: advice.to_owned(),
        });
    }
}

const LOAD_AGAIN: &str = "load the policy again: `imwarden apply`";

/// Looks for faults.
pub fn verify(machine: &Machine) -> Verdict {
    let mut verdict = Verdict::default();
    let mut loaded = Vec::new();
    if let Some(table) = &machine.table {
        loaded.push(Backend::Nftables);
        nftables::judge(machine, table, &mut verdict);
    }
    for families in &machine.xtables {
        loaded.push(families.backend);
        iptables::judge(machine, families, &mut verdict);
    }
    expected(machine, &loaded, &mut verdict);
    if !loaded.is_empty() {
        resolver::judge(machine, &mut verdict);
    }
    verdict.faults.sort();
    verdict.faults.dedup();
    verdict.remarks.sort();
    verdict.remarks.dedup();
    verdict
}

/// Holds what is there against what was applied.
fn expected(machine: &Machine, loaded: &[Backend], verdict: &mut Verdict) {
    let Some(now) = &machine.expected else {
        if loaded.is_empty() {
            verdict.fault(
                Kind::NotLoaded,
                None,
                "nothing of ours is loaded in any firewall of this machine".to_owned(),
                LOAD_AGAIN,
            );
        }
        return;
    };
    if !loaded.contains(&now.backend) {
        verdict.fault(
            Kind::NotLoaded,
            Some(now.backend),
            format!(
                "policy {} was applied and is gone: somebody has flushed the rules since (`nft flush ruleset`, or another firewall's restart)",
                now.number
            ),
            "load it again, and have whoever flushes keep to his own table",
        );
    }
    if now.waits && !now.guarded {
        verdict.fault(
            Kind::Unguarded,
            Some(now.backend),
            format!(
                "policy {} waits to be confirmed, and the process that takes it back is gone",
                now.number
            ),
            "`imwarden confirm`, or `imwarden undo`",
        );
    }
    for (what, day) in over(&now.text, now.today) {
        verdict.fault(
            Kind::Stale,
            Some(now.backend),
            format!("`{what}` was to end on {day}, and is still in force"),
            "apply the policy again: what is over is left out then",
        );
    }
    if !now.drift.is_empty() {
        let lines = |sign: char| {
            let head: String = [sign; 3].iter().collect();
            let all = now.drift.iter();
            all.filter(|line| line.starts_with(sign) && !line.starts_with(&head))
                .count()
        };
        verdict.fault(
            Kind::Changed,
            Some(now.backend),
            format!(
                "the rules are not those that were applied: {} lines are missing, {} are too many (`imwarden status` shows them)",
                lines('-'),
                lines('+')
            ),
            LOAD_AGAIN,
        );
    }
}

/// What a file of ours says of what is over: rules know no day.
fn over(text: &str, today: Date) -> Vec<(String, Date)> {
    let ended = |line: &String| {
        let (day, what) = line.strip_prefix("until ")?.split_once(' ')?;
        let day: Date = day.parse().ok()?;
        (day < today).then(|| (what.to_owned(), day))
    };
    let all = super::contents_of(text).unwrap_or_default();
    all.iter().filter_map(ended).collect()
}

/// Whether the places that packets are judged at are any that packets come by on this machine.
fn hooks(machine: &Machine, backend: Backend, judged: &[&str], verdict: &mut Verdict) {
    let forwards = machine.forwards || machine.bridges;
    let own = judged
        .iter()
        .any(|hook| matches!(*hook, "output" | "input"));
    if judged.contains(&"forward") && !own && !forwards {
        verdict.fault(
            Kind::WrongHook,
            Some(backend),
            "only what passes through this machine is judged (forward), and nothing does: forwarding is off".to_owned(),
            "choose `--direction output,input` for a machine by itself, or switch net.ipv4.ip_forward and net.ipv6.conf.all.forwarding on",
        );
    }
    if machine.forwards && !judged.contains(&"forward") && !judged.is_empty() {
        let what = format!(
            "this machine passes on packets of others, and only what {} is judged",
            match judged {
                ["input"] => "others open to itself (input)",
                ["output"] => "it opens itself (output)",
                _ => "it opens itself or others open to it",
            }
        );
        if judged == ["input"] {
            verdict.fault(
                Kind::WrongHook,
                Some(backend),
                what,
                "a router's clients pass by `forward`: choose `--direction forward`",
            );
        } else {
            verdict.remarks.push(what);
        }
    }
}

/// An interface that a rule names, with `*` at its end for any rest.
fn interface(machine: &Machine, name: &str, backend: Backend, place: &str, verdict: &mut Verdict) {
    let there = match name.strip_suffix(['*', '+']) {
        Some(stem) => machine.interfaces.iter().any(|it| it.starts_with(stem)),
        None => machine.interfaces.iter().any(|it| it == name),
    };
    if !there {
        verdict.fault(
            Kind::WrongInterface,
            Some(backend),
            format!("{place} is for the interface {name}, which this machine does not have"),
            "`imwarden devices` lists those that it has",
        );
    }
}
