//! MSRP from the examples of its RFCs, and what only looks like it.
#![allow(clippy::unwrap_used)]

use super::chunk::{Look, byte_range, look};
use crate::classify::Events;
use crate::classify::stream::{Context, Stream};
use crate::classify::testing::{spoken, sure_of};
use crate::model::Direction::{self, ToClient, ToServer};
use crate::model::{Confidence, Event, Transport, feature, risk};
use proptest::prelude::*;

const CONTEXT: Context = Context {
    server_port: 2855,
    expected: None,
};

/// A request: fields, and what it carries, if anything.
fn send(id: &str, fields: &str, body: Option<&str>) -> String {
    let body = body.map_or(String::new(), |body| format!("\r\n{body}\r\n"));
    format!(
        "MSRP {id} SEND\r\nTo-Path: msrp://bob.example.com:8888/9di4eae923wzd;tcp\r\n\
         From-Path: msrp://alice.example.com:7777/iau39soe2843z;tcp\r\n{fields}{body}-------{id}$\r\n"
    )
}

fn ok(id: &str) -> String {
    format!(
        "MSRP {id} 200 OK\r\nTo-Path: msrp://alice.example.com:7777/iau39soe2843z;tcp\r\n\
         From-Path: msrp://bob.example.com:8888/9di4eae923wzd;tcp\r\n-------{id}$\r\n"
    )
}

fn wrapped(from: &str, to: &str, kind: &str, text: &str) -> String {
    format!(
        "From: Somebody <sip:{from}>\r\nTo: <sip:{to}>\r\nDateTime: 2006-05-15T15:02:31-03:00\r\n\r\nContent-Type: {kind}\r\n\r\n{text}"
    )
}

fn told(turns: &[(Direction, String)], cut: usize) -> Vec<Event> {
    spoken((Transport::Tcp, 2855), turns, cut, Events::default())
}

fn sure(events: &[Event]) -> Option<Confidence> {
    sure_of("msrp", events)
}

/// What people did, however the bytes are cut.
fn done(turns: &[(Direction, String)], cut: usize) -> Vec<String> {
    let mut stream = Stream::new(Transport::Tcp, true);
    let mut out = Events::default();
    for (direction, text) in turns {
        for piece in text.as_bytes().chunks(cut) {
            stream.feed(*direction, piece, CONTEXT, &mut out);
        }
    }
    let done = out.drain().filter(|event| matches!(event, Event::Done(_)));
    done.map(|event| format!("{event:?}")).collect()
}

#[test]
fn a_conversation_is_told_without_its_texts_whatever_the_cut() {
    let cpim = wrapped(
        "bob@example.com",
        "alice@example.com",
        "text/plain",
        "yes, noon",
    );
    let range = format!("Byte-Range: 1-{0}/{0}\r\n", cpim.len());
    let talk = [
        (
            ToServer,
            send("d93kswow", "Message-ID: 0\r\nByte-Range: 1-0/0\r\n", None),
        ),
        (ToClient, ok("d93kswow")),
        (
            ToServer,
            send(
                "a786hjs2",
                "Message-ID: 87652\r\nByte-Range: 1-25/25\r\nContent-Type: text/plain\r\n",
                Some("Hey Bob, are you there?\r\n"),
            ),
        ),
        (ToClient, ok("a786hjs2")),
        (
            ToClient,
            send(
                "dkei38sd",
                &format!("{range}Content-Type: message/cpim\r\n"),
                Some(&cpim),
            ),
        ),
        (ToServer, ok("dkei38sd")),
        // The second piece of one message is no second message.
        (
            ToServer,
            send(
                "x1y2z3",
                "Byte-Range: 1-*/40\r\nContent-Type: text/plain\r\n",
                Some("first half, "),
            ),
        ),
        (
            ToServer,
            send(
                "x1y2z4",
                "Byte-Range: 13-40/40\r\nContent-Type: text/plain\r\n",
                Some("second half"),
            ),
        ),
    ];
    let whole = told(&talk, 4000);
    assert_eq!(sure(&whole), Some(Confidence::Confirmed));
    for wanted in [
        Event::Account("alice@example.com".to_owned()),
        Event::Peer("bob@example.com".to_owned()),
        Event::Risk(risk::CLEARTEXT_MESSAGES),
        Event::Feature(feature::MESSAGE),
    ] {
        assert!(whole.contains(&wanted), "{wanted:?}: {whole:?}");
    }
    let messages = done(&talk, 4000);
    assert_eq!(messages.len(), 3, "{messages:?}");
    for (message, length) in messages.iter().zip(["25", "9", "40"]) {
        assert!(message.contains(length), "{message}");
    }
    assert!(!format!("{whole:?}").contains("noon"), "{whole:?}");
    for cut in [1, 3, 50] {
        assert_eq!(told(&talk, cut), whole, "cut {cut}");
        assert_eq!(done(&talk, cut), messages, "cut {cut}");
    }
}

