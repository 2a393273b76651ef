//! Follows an HTTP/1 connection: hosts, messengers that speak over HTTP, and tunnels.

use super::contract::{HttpDissector, HttpMessenger, RequestHead, ResponseHead, header};
use super::framer::{Body, Framer, Piece, Visitor};
use super::start::{self, Start};
use crate::classify::carrier::tunnel::Tunnel;
use crate::classify::{Claim, Dissector, Events, registry};
use crate::model::{Confidence, Direction, Event, SessionId, Target};
use std::collections::VecDeque;

/// Body bytes that a messenger is shown to decide.
const SHOWN: usize = 256;
/// Host names told of one connection: a proxy connection may ask for hundreds.
const MAX_HOSTS: usize = 16;
/// Requests that wait for their response.
const MAX_PENDING: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Connect,
    /// The response has no body whatever its head says.
    Head,
    Other,
}

/// A request that waits for its response.
struct Asked {
    method: Method,
    /// The session that it names, if it is some messenger's.
    session: Option<SessionId>,
}

/// A message whose first body bytes are still gathered, so that a messenger can be shown them.
#[derive(Default)]
struct Message {
    head: Vec<u8>,
    body: Vec<u8>,
    /// A response's: what its request named.
    asked: Option<SessionId>,
}

/// Everything but the framing, which runs beside it.
#[derive(Default)]
struct Exchange {
    messenger: Option<Box<dyn HttpDissector>>,
    /// Per direction.
    waiting: [Option<Message>; 2],
    asked: VecDeque<Asked>,
    /// Per direction: whether its last head was a request. Directions may be labelled the wrong way round.
    requests: [bool; 2],
    hosts: Vec<String>,
    /// What the response at hand answers.
    answered: Option<SessionId>,
    tunnel: Option<Tunnel>,
    tunnel_port: u16,
    /// A CONNECT was granted: both directions change at once.
    granted: bool,
}

/// One HTTP connection.
#[derive(Default)]
pub struct Connection {
    framers: [Framer; 2],
    exchange: Exchange,
}

impl Dissector for Connection {
    fn feed(&mut self, direction: Direction, bytes: &[u8], out: &mut Events) {
        let mut visitor = Side {
            direction,
            exchange: &mut self.exchange,
            out,
        };
        self.framers[direction.index()].feed(bytes, &mut visitor);
        if std::mem::take(&mut self.exchange.granted) {
            self.framers[direction.reverse().index()].tunnel();
        }
    }

    fn gap(&mut self, direction: Direction, missing: u64, out: &mut Events) {
        let Self { framers, exchange } = self;
        exchange.show(direction, out);
        let mut side = Side {
            direction,
            exchange,
            out,
        };
        let inside = framers[direction.index()].gap(missing, &mut side);
        if let Some(tunnel) = &mut exchange.tunnel {
            tunnel.gap(direction, missing, out);
        } else if let Some(messenger) = &mut exchange.messenger {
            messenger.gap(exchange.requests[direction.index()], out);
        }
        if !inside {
            exchange.asked.clear();
        }
    }

    /// A body that no messenger reads.
    fn skippable(&self, direction: Direction) -> u64 {
        let Self { framers, exchange } = self;
        let side = direction.index();
        if exchange.messenger.is_some() || exchange.waiting[side].is_some() {
            return 0;
        }
        framers[side].inside_body()
    }

    fn skip(&mut self, direction: Direction, bytes: u64) {
        self.framers[direction.index()].skip(bytes);
    }

    fn memory(&self) -> usize {
        let framers: usize = self.framers.iter().map(Framer::memory).sum();
        size_of_val(self) + framers + self.exchange.memory()
    }

    fn end(&mut self, out: &mut Events) {
        for direction in Direction::BOTH {
            self.exchange.show(direction, out);
        }
        if let Some(tunnel) = &mut self.exchange.tunnel {
            tunnel.end(out);
        }
    }
}

/// One direction while it is fed.
struct Side<'a> {
    direction: Direction,
    exchange: &'a mut Exchange,
    out: &'a mut Events,
}

