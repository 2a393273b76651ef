//! Follows SIP, and tells of it once people write to each other with it.

use super::message::{Look, MAX_HEAD, Message, look};
use crate::classify::units::{Sides, Step};
use crate::classify::{Dissector, Events};
use crate::model::{Activity, Confidence, Direction, Event, Evidence, Party, feature, risk, what};
use std::hash::{BuildHasher, Hasher};

/// Longest body that is read; a longer one is passed over.
const MAX_BODY: usize = 16 * 1024;
/// Requests that are remembered, so that one that is sent again counts once.
const REMEMBERED: usize = 16;
/// Longest name of a program that is kept.
const MAX_AGENT: usize = 120;
/// What presence is told in (RFC 3863, and those before it).
const PRESENCE: [&str; 5] = [
    "application/pidf+xml",
    "application/cpim-pidf+xml",
    "application/xpidf+xml",
    "application/watcherinfo+xml",
    "text/xml+msrtc.pidf",
];

/// What a request does that people do.
enum Does {
    /// Somebody writes: so many bytes, and whether anybody on the way can read them.
    Writes(usize, bool),
    Types,
    /// Somebody tells or asks who is there.
    Presence,
    /// Somebody invites to a session of messages.
    Invites,
}

/// What is known of a flow.
#[derive(Default)]
struct Session {
    /// Whether people were seen to use it as a messenger.
    proven: bool,
    /// How the client signs on, and its program: told when it is a messenger's.
    sign_on: Option<&'static str>,
    account: Option<String>,
    agent: Option<String>,
    seen: Vec<u64>,
}

impl Session {
    fn message(&mut self, direction: Direction, message: &Message<'_>, out: &mut Events) {
        let Some(method) = message.method else {
            return;
        };
        let by_client = direction == Direction::ToServer;
        if by_client {
            self.sign(method, message, out);
        }
        let Some(does) = does(method, message) else {
            return;
        };
        if self.again(direction, message) {
            return;
        }
        self.prove(method, out);
        let (from, to) = (message.user("from"), message.user("to"));
        let (own, other) = if by_client { (from, to) } else { (to, from) };
        let other = other.filter(|other| Some(other) != own.as_ref());
        if let Some(own) = own {
            out.push(Event::Account(own));
        }
        if let Some(other) = other.clone() {
            out.push(Event::Peer(other));
        }
        match does {
            Does::Writes(length, clear) => {
                out.push(Event::Feature(feature::MESSAGE));
                if clear {
                    out.push(Event::Risk(risk::CLEARTEXT_MESSAGES));
                }
                let said = Activity::between(what::MESSAGE, by_client, other);
                out.done(said.with("length", length));
            }
            Does::Types => out.done(Activity::between(what::TYPING, by_client, other)),
            Does::Presence => {
                out.push(Event::Feature(feature::PRESENCE));
                match method {
                    "PUBLISH" => out.done(Activity::new(what::STATUS).by(Party::Own)),
                    "NOTIFY" if !by_client => {
                        let whose = other.map(Party::Account);
                        out.done(Activity {
                            from: whose,
                            ..Activity::new(what::STATUS)
                        });
                    }
                    _ => {}
                }
            }
            Does::Invites => {
                out.push(Event::Feature(feature::MESSAGE));
                out.done(Activity::between(what::INVITATION, by_client, other));
            }
        }
    }

    /// What the client shows of itself.
    fn sign(&mut self, method: &str, message: &Message<'_>, out: &mut Events) {
        if self.agent.is_none()
            && let Some(agent) = message.field("user-agent")
        {
            let agent: String = agent.chars().take(MAX_AGENT).collect();
            self.agent = Some(agent.clone());
            if self.proven {
                out.push(Event::Client(agent));
            }
        }
        let credentials = ["authorization", "proxy-authorization"];
        let credentials = credentials.into_iter().find_map(|name| message.field(name));
        let scheme = credentials.and_then(|value| value.split(' ').next());
        let sign_on = match scheme.map(str::to_ascii_lowercase).as_deref() {
            Some("digest") => Some("digest"),
            // Of before RFC 3261.
            Some("basic") => Some("basic"),
            _ => None,
        };
        if method == "REGISTER" {
            self.account = message.user("to").or(self.account.take());
            if let Some(own) = self.account.clone().filter(|_| self.proven) {
                out.push(Event::Account(own));
            }
        }
        if sign_on.is_some() && self.sign_on.is_none() {
            self.sign_on = sign_on;
            if self.proven {
                self.tell_sign_on(out);
            }
        }
    }

    fn prove(&mut self, method: &str, out: &mut Events) {
        if self.proven {
            return;
        }
        self.proven = true;
        let evidence = Evidence::payload(super::ID, method.to_owned());
        out.identified(super::format(), Confidence::Confirmed, evidence);
        if let Some(agent) = self.agent.clone() {
            out.push(Event::Client(agent));
        }
        self.tell_sign_on(out);
    }

    fn tell_sign_on(&self, out: &mut Events) {
        if let Some(account) = self.account.clone() {
            out.push(Event::Account(account));
        }
        if let Some(method) = self.sign_on {
            out.push(Event::SignOn(method));
            out.push(Event::Feature(feature::SIGN_ON));
            out.push(Event::Risk(match method {
                "basic" => risk::CLEARTEXT_PASSWORD,
                _ => risk::WEAK_SIGN_ON,
            }));
        }
    }

