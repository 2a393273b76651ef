//! Captures with a snap length, at every length.

use super::build::{
    ACK, TCP, UDP, authentication, ethernet, extension, ipv4, ipv4_with, ipv6, tag, tcp, udp,
};
use super::meta;
use imwarden::model::LinkType;
use imwarden::packet::{Decoded, Reason, decode};

/// Cuts a frame behind every byte. From `enough` bytes on it is a packet; `payload` is its payload's offset.
fn cut_everywhere(link: LinkType, frame: &[u8], enough: usize, payload: usize, length: usize) {
    // Some tools shorten frames and forget to keep their true length: the headers still know.
    for forgetful in [false, true] {
        for cut in 0..=frame.len() {
            let wire_len = if forgetful { cut } else { frame.len() };
            match decode(meta(link, wire_len), &frame[..cut]) {
                Decoded::Packet(packet) => {
                    assert!(cut >= enough, "{cut}");
                    let end = cut.min(payload + length).max(payload);
                    assert_eq!(packet.payload, frame.get(payload..end).unwrap(), "{cut}");
                    assert_eq!(packet.payload.len() + packet.cut, length, "{cut}");
                }
                Decoded::Fragment(fragment) => panic!("{cut}: {fragment:?}"),
                Decoded::Ignored(reason) => {
                    assert!(cut < enough, "{cut}: {reason}");
                    if !forgetful {
                        assert_eq!(reason, Reason::TruncatedHeader, "{cut}");
                    }
                }
            }
        }
    }
}

#[test]
fn udp_over_ipv4_with_padding() {
    let mut frame = ethernet(0x0800, &ipv4(UDP, &udp(b"0123456789")));
    frame.resize(60, 0);
    cut_everywhere(LinkType::ETHERNET, &frame, 14 + 20 + 8, 14 + 20 + 8, 10);
}

#[test]
fn tcp_with_options_through_two_vlans() {
    // The fixed 20 bytes of TCP are enough, wherever the options are cut.
    let ip = ipv4_with(TCP, &[1; 8], 0, None, &tcp(ACK, &[1; 12], &[0x2a; 100]));
    let frame = ethernet(0x88a8, &tag(1, 0x8100, &tag(2, 0x0800, &ip)));
    cut_everywhere(LinkType::ETHERNET, &frame, 22 + 28 + 20, 22 + 28 + 32, 100);
}

#[test]
fn udp_over_ipv6_with_extension_headers() {
    let ip = ipv6(0, &extension(51, 1, &authentication(UDP, &udp(&[7; 50]))));
    cut_everywhere(LinkType::RAW, &ip, 40 + 16 + 24 + 8, 40 + 16 + 24 + 8, 50);
}

#[test]
fn ieee_802_3() {
    let body = [
        &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0][..],
        &ipv4(TCP, &tcp(ACK, &[], b"abc")),
    ]
    .concat();
    let frame = ethernet(u16::try_from(body.len()).unwrap(), &body);
    cut_everywhere(LinkType::ETHERNET, &frame, 22 + 40, 22 + 40, 3);
}

#[test]
fn linux_cooked() {
    let mut frame = vec![0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 0x86, 0xdd];
    frame.extend(ipv6(TCP, &tcp(ACK, &[1; 4], b"abcdef")));
    cut_everywhere(LinkType::LINUX_SLL, &frame, 16 + 40 + 20, 16 + 40 + 24, 6);
}
