//! Whatever the bytes: no panic, and nothing outside the frame.

use super::build::{
    ACK, TCP, UDP, ethernet, extension, fragment, ipv4_with, ipv6, ipv6_with, jumbo, tag, tcp, udp,
};
use imwarden::model::{LinkType, Timestamp};
use imwarden::packet::{Decoded, FrameMeta, decode};
use proptest::prelude::*;

fn links() -> impl Strategy<Value = LinkType> {
    prop_oneof![
        prop::sample::select(vec![
            0, 1, 9, 12, 14, 50, 51, 101, 104, 105, 108, 113, 119, 127, 163, 166, 192, 204, 228,
            229, 276
        ])
        .prop_map(LinkType),
        any::<u32>().prop_map(LinkType),
    ]
}

fn frames() -> Vec<Vec<u8>> {
    vec![
        ethernet(
            0x0800,
            &ipv4_with(TCP, &[1; 4], 0, None, &tcp(ACK, &[1; 8], b"payload")),
        ),
        ethernet(
            0x88a8,
            &tag(
                1,
                0x8100,
                &tag(2, 0x0800, &ipv4_with(UDP, &[], 0, None, &udp(b"payload"))),
            ),
        ),
        ethernet(
            0x86dd,
            &ipv6(
                0,
                &extension(
                    43,
                    0,
                    &extension(44, 1, &fragment(UDP, 0, false, &udp(b"pay"))),
                ),
            ),
        ),
        ethernet(
            0x0800,
            &ipv4_with(TCP, &[], 0, Some(0), &tcp(ACK, &[], b"payload")),
        ),
        ethernet(0x0800, &ipv4_with(UDP, &[], 0x20b9, None, &[7; 64])),
        ethernet(
            0x86dd,
            &ipv6(60, &extension(44, 0, &fragment(UDP, 185, true, &[7; 64]))),
        ),
        ethernet(
            0x86dd,
            &ipv6_with(0, 0, &jumbo(TCP, 70_000, &tcp(ACK, &[], b"payload"))),
        ),
    ]
}

fn check(link: LinkType, wire_len: u32, frame: &[u8]) {
    let meta = FrameMeta {
        number: 1,
        timestamp: Timestamp::default(),
        link,
        wire_len,
    };
    let (payload, cut) = match decode(meta, frame) {
        Decoded::Packet(packet) => (packet.payload, packet.cut),
        Decoded::Fragment(fragment) => {
            // No datagram is longer, so nothing a fragment says leads outside of one.
            assert!(fragment.offset + fragment.payload.len() + fragment.cut <= 0xffff);
            (fragment.payload, fragment.cut)
        }
        Decoded::Ignored(_) => return,
    };
    assert!(payload.len() <= frame.len());
    assert!(payload.is_empty() || frame.as_ptr_range().contains(&payload.as_ptr()));
    // Whatever a header claims: a gap has bounds.
    assert!(cut <= 1 << 20);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_frames(link in links(), wire_len in any::<u32>(), frame in prop::collection::vec(any::<u8>(), 0..120)) {
        check(link, wire_len, &frame);
    }

    #[test]
    fn changed_frames(
        which in 0_usize..7,
        wire_len in prop_oneof![0_u32..200, any::<u32>()],
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut frame = frames().swap_remove(which);
        for (at, value) in changes {
            let at = at.index(frame.len());
            frame[at] = value;
        }
        check(LinkType::ETHERNET, wire_len, &frame);
        check(LinkType::ETHERNET, wire_len, &frame[..cut.index(frame.len())]);
    }
}
