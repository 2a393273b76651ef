//! MSNP inside HTTP: `POST /gateway/gateway.dll`.
//!
//! Bodies of requests are client commands, bodies of responses server commands; a body may hold several or
//! none. One session is spread over many connections, so a connection may begin anywhere in it.

use super::command::Reader;
use super::session::{Session, begins_with_command};
use super::{GATEWAY, claim};
use crate::classify::carrier::http::{HttpDissector, HttpMessenger, RequestHead, ResponseHead};
use crate::classify::{Claim, Events};
use crate::model::{Direction, Target, feature};

const CONTENT_TYPE: &[u8] = b"application/x-msn-messenger";

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

    fn dissector(&self) -> Box<dyn HttpDissector> {
        Box::new(Exchanges {
            up: Reader::new(),
            down: Reader::new(),
            session: Session::new(GATEWAY),
        })
    }
}

fn is_typed(value: Option<&[u8]>) -> bool {
    value
        .and_then(|value| value.get(..CONTENT_TYPE.len()))
        .is_some_and(|head| head.eq_ignore_ascii_case(CONTENT_TYPE))
}

/// Follows the exchanges of one connection.
struct Exchanges {
    up: Reader,
    down: Reader,
    session: Session,
}

impl HttpDissector for Exchanges {
    fn request(&mut self, _: &RequestHead<'_>, out: &mut Events) {
        self.session.notes.feature(feature::HTTP, out);
        // Each body begins with a command of its own: one that was cut short must not eat the next.
        let Self { up, session, .. } = self;
        up.finish(&mut |command| session.command(Direction::ToServer, &command, out));
    }

    fn request_body(&mut self, bytes: &[u8], out: &mut Events) {
        let Self { up, session, .. } = self;
        up.feed(bytes, &mut |command| {
            session.command(Direction::ToServer, &command, out);
        });
    }

    fn response(&mut self, head: &ResponseHead<'_>, out: &mut Events) {
        let Self { down, session, .. } = self;
        session.notes.feature(feature::HTTP, out);
        down.finish(&mut |command| session.command(Direction::ToClient, &command, out));
        // `SessionID=a.b; GW-IP=host`: where the next request of the session goes.
        let value = head
            .header("X-MSN-Messenger")
            .and_then(|value| std::str::from_utf8(value).ok())
            .unwrap_or_default();
        let host = value
            .split(';')
            .find_map(|part| part.trim().strip_prefix("GW-IP="));
        if let Some(target) = host.and_then(Target::parse) {
            session.notes.redirect(target, GATEWAY, false, out);
        }
    }

    fn response_body(&mut self, bytes: &[u8], out: &mut Events) {
        let Self { down, session, .. } = self;
        down.feed(bytes, &mut |command| {
            session.command(Direction::ToClient, &command, out);
        });
    }

    fn gap(&mut self, from_client: bool, out: &mut Events) {
        let Self { up, down, session } = self;
        let (reader, direction) = if from_client {
            (up, Direction::ToServer)
        } else {
            (down, Direction::ToClient)
        };
        // How much is missing is not known: more than any payload.
        reader.gap(u64::MAX, &mut |command| {
            session.command(direction, &command, out);
        });
    }
}
