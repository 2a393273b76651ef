//! Follows exchanges: sign-on, rooms, messages.

use super::path::{Path, token, user, user_in};
use crate::classify::Events;
use crate::classify::carrier::http::{HttpDissector, RequestHead, ResponseHead};
use crate::classify::file::File;
use crate::model::{Activity, Confidence, Event, Evidence, Party, feature, risk, what};
use serde_json::Value;

/// Longest body that is read: what a server tells at first may be longer, and is passed over.
const MAX_BODY: usize = 128 * 1024;
/// Messages of one answer that are told of.
const MAX_TOLD: usize = 256;

/// What a body is read for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Read {
    SignOn,
    /// A message that anybody can read.
    Message,
    /// Between servers: what happened in rooms.
    Events,
    /// An answer. Packets may cross, so that it is read for what it says itself and not for what was asked.
    Answer,
    #[default]
    Nothing,
}

/// One connection.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    request: Body,
    response: Body,
    role: Option<&'static str>,
    /// A call of the interface was seen, and an answer of it: both together are proof.
    asked: bool,
    answered: bool,
    confirmed: bool,
}

/// A body that is read when it is complete.
#[derive(Debug, Default)]
struct Body {
    of: Read,
    held: Vec<u8>,
    object: Object,
    done: bool,
}

/// How far into an object of JSON a body is. It says itself where it ends, so that neither its length nor how it was cut
/// counts.
#[derive(Debug, Default)]
struct Object {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

/// What a byte is for an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Inside,
    Last,
    /// No object begins like that.
    Other,
}

impl Object {
    const fn next(&mut self, byte: u8) -> Part {
        if self.in_string {
            self.in_string = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
            return Part::Inside;
        }
        match byte {
            b'{' => self.depth += 1,
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ if self.depth == 0 => return Part::Other,
            b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            b'"' => self.in_string = true,
            _ => {}
        }
        match (byte, self.depth) {
            (b'}' | b']', 0) => Part::Last,
            _ => Part::Inside,
        }
    }
}

impl Body {
    fn begin(of: Read, length: Option<&[u8]>) -> Self {
        let length = length.and_then(|text| std::str::from_utf8(text).ok()?.trim().parse().ok());
        let too_long = length.is_some_and(|length: u64| length > MAX_BODY as u64);
        Self {
            of,
            done: of == Read::Nothing || too_long,
            ..Self::default()
        }
    }

    /// The next bytes; what the body says once all of it is there.
    fn take(&mut self, bytes: &[u8]) -> Option<Value> {
        if self.done {
            return None;
        }
        let mut parts = bytes.iter().map(|byte| self.object.next(*byte)).enumerate();
        let end = parts.find(|(_, part)| *part != Part::Inside);
        let taken = end.map_or(bytes.len(), |(at, _)| at + 1);
        let fits = self.held.len() + taken <= MAX_BODY;
        let value = match end {
            None if fits => {
                self.held.extend_from_slice(bytes);
                return None;
            }
            Some((_, Part::Last)) if fits => {
                self.held.extend_from_slice(&bytes[..taken]);
                serde_json::from_slice(&self.held).ok()
            }
            _ => None,
        };
        self.done = true;
        self.held = Vec::new();
        value
    }
}

impl Exchanges {
    fn confirm(&mut self, out: &mut Events) {
        if self.asked && self.answered && !self.confirmed {
            self.confirmed = true;
            out.identified(
                super::format(self.role.unwrap_or("client")),
                Confidence::Confirmed,
                Evidence::payload("matrix", "a call of its interface, and its answer"),
            );
        }
    }

    fn answer(&mut self, body: &Value, out: &mut Events) {
        let has = |name: &str| !body[name].is_null();
        let own = body["user_id"].as_str().and_then(user);
        let known = has("next_batch") || has("event_id") || has("versions") || has("pdus");
        self.answered |= known || own.is_some();
        self.confirm(out);
        if let Some(own) = own {
            out.push(Event::Account(own));
            if has("access_token") {
                out.push(Event::Risk(risk::CLEARTEXT_COOKIE));
            }
        }
        let rooms = body["rooms"]["join"].as_object();
        for room in rooms.into_iter().flat_map(|rooms| rooms.values()) {
            let events = room["timeline"]["events"].as_array();
            timeline(events.map_or(&[][..], Vec::as_slice), out);
        }
    }
}

impl HttpDissector for Exchanges {
    fn request(&mut self, head: &RequestHead<'_>, out: &mut Events) {
        let read = match Path::of(head) {
            Some(path) if path.role().is_some() => {
                self.role = path.role();
                self.asked = true;
                self.confirm(out);
                if token(head) && path.role() == Some("client") {
                    out.push(Event::Risk(risk::CLEARTEXT_COOKIE));
                }
                request(head.method, &path.call(), out)
            }
            _ => Read::Nothing,
        };
        self.request = Body::begin(read, head.header("content-length"));
    }

    fn request_body(&mut self, bytes: &[u8], out: &mut Events) {
        let Some(body) = self.request.take(bytes) else {
            return;
        };
        match self.request.of {
            Read::SignOn => sign_on(&body, out),
            Read::Message => {
                message(&body, Some(Party::Own), out);
            }
            Read::Events => {
                let events = body["pdus"].as_array().map_or(&[][..], Vec::as_slice);
                timeline(events, out);
            }
            Read::Answer | Read::Nothing => {}
        }
    }

