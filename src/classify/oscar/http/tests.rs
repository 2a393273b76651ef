#![allow(clippy::unwrap_used)]

use super::packet::{Header, Kind, hello, is_body, login};
use crate::classify::Events;
use crate::classify::carrier::http::Place;
use crate::classify::stream::{Context, Stream};
use crate::model::Direction::{self, ToClient, ToServer};
use crate::model::{Confidence, Event, Timestamp, Transport, feature};

const SID: &str = "0123456789abcdef0123456789abcdef";

/// A packet of the proxy protocol.
fn packet(kind: u16, connection: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = u16::try_from(data.len() + 12)
        .unwrap()
        .to_be_bytes()
        .to_vec();
    bytes.extend(0x0443_u16.to_be_bytes());
    bytes.extend(kind.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(connection.to_be_bytes());
    bytes.extend(data);
    bytes
}

fn hello_packet() -> Vec<u8> {
    let mut bytes = vec![0, 0, 4, 0x43, 0, 2, 0, 0, 0, 0, 0, 0];
    bytes.extend([0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef].repeat(2));
    bytes.extend(b"\0\x0b192.0.2.200\0\x50");
    let len = u8::try_from(bytes.len() - 2).unwrap();
    bytes[1] = len;
    bytes
}

fn flap(channel: u8, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x2a, channel];
    bytes.extend(sequence.to_be_bytes());
    bytes.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// SNAC 0004/0006 to `name`, on channel 1.
fn message_to(sequence: u16, name: &str) -> Vec<u8> {
    let mut snac = vec![0, 4, 0, 6, 0, 0, 0, 0, 0, 9];
    snac.extend(*b"12345678\0\x01");
    snac.push(u8::try_from(name.len()).unwrap());
    snac.extend(name.as_bytes());
    snac.extend([0, 2, 0, 13, 5, 1, 0, 1, 1, 1, 1, 0, 4, 0, 0, 0, 0]);
    flap(2, sequence, &snac)
}

/// Sign-on with a password in channel 1.
fn sign_on(name: &str) -> Vec<u8> {
    let mut payload = vec![0, 0, 0, 1, 0, 1, 0, u8::try_from(name.len()).unwrap()];
    payload.extend(name.as_bytes());
    payload.extend([0, 2, 0, 3, 0x83, 0x47, 0xf2]);
    payload.extend(b"\0\x03\0\x08ICQBasic");
    flap(1, 1, &payload)
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: 192.0.2.200\r\n\r\n").into()
}

fn post(seq: u32, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST http://192.0.2.200:80/data?sid={SID}&seq={seq} HTTP/1.1\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn ok(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

type Turns = Vec<(Direction, Vec<u8>)>;

/// What each flow of one client tells, the flows one after the other; the cut must make no difference.
fn told(flows: &[Turns]) -> Vec<Vec<Event>> {
    let run = |cut: usize| {
        let mut events = Events::default();
        let tell = |(id, turns): (usize, &Turns)| {
            let mut stream = Stream::new(Transport::Tcp, true);
            events.sessions().visit(Place {
                flow: id as u64 + 1,
                senders: [Some("192.0.2.1".parse().unwrap()), None],
                now: Timestamp::default(),
            });
            let context = Context {
                server_port: 80,
                expected: None,
            };
            for (direction, bytes) in turns {
                for piece in bytes.chunks(cut) {
                    stream.feed(*direction, piece, context, &mut events);
                }
            }
            stream.end(&mut events);
            events.drain().collect()
        };
        flows
            .iter()
            .enumerate()
            .map(tell)
            .collect::<Vec<Vec<Event>>>()
    };
    let whole = run(usize::MAX);
    for cut in [1, 3, 100] {
        assert_eq!(run(cut), whole, "cut into {cut}");
    }
    whole
}

fn sure(events: &[Event]) -> Option<Confidence> {
    let known = events.iter().filter_map(|event| match event {
        Event::Identified {
            format, confidence, ..
        } if format.service.is_some() => {
            assert_eq!(
                (format.app_proto, format.role),
                ("oscar-http", Some("gateway"))
            );
            Some(*confidence)
        }
        _ => None,
    });
    known.max()
}

fn has_account(events: &[Event], name: &str) -> bool {
    events.contains(&Event::Account(name.to_owned()))
}

#[test]
fn hello_begins_a_session() {
    assert_eq!(Header::read(&hello_packet()).unwrap().kind, Kind::Hello);
    let answer = hello_packet();
    let parsed = hello(&answer).unwrap();
    assert_eq!((parsed.host, parsed.id.len()), ("192.0.2.200", 16));
    let flows = told(&[
        vec![
            (
                ToServer,
                b"GET http://http.proxy.icq.com/hello HTTP/1.0\r\n\r\n".to_vec(),
            ),
            (ToClient, ok(&hello_packet())),
        ],
        // A host that nobody knows: the answer is proof enough.
        vec![(ToServer, get("/hello")), (ToClient, ok(&hello_packet()))],
        vec![(
            ToServer,
            b"GET http://http.proxy.icq.com/hello HTTP/1.0\r\n\r\n".to_vec(),
        )],
    ]);
    for flow in &flows[..2] {
        assert_eq!(sure(flow), Some(Confidence::Confirmed));
        assert!(flow.contains(&Event::Feature(feature::HTTP)));
        assert!(flow.iter().any(|event| matches!(event, Event::PartOf(_))));
    }
    assert_eq!(sure(&flows[2]), Some(Confidence::Probable));
}

#[test]
fn a_frame_in_pieces_over_several_connections() {
    let frames = [sign_on("1000001"), message_to(2, "1000002")].concat();
    let (first, second) = frames.split_at(20);
    let flows = told(&[
        vec![
            (
                ToServer,
                post(1, &packet(3, 1, b"\0\x0dlogin.icq.com\x14\x46")),
            ),
            (ToClient, ok(b"")),
        ],
        vec![
            (ToServer, post(2, &packet(5, 1, first))),
            (ToClient, ok(b"")),
        ],
        vec![
            (ToServer, post(3, &packet(5, 1, second))),
            (ToClient, ok(b"")),
        ],
    ]);
    assert!(
        flows
            .iter()
            .all(|flow| sure(flow) == Some(Confidence::Confirmed))
    );
    assert!(
        flows[0]
            .iter()
            .any(|event| matches!(event, Event::Host { name, .. } if name == "login.icq.com"))
    );
    assert!(!has_account(&flows[1], "1000001") && has_account(&flows[2], "1000001"));
    assert!(flows[2].contains(&Event::Peer("1000002".to_owned())));
}

#[test]
fn inner_connections_and_lost_bodies_do_not_mix() {
    let message = message_to(2, "1000002");
    let (first, second) = message.split_at(25);
    // Body 6 is not captured: its rest must not be taken from body 7, which is another connection's.
    let lost = told(&[
        vec![(ToServer, post(5, &packet(5, 1, first)))],
        vec![(ToServer, post(7, &packet(5, 2, &message_to(1, "1000003"))))],
        vec![(ToServer, post(8, &packet(5, 1, second)))],
    ]);
    assert!(lost[1].contains(&Event::Peer("1000003".to_owned())));
    assert!(!lost[2].iter().any(|event| matches!(event, Event::Peer(_))));
    // The same body again.
    let again = told(&[
        vec![(ToServer, post(5, &packet(5, 1, first)))],
        vec![(ToServer, post(5, &packet(5, 1, first)))],
        vec![(ToServer, post(6, &packet(5, 1, second)))],
    ]);
    assert!(again[2].contains(&Event::Peer("1000002".to_owned())));
}

#[test]
fn answers_alone_and_a_session_joined_in_the_middle() {
    let frames = [message_to(7, "1000002"), message_to(8, "1000003")].concat();
    let body = [packet(7, 1, &[0]), packet(5, 2, &frames[30..])].concat();
    let flows = told(&[vec![(ToClient, ok(&body))]]);
    assert_eq!(sure(&flows[0]), Some(Confidence::Confirmed));
    let flows = told(&[vec![
        (ToServer, get(&format!("/monitor?sid={SID}"))),
        (ToClient, ok(&packet(5, 2, &frames))),
    ]]);
    assert!(flows[0].contains(&Event::Feature(feature::MESSAGE)));
    assert!(
        flows[0]
            .iter()
            .any(|event| matches!(event, Event::PartOf(_)))
    );
}

#[test]
fn http_holds_the_frames_inside_it_where_no_handshake_was_seen() {
    let frames = [
        message_to(7, "1000002"),
        message_to(8, "1000003"),
        message_to(9, "1000002"),
    ]
    .concat();
    let request = post(3, &packet(5, 2, &frames));
    for cut in [1, 50, request.len()] {
        let mut stream = Stream::new(Transport::Tcp, false);
        let mut events = Events::default();
        let context = Context {
            server_port: 80,
            expected: None,
        };
        for piece in request.chunks(cut) {
            stream.feed(ToServer, piece, context, &mut events);
        }
        assert_eq!(sure(events.as_ref()), Some(Confidence::Confirmed), "{cut}");
    }
}

#[test]
fn other_peoples_paths_and_bodies() {
    let header = packet(5, 1, b"*");
    for (request, answer) in [
        (get("/hello"), ok(b"hello, world")),
        (get("/monitor?sid=42"), ok(b"{\"state\":\"up\"}")),
        (get(&format!("/monitor?sid={SID}")), ok(b"")),
        (
            get(&format!("/monitor?sid={SID}")),
            ok(b"\0\x0c\x04\x44\0\x05\0\0\0\0\0\0\0\x01*"),
        ),
        (post(1, b"name=alice&text=hi+there+everybody"), ok(b"ok")),
        (post(1, &header[..13]), ok(b"")),
        (post(1, &packet(4, 1, &[0])), ok(b"")),
        (post(1, &packet(9, 1, &[0])), ok(b"")),
        (
            post(1, &[&header[..], b"more that is no packet"].concat()),
            ok(b""),
        ),
    ] {
        let flows = told(&[vec![(ToServer, request.clone()), (ToClient, answer)]]);
        assert_eq!(
            sure(&flows[0]),
            None,
            "{}",
            String::from_utf8_lossy(&request)
        );
    }
    assert_eq!(is_body(&packet(3, 1, b"\0\x04a b!\0\x50"), true), None);
    assert_eq!(login(&packet(3, 1, b"\0\x40short\0\x50")), None);
    assert_eq!(hello(&hello_packet()[..20]), None);
    // Lengths that point anywhere.
    for len in [0_u16, 1, 11, 0xffff] {
        let mut bytes = packet(5, 1, b"*\x02");
        bytes[..2].copy_from_slice(&len.to_be_bytes());
        told(&[vec![(ToServer, post(1, &bytes)), (ToClient, ok(&bytes))]]);
    }
}
