//! Suricata's simple content rules: bytes at places, names in TLS and DNS.
//!
//! Suricata holds a rule against every packet of a flow, and against what a stream has said; here it is about what a side says
//! first, and about each datagram.

mod content;
mod name;
mod rule;

use super::item::{Head, Item, plain};
use super::{Imported, Place, Taking};
use crate::ruleset::RulesError;
use rule::Rule;

/// Longest rule that is looked at.
const MAX_RULE: usize = 64 << 10;

/// Takes a rule file (`NAME.rules`) for the messenger of that id.
pub fn suricata(file: &str, bytes: &[u8], id: &str) -> Result<Imported, RulesError> {
    let mut taking = Taking::new(Head {
        id: id.to_owned(),
        name: plain(id, "Rules"),
        about: plain(
            &format!("Rules of Suricata, out of {file}."),
            "Rules of Suricata.",
        ),
    });
    for (line, text) in lines(bytes) {
        let start = text
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count();
        let body = text[start..].trim_ascii_end();
        if body.is_empty() || body.starts_with(b"#") {
            continue;
        }
        let place = |at: usize, what: String| Place {
            line,
            column: start + at + 1,
            what,
        };
        if body.len() > MAX_RULE {
            let reason = format!("a rule has at most {MAX_RULE} bytes");
            taking.leave(place(0, "a rule".to_owned()), reason);
            continue;
        }
        let sid = rule::sid(body);
        let what = sid.map_or_else(|| "a rule".to_owned(), |sid| format!("sid {sid}"));
        match Rule::parse(body).and_then(|rule| items(&rule, file)) {
            Ok(items) => taking.take(place(0, what), &items),
            Err((at, reason)) => taking.leave(place(at, what), reason),
        }
    }
    taking.finish()
}

/// Lines, put together where one ends with a backslash; each with its number.
fn lines(bytes: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let mut whole: Vec<(usize, Vec<u8>)> = Vec::new();
    let mut goes_on = false;
    for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (line, more) = match line.strip_suffix(b"\\") {
            Some(line) => (line, true),
            None => (line, false),
        };
        match whole.last_mut() {
            // What is too long is left whatever follows.
            Some((_, text)) if goes_on && text.len() <= MAX_RULE => text.extend_from_slice(line),
            Some(_) if goes_on => {}
            _ => whole.push((at + 1, line.to_vec())),
        }
        goes_on = more;
    }
    whole
}

/// What a rule becomes; what is wrong, and the byte where.
fn items(rule: &Rule<'_>, file: &str) -> Result<Vec<Item>, (usize, String)> {
    let sid = rule.sid.ok_or((0, "it has no `sid`".to_owned()))?;
    let rev = rule.rev.map(|rev| format!(", rev {rev}"));
    let told = rule.references.iter().map(|told| format!("; {told}"));
    let mut parts = vec![format!("{file}, sid {sid}")];
    parts.extend(rev.into_iter().chain(told));
    let reference = parts.concat();
    let reference = plain(&reference, "Suricata");
    let note = plain(&rule.msg, "no message");
    if rule.names_only && rule.buffer.is_none() {
        let reason = "a rule of tls or dns without a name's buffer (`tls.sni`, `dns.query`)";
        return Err((0, reason.to_owned()));
    }
    if rule.buffer.is_some() {
        name::items(rule, &reference, &note)
    } else {
        content::items(rule, sid, &reference, &note)
    }
}
