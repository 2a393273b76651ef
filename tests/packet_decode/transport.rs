//! TCP and UDP.

use super::build::{ACK, SYN, TCP, UDP, ipv4, ipv6, tcp, udp, udp_with};
use super::{ignored, packet};
use imwarden::model::{LinkType, TcpFlags, TransportHeader};
use imwarden::packet::Reason;

#[test]
fn tcp_fields() {
    let frame = ipv4(TCP, &tcp(ACK | 0x08, &[], b"*\x01data"));
    let packet = packet(LinkType::RAW, &frame);
    assert_eq!((packet.src.port, packet.dst.port), (50211, 5190));
    assert_eq!((packet.payload, packet.cut), (&b"*\x01data"[..], 0));
    let TransportHeader::Tcp(header) = packet.header else {
        panic!("{:?}", packet.header)
    };
    assert_eq!((header.seq, header.ack), (0x0102_0304, 0x0506_0708));
    assert_eq!(
        header.flags,
        TcpFlags {
            ack: true,
            ..TcpFlags::default()
        }
    );
}

#[test]
fn tcp_flags_one_by_one() {
    for (bits, flags) in [
        (
            0x01,
            TcpFlags {
                fin: true,
                ..TcpFlags::default()
            },
        ),
        (
            0x02,
            TcpFlags {
                syn: true,
                ..TcpFlags::default()
            },
        ),
        (
            0x04,
            TcpFlags {
                rst: true,
                ..TcpFlags::default()
            },
        ),
        (
            0x10,
            TcpFlags {
                ack: true,
                ..TcpFlags::default()
            },
        ),
        // Push, urgent and the congestion bits do not matter.
        (0xe8, TcpFlags::default()),
    ] {
        let frame = ipv6(TCP, &tcp(bits, &[], b""));
        let TransportHeader::Tcp(header) = packet(LinkType::RAW, &frame).header else {
            panic!()
        };
        assert_eq!(header.flags, flags, "{bits:#x}");
    }
}

#[test]
fn tcp_options_are_not_payload() {
    let options = [2, 4, 5, 0xb4, 1, 3, 3, 7, 4, 2, 1, 1];
    assert_eq!(
        packet(LinkType::RAW, &ipv4(TCP, &tcp(SYN, &options, b""))).payload,
        b""
    );
    assert_eq!(
        packet(LinkType::RAW, &ipv4(TCP, &tcp(ACK, &[1; 40], b"data"))).payload,
        b"data"
    );
}

#[test]
fn a_tcp_header_length_that_cannot_be_is_malformed() {
    for words in [0, 4, 15] {
        let mut segment = tcp(ACK, &[], b"data");
        segment[12] = words << 4;
        assert_eq!(
            ignored(LinkType::RAW, &ipv4(TCP, &segment)),
            Reason::Malformed,
            "{words}"
        );
    }
}

#[test]
fn udp_length_is_honoured() {
    // IP carries more than UDP says: the rest is not payload.
    let packet_of = |length: u16| ipv4(UDP, &udp_with(length, b"payload+trailer"));
    assert_eq!(packet(LinkType::RAW, &packet_of(15)).payload, b"payload");
    assert_eq!(packet(LinkType::RAW, &packet_of(8)).payload, b"");
    // 0 means "as long as IP says".
    assert_eq!(
        packet(LinkType::RAW, &packet_of(0)).payload,
        b"payload+trailer"
    );
    // Less than the header, and more than IP carries.
    for length in [1, 7, 24, 65535] {
        assert_eq!(
            ignored(LinkType::RAW, &packet_of(length)),
            Reason::Malformed,
            "{length}"
        );
    }
    assert_eq!(packet(LinkType::RAW, &ipv6(UDP, &udp(b""))).payload, b"");
}
