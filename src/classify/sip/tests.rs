//! SIP from the examples of its RFCs: a telephone is no messenger, people who write to each other are.
#![allow(clippy::unwrap_used)]

use super::message::{Look, Message, look};
use crate::classify::Events;
use crate::classify::stream::{Context, Stream};
use crate::classify::testing::{spoken, sure_of};
use crate::model::Direction::{self, ToClient, ToServer};
use crate::model::{Confidence, Event, Transport, feature, risk};
use proptest::prelude::*;

/// A request with a body.
fn request(method: &str, fields: &str, body: &str) -> String {
    format!(
        "{method} sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.7;branch=z9hG4bK776\r\n\
         From: \"Alice\" <sip:alice@Example.com:5060;transport=tcp>;tag=49583\r\nTo: <sip:bob@example.com>\r\n\
         Call-ID: {method}-1@192.0.2.7\r\nCSeq: 1 {method}\r\n{fields}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn register() -> String {
    "REGISTER sip:example.com SIP/2.0\r\nf: <sip:alice@example.com>;tag=1\r\nt: sip:alice@example.com\r\ni: r1\r\n\
     CSeq: 2 REGISTER\r\nUser-Agent: Example Phone 1.0\r\nAuthorization: Digest username=\"alice\",\r\n realm=\"example.com\", \
     response=\"0123456789abcdef0123456789abcdef\"\r\nl: 0\r\n\r\n"
        .to_owned()
}

fn told(transport: Transport, turns: &[(Direction, String)], cut: usize) -> Vec<Event> {
    spoken((transport, 5060), turns, cut, Events::default())
}

fn sure(events: &[Event]) -> Option<Confidence> {
    sure_of("sip", events)
}

fn ok() -> String {
    "SIP/2.0 200 OK\r\nCSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n".to_owned()
}

#[test]
fn who_writes_is_told_with_what_came_before() {
    let talk = [
        (ToServer, register()),
        (ToClient, ok()),
        (
            ToServer,
            request(
                "MESSAGE",
                "Content-Type: text/plain\r\n",
                "Watson, come here.",
            ),
        ),
        (ToServer, "\r\n\r\n".to_owned()),
        (ToClient, ok()),
        (
            ToClient,
            request(
                "NOTIFY",
                "Event: presence\r\nContent-Type: application/pidf+xml\r\n",
                "<presence/>",
            ),
        ),
    ];
    let whole = told(Transport::Udp, &talk, 0);
    assert_eq!(sure(&whole), Some(Confidence::Confirmed));
    for wanted in [
        Event::Account("alice@example.com".to_owned()),
        Event::Peer("bob@example.com".to_owned()),
        Event::Client("Example Phone 1.0".to_owned()),
        Event::SignOn("digest"),
        Event::Risk(risk::WEAK_SIGN_ON),
        Event::Risk(risk::CLEARTEXT_MESSAGES),
        Event::Feature(feature::MESSAGE),
        Event::Feature(feature::PRESENCE),
    ] {
        assert!(whole.contains(&wanted), "{wanted:?}: {whole:?}");
    }
    assert!(!format!("{whole:?}").contains("Watson"), "{whole:?}");
    for cut in [1, 3, 50, 4000] {
        assert_eq!(told(Transport::Tcp, &talk, cut), whole, "cut {cut}");
    }
}

#[test]
fn a_telephone_a_camera_and_an_exchange_are_no_messenger() {
    let sdp = "v=0\r\no=alice 1 1 IN IP4 192.0.2.7\r\ns=call\r\nm=audio 49170 RTP/AVP 0\r\n";
    let quiet = [
        register(),
        request("INVITE", "Content-Type: application/sdp\r\n", sdp),
        request(
            "OPTIONS",
            "Accept: application/sdp, application/pidf+xml\r\n",
            "",
        ),
        // GB/T 28181: cameras tell of themselves, and say "presence" for their place.
        request(
            "MESSAGE",
            "Content-Type: Application/MANSCDP+xml\r\n",
            "<Notify><CmdType>Keepalive</CmdType></Notify>",
        ),
        request(
            "SUBSCRIBE",
            "Event: presence\r\nContent-Type: Application/MANSCDP+xml\r\n",
            "<Query/>",
        ),
        request(
            "MESSAGE",
            "Content-Type: application/vnd.3gpp.sms\r\n",
            "0123",
        ),
        request("MESSAGE", "", ""),
        request(
            "SUBSCRIBE",
            "Event: message-summary\r\nAccept: application/simple-message-summary\r\n",
            "",
        ),
        request(
            "SUBSCRIBE",
            "Event: dialog\r\nAccept: application/dialog-info+xml\r\n",
            "",
        ),
        request(
            "NOTIFY",
            "Event: dialog\r\nContent-Type: application/dialog-info+xml\r\n",
            "<dialog-info/>",
        ),
    ];
    for text in quiet {
        for transport in [Transport::Udp, Transport::Tcp] {
            let events = told(
                transport,
                &[(ToServer, text.clone()), (ToClient, ok())],
                4000,
            );
            assert_eq!(sure(&events), None, "{text}");
            // It is known for what it is, and nothing is told of its users.
            assert_eq!(events.len(), 1, "{events:?}");
        }
    }
}

#[test]
fn sessions_of_messages_and_what_is_wrapped_are_people_too() {
    let sdp = "v=0\r\nm=message 2855 TCP/MSRP *\r\na=accept-types:text/plain\r\n";
    let wrapped = "From: <im:alice@example.com>\r\nTo: <im:bob@example.com>\r\n\r\nContent-Type: text/plain\r\n\r\nlunch?";
    for (text, feature) in [
        (
            request("INVITE", "c: application/sdp\r\n", sdp),
            feature::MESSAGE,
        ),
        (
            request("MESSAGE", "Content-Type: message/cpim\r\n", wrapped),
            feature::MESSAGE,
        ),
        (
            request(
                "SUBSCRIBE",
                "o: presence\r\nAccept: application/pidf+xml\r\n",
                "",
            ),
            feature::PRESENCE,
        ),
        (
            request(
                "PUBLISH",
                "Event: presence\r\nContent-Type: application/pidf+xml\r\n",
                "<presence/>",
            ),
            feature::PRESENCE,
        ),
    ] {
        let events = told(Transport::Udp, &[(ToServer, text)], 0);
        assert_eq!(sure(&events), Some(Confidence::Confirmed));
        assert!(events.contains(&Event::Feature(feature)), "{events:?}");
    }
}

#[test]
fn a_start_line_is_told_from_other_text() {
    for (text, expected) in [
        ("MESSAGE sip:bob@example.com SIP/2.0\r\n", Look::Sip),
        ("SUBSCRIBE sips:b@example.com SIP/2.0\r\n", Look::Sip),
        ("SIP/2.0 200 OK", Look::Sip),
        ("", Look::Unclear),
        ("SIP/2.0 20", Look::Unclear),
        ("MESS", Look::Unclear),
        ("OPTIONS si", Look::Unclear),
        ("OPTIONS * HTTP/1.1\r\n", Look::Neither),
        ("MESSAGE to you\r\n", Look::Neither),
        ("MESSAGES sip:x SIP/2.0\r\n", Look::Neither),
        (
            "INVITE MSNMSGR:bob@example.com MSNSLP/1.0\r\n",
            Look::Neither,
        ),
        ("INVITE sip:bob@example.com HTTP/1.1\r\n", Look::Neither),
        ("NOTIFY * HTTP/1.1\r\n", Look::Neither),
        ("SUBSCRIBE /upnp HTTP/1.1\r\n", Look::Neither),
        ("SIP/2.0 2x0", Look::Neither),
        ("SIP/3.0 200", Look::Neither),
    ] {
        assert_eq!(look(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn addresses_are_read_as_people_write_them() {
    for (value, expected) in [
        (
            "Alice <sip:alice@example.com>;tag=1",
            Some("alice@example.com"),
        ),
        (
            "\"A, B\" <sips:Alice:secret@Example.com:5061;x=y?z=1>",
            Some("alice@example.com"),
        ),
        ("sip:bob@[2001:db8::1]:5060;tag=2", Some("bob@2001:db8::1")),
        ("<sip:anonymous@anonymous.invalid>", None),
        ("<tel:+15550100>", None),
        ("<sip:example.com>", None),
        ("<sip:a b@example.com>", None),
        ("<sip:@example.com>", None),
    ] {
        let text = format!("ACK sip:x@y SIP/2.0\r\nFrom: {value}\r\n\r\n");
        let message = Message::parse(text.as_bytes()).unwrap();
        assert_eq!(message.user("from").as_deref(), expected, "{value}");
    }
}

#[test]
fn what_never_ends_is_not_held_on_to() {
    let head = request("MESSAGE", "Content-Type: text/plain\r\n", "");
    let long = head.replace("Content-Length: 0", "Content-Length: 900000");
    let mut stream = Stream::new(Transport::Tcp, true);
    let mut out = Events::default();
    let context = Context {
        server_port: 5060,
        expected: None,
    };
    stream.feed(ToServer, long.as_bytes(), context, &mut out);
    stream.feed(ToServer, &vec![b'x'; 200_000], context, &mut out);
    let endless = format!("SIP/2.0 200 OK\r\nX: {}", "y".repeat(100_000));
    stream.feed(ToClient, endless.as_bytes(), context, &mut out);
    assert!(
        stream.is_decided() && stream.memory() < 40_000,
        "{}",
        stream.memory()
    );
}

proptest! {
    /// Any text behind a start line: nothing breaks, whatever the cut.
    #[test]
    fn any_text_is_survived(
        text in "(MESSAGE|NOTIFY|INVITE) sip:b@c.example SIP/2.0\r\n([A-Za-z-]{1,14}: ?[ -~]{0,40}\r\n){0,6}\r\n",
        tail in proptest::collection::vec(any::<u8>(), 0..200),
        cut in 1_usize..80,
    ) {
        let mut stream = Stream::new(Transport::Tcp, true);
        let mut out = Events::default();
        let context = Context { server_port: 5060, expected: None };
        let bytes = [text.as_bytes(), &tail].concat();
        for piece in bytes.chunks(cut) {
            stream.feed(ToServer, piece, context, &mut out);
        }
        stream.end(&mut out);
        prop_assert!(out.as_ref().len() < 40);
        if let Some(message) = Message::parse(&bytes) {
            prop_assert!(message.head + message.body.len() == bytes.len());
        }
    }
}
