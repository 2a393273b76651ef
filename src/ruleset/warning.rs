//! What is not wrong with a rule file, but soon may be.

use super::{Messenger, Origin, RuleSet};
use jiff::civil::Date;
use jiff::{ToSpan, civil};
use std::fmt;

/// A doubt about a rule file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    origin: Origin,
    message: String,
}

/// `rules/modern/chat.toml:1:1: no sample that must be found`.
impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.message)
    }
}

impl RuleSet {
    /// What to look at again: lists that were not held against their sources for a year, and files that do not say of
    /// any traffic that it must be found, or of none that it must not.
    pub fn warnings(&self, today: Date) -> Vec<Warning> {
        let messengers = self.messengers().iter();
        messengers
            .flat_map(|messenger| of(messenger, today))
            .collect()
    }
}

fn of(messenger: &Messenger, today: civil::Date) -> impl Iterator<Item = Warning> {
    let name = &messenger.name;
    let a_year_ago = today.saturating_sub(1.year());
    let about = |origin: &Origin, message| Warning {
        origin: origin.clone(),
        message,
    };
    let updated = messenger.updated.filter(|date| *date < a_year_ago);
    let old = updated.map(|date| {
        format!(
            "what is stated about {name} was last checked on {date}: hosts and addresses change"
        )
    });
    let fingerprints = messenger.fingerprints.iter();
    let worn = fingerprints.filter(move |rule| rule.date < a_year_ago);
    let worn = worn.map(move |rule| {
        let message = format!(
            "the fingerprint of {name} was taken on {}: programs change with each version",
            rule.date
        );
        about(&rule.origin, message)
    });
    // What has nothing of its own cannot be found.
    let found = !messenger.can_be_named() || messenger.samples.iter().any(|it| it.expect.is_some());
    let silent = messenger.samples.iter().any(|it| it.expect.is_none());
    let missing =
        |has: bool, what: &str| (!has).then(|| format!("{name} has no sample that {what}"));
    [
        old,
        missing(found, "must be found"),
        missing(silent, "must be silent"),
    ]
    .into_iter()
    .flatten()
    .map(move |message| about(&messenger.origin, message))
    .chain(worn)
}
