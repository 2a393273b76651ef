//! Follows the HTTP exchanges of Yahoo! Messenger.

use super::activity::file;
use super::http::{Kind, counted_packets, is_capacity_answer, parameter};
use super::session::{Session, account, relay_token};
use super::stream::{Packet, Stream};
use crate::classify::Events;
use crate::classify::carrier::http::{HttpDissector, RequestHead, ResponseHead, percent_decoded};
use crate::classify::file::{File, Passing};
use crate::model::{
    Activity, Confidence, Direction, Event, Evidence, Format, Service, SessionId, Target, feature,
    risk, what,
};

use memchr::memmem;

/// Where the pager answers that the capacity host sends the client to.
const PAGER_PORT: u16 = 5050;
/// What comes before an uploaded file: names and a few words.
const MAX_UPLOAD_HEAD: usize = 4096;
/// An answer to the capacity question is two short lines.
const MAX_ANSWER: usize = 1024;

/// What the body at hand is.
#[derive(Debug, Default)]
enum Body {
    /// Nothing of ours, or done with.
    #[default]
    Opaque,
    /// Too few bytes yet to tell.
    Unknown(Vec<u8>),
    /// Packets.
    Packets(Stream),
    /// A packet that says whose file follows it, as far as it has come.
    Upload(Vec<u8>),
    /// The file.
    File(Box<(File, Passing)>),
    /// An answer to the capacity question.
    Capacity(Vec<u8>),
}

/// One connection.
#[derive(Debug)]
pub struct YahooHttpDissector {
    /// The direction of requests.
    client: Direction,
    kind: Option<Kind>,
    session: Session,
    request: Body,
    response: Body,
    /// Bytes of the response's body still to come, if its head said so.
    response_left: Option<u64>,
}

impl YahooHttpDissector {
    /// A connection whose requests go in this direction.
    pub fn new(client: Direction) -> Self {
        Self {
            client,
            kind: None,
            session: Session::http(Kind::Gateway.role()),
            request: Body::Opaque,
            response: Body::Opaque,
            response_left: None,
        }
    }
}

/// Both session cookies, `Y` and `T`.
fn has_session_cookies(value: &[u8]) -> bool {
    let text = String::from_utf8_lossy(value);
    let has = |name: &str| {
        text.split(';')
            .any(|cookie| cookie.trim_start().starts_with(name))
    };
    has("Y=") && has("T=")
}

/// Only where the request is the messenger's own: browsers send these cookies to all of Yahoo.
fn cookies(kind: Option<Kind>, head: &RequestHead<'_>, out: &mut Events) {
    if kind.is_some() && head.header("Cookie").is_some_and(has_session_cookies) {
        out.push(Event::Risk(risk::CLEARTEXT_COOKIE));
    }
}

/// The account that a query names; `None` when it is none.
fn decoded(value: &str) -> Option<String> {
    let text = percent_decoded(value)?;
    account(&text)
}

/// Who passes a file to whom. Clients name themselves as sender even when they fetch.
fn relay(head: &RequestHead<'_>, out: &mut Events) {
    let query = head.path().split_once('?').map_or("", |(_, query)| query);
    if let Some(name) = parameter(query, "sender").and_then(decoded) {
        out.push(Event::Account(name));
    }
    if let Some(token) = parameter(query, "token").and_then(relay_token) {
        out.push(Event::Shows(token));
    }
    if let Some(name) = parameter(query, "recver").and_then(decoded) {
        out.push(Event::Peer(name));
    }
}

/// The id that the server gave the session, if it did.
fn session_id(id: [u8; 4]) -> Option<SessionId> {
    (id != [0; 4])
        .then(|| SessionId::new("ymsg-http", &id))
        .flatten()
}

/// Takes a packet in. Packets are whole in their bodies, but not every one says whose it is.
fn take(
    packet: &Packet,
    (direction, client): (Direction, Direction),
    session: &mut Session,
    out: &mut Events,
) {
    let before = out.count();
    session.packet(direction, packet, out);
    if let Some(id) = session_id(packet.header.session) {
        let key = out.sessions().key(&id, client);
        out.session_told(&key, before);
    }
}