impl Visitor for Side<'_> {
    fn head(&mut self, head: &[u8]) -> Body {
        self.exchange.show(self.direction, self.out);
        self.exchange.requests[self.direction.index()] = start::at(head) != Start::Response;
        let body = match start::at(head) {
            Start::Response => with_response(head, |head, reason| self.response(head, reason)),
            _ => with_request(head, |head| self.request(head)),
        };
        let message = Message {
            head: head.to_vec(),
            body: Vec::new(),
            asked: self.exchange.answered.take(),
        };
        self.exchange.waiting[self.direction.index()] = Some(message);
        body.unwrap_or(Body::UntilClose)
    }

    /// What is left of a request still names whom it asks, and what for; that is a signature at most.
    fn cut(&mut self, head: &[u8]) {
        let Some(head) = mended(head) else {
            return;
        };
        with_request(&head, |head| {
            self.tell_hosts(head);
            self.exchange.choose(
                |messenger| Some((messenger.request(head, &[])?.0, false)),
                true,
                self.direction,
                self.out,
            );
        });
    }

    fn piece(&mut self, piece: Piece<'_>) {
        let Self {
            direction,
            exchange,
            out,
        } = self;
        match piece {
            Piece::Body(bytes) => exchange.body(*direction, bytes, out),
            Piece::End => exchange.show(*direction, out),
            Piece::Inner(bytes) => {
                exchange.show(*direction, out);
                let port = exchange.tunnel_port;
                let tunnel = exchange
                    .tunnel
                    .get_or_insert_with(|| Tunnel::new("http-connect", port));
                tunnel.feed(*direction, bytes, out);
            }
        }
    }
}

impl Side<'_> {
    fn request(&mut self, head: &RequestHead<'_>) -> Body {
        let method = match head.method {
            "CONNECT" => Method::Connect,
            "HEAD" => Method::Head,
            _ => Method::Other,
        };
        let mut messengers = registry::HTTP.iter().copied().flatten();
        let session = messengers.find_map(|messenger| messenger.session(head));
        if let Some(session) = &session {
            let key = self.out.sessions().key(session, self.direction);
            self.out.push(Event::PartOf(key));
        }
        if self.exchange.asked.len() < MAX_PENDING {
            self.exchange.asked.push_back(Asked { method, session });
        }
        if method == Method::Connect {
            let (host, port) = split_port(head.target);
            self.exchange.tunnel_port = port.unwrap_or(443);
            self.tell_host(host, "http-connect");
            if let Some(target) = Target::parse(head.target) {
                self.out.push(Event::Through(target));
            }
            return Body::PerhapsTunnel;
        }
        self.tell_hosts(head);
        declared_body(head.headers).unwrap_or(Body::Length(0))
    }

    fn response(&mut self, head: &ResponseHead<'_>, reason: &str) -> Body {
        if head.status < 200 {
            // 100 Continue: the real answer is still to come.
            return Body::Length(0);
        }
        let asked = self.exchange.asked.pop_front();
        let (asked, session) =
            asked.map_or((None, None), |asked| (Some(asked.method), asked.session));
        self.exchange.answered = session;
        let success = (200..300).contains(&head.status);
        // Where only the server's side was captured, the reason phrase of every common proxy tells.
        let unasked_tunnel =
            asked.is_none() && reason.eq_ignore_ascii_case("connection established");
        if success && (asked == Some(Method::Connect) || unasked_tunnel) {
            self.exchange.granted = true;
            return Body::Tunnel;
        }
        if asked == Some(Method::Head) || head.status == 204 || head.status == 304 {
            return Body::Length(0);
        }
        declared_body(head.headers).unwrap_or(Body::UntilClose)
    }

    fn tell_hosts(&mut self, head: &RequestHead<'_>) {
        // (A path may well have an address in it.)
        if !head.target.starts_with('/')
            && let Some((_, rest)) = head.target.split_once("://")
        {
            let authority = rest.split(['/', '?']).next().unwrap_or_default();
            self.tell_host(split_port(authority).0, "http-host");
        }
        if let Some(host) =
            header(head.headers, "host").and_then(|host| std::str::from_utf8(host).ok())
        {
            self.tell_host(split_port(host).0, "http-host");
        }
    }

    fn tell_host(&mut self, host: &str, via: &'static str) {
        let name = host.trim().trim_end_matches('.').to_ascii_lowercase();
        let plausible = !name.is_empty() && name.len() <= 253 && name.is_ascii();
        let hosts = &mut self.exchange.hosts;
        if plausible && hosts.len() < MAX_HOSTS && !hosts.contains(&name) {
            hosts.push(name.clone());
            self.out.push(Event::Host { name, via });
        }
    }
}

