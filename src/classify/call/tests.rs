//! Calls of messengers and of others; STUN that is cut, damaged, or none.
#![allow(clippy::unwrap_used)]

use super::rtp::Watch;
use super::stun::{Beginning, Message, channel};
use crate::classify::carrier::http::Sessions;
use crate::classify::testing::spoken;
use crate::classify::{Dissector, Events};
use crate::model::Direction::{self, ToClient, ToServer};
use crate::model::{Confidence, Event, Transport, feature};
use crate::ruleset::{RuleSet, StunMessage};
use proptest::prelude::*;

fn message(kind: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (kind, value) in attributes {
        body.extend(kind.to_be_bytes());
        body.extend((value.len() as u16).to_be_bytes());
        body.extend(*value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    let mut message = kind.to_be_bytes().to_vec();
    message.extend((body.len() as u16).to_be_bytes());
    message.extend([0x21, 0x12, 0xa4, 0x42]);
    message.extend([7; 12]);
    message.extend(body);
    message
}

fn rtp(number: u16, source: u8) -> Vec<u8> {
    let mut packet = vec![0x90, 0x78];
    packet.extend(number.to_be_bytes());
    packet.extend([0, 0, 1, 0, 9, 9, 9, source]);
    packet.extend([0x55; 40]);
    packet
}

fn in_channel(data: &[u8]) -> Vec<u8> {
    let mut framed = vec![0x40, 0x01];
    framed.extend((data.len() as u16).to_be_bytes());
    framed.extend(data);
    framed.resize(framed.len().next_multiple_of(4), 0);
    framed
}

fn events() -> Events {
    let rules = RuleSet::builtin().unwrap();
    Events::lending(Sessions::new(1 << 20), &rules)
}

fn over(transport: Transport, turns: &[(Direction, Vec<u8>)], cut: usize) -> Vec<Event> {
    spoken((transport, 3478), turns, cut, events())
}

/// As whose call, and how sure.
fn named(events: &[Event]) -> Option<(String, Confidence)> {
    let identified = events.iter().filter_map(|event| match event {
        Event::Identified {
            format, confidence, ..
        } => Some((format.service.as_ref()?.id().to_owned(), *confidence)),
        _ => None,
    });
    identified.max_by_key(|(_, confidence)| *confidence)
}

fn has_voice(events: &[Event]) -> bool {
    events.contains(&Event::Feature(feature::VOICE))
}

fn whatsapp() -> Vec<(Direction, Vec<u8>)> {
    let ask = message(0x0003, &[(0x4000, b"token"), (0x4024, b"x"), (8, &[1; 20])]);
    vec![
        (ToServer, ask),
        (ToServer, message(0x0801, &[])),
        (
            ToClient,
            message(0x0802, &[(0x20, &[0, 1, 2, 3, 4, 5, 6, 7])]),
        ),
    ]
}

#[test]
fn a_call_is_told_by_what_one_messenger_alone_shows() {
    let mut turns = whatsapp();
    assert_eq!(
        named(&over(Transport::Udp, &turns[..1], 0)),
        Some(("whatsapp".to_owned(), Confidence::Probable))
    );
    let told = over(Transport::Udp, &turns, 0);
    assert_eq!(
        named(&told),
        Some(("whatsapp".to_owned(), Confidence::Confirmed))
    );
    assert!(!has_voice(&told), "nobody has said anything yet");
    turns.extend((0..8).map(|number| (ToClient, rtp(65_533_u16.wrapping_add(number), 1))));
    assert!(has_voice(&over(Transport::Udp, &turns, 0)));
}

#[test]
fn a_relay_over_tcp_is_read_however_it_is_cut() {
    let refused = [(9, &b"\0\0\x04\x01no"[..]), (0x14, b"Voip.Signal.org")];
    let mut turns = vec![
        (ToServer, message(0x0003, &[(0x19, &[17, 0, 0, 0])])),
        (ToClient, message(0x0113, &refused)),
    ];
    // Voice of two sizes, one that is padded.
    turns.extend((1..9).map(|number| {
        let mut packet = rtp(number, 2);
        packet.extend(vec![3; usize::from(number) * 37]);
        (ToServer, in_channel(&packet))
    }));
    let whole = over(Transport::Tcp, &turns, 4000);
    assert_eq!(
        named(&whole),
        Some(("signal".to_owned(), Confidence::Probable))
    );
    assert!(has_voice(&whole));
    for cut in [1, 3, 17] {
        assert_eq!(over(Transport::Tcp, &turns, cut), whole, "cut {cut}");
    }
}

#[test]
fn calls_of_others_name_nobody() {
    let check = [
        (6, &b"abcd:efgh"[..]),
        (0xc057, &[0, 1, 0, 50]),
        (0x8029, &[1; 8]),
        (0x24, &[1; 4]),
        (8, &[2; 20]),
        (0x8028, &[3; 4]),
    ];
    let realm = |name: &'static [u8]| message(0x0113, &[(9, b"\0\0\x04\x01"), (0x14, name)]);
    let mut silent = vec![
        message(0x0001, &[]),
        message(0x0001, &check),
        message(
            0x0101,
            &[(0x20, &[0; 8]), (0x8022, b"Coturn-4.6.2 'Gorst'")],
        ),
        message(0x0803, &[]),
        message(0x0001, &[(0x4008, b"near")]),
        message(0x0001, &[(0x3fff, b"near")]),
    ];
    for name in [
        "google.com",
        "meet.example.org",
        "notsignal.org",
        "signal.org.example",
        "org",
    ] {
        silent.push(realm(name.as_bytes()));
    }
    for one in silent {
        let mut turns = vec![(ToServer, one)];
        turns.extend((0..12).map(|number| (ToServer, rtp(number, 3))));
        let told = over(Transport::Udp, &turns, 0);
        assert_eq!(named(&told), None, "{:02x?}", turns[0].1);
        assert!(!has_voice(&told));
    }
}

#[test]
fn what_the_programs_of_one_vendor_share_is_possible_at_most() {
    let attributes = [(0x8008, &[0, 0, 0, 6][..]), (0x8070, &[0, 0, 0, 3])];
    let told = over(
        Transport::Udp,
        &[(ToServer, message(0x0003, &attributes))],
        0,
    );
    assert_eq!(
        named(&told),
        Some(("teams".to_owned(), Confidence::Possible))
    );
}

#[test]
fn what_is_no_message_is_not_read_as_one() {
    let good = message(0x0003, &[(0x4000, b"token")]);
    assert!(Message::datagram(&good).is_some());
    let changed = |at: usize, byte: u8| {
        let mut bad = good.clone();
        bad[at] = byte;
        bad
    };
    for bad in [
        changed(0, 0x40),
        changed(3, 13),
        changed(3, 16),
        changed(23, 200),
        [&good[..], &[0; 4]].concat(),
        good[..19].to_vec(),
        Vec::new(),
    ] {
        assert!(
            Message::datagram(&bad).is_none_or(|message| message.length != bad.len()),
            "{bad:02x?}"
        );
    }
    // Without the cookie: only with attributes, and only the oldest messages.
    assert!(Message::datagram(&changed(4, 0x22)).is_some_and(|it| !it.has_cookie()));
    let mut bare = message(0x0001, &[]);
    bare[4] = 0x22;
    assert!(Message::datagram(&bare).is_none());
}

#[test]
fn voice_is_one_source_that_counts() {
    let heard = |packets: &[Vec<u8>]| {
        let mut watch = Watch::default();
        packets.iter().any(|packet| watch.feed(ToServer, packet))
    };
    let numbers = |numbers: &[u16]| {
        numbers
            .iter()
            .map(|number| rtp(*number, 1))
            .collect::<Vec<_>>()
    };
    assert!(heard(&numbers(&[1, 2, 3, 4, 5])));
    assert!(
        heard(&numbers(&[1, 3, 2, 4, 4, 9, 10])),
        "lost, late, twice"
    );
    assert!(!heard(&numbers(&[1, 2, 3, 4])));
    assert!(!heard(&numbers(&[1, 1, 1, 1, 1, 1, 1])));
    assert!(!heard(&numbers(&[1, 900, 2000, 4000, 9000, 20_000])));
    let sources: Vec<_> = (0..9).map(|n| rtp(u16::from(n), n)).collect();
    assert!(!heard(&sources));
    let control: Vec<_> = (0..9)
        .map(|n| [&[0x80, 200], &rtp(n, 1)[2..]].concat())
        .collect();
    assert!(!heard(&control), "RTCP");
}

#[test]
fn what_never_ends_is_not_held_on_to() {
    let mut relay = super::connection::Turn::default();
    let mut out = events();
    relay.feed(ToServer, &message(1, &[]), &mut out);
    let long = [
        &[0, 1, 0xff, 0xfc, 0x21, 0x12, 0xa4, 0x42][..],
        &vec![0; 70_000],
    ]
    .concat();
    relay.feed(ToServer, &long, &mut out);
    let wide = [&[0x40, 1, 0xff, 0xff][..], &vec![0; 60_000]].concat();
    relay.feed(ToClient, &wide, &mut out);
    assert!(relay.memory() < 4096, "{}", relay.memory());
}

#[test]
fn neither_the_end_of_patience_nor_a_long_message_depends_on_the_cut() {
    let shown = message(0x0801, &[]);
    let begun = message(0x0001, &[]);
    let patient = [begun.clone(), in_channel(&[]).repeat(198), shown.clone()].concat();
    let too_late = [begun.clone(), in_channel(&[]).repeat(199), shown.clone()].concat();
    let too_long = [begun, message(0x0003, &[(0x0013, &[7; 3000])]), shown].concat();
    for (bytes, found) in [(patient, true), (too_late, false), (too_long, false)] {
        let turns = [(ToServer, bytes)];
        let whole = over(Transport::Tcp, &turns, usize::MAX);
        assert_eq!(named(&whole).is_some(), found, "{whole:?}");
        for cut in [1, 7] {
            assert_eq!(over(Transport::Tcp, &turns, cut), whole, "cut {cut}");
        }
    }
}

proptest! {
    /// Any bytes: nothing breaks, and nothing is read from outside the message.
    #[test]
    fn any_bytes_are_read_or_refused(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
        cookie in any::<bool>(),
        kind in any::<u16>(),
    ) {
        if cookie && bytes.len() >= 20 {
            bytes[..2].copy_from_slice(&(kind & 0x3fff).to_be_bytes());
            bytes[4..8].copy_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
            let length = (bytes.len() - 20) as u16;
            bytes[2..4].copy_from_slice(&length.to_be_bytes());
        }
        if let Some(message) = Message::datagram(&bytes) {
            let read: usize = message.attributes().map(|(_, value)| 4 + value.len()).sum();
            prop_assert!(read + 20 <= bytes.len());
        }
        if let Beginning::Message(_, length) = Message::begin(&bytes) {
            prop_assert!(length <= bytes.len());
        }
        if let Some((data, length)) = channel(&bytes) {
            prop_assert!(data.len() <= length && data.len() <= bytes.len());
        }
        let mut watch = Watch::default();
        watch.feed(ToClient, &bytes);
    }

    /// A message over TCP says the same however it is cut.
    #[test]
    fn no_cut_changes_what_is_told(
        values in proptest::collection::vec((any::<u16>(), proptest::collection::vec(any::<u8>(), 0..40)), 0..6),
        cuts in proptest::collection::vec(1_usize..50, 0..12),
    ) {
        let attributes: Vec<_> = values.iter().map(|(kind, value)| (*kind, value.as_slice())).collect();
        let mut bytes = message(0x0003, &attributes);
        bytes.extend(in_channel(&rtp(1, 1)));
        bytes.extend(message(0x0801, &attributes));
        let whole = over(Transport::Tcp, &[(ToServer, bytes.clone())], usize::MAX);
        let mut rest = bytes.as_slice();
        let mut turns = Vec::new();
        for cut in cuts {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            turns.push((ToServer, now.to_vec()));
            rest = later;
        }
        turns.push((ToServer, rest.to_vec()));
        prop_assert_eq!(over(Transport::Tcp, &turns, usize::MAX), whole);
    }
}
