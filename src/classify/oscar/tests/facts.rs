//! What is told about OSCAR streams: sign-on, redirects, roles, and what is left of a joined stream.

use super::expect::*;
use super::streams::*;
use super::{DOWN, Talk, UP, follow};
use crate::classify::oscar::dissector::FlapDissector;
use crate::classify::{Dissector, Events, Start};
use crate::model::{Confidence, Event, Service, ServiceHint, Target, feature, risk};

#[test]
fn md5_sign_on_names_account_client_method_and_next_server() {
    let talk = |twice| -> Talk {
        vec![
            (DOWN, hello(0x202F)),
            (UP, hello(1)),
            (UP, key_request()),
            (DOWN, key_answer()),
            (UP, md5_login(twice)),
            (DOWN, login_answer("192.0.2.32:5191", Some(0))),
            (UP, flap(4, 9, &[])),
        ]
    };
    let events = follow(&talk(false), Start::Beginning);
    has(
        &events,
        &[
            Event::ClientIs(UP),
            account("alicetest1"),
            Event::Client("AOL Instant Messenger, version 5.1.3036/WIN32".to_owned()),
            Event::SignOn("md5"),
            Event::Feature(feature::SIGN_ON),
            Event::Risk(risk::WEAK_SIGN_ON),
            Event::Risk(risk::CLEARTEXT_COOKIE),
            redirect("192.0.2.32:5191", "bos"),
        ],
    );
    assert_eq!(
        events
            .iter()
            .filter(|event| **event == account("alicetest1"))
            .count(),
        1,
        "each fact once"
    );
    assert_eq!(
        roles(&events),
        [("oscar", Some("authoriser"), Confidence::Confirmed)]
    );
    assert_eq!(hints(&events), [(&Service::AIM, ServiceHint::SignOnName)]);
    has(
        &follow(&talk(true), Start::Beginning),
        &[Event::SignOn("md5-v2")],
    );
}

#[test]
fn each_side_alone_names_the_account() {
    let client = vec![(UP, hello(1)), (UP, key_request())];
    has(&follow(&client, Start::Beginning), &[account("alicetest1")]);
    let server = vec![
        (DOWN, hello(1)),
        (DOWN, key_answer()),
        (DOWN, login_answer("bos.example.com", None)),
    ];
    has(
        &follow(&server, Start::Beginning),
        &[account("alicetest1"), redirect("bos.example.com", "bos")],
    );
}

#[test]
fn a_wrong_label_of_the_direction_is_corrected() {
    let talk = vec![(DOWN, hello(1)), (DOWN, key_request())];
    has(
        &follow(&talk, Start::Beginning),
        &[Event::ClientIs(DOWN), account("alicetest1")],
    );
    let talk = vec![(UP, message_from("bob")), (UP, dull(1))];
    has(
        &follow(&talk, Start::Joined),
        &[Event::ClientIs(DOWN), peer("bob")],
    );
}

#[test]
fn roasted_icq_sign_on_and_its_answer_in_channel_4() {
    let talk = vec![
        (DOWN, hello(1)),
        (UP, roast_hello()),
        (DOWN, channel_4_answer()),
    ];
    let events = follow(&talk, Start::Beginning);
    has(
        &events,
        &[
            account("123456"),
            Event::SignOn("xor"),
            Event::Risk(risk::REVERSIBLE_PASSWORD),
            redirect("10.0.0.5:5191", "bos"),
        ],
    );
    let icq = &Service::ICQ;
    assert_eq!(
        hints(&events),
        [(icq, ServiceHint::SignOnName), (icq, ServiceHint::OwnUnits)]
    );
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::Client(text) if text.starts_with("ICQ Inc.")))
    );
}

#[test]
fn redirects_take_every_form_and_skip_tls() {
    let answer = |server: &str, tls| unit(DOWN, 0x17, 3, &login_answer(server, tls)[16..]);
    for server in [
        "192.0.2.7",
        "192.0.2.7:443",
        "bos.example.com",
        "bos.example.com:21",
        "[2001:db8::7]:5190",
    ] {
        let events = answer(server, None);
        assert_eq!(redirects(&events), [&redirect(server, "bos")], "{server}");
    }
    let Some(Event::Redirect { target, .. }) = redirects(&answer("192.0.2.7", None))
        .first()
        .copied()
        .cloned()
    else {
        panic!("no redirect")
    };
    assert_eq!(
        target,
        Target::Address("192.0.2.7".parse().unwrap(), None),
        "the port stays the same"
    );
    for (server, tls) in [
        ("192.0.2.7:443", Some(1)),
        ("192.0.2.7:443", Some(2)),
        ("", None),
        ("a b", None),
        ("x:0", None),
    ] {
        assert!(
            redirects(&answer(server, tls)).is_empty(),
            "{server:?} {tls:?}"
        );
    }
}

