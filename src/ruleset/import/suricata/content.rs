//! Rules about the payload: which bytes stand at fixed places, and what a regex must say of the others.

use super::super::item::{Item, Masked};
use super::rule::{Content, Rule, Wrong};
use std::fmt::Write;

/// Longest beginning that is looked at for contents without a fixed place.
const WITHIN: usize = 1200;
/// Fixed bytes further behind are none of a beginning.
const MAX_PLACE: usize = 384;

/// A content whose place is known, or not.
enum Stands {
    At(usize),
    /// Relative to what came before, or to the beginning: so far behind it, at least and at most.
    Between(usize, Option<usize>),
}

pub(super) fn items(
    rule: &Rule<'_>,
    sid: u64,
    reference: &str,
    note: &str,
) -> Result<Vec<Item>, Wrong> {
    if rule.contents.is_empty() {
        return Err((0, "no `content`: what would be looked for?".to_owned()));
    }
    if rule.dotprefix || rule.bsize.is_some() {
        return Err((0, "`dotprefix` and `bsize` are about names".to_owned()));
    }
    let mut fixed: Vec<Option<Masked>> = Vec::new();
    let mut regex = String::new();
    // Where the content before this one ends, if that is known.
    let mut end = None;
    for content in &rule.contents {
        match stands(content, end, !regex.is_empty())? {
            Stands::At(place) => {
                put(&mut fixed, place, content)?;
                end = Some(place + content.bytes.len());
            }
            Stands::Between(least, most) => {
                if regex.is_empty() {
                    regex.push('^');
                }
                // Into a string: this cannot fail.
                let _ = match most {
                    Some(most) => write!(regex, ".{{{least},{most}}}"),
                    None => write!(regex, ".{{{least},}}"),
                };
                print(content, &mut regex);
                end = None;
            }
        }
    }
    let offset = fixed.iter().take_while(|byte| byte.is_none()).count();
    let bytes: Vec<Masked> = fixed[offset..]
        .iter()
        .map(|byte| byte.unwrap_or((0, 0)))
        .collect();
    if bytes.is_empty() {
        let at = rule.contents.first().map_or(0, |content| content.at);
        let reason = "no content has a fixed place (`startswith`, or `depth` as long as itself)";
        return Err((at, reason.to_owned()));
    }
    let (least, most) = rule.size;
    let behind = offset + bytes.len();
    let item = Item::Beginning {
        id: format!("sid-{sid}"),
        transport: rule.transport,
        from: rule.from,
        offset,
        bytes,
        length: least.filter(|least| *least > behind),
        longest: most,
        port: rule.port,
        within: (!regex.is_empty()).then_some(WITHIN),
        regex: (!regex.is_empty()).then_some(regex),
        reference: reference.to_owned(),
        note: note.to_owned(),
    };
    Ok(vec![item])
}

/// `end` is where the one before ends, if that is known; `chained`, that one before had no fixed place.
fn stands(content: &Content, end: Option<usize>, chained: bool) -> Result<Stands, Wrong> {
    let wrong = |reason: &str| Err((content.at, reason.to_owned()));
    let length = content.bytes.len();
    if content.endswith {
        return wrong("`endswith`: where the bytes end depends on how they were cut");
    }
    let relative = content.distance.is_some() || content.within.is_some();
    let absolute = content.startswith || content.offset.is_some() || content.depth.is_some();
    if relative && absolute {
        return wrong("a place that is both relative and not");
    }
    if !relative {
        if content.startswith {
            return Ok(Stands::At(0));
        }
        let least = content.offset.unwrap_or(0);
        // `depth` counts from `offset` on.
        let room = content.depth.map(|depth| depth.checked_sub(length));
        return match room {
            Some(None) => wrong("`depth` is less than the content is long"),
            Some(Some(0)) => Ok(Stands::At(least)),
            // Two that search from the beginning may stand in any order.
            _ if chained => {
                wrong("two contents without a fixed place that do not follow each other")
            }
            Some(Some(room)) => Ok(Stands::Between(least, Some(least + room))),
            None => Ok(Stands::Between(least, None)),
        };
    }
    let Ok(distance) = usize::try_from(content.distance.unwrap_or(0)) else {
        return wrong("a negative `distance` cannot be said");
    };
    // `within` counts from there on.
    let room = content.within.map(|within| within.checked_sub(length));
    let room = match room {
        Some(None) => return wrong("`within` is less than the content is long"),
        Some(room) => room,
        None => None,
    };
    match (end, room) {
        (Some(end), Some(0)) => Ok(Stands::At(end + distance)),
        (Some(_), _) if chained => {
            wrong("two contents without a fixed place that do not follow each other")
        }
        (Some(end), room) => Ok(Stands::Between(
            end + distance,
            room.map(|room| end + distance + room),
        )),
        (None, room) if chained => Ok(Stands::Between(distance, room.map(|room| distance + room))),
        (None, _) => wrong("a relative place without a content before it"),
    }
}

/// Puts a content at its place.
fn put(fixed: &mut Vec<Option<Masked>>, place: usize, content: &Content) -> Result<(), Wrong> {
    let end = place.saturating_add(content.bytes.len());
    if end > MAX_PLACE {
        return Err((
            content.at,
            format!("bytes behind the first {MAX_PLACE} cannot be said"),
        ));
    }
    if fixed.len() < end {
        fixed.resize(end, None);
    }
    for (slot, byte) in fixed[place..end].iter_mut().zip(&content.bytes) {
        let letter = content.nocase && byte.is_ascii_alphabetic();
        let mask = if letter { 0xdf } else { 0xff };
        let (known, bits) = slot.unwrap_or((0, 0));
        if known & mask != byte & bits & mask {
            return Err((
                content.at,
                "it stands where others must stand: never met".to_owned(),
            ));
        }
        *slot = Some((known | byte & mask, bits | mask));
    }
    Ok(())
}

fn print(content: &Content, regex: &mut String) {
    if content.nocase {
        regex.push_str("(?i:");
    }
    for byte in &content.bytes {
        if byte.is_ascii_alphanumeric() {
            regex.push(char::from(*byte));
        } else {
            let _ = write!(regex, "\\x{byte:02x}");
        }
    }
    if content.nocase {
        regex.push(')');
    }
}
