//! IPv4 and IPv6.

use super::build::{
    ACK, TCP, UDP, authentication, ethernet, extension, fragment, ipv4, ipv4_with, ipv6, ipv6_with,
    jumbo, routing, tcp, udp,
};
use super::{ignored, meta, packet};
use imwarden::model::LinkType;
use imwarden::packet::{Decoded, Reason, decode};

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const ESP: u8 = 50;
const AUTHENTICATION: u8 = 51;
const NO_NEXT: u8 = 59;
const DESTINATION: u8 = 60;
const MOBILITY: u8 = 135;
const HIP: u8 = 139;
const SHIM6: u8 = 140;

#[test]
fn addresses_and_options() {
    let frame = ipv4(UDP, &udp(b"x"));
    let plain = packet(LinkType::RAW, &frame);
    assert_eq!(plain.src.to_string(), "10.0.0.5:50211");
    assert_eq!(plain.dst.to_string(), "192.0.2.9:4000");
    // Router alert, and the longest options there can be.
    for options in [vec![0x94, 4, 0, 0], vec![1; 40]] {
        let frame = ipv4_with(UDP, &options, 0, None, &udp(b"x"));
        assert_eq!(packet(LinkType::RAW, &frame).payload, b"x");
    }
    let frame = ipv6(UDP, &udp(b"x"));
    assert_eq!(
        packet(LinkType::RAW, &frame).src.to_string(),
        "[2001:db8::5]:50211"
    );
    assert_eq!(
        packet(LinkType::RAW, &frame).dst.to_string(),
        "[2001:db8::9]:4000"
    );
}

#[test]
fn ipv6_extension_headers_in_any_order_and_length() {
    let inner = || udp(b"deep");
    let chain = extension(
        ROUTING,
        0,
        &extension(
            DESTINATION,
            2,
            &fragment(
                AUTHENTICATION,
                0,
                false,
                &authentication(DESTINATION, &extension(UDP, 1, &inner())),
            ),
        ),
    );
    assert_eq!(
        packet(LinkType::RAW, &ipv6(HOP_BY_HOP, &chain)).payload,
        b"deep"
    );
    // The longest one: 8 + 255 * 8 bytes.
    assert_eq!(
        packet(
            LinkType::RAW,
            &ipv6(DESTINATION, &extension(UDP, 255, &inner()))
        )
        .payload,
        b"deep"
    );
    assert_eq!(
        packet(LinkType::RAW, &ipv6(MOBILITY, &extension(UDP, 0, &inner()))).payload,
        b"deep"
    );
    let many = (0..100).fold((UDP, inner()), |(next, payload), _| {
        (DESTINATION, extension(next, 0, &payload))
    });
    assert_eq!(
        packet(LinkType::RAW, &ipv6(many.0, &many.1)).payload,
        b"deep"
    );
}

#[test]
fn an_extension_header_longer_than_the_packet_is_malformed() {
    let lying = extension(UDP, 0, &udp(b"x"));
    let mut lying = ipv6(DESTINATION, &lying);
    lying[41] = 9;
    assert_eq!(ignored(LinkType::RAW, &lying), Reason::Malformed);
}

#[test]
fn authentication_does_not_hide_ipv4_payload() {
    let frame = ipv4(
        AUTHENTICATION,
        &authentication(TCP, &tcp(ACK, &[], b"data")),
    );
    assert_eq!(packet(LinkType::RAW, &frame).payload, b"data");
    let mut zero = frame.clone();
    // An authentication header cannot be shorter than 12 bytes.
    zero[21] = 0;
    assert_eq!(ignored(LinkType::RAW, &zero), Reason::Malformed);
}

#[test]
fn hop_by_hop_options_follow_the_ipv6_header_only() {
    // RFC 8200 section 4.1: a receiver that meets a 0 anywhere else drops the packet.
    let frame = ipv6(
        DESTINATION,
        &extension(HOP_BY_HOP, 0, &extension(UDP, 0, &udp(b"x"))),
    );
    assert_eq!(ignored(LinkType::RAW, &frame), Reason::Malformed);
    let twice = ipv6(
        HOP_BY_HOP,
        &extension(HOP_BY_HOP, 0, &extension(UDP, 0, &udp(b"x"))),
    );
    assert_eq!(ignored(LinkType::RAW, &twice), Reason::Malformed);
}

#[test]
fn what_follows_hip_and_shim6_headers_is_found() {
    for next in [HIP, SHIM6] {
        let frame = ipv6(next, &extension(TCP, 3, &tcp(ACK, &[], b"data")));
        assert_eq!(packet(LinkType::RAW, &frame).payload, b"data");
    }
}

