//! IRC as RFC 2812 has it, cut everywhere, from the middle, and text that shares words with it.
#![allow(clippy::unwrap_used)]

use crate::classify::Events;
use crate::classify::stream::{Context, Stream};
use crate::classify::testing::{seen, sure_of};
use crate::model::Direction::{self, ToClient, ToServer};
use crate::model::{Confidence, Event, Target, Transport, feature, risk};

fn told(turns: &[(Direction, &str)], cut: usize, from_start: bool) -> Vec<Event> {
    let to = (Transport::Tcp, 6667);
    seen(to, from_start, turns, cut, Events::default())
}

fn sure(events: &[Event]) -> Option<Confidence> {
    sure_of("irc", events)
}

#[test]
fn a_session_is_read_however_it_is_cut() {
    let talk = [
        (
            ToServer,
            "CAP LS 302\r\nNICK alice\r\nUSER alice 0 * :Alice\r\n",
        ),
        (
            ToClient,
            ":irc.example.net NOTICE * :*** Looking up your hostname...\r\n:irc.example.net 001 alice :Welcome, alice\r\n",
        ),
        (
            ToServer,
            "JOIN #lunch\r\nPRIVMSG #lunch :noon?\r\nPRIVMSG bob :\u{1}DCC SEND \"menu card.txt\" 3221225985 5000 1024\u{1}\r\n",
        ),
        (
            ToClient,
            "@time=2026-01-01T00:00:00Z :bob!b@host.example.org PRIVMSG alice :yes\r\nPING :x\r\n",
        ),
        (ToServer, "PRIVMSG NickServ :IDENTIFY not-a-real-one\r\n"),
    ];
    for cut in [1, 3, 11, 4000] {
        let events = told(&talk, cut, true);
        assert_eq!(sure(&events), Some(Confidence::Confirmed), "cut {cut}");
        for wanted in [
            Event::Account("alice".to_owned()),
            Event::Peer("bob".to_owned()),
            Event::Feature(feature::CHAT_ROOM),
            Event::Feature(feature::FILE_TRANSFER),
            Event::Risk(risk::CLEARTEXT_PASSWORD),
        ] {
            assert!(
                events.contains(&wanted),
                "{wanted:?}, cut {cut}: {events:?}"
            );
        }
        let announced = events.iter().any(|event| {
            matches!(event, Event::Redirect { target: Target::Address(ip, Some(5000)), .. } if ip.to_string() == "192.0.2.1")
        });
        assert!(announced, "{events:?}");
        let text = format!("{events:?}");
        assert!(
            !text.contains("noon") && !text.contains("not-a-real-one"),
            "{text}"
        );
    }
}

#[test]
fn one_side_alone_is_a_signature() {
    for (direction, text) in [
        (ToServer, "NICK alice\r\nUSER alice 0 * :Alice\r\n"),
        (ToServer, "PASS secret\r\nUSER a b c :d\r\nNICK alice\r\n"),
        (ToClient, ":irc.example.net 001 alice :Welcome\r\n"),
    ] {
        for cut in [1, 4000] {
            let events = told(&[(direction, text)], cut, true);
            assert!(sure(&events).is_some(), "{text}: {events:?}");
        }
    }
    let middle = [(
        ToClient,
        ":bob!b@host.example.org PRIVMSG #lunch :noon?\r\n",
    )];
    for cut in [1, 4000] {
        assert_eq!(sure(&told(&middle, cut, false)), Some(Confidence::Probable));
        assert_eq!(sure(&told(&middle, cut, true)), None, "nobody was welcomed");
    }
}

#[test]
fn text_that_shares_words_is_no_irc() {
    for (direction, text) in [
        (ToServer, "USER anonymous\r\nPASS alice@example.com\r\n"),
        (ToServer, "USER alice\r\nPASS not-a-real-one\r\nLIST\r\n"),
        (ToServer, "NICK alice\r\nSTAT\r\n"),
        (ToServer, "NICK of time\r\nUSER friendly\r\n"),
        (ToServer, "PING\r\nPING\r\n"),
        (ToClient, ":1234 001 567\r\n"),
        (ToServer, "PASS a\r\nPASS b\r\n"),
        (ToClient, "220 ready\r\n331 go on\r\n"),
        (
            ToServer,
            "VER 1 MSNP8 CVR0\r\nUSR 2 TWN I alice@example.com\r\n",
        ),
    ] {
        for cut in [1, 4000] {
            for from_start in [true, false] {
                let events = told(&[(direction, text)], cut, from_start);
                assert_eq!(sure(&events), None, "{text}: {events:?}");
            }
        }
    }
}

#[test]
fn a_line_that_never_ends_is_not_held_on_to() {
    let mut stream = Stream::new(Transport::Tcp, true);
    let mut out = Events::default();
    let context = Context {
        server_port: 6667,
        expected: None,
    };
    let hello = "NICK alice\r\nUSER alice 0 * :Alice\r\n";
    stream.feed(
        ToServer,
        format!("{hello}PRIVMSG {}", "x".repeat(1 << 20)).as_bytes(),
        context,
        &mut out,
    );
    assert!(
        stream.is_decided() && stream.memory() < 40_000,
        "{}",
        stream.memory()
    );
    stream.feed(ToServer, b"\r\nPRIVMSG bob :hi\r\n", context, &mut out);
    assert!(
        out.drain()
            .any(|event| event == Event::Peer("bob".to_owned()))
    );
}
