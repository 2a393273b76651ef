//! `imwarden policy --diff OLD`: what changes, rule by rule.

use super::{PlanArgs, PolicyError};
use crate::policy::{Plan, contents, contents_of, difference};
use crate::ruleset::RuleSet;
use std::io::Write;
use std::path::Path;

/// Writes what changes from an older policy to this one. The older one is a policy file, or a file that imwarden wrote.
pub fn run(
    args: &PlanArgs,
    old: &Path,
    plan: &Plan,
    rules: &RuleSet,
    out: &mut dyn Write,
) -> Result<(), PolicyError> {
    let before = if old.extension().is_some_and(|it| it == "toml") {
        contents(&args.plan_of(old, rules)?)
    } else {
        let text = std::fs::read_to_string(old)
            .map_err(|error| PolicyError::Old(old.to_owned(), error.to_string()))?;
        contents_of(&text).ok_or_else(|| {
            let why = "it has no lines `imwarden-rule:`, which imwarden writes at the end of its files; or is it a policy file, and its name ends in .toml?";
            PolicyError::Old(old.to_owned(), why.to_owned())
        })?
    };
    let changes = difference(&before, &contents(plan));
    if changes.is_empty() {
        writeln!(out, "nothing changes")?;
    }
    for change in changes {
        writeln!(out, "{change}")?;
    }
    Ok(out.flush()?)
}
