//! Rules of other programs: what is taken is a rule file, what is not has a place and a reason, and no line ending and no cut
//! of a stream changes anything.

use super::script::{Step, What, steps};
use super::stream::{datagrams, uncut};
use imwarden::classify::Events;
use imwarden::classify::stream::Context;
use imwarden::ruleset::import::{self, Imported};
use imwarden::ruleset::{RuleSet, RulesError};

type Importer = fn(&str, &[u8], &str) -> Result<Imported, RulesError>;

/// A pattern file of l7-filter.
pub fn import_l7(data: &[u8]) {
    run(import::l7_filter, data);
}

/// A rule file of Suricata.
pub fn import_suricata(data: &[u8]) {
    run(import::suricata, data);
}

/// The first speech is the file, the others are held against what was taken of it.
fn run(importer: Importer, data: &[u8]) {
    let mut said = steps(data).into_iter();
    let Some(What::Bytes(file)) = said.next().map(|step| step.what) else {
        return;
    };
    let said: Vec<Step> = said.collect();
    let imported = take(importer, &file);
    if !file.contains(&b'\r') {
        let text = file.split(|byte| *byte == b'\n').collect::<Vec<_>>();
        let other = take(importer, &text.join(&b"\r\n"[..]));
        assert_eq!(other.text, imported.text, "with other line endings");
        assert_eq!(other.left, imported.left, "with other line endings");
    }
    let lines = file.split(|byte| *byte == b'\n').count();
    let places = imported.left.iter().map(|left| (left.line, left.column));
    assert!(places.is_sorted(), "{:?}", imported.left);
    for left in &imported.left {
        let there = (1..=lines).contains(&left.line) && (1..=file.len() + 1).contains(&left.column);
        assert!(there, "{left:?}");
        assert!(!left.what.is_empty() && !left.reason.is_empty(), "{left:?}");
        // It is shown on a terminal.
        assert!(!left.to_string().contains(char::is_control), "{left:?}");
    }
    assert_eq!(imported.taken == 0, imported.text.is_empty());
    if imported.taken == 0 {
        return;
    }
    let rules = RuleSet::from_text("imported.toml", &imported.text)
        .unwrap_or_else(|error| panic!("what was taken is no rule file: {error}"));
    let [messenger] = rules.messengers() else {
        panic!("one messenger");
    };
    let rows = messenger.beginnings.len() + messenger.hosts.len();
    assert!(rows >= imported.taken, "{rows} of {}", imported.taken);
    let mut events = Events::default();
    events.lend(&rules);
    let context = Context {
        server_port: 7000,
        expected: None,
    };
    for from_start in [true, false] {
        uncut(&mut events, context, from_start, &said);
    }
    events.drain().for_each(drop);
    datagrams(&mut events, context, &said);
}

fn take(importer: Importer, file: &[u8]) -> Imported {
    importer("input", file, "chat").unwrap_or_else(|error| panic!("one spoils all: {error}"))
}