impl Exchange {
    /// Bytes held on the heap.
    fn memory(&self) -> usize {
        let waiting = self.waiting.iter().flatten();
        let waiting: usize = waiting
            .map(|message| message.head.capacity() + message.body.capacity())
            .sum();
        let hosts: usize = self.hosts.iter().map(String::capacity).sum();
        waiting
            + hosts
            + self.hosts.capacity() * size_of::<String>()
            + self.asked.capacity() * size_of::<Asked>()
            + self.messenger.as_ref().map_or(0, |it| it.memory())
            + self.tunnel.as_ref().map_or(0, Tunnel::memory)
    }

    fn body(&mut self, direction: Direction, bytes: &[u8], out: &mut Events) {
        let mut rest = bytes;
        if let Some(message) = &mut self.waiting[direction.index()] {
            let room = SHOWN.saturating_sub(message.body.len()).min(rest.len());
            let (now, later) = rest.split_at(room);
            message.body.extend_from_slice(now);
            rest = later;
            if message.body.len() >= SHOWN {
                self.show(direction, out);
            }
        }
        if self.waiting[direction.index()].is_none()
            && !rest.is_empty()
            && let Some(messenger) = &mut self.messenger
        {
            if self.requests[direction.index()] {
                messenger.request_body(rest, out);
            } else {
                messenger.response_body(rest, out);
            }
        }
    }

    /// Shows the waiting message to the messenger of this connection, or asks all whether it is theirs.
    fn show(&mut self, direction: Direction, out: &mut Events) {
        let Some(Message { head, body, asked }) = self.waiting[direction.index()].take() else {
            return;
        };
        if start::at(&head) == Start::Response {
            with_response(&head, |head, _| {
                let head = &ResponseHead {
                    asked: asked.as_ref(),
                    ..*head
                };
                self.choose(
                    |messenger| messenger.response(head, &body),
                    false,
                    direction,
                    out,
                );
                if let Some(messenger) = &mut self.messenger {
                    messenger.response(head, out);
                    messenger.response_body(&body, out);
                }
            });
        } else {
            with_request(&head, |head| {
                self.choose(
                    |messenger| messenger.request(head, &body),
                    true,
                    direction,
                    out,
                );
                if let Some(messenger) = &mut self.messenger {
                    messenger.request(head, out);
                    messenger.request_body(&body, out);
                }
            });
        }
    }

    fn choose(
        &mut self,
        ask: impl Fn(&'static dyn HttpMessenger) -> Option<(Claim, bool)>,
        from_client: bool,
        direction: Direction,
        out: &mut Events,
    ) {
        if self.messenger.is_some() {
            return;
        }
        let messengers = registry::HTTP.iter().copied().flatten().copied();
        let claimed =
            messengers.filter_map(|messenger| ask(messenger).map(|claim| (messenger, claim)));
        // A proof beats a signature.
        if let Some((messenger, (claim, certain))) =
            claimed.max_by_key(|(_, (_, certain))| *certain)
        {
            let confidence = if certain {
                Confidence::Confirmed
            } else {
                Confidence::Probable
            };
            let client = if from_client {
                direction
            } else {
                direction.reverse()
            };
            out.push(Event::ClientIs(client));
            out.identified(claim.format, confidence, claim.evidence);
            self.messenger = Some(messenger.dissector(client));
        }
    }
}

/// A whole head of what is left of one: its whole lines, or of the first line's target what is whole.
fn mended(head: &[u8]) -> Option<Vec<u8>> {
    if start::at(head) == Start::Response {
        return None;
    }
    let mut whole = if let Some(end) = memchr::memrchr(b'\n', head) {
        head[..=end].to_vec()
    } else {
        let blank = memchr::memchr(b' ', head)? + 1;
        let target = &head[blank..];
        let end = match memchr::memchr(b' ', target) {
            Some(end) => end,
            None => target.iter().rposition(|byte| b"/?&".contains(byte))? + 1,
        };
        [&head[..blank + end], b" HTTP/1.1\r\n"].concat()
    };
    whole.extend_from_slice(b"\r\n");
    Some(whole)
}

/// What the head says of the body's length.
fn declared_body(headers: &[(&str, &[u8])]) -> Option<Body> {
    let coding = header(headers, "transfer-encoding");
    if coding.is_some_and(|coding| coding.to_ascii_lowercase().ends_with(b"chunked")) {
        return Some(Body::Chunked);
    }
    let length = header(headers, "content-length")?;
    std::str::from_utf8(length)
        .ok()?
        .trim()
        .parse()
        .ok()
        .map(Body::Length)
}

/// `host:port`, `[v6]:port` or `host`.
fn split_port(authority: &str) -> (&str, Option<u16>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
            (host.trim_matches(['[', ']']), port.parse().ok())
        }
        _ => (authority.trim_matches(['[', ']']), None),
    }
}

