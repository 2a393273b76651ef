//! Whole streams, from the protocol's own rules. Lengths are computed, so that names can be changed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::chunk::tests::version1;
use super::{DETECTORS, HTTP};
use crate::classify::carrier::http::{RequestHead, ResponseHead};
use crate::classify::stream::{Context, Stream};
use crate::classify::{Claim, Events, Probe, ProbeInput, Start};
use crate::model::Direction::{self, ToClient, ToServer};
use crate::model::{Confidence, Event, Format, Target, Transport, feature, risk};

/// The detector that claimed, its claim, and whether it was certain.
type Verdict = Option<(usize, Claim, bool)>;

/// Asks every detector with growing input, as the engine does.
fn ask(
    bytes: &[u8],
    direction: Direction,
    start: Start,
    expected: Option<&'static str>,
    step: usize,
) -> Verdict {
    let mut verdict = None;
    for (index, detector) in DETECTORS.iter().enumerate() {
        let mut end = 0;
        let mut wanted = 1;
        while end < bytes.len() {
            end = (end + step).min(bytes.len());
            if end < wanted {
                continue;
            }
            let bytes = &bytes[..end];
            let wire_len = end;
            let input = ProbeInput {
                direction,
                bytes,
                start,
                wire_len,
                ended: false,
                server_port: 1863,
                expected,
                signatures: None,
            };
            let (claim, certain) = match detector.probe(&input) {
                Probe::No => break,
                Probe::NeedMore { from, total } => {
                    assert!(from <= end && total > end && (from == 0 || start != Start::Beginning));
                    wanted = total;
                    continue;
                }
                Probe::Likely(claim) => (claim, false),
                Probe::Certain(claim) => (claim, true),
            };
            assert!(
                verdict.is_none(),
                "two detectors claim {}",
                String::from_utf8_lossy(bytes)
            );
            verdict = Some((index, claim, certain));
            break;
        }
    }
    verdict
}

/// The same verdict for every cut.
fn verdict(bytes: &[u8], direction: Direction, start: Start) -> Verdict {
    let whole = ask(bytes, direction, start, None, bytes.len().max(1));
    for step in [1, 3] {
        assert_eq!(
            ask(bytes, direction, start, None, step),
            whole,
            "pieces of {step}"
        );
    }
    whole
}

fn is_nothing(bytes: &[u8]) {
    for start in [Start::Beginning, Start::Joined, Start::Later] {
        for direction in Direction::BOTH {
            assert_eq!(
                verdict(bytes, direction, start),
                None,
                "{start:?} {}",
                String::from_utf8_lossy(bytes)
            );
        }
    }
}

/// Follows a conversation cut in pieces.
fn follow(claim: (usize, &Claim), turns: &[(Direction, Vec<u8>)], step: usize) -> Vec<Event> {
    let mut dissector = DETECTORS[claim.0].dissector(claim.1);
    let mut out = Events::default();
    for (direction, bytes) in turns {
        for piece in bytes.chunks(step) {
            dissector.feed(*direction, piece, &mut out);
        }
    }
    dissector.end(&mut out);
    crate::classify::testing::facts(out.drain())
}

/// Verdict on the first turn and all events, the same for every cut.
fn converse(turns: &[(Direction, Vec<u8>)]) -> (Claim, bool, Vec<Event>) {
    let (direction, bytes) = &turns[0];
    let (index, claim, certain) = verdict(bytes, *direction, Start::Beginning).expect("a claim");
    let whole = follow((index, &claim), turns, 1 << 20);
    for step in [1, 3] {
        assert_eq!(
            follow((index, &claim), turns, step),
            whole,
            "pieces of {step}"
        );
    }
    (claim, certain, whole)
}

fn turn(direction: Direction, text: &str) -> (Direction, Vec<u8>) {
    (direction, text.as_bytes().to_vec())
}

fn accounts(events: &[Event]) -> Vec<&str> {
    events
        .iter()
        .filter_map(|e| {
            if let Event::Account(name) = e {
                Some(name.as_str())
            } else {
                None
            }
        })
        .collect()
}

fn peers(events: &[Event]) -> Vec<&str> {
    events
        .iter()
        .filter_map(|e| {
            if let Event::Peer(name) = e {
                Some(name.as_str())
            } else {
                None
            }
        })
        .collect()
}

