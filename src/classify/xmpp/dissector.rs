//! Follows an XML stream: sign-on, messages, until TLS begins.

use super::tags::{Found, Reader, Tag};
use crate::classify::{Dissector, Events};
use crate::model::{Activity, Confidence, Direction, Event, Evidence, feature, risk, what};
use base64::Engine as _;

/// SASL mechanisms (IANA's register), as they are told.
const MECHANISMS: [(&str, &str); 12] = [
    ("PLAIN", "plain"),
    ("LOGIN", "login"),
    ("ANONYMOUS", "anonymous"),
    ("EXTERNAL", "external"),
    ("DIGEST-MD5", "digest-md5"),
    ("CRAM-MD5", "cram-md5"),
    ("SCRAM-SHA-1", "scram-sha-1"),
    ("SCRAM-SHA-1-PLUS", "scram-sha-1-plus"),
    ("SCRAM-SHA-256", "scram-sha-256"),
    ("SCRAM-SHA-256-PLUS", "scram-sha-256-plus"),
    ("X-OAUTH2", "oauth2"),
    ("OAUTHBEARER", "oauth2"),
];

/// One connection.
pub(super) struct Session {
    /// Whose stream, if its namespace was seen.
    role: Option<&'static str>,
    readers: [Reader; 2],
    /// Which sides opened their stream.
    opened: [bool; 2],
    /// The server asked for.
    domain: Option<String>,
    /// What the text that is wanted is.
    wanted: [Option<Wanted>; 2],
    /// The message that is open: who else is in it, whether it is a room's, and whether its text was met.
    message: [Option<(Option<String>, bool)>; 2],
    confirmed: bool,
    /// Where TLS begins nothing more can be read.
    hidden: [bool; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// The account and password of PLAIN.
    Plain,
    /// The address that the server binds.
    Jid,
}

impl Session {
    pub(super) fn new(role: Option<&'static str>) -> Self {
        Self {
            role,
            readers: [Reader::default(), Reader::default()],
            opened: [false; 2],
            domain: None,
            wanted: [None; 2],
            message: [None, None],
            confirmed: false,
            hidden: [false; 2],
        }
    }

    fn tag(&mut self, direction: Direction, inside: &[u8], text: usize, out: &mut Events) {
        let side = direction.index();
        self.wanted[side] = None;
        if inside == b"/body"
            && let Some((other, room)) = self.message[side].take()
        {
            said(direction, other, room, text, out);
        }
        let Some(tag) = Tag::parse(inside) else {
            return;
        };
        let by_client = direction == Direction::ToServer;
        match tag.name() {
            "stream:stream" => self.stream(direction, tag, out),
            // The client says nothing else before it is answered.
            "starttls" if by_client => self.hidden[side] = true,
            "proceed" if !by_client => self.hidden[side] = true,
            "auth" | "authenticate" if by_client => {
                let mechanism = tag.attribute("mechanism").unwrap_or_default();
                let known = MECHANISMS.iter().find(|(name, _)| *name == mechanism);
                let method = known.map_or("sasl", |(_, method)| *method);
                out.push(Event::SignOn(method));
                out.push(Event::Feature(feature::SIGN_ON));
                if matches!(method, "plain" | "login") {
                    out.push(Event::Risk(risk::CLEARTEXT_PASSWORD));
                }
                if method == "plain" {
                    self.wanted[side] = Some(Wanted::Plain);
                }
            }
            // SASL 2 (XEP-0388).
            "initial-response" if by_client => self.wanted[side] = Some(Wanted::Plain),
            "jid" if !by_client => self.wanted[side] = Some(Wanted::Jid),
            "message" if self.role == Some("client") => {
                let other = tag.attribute(if by_client { "to" } else { "from" });
                let room = tag.attribute("type") == Some("groupchat");
                self.message[side] = Some((other.and_then(bare), room));
            }
            "presence" => out.push(Event::Feature(feature::PRESENCE)),
            _ => {}
        }
    }

    fn stream(&mut self, direction: Direction, tag: Tag<'_>, out: &mut Events) {
        self.opened[direction.index()] = true;
        if direction == Direction::ToServer
            && let Some(domain) = tag.attribute("to").and_then(domain)
        {
            self.domain = Some(domain);
        }
        if self.opened == [true; 2] && !self.confirmed {
            self.confirmed = true;
            out.identified(
                super::format(self.role),
                Confidence::Confirmed,
                Evidence::payload("xml-stream", "both sides open their stream"),
            );
        }
    }

    fn text(&mut self, direction: Direction, text: &[u8], out: &mut Events) {
        let account = match self.wanted[direction.index()].take() {
            Some(Wanted::Plain) => plain(text).map(|user| match &self.domain {
                Some(domain) if !user.contains('@') => format!("{user}@{domain}"),
                _ => user,
            }),
            Some(Wanted::Jid) => std::str::from_utf8(text).ok().and_then(bare),
            None => None,
        };
        if let Some(account) = account {
            out.push(Event::Account(account));
        }
    }
}

/// Somebody said something; its length is told, never its text.
fn said(direction: Direction, other: Option<String>, room: bool, length: usize, out: &mut Events) {
    out.push(Event::Risk(risk::CLEARTEXT_MESSAGES));
    let by_client = direction == Direction::ToServer;
    if room {
        out.push(Event::Feature(feature::CHAT_ROOM));
        out.done(Activity::new(what::CHAT_MESSAGE).with("length", length));
        return;
    }
    out.push(Event::Feature(feature::MESSAGE));
    if let Some(other) = &other {
        out.push(Event::Peer(other.clone()));
    }
    out.done(Activity::between(what::MESSAGE, by_client, other).with("length", length));
}

/// The user in a response of PLAIN (RFC 4616): authorisation identity, user, password, with zeros between.
fn plain(text: &[u8]) -> Option<String> {
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(text.trim_ascii())
        .ok()?;
    let user = decoded.split(|byte| *byte == 0).nth(1)?;
    let user = std::str::from_utf8(user).ok()?;
    is_local(user).then(|| user.to_lowercase())
}

/// An address without its resource: `alice@example.com`.
fn bare(jid: &str) -> Option<String> {
    let jid = jid.split('/').next()?.trim();
    let (local, host) = jid.split_once('@')?;
    (is_local(local) && domain(host).is_some()).then(|| jid.to_lowercase())
}

fn domain(name: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let fits = (1..=253).contains(&name.len()) && name.bytes().all(plain);
    fits.then(|| name.to_ascii_lowercase())
}

fn is_local(name: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control() || "\"&'/:<>".contains(c);
    (1..=128).contains(&name.len()) && !name.contains(odd)
}

impl Dissector for Session {
    fn feed(&mut self, direction: Direction, bytes: &[u8], out: &mut Events) {
        let side = direction.index();
        if self.hidden[side] {
            return;
        }
        let mut reader = std::mem::take(&mut self.readers[side]);
        reader.feed(bytes, |found| {
            match found {
                Found::Tag { inside, text } if !self.hidden[side] => {
                    self.tag(direction, inside, text, out);
                }
                Found::Text(text) => self.text(direction, text, out),
                Found::Tag { .. } => {}
            }
            self.wanted[side].is_some()
        });
        self.readers[side] = reader;
    }

    fn gap(&mut self, direction: Direction, _: u64, _: &mut Events) {
        self.readers[direction.index()].gap();
        self.message[direction.index()] = None;
    }

    fn is_done(&self) -> bool {
        self.hidden == [true; 2]
    }

    fn memory(&self) -> usize {
        size_of_val(self) + self.readers.iter().map(Reader::memory).sum::<usize>()
    }
}
