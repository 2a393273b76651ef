//! Link layers.

use super::build::{UDP, ethernet, ipv4, ipv6, tag, udp};
use super::{ignored, packet, path};
use imwarden::model::{Layer, LinkType, Mac};
use imwarden::packet::Reason;

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

fn v4() -> Vec<u8> {
    ipv4(UDP, &udp(b"hello"))
}

fn v6() -> Vec<u8> {
    ipv6(UDP, &udp(b"hello"))
}

#[test]
fn ethernet_two() {
    for frame in [ethernet(IPV4, &v4()), ethernet(IPV6, &v6())] {
        let packet = packet(LinkType::ETHERNET, &frame);
        assert_eq!(packet.payload, b"hello");
        assert_eq!((packet.number, packet.timestamp.as_nanos()), (7, 1_000));
        assert_eq!(packet.wire_len as usize, frame.len());
        assert!(path(&packet).is_empty());
    }
}

#[test]
fn padding_is_not_payload() {
    let mut frame = ethernet(IPV4, &v4());
    frame.resize(60, 0xee);
    let packet = packet(LinkType::ETHERNET, &frame);
    assert_eq!((packet.payload, packet.cut), (&b"hello"[..], 0));
}

#[test]
fn vlan_tags_make_the_path() {
    // Priority 5 and drop eligible are not part of the id.
    let frame = ethernet(0x8100, &tag(0xb007, IPV4, &v4()));
    assert_eq!(path(&packet(LinkType::ETHERNET, &frame)), [Layer::Vlan(7)]);
    for outer in [0x88a8, 0x9100, 0x8100] {
        let frame = ethernet(outer, &tag(100, 0x8100, &tag(4094, IPV6, &v6())));
        let packet = packet(LinkType::ETHERNET, &frame);
        assert_eq!(path(&packet), [Layer::Vlan(100), Layer::Vlan(4094)]);
        assert_eq!(packet.payload, b"hello");
    }
}

#[test]
fn eight_tags_are_followed_and_nine_are_not() {
    let stack = |tags: u16| {
        let inner = (0..tags).fold((IPV4, v4()), |(kind, payload), id| {
            (0x8100, tag(id, kind, &payload))
        });
        ethernet(inner.0, &inner.1)
    };
    assert_eq!(path(&packet(LinkType::ETHERNET, &stack(8))).len(), 8);
    assert_eq!(
        ignored(LinkType::ETHERNET, &stack(9)),
        Reason::TooManyLayers
    );
}

#[test]
fn ieee_802_3_with_snap_and_bare() {
    for (llc, payload) in [
        (&[0xaa, 0xaa, 3, 0, 0, 0, 0x08, 0x00][..], v4()),
        (&[0xaa, 0xaa, 3, 0, 0, 0, 0x86, 0xdd], v6()),
        // Bridged from another medium (802.1H).
        (&[0xaa, 0xaa, 3, 0, 0, 0xf8, 0x08, 0x00], v4()),
        (&[6, 6, 3], v4()),
    ] {
        let body = [llc, &payload].concat();
        let mut frame = ethernet(u16::try_from(body.len()).unwrap(), &body);
        frame.resize(90, 0);
        assert_eq!(packet(LinkType::ETHERNET, &frame).payload, b"hello");
        // The same behind a VLAN tag.
        let frame = ethernet(0x8100, &tag(3, u16::try_from(body.len()).unwrap(), &body));
        assert_eq!(packet(LinkType::ETHERNET, &frame).payload, b"hello");
    }
    // Spanning tree; NetWare; Cisco's discovery protocol.
    for llc in [
        &[0x42, 0x42, 3, 0, 0, 0][..],
        &[0xe0, 0xe0, 3, 0xff],
        &[0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0],
    ] {
        let frame = ethernet(u16::try_from(llc.len()).unwrap(), llc);
        assert_eq!(
            ignored(LinkType::ETHERNET, &frame),
            Reason::UnsupportedEthertype
        );
    }
    // Neither a length nor a type.
    assert_eq!(
        ignored(LinkType::ETHERNET, &ethernet(1501, &v4())),
        Reason::Malformed
    );
}

#[test]
fn other_ethernet_types_are_counted_by_what_they_are() {
    assert_eq!(
        ignored(LinkType::ETHERNET, &ethernet(0x0806, &[0; 28])),
        Reason::Arp
    );
    assert_eq!(
        ignored(LinkType::ETHERNET, &ethernet(0x8035, &[0; 28])),
        Reason::Arp
    );
    assert_eq!(
        ignored(LinkType::ETHERNET, &ethernet(0x88cc, &[0; 28])),
        Reason::UnsupportedEthertype
    );
}

/// Packet type "to us", hardware type, address of 6 bytes.
fn cooked(hardware: u16, protocol: u16, payload: &[u8]) -> Vec<u8> {
    [
        &[0, 0][..],
        &hardware.to_be_bytes(),
        &[0, 6, 2, 0, 0, 0, 0, 1, 0, 0],
        &protocol.to_be_bytes(),
        payload,
    ]
    .concat()
}

