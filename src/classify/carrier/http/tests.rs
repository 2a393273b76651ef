//! Framing of HTTP/1 as RFC 9112 has it, and proxies (RFC 9110, 9.3.6), over a whole connection.

use crate::classify::Events;
use crate::classify::stream::{Context, Stream};
use crate::model::Direction::{self, ToClient, ToServer};
use crate::model::{Event, Target, Transport};

type Turn<'a> = (Direction, &'a [u8]);

/// What a connection tells when its directions come in turns; however they are cut.
fn told(turns: &[Turn<'_>]) -> Vec<Event> {
    let run = |cut: usize| {
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
        for direction in Direction::BOTH {
            stream.end_of(direction, context, &mut out);
        }
        stream.end(&mut out);
        out.drain().collect::<Vec<_>>()
    };
    let whole = run(usize::MAX);
    for cut in [1, 3, 11] {
        assert_eq!(run(cut), whole, "cut into {cut}");
    }
    whole
}

fn hosts(events: &[Event]) -> Vec<&str> {
    let hosts = events.iter().filter_map(|event| match event {
        Event::Host { name, .. } => Some(name.as_str()),
        _ => None,
    });
    hosts.collect()
}

fn peers(events: &[Event]) -> Vec<&str> {
    let peers = events.iter().filter_map(|event| match event {
        Event::Peer(name) => Some(name.as_str()),
        _ => None,
    });
    peers.collect()
}

fn carried(events: &[Event]) -> usize {
    let carried = events
        .iter()
        .filter(|event| **event == Event::Carried("http-connect"));
    carried.count()
}

const NEXT: &[u8] = b"GET http://next.example.com/ HTTP/1.1\r\n\r\n";

#[test]
fn responses_without_a_body_do_not_swallow_the_next() {
    // Each request, its response, and whether a session of MSN is found behind them.
    for (request, response) in [
        (
            &b"HEAD / HTTP/1.1\r\nHost: a.example.com\r\n\r\n"[..],
            &b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"[..],
        ),
        (
            b"GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n",
            b"HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n",
        ),
        (
            b"GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n",
            b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
        (
            b"PUT / HTTP/1.1\r\nHost: a.example.com\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok",
        ),
        (
            b"POST / HTTP/1.1\r\nHost: a.example.com\r\nTransfer-Encoding: chunked\r\n\r\n\
              3;name=\"v;x\"\r\nabc\r\n0\r\nTrailer: GET / HTTP/1.1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n00\r\n\r\n",
        ),
        // A POST without a length has no body (RFC 9112, 6.3).
        (
            b"POST / HTTP/1.1\r\nHost: a.example.com\r\n\r\n",
            b"HTTP/1.1 411 Length Required\r\ncontent-length: 0\r\n\r\n",
        ),
    ] {
        let events = told(&[
            (ToServer, request),
            (ToClient, response),
            (ToServer, NEXT),
            (
                ToClient,
                b"HTTP/1.1 200 OK\r\nX-MSN-Messenger: SessionID=1.2; GW-IP=192.0.2.4\r\nContent-Length: 25\r\n\r\n\
                  JOI bob@example.com Bob\r\n",
            ),
        ]);
        let text = String::from_utf8_lossy(request);
        assert_eq!(hosts(&events), ["a.example.com", "next.example.com"], "{text}");
        assert_eq!(peers(&events), ["bob@example.com"], "{text}");
    }
}

#[test]
fn http_1_0_answers_end_with_the_connection() {
    let events = told(&[
        (ToServer, b"GET http://a.example.com/ HTTP/1.0\r\n\r\n"),
        (
            ToClient,
            b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\nHTTP/1.1 200 OK\r\nX-MSN-Messenger: SessionID=1.2\r\n\r\n",
        ),
    ]);
    assert!(
        !format!("{events:?}").contains("msn"),
        "a page about HTTP is a page"
    );
}

#[test]
fn a_tunnel_with_few_headers_asked_for_twice() {
    let inner = b"VER 1 MSNP9 MSNP8 CVR0\r\n";
    let events = told(&[
        (ToServer, b"CONNECT 198.51.100.9:1863 HTTP/1.0\r\n\r\n"),
        (
            ToClient,
            b"HTTP/1.0 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 4\r\n\r\nwho?",
        ),
        (
            ToServer,
            b"CONNECT 198.51.100.9:1863 HTTP/1.0\r\nProxy-Authorization: Basic bm90OnJlYWw=\r\n\r\n",
        ),
        // Nobody asked for this length: a tunnel has none (RFC 9110, 9.3.6).
        (ToClient, b"HTTP/1.0 200 OK\r\nContent-Length: 10\r\n\r\n"),
        (ToServer, inner),
        (ToClient, b"VER 1 MSNP9\r\n"),
        (ToServer, b"CAL 94 bob@example.com\r\n"),
    ]);
    assert_eq!(
        (carried(&events), peers(&events)),
        (1, vec!["bob@example.com"])
    );
    let target = Target::parse("198.51.100.9:1863");
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::Through(to) if Some(to) == target.as_ref()))
    );
    assert!(!format!("{events:?}").contains("bm90"));
}