#[test]
fn nothing_is_looked_for_behind_esp_and_no_next_header() {
    // What follows looks like UDP, but is not.
    for next in [ESP, NO_NEXT] {
        let frame = ipv6(DESTINATION, &extension(next, 0, &udp(b"x")));
        assert_eq!(
            ignored(LinkType::RAW, &frame),
            Reason::UnsupportedIpProtocol
        );
    }
}

#[test]
fn a_packet_on_its_way_through_stops_is_for_the_last_one() {
    // On the wire the destination is the next stop; the answer will come from the last one.
    for (kind, segments_left, stops, last) in [
        (0, 2, &[0x21, 0x22][..], 0x22),
        (2, 1, &[0x31][..], 0x31),
        // Segment routing: from the last to the first.
        (4, 1, &[0x41, 0x42, 0x43][..], 0x41),
        // Arrived.
        (0, 0, &[0x21, 0x22][..], 9),
        (4, 0, &[0x41, 0x42][..], 9),
        // More stops to come than there are, none at all, and a type that hides them.
        (0, 3, &[0x21, 0x22][..], 9),
        (4, 1, &[][..], 9),
        (3, 1, &[0x51][..], 9),
    ] {
        let frame = ipv6(
            ROUTING,
            &routing(UDP, kind, segments_left, stops, &udp(b"x")),
        );
        let packet = packet(LinkType::RAW, &frame);
        let expected = std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last);
        assert_eq!(packet.dst.ip, expected, "type {kind}, {segments_left} left");
        assert_eq!(packet.payload, b"x");
    }
}

#[test]
fn a_jumbogram_is_as_long_as_its_option_says() {
    let data = vec![0x2a; 70_000];
    let segment = tcp(ACK, &[], &data);
    let length = u32::try_from(8 + segment.len()).unwrap();
    let mut frame = ipv6_with(HOP_BY_HOP, 0, &jumbo(TCP, length, &segment));
    frame.extend([0; 6]);
    assert_eq!(packet(LinkType::RAW, &frame).payload, data);
    // A tool that cut the frame and forgot how long it was.
    let short = packet(LinkType::RAW, &frame[..200]);
    assert_eq!((short.payload.len(), short.cut), (132, 70_000 - 132));
    // PadN before the option, which then sits in a second unit of 8 bytes.
    let padded = [
        &[TCP, 1, 1, 4, 0, 0, 0, 0, 0xc2, 4][..],
        &(length + 8).to_be_bytes(),
        &[0, 0],
        &segment,
    ]
    .concat();
    let mut padded = ipv6_with(HOP_BY_HOP, 0, &padded);
    padded.extend([0; 6]);
    assert_eq!(packet(LinkType::RAW, &padded).payload, data);
    // What fits into the header's own field must be there (RFC 2675 section 3).
    let small = ipv6_with(HOP_BY_HOP, 0, &jumbo(UDP, 17, &udp(b"x")));
    assert_eq!(ignored(LinkType::RAW, &small), Reason::Malformed);
}

#[test]
fn fragments_are_told_apart_from_whole_datagrams() {
    let whole = ipv4_with(UDP, &[], 0x4000, None, &udp(b"x"));
    assert_eq!(packet(LinkType::RAW, &whole).payload, b"x");
    // First and last at once is whole ("atomic", RFC 6946).
    let atomic = ipv6(FRAGMENT, &fragment(UDP, 0, false, &udp(b"x")));
    assert_eq!(packet(LinkType::RAW, &atomic).payload, b"x");
    // More fragments; a later one; the last one.
    for (offset, more) in [(0, true), (185, true), (185, false)] {
        let field = offset | if more { 0x2000 } else { 0 };
        let v4 = ipv4_with(17, &[1; 8], field, None, &[7; 16]);
        let v6 = extension(FRAGMENT, 1, &fragment(17, offset, more, &[7; 16]));
        let v6 = ipv6(DESTINATION, &v6);
        for (frame, identification) in [(v4, 0x1234), (v6, 1)] {
            let Decoded::Fragment(piece) = decode(meta(LinkType::RAW, frame.len()), &frame) else {
                panic!("{offset} {more}")
            };
            assert_eq!(piece.identification, identification);
            assert_eq!((piece.offset, piece.more), (usize::from(offset) * 8, more));
            assert_eq!((piece.payload, piece.cut), (&[7; 16][..], 0));
            assert_eq!((piece.protocol, piece.meta.number), (17, 7));
            assert!(piece.path.iter().next().is_none());
        }
    }
}

