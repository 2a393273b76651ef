//! What is told about what users do: messages, proposals, ICQ's own units, TOC.

use super::expect::*;
use super::streams::*;
use super::{DOWN, UP, follow};
use crate::classify::oscar::dissector::FlapDissector;
use crate::classify::{Dissector, Events, Start};
use crate::model::{
    Confidence, Event, Format, Party, Service, ServiceHint, Target, feature, risk, what,
};

#[test]
fn typing_and_automatic_answers_name_the_other() {
    let body = [&b"\0\0\0\0\0\0\0\0\0\x01"[..], &short("bob"), &[0, 2]].concat();
    for subtype in [0x14, 0x0B, 0x0C] {
        has(&unit(DOWN, 4, subtype, &body), &[peer("bob")]);
    }
    assert!(!unit(DOWN, 4, 0x14, &body).contains(&Event::Feature(feature::MESSAGE)));
}

#[test]
fn a_file_offer_tells_where_the_other_will_connect() {
    let talk = vec![(UP, file_offer())];
    let events = follow(&talk, Start::Joined);
    let offer = |opener: Option<&str>, proto, target| Event::Redirect {
        target: Target::parse(target).unwrap(),
        format: Format::messenger(Service::OSCAR, proto, "peer"),
        opener: opener.map(str::to_owned),
        with: None,
        token: None,
    };
    assert_eq!(
        redirects(&events),
        [&offer(Some("bobbyuser01"), "oft", "192.168.1.158:5190")]
    );
    has(
        &events,
        &[
            peer("bobbyuser01"),
            Event::Feature(feature::FILE_TRANSFER),
            Event::Risk(risk::FILE_TRANSFER),
            Event::Risk(risk::ADDRESS_REVEALED),
        ],
    );

    // From the server, with the address it saw added: this client will connect.
    let tlvs = [
        tlv(2, &[10, 0, 0, 7]),
        tlv(3, &[10, 0, 0, 7]),
        tlv(4, &[192, 0, 2, 7]),
        tlv(5, &[0x14, 0x46]),
    ]
    .concat();
    let sent = proposal_body("bob", 0, 0x1345, &tlvs);
    let (head, block) = sent.split_at(14);
    let events = unit(DOWN, 4, 7, &[head, &[0, 0, 0, 0], block].concat());
    let wanted = [
        offer(None, "odc", "10.0.0.7:5190"),
        offer(None, "odc", "192.0.2.7:5190"),
    ];
    assert_eq!(redirects(&events), wanted.iter().collect::<Vec<_>>());
    has(
        &events,
        &[peer("bob"), Event::Feature(feature::DIRECT_CONNECTION)],
    );
}

#[test]
fn proposals_without_a_usable_address_predict_nothing() {
    let address = tlv(2, &[192, 0, 2, 7]);
    let port = tlv(5, &[0x14, 0x46]);
    let propose = |kind, tlvs: &[Vec<u8>]| {
        unit(
            UP,
            4,
            6,
            &proposal_body("bob", kind, 0x1343, &tlvs.concat()),
        )
    };
    assert_eq!(
        redirects(&propose(0, &[address.clone(), port.clone()])).len(),
        1
    );
    let by_proxy = propose(0, &[address.clone(), port.clone(), tlv(0x10, &[])]);
    assert!(
        redirects(&by_proxy).is_empty() && !by_proxy.contains(&Event::Risk(risk::ADDRESS_REVEALED))
    );
    assert!(
        redirects(&propose(1, &[address.clone(), port.clone()])).is_empty(),
        "cancelled"
    );
    assert!(
        redirects(&propose(2, &[address.clone(), port.clone()])).is_empty(),
        "accepted, nobody listens"
    );
    assert!(redirects(&propose(0, std::slice::from_ref(&address))).is_empty());
    assert!(redirects(&propose(0, &[address, tlv(5, &[0, 0])])).is_empty());
    assert!(
        redirects(&propose(
            0,
            &[tlv(2, &[0; 4]), tlv(3, &[127, 0, 0, 1]), port]
        ))
        .is_empty()
    );
}

#[test]
fn games_voice_and_video_are_features() {
    let game = hex(
        "2a0200640057 0004 0006 0000 00000000 3931323334353637 0002 0676696374696d 00050038 0000
         3132333435363738 0946134a4c7f11d18222444553540000 000a00020001 000f0000 2711001041414141414141414141414141414141",
    );
    has(
        &follow(&[(UP, game)], Start::Joined),
        &[Event::Feature(feature::GAMES), peer("victim")],
    );
    for (code, wanted) in [
        (0x1341, feature::VOICE),
        (0x0100, feature::VIDEO),
        (0x1348, feature::FILE_SHARE),
    ] {
        has(
            &unit(UP, 4, 6, &proposal_body("bob", 0, code, &[])),
            &[Event::Feature(wanted)],
        );
    }
}

