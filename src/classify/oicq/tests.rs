//! OICQ as its sources have it: both ages, datagrams and TCP, one side alone, cut, and what only resembles it.
#![allow(clippy::unwrap_used)]

use crate::classify::Events;
use crate::classify::stream::{Context, Stream};
use crate::classify::testing::{facts, seen, spoken, sure_of};
use crate::model::Direction::{self, ToClient, ToServer};
use crate::model::{Confidence, Event, Transport, feature, risk};
use proptest::prelude::*;

const ALICE: u32 = 1_000_001;
type Turn = (Direction, Vec<u8>);

/// Something encrypted, of so many blocks.
fn text(blocks: usize) -> Vec<u8> {
    (0..blocks * 8)
        .map(|at| (at * 37 % 251) as u8 | 0x40)
        .collect()
}

fn packet(version: u16, command: u16, sequence: u16, rest: &[&[u8]]) -> Vec<u8> {
    let numbers = [version, command, sequence].map(u16::to_be_bytes).concat();
    [&[2], &numbers[..], &rest.concat(), &[3]].concat()
}

/// A client's packet of before 2009.
fn asks(version: u16, command: u16, sequence: u16, number: u32) -> Turn {
    let number = number.to_be_bytes();
    let rest = [&number[..], &text(3)];
    (ToServer, packet(version, command, sequence, &rest))
}

fn answers(version: u16, command: u16, sequence: u16) -> Turn {
    (ToClient, packet(version, command, sequence, &[&text(4)]))
}

/// A client's packet since 2009, QQ's or TIM's.
fn late(kind: u8, program: u8, command: u16, sequence: u16, number: u32) -> Turn {
    let says = [kind, 0, 0, 0, 1, program, 1, 0, 0, 0x67, 0x0a];
    let zeros = vec![0; usize::from(kind - 2) * 4];
    let number = number.to_be_bytes();
    let rest = [&number[..], &says, &zeros, &text(2)];
    (ToServer, packet(0x352f, command, sequence, &rest))
}

fn late_answer(command: u16, sequence: u16, number: u32) -> Turn {
    let number = number.to_be_bytes();
    let rest = [&number[..], &[0; 3], &text(5)];
    (ToClient, packet(0x352f, command, sequence, &rest))
}

fn framed(turns: &[Turn]) -> Vec<Turn> {
    let turns = turns.iter().map(|(direction, bytes)| {
        let length = (bytes.len() as u16 + 2).to_be_bytes();
        (*direction, [&length[..], bytes].concat())
    });
    turns.collect()
}

fn datagrams(turns: &[Turn]) -> Vec<Event> {
    spoken((Transport::Udp, 8000), turns, 0, Events::default())
}

fn stream(turns: &[Turn], cut: usize) -> Vec<Event> {
    spoken((Transport::Tcp, 8080), turns, cut, Events::default())
}

fn sure(events: &[Event]) -> Option<Confidence> {
    sure_of("oicq", events)
}

/// The same over UDP and TCP, whatever the cut.
fn told(turns: &[Turn]) -> Vec<Event> {
    let events = datagrams(turns);
    let framed = framed(turns);
    for cut in [1, 7, 4000] {
        assert_eq!(stream(&framed, cut), events, "cut {cut}");
    }
    events
}

fn account() -> Event {
    Event::Account("1000001".to_owned())
}

