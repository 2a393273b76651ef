//! Recognises and follows the HTTP connections of a session.

use super::packet::{self, Header, Kind, Packets, is_body};
use super::{GATEWAY, inside::Streams};
use crate::classify::carrier::http::{
    HttpDissector, HttpMessenger, Part, RequestHead, ResponseHead, Spread,
};
use crate::classify::{Claim, Events};
use crate::model::{Confidence, Direction, Event, Evidence, SessionId, feature};
use std::borrow::Cow;
use std::fmt::Write as _;

/// Hosts that answer `/hello` and nothing else.
const HELLO_HOSTS: [&str; 2] = ["http.proxy.icq.com", "aimhttp.oscar.aol.com"];

/// AIM and ICQ over HTTP.
#[derive(Debug)]
pub struct OscarHttp;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asks {
    Hello,
    Monitor,
    Data,
}

/// Path and query parameters.
fn asks(head: &RequestHead<'_>) -> Option<(Asks, Option<SessionId>, Option<u32>)> {
    let (path, query) = head.path().split_once('?').unwrap_or((head.path(), ""));
    let parameter = |name: &str| {
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find_map(|(key, value)| (key == name).then_some(value))
    };
    let session = || parameter("sid").and_then(session_id);
    match (path, head.method) {
        ("/hello", "GET") => Some((Asks::Hello, None, None)),
        ("/monitor", "GET") => Some((Asks::Monitor, Some(session()?), None)),
        ("/data", "POST") => {
            let number = parameter("seq").and_then(|text| text.parse().ok());
            Some((Asks::Data, Some(session()?), number))
        }
        _ => None,
    }
}

/// 16 bytes in hexadecimal.
fn session_id(text: &str) -> Option<SessionId> {
    let is_id = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id
        .then(|| SessionId::new(GATEWAY.app_proto, text.to_ascii_lowercase().as_bytes()))
        .flatten()
}

/// The host asked for, lower case, without port.
fn host(head: &RequestHead<'_>) -> Option<String> {
    let named = head
        .header("Host")
        .and_then(|value| std::str::from_utf8(value).ok());
    let target = head
        .target
        .split_once("://")
        .and_then(|(_, rest)| rest.split('/').next());
    let name = target.or(named)?.trim();
    let name = name.split(':').next().unwrap_or_default();
    Some(name.trim_end_matches('.').to_ascii_lowercase())
}

fn claim(from_client: bool, detail: impl Into<Cow<'static, str>>) -> Claim {
    Claim {
        format: GATEWAY,
        offset: 0,
        sender_is_client: Some(from_client),
        evidence: Evidence::payload("oscar-http", detail),
    }
}

impl HttpMessenger for OscarHttp {
    fn request(&self, head: &RequestHead<'_>, body: &[u8]) -> Option<(Claim, bool)> {
        match asks(head)?.0 {
            Asks::Hello => {
                let host = host(head).filter(|host| HELLO_HOSTS.contains(&host.as_str()))?;
                Some((claim(true, format!("GET /hello from {host}")), false))
            }
            // Says nothing that others do not say; but it may name a session that is known.
            Asks::Monitor => None,
            Asks::Data => {
                let Header { kind, .. } = is_body(body, true)?;
                let detail = format!("POST /data with a packet of version 0x0443, {kind:?}");
                Some((claim(true, detail), true))
            }
        }
    }

    fn response(&self, head: &ResponseHead<'_>, body: &[u8]) -> Option<(Claim, bool)> {
        if head.status != 200 {
            return None;
        }
        let Header { kind, .. } = is_body(body, false)?;
        let detail = format!("answer with a packet of version 0x0443, {kind:?}");
        Some((claim(false, detail), true))
    }

    fn session(&self, head: &RequestHead<'_>) -> Option<SessionId> {
        asks(head)?.1
    }

    fn dissector(&self, client: Direction) -> Box<dyn HttpDissector> {
        Box::new(Exchanges {
            spread: Spread::new(client, || Box::<Streams>::default()),
            up: Packets::default(),
            down: Packets::default(),
            asked: None,
            answered: None,
        })
    }
}