fn read(
    body: &mut Body,
    (direction, client): (Direction, Direction),
    bytes: &[u8],
    session: &mut Session,
    out: &mut Events,
) {
    if let Body::Unknown(held) = body {
        held.extend(bytes.iter().take(64));
        // Four bytes of count and the magic; or the first words of the capacity answer.
        if held.len() < 8 {
            return;
        }
        let held = std::mem::take(held);
        let packets = match direction {
            Direction::ToServer => Some(&held[..]),
            Direction::ToClient => counted_packets(&held),
        };
        let (next, first) = match packets {
            Some(first) if first.starts_with(b"YMSG") => (Body::Packets(Stream::default()), first),
            _ if direction == Direction::ToClient && held.starts_with(b"COLO_") => {
                (Body::Capacity(Vec::new()), &held[..])
            }
            _ => (Body::Opaque, &held[..]),
        };
        *body = next;
        read(body, (direction, client), first, session, out);
        // `held` took at most 64 bytes of this piece; the rest follows.
        let rest = bytes.get(64..).unwrap_or_default();
        if !rest.is_empty() {
            read(body, (direction, client), rest, session, out);
        }
        return;
    }
    match body {
        Body::Packets(stream) => {
            let mut bytes = bytes;
            while let Some((packet, rest)) = stream.next(bytes) {
                take(&packet, (direction, client), session, out);
                bytes = rest;
            }
        }
        Body::Capacity(text) => {
            let room = MAX_ANSWER.saturating_sub(text.len());
            text.extend(bytes.iter().take(room));
        }
        Body::Upload(head) => {
            let before = head.len();
            head.extend(
                bytes
                    .iter()
                    .take(MAX_UPLOAD_HEAD - before.min(MAX_UPLOAD_HEAD)),
            );
            // Key 29 opens the file. Clients count its separator wrongly, so the packet's length does not tell.
            let Some(at) = memmem::find(head, b"\xC0\x8029\xC0\x80") else {
                if head.len() >= MAX_UPLOAD_HEAD {
                    *body = Body::Opaque;
                }
                return;
            };
            let end = at + 6;
            let mut stream = Stream::default();
            let fed = stream.next(head.get(..end).unwrap_or(head));
            let packet = fed
                .map(|(packet, _)| packet)
                .or_else(|| stream.gap(u64::MAX));
            *body = Body::Opaque;
            let Some(packet) = packet else { return };
            take(&packet, (direction, client), session, out);
            let file = file(&packet);
            if let Some(size) = file.size {
                *body = Body::File(Box::new((file, Passing::new(size))));
                let rest = bytes.get(end.saturating_sub(before)..).unwrap_or_default();
                read(body, (direction, client), rest, session, out);
            }
        }
        Body::File(sent) => {
            let (file, passing) = sent.as_mut();
            passing.take(bytes);
            if let Some(sha256) = passing.sha256() {
                let file = File {
                    sha256: Some(sha256),
                    ..file.clone()
                };
                file.tell(Activity::between_peers(what::FILE_SENT, true), out);
                *body = Body::Opaque;
            }
        }
        Body::Opaque | Body::Unknown(_) => {}
    }
}

/// Tells where to sign on, once the line is there in full. The answer to what was asked is proof.
fn capacity(body: &mut Body, (asked, complete): (bool, bool), out: &mut Events) {
    let Body::Capacity(text) = body else { return };
    if !is_capacity_answer(text) {
        return;
    }
    let text = String::from_utf8_lossy(text);
    let Some((_, value)) = text.split_once("CS_IP_ADDRESS=") else {
        return;
    };
    let end = value.find(['\r', '\n']);
    if end.is_none() && !complete {
        return;
    }
    let value = value
        .get(..end.unwrap_or(value.len()))
        .unwrap_or_default()
        .trim();
    let target = match Target::parse(value) {
        Some(Target::Address(ip, port)) => Some(Target::Address(ip, port.or(Some(PAGER_PORT)))),
        Some(Target::Host(name, port)) => Some(Target::Host(name, port.or(Some(PAGER_PORT)))),
        None => None,
    };
    if let Some(target) = target {
        let format = Format::messenger(Service::YAHOO, "ymsg-http", Kind::Capacity.role());
        let evidence = Evidence::payload("yahoo-capacity", "COLO_CAPACITY and CS_IP_ADDRESS");
        let sure = if asked {
            Confidence::Confirmed
        } else {
            Confidence::Probable
        };
        out.identified(format, sure, evidence);
        let format = Format::messenger(Service::YAHOO, "ymsg", "session");
        out.push(Event::Redirect {
            target,
            format,
            opener: None,
            with: None,
            token: None,
        });
    }
    *body = Body::Opaque;
}

