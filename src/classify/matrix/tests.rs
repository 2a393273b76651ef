//! Matrix from the examples of its specification, cut everywhere; and web pages that only mention it.
#![allow(clippy::unwrap_used)]

use crate::classify::Events;
use crate::classify::stream::{Context, Stream};
use crate::classify::testing::{spoken, sure_of};
use crate::model::Direction::{self, ToClient, ToServer};
use crate::model::{Confidence, Event, Transport, feature, risk};
use proptest::prelude::*;

fn request(line: &str, fields: &str, body: &str) -> (Direction, String) {
    let text = format!(
        "{line} HTTP/1.1\r\nHost: chat.example.com\r\n{fields}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    (ToServer, text)
}

fn answer(status: &str, body: &str) -> (Direction, String) {
    let text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    (ToClient, text)
}

/// The same in chunks.
fn chunked(body: &str) -> (Direction, String) {
    let (one, two) = body.split_at(body.len() / 2);
    let text = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n\
         {:x}\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n",
        one.len(),
        two.len()
    );
    (ToClient, text)
}

const TOKEN: &str = "Authorization: Bearer not-a-real-one\r\n";
const LOGIN: &str = r#"{"type":"m.login.password","identifier":{"type":"m.id.user","user":"alice"},"password":"not-a-real-one"}"#;
const SIGNED_ON: &str = r#"{"user_id":"@alice:example.com","access_token":"not-a-real-one","home_server":"example.com","device_id":"GHTYAJCE"}"#;
const SYNC: &str = r#"{"next_batch":"s72595","rooms":{"join":{"!room:example.com":{"timeline":{"events":[
    {"type":"m.room.message","sender":"@bob:example.org","content":{"msgtype":"m.text","body":"lunch?"}},
    {"type":"m.room.message","sender":"@carol:example.org","content":{"msgtype":"m.file","body":"menu.zip","info":{"size":9}}},
    {"type":"m.room.encrypted","sender":"@dave:example.org","content":{}}]}}}}}"#;

fn told(turns: &[(Direction, String)], cut: usize) -> Vec<Event> {
    spoken((Transport::Tcp, 8008), turns, cut, Events::default())
}

fn sure(events: &[Event]) -> Option<Confidence> {
    sure_of("matrix-http", events)
}

