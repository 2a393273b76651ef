//! What a stream is, from either side, from the start and from the middle.

use super::streams::*;
use super::{decide, input};
use crate::classify::oscar::detector::Flap;
use crate::classify::{Detector, Probe, ProbeInput, Start};

struct Case {
    what: &'static str,
    stream: Vec<u8>,
    start: Start,
    certain: bool,
    proto: &'static str,
    role: Option<&'static str>,
    client: Option<bool>,
}

fn cases() -> Vec<Case> {
    let case = |what, start, stream: &[Vec<u8>], certain, proto, role, client| Case {
        what,
        stream: stream.concat(),
        start,
        certain,
        proto,
        role,
        client,
    };
    let (begin, joined, later) = (Start::Beginning, Start::Joined, Start::Later);
    let (auth, bos, session, peer) = (
        Some("authoriser"),
        Some("bos"),
        Some("session"),
        Some("peer"),
    );
    let (client, server) = (Some(true), Some(false));
    let junk = || b"the end * of some *\x02\0\0\0\xFFunit".to_vec();
    let icons = || data(9, 0x10, 5, &vec![0x47; 25_805]);
    vec![
        case(
            "MD5 sign-on, client alone",
            begin,
            &[hello(1), key_request()],
            true,
            "oscar",
            auth,
            client,
        ),
        case(
            "MD5 sign-on, server alone",
            begin,
            &[hello(0x202F), key_answer()],
            true,
            "oscar",
            auth,
            server,
        ),
        case(
            "session, server alone",
            begin,
            &[server_hello(), data(2, 1, 3, &[0, 1, 0, 4])],
            true,
            "oscar",
            None,
            server,
        ),
        case(
            "cookie",
            begin,
            &[cookie_hello()],
            true,
            "oscar",
            None,
            client,
        ),
        case(
            "password under XOR",
            begin,
            &[roast_hello()],
            true,
            "oscar",
            auth,
            client,
        ),
        case(
            "its answer in channel 4",
            begin,
            &[hello(1), channel_4_answer()],
            true,
            "oscar",
            auth,
            server,
        ),
        case(
            "the answer alone",
            joined,
            &[channel_4_answer()],
            false,
            "oscar",
            auth,
            server,
        ),
        case(
            "icons after the hello",
            begin,
            &[hello(1), icons()],
            true,
            "oscar",
            Some("service"),
            server,
        ),
        case(
            "joined at a long frame",
            joined,
            &[icons(), dull(2)],
            false,
            "oscar",
            Some("service"),
            server,
        ),
        case(
            "joined at a keep-alive",
            joined,
            &[flap(5, 0x60, &[]), message_to("bob")],
            true,
            "oscar",
            bos,
            client,
        ),
        case(
            "joined at a message out",
            joined,
            &[message_to("bob")],
            true,
            "oscar",
            bos,
            client,
        ),
        case(
            "joined at a message in",
            joined,
            &[message_from("bob")],
            true,
            "oscar",
            bos,
            server,
        ),
        case(
            "joined at a file offer",
            joined,
            &[file_offer()],
            true,
            "oscar",
            bos,
            client,
        ),
        case(
            "joined, one dull unit",
            joined,
            &[dull(1)],
            false,
            "oscar",
            bos,
            client,
        ),
        case(
            "joined, two dull units",
            joined,
            &[dull(1), dull(2)],
            true,
            "oscar",
            bos,
            client,
        ),
        case(
            "a unit and a keep-alive",
            joined,
            &[dull(1), flap(5, 2, &[])],
            true,
            "oscar",
            bos,
            client,
        ),
        case(
            "keep-alives",
            joined,
            &[flap(5, 8, &[]), flap(5, 9, &[]), flap(5, 10, &[])],
            false,
            "oscar",
            None,
            None,
        ),
        case(
            "in the middle of a unit",
            joined,
            &[junk(), dull(1), dull(9)],
            true,
            "oscar",
            bos,
            client,
        ),
        case(
            "behind a gap",
            later,
            &[junk(), message_from("bob")],
            true,
            "oscar",
            bos,
            server,
        ),
        case(
            "TOC, client alone",
            begin,
            &[toc_client()],
            true,
            "toc",
            session,
            client,
        ),
        case(
            "TOC, greeting alone",
            begin,
            &[b"FLAPON\r\n\r\n".to_vec()],
            false,
            "toc",
            session,
            client,
        ),
        case(
            "TOC, server alone",
            begin,
            &[hello(1), toc_line("SIGN_ON:TOC1.0")],
            true,
            "toc",
            session,
            server,
        ),
        case(
            "TOC, joined at the client",
            joined,
            &[toc_line("toc_send_im bob \"hi\"\0")],
            true,
            "toc",
            session,
            client,
        ),
        case(
            "TOC, joined at the server",
            joined,
            &[toc_line("IM_IN:bob:F:hi")],
            false,
            "toc",
            session,
            server,
        ),
        case(
            "TOC2, middle",
            later,
            &[junk(), toc_line("toc2_send_im bob \"hi\"\0")],
            true,
            "toc",
            session,
            client,
        ),
        case(
            "file, from the sender",
            begin,
            &[oft(0x0101, 9, 0)],
            true,
            "oft",
            peer,
            None,
        ),
        case(
            "file, from the receiver",
            begin,
            &[oft(0x0202, 9, 0)],
            true,
            "oft",
            peer,
            None,
        ),
        case(
            "end of a file",
            later,
            &[vec![b'O'; 500], oft(0x0204, 9, 0)],
            true,
            "oft",
            peer,
            None,
        ),
        case(
            "direct IM",
            begin,
            &[odc("alice", b"")],
            true,
            "odc",
            peer,
            None,
        ),
        case(
            "direct IM, middle",
            joined,
            &[b"<HTML>OD".to_vec(), odc("alice", b"")],
            true,
            "odc",
            peer,
            None,
        ),
        case(
            "proxy, client alone",
            begin,
            &[ars_create()],
            true,
            "ars",
            Some("proxy"),
            client,
        ),
        case(
            "proxy, server alone",
            begin,
            &[ars_created()],
            false,
            "ars",
            Some("proxy"),
            server,
        ),
    ]
}

