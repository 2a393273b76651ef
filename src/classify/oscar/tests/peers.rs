//! What is told about connections between two users.

use super::streams::*;
use super::{DOWN, UP, follow};
use crate::classify::oscar::odc::OdcDissector;
use crate::classify::oscar::oft::OftDissector;
use crate::classify::{Dissector, Events, Start};
use crate::model::{Event, feature, risk};

/// File bytes that look like headers, of which none may be believed.
fn file(len: usize) -> Vec<u8> {
    [
        oft(0x1209, 77, 0),
        b"*\x02\0\0ODC2\0\x4C".repeat(60),
        oft(0x0101, u32::MAX, 0),
    ]
    .concat()
    .into_iter()
    .cycle()
    .take(len)
    .collect()
}

#[test]
fn a_file_goes_through_unread() {
    let talk = vec![
        (DOWN, oft(0x0101, 5000, 0)),
        (UP, oft(0x0202, 5000, 0)),
        (DOWN, file(5000)),
        (UP, oft(0x0204, 5000, 0)),
        (DOWN, oft(0x0101, 10, 0)),
        (UP, oft(0x0202, 10, 0)),
        (DOWN, b"0123456789".to_vec()),
        (UP, oft(0x0204, 10, 0)),
    ];
    let events = follow(&talk, Start::Beginning);
    assert_eq!(
        events,
        [
            Event::Feature(feature::FILE_TRANSFER),
            Event::Risk(risk::FILE_TRANSFER)
        ]
    );
}

#[test]
fn a_resumed_file_is_shorter() {
    let talk = vec![
        (DOWN, oft(0x0101, 5000, 0)),
        (UP, oft(0x0205, 5000, 4000)),
        (DOWN, oft(0x0106, 5000, 4000)),
        (UP, oft(0x0207, 5000, 4000)),
        (DOWN, file(1000)),
        (DOWN, oft(0x1209, 0, 0)),
    ];
    assert!(follow(&talk, Start::Beginning).contains(&Event::Feature(feature::FILE_SHARE)));
}

#[test]
fn a_file_is_told_from_a_header_even_if_the_answer_was_not_captured() {
    let mut dissector = OftDissector::default();
    let mut out = Events::default();
    dissector.feed(
        DOWN,
        &[oft(0x0101, 400, 0), vec![b'x'; 400], oft(0x1209, 0, 0)].concat(),
        &mut out,
    );
    assert!(out.as_ref().contains(&Event::Feature(feature::FILE_SHARE)));
}

#[test]
fn a_gap_in_a_file_is_counted() {
    let mut dissector = OftDissector::default();
    let mut out = Events::default();
    dissector.feed(DOWN, &oft(0x0101, 4000, 0), &mut out);
    dissector.feed(UP, &oft(0x0202, 4000, 0), &mut out);
    dissector.gap(DOWN, 3000, &mut out);
    dissector.feed(DOWN, &[file(1000), oft(0x1209, 0, 0)].concat(), &mut out);
    assert!(
        out.as_ref().contains(&Event::Feature(feature::FILE_SHARE)),
        "the header right behind the file"
    );
}

#[test]
fn direct_im_names_both_users() {
    let talk = vec![
        (UP, odc("Alice One", b"")),
        (DOWN, odc("bob", b"")),
        (DOWN, odc("bob", b"<HTML>ODC2 meet at noon</HTML>")),
        (
            UP,
            odc(
                "Alice One",
                b"<HTML><IMG ID=\"1\"></HTML><<BINARY><DATA ID=\"1\">ODC2\0\x4C\0\x01\0\x06\0\0",
            ),
        ),
        (UP, odc("Alice One", b"")),
    ];
    let events = follow(&talk, Start::Beginning);
    for wanted in [
        Event::Account("aliceone".to_owned()),
        Event::Peer("bob".to_owned()),
        Event::Feature(feature::DIRECT_CONNECTION),
        Event::Feature(feature::MESSAGE),
        Event::Feature(feature::IMAGES),
        Event::Risk(risk::CLEARTEXT_MESSAGES),
    ] {
        assert_eq!(
            events.iter().filter(|event| **event == wanted).count(),
            1,
            "{wanted:?}"
        );
    }
    assert!(!format!("{events:?}").contains("noon"));
}

#[test]
fn typing_is_no_message() {
    let events = follow(&[(UP, odc("alice", b""))], Start::Beginning);
    assert!(!events.contains(&Event::Feature(feature::MESSAGE)));
    assert!(!events.contains(&Event::Risk(risk::CLEARTEXT_MESSAGES)));
}

#[test]
fn direct_im_survives_gaps() {
    let mut dissector = OdcDissector::default();
    let mut out = Events::default();
    dissector.feed(UP, &odc("alice", &[b'x'; 500])[..200], &mut out);
    dissector.gap(UP, 300, &mut out);
    dissector.feed(UP, &[vec![b'x'; 76], odc("alice2", b"")].concat(), &mut out);
    dissector.gap(UP, 10, &mut out);
    dissector.feed(
        UP,
        &[b"OOD tail".to_vec(), odc("alice3", b"")].concat(),
        &mut out,
    );
    for name in ["alice", "alice2", "alice3"] {
        assert!(
            out.as_ref().contains(&Event::Account(name.to_owned())),
            "{name}"
        );
    }
}

#[test]
fn the_proxy_is_followed_into_what_it_carries() {
    let talk = vec![
        (UP, ars_create()),
        (DOWN, ars_created()),
        (DOWN, ars_ready()),
        (UP, odc("tester", b"")),
        (DOWN, odc("bob", b"<HTML>hi</HTML>")),
    ];
    let events = follow(&talk, Start::Beginning);
    for wanted in [
        Event::ClientIs(UP),
        Event::Account("tester".to_owned()),
        Event::Feature(feature::FILE_TRANSFER),
        Event::Peer("bob".to_owned()),
        Event::Feature(feature::DIRECT_CONNECTION),
    ] {
        assert!(events.contains(&wanted), "{wanted:?}");
    }
    let file_talk = vec![
        (UP, ars_create()),
        (DOWN, [ars_created(), ars_ready()].concat()),
        (UP, oft(0x0101, 100, 0)),
        (DOWN, oft(0x0202, 100, 0)),
        (UP, file(100)),
        (DOWN, oft(0x0204, 100, 0)),
    ];
    let events = follow(&file_talk, Start::Beginning);
    assert!(
        !events.contains(&Event::Feature(feature::DIRECT_CONNECTION)),
        "what is in the file does not count"
    );
}
