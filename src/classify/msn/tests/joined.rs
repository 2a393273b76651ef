//! Streams that are joined in the middle, and what is missing of them.

use super::{ask, follow, message, peers, sessions::switchboard, verdict};
use crate::classify::msn::DETECTORS;
use crate::classify::stream::{Context, Stream};
use crate::classify::{Events, Probe, ProbeInput, Start};
use crate::model::Direction::{ToClient, ToServer};
use crate::model::{Event, Transport};

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
        assert_eq!(
            claimed(&bytes, Start::Joined, step),
            Some((offset, false)),
            "pieces of {step}"
        );
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

/// The place of the first claim in a stream searched from somewhere in the middle, in pieces of that size, and whether it is certain.
fn claimed(bytes: &[u8], start: Start, step: usize) -> Option<(usize, bool)> {
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
            Probe::Likely(claim) => return Some((claim.offset + dropped, false)),
            Probe::Certain(claim) => return Some((claim.offset + dropped, true)),
            Probe::No => return None,
        }
    }
    None
}

/// That place alone.
fn searched(bytes: &[u8], start: Start, step: usize) -> Option<usize> {
    claimed(bytes, start, step).map(|(at, _)| at)
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
