//! Words about a plan's parts that several targets use.

use crate::policy::{NameGroup, Owner};

/// What closing each promises, or cannot do.
pub(super) fn notes(owners: &[&Owner]) -> Vec<String> {
    owners
        .iter()
        .filter_map(|owner| Some(format!("{}: {}", owner.id, owner.note.as_deref()?)))
        .collect()
}

/// `login.icq.com and *.msg.yahoo.com`.
pub(super) fn names_of(group: &NameGroup) -> String {
    let names: Vec<&str> = group.names.iter().map(|host| host.name.as_str()).collect();
    super::text::and(&names)
}
