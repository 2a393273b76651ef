//! What a messenger's calls show in STUN and TURN (RFC 8489, RFC 8656): facts about messages, and their part of a rule file.

use super::read::{is_label, optional};
use super::validate::Check;
use super::{Origin, Source};
use crate::model::{Confidence, Service};
use serde::Deserialize;
use std::fmt;
use toml::Spanned;

/// Attributes that any program may send: those of RFC 3489, 5245, 5766, 5780, 6062, 8016, 8445, 8489 and 8656, and those
/// that libwebrtc adds in every browser.
const COMMON_ATTRIBUTES: [(u16, u16); 6] = [
    (0x0000, 0x0030),
    (0x8000, 0x8004),
    (0x8022, 0x8030),
    (0xc000, 0xc003),
    (0xc056, 0xc07f),
    (0xff00, 0xff03),
];
/// Methods that any program may use: those registered, from Binding to `ConnectionAttempt`.
const COMMON_METHODS: u16 = 0x000c;

/// A run of numbers, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    first: u16,
    last: u16,
}

impl Numbers {
    /// Whether it is one of them.
    pub const fn contains(self, number: u16) -> bool {
        self.first <= number && number <= self.last
    }

    fn touches(self, (first, last): (u16, u16)) -> bool {
        self.first <= last && first <= self.last
    }
}

/// `0x4000` or `0x4000-0x4007`.
impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#06x}", self.first)?;
        if self.last > self.first {
            write!(f, "-{:#06x}", self.last)?;
        }
        Ok(())
    }
}

/// What a message must show, all of it.
#[derive(Clone, Debug)]
pub struct StunRule {
    /// Name of the fact, such as `whatsapp/relay`.
    pub id: String,
    /// Its type is one of these.
    pub message: Option<Numbers>,
    /// It has an attribute of one of these types.
    pub attribute: Option<Numbers>,
    /// Its REALM is this name or one below it.
    pub realm: Option<String>,
    /// Its SOFTWARE begins so.
    pub software: Option<String>,
    /// Its USERNAME matches.
    pub username: Option<regex::bytes::Regex>,
    /// Whether it has the magic cookie; `None` when that does not matter.
    pub cookie: Option<bool>,
    /// How sure it makes.
    pub sure: Confidence,
    /// Who says so.
    pub source: Source,
    /// Where that can be read.
    pub reference: Option<String>,
    /// What it is.
    pub note: Option<String>,
    /// Where it stands.
    pub origin: Origin,
}

/// What is looked at of a message.
pub trait StunMessage {
    /// Its type: class and method.
    fn kind(&self) -> u16;
    /// Whether it has the magic cookie.
    fn has_cookie(&self) -> bool;
    /// Types of its attributes, in order, and of the one whose value the capture has cut.
    fn attribute_types(&self) -> impl Iterator<Item = u16>;
    /// Types and values of its attributes, in order.
    fn attributes(&self) -> impl Iterator<Item = (u16, &[u8])>;
}

const USERNAME: u16 = 0x0006;
const REALM: u16 = 0x0014;
const SOFTWARE: u16 = 0x8022;

impl StunRule {
    /// Whether a message shows all of it.
    pub fn matches(&self, message: &impl StunMessage) -> bool {
        let kind = self
            .message
            .is_none_or(|kinds| kinds.contains(message.kind()));
        let cookie = self.cookie.is_none_or(|with| with == message.has_cookie());
        let has = |kind: u16, fits: &dyn Fn(&[u8]) -> bool| {
            message
                .attributes()
                .any(|(of, value)| of == kind && fits(value))
        };
        kind && cookie
            && self
                .attribute
                .is_none_or(|those| message.attribute_types().any(|kind| those.contains(kind)))
            && self
                .realm
                .as_ref()
                .is_none_or(|realm| has(REALM, &|value| is_below(value, realm)))
            && self.software.as_ref().is_none_or(|software| {
                has(SOFTWARE, &|value| value.starts_with(software.as_bytes()))
            })
            && self
                .username
                .as_ref()
                .is_none_or(|username| has(USERNAME, &|value| username.is_match(value)))
    }

