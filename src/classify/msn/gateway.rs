//! MSNP inside HTTP: `POST /gateway/gateway.dll`.
//!
//! Bodies of requests are client commands, bodies of responses server commands; a body may hold several or
//! none. One session is spread over many connections, so a connection may begin anywhere in it, and a command may end
//! in another body than it began.

use super::command::{Command, Reader};
use super::notes::Notes;
use super::session::{Session, begins_with_command};
use super::{GATEWAY, claim};
use crate::classify::carrier::http::{
    HttpDissector, HttpMessenger, Inside, Part, RequestHead, ResponseHead, Spread,
};
use crate::classify::{Claim, Events};
use crate::model::{Direction, SessionId, Target, feature};

const CONTENT_TYPE: &[u8] = b"application/x-msn-messenger";
/// A command line at the start of a body is shorter, or it goes on from the last body.
const MAX_OPENING: usize = 512;

/// Recognises the gateway.
pub(super) struct Gateway;

impl HttpMessenger for Gateway {
    fn request(&self, head: &RequestHead<'_>, body: &[u8]) -> Option<(Claim, bool)> {
        let (path, query) = head.path().split_once('?').unwrap_or((head.path(), ""));
        // Other products have a gateway.dll too.
        if head.method != "POST" || !path.eq_ignore_ascii_case("/gateway/gateway.dll") {
            return None;
        }
        let asks = query.split('&').any(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "Action" => matches!(value, "open" | "poll"),
                "SessionID" => !value.is_empty(),
                _ => false,
            }
        });
        let typed = is_typed(head.header("Content-Type"));
        let claim = claim(
            GATEWAY,
            Some(true),
            "msn-gateway",
            "POST to gateway.dll of the messenger",
        );
        (asks || typed).then_some((claim, asks && typed || begins_with_command(body)))
    }

    fn response(&self, head: &ResponseHead<'_>, body: &[u8]) -> Option<(Claim, bool)> {
        let typed = is_typed(head.header("Content-Type"));
        let session = head.header("X-MSN-Messenger");
        if session.is_none() && !typed {
            return None;
        }
        let named = session
            .is_some_and(|value| value.starts_with(b"SessionID=") || value.starts_with(b"GW-IP="));
        let claim = claim(
            GATEWAY,
            Some(false),
            "msn-gateway",
            "answer of the messenger's gateway",
        );
        Some((claim, named || typed && begins_with_command(body)))
    }

    fn session(&self, head: &RequestHead<'_>) -> Option<SessionId> {
        let (path, query) = head.path().split_once('?')?;
        if !path.eq_ignore_ascii_case("/gateway/gateway.dll") {
            return None;
        }
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let (_, id) = pairs.find(|(name, _)| *name == "SessionID")?;
        session_id(id)
    }

    fn dissector(&self, client: Direction) -> Box<dyn HttpDissector> {
        Box::new(Exchanges {
            spread: Spread::new(client, || Box::new(Conversation::new())),
            notes: Notes::default(),
            asked: None,
            answered: None,
        })
    }
}

fn is_typed(value: Option<&[u8]>) -> bool {
    value
        .and_then(|value| value.get(..CONTENT_TYPE.len()))
        .is_some_and(|head| head.eq_ignore_ascii_case(CONTENT_TYPE))
}

/// `number.number`: the first stays, the second is another in every answer.
fn session_id(text: &str) -> Option<SessionId> {
    let stable = text.split('.').next().unwrap_or_default();
    let is_number = !stable.is_empty() && stable.bytes().all(|byte| byte.is_ascii_digit());
    is_number
        .then(|| SessionId::new(GATEWAY.app_proto, stable.as_bytes()))
        .flatten()
}

/// Follows the exchanges of one connection.
struct Exchanges {
    spread: Spread,
    notes: Notes,
    /// The session of the request at hand, and of the response.
    asked: Option<SessionId>,
    answered: Option<SessionId>,
}

impl HttpDissector for Exchanges {
    fn memory(&self) -> usize {
        size_of_val(self) + self.spread.memory()
    }

    fn request(&mut self, head: &RequestHead<'_>, out: &mut Events) {
        self.notes.feature(feature::HTTP, out);
        self.asked = Gateway.session(head);
        if head.path().contains("Action=open") {
            self.spread.begin();
        }
        let session = self.asked.as_ref();
        self.spread.part(session, true, Part::Begin(None), out);
    }

    fn request_body(&mut self, bytes: &[u8], out: &mut Events) {
        let part = Part::Bytes { channel: 0, bytes };
        self.spread.part(self.asked.as_ref(), true, part, out);
    }

