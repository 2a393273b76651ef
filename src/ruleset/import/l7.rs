//! l7-filter's pattern files: comments, a name, a pattern.

use super::item::{From, Head, Item, plain};
use super::pattern::{self, Beginning};
use super::{Imported, Place, Taking};
use crate::model::Transport;
use crate::ruleset::RulesError;

/// How much of a side is looked at. l7-filter looks at ten packets, 2 KiB at most.
const WITHIN: usize = 1200;
/// A pattern longer than that is none.
const MAX_PATTERN: usize = 8 << 10;

/// Takes a pattern file (`NAME.pat`) for the messenger of that id.
pub fn l7_filter(file: &str, bytes: &[u8], id: &str) -> Result<Imported, RulesError> {
    let mut about = String::new();
    let mut told = Vec::new();
    for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = String::from_utf8_lossy(line);
        match text.trim().strip_prefix('#') {
            Some(comment) if about.is_empty() => about = plain(comment, ""),
            Some(_) => {}
            None if text.trim().is_empty() => {}
            None => told.push((at + 1, line)),
        }
    }
    let mut told = told.into_iter();
    let name = told.next();
    let title = name.map(|(_, name)| plain(&String::from_utf8_lossy(name), id));
    let title = title.unwrap_or_else(|| id.to_owned());
    let mut taking = Taking::new(Head {
        id: id.to_owned(),
        name: title.clone(),
        about: plain(&about, "A pattern of l7-filter."),
    });
    let Some((line, pattern)) = told.next() else {
        let place = |line| Place {
            line,
            column: 1,
            what: title.clone(),
        };
        let line = name.map_or(1, |(line, _)| line);
        taking.leave(place(line), "no pattern stands behind the name");
        return taking.finish();
    };
    let reference = plain(&format!("l7-filter, {file}"), "l7-filter");
    let place = |column: usize, what: String| Place { line, column, what };
    if pattern.len() > MAX_PATTERN {
        let reason = format!("a pattern has at most {MAX_PATTERN} bytes");
        taking.leave(place(1, title), reason);
        return taking.finish();
    }
    match pattern::beginnings(pattern) {
        Err((at, reason)) => taking.leave(place(at + 1, title), reason),
        Ok(found) => {
            let all = found.len();
            for (n, beginning) in found.into_iter().enumerate() {
                let place = place(1, format!("{title}, way {} of {all}", n + 1));
                match beginning {
                    Err(reason) => taking.leave(place, reason),
                    Ok(beginning) => taking.take(place, &items(n + 1, &beginning, &reference)),
                }
            }
        }
    }
    for (line, text) in told {
        let text = String::from_utf8_lossy(text);
        let what = plain(text.split('=').next().unwrap_or_default(), "a line");
        let place = Place {
            line,
            column: 1,
            what,
        };
        taking.leave(place, "only the first pattern of a file is read");
    }
    taking.finish()
}

/// A pattern is for TCP and UDP, and whoever speaks first.
fn items(number: usize, beginning: &Beginning, reference: &str) -> Vec<Item> {
    [(Transport::Tcp, "tcp"), (Transport::Udp, "udp")]
        .into_iter()
        .map(|(transport, name)| Item::Beginning {
            id: format!("pattern-{number}-{name}"),
            transport,
            from: From::Either,
            offset: beginning.offset,
            bytes: beginning.bytes.clone(),
            length: None,
            longest: None,
            port: None,
            regex: beginning.regex.clone(),
            within: beginning.regex.is_some().then_some(WITHIN),
            reference: reference.to_owned(),
            note: "letters in any case".to_owned(),
        })
        .collect()
}