#[test]
fn a_session_of_2005_says_who_signs_on_and_that_people_write() {
    let ask = packet(0x0d55, 0x0062, 7, &[&ALICE.to_be_bytes(), &[0]]);
    let token = packet(0x0d55, 0x0062, 7, &[&[0, 24], &text(3)]);
    let talk = [
        (ToServer, ask),
        (ToClient, token),
        asks(0x0d55, 0x0022, 8, ALICE),
        answers(0x0d55, 0x0022, 8),
        asks(0x0d55, 0x000d, 9, ALICE),
        asks(0x0d55, 0x0026, 10, ALICE),
        asks(0x0d55, 0x0016, 11, ALICE),
        answers(0x0100, 0x0017, 900),
    ];
    let events = told(&talk);
    assert_eq!(sure(&events), Some(Confidence::Confirmed));
    for wanted in [
        account(),
        Event::Client("QQ 2005 (0x0d55)".to_owned()),
        Event::SignOn("md5"),
        Event::Risk(risk::WEAK_SIGN_ON),
        Event::Feature(feature::SIGN_ON),
        Event::Feature(feature::PRESENCE),
        Event::Feature(feature::CONTACT_LIST),
        Event::Feature(feature::MESSAGE),
    ] {
        assert!(events.contains(&wanted), "{wanted:?}: {events:?}");
    }
}

#[test]
fn later_passwords_are_not_called_weak() {
    let talk = [asks(0x115b, 0x0022, 8, ALICE), answers(0x115b, 0x0022, 8)];
    let events = told(&talk);
    assert_eq!(sure(&events), Some(Confidence::Confirmed));
    assert!(events.contains(&Event::Feature(feature::SIGN_ON)));
    assert!(!events.iter().any(|it| matches!(it, Event::Risk(_))));
}

#[test]
fn clients_since_2009_say_what_they_are() {
    for (program, client) in [(1, "QQ (0x352f)"), (0x2e, "TIM (0x352f)")] {
        for kind in 2..=4 {
            let alone = [late(kind, program, 0x0058, 7, ALICE)];
            let events = told(&alone);
            assert_eq!(sure(&events), Some(Confidence::Probable));
            assert!(events.contains(&account()), "{events:?}");
            assert!(events.contains(&Event::Client(client.to_owned())));
        }
    }
    let talk = [
        late(3, 1, 0x0825, 1, 0),
        late_answer(0x0825, 1, 0),
        late(3, 1, 0x0836, 2, ALICE),
        late_answer(0x0836, 2, ALICE),
        late(2, 1, 0x00ec, 3, ALICE),
        late(2, 1, 0x00cd, 4, ALICE),
        late_answer(0x00ce, 900, ALICE),
    ];
    let events = told(&talk);
    assert_eq!(sure(&events), Some(Confidence::Confirmed));
    for wanted in [
        account(),
        Event::Feature(feature::SIGN_ON),
        Event::Feature(feature::PRESENCE),
        Event::Feature(feature::MESSAGE),
    ] {
        assert!(events.contains(&wanted), "{wanted:?}: {events:?}");
    }
    // The same, and nobody knows who opened it; the answer comes first.
    let mut turned = talk.clone();
    turned.swap(2, 3);
    turned.swap(5, 6);
    let mut all = datagrams(&turned);
    all.sort_by_key(|it| format!("{it:?}"));
    let mut plain = events;
    plain.sort_by_key(|it| format!("{it:?}"));
    assert_eq!(all, plain);
}

#[test]
fn before_an_account_is_known_none_is_told() {
    let events = told(&[late(3, 1, 0x0825, 1, 0), late_answer(0x0825, 1, 0)]);
    assert_eq!(sure(&events), Some(Confidence::Confirmed));
    assert!(!events.iter().any(|it| matches!(it, Event::Account(_))));
}

