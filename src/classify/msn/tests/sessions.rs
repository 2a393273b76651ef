//! Sessions with a notification server and with a switchboard.

use super::{accounts, confirmed, converse, message, peers, turn};
use crate::classify::msn::chunk::tests::version1;
use crate::classify::msn::{FTP, P2P};
use crate::model::Direction::{self, ToClient, ToServer};
use crate::model::{Event, Target, feature, risk};

/// A switchboard session in the shape of a captured one of 2006: it starts at transaction 93, tokens are
/// digits and dots, JOI ends in capabilities. A file offer is added.
pub(super) fn switchboard() -> Vec<(Direction, Vec<u8>)> {
    let invitation = b"Application-Name: File Transfer\r\nApplication-GUID: {5D3E02AB-6190-11d3-BBBB-00C04F795683}\r\n\
        Invitation-Command: INVITE\r\nInvitation-Cookie: 58273\r\nApplication-File: plan.txt\r\nApplication-FileSize: 21\r\n\r\n";
    let accept = b"Invitation-Command: ACCEPT\r\nInvitation-Cookie: 58273\r\nLaunch-Application: FALSE\r\nRequest-Data: IP-Address:\r\n\r\n";
    let address = b"Invitation-Command: ACCEPT\r\nInvitation-Cookie: 58273\r\nIP-Address: 192.0.2.10\r\nPort: 6891\r\nAuthCookie: 93301\r\n\r\n";
    let invite = "text/x-msmsgsinvite; charset=UTF-8";
    vec![
        turn(
            ToServer,
            "USR 93 alice@example.com 1835953129.20013021.2623242\r\n",
        ),
        turn(ToClient, "USR 93 OK alice@example.com Alice\r\n"),
        turn(ToServer, "CAL 94 bob@example.com\r\n"),
        turn(
            ToClient,
            "CAL 94 RINGING 1835953129\r\nJOI bob@example.com Bob 1616756780\r\n",
        ),
        (
            ToServer,
            message(
                "MSG 95 U",
                "text/x-msmsgscontrol",
                b"TypingUser: alice@example.com\r\n\r\n\r\n",
            ),
        ),
        (
            ToServer,
            message("MSG 96 N", "text/plain; charset=UTF-8", b"Hey Bob"),
        ),
        (
            ToClient,
            message(
                "MSG bob@example.com Bob",
                "text/plain; charset=UTF-8",
                b"Hey\r\nJOI eve@example.com Eve\r\n",
            ),
        ),
        (ToServer, message("MSG 97 N", invite, invitation)),
        (ToClient, message("MSG bob@example.com Bob", invite, accept)),
        (ToServer, message("MSG 98 N", invite, address)),
        turn(ToServer, "OUT\r\n"),
    ]
}

#[test]
fn a_switchboard_session_is_told_in_full() {
    let (claim, certain, events) = converse(&switchboard());
    assert_eq!(
        (claim.format.app_proto, claim.format.role),
        ("msnp", Some("switchboard"))
    );
    assert_eq!(
        (claim.offset, claim.sender_is_client, certain),
        (0, Some(true), false)
    );
    assert_eq!(confirmed(&events).unwrap().role, Some("switchboard"));
    assert_eq!(accounts(&events), ["alice@example.com"]);
    // Nobody named Eve: her JOI is text that Bob wrote.
    assert_eq!(peers(&events), ["bob@example.com"]);
    for event in [
        Event::ClientIs(ToServer),
        Event::Feature(feature::MESSAGE),
        Event::Risk(risk::CLEARTEXT_MESSAGES),
        Event::Feature(feature::FILE_TRANSFER),
        Event::Risk(risk::FILE_TRANSFER),
        Event::Risk(risk::ADDRESS_REVEALED),
    ] {
        assert!(events.contains(&event), "{event:?}");
    }
    // The sender of the file listens, so somebody else than this flow's client will dial.
    let redirect = Event::Redirect {
        target: Target::Address([192, 0, 2, 10].into(), Some(6891)),
        format: FTP,
        opener: Some("bob@example.com".to_owned()),
        with: None,
        token: None,
    };
    assert!(events.contains(&redirect));
    let text = format!("{events:?}");
    assert!(!text.contains("Hey") && !text.contains("plan.txt") && !text.contains("2623242"));
}

#[test]
fn one_side_of_a_switchboard_is_enough() {
    for side in Direction::BOTH {
        let turns: Vec<_> = switchboard()
            .into_iter()
            .filter(|(direction, _)| *direction == side)
            .collect();
        let (claim, _, events) = converse(&turns);
        assert_eq!(claim.sender_is_client, Some(side == ToServer));
        assert_eq!(claim.format.role, Some("switchboard"));
        assert_eq!(confirmed(&events).unwrap().role, Some("switchboard"));
        assert_eq!(accounts(&events), ["alice@example.com"]);
        assert_eq!(peers(&events), ["bob@example.com"]);
        assert!(events.contains(&Event::Feature(feature::MESSAGE)));
        // Labels the wrong way round change nothing but the direction told.
        let swapped: Vec<_> = turns
            .iter()
            .map(|(_, bytes)| (side.reverse(), bytes.clone()))
            .collect();
        let (claim, _, events) = converse(&swapped);
        assert_eq!(claim.sender_is_client, Some(side == ToServer));
        assert!(events.contains(&Event::ClientIs(ToClient)));
        assert_eq!(accounts(&events), ["alice@example.com"]);
    }
}