#[test]
fn services_and_migration_are_announced() {
    let body = [
        tlv(0x0D, &[0, 0x10]),
        tlv(5, b"192.0.2.9"),
        tlv(6, &[1; 256]),
        tlv(0x8E, &[0]),
    ]
    .concat();
    has(
        &unit(DOWN, 1, 5, &body),
        &[
            redirect("192.0.2.9", "service"),
            Event::Risk(risk::CLEARTEXT_COOKIE),
        ],
    );
    let body = [
        &[0, 2, 0, 1, 0, 4][..],
        &tlv(5, b"192.0.2.10:5190"),
        &tlv(6, &[1; 8]),
    ]
    .concat();
    assert_eq!(
        redirects(&unit(DOWN, 1, 0x12, &body)),
        [&redirect("192.0.2.10:5190", "bos")]
    );
    assert!(redirects(&unit(DOWN, 1, 0x12, &[0xFF, 0xFF, 0, 1])).is_empty());
}

#[test]
fn a_failed_sign_on_redirects_nowhere() {
    let body = [tlv(1, b"alice"), tlv(8, &[0, 5]), tlv(5, b"192.0.2.7")].concat();
    let events = unit(DOWN, 0x17, 3, &body);
    has(&events, &[account("alice")]);
    assert!(redirects(&events).is_empty());
}

#[test]
fn a_session_is_told_from_a_service() {
    let session = vec![
        (UP, cookie_hello()),
        (DOWN, hello(9)),
        (DOWN, data(10, 1, 3, &[0, 1, 0, 3, 0, 4, 0, 2])),
    ];
    let events = follow(&session, Start::Beginning);
    assert_eq!(
        roles(&events),
        [("oscar", Some("bos"), Confidence::Confirmed)]
    );
    has(
        &events,
        &[
            Event::SignOn("cookie"),
            Event::Client("Example/1.0".to_owned()),
        ],
    );
    assert!(
        hints(&events).is_empty(),
        "nothing says which of the two it is"
    );

    let icons = vec![
        (UP, cookie_hello()),
        (DOWN, data(10, 1, 3, &[0, 1, 0, 0x10])),
        (UP, data(2, 0x10, 4, &[])),
    ];
    assert_eq!(
        roles(&follow(&icons, Start::Beginning)),
        [("oscar", Some("service"), Confidence::Confirmed)]
    );

    // The client's list alone: family, version.
    let client = vec![
        (UP, cookie_hello()),
        (UP, data(2, 1, 0x17, &[0, 1, 0, 3, 0, 4, 0, 1])),
    ];
    assert_eq!(
        roles(&follow(&client, Start::Beginning)),
        [("oscar", Some("bos"), Confidence::Confirmed)]
    );
}

#[test]
fn joined_streams_tell_what_they_still_can() {
    let own = [&short("Alice One")[..], &[0, 0, 0, 1], &tlv(1, &[0, 0x10])].concat();
    let talk = vec![
        (
            UP,
            [
                b"ail of a unit".to_vec(),
                flap(5, 0x60, &[]),
                message_to("Bob Two"),
            ]
            .concat(),
        ),
        (
            DOWN,
            [
                vec![0x2A, 0x02, 0xFF],
                message_from("carol"),
                data(2, 1, 0x0F, &own),
            ]
            .concat(),
        ),
    ];
    let events = follow(&talk, Start::Joined);
    has(
        &events,
        &[
            Event::ClientIs(UP),
            peer("bobtwo"),
            peer("carol"),
            account("aliceone"),
            Event::Feature(feature::MESSAGE),
            Event::Risk(risk::CLEARTEXT_MESSAGES),
        ],
    );
    assert!(roles(&events).contains(&("oscar", Some("bos"), Confidence::Confirmed)));
}

#[test]
fn the_version_block_does_not_hide_the_body() {
    let own = [&short("alice")[..], &[0, 0, 0, 0]].concat();
    let payload = [&hex("0001000f8000 00000001 0006 000100020003")[..], &own].concat();
    let mut out = Events::default();
    FlapDissector::default().feed(DOWN, &flap(2, 1, &payload), &mut out);
    has(out.as_ref(), &[account("alice")]);
}