#[test]
fn whose_profile_or_icon_is_asked_for_is_told() {
    let asked = |family, subtype, before: &[u8], after: &[u8]| {
        let mut out = Events::default();
        let body = [before, &short("Bob 42"), after].concat();
        FlapDissector::default().feed(UP, &data(1, family, subtype, &body), &mut out);
        out.drain().find_map(|event| match event {
            Event::Done(done) if done.what == what::QUERY => {
                assert_eq!(done.to, Some(Party::Account("bob42".to_owned())));
                done.details.first().map(|(_, kind)| kind.clone())
            }
            _ => None,
        })
    };
    // 0010/0004: the sum of the icon behind its flags; 0010/0006: how many icons, type, flags, sum.
    let sum = hex("0100011000112233445566778899aabbccddeeff");
    for subtype in [0x04, 0x06] {
        assert_eq!(
            asked(0x10, subtype, &[], &sum),
            Some("buddy-icon".into()),
            "{subtype}"
        );
    }
    for (subtype, before) in [(0x05, &[0, 1][..]), (0x0B, &[]), (0x15, &[0, 0, 0, 3])] {
        assert_eq!(
            asked(2, subtype, before, &[]),
            Some("user-info".into()),
            "{subtype}"
        );
    }
    // Its own icon, put on the server: nobody is asked for.
    assert_eq!(asked(0x10, 0x02, &[0, 1], &[]), None);
}

#[test]
fn icq_shows_in_its_own_units() {
    let offline_request = hex("2a0200660018 0015 0002 0000 00010002 0001000a 080040e201003c000200");
    let events = follow(&[(UP, [dull(1), offline_request].concat())], Start::Joined);
    has(
        &events,
        &[
            account("123456"),
            Event::ServiceHint(Service::ICQ, ServiceHint::OwnUnits),
        ],
    );

    let channel_4 = hex(
        "2a0200650031 0004 0006 0000 00000000 0931323334353637 0004 06363534333231 0005000e 40e20100 01 00 0600 68656c6c6f00 00060000",
    );
    let events = follow(&[(UP, channel_4)], Start::Joined);
    has(
        &events,
        &[
            account("123456"),
            peer("654321"),
            Event::Feature(feature::MESSAGE),
        ],
    );

    let password = hex("0001 0014 1200 40e20100 d007 0300 2e04 0700 736563726574 00");
    has(
        &unit(UP, 0x15, 2, &password[..password.len() - 1]),
        &[account("123456")],
    );
    has(
        &unit(UP, 0x15, 2, &tlv(1, &password[4..])),
        &[Event::Risk(risk::CLEARTEXT_PASSWORD)],
    );
}

#[test]
fn what_both_services_share_is_no_hint() {
    // An AIM client asks about an ICQ user and gives 0 as its own number.
    assert!(hints(&unit(UP, 0x15, 2, &hex("0001000a 0800000000003c000200"))).is_empty());
    // The server lists family 0015 to everybody.
    assert!(hints(&unit(DOWN, 1, 3, &hex("0001 0003 0004 0015"))).is_empty());
    // Server relay and XTraz among an AIM account's capabilities.
    let both = tlv(
        5,
        &[capability(0x1349), hex("1a093c6cd7fd4ec59d51a6474e34f5a0")].concat(),
    );
    assert!(hints(&unit(UP, 2, 4, &both)).is_empty());
    let own = tlv(5, &[capability(0x1349), capability(0x1344)].concat());
    assert_eq!(
        hints(&unit(UP, 2, 4, &own)),
        [(&Service::ICQ, ServiceHint::OwnUnits)]
    );
    // A name with @ signs on to either.
    let mail = unit(UP, 0x17, 6, &tlv(1, b"alice@example.com"));
    assert!(hints(&mail).is_empty() && mail.contains(&account("alice@example.com")));
    // AIM's name in an ICQ number's client string: programs for both services say so.
    let shared = [
        tlv(1, b"1000001"),
        tlv(3, b"AOL Instant Messenger, version 5.1.3036/WIN32"),
    ]
    .concat();
    assert_eq!(
        hints(&unit(UP, 0x17, 2, &shared)),
        [(&Service::ICQ, ServiceHint::SignOnName)]
    );
}