fn confirmed(events: &[Event]) -> Option<&Format> {
    events.iter().find_map(|event| match event {
        Event::Identified {
            format,
            confidence: Confidence::Confirmed,
            ..
        } => Some(format),
        _ => None,
    })
}

fn message(head: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    let mut payload = format!("MIME-Version: 1.0\r\nContent-Type: {kind}\r\n\r\n").into_bytes();
    payload.extend_from_slice(body);
    let mut message = format!("{head} {}\r\n", payload.len()).into_bytes();
    message.extend_from_slice(&payload);
    message
}

/// A switchboard session in the shape of a captured one of 2006: it starts at transaction 93, tokens are
/// digits and dots, JOI ends in capabilities. A file offer is added.
fn switchboard() -> Vec<(Direction, Vec<u8>)> {
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
        format: super::FTP,
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
            format: super::P2P,
            opener: None,
            with: None,
            token: None,
        }));
    }
}

#[test]
fn a_stream_joined_in_a_message_is_found_at_the_next_command() {
    let mut bytes = b"the rest of a word\r\nand one more".to_vec();
    let offset = bytes.len();
    bytes.extend(message("MSG bob@example.com Bob", "text/plain", b"Hi"));
    for start in [Start::Joined, Start::Later] {
        let (index, claim, certain) = verdict(&bytes, ToServer, start).unwrap();
        assert_eq!(
            (claim.offset, claim.sender_is_client, certain),
            (offset, Some(false), false)
        );
        let events = follow((index, &claim), &[(ToServer, bytes[offset..].to_vec())], 3);
        assert_eq!(peers(&events), ["bob@example.com"]);
    }
    assert_eq!(verdict(&bytes, ToServer, Start::Beginning), None);
    // Dropping what is no longer needed changes nothing.
    for step in [1, 3, 7, bytes.len()] {
        let (mut start, mut dropped, mut found) = (Start::Joined, 0, None);
        for end in (1..=bytes.len()).filter(|end| end % step == 0 || *end == bytes.len()) {
            let input = ProbeInput {
                direction: ToServer,
                bytes: &bytes[dropped..end],
                start,
                wire_len: end - dropped,
                ended: false,
                server_port: 1863,
                expected: None,
                signatures: None,
            };
            match DETECTORS[0].probe(&input) {
                Probe::NeedMore { from: 0, .. } => {}
                Probe::NeedMore { from, .. } => (start, dropped) = (Start::Later, dropped + from),
                Probe::Likely(claim) => {
                    found = Some(claim.offset + dropped);
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(found, Some(offset), "pieces of {step}");
    }
}

#[test]
fn a_stream_joined_at_a_command_needs_two_or_a_signature() {
    let joined = |text: &str| {
        verdict(text.as_bytes(), ToClient, Start::Joined)
            .map(|(_, claim, certain)| (claim.format.role.unwrap(), certain))
    };
    assert_eq!(
        joined("NLN NLN bob@example.com Bob 0\r\nFLN carol@example.com\r\n"),
        Some(("notification", true))
    );
    assert_eq!(
        joined("FLN carol@example.com\r\nQNG 45\r\n"),
        Some(("notification", false))
    );
    assert_eq!(
        joined("XFR 10 SB 192.0.2.21:1863 CKI 17.20\r\n"),
        Some(("notification", false))
    );
    assert_eq!(
        joined("BYE bob@example.com\r\nJOI bob@example.com Bob\r\n"),
        Some(("switchboard", true))
    );
    assert_eq!(joined("PNG\r\nOUT\r\n"), None);
    assert_eq!(joined("ACK 3\r\nNAK 4\r\nACK 5\r\n"), None);
    assert_eq!(joined("FLN carol@example.com\r\n"), None);
    assert_eq!(joined("FLN carol@example.com\r\n220 ready\r\n"), None);
}

#[test]
fn http_joined_in_the_middle_is_left_to_its_carrier() {
    let head = "HTTP/1.1 200 OK\r\nX-MSN-Messenger: SessionID=1.2; GW-IP=192.0.2.40\r\n\r\n";
    let body = "USR 1 OK alice@example.com Alice\r\nJOI bob@example.com Bob\r\n";
    let context = Context {
        server_port: 80,
        expected: None,
    };
    for text in [
        format!("{head}{body}"),
        format!("of a page\r\n{head}{body}"),
    ] {
        let mut stream = Stream::new(Transport::Tcp, false);
        let mut out = Events::default();
        stream.feed(ToClient, text.as_bytes(), context, &mut out);
        stream.end_of(ToClient, context, &mut out);
        let formats: Vec<_> = out
            .drain()
            .filter_map(|event| match event {
                Event::Identified { format, .. } => Some(format.app_proto),
                _ => None,
            })
            .collect();
        assert!(
            !formats.is_empty() && !formats.contains(&"msnp"),
            "{formats:?}"
        );
    }
}

/// The first claim and its place in a stream searched from somewhere in the middle, in pieces of that size.
fn searched(bytes: &[u8], start: Start, step: usize) -> Option<usize> {
    let (mut start, mut dropped) = (start, 0);
    for end in (step..bytes.len() + step).step_by(step) {
        let end = end.min(bytes.len());
        let input = ProbeInput {
            direction: ToServer,
            bytes: &bytes[dropped..end],
            start,
            wire_len: end - dropped,
            ended: false,
            server_port: 1863,
            expected: None,
            signatures: None,
        };
        match DETECTORS[0].probe(&input) {
            Probe::NeedMore { from: 0, .. } => {}
            Probe::NeedMore { from, .. } => (start, dropped) = (Start::Later, dropped + from),
            Probe::Likely(claim) | Probe::Certain(claim) => return Some(claim.offset + dropped),
            Probe::No => return None,
        }
    }
    None
}

#[test]
fn a_search_does_not_depend_on_how_much_comes_at_once() {
    let chain = "VER 1 MSNP9 CVR0\r\nCVR 2 0x0409 winnt 5.1 i386 MSNMSGR 6.0.0602 MSMSGS alice@example.com\r\n";
    // What goes before the first command is no line end: the second one, alone, is too little.
    let inside = format!("\x01{chain}");
    // More than one looks at, merged by the network card.
    let far = format!("{}\r\n{chain}", "x".repeat(6000));
    // A word that begins a line of a message.
    let word = format!("GET me a coffee\r\n{chain}");
    for step in [1, 7, 1460, 65_536] {
        assert_eq!(
            searched(inside.as_bytes(), Start::Later, step),
            None,
            "{step}"
        );
        assert_eq!(
            searched(far.as_bytes(), Start::Later, step),
            Some(6002),
            "{step}"
        );
        assert_eq!(
            searched(word.as_bytes(), Start::Later, step),
            Some(17),
            "{step}"
        );
    }
}

#[test]
fn an_announced_transfer_may_be_met_at_a_block_in_pieces() {
    let block = [&[0, 0xFD, 0x07][..], &[0x5A; 2045]].concat();
    for step in [1, 2, 3, 1460] {
        let announced = ask(&block, ToClient, Start::Joined, Some("msnftp"), step);
        let (_, claim, certain) = announced.unwrap();
        assert_eq!((claim.format.app_proto, certain), ("msnftp", false));
        assert_eq!(ask(&block, ToClient, Start::Joined, None, step), None);
        assert_eq!(
            ask(&block, ToClient, Start::Beginning, Some("msnftp"), step),
            None
        );
    }
}

#[test]
fn after_a_gap_the_dissector_finds_its_place() {
    let turns = switchboard();
    let (index, claim, _) = verdict(&turns[0].1, ToServer, Start::Beginning).unwrap();
    let mut dissector = DETECTORS[index].dissector(&claim);
    let mut out = Events::default();
    dissector.feed(ToServer, &turns[0].1, &mut out);
    dissector.gap(ToServer, 5000, &mut out);
    dissector.feed(
        ToServer,
        b"xt of a lost message\r\nMSG to bob 12\r\nlast wordCAL 99 dave@example.com\r\n",
        &mut out,
    );
    let events: Vec<_> = crate::classify::testing::facts(out.drain());
    assert_eq!(peers(&events), ["dave@example.com"]);
}

#[test]
fn msnftp_is_not_a_notification_server() {
    let mut block = vec![0, 21, 0];
    block.extend_from_slice(&[b'x'; 21]);
    block.extend_from_slice(&[1, 0, 0]);
    let turns = [
        turn(ToServer, "VER MSNFTP\r\n"),
        turn(ToClient, "VER MSNFTP\r\n"),
        turn(ToServer, "USR bob@example.com 93301\r\n"),
        turn(ToClient, "FIL 21\r\n"),
        turn(ToServer, "TFR\r\n"),
        (ToClient, block),
        turn(ToServer, "BYE 16777989\r\n"),
    ];
    let (claim, certain, events) = converse(&turns);
    assert_eq!(
        (claim.format, claim.sender_is_client, certain),
        (super::FTP, None, false)
    );
    assert_eq!(confirmed(&events), Some(&super::FTP));
    assert_eq!(accounts(&events), ["bob@example.com"]);
    assert!(
        events.contains(&Event::Risk(risk::FILE_TRANSFER))
            && events.contains(&Event::ClientIs(ToServer))
    );
    let listener: Vec<_> = turns
        .iter()
        .filter(|(direction, _)| *direction == ToClient)
        .cloned()
        .collect();
    assert_eq!(confirmed(&converse(&listener).2), Some(&super::FTP));
    // Trillian puts words before the name.
    assert_eq!(
        verdict(b"VER 1 MSNFTP\r\n", ToServer, Start::Beginning)
            .unwrap()
            .1
            .format,
        super::FTP
    );
    // The lines behind the version are too weak, unless the connection was announced.
    assert_eq!(verdict(b"FIL 21\r\n", ToClient, Start::Joined), None);
    assert!(ask(b"FIL 21\r\n", ToClient, Start::Joined, Some("msnftp"), 1).is_some());
}

#[test]
fn a_direct_connection_is_known_by_its_first_unit() {
    let unit = |chunk: Vec<u8>| [(chunk.len() as u32).to_le_bytes().to_vec(), chunk].concat();
    let hello = unit(b"foo\0".to_vec());
    let nonce = unit(version1(0, 0, 0, 0x100, b""));
    let text = "INVITE MSNMSGR:bob@example.com MSNSLP/1.0\r\nTo: <msnmsgr:bob@example.com>\r\nFrom: <msnmsgr:alice@example.com>\r\n\r\n\
        EUF-GUID: {5D3E02AB-6190-11D3-BBBB-00C04F795683}\r\n\r\n\0";
    let request = unit(version1(0, 0, text.len() as u64, 0, text.as_bytes()));
    let data = unit(version1(5, 0, 8, 0x0100_0030, b"abcd"));
    let rest = unit(version1(5, 4, 8, 0x0100_0030, b"efgh"));
    let turns = [
        (ToServer, [hello, nonce.clone()].concat()),
        (ToClient, nonce.clone()),
        (ToServer, request.clone()),
        (ToServer, data.clone()),
    ];
    let (claim, _, events) = converse(&turns);
    assert_eq!(
        (claim.format, claim.sender_is_client),
        (super::P2P, Some(true))
    );
    assert_eq!(confirmed(&events), Some(&super::P2P));
    assert_eq!(
        (accounts(&events), peers(&events)),
        (vec!["alice@example.com"], vec!["bob@example.com"])
    );
    assert!(events.contains(&Event::Feature(feature::DIRECT_CONNECTION)));
    assert!(events.contains(&Event::Feature(feature::FILE_TRANSFER)));
    // The listener's half, and connections joined in the middle.
    assert!(verdict(&nonce, ToClient, Start::Beginning).is_some());
    assert!(verdict(&request, ToServer, Start::Joined).is_some());
    assert!(verdict(&[data.clone(), rest].concat(), ToServer, Start::Joined).is_some());
    assert_eq!(
        verdict(&[data.clone(), data].concat(), ToServer, Start::Joined),
        None
    );
    // A second version nonce is 16 random bytes.
    let second = unit(vec![0xA5; 16]);
    assert_eq!(verdict(&second, ToClient, Start::Beginning), None);
    assert!(ask(&second, ToClient, Start::Beginning, Some("msn-p2p"), 1).is_some());
}

#[test]
fn webcam_streams() {
    let mut picture = vec![0x18, 0, 64, 1, 240, 0, 1, 0, 16, 0, 0, 0];
    picture.extend_from_slice(b"ML20\x01\0\0\0\x02\0\0\0");
    picture.extend_from_slice(&[7; 16]);
    let turns = [
        turn(ToServer, "recipientid=97&sessionid=2001\r\n\r\n"),
        turn(ToClient, "connected\r\n\r\n"),
        turn(ToServer, "connected\r\n\r\n"),
        (ToClient, picture.clone()),
    ];
    let (claim, _, events) = converse(&turns);
    assert_eq!(
        (claim.format, claim.sender_is_client),
        (super::CAM_PEER, Some(true))
    );
    assert_eq!(confirmed(&events), Some(&super::CAM_PEER));
    assert!(events.contains(&Event::Feature(feature::VIDEO)));
    let listener = [b"connected\r\n\r\n".to_vec(), picture.clone()].concat();
    assert_eq!(
        verdict(&listener, ToClient, Start::Beginning)
            .unwrap()
            .1
            .sender_is_client,
        Some(false)
    );
    assert!(verdict(&picture, ToClient, Start::Joined).is_some());
    for text in ["PROD 77 TSP/1.0\r\n\r\n", "VIEW 77 TSP/1.0\r\n\r\n"] {
        let (claim, _, events) = converse(&[
            turn(ToServer, text),
            turn(ToClient, "TSP/1.0 200 OK\r\n\r\n"),
        ]);
        assert_eq!(claim.format, super::CAM_REFLECTOR);
        assert_eq!(confirmed(&events), Some(&super::CAM_REFLECTOR));
    }
    is_nothing(b"recipientid=97&session=1\r\n\r\n");
    is_nothing(b"connected\r\n\r\nand now something else, long enough");
    is_nothing(b"VIEW /index.html HTTP/1.1\r\nHost: example.com\r\n\r\n");
    is_nothing(b"RTSP/1.0 200 OK\r\n\r\n");
}

#[test]
fn other_protocols_are_not_msn() {
    for text in [
        "USER alice\r\nPASS x\r\n",
        "VRFY x\r\n",
        "MSG hello\r\n",
        "VER 1.0\r\n",
        "VER 1\r\nVER 2\r\n",
        // NATS
        "INFO {\"server_id\":\"x\"}\r\nPING\r\n+OK\r\n",
        "MSG chat.room 9 11\r\nHello World\r\nMSG chat.room 9 2\r\nok\r\nPING\r\n",
        "MSG alice@example.com 9 40\r\nMIME-Version: 1.0 is what mail begins with\r\n",
        "PUB chat 5\r\nhello\r\nSUB chat 1\r\n",
        // SIP, HTTP, RTSP
        "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1\r\n\r\n",
        "ACK sip:bob@example.com SIP/2.0\r\n\r\n",
        "BYE sip:bob@example.com SIP/2.0\r\nCSeq: 1 BYE\r\n\r\n",
        "POST /gateway/gateway.dll HTTP/1.1\r\nContent-Length: 19\r\n\r\nVER 1 MSN18 CVR0\r\n",
        // FTP, SMTP, NNTP, POP3, IRC: commands and replies
        "220 ready\r\n331 send it\r\n230 in\r\n",
        "221 7\r\n500 8\r\n211 12\r\n",
        "EHLO example.com\r\nMAIL FROM:<alice@example.com>\r\nRCPT TO:<bob@example.com>\r\n",
        "MODE READER\r\nGROUP misc.test\r\n211 5 1 5 misc.test\r\nXHDR 1\r\n",
        "USER alice\r\nLIST\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n",
        "NICK alice\r\nUSER alice 0 * :Alice\r\nJOIN #room\r\nPRIVMSG #room :MSG 1 N 5\r\n",
        "PWD\r\nCWD x\r\nACT 1\r\n",
        // A mail about the protocol: one quoted line proves nothing.
        "From: alice@example.com\r\n\r\nThe client says\r\nUSR 1 alice@example.com 17.20\r\nand waits.\r\n",
        // RDP, TLS
        "\x03\0\0\x13\x0e\u{60}\0\0\0\0\0\x01\0\x08\0\0\0\0\0",
        "\x16\x03\x01\0\x50\x01\0\0\x4c\x03\x03",
    ] {
        is_nothing(text.as_bytes());
    }
}

#[test]
fn other_traffic_is_refused_within_eight_bytes() {
    for text in [
        "GET / HT",
        "HTTP/1.1",
        "SSH-2.0-",
        "USER ali",
        "220 smtp",
        "VER MSN1",
        "MSG\tabc ",
        "POST /ga",
        "INVITE s",
    ] {
        let bytes = text.as_bytes();
        let input = ProbeInput {
            direction: ToServer,
            bytes,
            start: Start::Beginning,
            wire_len: 8,
            ended: false,
            server_port: 1863,
            expected: None,
            signatures: None,
        };
        assert_eq!(DETECTORS[0].probe(&input), Probe::No, "{text}");
    }
}

#[test]
fn random_bytes_are_nothing_and_harm_nothing() {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let words: [&[u8]; 12] = [
        b"MSG ",
        b"\r\n",
        b"USR 1 ",
        b"a@b ",
        b"\x04\0\0\0",
        b"foo\0",
        b"30\r\n",
        b"MIME-Version: 1.0\r\n",
        b"\x30\0\0\0",
        b"UBX ",
        b"99999999999",
        b" ",
    ];
    let claim = |format: &Format| super::claim(format.clone(), None, "test", "test");
    let formats = [super::SWITCHBOARD, super::FTP, super::P2P, super::CAM_PEER];
    for round in 0..12 {
        let noise: Vec<u8> = (0..1500).map(|_| random() as u8).collect();
        is_nothing(&noise);
        let mut soup = Vec::new();
        while soup.len() < 1500 {
            let pick = random() as usize;
            if round % 2 == 0 {
                soup.extend_from_slice(words[pick % words.len()]);
            } else {
                soup.push(pick as u8);
            }
        }
        for (index, format) in formats.iter().enumerate() {
            let mut dissector = DETECTORS[index].dissector(&claim(format));
            let mut out = Events::default();
            for piece in soup.chunks(97) {
                let direction = if random() % 2 == 0 {
                    ToServer
                } else {
                    ToClient
                };
                dissector.feed(direction, piece, &mut out);
                if random() % 8 == 0 {
                    dissector.gap(direction, random() % 3000, &mut out);
                }
            }
            dissector.end(&mut out);
            assert!(accounts(out.as_ref()).iter().all(|name| name.contains('@')));
        }
    }
}

const TYPE: (&str, &[u8]) = ("Content-Type", b"application/x-msn-messenger");

#[test]
fn the_gateway_is_known_by_path_query_type_and_header() {
    let ask = |method, target, headers, body: &[u8]| {
        HTTP[0]
            .request(
                &RequestHead {
                    method,
                    target,
                    headers,
                },
                body,
            )
            .map(|(_, certain)| certain)
    };
    let open = "http://gateway.messenger.hotmail.com/gateway/gateway.dll?Action=open&Server=NS&IP=messenger.hotmail.com";
    assert_eq!(
        ask("POST", open, &[TYPE], b"VER 1 MSNP15 CVR0\r\n"),
        Some(true)
    );
    assert_eq!(ask("POST", open, &[], b""), Some(false));
    assert_eq!(
        ask(
            "POST",
            "/gateway/gateway.dll?Action=poll&SessionID=1.2",
            &[TYPE],
            b""
        ),
        Some(true)
    );
    assert_eq!(
        ask("POST", "/gateway/gateway.dll", &[TYPE], b""),
        Some(false)
    );
    assert_eq!(
        ask("POST", "/gateway/gateway.dll?Action=delete", &[], b""),
        None
    );
    assert_eq!(
        ask(
            "POST",
            "/gateway/gateway.dll",
            &[],
            b"VER 1 MSNP15 CVR0\r\n"
        ),
        None
    );
    assert_eq!(ask("GET", open, &[TYPE], b""), None);
    assert_eq!(
        ask(
            "POST",
            "/other/gateway/gateway.dll?SessionID=1.2",
            &[TYPE],
            b""
        ),
        None
    );
    let answer = |headers, body: &[u8]| {
        HTTP[0]
            .response(
                &ResponseHead {
                    status: 200,
                    asked: None,
                    headers,
                },
                body,
            )
            .map(|(_, certain)| certain)
    };
    assert_eq!(
        answer(
            &[("x-msn-messenger", b"SessionID=1.2; GW-IP=192.0.2.40")],
            b""
        ),
        Some(true)
    );
    assert_eq!(answer(&[TYPE], b"VER 1 MSNP15\r\n"), Some(true));
    assert_eq!(answer(&[TYPE], b""), Some(false));
    assert_eq!(
        answer(&[("Content-Type", b"text/html")], b"VER 1 MSNP15\r\n"),
        None
    );
}

#[test]
fn the_gateway_carries_several_commands_or_none() {
    let request = RequestHead {
        method: "POST",
        target: "/gateway/gateway.dll?SessionID=1.2",
        headers: &[TYPE],
    };
    let headers = [
        TYPE,
        (
            "X-MSN-Messenger",
            b"SessionID=1.3; GW-IP=gw.example.com".as_slice(),
        ),
    ];
    let response = ResponseHead {
        status: 200,
        asked: None,
        headers: &headers,
    };
    let chat = message("MSG bob@example.com Bob", "text/plain", b"Hi");
    let up = b"USR 1 alice@example.com 036313f366dc3215d07b\r\nCAL 2 bob@example.com\r\n";
    let down = [
        b"USR 1 OK alice@example.com Alice\r\nJOI bob@example.com Bob\r\n".as_slice(),
        &chat,
    ]
    .concat();
    for side in [(true, true), (true, false), (false, true)] {
        let mut whole = None;
        for step in [1 << 20, 1, 3] {
            let mut dissector = HTTP[0].dissector(Direction::ToServer);
            let mut out = Events::default();
            for _ in 0..2 {
                if side.0 {
                    dissector.request(&request, &mut out);
                    up.chunks(step)
                        .for_each(|piece| dissector.request_body(piece, &mut out));
                    // A poll, and a body that was cut short: neither may disturb the next one.
                    dissector.request(&request, &mut out);
                    dissector.request_body(b"MSG 3 N 500\r\nMIME", &mut out);
                }
                if side.1 {
                    dissector.response(&response, &mut out);
                    down.chunks(step)
                        .for_each(|piece| dissector.response_body(piece, &mut out));
                    dissector.response(&response, &mut out);
                }
            }
            let events: Vec<_> = crate::classify::testing::facts(out.drain());
            assert_eq!(
                whole.get_or_insert_with(|| events.clone()),
                &events,
                "pieces of {step}"
            );
        }
        let events = whole.unwrap();
        assert_eq!(
            (accounts(&events), peers(&events)),
            (vec!["alice@example.com"], vec!["bob@example.com"])
        );
        assert_eq!(confirmed(&events), Some(&super::GATEWAY));
        assert!(events.contains(&Event::Feature(feature::HTTP)));
        assert_eq!(events.contains(&Event::Feature(feature::MESSAGE)), side.1);
        let target = Target::Host("gw.example.com".to_owned(), None);
        let next = Event::Redirect {
            target,
            format: super::GATEWAY,
            opener: None,
            with: None,
            token: None,
        };
        assert_eq!(events.contains(&next), side.1);
    }
}

#[test]
fn a_command_may_go_on_in_another_connection_of_its_session() {
    let chat = message("MSG bob@example.com Bob", "text/plain", b"lunch at noon?");
    let (first, rest) = chat.split_at(50);
    let told = |bodies: [(&str, &[u8]); 3]| {
        let mut out = Events::default();
        bodies.map(|(session, body)| {
            let headers = [TYPE, ("X-MSN-Messenger", session.as_bytes())];
            let response = ResponseHead {
                status: 200,
                asked: None,
                headers: &headers,
            };
            let mut dissector = HTTP[0].dissector(Direction::ToServer);
            dissector.response(&response, &mut out);
            dissector.response_body(body, &mut out);
            out.drain()
                .any(|event| event == Event::Peer("bob@example.com".to_owned()))
        })
    };
    let (mine, other) = ("SessionID=1.2", "SessionID=2.2");
    assert_eq!(
        told([(mine, first), (other, b"QNG 50\r\n"), (mine, rest)]),
        [false, false, true]
    );
    // The rest is another session's, or was not captured.
    assert_eq!(
        told([(mine, first), (other, rest), (other, b"QNG 50\r\n")]),
        [false; 3]
    );
    let joins: &[u8] = b"JOI bob@example.com Bob 268435508\r\n";
    assert_eq!(
        told([(mine, &chat[..60]), (other, b""), (mine, joins)]),
        [false, false, true]
    );
}
