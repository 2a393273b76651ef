//! STUN facts in rule files: what they match, and every mistake in its place.
#![allow(clippy::unwrap_used)]

use super::{RuleSet, RulesError, StunMessage, StunRule};
use crate::model::Confidence;

const HEAD: &str = "id = \"chat\"\nname = \"Chat\"\nabout = \"A chat.\"\n\n[[stun]]\nid = \"chat/call\"\nsource = \"site\"\n";

struct Shown(u16, bool, Vec<(u16, &'static [u8])>);

impl StunMessage for Shown {
    fn kind(&self) -> u16 {
        self.0
    }

    fn has_cookie(&self) -> bool {
        self.1
    }

    fn attribute_types(&self) -> impl Iterator<Item = u16> {
        self.2.iter().map(|(kind, _)| *kind)
    }

    fn attributes(&self) -> impl Iterator<Item = (u16, &[u8])> {
        self.2.iter().copied()
    }
}

fn rule(text: &str) -> StunRule {
    let rules = RuleSet::from_text("chat.toml", &format!("{HEAD}{text}"))
        .unwrap_or_else(|error| unreachable!("{}", error.render(false)));
    rules.messenger("chat").unwrap().stuns[0].clone()
}

/// `line:column: message` of every mistake.
fn mistakes(text: &str) -> Vec<String> {
    match RuleSet::from_text("chat.toml", &format!("{HEAD}{text}")) {
        Err(RulesError::Invalid(mistakes)) => mistakes
            .iter()
            .map(|it| format!("{}: {}", it.origin(), it.message()))
            .collect(),
        other => unreachable!("expected mistakes of {text}, got {other:?}"),
    }
}

#[test]
fn a_message_must_show_all_of_it() {
    let whole = rule(
        "message = 0x0003\nattribute = \"0x4000-0x4007\"\nrealm = \"Chat.example\"\nsoftware = \"Relay/\"\nusername = \"^[0-9]+:chat$\"",
    );
    assert_eq!(whole.sure, Confidence::Probable);
    let attributes: [(u16, &[u8]); 4] = [
        (0x4007, b""),
        (0x14, b"eu.CHAT.example"),
        (0x8022, b"Relay/1.0"),
        (6, b"123:chat"),
    ];
    assert!(whole.matches(&Shown(3, true, attributes.to_vec())));
    assert!(!whole.matches(&Shown(1, true, attributes.to_vec())));
    assert!(!whole.matches(&Shown(3, false, attributes.to_vec())));
    for missing in 0..attributes.len() {
        let mut fewer = attributes.to_vec();
        fewer.remove(missing);
        assert!(!whole.matches(&Shown(3, true, fewer)), "{missing}");
    }
    for (kind, value) in [
        (0x14, &b"bigchat.example"[..]),
        (0x8022, b"The Relay/1"),
        (6, b"123:chats"),
    ] {
        let mut other = attributes.to_vec();
        other
            .iter_mut()
            .filter(|it| it.0 == kind)
            .for_each(|it| it.1 = value);
        assert!(!whole.matches(&Shown(3, true, other)), "{value:?}");
    }
    let old = rule("cookie = false\nattribute = 0x7001\nsure = \"possible\"");
    assert_eq!(old.sure, Confidence::Possible);
    assert!(old.matches(&Shown(1, false, vec![(0x7001, b"")])));
    assert!(!old.matches(&Shown(1, true, vec![(0x7001, b"")])));
}

#[test]
fn what_everybody_sends_is_no_fact() {
    for (text, expected) in [
        ("", "chat.toml:6:6: this says nothing of a message"),
        (
            "cookie = false",
            "chat.toml:6:6: this says nothing of a message",
        ),
        (
            "message = 0x0003",
            "chat.toml:8:11: everybody's calls have this message",
        ),
        (
            "message = \"0x0101\"",
            "chat.toml:8:11: everybody's calls have this message",
        ),
        (
            "message = 0x4801",
            "chat.toml:8:11: there is no such message",
        ),
        (
            "attribute = 0x0020",
            "chat.toml:8:13: everybody's calls have this attribute",
        ),
        (
            "attribute = \"0x7000-0xc057\"",
            "chat.toml:8:13: everybody's calls have this attribute",
        ),
        (
            "attribute = \"0x4007-0x4000\"",
            "chat.toml:8:13: not a number of 16 bits",
        ),
        (
            "attribute = 70000",
            "chat.toml:8:13: not a number of 16 bits",
        ),
        (
            "attribute = true",
            "chat.toml:8:13: not a number of 16 bits",
        ),
        ("realm = \"two words\"", "chat.toml:8:9: not a realm"),
        (
            "username = \"(\"",
            "chat.toml:8:12: this regex cannot be used",
        ),
        (
            "software = \"a\\u0007b\"",
            "chat.toml:8:12: this text cannot be used",
        ),
        (
            "realm = \"a.example\"\nsure = \"confirmed\"",
            "chat.toml:9:8: unknown confidence `confirmed`",
        ),
        (
            "realm = \"a.example\"\nprot = 3478",
            "chat.toml:9:1: unknown field `prot`, expected one of `id`, `message`, `attribute`, `realm`, `software`, `username`, `cookie`, `sure`, `source`, `reference`, `note`",
        ),
    ] {
        assert_eq!(mistakes(text), [expected], "{text}");
    }
}

#[test]
fn a_mistake_has_a_caret() {
    let error =
        RuleSet::from_text("chat.toml", &format!("{HEAD}attribute = 0x0014\n")).unwrap_err();
    let shown = error.render(false);
    assert!(
        shown.contains("attribute = 0x0014") && shown.contains("^^^^^^ an attribute that no RFC"),
        "{shown}"
    );
}
