//! Rules about names: `tls.sni` and `dns.query`.

use super::super::item::Item;
use super::rule::{Content, Rule, Wrong};
use crate::ruleset::HostUse;

/// A name, or a name and what is below it.
pub(super) fn items(rule: &Rule<'_>, reference: &str, note: &str) -> Result<Vec<Item>, Wrong> {
    let [content] = rule.contents.as_slice() else {
        return Err((
            0,
            "one content is a name; none or several cannot be said".to_owned(),
        ));
    };
    let wrong = |reason: &str| Err((content.at, reason.to_owned()));
    let places = [
        content.offset.is_some_and(|offset| offset > 0),
        content.depth.is_some(),
        content.distance.is_some(),
        content.within.is_some(),
    ];
    if places.contains(&true) || rule.size != (None, None) {
        return wrong("places within a name cannot be said");
    }
    if rule.port.is_some() {
        return wrong("a name here is about any port");
    }
    let Ok(text) = std::str::from_utf8(&content.bytes) else {
        return wrong("this is no name");
    };
    let host = |name: &str, suffix, usage| Item::Host {
        name: name.to_ascii_lowercase(),
        suffix,
        usage,
        reference: reference.to_owned(),
        note: note.to_owned(),
    };
    let whole = is_whole(content, rule.bsize);
    match text.strip_prefix('.') {
        None if whole && !rule.dotprefix => Ok(vec![host(text, false, HostUse::Exclusive)]),
        Some(name) if content.endswith && rule.dotprefix && rule.bsize.is_none() => {
            Ok(vec![host(name, true, HostUse::Exclusive)])
        }
        // Below the name, but not the name itself.
        Some(name) if content.endswith && !whole && rule.bsize.is_none() => Ok(vec![
            host(name, true, HostUse::Exclusive),
            host(name, false, HostUse::Shared),
        ]),
        _ => wrong(
            "names are held label by label: a whole name (`startswith; endswith`, `bsize`), or `dotprefix` and a content with a dot \
             in front that `endswith`",
        ),
    }
}

/// Whether the content is all of the name.
fn is_whole(content: &Content, bsize: Option<usize>) -> bool {
    let both = content.startswith && content.endswith;
    bsize.map_or(both, |size| size == content.bytes.len())
}