#[test]
fn streams_are_named_however_they_are_cut() {
    for case in cases() {
        for cut in [case.stream.len(), 1, 3, 7, 1460] {
            let what = format!("{}, cut into {cut}", case.what);
            let decision =
                decide(&case.stream, case.start, cut).unwrap_or_else(|| panic!("{what}: missed"));
            assert_eq!(decision.certain, case.certain, "{what}");
            assert_eq!(decision.claim.format.app_proto, case.proto, "{what}");
            assert_eq!(decision.claim.format.role, case.role, "{what}");
            assert_eq!(decision.claim.sender_is_client, case.client, "{what}");
            let service = if case.proto == "toc" { "aim" } else { "oscar" };
            assert_eq!(
                decision.claim.format.service.unwrap().id(),
                service,
                "{what}"
            );
        }
    }
}

/// The contract: what is recognised in a long input is undecided or recognised alike in each beginning.
#[test]
fn no_beginning_of_a_stream_is_refused() {
    for case in cases() {
        let at_once = decide(&case.stream, case.start, case.stream.len()).unwrap();
        for len in 0..case.stream.len().min(600) {
            match at_once
                .detector
                .probe(&input(&case.stream[..len], case.start, false))
            {
                Probe::No => panic!("{}: refused at {len}", case.what),
                Probe::NeedMore { from, total } => {
                    assert!(
                        from <= at_once.claim.offset && total > len,
                        "{} at {len}",
                        case.what
                    );
                }
                Probe::Likely(claim) | Probe::Certain(claim) => {
                    assert_eq!(claim, at_once.claim, "{} at {len}", case.what);
                }
            }
        }
    }
}

#[test]
fn a_frame_behind_another_unit_is_fed_from_its_first_byte() {
    let stream = [b"tail of a unit".to_vec(), dull(1), dull(2)].concat();
    assert_eq!(decide(&stream, Start::Joined, 1).unwrap().claim.offset, 14);
}

#[test]
fn sequence_gaps_do_not_matter() {
    let stream = [dull(0xFFFF), dull(48), dull(3)].concat();
    assert!(decide(&stream, Start::Joined, 5).unwrap().certain);
}

#[test]
fn a_hello_counts_where_oscar_was_announced() {
    let stream = hello(1);
    let expected = ProbeInput {
        expected: Some("oscar"),
        ..input(&stream, Start::Beginning, false)
    };
    assert!(matches!(Flap.probe(&expected), Probe::Likely(_)));
    let expected = ProbeInput {
        bytes: &stream[..9],
        ..expected
    };
    assert!(matches!(Flap.probe(&expected), Probe::NeedMore { .. }));
}

/// Other programs of AOL's used FLAP too, so frames without a unit prove nothing.
#[test]
fn hellos_alone_are_not_named() {
    let streams = [
        hello(1),
        server_hello(),
        [hello(1), flap(4, 2, &[])].concat(),
        [hello(1), flap(5, 2, &[]), flap(5, 3, &[])].concat(),
        [server_hello(), flap(4, 2, &tlv(9, &[0, 1]))].concat(),
        flap(1, 1, &[&[0, 0, 0, 1][..], &tlv(1, b"alice")].concat()),
    ];
    for stream in streams {
        for start in [Start::Beginning, Start::Joined, Start::Later] {
            assert!(decide(&stream, start, 3).is_none(), "{stream:02x?}");
            let open = Flap.probe(&input(&stream, start, false));
            assert!(
                matches!(open, Probe::NeedMore { .. }),
                "the next frame may tell: {stream:02x?}"
            );
        }
    }
}