    /// Whether this request was met before: over UDP it is sent until it is answered.
    fn again(&mut self, direction: Direction, message: &Message<'_>) -> bool {
        let mut hasher = foldhash::quality::FixedState::default().build_hasher();
        for name in ["call-id", "cseq"] {
            hasher.write(message.field(name).unwrap_or_default().as_bytes());
        }
        hasher.write_usize(direction.index());
        let one = hasher.finish();
        if self.seen.contains(&one) {
            return true;
        }
        if self.seen.len() >= REMEMBERED {
            self.seen.remove(0);
        }
        self.seen.push(one);
        false
    }

    fn memory(&self) -> usize {
        let texts = [&self.account, &self.agent];
        let texts: usize = texts.into_iter().flatten().map(String::capacity).sum();
        texts + self.seen.capacity() * size_of::<u64>()
    }
}

/// What a request does that people do with a messenger.
fn does(method: &str, message: &Message<'_>) -> Option<Does> {
    let content = message.word("content-type").unwrap_or_default();
    let length = || message.length().unwrap_or(message.body.len());
    match method {
        "MESSAGE" => match content.as_str() {
            "text/plain" | "text/html" | "text/enriched" => Some(Does::Writes(length(), true)),
            "message/cpim" => Some(Does::Writes(inside(message.body), true)),
            "application/im-iscomposing+xml" => Some(Does::Types),
            _ => None,
        },
        // Who asks may be content with what is usual, and what is told has a type of its own.
        "SUBSCRIBE" | "NOTIFY" | "PUBLISH" => {
            let event = message.word("event").unwrap_or_default();
            let accepted = message.all("accept").any(|accept| {
                let accept = accept.to_ascii_lowercase();
                PRESENCE.iter().any(|kind| accept.contains(kind))
            });
            let about = matches!(event.as_str(), "presence" | "presence.winfo");
            let told = PRESENCE.contains(&content.as_str());
            let asked = method == "SUBSCRIBE" && accepted && content.is_empty();
            (about && (told || asked)).then_some(Does::Presence)
        }
        // "m=message 2855 TCP/MSRP *"
        "INVITE" if content == "application/sdp" => {
            let lines = message.body.split(|byte| *byte == b'\n');
            let mut media = lines.filter(|line| line.starts_with(b"m=message "));
            let msrp = |line: &[u8]| memchr::memmem::find(line, b"/MSRP").is_some();
            media.any(msrp).then_some(Does::Invites)
        }
        _ => None,
    }
}

/// The length of what stands in a wrapper (RFC 3862): behind its own fields, and those of what it wraps.
pub(in crate::classify) fn inside(body: &[u8]) -> usize {
    let behind =
        |bytes: &[u8]| memchr::memmem::find(bytes, b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
    let body = body.get(behind(body)..).unwrap_or_default();
    body.len().saturating_sub(behind(body))
}

/// Datagrams: a message in each.
#[derive(Default)]
pub(super) struct Flow(Session);

impl Dissector for Flow {
    fn feed(&mut self, direction: Direction, bytes: &[u8], out: &mut Events) {
        if let Some(message) = Message::parse(bytes) {
            self.0.message(direction, &message, out);
        }
    }

    fn memory(&self) -> usize {
        size_of_val(self) + self.0.memory()
    }
}

/// A connection: one message behind the other, as long as `Content-Length` says.
#[derive(Default)]
pub(super) struct Connection {
    session: Session,
    sides: Sides,
}

impl Session {
    /// The next message of a connection.
    fn step(&mut self, direction: Direction, held: &[u8], out: &mut Events) -> Step {
        // Clients keep connections open with empty lines (RFC 5626, 3.5.1).
        let blank = held
            .iter()
            .take_while(|byte| b"\r\n".contains(byte))
            .count();
        if blank > 0 {
            return Step::Past(blank);
        }
        match look(held) {
            Look::Neither => return Step::Lost,
            Look::Unclear => return Step::Wait,
            Look::Sip => {}
        }
        let Some(mut message) = Message::parse(held) else {
            return if held.len() < MAX_HEAD {
                Step::Wait
            } else {
                Step::Lost
            };
        };
        let length = message.length().unwrap_or(0);
        if message.body.len() < length.min(MAX_BODY) {
            return Step::WaitFor(message.head + length.min(MAX_BODY));
        }
        message.body = &message.body[..length.min(MAX_BODY)];
        self.message(direction, &message, out);
        Step::Past(message.head.saturating_add(length))
    }
}

impl Dissector for Connection {
    fn feed(&mut self, direction: Direction, bytes: &[u8], out: &mut Events) {
        self.sides.feed(direction, bytes, MAX_HEAD, |held| {
            self.session.step(direction, held, out)
        });
    }

    fn gap(&mut self, direction: Direction, missing: u64, _: &mut Events) {
        self.sides.gap(direction, missing);
    }

    fn is_done(&self) -> bool {
        self.sides.are_lost()
    }

    fn memory(&self) -> usize {
        size_of_val(self) + self.session.memory() + self.sides.memory()
    }
}