#[test]
fn an_invitee_answers_and_learns_who_is_there() {
    let (claim, _, events) = converse(&[
        turn(
            ToServer,
            "ANS 1 bob@example.com;{1BE99E6D-1C6E-4BEA-8B3E-9C464006A774} 1139803431.29427 17522047\r\n",
        ),
        turn(
            ToClient,
            "IRO 1 1 2 alice@example.com Alice 1616756780:0\r\nIRO 1 2 2 1:carol@example.com C\r\nANS 1 OK\r\n",
        ),
    ]);
    assert_eq!(claim.format.role, Some("switchboard"));
    assert_eq!(accounts(&events), ["bob@example.com"]);
    assert_eq!(peers(&events), ["alice@example.com", "carol@example.com"]);
}

/// A notification server session of the MD5 time, constructed from the sources.
fn notification() -> Vec<(Direction, Vec<u8>)> {
    let profile = "text/x-msmsgsprofile; charset=UTF-8\r\nLoginTime: 1\r\nMSPAuth: 4cc7cookie\r\nClientIP: 192.0.2.9";
    vec![
        turn(ToServer, "VER 1 MSNP7 MSNP6 MSNP5 CVR0\r\n"),
        turn(ToClient, "VER 1 MSNP7\r\n"),
        turn(ToServer, "INF 2\r\n"),
        turn(ToClient, "INF 2 MD5\r\n"),
        turn(ToServer, "USR 3 MD5 I Alice@Example.com\r\n"),
        turn(ToClient, "USR 3 MD5 S 989048851.1851137130\r\n"),
        turn(ToServer, "USR 4 MD5 S c4b26d6e3c1e077ea7f72ce010416663\r\n"),
        turn(ToClient, "USR 4 OK alice@example.com Alice%20A\r\n"),
        (ToClient, message("MSG Hotmail Hotmail", profile, b"")),
        turn(
            ToServer,
            "CVR 5 0x0409 winnt 5.1 i386 MSNMSGR 8.5.1302 BC01 alice@example.com\r\nSYN 6 0\r\nCHG 7 NLN\r\n",
        ),
        turn(
            ToClient,
            "SYN 6 0\r\nCHG 7 NLN\r\nILN 7 NLN bob@example.com Bob\r\nQNG 45\r\n",
        ),
        turn(
            ToClient,
            "RNG 17522047 192.0.2.20:1864 CKI 1139803431.29427 carol@example.com Carol\r\n",
        ),
        turn(ToServer, "XFR 10 SB\r\n"),
        turn(
            ToClient,
            "XFR 10 SB 192.0.2.21:1863 CKI 1835953129.20013021.2623242\r\nXFR 0 NS ns.example.com:1863 0 192.0.2.1:1863\r\n",
        ),
        turn(ToServer, "OUT\r\n"),
    ]
}

#[test]
fn a_notification_session_is_told_in_full() {
    let (claim, certain, events) = converse(&notification());
    assert_eq!(
        (claim.format.role, claim.sender_is_client, certain),
        (Some("notification"), Some(true), true)
    );
    assert_eq!(accounts(&events), ["alice@example.com"]);
    // The contact Bob is merely online; Carol calls.
    assert_eq!(peers(&events), ["carol@example.com"]);
    let redirects: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Redirect {
                target,
                format,
                opener: None,
                ..
            } => Some((target.clone(), format.role.unwrap())),
            _ => None,
        })
        .collect();
    assert_eq!(
        redirects,
        [
            (
                Target::Address([192, 0, 2, 20].into(), Some(1864)),
                "switchboard"
            ),
            (
                Target::Address([192, 0, 2, 21].into(), Some(1863)),
                "switchboard"
            ),
            (
                Target::Host("ns.example.com".to_owned(), Some(1863)),
                "notification"
            ),
        ]
    );
    for event in [
        Event::Client("MSNMSGR 8.5.1302".to_owned()),
        Event::SignOn("md5"),
        Event::Feature(feature::SIGN_ON),
        Event::Feature(feature::PRESENCE),
        Event::Feature(feature::CONTACT_LIST),
        Event::Risk(risk::WEAK_SIGN_ON),
        Event::Risk(risk::CLEARTEXT_COOKIE),
    ] {
        assert!(events.contains(&event), "{event:?}");
    }
    assert!(!events.contains(&Event::Feature(feature::MESSAGE)));
    // The server tells Alice her own address: nobody else learns it.
    assert!(!events.contains(&Event::Risk(risk::ADDRESS_REVEALED)));
    let text = format!("{events:?}");
    assert!(
        !text.contains("4cc7cookie") && !text.contains("c4b26d6e") && !text.contains("20013021")
    );
}