fn fields<'a>(parsed: &[httparse::Header<'a>]) -> Vec<(&'a str, &'a [u8])> {
    parsed
        .iter()
        .map(|field| (field.name, field.value))
        .collect()
}

fn with_request<T>(head: &[u8], f: impl FnOnce(&RequestHead<'_>) -> T) -> Option<T> {
    let mut space = [httparse::EMPTY_HEADER; super::MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut space);
    parsed.parse(head).ok()?;
    let headers = fields(parsed.headers);
    Some(f(&RequestHead {
        method: parsed.method?,
        target: parsed.path?,
        headers: &headers,
    }))
}

fn with_response<T>(head: &[u8], f: impl FnOnce(&ResponseHead<'_>, &str) -> T) -> Option<T> {
    let mut space = [httparse::EMPTY_HEADER; super::MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut space);
    parsed.parse(head).ok()?;
    let headers = fields(parsed.headers);
    Some(f(
        &ResponseHead {
            status: parsed.code?,
            asked: None,
            headers: &headers,
        },
        parsed.reason.unwrap_or_default(),
    ))
}

#[cfg(test)]
mod tests {
    use crate::classify::Events;
    use crate::classify::stream::{Context, Stream};
    use crate::model::{Direction, Event, Transport};

    /// What a connection tells when its directions come in turns, cut every `cut` bytes.
    fn told(turns: &[(Direction, &[u8])], cut: usize) -> Vec<Event> {
        let mut stream = Stream::new(Transport::Tcp, true);
        let mut out = Events::default();
        let context = Context {
            server_port: 3128,
            expected: None,
        };
        for (direction, bytes) in turns {
            for piece in bytes.chunks(cut) {
                stream.feed(*direction, piece, context, &mut out);
            }
        }
        stream.end(&mut out);
        out.drain().collect()
    }

    #[test]
    fn what_is_held_is_counted() {
        let endless = [&b"GET / HTTP/1.1\r\nX: "[..], &b"x".repeat(20_000)].concat();
        let mut stream = Stream::new(Transport::Tcp, true);
        let mut out = Events::default();
        let context = Context {
            server_port: 80,
            expected: None,
        };
        stream.feed(Direction::ToServer, &endless, context, &mut out);
        assert!(stream.is_decided() && stream.memory() > 20_000);
        // Inside a tunnel as well.
        let mut stream = Stream::new(Transport::Tcp, true);
        let connect = b"CONNECT a.example:80 HTTP/1.1\r\n\r\n";
        stream.feed(Direction::ToServer, connect, context, &mut out);
        let granted = b"HTTP/1.1 200 OK\r\n\r\n";
        stream.feed(Direction::ToClient, granted, context, &mut out);
        let before = stream.memory();
        stream.feed(Direction::ToServer, &endless, context, &mut out);
        assert!(stream.memory() > before + 20_000);
    }

    fn hosts(events: &[Event]) -> Vec<(&str, &str)> {
        events
            .iter()
            .filter_map(|event| match event {
                Event::Host { name, via } => Some((name.as_str(), *via)),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn hosts_of_a_kept_alive_proxy_connection_are_told_once_each() {
        let turns: &[(Direction, &[u8])] = &[
            (
                Direction::ToServer,
                b"GET http://www.Example.com/a HTTP/1.1\r\nHost: www.example.com\r\n\r\n",
            ),
            (
                Direction::ToClient,
                b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
            ),
            (
                Direction::ToServer,
                b"GET http://mail.example.com:8080/ HTTP/1.1\r\n\r\n",
            ),
            (Direction::ToClient, b"HTTP/1.1 204 No Content\r\n\r\n"),
        ];
        for cut in [1, 3, 1000] {
            let events = told(turns, cut);
            assert_eq!(
                hosts(&events),
                [
                    ("www.example.com", "http-host"),
                    ("mail.example.com", "http-host")
                ]
            );
        }
    }

    #[test]
    fn the_middle_of_a_body_that_nobody_reads_need_not_be_fed() {
        use Direction::{ToClient, ToServer};
        let body = b"x".repeat(1000);
        let framings: [[&[u8]; 2]; 2] = [
            [b"Content-Length: 1000\r\n\r\n", b""],
            [
                b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n",
                b"\r\n0\r\n\r\n",
            ],
        ];
        for [head, tail] in framings {
            let mut stream = Stream::new(Transport::Tcp, true);
            let mut out = Events::default();
            let context = Context {
                server_port: 3128,
                expected: None,
            };
            let mut feed = |stream: &mut Stream, direction, bytes: &[u8]| {
                stream.feed(direction, bytes, context, &mut out);
            };
            feed(
                &mut stream,
                ToServer,
                b"GET http://a.example/ HTTP/1.1\r\n\r\n",
            );
            feed(&mut stream, ToClient, b"HTTP/1.1 200 OK\r\n");
            feed(&mut stream, ToClient, head);
            feed(&mut stream, ToClient, &body[..255]);
            assert_eq!(
                stream.skippable(ToClient),
                0,
                "its beginning is shown to all"
            );
            feed(&mut stream, ToClient, &body[255..300]);
            assert_eq!(stream.skippable(ToClient), 699, "all but the last byte");
            assert_eq!(stream.skippable(ToServer), 0);
            stream.skip(ToClient, 600);
            stream.skip(ToClient, 99);
            assert_eq!(stream.skippable(ToClient), 0);
            feed(&mut stream, ToClient, &body[999..]);
            feed(&mut stream, ToClient, tail);
            feed(
                &mut stream,
                ToServer,
                b"CONNECT b.example:80 HTTP/1.1\r\n\r\n",
            );
            feed(&mut stream, ToClient, b"HTTP/1.1 200 OK\r\n\r\n");
            feed(
                &mut stream,
                ToServer,
                b"GET / HTTP/1.1\r\nHost: c.example\r\n\r\n",
            );
            let events: Vec<_> = out.drain().collect();
            let hosts: Vec<_> = hosts(&events).into_iter().map(|(name, _)| name).collect();
            assert_eq!(hosts, ["a.example", "b.example", "c.example"]);
        }
    }

    #[test]
    fn an_address_in_a_path_is_not_who_was_asked() {
        let request = b"GET /go?to=http://login.example.com/ HTTP/1.1\r\nHost: a.example\r\n\r\n";
        let events = told(&[(Direction::ToServer, request)], 1000);
        assert_eq!(hosts(&events), [("a.example", "http-host")]);
    }

    #[test]
    fn what_runs_inside_connect_is_a_stream_of_its_own() {
        let turns: &[(Direction, &[u8])] = &[
            (
                Direction::ToServer,
                b"CONNECT chat.example.com:5190 HTTP/1.1\r\nHost: chat.example.com\r\n\r\n",
            ),
            (
                Direction::ToClient,
                b"HTTP/1.0 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
            ),
            (
                Direction::ToServer,
                b"CONNECT chat.example.com:5190 HTTP/1.1\r\n\r\n",
            ),
            (
                Direction::ToClient,
                b"HTTP/1.0 200 Connection established\r\n\r\n",
            ),
            (
                Direction::ToServer,
                b"GET / HTTP/1.1\r\nHost: inner.example.com\r\n\r\n",
            ),
        ];
        for cut in [1, 3, 1000] {
            let events = told(turns, cut);
            assert_eq!(
                hosts(&events),
                [
                    ("chat.example.com", "http-connect"),
                    ("inner.example.com", "http-host")
                ]
            );
            assert_eq!(
                events
                    .iter()
                    .filter(|event| **event == Event::Carried("http-connect"))
                    .count(),
                1
            );
        }
    }
}
