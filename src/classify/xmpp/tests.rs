//! XMPP from published examples (RFC 6120, 9.1), cut everywhere, and what only looks like it.
#![allow(clippy::unwrap_used)]

use crate::classify::Events;
use crate::classify::stream::{Context, Stream};
use crate::classify::testing::{spoken, sure_of};
use crate::model::Direction::{self, ToClient, ToServer};
use crate::model::{Confidence, Event, Transport, feature, risk};

const OPEN: &str = "<?xml version='1.0'?><stream:stream from='juliet@im.example.com' to='im.example.com' version='1.0' \
    xml:lang='en' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";
const OPENED: &str = "<?xml version='1.0'?><stream:stream from='im.example.com' id='t7AMCin9zjMNwQKDnplntZPIDEI=' \
    version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";
/// `\0alice\0not-a-real-one`
const PLAIN: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGFsaWNlAG5vdC1hLXJlYWwtb25l</auth>";

fn told(turns: &[(Direction, &str)], cut: usize) -> Vec<Event> {
    spoken((Transport::Tcp, 5222), turns, cut, Events::default())
}

fn sure(events: &[Event]) -> Option<Confidence> {
    sure_of("xmpp", events)
}

#[test]
fn a_session_in_clear_text_is_read_however_it_is_cut() {
    let talk = [
        (ToServer, OPEN),
        (ToClient, OPENED),
        (
            ToClient,
            "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></stream:features>",
        ),
        (ToServer, PLAIN),
        (
            ToClient,
            "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
        ),
        (
            ToClient,
            "<iq id='b' type='result'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>alice@im.example.com/desk</jid></bind></iq>",
        ),
        (
            ToServer,
            "<message to='bob@example.org/phone' type='chat'><body>lunch &gt; noon?</body></message>",
        ),
        (
            ToClient,
            "<message from='room@chat.example.com/carol' type=\"groupchat\"><body>hi</body></message>",
        ),
    ];
    for cut in [1, 3, 7, 4000] {
        let events = told(&talk, cut);
        assert_eq!(sure(&events), Some(Confidence::Confirmed), "cut {cut}");
        for wanted in [
            Event::SignOn("plain"),
            Event::Account("alice@im.example.com".to_owned()),
            Event::Peer("bob@example.org".to_owned()),
            Event::Risk(risk::CLEARTEXT_PASSWORD),
            Event::Risk(risk::CLEARTEXT_MESSAGES),
            Event::Feature(feature::CHAT_ROOM),
        ] {
            assert!(
                events.contains(&wanted),
                "{wanted:?}, cut {cut}: {events:?}"
            );
        }
        let text = format!("{events:?}");
        assert!(
            !text.contains("lunch") && !text.contains("not-a-real-one"),
            "{text}"
        );
    }
}

#[test]
fn behind_starttls_nothing_is_read() {
    let talk = [
        (ToServer, OPEN),
        (ToClient, OPENED),
        (
            ToServer,
            "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
        ),
        (
            ToClient,
            "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
        ),
        (
            ToServer,
            "<message to='bob@example.org'><body>noise</body></message>",
        ),
    ];
    let events = told(&talk, 5);
    assert_eq!(sure(&events), Some(Confidence::Confirmed));
    assert!(
        !events.iter().any(|event| matches!(event, Event::Peer(_))),
        "{events:?}"
    );
}

#[test]
fn one_side_alone_is_a_signature() {
    for (direction, text) in [(ToServer, OPEN), (ToClient, OPENED)] {
        for cut in [1, 4000] {
            assert_eq!(
                sure(&told(&[(direction, text)], cut)),
                Some(Confidence::Probable)
            );
        }
    }
}

#[test]
fn other_xml_is_no_stream() {
    for text in [
        "<?xml version='1.0'?><rss version='2.0'><channel/></rss>",
        "<?xml version='1.0'?><stream:stream to='example.com' xmlns='urn:example:video'>",
        "<?xml-stylesheet href='a.xsl'?><stream:stream xmlns='jabber:client'>",
        "<stream:streams xmlns='jabber:client'>",
        "<stream xmlns='jabber:client'>",
        "<html>jabber:client</html>",
    ] {
        for cut in [1, 4000] {
            assert_eq!(sure(&told(&[(ToServer, text)], cut)), None, "{text}");
        }
    }
}

#[test]
fn what_never_ends_is_not_held_on_to() {
    let endless = format!("{OPEN}<message to='{}", "x".repeat(100_000));
    let mut stream = Stream::new(Transport::Tcp, true);
    let mut out = Events::default();
    let context = Context {
        server_port: 5222,
        expected: None,
    };
    stream.feed(ToServer, endless.as_bytes(), context, &mut out);
    assert!(stream.memory() < 20_000, "{}", stream.memory());
    let never = format!("<?xml {}", " ".repeat(100_000));
    let mut stream = Stream::new(Transport::Tcp, true);
    stream.feed(ToServer, never.as_bytes(), context, &mut out);
    assert!(!stream.is_decided() && stream.memory() < 20_000);
}