fn cooked2(hardware: u16, protocol: u16, payload: &[u8]) -> Vec<u8> {
    let interface = [0, 0, 0, 0, 0, 2];
    let rest = [0, 6, 2, 0, 0, 0, 0, 1, 0, 0];
    [
        &protocol.to_be_bytes()[..],
        &interface,
        &hardware.to_be_bytes(),
        &rest,
        payload,
    ]
    .concat()
}

#[test]
fn linux_cooked() {
    for (link, cook) in [
        (
            LinkType::LINUX_SLL,
            cooked as fn(u16, u16, &[u8]) -> Vec<u8>,
        ),
        (LinkType::LINUX_SLL2, cooked2),
    ] {
        assert_eq!(packet(link, &cook(1, IPV4, &v4())).payload, b"hello");
        assert_eq!(packet(link, &cook(1, IPV6, &v6())).payload, b"hello");
        // A tunnel device without hardware addresses; a VLAN; an LLC header.
        assert_eq!(packet(link, &cook(65534, IPV4, &v4())).payload, b"hello");
        let tagged = cook(1, 0x8100, &tag(9, IPV4, &v4()));
        assert_eq!(path(&packet(link, &tagged)), [Layer::Vlan(9)]);
        let snap = [&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0][..], &v4()].concat();
        assert_eq!(packet(link, &cook(1, 4, &snap)).payload, b"hello");
        assert_eq!(ignored(link, &cook(1, 0x0806, &[0; 28])), Reason::Arp);
        // Netlink messages, whose "protocol" is a netlink family.
        assert_eq!(
            ignored(link, &cook(824, IPV4, &v4())),
            Reason::UnsupportedEthertype
        );
    }
}

#[test]
fn bsd_loopback_in_both_byte_orders() {
    for link in [LinkType::NULL, LinkType::LOOP] {
        for (family, ip) in [
            (2_u32, v4()),
            (10, v6()),
            (23, v6()),
            (24, v6()),
            (28, v6()),
            (30, v6()),
        ] {
            for header in [family.to_be_bytes(), family.to_le_bytes()] {
                assert_eq!(packet(link, &[&header, &ip[..]].concat()).payload, b"hello");
            }
        }
        assert_eq!(
            ignored(link, &[&[0, 0, 0, 16][..], &v4()].concat()),
            Reason::UnsupportedEthertype
        );
    }
}

#[test]
fn raw_ip_under_all_its_numbers() {
    for number in [12, 14, 101, 228, 229] {
        assert_eq!(packet(LinkType(number), &v4()).payload, b"hello");
        assert_eq!(packet(LinkType(number), &v6()).payload, b"hello");
    }
    assert_eq!(ignored(LinkType::RAW, &[0x50; 40]), Reason::Malformed);
}

#[test]
fn other_link_types_are_counted() {
    for number in [147, 189, 195, u32::MAX] {
        assert_eq!(
            ignored(LinkType(number), &v4()),
            Reason::UnsupportedLinkType
        );
    }
}

#[test]
fn reasons_have_stable_names() {
    let names: Vec<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
    assert_eq!(
        names,
        [
            "arp",
            "unsupported-link-type",
            "unsupported-ethertype",
            "unsupported-ip-protocol",
            "truncated-header",
            "ip-fragment",
            "encrypted",
            "no-data-frame",
            "too-many-layers",
            "malformed"
        ]
    );
    for (index, reason) in Reason::ALL.into_iter().enumerate() {
        assert_eq!(reason.index(), index);
    }
}

#[test]
fn the_senders_card_is_known_on_its_own_link_only() {
    let card = |frame: &[u8]| packet(LinkType::ETHERNET, frame).card;
    let own = Some(Mac([2, 0, 0, 0, 0, 1]));
    let tagged = |kind, datagram: &[u8]| ethernet(0x8100, &tag(7, kind, datagram));
    for frame in [
        ethernet(IPV4, &v4()),
        ethernet(IPV6, &v6()),
        tagged(IPV4, &v4()),
        tagged(IPV6, &v6()),
    ] {
        assert_eq!(card(&frame), own);
    }
    // One router on the way, and the card is the router's.
    for (kind, mut datagram, hops) in [(IPV4, v4(), 8), (IPV6, v6(), 7)] {
        for first in [32, 64, 128, 255] {
            datagram[hops] = first;
            assert_eq!(card(&ethernet(kind, &datagram)), own);
            datagram[hops] = first - 1;
            assert_eq!(card(&ethernet(kind, &datagram)), None);
            assert_eq!(card(&tagged(kind, &datagram)), None);
        }
    }
    // Whoever made the tunnel had the card.
    assert_eq!(card(&ethernet(IPV4, &ipv4(4, &v4()))), None);
    assert_eq!(packet(LinkType::RAW, &v4()).card, None);
    // Loopback has no card, and no card has a group's address.
    for (at, byte) in [(6, 0), (6, 3)] {
        let mut frame = ethernet(IPV4, &v4());
        frame[at] = byte;
        frame[11] = 0;
        assert_eq!(
            card(&frame).is_some(),
            byte & 1 == 0 && frame[6..12] != [0; 6]
        );
    }
}