    fn response(&mut self, head: &ResponseHead<'_>, _: &mut Events) {
        let json = head.header("content-type").is_some_and(|value| {
            let value = value.to_ascii_lowercase();
            value.starts_with(b"application/json")
        });
        let clear = json && head.status == 200 && head.header("content-encoding").is_none();
        let read = if clear { Read::Answer } else { Read::Nothing };
        self.response = Body::begin(read, head.header("content-length"));
    }

    fn response_body(&mut self, bytes: &[u8], out: &mut Events) {
        if let Some(body) = self.response.take(bytes) {
            self.answer(&body, out);
        }
    }

    fn gap(&mut self, from_client: bool, _: &mut Events) {
        let body = if from_client {
            &mut self.request
        } else {
            &mut self.response
        };
        *body = Body {
            done: true,
            ..Body::default()
        };
    }

    fn memory(&self) -> usize {
        size_of_val(self) + self.request.held.capacity() + self.response.held.capacity()
    }
}

/// What a request's body is read for, and what its path alone tells.
fn request(method: &str, call: &[&str], out: &mut Events) -> Read {
    match (method, call) {
        ("POST", ["login" | "register", ..]) => Read::SignOn,
        ("POST", ["logout", ..]) => {
            out.done(Activity::new(what::SIGN_OFF).by(Party::Own));
            Read::Nothing
        }
        ("POST", ["join", _] | ["rooms", _, "join"]) => {
            out.push(Event::Feature(feature::CHAT_ROOM));
            out.done(Activity::new(what::CHAT_JOIN).by(Party::Own));
            Read::Nothing
        }
        ("POST", ["rooms", _, "leave"]) => {
            out.done(Activity::new(what::CHAT_LEAVE).by(Party::Own));
            Read::Nothing
        }
        ("PUT" | "POST", ["rooms", _, "send", "m.room.message", ..]) => Read::Message,
        ("PUT" | "POST", ["rooms", _, "send", "m.room.encrypted", ..]) => {
            out.push(Event::Feature(feature::CHAT_ROOM));
            out.done(
                Activity::new(what::CHAT_MESSAGE)
                    .by(Party::Own)
                    .with("kind", "encrypted"),
            );
            Read::Nothing
        }
        ("PUT", ["rooms", _, "typing", own]) => {
            out.push(Event::Feature(feature::CHAT_ROOM));
            account(own, out);
            out.done(Activity::new(what::TYPING).by(Party::Own));
            Read::Nothing
        }
        ("PUT", ["presence", own, "status"]) => {
            out.push(Event::Feature(feature::PRESENCE));
            account(own, out);
            out.done(Activity::new(what::STATUS).by(Party::Own));
            Read::Nothing
        }
        (_, ["user", own, "filter" | "account_data" | "rooms", ..]) => {
            account(own, out);
            Read::Nothing
        }
        ("PUT", ["send", _]) => Read::Events,
        _ => Read::Nothing,
    }
}

fn account(part: &str, out: &mut Events) {
    if let Some(own) = user_in(part) {
        out.push(Event::Account(own));
    }
}

/// How a user signs on.
fn sign_on(body: &Value, out: &mut Events) {
    let kind = body["type"].as_str();
    let kind = kind.or_else(|| body["auth"]["type"].as_str());
    let method = match kind {
        Some("m.login.password") => "password",
        Some("m.login.token") => "token",
        Some("m.login.application_service") => "application-service",
        _ => "other",
    };
    out.push(Event::SignOn(method));
    out.push(Event::Feature(feature::SIGN_ON));
    if body["password"].is_string() {
        out.push(Event::Risk(risk::CLEARTEXT_PASSWORD));
    }
    let name = body["identifier"]["user"].as_str();
    if let Some(own) = name.or_else(|| body["user"].as_str()).and_then(user) {
        out.push(Event::Account(own));
    }
}

/// A message in a room; its length is told, never its text. `false` for what is none.
fn message(content: &Value, by: Option<Party>, out: &mut Events) -> bool {
    let (Some(kind), Some(text)) = (content["msgtype"].as_str(), content["body"].as_str()) else {
        return false;
    };
    out.push(Event::Feature(feature::MESSAGE));
    out.push(Event::Feature(feature::CHAT_ROOM));
    if matches!(kind, "m.file" | "m.image" | "m.audio" | "m.video") {
        let size = content["info"]["size"].as_u64();
        let name = content["filename"].as_str().unwrap_or(text);
        let sent = Activity {
            from: by,
            ..Activity::new(what::FILE_SENT)
        };
        File::new(name.as_bytes(), size).tell(sent, out);
        return true;
    }
    out.push(Event::Risk(risk::CLEARTEXT_MESSAGES));
    out.done(Activity {
        from: by,
        ..Activity::new(what::CHAT_MESSAGE).with("length", text.len())
    });
    true
}

/// What happened in a room.
fn timeline(events: &[Value], out: &mut Events) {
    let said = events
        .iter()
        .filter(|event| event["type"] == "m.room.message");
    for event in said.take(MAX_TOLD) {
        let sender = event["sender"].as_str().and_then(user);
        let by = sender.clone().map(Party::Account);
        if message(&event["content"], by, out)
            && let Some(sender) = sender
        {
            out.push(Event::Peer(sender));
        }
    }
}