#[test]
fn files_and_typing_are_told_as_such() {
    let typing = send(
        "t1t2t3",
        "Content-Type: application/im-iscomposing+xml\r\n",
        Some("<x/>"),
    );
    let file = send(
        "f1f2f3",
        "Byte-Range: 1-2048/4385\r\nContent-Disposition: attachment; filename=\"a.png\"\r\nContent-Type: image/png\r\n",
        Some("PNG"),
    );
    let talk = [(ToServer, typing), (ToServer, file)];
    let events = told(&talk, 4000);
    assert!(done(&talk, 4000)[0].contains("typing"));
    assert!(events.contains(&Event::Feature(feature::FILE_TRANSFER)));
    assert!(!events.contains(&Event::Feature(feature::MESSAGE)));
}

#[test]
fn either_side_alone_and_a_cut_one_are_recognised() {
    for (direction, text) in [(ToServer, send("abcd", "", None)), (ToClient, ok("abcd"))] {
        for cut in [1, 7, 4000] {
            assert_eq!(
                sure(&told(&[(direction, text.clone())], cut)),
                Some(Confidence::Confirmed)
            );
        }
    }
    // Where the rest is missing, the start line tells with the beginning of the path, and not without.
    let cut_off = |text: &[u8]| {
        let mut stream = Stream::new(Transport::Tcp, true);
        let mut out = Events::default();
        stream.feed(ToServer, text, CONTEXT, &mut out);
        stream.gap(ToServer, 300, CONTEXT, &mut out);
        sure(&out.drain().collect::<Vec<_>>())
    };
    let certain = cut_off(b"MSRP a786hjs2 SEND\r\nTo-Path: msrp");
    assert_eq!(certain, Some(Confidence::Confirmed));
    assert_eq!(cut_off(b"MSRP a786hjs2 SEND\r\nTo-Path: msr"), None);
}

#[test]
fn what_only_looks_like_it_is_silent() {
    for text in [
        "MSRP is a protocol for instant messages.\r\n",
        "MSRP abc SEND\r\nTo-Path: msrp://a/b;tcp\r\n",
        "MSRP abcd SENDER\r\nTo-Path: msrp://a/b;tcp\r\n",
        "MSRP abcd SEND now\r\nTo-Path: msrp://a/b;tcp\r\n",
        "MSRP abcd 20 OK\r\nTo-Path: msrp://a/b;tcp\r\n",
        "MSRP abcd SEND\r\nTo: msrp://a/b;tcp\r\n",
        "MSRP abcd SEND\r\nTo-Path: http://a/b;tcp\r\n",
        "MSRPS abcd SEND\r\nTo-Path: msrp://a/b;tcp\r\n",
        "SEND MSRP abcd\r\nTo-Path: msrp://a/b;tcp\r\n",
    ] {
        for cut in [1, 4000] {
            assert_eq!(
                sure(&told(&[(ToServer, text.to_owned())], cut)),
                None,
                "{text}"
            );
        }
    }
    assert_eq!(look(&[b"MSRP ", &[b'a'; 40][..]].concat()), Look::Neither);
    assert_eq!(byte_range("5-9/*"), Some((5, None)));
    assert_eq!(byte_range("-9/10"), None);
}

#[test]
fn an_endless_head_and_an_endless_body_are_not_kept() {
    let mut stream = Stream::new(Transport::Tcp, true);
    let mut out = Events::default();
    let begin = send("abcd", "Content-Type: text/plain\r\n", Some(""));
    let begin = begin.split("\r\n-------").next().unwrap();
    stream.feed(ToServer, begin.as_bytes(), CONTEXT, &mut out);
    for _ in 0..500 {
        stream.feed(ToServer, &[b'-'; 1000], CONTEXT, &mut out);
        assert!(stream.memory() < 16 * 1024, "{}", stream.memory());
    }
    let mut stream = Stream::new(Transport::Tcp, true);
    stream.feed(
        ToServer,
        b"MSRP abcd SEND\r\nTo-Path: msrp://",
        CONTEXT,
        &mut out,
    );
    for _ in 0..500 {
        stream.feed(ToServer, &[b'x'; 1000], CONTEXT, &mut out);
        assert!(stream.memory() < 16 * 1024, "{}", stream.memory());
    }
}

proptest! {
    /// A beginning stays one, or becomes something else for good.
    #[test]
    fn more_bytes_never_turn_no_into_yes(rest in "[ -~\r\n]{0,60}", tail in any::<Vec<u8>>()) {
        let bytes = [b"MSRP ", rest.as_bytes(), &tail].concat();
        let mut no = false;
        for cut in 0..=bytes.len() {
            match look(&bytes[..cut]) {
                Look::Neither => no = true,
                Look::Msrp(line) => {
                    prop_assert!(!no);
                    prop_assert!(line.length <= cut);
                }
                Look::Unclear => prop_assert!(!no),
            }
        }
    }
}