#[test]
fn a_tunnel_seen_from_one_side() {
    let up: &[Turn<'_>] = &[
        (
            ToServer,
            b"CONNECT messenger.hotmail.com:1863 HTTP/1.1\r\nHost: messenger.hotmail.com\r\n\r\n",
        ),
        (
            ToServer,
            b"VER 1 MSNP9 MSNP8 CVR0\r\nCAL 94 bob@example.com\r\n",
        ),
    ];
    let down: &[Turn<'_>] = &[
        (ToClient, b"HTTP/1.1 200 Connection established\r\n\r\n"),
        (ToClient, b"VER 1 MSNP9\r\nJOI bob@example.com Bob\r\n"),
    ];
    for side in [up, down] {
        let events = told(side);
        assert_eq!(
            (carried(&events), peers(&events)),
            (1, vec!["bob@example.com"])
        );
    }
}

#[test]
fn a_refused_tunnel_is_no_tunnel() {
    let events = told(&[
        (ToServer, b"CONNECT a.example.com:443 HTTP/1.1\r\n\r\n"),
        (
            ToClient,
            b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
        ),
        (ToServer, NEXT),
        (
            ToClient,
            b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nVER 1 MSNP9\r\n",
        ),
    ]);
    assert_eq!(carried(&events), 0);
    assert_eq!(hosts(&events), ["a.example.com", "next.example.com"]);
}

#[test]
fn tls_in_a_tunnel_names_its_server_and_no_more() {
    let name = b"chat.example.com";
    let extension = [&[0, 0, 0, 21, 0, 19, 0, 0, 16][..], name].concat();
    let hello = [
        &[3, 3][..],
        &[7; 32],
        &[0, 0, 2, 0x13, 1, 1, 0, 0, 25],
        &extension,
    ]
    .concat();
    let len = u8::try_from(hello.len()).unwrap_or_default();
    let message = [&[1, 0, 0, len][..], &hello].concat();
    // Two records, of which the first ends in the middle of the name.
    let (first, second) = message.split_at(60);
    let record = |part: &[u8]| {
        let len = u8::try_from(part.len()).unwrap_or_default();
        [&[0x16, 3, 1, 0, len][..], part].concat()
    };
    let records = [record(first), record(second)].concat();
    for (asked, granted) in [
        (
            &b"CONNECT 198.51.100.9:443 HTTP/1.1\r\n\r\n"[..],
            &b"HTTP/1.1 200 OK\r\n\r\n"[..],
        ),
        (b"\x04\x01\x01\xbb\xc6\x33\x64\x09\0", b"\0\x5a\0\0\0\0\0\0"),
    ] {
        let events = told(&[(ToServer, asked), (ToClient, granted), (ToServer, &records)]);
        assert!(hosts(&events).contains(&"chat.example.com"), "{events:?}");
        let messenger = events.iter().any(
            |event| matches!(event, Event::Identified { format, .. } if format.service.is_some()),
        );
        assert!(!messenger);
    }
}
