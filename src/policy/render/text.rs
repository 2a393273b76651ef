//! Lines of a configuration file.

use crate::policy::Owner;
use ipnet::IpNet;

const WIDTH: usize = 100;

/// A file in the making.
#[derive(Default)]
pub(super) struct Text {
    text: String,
}

impl Text {
    /// One line as it is.
    pub(super) fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str(line.as_ref());
        self.text.push('\n');
    }

    /// An empty line.
    pub(super) fn blank(&mut self) {
        self.text.push('\n');
    }

    /// Words behind `first`, broken into lines; the lines after the first begin with `rest`.
    pub(super) fn paragraph(&mut self, first: &str, rest: &str, words: &str) {
        let mut line = first.to_owned();
        let mut empty = true;
        for word in words.split_whitespace() {
            if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.line(&line);
                rest.clone_into(&mut line);
                empty = true;
            }
            if !empty {
                line.push(' ');
            }
            line.push_str(word);
            empty = false;
        }
        self.line(line.trim_end());
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

/// `aim/session, icq/session (document)`: the facts behind a rule and who states them, cut to fit a comment.
/// Ids hold nothing but letters, digits, '-' and '/', so this needs no quoting anywhere.
pub(super) fn reference(owners: &[&Owner], max: usize) -> String {
    let mut text = String::new();
    for (done, owner) in owners.iter().enumerate() {
        let joint = if done == 0 { "" } else { ", " };
        // A source is said once for the run of facts that share it.
        let last_of_source = owners
            .get(done + 1)
            .is_none_or(|next| next.source != owner.source);
        let source = if last_of_source {
            format!(" ({})", owner.source)
        } else {
            String::new()
        };
        let piece = format!("{joint}{}{source}", owner.id);
        let left = owners.len().saturating_sub(done);
        let tail = format!("{joint}{left} more");
        let room_needed = if left == 1 { 0 } else { tail.len() };
        if text.len() + piece.len() + room_needed > max {
            text.push_str(&tail);
            break;
        }
        text.push_str(&piece);
    }
    text
}

/// Words that fit into a comment of so many characters.
pub(super) fn fitting(words: &str, max: usize) -> String {
    words.chars().take(max).collect()
}

/// A host without its length, a network with it.
pub(super) fn place(net: IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() {
        net.addr().to_string()
    } else {
        net.to_string()
    }
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn and(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [init @ .., last] => format!("{} and {last}", init.join(", ")),
    }
}
