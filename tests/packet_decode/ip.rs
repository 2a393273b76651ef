//! IPv4 and IPv6.

use super::build::{
    ACK, TCP, UDP, authentication, ethernet, extension, fragment, ipv4, ipv4_with, ipv6, ipv6_with,
    tcp, udp,
};
use super::{ignored, meta, packet};
use imwarden::model::LinkType;
use imwarden::packet::{Decoded, Reason, decode};

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const NO_NEXT: u8 = 59;
const DESTINATION: u8 = 60;
const MOBILITY: u8 = 135;

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
fn fragments_are_told_apart_from_whole_datagrams() {
    let whole = ipv4_with(UDP, &[], 0x4000, None, &udp(b"x"));
    assert_eq!(packet(LinkType::RAW, &whole).payload, b"x");
    // More fragments; a later one; the last one.
    for flags in [0x2000, 0x20b9, 0x00b9] {
        let frame = ipv4_with(UDP, &[], flags, None, &udp(b"x"));
        assert_eq!(ignored(LinkType::RAW, &frame), Reason::IpFragment);
    }
    // First and last at once is whole ("atomic", RFC 6946).
    assert_eq!(
        packet(
            LinkType::RAW,
            &ipv6(FRAGMENT, &fragment(UDP, 0, false, &udp(b"x")))
        )
        .payload,
        b"x"
    );
    for (offset, more) in [(0, true), (185, true), (185, false)] {
        let frame = ipv6(FRAGMENT, &fragment(UDP, offset, more, &udp(b"x")));
        assert_eq!(ignored(LinkType::RAW, &frame), Reason::IpFragment);
    }
}

#[test]
fn other_protocols_are_counted() {
    for protocol in [1, 2, 47, 50, 89, 132] {
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
