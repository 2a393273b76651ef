//! Gadu-Gadu as libgadu's documentation has it, cut everywhere, one side alone, and what only resembles it.
#![allow(clippy::unwrap_used)]

use crate::classify::Events;
use crate::classify::stream::{Context, Stream};
use crate::classify::testing::{spoken, sure_of};
use crate::model::Direction::{self, ToClient, ToServer};
use crate::model::{Confidence, Event, Transport, feature, risk};
use proptest::prelude::*;

fn packet(kind: u32, body: &[&[u8]]) -> Vec<u8> {
    let body = body.concat();
    let length = body.len() as u32;
    [&kind.to_le_bytes()[..], &length.to_le_bytes(), &body].concat()
}

const ALICE: [u8; 4] = 1_000_001_u32.to_le_bytes();
const BOB: [u8; 4] = 1_000_002_u32.to_le_bytes();

fn sha1() -> Vec<u8> {
    [&[0xa7; 20][..], &[0; 44]].concat()
}

fn welcome() -> Vec<u8> {
    packet(0x01, &[&[9, 8, 7, 6]])
}

fn login_80() -> Vec<u8> {
    packet(0x31, &[&ALICE, b"pl\x02", &sha1(), &[0; 30]])
}

fn login_70(hash: &[u8]) -> Vec<u8> {
    packet(
        0x19,
        &[&ALICE, hash, &[2, 0, 0, 0, 0x2a, 0, 0, 0], &[0; 15]],
    )
}

fn login_60() -> Vec<u8> {
    let fixed = [&[1, 2, 3, 4][..], &[2, 0, 0, 0], &[0x20, 0, 0, 0], &[0; 15]].concat();
    packet(0x15, &[&ALICE, &fixed])
}

fn login_105() -> Vec<u8> {
    packet(0x83, &[b"pl\x02", &sha1(), b"\0\x071000001", &[0; 20]])
}

/// A field of bytes in protocol buffers.
fn field(number: u8, value: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, value.len() as u8], value].concat()
}

fn login_11() -> Vec<u8> {
    packet(
        0x83,
        &[
            &field(1, b"pl"),
            &field(2, b"\x01\x071000001"),
            &field(3, &[0xa7; 20]),
            &[0x20, 4, 0x2d, 0x77, 0xff, 0xee, 3, 0x35, 0x14, 6, 3, 0],
            &field(7, b"Example 11.0"),
            &[0x45, 2, 0, 0, 0],
            &field(11, b"avatar,StatusComments,ggaccount,edisc"),
        ],
    )
}

#[test]
fn version_11_speaks_in_protocol_buffers() {
    let sent = [
        &field(1, b"\0\x071000002")[..],
        &[0x10, 8, 0x18, 1],
        &field(5, b"hello"),
        &field(6, b"<b>hello</b>"),
    ];
    let came = [
        &field(1, b"\x01\x071000002")[..],
        &[0x10, 0, 0x18, 2, 0x25, 1, 2, 3, 4],
        &field(5, b"hi"),
    ];
    let talk = [
        (ToClient, welcome()),
        (ToServer, login_11()),
        (ToClient, packet(0x9d, &[&[8, 1]])),
        (ToServer, packet(0x7d, &sent)),
        (ToClient, packet(0x7e, &came)),
    ];
    let whole = told(&talk, 4000);
    assert_eq!(sure(&whole), Some(Confidence::Confirmed));
    for wanted in [
        Event::Account("1000001".to_owned()),
        Event::Peer("1000002".to_owned()),
        Event::SignOn("sha1"),
        Event::Risk(risk::CLEARTEXT_MESSAGES),
        Event::Feature(feature::MESSAGE),
    ] {
        assert!(whole.contains(&wanted), "{wanted:?}: {whole:?}");
    }
    for cut in [1, 3, 50] {
        assert_eq!(told(&talk, cut), whole, "cut {cut}");
    }
    // One side alone; and what is not quite it.
    assert_eq!(
        sure(&told(&[(ToServer, login_11())], 7)),
        Some(Confidence::Probable)
    );
    for (at, value) in [
        (8, 0x0b),
        (9, 3),
        (10, b'P'),
        (12, 0x13),
        (13, 40),
        (14, 2),
        (15, 6),
        (16, b'a'),
        (23, 0x1b),
        (24, 16),
    ] {
        let mut login = login_11();
        login[at] = value;
        assert_eq!(
            sure(&told(&[(ToServer, login)], 4000)),
            None,
            "byte {at} is {value}"
        );
    }
}

fn told(turns: &[(Direction, Vec<u8>)], cut: usize) -> Vec<Event> {
    spoken((Transport::Tcp, 8074), turns, cut, Events::default())
}

fn sure(events: &[Event]) -> Option<Confidence> {
    sure_of("gadu-gadu", events)
}