#[test]
fn one_packet_of_before_2009_names_nobody_and_two_of_a_kind_do() {
    let first = asks(0x0f5f, 0x0002, 7, ALICE);
    for (behind, expected) in [
        (None, None),
        // Sent again; asked again; the answer to something else; of somebody else; an unknown command; another version.
        (Some(first.clone()), None),
        (Some(asks(0x0f5f, 0x0002, 8, ALICE)), None),
        (Some(answers(0x0f5f, 0x0002, 8)), None),
        (Some(answers(0x0f5f, 0x0005, 7)), None),
        (Some(asks(0x0f5f, 0x0005, 8, ALICE + 1)), None),
        (Some(asks(0x0f5f, 0x0555, 8, ALICE)), None),
        (Some(asks(0x0f4b, 0x0005, 8, ALICE)), None),
        // Each says the same and goes the other way.
        (Some((ToClient, first.1.clone())), None),
        (
            Some(asks(0x0f5f, 0x0005, 8, ALICE)),
            Some(Confidence::Probable),
        ),
        (
            Some(answers(0x0f5f, 0x0002, 7)),
            Some(Confidence::Confirmed),
        ),
        (
            Some(answers(0x0100, 0x0002, 7)),
            Some(Confidence::Confirmed),
        ),
    ] {
        let talk: Vec<Turn> = std::iter::once(first.clone()).chain(behind).collect();
        let events = told(&talk);
        assert_eq!(sure(&events), expected, "{talk:02x?}");
        // Nothing at all is said of what is not sure.
        assert_eq!(events.is_empty(), expected.is_none(), "{events:?}");
    }
}

#[test]
fn servers_alone() {
    // Of before 2009 nothing tells them; later ones repeat the account.
    let early = [answers(0x0d55, 0x0022, 8), answers(0x0d55, 0x0026, 9)];
    assert_eq!(sure(&told(&early)), None);
    let one = [late_answer(0x00ce, 8, ALICE)];
    assert_eq!(sure(&told(&one)), None);
    let two = [late_answer(0x00ce, 8, ALICE), late_answer(0x0017, 9, ALICE)];
    let events = told(&two);
    assert_eq!(sure(&events), Some(Confidence::Probable));
    assert!(events.contains(&account()) && events.contains(&Event::ClientIs(ToServer)));
    let others = [
        late_answer(0x00ce, 8, ALICE),
        late_answer(0x0017, 9, ALICE + 1),
    ];
    assert_eq!(sure(&told(&others)), None);
}

#[test]
fn who_is_the_client_is_what_the_packets_say() {
    let turned: Vec<Turn> = [answers(0x0d55, 0x0017, 8), asks(0x0d55, 0x0017, 8, ALICE)]
        .into_iter()
        .map(|(direction, bytes)| (direction.reverse(), bytes))
        .collect();
    let events = told(&turned);
    assert_eq!(sure(&events), Some(Confidence::Confirmed));
    assert!(events.contains(&Event::ClientIs(ToClient)), "{events:?}");
    assert!(events.contains(&Event::Feature(feature::MESSAGE)));
}

/// As much of datagrams as a capture keeps.
fn kept(turns: &[Turn], most: usize) -> Vec<Event> {
    let mut stream = Stream::new(Transport::Udp, true);
    let context = Context {
        server_port: 8000,
        expected: None,
    };
    let mut out = Events::default();
    for (direction, bytes) in turns {
        let there = &bytes[..bytes.len().min(most)];
        stream.datagram(*direction, there, bytes.len(), context, &mut out);
    }
    stream.end(&mut out);
    let told: Vec<_> = out.drain().collect();
    facts(told)
}

#[test]
fn cut_datagrams_are_told_by_what_is_there() {
    let long = |mut turn: Turn| {
        let end = turn.1.len() - 1;
        turn.1.splice(end..end, text(20));
        turn
    };
    // Early ones show neither length nor end.
    let early = [
        long(asks(0x0d55, 0x0022, 8, ALICE)),
        long(answers(0x0d55, 0x0022, 8)),
        long(asks(0x0d55, 0x0026, 9, ALICE)),
    ];
    assert_eq!(sure(&kept(&early, 4000)), Some(Confidence::Confirmed));
    assert_eq!(sure(&kept(&early, 54)), None);
    // What is short is whole.
    let keep = [asks(0x0d55, 0x0002, 9, ALICE), answers(0x0d55, 0x0002, 9)];
    let mixed = [&early[..], &keep].concat();
    assert_eq!(sure(&kept(&mixed, 54)), Some(Confidence::Confirmed));
    let late = [
        long(late(2, 1, 0x00cd, 8, ALICE)),
        long(late_answer(0x00cd, 8, ALICE)),
    ];
    assert_eq!(sure(&kept(&late, 54)), Some(Confidence::Confirmed));
    assert_eq!(sure(&kept(&late[..1], 54)), Some(Confidence::Probable));
    assert_eq!(sure(&kept(&late[1..], 54)), None);
    let foreign = [late[0].clone(), long(late_answer(0x00cd, 8, ALICE + 1))];
    assert_eq!(sure(&kept(&foreign, 54)), Some(Confidence::Probable));
}