#[test]
fn toc_tells_account_method_and_peers() {
    let talk = vec![
        (UP, b"FLAPON\r\n\r\n".to_vec()),
        (DOWN, hello(1)),
        (UP, toc_client()[10..].to_vec()),
        (
            DOWN,
            [
                toc_line("SIGN_ON:TOC1.0"),
                toc_line("CONFIG:"),
                toc_line("NICK:toc Test1"),
            ]
            .concat(),
        ),
        (
            UP,
            toc_line("toc_send_im \"Bob Two\" \"meet at noon: bring \\\"it\\\"\" auto\0"),
        ),
        (
            DOWN,
            [
                toc_line("IM_IN2:carol:F:F:fine"),
                toc_line("IM_IN_ENC2:dave:F:F:T:O,:F:L:en:fine"),
            ]
            .concat(),
        ),
        (DOWN, toc_line("UPDATE_BUDDY:bobtwo:T:0:1000000000:0: U ")),
    ];
    let events = follow(&talk, Start::Beginning);
    has(
        &events,
        &[
            Event::ClientIs(UP),
            account("toctest1"),
            Event::SignOn("toc-roast"),
            Event::Risk(risk::REVERSIBLE_PASSWORD),
            Event::Client("TIC:test".to_owned()),
            peer("bobtwo"),
            peer("carol"),
            peer("dave"),
            Event::Feature(feature::MESSAGE),
            Event::Feature(feature::PRESENCE),
        ],
    );
    assert!(
        redirects(&events).is_empty(),
        "host and port in toc_signon are the client's own text"
    );
    assert_eq!(
        roles(&events),
        [("toc", Some("session"), Confidence::Confirmed)]
    );
    assert_eq!(hints(&events), [(&Service::AIM, ServiceHint::SignOnName)]);
}

#[test]
fn toc_announces_file_transfers() {
    let line = "RVOUS_PROPOSE:bob:09461343-4C7F-11D1-8222-444553540000:Y29va2ll:1:192.0.2.1:10.0.0.1:192.0.2.1:5190:x";
    let events = follow(
        &[(DOWN, [toc_line("NICK:1000001"), toc_line(line)].concat())],
        Start::Joined,
    );
    assert_eq!(redirects(&events).len(), 2);
    has(
        &events,
        &[
            peer("bob"),
            Event::Feature(feature::FILE_TRANSFER),
            account("1000001"),
        ],
    );
    assert_eq!(hints(&events), [(&Service::ICQ, ServiceHint::SignOnName)]);
}

#[test]
fn direct_connection_info_reveals_an_address_only_if_there_is_one() {
    let info = |address: [u8; 4], port: u32| {
        let mut value = [&address[..], &port.to_be_bytes()].concat();
        value.resize(37, 0);
        unit(UP, 1, 0x1E, &[tlv(6, &[0; 4]), tlv(0x0C, &value)].concat())
    };
    assert!(info([192, 168, 1, 5], 4321).contains(&Event::Risk(risk::ADDRESS_REVEALED)));
    assert!(!info([0; 4], 0).contains(&Event::Risk(risk::ADDRESS_REVEALED)));
    assert!(!info([192, 168, 1, 5], 0).contains(&Event::Risk(risk::ADDRESS_REVEALED)));
}

#[test]
fn nothing_private_is_told() {
    let talk = vec![
        (UP, hello(1)),
        (UP, message_to("bob")),
        (DOWN, message_from("carol")),
        (UP, toc_line("toc_send_im bob \"meet at noon\"\0")),
        (UP, toc_client()[10..].to_vec()),
    ];
    let told = format!("{:?}", follow(&talk, Start::Beginning)).to_lowercase();
    for secret in ["noon", "0x2408", "2408105c", "meet"] {
        assert!(!told.contains(secret), "{secret}");
    }
}

#[test]
fn gaps_cost_units_not_the_stream() {
    let mut dissector = FlapDissector::default();
    let mut out = Events::default();
    let long = data(2, 0x10, 5, &[b'*'; 9000]);
    dissector.feed(DOWN, &[hello(1), long[..500].to_vec()].concat(), &mut out);
    dissector.gap(DOWN, 8000, &mut out);
    dissector.feed(
        DOWN,
        &[long[8500..].to_vec(), message_from("bob")].concat(),
        &mut out,
    );
    // Now over the end of a unit, into the middle of another.
    dissector.feed(DOWN, &message_from("lost")[..9], &mut out);
    dissector.gap(DOWN, 400, &mut out);
    dissector.feed(
        DOWN,
        &[b"tail * of it".to_vec(), message_from("carol")].concat(),
        &mut out,
    );
    has(out.as_ref(), &[peer("bob"), peer("carol")]);
    assert!(!out.as_ref().contains(&peer("lost")));
}
