//! Rules of other programs, said in the language of rule files: l7-filter's patterns and Suricata's simple content rules.
//!
//! What is taken means here what it means there, as far as the beginning of a side goes; what cannot be said is left, with its
//! place and the reason. Each part is held against the reader of rule files before it is taken, so that what comes out is a rule
//! file.

mod item;
mod l7;
mod pattern;
mod set;
mod suricata;
#[cfg(test)]
mod tests;

pub use l7::l7_filter;
pub use suricata::suricata;

use super::{Mistake, RuleSet, RulesError};
use item::{Head, Item, plain};
use std::collections::HashSet;
use std::fmt;

/// Larger files are no rules.
pub const MAX_FILE: usize = 64 << 20;

/// A part of a file that is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Line, from 1.
    pub line: usize,
    /// Column in bytes, from 1.
    pub column: usize,
    /// Which rule, or which part of a pattern.
    pub what: String,
    /// Why not.
    pub reason: String,
}

/// `17:9: sid 2001: `pcre` cannot be said`.
impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            column,
            what,
            reason,
        } = self;
        write!(f, "{line}:{column}: {what}: {reason}")
    }
}

/// What became of a file.
#[derive(Clone, Debug)]
pub struct Imported {
    /// A rule file; empty when nothing was taken.
    pub text: String,
    /// How many rules, or parts of a pattern, were taken.
    pub taken: usize,
    /// Those that were not, in the order of the file.
    pub left: Vec<Left>,
}

/// Puts together what is taken.
struct Taking {
    head: Head,
    /// What was taken, as text.
    items: String,
    taken: usize,
    left: Vec<Left>,
    /// Ids and names that were taken.
    seen: HashSet<String>,
}

impl Taking {
    fn new(head: Head) -> Self {
        Self {
            head,
            items: String::new(),
            taken: 0,
            left: Vec::new(),
            seen: HashSet::new(),
        }
    }

    /// Takes what one rule became, if the reader of rule files takes it.
    fn take(&mut self, place: Place, items: &[Item]) {
        if let Some(again) = items
            .iter()
            .map(Item::key)
            .find(|key| self.seen.contains(key))
        {
            return self.leave(place, format!("`{again}` was taken before"));
        }
        let text: String = items.iter().map(|item| item.toml(&self.head.id)).collect();
        let whole = format!("{}{text}", self.head.toml());
        match RuleSet::from_text("import", &whole) {
            Ok(_) => {
                self.items.push_str(&text);
                self.seen.extend(items.iter().map(Item::key));
                self.taken += 1;
            }
            Err(RulesError::Invalid(mistakes)) => {
                let told = mistakes.first().map(Mistake::explained);
                self.leave(place, told.unwrap_or_default());
            }
            Err(other) => self.leave(place, other.to_string()),
        }
    }

    fn leave(&mut self, place: Place, reason: impl Into<String>) {
        let Place { line, column, what } = place;
        self.left.push(Left {
            line,
            column,
            // It is shown on a terminal, and may quote the file.
            what: plain(&what, "a rule"),
            reason: plain(&reason.into(), "it cannot be said"),
        });
    }

    /// The rule file. What holds of each part holds of all, but for what is stated twice.
    fn finish(mut self) -> Result<Imported, RulesError> {
        self.left.sort_by_key(|left| (left.line, left.column));
        let text = if self.taken == 0 {
            String::new()
        } else {
            format!("{}{}", self.head.toml(), self.items)
        };
        if !text.is_empty() {
            RuleSet::from_text("import", &text)?;
        }
        Ok(Imported {
            text,
            taken: self.taken,
            left: self.left,
        })
    }
}

/// Where a rule stands, and what it is called.
#[derive(Clone, Debug)]
struct Place {
    line: usize,
    column: usize,
    what: String,
}