#[test]
fn fragments_that_no_receiver_takes_are_malformed() {
    let v4 = |field, length: usize| ipv4_with(UDP, &[], field, None, &vec![7; length]);
    let v6 = |offset, more, length| ipv6(FRAGMENT, &fragment(UDP, offset, more, &vec![7; length]));
    for frame in [
        // Nothing in it.
        v4(0x2000, 0),
        v4(0x0010, 0),
        v6(0, true, 0),
        v6(2, false, 0),
        // The next one cannot begin where it ends.
        v4(0x2000, 12),
        v6(5, true, 7),
        // Ends behind byte 65535.
        v4(0x1fff, 8),
        v6(0x1fff, false, 8),
        v4(0x1ff0, 200),
        // Without a length, or with one that an option would give.
        ipv4_with(UDP, &[], 0x2000, Some(0), &[7; 16]),
        ipv6_with(FRAGMENT, 0, &fragment(UDP, 0, true, &[7; 16])),
        ipv6_with(
            HOP_BY_HOP,
            0,
            &jumbo(FRAGMENT, 70_000, &fragment(UDP, 0, true, &vec![7; 69_984])),
        ),
    ] {
        assert_eq!(
            ignored(LinkType::RAW, &frame),
            Reason::Malformed,
            "{:?}",
            &frame[..8]
        );
    }
    // The last byte there can be.
    for frame in [v4(0x1fff, 7), v6(0x1fff, false, 7)] {
        let decoded = decode(meta(LinkType::RAW, frame.len()), &frame);
        assert!(matches!(decoded, Decoded::Fragment(piece) if piece.offset == 65_528));
    }
}

#[test]
fn a_fragment_that_the_snap_length_cut_says_how_long_it_was() {
    let v4 = ipv4_with(UDP, &[], 0x2000, None, &[7; 80]);
    let v6 = ipv6(FRAGMENT, &fragment(UDP, 0, true, &[7; 80]));
    for (frame, header) in [(v4, 20), (v6, 48)] {
        for captured in 0..=frame.len() {
            match decode(meta(LinkType::RAW, frame.len()), &frame[..captured]) {
                Decoded::Fragment(piece) => {
                    assert_eq!(piece.payload.len(), captured - header);
                    assert_eq!(piece.payload.len() + piece.cut, 80);
                }
                Decoded::Packet(packet) => panic!("{packet:?}"),
                Decoded::Ignored(reason) => {
                    assert!(captured < header, "{captured}");
                    assert_eq!(reason, Reason::TruncatedHeader);
                }
            }
        }
    }
}

#[test]
fn other_protocols_are_counted() {
    for protocol in [1, 2, 50, 89, 132] {
        assert_eq!(
            ignored(LinkType::RAW, &ipv4(protocol, &[0; 40])),
            Reason::UnsupportedIpProtocol
        );
    }
    for next in [58, 50, NO_NEXT] {
        assert_eq!(
            ignored(LinkType::RAW, &ipv6(next, &[0; 40])),
            Reason::UnsupportedIpProtocol
        );
    }
}

#[test]
fn length_zero_means_the_rest_of_the_frame() {
    // As a host captures its own large segments before the network card cuts them.
    let data = vec![0x2a; 20_000];
    let v4 = ethernet(
        0x0800,
        &ipv4_with(TCP, &[], 0x4000, Some(0), &tcp(ACK, &[], &data)),
    );
    let v6 = ethernet(0x86dd, &ipv6_with(TCP, 0, &tcp(ACK, &[], &data)));
    for frame in [v4, v6] {
        let whole = packet(LinkType::ETHERNET, &frame);
        assert_eq!((whole.payload, whole.cut), (&data[..], 0));
        // With a snap length, the frame's length on the wire is all there is to go by.
        let Decoded::Packet(short) = decode(meta(LinkType::ETHERNET, frame.len()), &frame[..96])
        else {
            panic!()
        };
        assert_eq!(short.payload.len() + short.cut, data.len());
        assert_eq!(short.payload, &data[..short.payload.len()]);
    }
}

#[test]
fn lengths_that_cannot_be_are_malformed() {
    // Total length less than the header.
    assert_eq!(
        ignored(LinkType::RAW, &ipv4_with(UDP, &[], 0, Some(19), &udp(b"x"))),
        Reason::Malformed
    );
    // Less than the options need.
    assert_eq!(
        ignored(
            LinkType::RAW,
            &ipv4_with(UDP, &[1; 8], 0, Some(24), &udp(b"x"))
        ),
        Reason::Malformed
    );
    // No room for the transport header.
    assert_eq!(
        ignored(LinkType::RAW, &ipv4_with(UDP, &[], 0, Some(27), &udp(b"x"))),
        Reason::Malformed
    );
    assert_eq!(
        ignored(
            LinkType::RAW,
            &ipv4_with(TCP, &[], 0, Some(39), &tcp(ACK, &[], b""))
        ),
        Reason::Malformed
    );
    assert_eq!(
        ignored(LinkType::RAW, &ipv6_with(UDP, 7, &udp(b"x"))),
        Reason::Malformed
    );
    // A header length below 5 words.
    let mut frame = ipv4(UDP, &udp(b"x"));
    frame[0] = 0x44;
    assert_eq!(ignored(LinkType::RAW, &frame), Reason::Malformed);
}