impl Body {
    /// Bytes held on the heap.
    fn memory(&self) -> usize {
        match self {
            Self::Opaque => 0,
            Self::Unknown(bytes) | Self::Capacity(bytes) | Self::Upload(bytes) => bytes.capacity(),
            Self::Packets(stream) => stream.memory(),
            Self::File(_) => size_of::<(File, Passing)>(),
        }
    }
}

impl HttpDissector for YahooHttpDissector {
    fn memory(&self) -> usize {
        size_of_val(self) + self.request.memory() + self.response.memory()
    }

    fn request(&mut self, head: &RequestHead<'_>, out: &mut Events) {
        let kind = Kind::of_path(head);
        if let Some(kind) = kind.filter(|kind| self.kind != Some(*kind)) {
            self.kind = Some(kind);
            self.session = Session::http(kind.role());
        }
        self.request = match kind {
            Some(Kind::Upload) => Body::Upload(Vec::new()),
            _ if head.method == "POST" => Body::Unknown(Vec::new()),
            _ => Body::Opaque,
        };
        out.push(Event::Feature(feature::HTTP));
        match kind {
            Some(Kind::Relay) => relay(head, out),
            Some(Kind::Upload | Kind::PeerFile) => {}
            _ => return cookies(kind, head, out),
        }
        out.push(Event::Feature(feature::FILE_TRANSFER));
        out.push(Event::Risk(risk::FILE_TRANSFER));
        cookies(kind, head, out);
    }

    fn request_body(&mut self, bytes: &[u8], out: &mut Events) {
        read(
            &mut self.request,
            (Direction::ToServer, self.client),
            bytes,
            &mut self.session,
            out,
        );
    }

    fn response(&mut self, head: &ResponseHead<'_>, _out: &mut Events) {
        self.response_left = head
            .header("Content-Length")
            .and_then(|value| std::str::from_utf8(value).ok())
            .and_then(|text| text.trim().parse().ok());
        self.response = match self.kind {
            Some(Kind::Upload | Kind::Relay | Kind::PeerFile) => Body::Opaque,
            _ => Body::Unknown(Vec::new()),
        };
    }

    fn response_body(&mut self, bytes: &[u8], out: &mut Events) {
        read(
            &mut self.response,
            (Direction::ToClient, self.client),
            bytes,
            &mut self.session,
            out,
        );
        self.response_left = self
            .response_left
            .map(|left| left.saturating_sub(bytes.len() as u64));
        let asked = self.kind == Some(Kind::Capacity);
        let complete = self.response_left == Some(0);
        capacity(&mut self.response, (asked, complete), out);
    }

