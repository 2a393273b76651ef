//! An nftables table in pieces, and the two ways to load it: replaced as a whole, or with what was learned kept.

use super::text::Text;

/// What an object of a table is, and so how it is emptied.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    /// A set that something fills while the rules are in force.
    Learned,
    Map,
    Chain,
}

/// One object: `map tcp_ports { type ...; elements = ... }`.
pub(super) struct Object {
    pub kind: Kind,
    pub name: String,
    /// Comment lines before it.
    pub comment: Vec<String>,
    /// What it is; declared with it, and never changed.
    pub head: Vec<String>,
    /// What is in it.
    pub body: Vec<String>,
}

impl Object {
    pub(super) fn new(kind: Kind, name: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
            comment: Vec::new(),
            head: Vec::new(),
            body: Vec::new(),
        }
    }

    /// A counter.
    pub(super) fn counter(name: impl Into<String>) -> Self {
        Self::new(Kind::Counter, name)
    }

    /// A chain that others jump to.
    pub(super) fn chain(name: impl Into<String>) -> Self {
        Self::new(Kind::Chain, name)
    }

    /// One line of its body: a rule, or an element.
    pub(super) fn line(&mut self, line: impl Into<String>) {
        self.body.push(line.into());
    }

    const fn word(&self) -> &'static str {
        match self.kind {
            Kind::Counter => "counter",
            Kind::Learned => "set",
            Kind::Map => "map",
            Kind::Chain => "chain",
        }
    }

    fn write(&self, text: &mut Text, whole: bool) {
        if whole {
            for line in &self.comment {
                text.paragraph("\t# ", "\t# ", line);
            }
        }
        if self.head.is_empty() && (self.body.is_empty() || !whole) {
            text.line(format!("\t{} {} {{ }}", self.word(), self.name));
            return;
        }
        text.line(format!("\t{} {} {{", self.word(), self.name));
        for line in &self.head {
            text.line(format!("\t\t{line}"));
        }
        if whole && self.kind == Kind::Map {
            text.line("\t\telements = {");
            for (at, element) in self.body.iter().enumerate() {
                let comma = if at + 1 < self.body.len() { "," } else { "" };
                text.line(format!("\t\t\t{element}{comma}"));
            }
            text.line("\t\t}");
        } else if whole {
            for line in &self.body {
                text.line(format!("\t\t{line}"));
            }
        }
        text.line("\t}");
    }
}

/// The table, replaced as a whole or not at all.
pub(super) fn replace(text: &mut Text, objects: &[Object]) {
    text.line("# Replaced as a whole or not at all. (The first line makes the second work on an empty machine.)");
    text.line("table inet imwarden");
    text.line("delete table inet imwarden");
    text.blank();
    table(text, objects);
}

/// The table, filled again around its counters and what its sets have learned.
pub(super) fn keep(text: &mut Text, objects: &[Object]) {
    text.line("# Changed as a whole or not at all: what is missing is made, all rules are taken out, and put in again.");
    text.line("table inet imwarden {");
    for object in objects {
        object.write(text, false);
    }
    text.line("}");
    for object in objects {
        match object.kind {
            Kind::Chain => text.line(format!("flush chain inet imwarden {}", object.name)),
            Kind::Map => text.line(format!("flush map inet imwarden {}", object.name)),
            Kind::Counter | Kind::Learned => {}
        }
    }
    text.blank();
    table(text, objects);
}

fn table(text: &mut Text, objects: &[Object]) {
    text.line("table inet imwarden {");
    let mut last = None;
    for object in objects {
        // Counters stand together; everything else by itself.
        if last.is_some_and(|kind| kind != Kind::Counter || object.kind != Kind::Counter) {
            text.blank();
        }
        object.write(text, true);
        last = Some(object.kind);
    }
    text.line("}");
}