#[test]
fn a_session_is_read_however_it_is_cut() {
    let name = [&b"menu.exe"[..], &[0; 247]].concat();
    let plain = b"<span>hello</span>\0";
    let offset = (20 + plain.len() as u32).to_le_bytes();
    let talk = [
        (ToClient, welcome()),
        (ToServer, login_80()),
        (ToClient, packet(0x35, &[&[1, 0, 0, 0]])),
        (ToServer, packet(0x0f, &[&BOB, &[3]])),
        (ToServer, packet(0x38, &[&[2, 0, 0, 0], &[0; 8]])),
        (
            ToServer,
            packet(
                0x2d,
                &[
                    &BOB,
                    &[1, 0, 0, 0],
                    &[8, 0, 0, 0],
                    &offset,
                    &[0; 4],
                    plain,
                    b"hello\0",
                ],
            ),
        ),
        (ToClient, packet(0x0a, &[&BOB, &[0; 12], b"yes, gladly\0"])),
        (
            ToServer,
            packet(
                0x20,
                &[
                    &[5; 8],
                    &ALICE,
                    &BOB,
                    &[4, 0, 0, 0],
                    &name,
                    &[0, 4, 0, 0],
                    &[0; 24],
                ],
            ),
        ),
    ];
    for cut in [1, 3, 7, 4000] {
        let events = told(&talk, cut);
        assert_eq!(sure(&events), Some(Confidence::Confirmed), "cut {cut}");
        for wanted in [
            Event::Account("1000001".to_owned()),
            Event::Peer("1000002".to_owned()),
            Event::SignOn("sha1"),
            Event::Risk(risk::WEAK_SIGN_ON),
            Event::Risk(risk::CLEARTEXT_MESSAGES),
            Event::Risk(risk::EXECUTABLE_FILE),
            Event::Feature(feature::CONTACT_LIST),
            Event::Feature(feature::PRESENCE),
        ] {
            assert!(
                events.contains(&wanted),
                "{wanted:?}, cut {cut}: {events:?}"
            );
        }
        let text = format!("{events:?}");
        assert!(
            !text.contains("hello") && !text.contains("gladly"),
            "{text}"
        );
    }
}

#[test]
fn each_sign_on_names_its_user_and_how_the_password_crossed() {
    let gg32 = [&[1, 9, 9, 9, 9][..], &[0; 60]].concat();
    let sha = [&[2][..], &sha1()].concat();
    for (login, method) in [
        (login_60(), "gg32"),
        (login_70(&gg32), "gg32"),
        (login_70(&sha), "sha1"),
        (login_80(), "sha1"),
        (login_105(), "sha1"),
    ] {
        for (turns, expected) in [
            (
                vec![(ToClient, welcome()), (ToServer, login.clone())],
                Confidence::Confirmed,
            ),
            (vec![(ToServer, login.clone())], Confidence::Probable),
        ] {
            for cut in [1, 4000] {
                let events = told(&turns, cut);
                assert_eq!(sure(&events), Some(expected), "{login:02x?}");
                assert!(events.contains(&Event::SignOn(method)), "{events:?}");
                assert!(
                    events.contains(&Event::Account("1000001".to_owned())),
                    "{events:?}"
                );
            }
        }
    }
}

#[test]
fn a_server_alone_is_told_by_its_greeting_and_its_answer() {
    let answered = vec![(
        ToClient,
        [welcome(), packet(0x35, &[&[1, 0, 0, 0]])].concat(),
    )];
    assert_eq!(sure(&told(&answered, 3)), Some(Confidence::Probable));
    for cut in [1, 4000] {
        assert_eq!(sure(&told(&[(ToClient, welcome())], cut)), None);
    }
}

#[test]
fn much_behind_a_servers_answer_in_one_piece_changes_nothing() {
    let answer = packet(0x35, &[&[1, 0, 0, 0]]);
    let much = packet(0x17, &[&[7; 900]]);
    let turns = [(ToClient, [welcome(), answer, much].concat())];
    for cut in [1, 300, 4000] {
        assert!(sure(&told(&turns, cut)).is_some(), "cut {cut}");
    }
}

#[test]
fn records_that_only_look_alike_are_no_session() {
    let mut dirty = login_80();
    dirty[60] = 1;
    let mut other = login_80();
    other[12] = b'x';
    let mut early = login_60();
    early[20] = 0x55;
    for wrong in [
        dirty,
        other,
        early,
        packet(0x31, &[&[0; 12]]),
        packet(0x19, &[&[0xab; 92]]),
        packet(0x02, &[&[1, 2, 3, 4]]),
        packet(0x15, &[&[0; 40]]),
    ] {
        for cut in [1, 4000] {
            let turns = [(ToClient, welcome()), (ToServer, wrong.clone())];
            assert_eq!(sure(&told(&turns, cut)), None, "{wrong:02x?}");
        }
    }
}

#[test]
fn what_never_ends_is_not_held_on_to() {
    let long = [
        &0x0b_u32.to_le_bytes()[..],
        &900_000_u32.to_le_bytes(),
        &vec![b'x'; 90_000],
    ]
    .concat();
    let mut stream = Stream::new(Transport::Tcp, true);
    let mut out = Events::default();
    let context = Context {
        server_port: 8074,
        expected: None,
    };
    stream.feed(ToServer, &login_80(), context, &mut out);
    stream.feed(ToServer, &long, context, &mut out);
    assert!(
        stream.is_decided() && stream.memory() < 20_000,
        "{}",
        stream.memory()
    );
}

proptest! {
    /// Any bytes behind a sign-on: nothing breaks, and no more is told than the bytes could pay for.
    #[test]
    fn any_bytes_are_survived(
        packets in proptest::collection::vec((0_u32..0x90, proptest::collection::vec(any::<u8>(), 0..400)), 0..8),
        tail in proptest::collection::vec(any::<u8>(), 0..40),
        cut in 1_usize..60,
    ) {
        let mut up = login_80();
        let mut down = welcome();
        for (kind, body) in &packets {
            up.extend(packet(*kind, &[body]));
            down.extend(packet(*kind, &[body]));
        }
        up.extend(&tail);
        down.extend(&tail);
        let bytes = up.len() + down.len();
        let turns = [(ToClient, down), (ToServer, up)];
        let events = told(&turns, cut);
        prop_assert!(events.len() < bytes);
        prop_assert_eq!(&events, &told(&turns, usize::MAX));
    }
}