/// Each single byte of what is fixed counts.
#[test]
fn what_is_not_quite_it_is_nobodys() {
    let right = late(2, 1, 0x0058, 7, ALICE).1;
    assert!(sure(&datagrams(&[(ToServer, right.clone())])).is_some());
    for (at, value) in [
        (0, 3),
        (1, 0x52),
        (3, 0x10),
        (11, 1),
        (11, 5),
        (12, 1),
        (13, 1),
        (14, 1),
        (15, 0),
        (16, 2),
        (17, 0),
        (18, 1),
        (19, 1),
        (20, 0x50),
        (right.len() - 1, 4),
    ] {
        let mut wrong = right.clone();
        wrong[at] = value;
        let turns = [(ToServer, wrong)];
        assert_eq!(sure(&datagrams(&turns)), None, "byte {at} is {value}");
    }
    let mut small = right;
    small[7..11].copy_from_slice(&9_999_u32.to_be_bytes());
    assert_eq!(sure(&told(&[(ToServer, small)])), None);

    let exchange =
        |client: Vec<u8>, server: Vec<u8>| told(&[(ToServer, client), (ToClient, server)]);
    let (asked, answer) = (
        asks(0x0d55, 0x0002, 7, ALICE).1,
        answers(0x0d55, 0x0002, 7).1,
    );
    assert!(sure(&exchange(asked.clone(), answer.clone())).is_some());
    let last = asked.len() - 1;
    for (at, value) in [(0, 4), (2, 0x56), (4, 3), (6, 8), (8, 0), (last, 0)] {
        let mut wrong = asked.clone();
        wrong[at] = value;
        if at == 8 {
            wrong[9] = 0;
        }
        let events = datagrams(&[(ToServer, wrong), (ToClient, answer.clone())]);
        assert_eq!(sure(&events), None, "byte {at} is {value}");
    }
    // A text that is no multiple of the cipher's blocks.
    let mut odd = asked;
    odd.insert(20, 9);
    assert_eq!(sure(&exchange(odd, answer)), None);
}

#[test]
fn others_that_begin_with_this_byte_are_nobodys() {
    let hex = |text: &str| -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(|it| *it != b' ').collect();
        let pairs = digits
            .chunks(2)
            .map(|two| std::str::from_utf8(two).unwrap());
        pairs
            .map(|two| u8::from_str_radix(two, 16).unwrap())
            .collect()
    };
    let name = "07 6578616d706c65 03 636f6d 00";
    let ends = |text: &str| [hex(text), vec![0x55; 32], vec![3]].concat();
    for bytes in [
        // DNS with the id 0x0208, RADIUS accepts, RIP 1 and 2, SNMP's end, L2TP, NetBIOS, RTP, a memcached answer, MQTT-SN.
        hex(&format!("0208 0100 0001 0000 0000 0000 {name} 0001 0003")),
        hex(&format!("0218 0180 0001 0001 0000 0000 {name} 0001 0003")),
        ends("02 0d 0037 0062 0001 000f4241"),
        ends("02 11 0014 00dd 0001 000f4241"),
        ends("02 01 0000 0002 0000 c0a80100 00000000 00000000 00000003"),
        ends("02 02 0000 0002 0000 c0a80100 ffffff00 00000000 00000003"),
        ends("0200 0d55 0002 0007 000f4241"),
        ends("0202 0d55 0007 000f4241"),
        ends("020d 5500 0200 0700 0f42 41"),
        // QQ's own other families: through a relay, between users, files.
        ends("04 0d55 0002 0007 000f4241"),
        ends("03 0d55 0002 0007 000f4241"),
        ends("05 0d55 0002 0007 000f4241"),
        // A game with a length behind the mark.
        ends("02 002c 0605 0001 000f4241"),
        vec![2],
        vec![2, 3],
        [vec![2], vec![0; 38], vec![3]].concat(),
        [vec![2], vec![0xff; 38], vec![3]].concat(),
    ] {
        let back: Vec<u8> = bytes.iter().copied().chain([3]).collect();
        let turns = [(ToServer, bytes.clone()), (ToClient, back)];
        assert_eq!(sure(&told(&turns)), None, "{bytes:02x?}");
        let echoed = [(ToServer, bytes.clone()), (ToClient, bytes.clone())];
        assert_eq!(sure(&told(&echoed)), None, "{bytes:02x?}");
    }
}