    fn response(&mut self, head: &ResponseHead<'_>, out: &mut Events) {
        self.notes.feature(feature::HTTP, out);
        // `SessionID=a.b; GW-IP=host`: which session it is, and where its next request goes.
        let value = head
            .header("X-MSN-Messenger")
            .and_then(|value| std::str::from_utf8(value).ok())
            .unwrap_or_default();
        let field = |name: &str| {
            value
                .split(';')
                .find_map(|part| part.trim().strip_prefix(name))
        };
        let named = field("SessionID=").and_then(session_id);
        self.answered = named.or_else(|| head.asked.cloned());
        if let Some(session) = &self.answered
            && head.asked.is_none()
        {
            self.spread.name(session, out);
        }
        let session = self.answered.as_ref();
        self.spread.part(session, false, Part::Begin(None), out);
        if let Some(target) = field("GW-IP=").and_then(Target::parse) {
            self.notes
                .redirect(target, GATEWAY, (false, false), None, out);
        }
    }

    fn response_body(&mut self, bytes: &[u8], out: &mut Events) {
        let part = Part::Bytes { channel: 0, bytes };
        self.spread.part(self.answered.as_ref(), false, part, out);
    }

    fn gap(&mut self, from_client: bool, out: &mut Events) {
        let session = if from_client {
            self.asked.as_ref()
        } else {
            self.answered.as_ref()
        };
        self.spread.part(session, from_client, Part::Lost, out);
    }
}

/// One session, whatever connections it is spread over.
struct Conversation {
    up: Way,
    down: Way,
    session: Session,
}

impl Conversation {
    fn new() -> Self {
        Self {
            up: Way::new(),
            down: Way::new(),
            session: Session::new(GATEWAY),
        }
    }
}

impl Inside for Conversation {
    fn take(&mut self, from_client: bool, part: Part<'_>, out: &mut Events) {
        let (way, direction) = if from_client {
            (&mut self.up, Direction::ToServer)
        } else {
            (&mut self.down, Direction::ToClient)
        };
        let session = &mut self.session;
        way.take(part, &mut |command| {
            session.command(direction, &command, out);
        });
    }

    fn tell_again(&mut self) {
        self.session.notes.tell_again();
    }

    fn held(&self) -> usize {
        let ways = self.up.held().saturating_add(self.down.held());
        ways.saturating_add(size_of::<Self>())
    }
}

/// The commands of one side, over all bodies.
struct Way {
    reader: Reader,
    /// The first bytes of a body, while it is open whether they begin a command.
    opening: Option<Vec<u8>>,
}

impl Way {
    fn new() -> Self {
        Self {
            reader: Reader::new(),
            opening: None,
        }
    }

    fn held(&self) -> usize {
        let opening = self.opening.as_ref().map_or(0, Vec::capacity);
        self.reader.held().saturating_add(opening)
    }

    fn take(&mut self, part: Part<'_>, sink: &mut dyn FnMut(Command<'_>)) {
        match part {
            Part::Begin(_) => {
                self.settle(false, sink);
                // A command may go on in the next body. But a body that begins with one of its own says that
                // the rest of the last one was not captured.
                self.opening = self.reader.is_inside().then(Vec::new);
            }
            Part::Bytes { bytes, .. } => match &mut self.opening {
                None => self.reader.feed(bytes, sink),
                Some(opening) => {
                    opening.extend_from_slice(bytes);
                    match opens(opening) {
                        Opens::Unclear => {}
                        other => self.settle(other == Opens::Command, sink),
                    }
                }
            },
            // How much is missing is not known: more than any payload.
            Part::Lost => {
                self.settle(false, sink);
                self.reader.gap(u64::MAX, sink);
            }
        }
    }

    fn settle(&mut self, is_command: bool, sink: &mut dyn FnMut(Command<'_>)) {
        let Some(opening) = self.opening.take() else {
            return;
        };
        if is_command {
            self.reader.finish(sink);
        }
        self.reader.feed(&opening, sink);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opens {
    Command,
    Other,
    Unclear,
}

/// Whether a body begins with a command.
fn opens(body: &[u8]) -> Opens {
    let fits = |(at, byte): (usize, &u8)| match at {
        0..=2 => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
        _ => matches!(byte, b' ' | b'\r'),
    };
    if !body.iter().take(4).enumerate().all(fits) {
        Opens::Other
    } else if memchr::memchr(b'\r', body).is_some() {
        if begins_with_command(body) {
            Opens::Command
        } else {
            Opens::Other
        }
    } else if body.len() < MAX_OPENING {
        Opens::Unclear
    } else {
        Opens::Other
    }
}