/// Follows the exchanges of one connection.
struct Exchanges {
    spread: Spread,
    up: Packets,
    down: Packets,
    /// The session of the request at hand, and of the response.
    asked: Option<SessionId>,
    answered: Option<SessionId>,
}

impl HttpDissector for Exchanges {
    fn request(&mut self, head: &RequestHead<'_>, out: &mut Events) {
        let asks = asks(head);
        self.up.begin();
        self.asked = None;
        match asks {
            Some((asks, session, number)) => {
                out.push(Event::Feature(feature::HTTP));
                self.asked = session;
                if asks == Asks::Data {
                    let part = Part::Begin(number);
                    self.spread.part(self.asked.as_ref(), true, part, out);
                } else {
                    self.up.lose();
                }
            }
            // A kept-alive connection to a web proxy has other requests, too.
            None => self.up.lose(),
        }
    }

    fn request_body(&mut self, bytes: &[u8], out: &mut Events) {
        let Self {
            up, spread, asked, ..
        } = self;
        up.feed(bytes, |header, packet| match header.kind {
            Kind::Login => connects(packet, out),
            _ => piece(spread, asked.as_ref(), true, header, packet, out),
        });
    }

    fn response(&mut self, head: &ResponseHead<'_>, out: &mut Events) {
        out.push(Event::Feature(feature::HTTP));
        self.answered = head.asked.cloned();
        self.down.begin();
        if head.status != 200 {
            self.down.lose();
        }
    }

    fn response_body(&mut self, bytes: &[u8], out: &mut Events) {
        let Self {
            down,
            spread,
            answered,
            ..
        } = self;
        down.feed(bytes, |header, packet| match header.kind {
            Kind::Hello => begins(spread, packet, out),
            _ => piece(spread, answered.as_ref(), false, header, packet, out),
        });
    }

    fn memory(&self) -> usize {
        size_of_val(self) + self.up.memory() + self.down.memory() + self.spread.memory()
    }

    fn gap(&mut self, from_client: bool, out: &mut Events) {
        let (packets, session) = if from_client {
            (&mut self.up, self.asked.as_ref())
        } else {
            (&mut self.down, self.answered.as_ref())
        };
        packets.lose();
        self.spread.part(session, from_client, Part::Lost, out);
    }
}

/// A piece of a FLAP stream.
fn piece(
    spread: &mut Spread,
    session: Option<&SessionId>,
    from_client: bool,
    header: Header,
    packet: &[u8],
    out: &mut Events,
) {
    if header.kind != Kind::Flap || !header.zeros {
        return;
    }
    let part = Part::Bytes {
        channel: header.connection,
        bytes: packet.get(packet::HEADER..).unwrap_or_default(),
    };
    spread.part(session, from_client, part, out);
}

/// Which server the client wants to be connected to: a host name tells AIM from ICQ.
fn connects(packet: &[u8], out: &mut Events) {
    if let Some((name, _)) = packet::login(packet)
        && name.parse::<std::net::IpAddr>().is_err()
    {
        out.push(Event::Host {
            name: name.to_ascii_lowercase(),
            via: "oscar-http",
        });
    }
}

/// A session begins. The host of its next requests is not announced: the id says better whose they are, and others
/// behind the same address go there as well.
fn begins(spread: &mut Spread, packet: &[u8], out: &mut Events) {
    let Some(hello) = packet::hello(packet) else {
        return;
    };
    let evidence = Evidence::payload("oscar-http", "answer to /hello with a session");
    out.identified(GATEWAY, Confidence::Confirmed, evidence);
    let mut id = String::with_capacity(32);
    for byte in hello.id {
        // Writing to a string cannot fail.
        let _ = write!(id, "{byte:02x}");
    }
    if let Some(session) = session_id(&id) {
        spread.begin();
        spread.part(Some(&session), false, Part::Begin(None), out);
    }
}