#[test]
fn a_stream_that_is_joined_or_lost_is_told_by_the_rest() {
    let turns = framed(&[
        late(2, 1, 0x0058, 7, ALICE),
        late_answer(0x0058, 7, ALICE),
        late(2, 1, 0x00cd, 8, ALICE),
        late_answer(0x00cd, 8, ALICE),
    ]);
    let to = (Transport::Tcp, 443);
    let joined = seen(to, false, &turns[1..], 5, Events::default());
    assert_eq!(sure(&joined), Some(Confidence::Confirmed));
    let mut stream = Stream::new(Transport::Tcp, true);
    let context = Context {
        server_port: 443,
        expected: None,
    };
    let mut out = Events::default();
    stream.feed(ToServer, &turns[0].1[..30], context, &mut out);
    // What was told stays, and nothing is held.
    stream.gap(ToServer, 5, context, &mut out);
    stream.feed(ToServer, &turns[2].1, context, &mut out);
    stream.feed(ToServer, &vec![0xff; 90_000], context, &mut out);
    assert!(
        stream.is_decided() && stream.memory() < 4000,
        "{}",
        stream.memory()
    );
}

#[test]
fn what_never_proves_itself_is_not_followed_for_ever() {
    let mut stream = Stream::new(Transport::Udp, true);
    let context = Context {
        server_port: 8000,
        expected: None,
    };
    let mut out = Events::default();
    for number in 0..100 {
        let (direction, bytes) = asks(0x0d55, 0x0002, number, ALICE);
        stream.datagram(direction, &bytes, bytes.len(), context, &mut out);
    }
    assert!(!stream.wants_bytes() && stream.memory() < 4000);
}

proptest! {
    /// Any bytes among packets: nothing breaks, no cut changes anything, and what is told is bounded by what was there.
    #[test]
    fn any_bytes_are_survived(
        packets in proptest::collection::vec((any::<bool>(), 0_u16..0x100, 0_u16..4, any::<bool>()), 0..20),
        noise in proptest::collection::vec(any::<u8>(), 0..60),
        cut in 1_usize..60,
    ) {
        let mut turns: Vec<Turn> = packets
            .into_iter()
            .map(|(by_client, command, sequence, early)| match (by_client, early) {
                (true, true) => asks(0x0d55, command, sequence, ALICE),
                (true, false) => late(2, 1, command, sequence, ALICE),
                (false, true) => answers(0x0100, command, sequence),
                (false, false) => late_answer(command, sequence, ALICE),
            })
            .collect();
        turns.push((ToServer, noise));
        let bytes: usize = turns.iter().map(|(_, bytes)| bytes.len()).sum();
        prop_assert!(datagrams(&turns).len() < bytes + 8);
        let framed = framed(&turns);
        let events = stream(&framed, cut);
        prop_assert!(events.len() < bytes + 8);
        prop_assert_eq!(&events, &stream(&framed, usize::MAX));
    }
}