#[test]
fn one_side_of_a_notification_session_is_enough() {
    for side in Direction::BOTH {
        let turns: Vec<_> = notification()
            .into_iter()
            .filter(|(direction, _)| *direction == side)
            .collect();
        let (claim, certain, events) = converse(&turns);
        assert!(certain);
        assert_eq!(claim.format.role, Some("notification"));
        assert_eq!(accounts(&events), ["alice@example.com"]);
        assert!(events.contains(&Event::SignOn("md5")));
    }
}

#[test]
fn later_sign_ons_and_dialects() {
    for (line, method) in [
        ("USR 4 TWN S t=abc&p=def\r\n", "twn"),
        (
            "USR 4 SSO S t=ticket Ym9i {1BE99E6D-1C6E-4BEA-8B3E-9C464006A774}\r\n",
            "sso",
        ),
        ("USR 5 SHA A PHNpZ25lZD4=\r\n", "sha"),
    ] {
        let (claim, certain, events) = converse(&[turn(ToServer, line)]);
        assert_eq!((claim.format.role, certain), (Some("notification"), false));
        assert!(
            events.contains(&Event::SignOn(method))
                && events.contains(&Event::Risk(risk::CLEARTEXT_COOKIE))
        );
    }
    // MSNP13 and later: lists as payloads, answers without, an error with a length, a policy before the sign-on.
    let (_, _, events) = converse(&[
        turn(
            ToServer,
            "VER 1 MSNP18 CVR0\r\nADL 7 9\r\n<ml></ml>UUX 9 13\r\n<Data></Data>QRY 3 msmsgs@msnmsgr.com 32\r\n8f2f5a91b72102cd28355e9fc9000d6ePNG\r\n",
        ),
        turn(
            ToClient,
            "VER 1 MSNP18\r\nGCF 0 11\r\n<Policies/>USR 3 SSO S MBI_KEY_OLD bm9uY2U=\r\nADL 7 OK\r\n241 8 2\r\nxxUUX 9 0\r\nQRY 3\r\nUBX 1:bob@example.com 0\r\nFLN 1:bob@example.com 0:0\r\n",
        ),
    ]);
    assert!(
        events.contains(&Event::SignOn("sso"))
            && events.contains(&Event::Feature(feature::PRESENCE))
    );
    assert!(peers(&events).is_empty() && accounts(&events).is_empty());
}

#[test]
fn session_requests_name_the_feature_and_the_listener() {
    let request = "INVITE MSNMSGR:bob@example.com MSNSLP/1.0\r\nTo: <msnmsgr:bob@example.com>\r\nFrom: <msnmsgr:alice@example.com>\r\n\
        Content-Type: application/x-msnmsgr-sessionreqbody\r\n\r\nEUF-GUID: {A4268EEC-FEC5-49E5-95C3-F126696BDBF6}\r\nSessionID: 5\r\n\r\n\0";
    let answer = "MSNSLP/1.0 200 OK\r\nTo: <msnmsgr:alice@example.com>\r\n\r\nBridge: TCPv1\r\nListening: true\r\n\
        Ipv4Internal-Addrs: 192.0.2.30 198.51.100.7\r\nIpv4Internal-Port: 7001\r\n\r\n\0";
    let (first, second) = request.as_bytes().split_at(100);
    let total = request.len() as u64;
    let relay = |session, offset, total, data: &[u8]| {
        let mut body = version1(session, offset, total, 0, data);
        body.extend_from_slice(&[0; 4]);
        body
    };
    let kind = "application/x-msnmsgrp2p\r\nP2P-Dest: bob@example.com";
    let (_, _, events) = converse(&[
        turn(ToServer, "USR 1 alice@example.com d16b9543157a5efb1101\r\n"),
        (
            ToServer,
            message("MSG 2 D", kind, &relay(0, 0, total, first)),
        ),
        (
            ToServer,
            message("MSG 3 D", kind, &relay(0, 100, total, second)),
        ),
        (
            ToClient,
            message(
                "MSG bob@example.com Bob",
                kind,
                &relay(0, 0, answer.len() as u64, answer.as_bytes()),
            ),
        ),
    ]);
    assert!(events.contains(&Event::Feature(feature::IMAGES)));
    assert!(events.contains(&Event::Risk(risk::ADDRESS_REVEALED)));
    assert!(!events.contains(&Event::Feature(feature::FILE_TRANSFER)));
    // Bob listens: the client of this flow dials.
    for ip in [[192, 0, 2, 30], [198, 51, 100, 7]] {
        let target = Target::Address(ip.into(), Some(7001));
        assert!(events.contains(&Event::Redirect {
            target,
            format: P2P,
            opener: None,
            with: None,
            token: None,
        }));
    }
}