#[test]
fn a_session_is_read_however_it_is_cut() {
    let talk = [
        request(
            "POST /_matrix/client/v3/login",
            "Content-Type: application/json\r\n",
            LOGIN,
        ),
        answer("200 OK", SIGNED_ON),
        request("GET /_matrix/client/v3/sync?timeout=30000", TOKEN, ""),
        chunked(SYNC),
        request(
            "PUT /_matrix/client/v3/rooms/!room%3Aexample.com/send/m.room.message/35",
            TOKEN,
            r#"{"msgtype":"m.text","body":"yes, at noon"}"#,
        ),
        answer("200 OK", r#"{"event_id":"$1"}"#),
        request(
            "PUT /_matrix/client/v3/presence/%40alice%3Aexample.com/status",
            TOKEN,
            r#"{"presence":"online"}"#,
        ),
        answer("200 OK", "{}"),
    ];
    let whole = told(&talk, 4000);
    assert_eq!(sure(&whole), Some(Confidence::Confirmed));
    for wanted in [
        Event::Account("@alice:example.com".to_owned()),
        Event::Peer("@bob:example.org".to_owned()),
        Event::Peer("@carol:example.org".to_owned()),
        Event::SignOn("password"),
        Event::Risk(risk::CLEARTEXT_PASSWORD),
        Event::Risk(risk::CLEARTEXT_COOKIE),
        Event::Risk(risk::CLEARTEXT_MESSAGES),
        Event::Risk(risk::ARCHIVE_FILE),
        Event::Feature(feature::CHAT_ROOM),
        Event::Feature(feature::PRESENCE),
    ] {
        assert!(whole.contains(&wanted), "{wanted:?}: {whole:?}");
    }
    let text = format!("{whole:?}");
    for secret in ["lunch", "noon", "not-a-real-one"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    for cut in [1, 3, 100] {
        assert_eq!(told(&talk, cut), whole, "cut {cut}");
    }
}

#[test]
fn a_path_alone_is_a_signature_and_what_it_takes_is_proof() {
    for (turns, expected) in [
        (
            vec![request("GET /_matrix/client/versions", "", "")],
            Confidence::Probable,
        ),
        (
            vec![request("GET /_matrix/client/r0/sync", "", "")],
            Confidence::Probable,
        ),
        (
            vec![request("GET /_matrix/client/v3/sync", TOKEN, "")],
            Confidence::Confirmed,
        ),
        (
            vec![request(
                "GET /_matrix/client/r0/sync?access_token=x",
                "",
                "",
            )],
            Confidence::Confirmed,
        ),
        (
            vec![request(
                "PUT /_matrix/federation/v1/send/17",
                "Authorization: X-Matrix origin=\"a.example\"\r\n",
                "{}",
            )],
            Confidence::Confirmed,
        ),
        (
            vec![answer(
                "401 Unauthorized",
                r#"{"errcode":"M_UNKNOWN_TOKEN","error":"no"}"#,
            )],
            Confidence::Probable,
        ),
        (vec![answer("200 OK", SIGNED_ON)], Confidence::Probable),
    ] {
        for cut in [1, 4000] {
            assert_eq!(sure(&told(&turns, cut)), Some(expected), "{turns:?}");
        }
    }
}

#[test]
fn servers_pass_on_what_is_said_in_rooms() {
    let pdus = r#"{"origin":"example.org","pdus":[{"type":"m.room.message","sender":"@bob:example.org","content":{"msgtype":"m.text","body":"hi"}}]}"#;
    let events = told(&[request("PUT /_matrix/federation/v1/send/9", "", pdus)], 7);
    assert!(events.contains(&Event::Peer("@bob:example.org".to_owned())));
    assert!(events.contains(&Event::Risk(risk::CLEARTEXT_MESSAGES)));
}

#[test]
fn a_body_ends_where_its_object_does() {
    let said = r#"{"user_id":"@alice:example.com","a":"}\"}\\","b":[{}]}"#;
    let call = request("GET /_matrix/client/v3/account/whoami", TOKEN, "");
    let own = Event::Account("@alice:example.com".to_owned());
    // What stands behind it is nobody's, in whichever piece it comes.
    for behind in ["", "\n", "}", "{}", "x}"] {
        let body = format!(" {said}{behind}");
        for answer in [answer("200 OK", &body), chunked(&body)] {
            let talk = [call.clone(), answer];
            let whole = told(&talk, 4000);
            assert!(whole.contains(&own), "{behind}: {whole:?}");
            for cut in [1, 2, 9] {
                assert_eq!(told(&talk, cut), whole, "{behind}: cut {cut}");
            }
        }
    }
    for body in ["", "}", "[]", "x{}", &said[1..], &said[..said.len() - 1]] {
        for cut in [1, 4000] {
            let events = told(&[call.clone(), chunked(body)], cut);
            assert!(!events.contains(&own), "{body}: {events:?}");
        }
    }
}

#[test]
fn a_body_of_braces_is_read_once() {
    let body = format!(r#"{{"a":"{}"}}"#, "}".repeat(100_000));
    let call = request("GET /_matrix/client/v3/account/whoami", TOKEN, "");
    let begun = std::time::Instant::now();
    told(&[call, chunked(&body)], 1);
    // Tried again at each brace, it takes a minute.
    let taken = begun.elapsed();
    assert!(taken < std::time::Duration::from_secs(20), "{taken:?}");
}

#[test]
fn what_is_encrypted_is_not_called_clear() {
    let talk = [request(
        "PUT /_matrix/client/v3/rooms/!r%3Ax.example/send/m.room.encrypted/1",
        TOKEN,
        r#"{"algorithm":"m.megolm.v1.aes-sha2","ciphertext":"AwgA"}"#,
    )];
    let events = told(&talk, 4000);
    assert!(events.contains(&Event::Feature(feature::CHAT_ROOM)));
    assert!(
        !events.contains(&Event::Risk(risk::CLEARTEXT_MESSAGES)),
        "{events:?}"
    );
}

#[test]
fn web_pages_that_mention_it_are_none() {
    for turns in [
        request("GET /docs/_matrix/client/v3/sync", TOKEN, ""),
        request("GET /_matrixx/client/v3/sync", TOKEN, ""),
        request("GET /_matrix", "", ""),
        request("GET /_matrix/media/v3/download/example.com/abc", "", ""),
        request("GET /_matrix/key/v2/server", "", ""),
        request("GET /.well-known/matrix/client", "", ""),
        request("GET /search?q=/_matrix/client/v3/login", "", ""),
        request("POST /api/v3/login", "", LOGIN),
        answer("400 Bad Request", r#"{"errcode":"E_BAD"}"#),
        answer(
            "200 OK",
            r#"{"user_id":"alice","access_token":"x","device_id":"y"}"#,
        ),
    ] {
        for cut in [1, 4000] {
            assert_eq!(
                sure(&told(std::slice::from_ref(&turns), cut)),
                None,
                "{turns:?}"
            );
        }
    }
}

#[test]
fn long_bodies_are_not_held_on_to() {
    let mut stream = Stream::new(Transport::Tcp, true);
    let mut out = Events::default();
    let context = Context {
        server_port: 8008,
        expected: None,
    };
    let (_, ask) = request("GET /_matrix/client/v3/sync", TOKEN, "");
    stream.feed(ToServer, ask.as_bytes(), context, &mut out);
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n{\"a\":\"";
    stream.feed(ToClient, head.as_bytes(), context, &mut out);
    for _ in 0..100 {
        stream.feed(ToClient, &[b'x'; 9000], context, &mut out);
    }
    assert!(stream.memory() < 40_000, "{}", stream.memory());
}

proptest! {
    /// Any JSON where a timeline should be, and any text that is none: nothing breaks.
    #[test]
    fn any_body_is_survived(
        body in "\\{\"(pdus|rooms|type)\":(\\[\\{\"type\":\"m\\.room\\.message\",\"content\":[ -~]{0,30}|[\\[\\]{}\":,a-z0-9]{0,60})\\}?",
        cut in 1_usize..90,
    ) {
        let talk = [
            request("PUT /_matrix/federation/v1/send/1", "", &body),
            chunked(&body),
            request("GET /_matrix/client/v3/sync", TOKEN, ""),
            chunked(&body),
        ];
        prop_assert_eq!(told(&talk, cut), told(&talk, usize::MAX));
    }
}