    fn gap(&mut self, from_client: bool, _out: &mut Events) {
        *(if from_client {
            &mut self.request
        } else {
            &mut self.response
        }) = Body::Opaque;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::classify::yahoo::testing::{body, packet};
    use std::net::Ipv4Addr;

    fn run(
        head: &RequestHead<'_>,
        sent: &[u8],
        headers: &[(&str, &[u8])],
        answered: &[u8],
    ) -> Vec<Event> {
        let cut = |step: usize| {
            let mut dissector = YahooHttpDissector::new(Direction::ToServer);
            let mut out = Events::default();
            dissector.request(head, &mut out);
            sent.chunks(step)
                .for_each(|piece| dissector.request_body(piece, &mut out));
            dissector.response(
                &ResponseHead {
                    status: 200,
                    asked: None,
                    headers,
                },
                &mut out,
            );
            answered
                .chunks(step)
                .for_each(|piece| dissector.response_body(piece, &mut out));
            crate::classify::testing::facts(out.drain())
        };
        let whole = cut(usize::MAX);
        for step in [1, 3, 100] {
            assert_eq!(cut(step), whole, "cut into {step}");
        }
        whole
    }

    #[test]
    fn the_tunnel_both_ways() {
        let head = RequestHead {
            method: "POST",
            target: "/notify",
            headers: &[
                ("Host", b"http.pager.yahoo.com"),
                ("Cookie", b"Y=v=1&n=x; T=z=y"),
            ],
        };
        let sent = packet(0x0900, 0x06, 0, &body("1=alice&5=bob&14=hi"));
        let mut answered = vec![2, 0, 0, 0];
        answered.extend(packet(0, 0x06, 1, &body("4=carol&5=alice&14=hello")));
        answered.extend(packet(0, 0x02, 1, &body("7=bob&10=0")));
        let told = run(&head, &sent, &[], &answered);
        for event in [
            Event::Feature(feature::HTTP),
            Event::Risk(risk::CLEARTEXT_COOKIE),
            Event::Account("alice".into()),
            Event::Peer("bob".into()),
            Event::Peer("carol".into()),
            Event::Feature(feature::MESSAGE),
            Event::Feature(feature::PRESENCE),
            Event::Risk(risk::CLEARTEXT_MESSAGES),
        ] {
            assert!(told.contains(&event), "{event:?}");
        }
        assert!(!told.iter().any(|event| matches!(event, Event::ClientIs(_))));
    }

    #[test]
    fn an_upload_stops_at_the_file() {
        let head = RequestHead {
            method: "POST",
            target: "http://192.0.2.5:80/notifyft",
            headers: &[],
        };
        let mut fields = body("28=7800&27=notes.txt&5=bob&0=alice");
        fields.extend(b"29\xC0\x80");
        let mut sent = packet(12, 0x46, 0, &fields);
        // A file that itself holds a packet changes nothing.
        sent.extend(packet(16, 0x06, 0, &body("1=mallory&5=trent&14=hi")));
        let told = run(&head, &sent, &[], b"");
        assert!(
            told.contains(&Event::Account("alice".into()))
                && told.contains(&Event::Peer("bob".into()))
        );
        assert!(told.contains(&Event::Risk(risk::FILE_TRANSFER)));
        assert!(!told.contains(&Event::Peer("trent".into())));
    }

    #[test]
    fn the_capacity_answer_names_the_server() {
        let head = RequestHead {
            method: "GET",
            target: "/capacity",
            headers: &[("Host", b"vcs1.msg.yahoo.com")],
        };
        let expected = Event::Redirect {
            target: Target::Address(Ipv4Addr::new(192, 0, 2, 9).into(), Some(5050)),
            format: Format::messenger(Service::YAHOO, "ymsg", "session"),
            opener: None,
            with: None,
            token: None,
        };
        let told = run(
            &head,
            b"",
            &[],
            b"COLO_CAPACITY=1\r\nCS_IP_ADDRESS=192.0.2.9\r\n",
        );
        assert_eq!(told.iter().filter(|event| **event == expected).count(), 1);
        assert!(told.iter().any(|event| matches!(
            event,
            Event::Identified {
                confidence: Confidence::Confirmed,
                ..
            }
        )));
        // Without a last line end, the head's length says when the answer is complete.
        let told = run(
            &head,
            b"",
            &[("content-length", b"40")],
            b"COLO_CAPACITY=1\r\nCS_IP_ADDRESS=192.0.2.9",
        );
        assert!(told.contains(&expected));
        let told = run(
            &head,
            b"",
            &[],
            b"COLO_CAPACITY=1\r\nCS_IP_ADDRESS=not an address\r\n",
        );
        assert!(
            !told
                .iter()
                .any(|event| matches!(event, Event::Redirect { .. }))
        );
    }

    #[test]
    fn the_relay_names_both() {
        let target = "/relay?token=a%2bb&sender=alice&recver=bob%40example.com";
        let head = RequestHead {
            method: "POST",
            target,
            headers: &[],
        };
        let told = run(&head, b"YMSG in a file", &[], b"");
        assert!(told.contains(&Event::Account("alice".into())));
        assert!(told.contains(&Event::Peer("bob@example.com".into())));
    }

    #[test]
    fn one_cookie_is_not_a_session() {
        assert!(has_session_cookies(b"B=x; Y=v=1; T=z=2"));
        assert!(!has_session_cookies(b"Y=v=1") && !has_session_cookies(b"XY=1; XT=2"));
    }
}