    /// What it looks at, in short.
    pub fn conditions(&self) -> String {
        let parts = [
            self.message.map(|kinds| format!("message {kinds}")),
            self.attribute.map(|kinds| format!("attribute {kinds}")),
            self.realm.as_ref().map(|realm| format!("REALM *.{realm}")),
            self.software.as_ref().map(|it| format!("SOFTWARE {it}*")),
            self.username.as_ref().map(|it| format!("USERNAME {it}")),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// Label by label, whatever the case.
fn is_below(value: &[u8], realm: &str) -> bool {
    let Some(split) = value.len().checked_sub(realm.len()) else {
        return false;
    };
    let (before, name) = value.split_at(split);
    name.eq_ignore_ascii_case(realm.as_bytes()) && before.last().is_none_or(|byte| *byte == b'.')
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStun {
    id: Spanned<String>,
    message: Option<Spanned<toml::Value>>,
    attribute: Option<Spanned<toml::Value>>,
    realm: Option<Spanned<String>>,
    software: Option<Spanned<String>>,
    username: Option<Spanned<String>>,
    cookie: Option<bool>,
    sure: Option<Spanned<String>>,
    source: Spanned<String>,
    reference: Option<Spanned<String>>,
    note: Option<Spanned<String>>,
}

impl Check<'_> {
    pub(super) fn stuns(&mut self, service: &Service, raw: &[RawStun]) -> Option<Vec<StunRule>> {
        let rules: Vec<_> = raw.iter().map(|raw| self.stun(service, raw)).collect();
        rules.into_iter().collect()
    }

    fn stun(&mut self, service: &Service, raw: &RawStun) -> Option<StunRule> {
        let id = self.fact_id(service, &raw.id);
        let source = self.read.source(&raw.source);
        let reference = raw.reference.as_ref().map(|text| self.read.text(text));
        let note = raw.note.as_ref().map(|text| self.read.text(text));
        let sure = raw
            .sure
            .as_ref()
            .map_or(Some(Confidence::Probable), |sure| {
                let choices = [
                    ("possible", Confidence::Possible),
                    ("probable", Confidence::Probable),
                ];
                self.read.choice("confidence", sure, &choices)
            });
        let before = self.read.mistakes.len();
        let message = raw.message.as_ref().and_then(|it| self.numbers(it));
        let attribute = raw.attribute.as_ref().and_then(|it| self.numbers(it));
        let realm = raw.realm.as_ref().and_then(|realm| self.realm(realm));
        let software = raw.software.as_ref().map(|text| self.read.text(text));
        let username = raw
            .username
            .as_ref()
            .and_then(|text| self.regex(text, true, false));
        self.tells(raw, message, attribute);
        // Whatever is wrong with a condition was said by now.
        let right = self.read.mistakes.len() == before;
        right.then_some(())?;
        Some(StunRule {
            id: id?,
            message,
            attribute,
            realm,
            software: optional(software)?,
            username,
            cookie: Some(raw.cookie.unwrap_or(true)),
            sure: sure?,
            source: source?,
            reference: optional(reference)?,
            note: optional(note)?,
            origin: self.read.file.origin(raw.id.span().start),
        })
    }

    /// What every program sends tells no messenger.
    fn tells(&mut self, raw: &RawStun, message: Option<Numbers>, attribute: Option<Numbers>) {
        if let (Some(numbers), Some(written)) = (attribute, &raw.attribute)
            && COMMON_ATTRIBUTES.iter().any(|run| numbers.touches(*run))
        {
            let label = "an attribute that no RFC and no browser uses";
            self.read.wrong(
                written.span(),
                "everybody's calls have this attribute",
                label,
            );
        }
        if let (Some(numbers), Some(written)) = (message, &raw.message)
            && numbers.last > 0x3fff
        {
            let label = "the first two bits are zero (RFC 8489, 5)";
            self.read
                .wrong(written.span(), "there is no such message", label);
        }
        let own = message.is_some_and(|numbers| method(numbers.first) > COMMON_METHODS);
        let others = [
            raw.attribute.is_some(),
            raw.realm.is_some(),
            raw.software.is_some(),
            raw.username.is_some(),
        ];
        if !own && !others.contains(&true) {
            let (span, message) = match &raw.message {
                Some(written) => (written.span(), "everybody's calls have this message"),
                None => (raw.id.span(), "this says nothing of a message"),
            };
            let label = "add `attribute`, `realm`, `software` or `username`";
            self.read.wrong(span, message, label);
        }
    }

    /// `0x4000`, or `"0x4000-0x4007"`.
    fn numbers(&mut self, written: &Spanned<toml::Value>) -> Option<Numbers> {
        let number = |text: &str| {
            let text = text.trim();
            match text.strip_prefix("0x") {
                Some(digits) => u16::from_str_radix(digits, 16).ok(),
                None => text.parse().ok(),
            }
        };
        let (first, last) = match written.get_ref() {
            toml::Value::Integer(value) => {
                let value = u16::try_from(*value).ok();
                (value, value)
            }
            toml::Value::String(text) => match text.split_once('-') {
                Some((first, last)) => (number(first), number(last)),
                None => (number(text), number(text)),
            },
            _ => (None, None),
        };
        let numbers = match (first, last) {
            (Some(first), Some(last)) if first <= last => Some(Numbers { first, last }),
            _ => None,
        };
        if numbers.is_none() {
            let label = "such as 0x4000, or \"0x4000-0x4007\"";
            self.read
                .wrong(written.span(), "not a number of 16 bits", label);
        }
        numbers
    }

    fn realm(&mut self, realm: &Spanned<String>) -> Option<String> {
        let name = realm.get_ref().to_ascii_lowercase();
        let right = name.len() <= 253 && name.split('.').all(is_label);
        if !right {
            let label = "labels are letters, digits, '-' and '_', with dots between";
            self.read.wrong(realm.span(), "not a realm", label);
        }
        right.then_some(name)
    }
}

/// The method in a message's type: all bits but those of the class (RFC 8489, 5).
const fn method(kind: u16) -> u16 {
    (kind & 0x000f) | (kind & 0x00e0) >> 1 | (kind & 0x3e00) >> 2
}
