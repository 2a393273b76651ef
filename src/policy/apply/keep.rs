//! A policy in the place of another of ours, around what that one has counted and learned: the table itself stays, so that
//! no packet goes uncounted and no address is forgotten in between.

use super::ApplyError;
use super::listing::{self, Block};
use super::ours::{self, Ours};
use super::trial::Tried;
use crate::policy::prove::Backend;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Loads a file that keeps, on top of what is in force, and takes out what only the old policy had. `plain` is what the new
/// one is without any before it; `None` if this does not lead there, since the tables do not fit each other.
pub(super) fn around(text: &str, outgrown: &[String], before: &Ours, plain: &str) -> Option<Tried> {
    let Ours::Nftables(old) = before else {
        return None;
    };
    if old.is_empty() {
        return None;
    }
    let attempt = |text: &str| -> Result<String, ApplyError> {
        ours::replace(Backend::Nftables, before)?;
        ours::load(text)?;
        ours::table(&["-s"])
    };
    let old = listing::blocks(old);
    let mut load = text.to_owned();
    for name in outgrown {
        if old.iter().any(|it| it.kind == "set" && it.name == name) {
            // Writing to a String cannot fail.
            let _ = writeln!(load, "flush set inet imwarden {name}");
        }
    }
    let with_rests = attempt(&load).ok()?;
    load.push_str(&without_rests(&with_rests, plain));
    let wanted = attempt(&load).ok()?;
    if meaning(&wanted) != meaning(plain) {
        return None;
    }
    let now = listing::blocks(&wanted);
    let kept = now.iter().filter(|it| it.is_timed() && it.size() > 0);
    Some(Tried {
        kept: kept.count(),
        wanted: Ours::Nftables(wanted),
        load,
        counts_on: true,
        ..Tried::default()
    })
}

/// Statements that take out what `plain` does not have. Whoever names something goes before it.
fn without_rests(table: &str, plain: &str) -> String {
    let all = listing::blocks(plain);
    let rests = listing::blocks(table);
    let is_rest = |it: &&Block<'_>| {
        !all.iter()
            .any(|wanted| wanted.kind == it.kind && wanted.name == it.name)
    };
    let rests: Vec<Block<'_>> = rests.iter().filter(is_rest).cloned().collect();
    let mut text = String::new();
    for (verb, kind) in [
        ("flush", "chain"),
        ("delete", "map"),
        ("delete", "set"),
        ("delete", "chain"),
        ("delete", "counter"),
    ] {
        for it in rests.iter().filter(|it| it.kind == kind) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{verb} {kind} inet imwarden {}", it.name);
        }
    }
    text
}

/// What a table says, in whatever order it was made, without what is learned.
fn meaning(table: &str) -> BTreeSet<String> {
    let table = listing::without_learned(table);
    let all = listing::blocks(&table);
    all.iter()
        .map(|it| format!("{} {}\n{}", it.kind, it.name, it.lines.join("\n")))
        .collect()
}
