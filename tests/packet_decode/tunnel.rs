//! Frames inside other headers: what is inside comes out, and the path says what it was wrapped in.

use super::build::{ACK, TCP, UDP, ethernet, ipv4, ipv6, tcp};
use super::{ignored, meta, packet, path};
use imwarden::model::{Layer, LinkType, TransportHeader};
use imwarden::packet::{Decoded, Reason, decode};

const GRE: u8 = 47;

fn segment() -> Vec<u8> {
    tcp(ACK, &[], b"inside")
}

/// The datagram that every tunnel here carries.
fn inner() -> Vec<u8> {
    ipv4(TCP, &segment())
}

fn inner6() -> Vec<u8> {
    ipv6(TCP, &segment())
}

/// UDP between two ports.
fn udp_between(src: u16, dst: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap();
    let mut header = Vec::new();
    for field in [src, dst, length, 0xbeef] {
        header.extend(field.to_be_bytes());
    }
    [&header, payload].concat()
}

fn udp_to(port: u16, payload: &[u8]) -> Vec<u8> {
    ethernet(0x0800, &ipv4(UDP, &udp_between(49_152, port, payload)))
}

fn gre(flags: u16, protocol: u16, fields: &[u8], payload: &[u8]) -> Vec<u8> {
    let header = [flags.to_be_bytes(), protocol.to_be_bytes()].concat();
    ethernet(0x0800, &ipv4(GRE, &[&header, fields, payload].concat()))
}

fn mpls(label: u32, bottom: bool, payload: &[u8]) -> Vec<u8> {
    let entry = label << 12 | u32::from(bottom) << 8 | 64;
    [&entry.to_be_bytes()[..], payload].concat()
}

fn carries(link: LinkType, frame: &[u8], layers: &[Layer]) {
    let found = packet(link, frame);
    assert_eq!(found.payload, b"inside");
    assert!(matches!(found.header, TransportHeader::Tcp(_)));
    assert_eq!((found.src.port, found.dst.port), (50_211, 5190));
    assert_eq!((found.cut, path(&found)), (0, layers.to_vec()));
    every_beginning_is_survived(link, frame);
}

/// A capture may cut a frame anywhere: the headers still say how much is missing, and nothing is made up.
fn every_beginning_is_survived(link: LinkType, frame: &[u8]) {
    for length in 0..frame.len() {
        let cut = &frame[..length];
        if let Decoded::Packet(found) = decode(meta(link, frame.len()), cut) {
            let is_inner = matches!(found.header, TransportHeader::Tcp(_));
            assert!(
                !is_inner || b"inside".starts_with(found.payload),
                "{length}"
            );
            assert!(
                !is_inner || found.payload.len() + found.cut == 6,
                "{length}"
            );
        }
    }
}

/// The datagram comes out as it is: UDP to this port.
fn is_plain_udp(frame: &[u8], port: u16) {
    let found = packet(LinkType::ETHERNET, frame);
    assert_eq!(found.header, TransportHeader::Udp);
    assert_eq!((found.dst.port, path(&found).len()), (port, 0));
}

#[test]
fn ip_in_ip() {
    for (frame, layer) in [
        (ethernet(0x0800, &ipv4(4, &inner())), Layer::IpIp),
        (ethernet(0x0800, &ipv4(41, &inner6())), Layer::SixInFour),
        (ethernet(0x86dd, &ipv6(4, &inner())), Layer::FourInSix),
        (ethernet(0x86dd, &ipv6(41, &inner6())), Layer::SixInSix),
    ] {
        carries(LinkType::ETHERNET, &frame, &[layer]);
    }
}

#[test]
fn gre_with_and_without_its_fields() {
    for (flags, fields) in [(0, 0), (0x8000, 4), (0x2000, 4), (0x1000, 4), (0xb000, 12)] {
        let frame = gre(flags, 0x0800, &vec![0; fields], &inner());
        carries(LinkType::ETHERNET, &frame, &[Layer::Gre]);
    }
    let frame = gre(0, 0x6558, &[], &ethernet(0x86dd, &inner6()));
    carries(LinkType::ETHERNET, &frame, &[Layer::Gre]);
    // PPTP: key (length and call), sequence number, then PPP.
    let ppp = [&[0xff, 3, 0, 0x21][..], &inner()].concat();
    let frame = gre(0x3001, 0x880b, &[0; 8], &ppp);
    carries(LinkType::ETHERNET, &frame, &[Layer::Gre]);
    let frame = gre(0x3081, 0x880b, &[0; 12], &ppp);
    carries(LinkType::ETHERNET, &frame, &[Layer::Gre]);
    let source_route = gre(0x4000, 0x0800, &[0; 8], &inner());
    assert_eq!(
        ignored(LinkType::ETHERNET, &source_route),
        Reason::Malformed
    );
    let only_an_acknowledgement = gre(0x2081, 0x880b, &[0; 8], &[]);
    assert_eq!(
        ignored(LinkType::ETHERNET, &only_an_acknowledgement),
        Reason::UnsupportedIpProtocol
    );
}

#[test]
fn mirrored_frames() {
    let frame = ethernet(0x0800, &inner());
    let layers = [Layer::Gre, Layer::Erspan];
    carries(LinkType::ETHERNET, &gre(0, 0x88be, &[], &frame), &layers);
    let second = [&[0x10, 7, 0, 1, 0, 0, 0, 0][..], &frame].concat();
    let second = gre(0x1000, 0x88be, &[0; 4], &second);
    carries(LinkType::ETHERNET, &second, &layers);
    let mut header = [0x20; 12];
    header[11] = 1;
    let third = [&header[..], &[0; 8], &frame].concat();
    let third = gre(0x1000, 0x22eb, &[0; 4], &third);
    carries(LinkType::ETHERNET, &third, &layers);
}

#[test]
fn label_stacks_and_what_stands_behind_them() {
    let stack = |payload: &[u8]| ethernet(0x8847, &mpls(100, false, &mpls(200, true, payload)));
    let layers = [Layer::Mpls(100), Layer::Mpls(200)];
    carries(LinkType::ETHERNET, &stack(&inner()), &layers);
    carries(LinkType::ETHERNET, &stack(&inner6()), &layers);
    let frame = ethernet(0x0800, &inner());
    carries(LinkType::ETHERNET, &stack(&frame), &layers);
    let controlled = [&[0, 0, 0, 9][..], &frame].concat();
    carries(LinkType::ETHERNET, &stack(&controlled), &layers);
    // Addresses that begin as IP would, and as a control word would.
    for first in [0x00, 0x45, 0x60] {
        let mut frame = frame.clone();
        frame[0] = first;
        carries(LinkType::ETHERNET, &stack(&frame), &layers);
        let controlled = [&[0; 4][..], &frame].concat();
        carries(LinkType::ETHERNET, &stack(&controlled), &layers);
    }
    let over_udp = udp_to(6635, &mpls(3, true, &inner()));
    carries(LinkType::ETHERNET, &over_udp, &[Layer::Mpls(3)]);
    carries(
        LinkType::ETHERNET,
        &ethernet(0x0800, &ipv4(137, &mpls(4, true, &inner()))),
        &[Layer::Mpls(4)],
    );
}

#[test]
fn ppp_in_all_its_framings() {
    let long = [&[0, 0x21][..], &inner()].concat();
    let short = [&[0x21][..], &inner()].concat();
    let framed = [&[0xff, 3][..], &long].concat();
    for frame in [&long, &short, &framed] {
        carries(LinkType::PPP, frame, &[]);
        carries(LinkType::PPP_WITH_DIR, &[&[1][..], frame].concat(), &[]);
    }
    carries(LinkType::PPP, &[&[0x57][..], &inner6()].concat(), &[]);
    carries(LinkType::PPP_HDLC, &framed, &[]);
    let cisco = [&[0x0f, 0, 8, 0][..], &inner()].concat();
    carries(LinkType::PPP_HDLC, &cisco, &[]);
    carries(LinkType::C_HDLC, &cisco, &[]);
    let length = u16::try_from(long.len()).unwrap().to_be_bytes();
    let session = [&[0x11, 0, 0, 17][..], &length, &long].concat();
    carries(LinkType::PPP_ETHER, &session, &[Layer::Pppoe(17)]);
    carries(
        LinkType::ETHERNET,
        &ethernet(0x8864, &session),
        &[Layer::Pppoe(17)],
    );
    let link_control = [0xff, 3, 0xc0, 0x21, 1, 1, 0, 4];
    assert_eq!(
        ignored(LinkType::PPP, &link_control),
        Reason::UnsupportedEthertype
    );
    let discovery = ethernet(0x8863, &[0x11, 9, 0, 0, 0, 0]);
    assert_eq!(
        ignored(LinkType::ETHERNET, &discovery),
        Reason::UnsupportedEthertype
    );
}

#[test]
fn vxlan_and_geneve() {
    let frame = ethernet(0x0800, &inner());
    let vxlan = |header: [u8; 8], inside: &[u8]| [&header[..], inside].concat();
    for port in [4789, 8472] {
        let outer = udp_to(port, &vxlan([8, 0, 0, 0, 0, 0, 42, 0], &frame));
        carries(LinkType::ETHERNET, &outer, &[Layer::Vxlan(42)]);
    }
    let group = udp_to(4789, &vxlan([0x88, 0, 1, 2, 0, 1, 0, 0], &frame));
    carries(LinkType::ETHERNET, &group, &[Layer::Vxlan(256)]);
    let generic = udp_to(4790, &vxlan([12, 0, 0, 1, 0, 0, 5, 0], &inner()));
    carries(LinkType::ETHERNET, &generic, &[Layer::Vxlan(5)]);
    // Two words of options.
    let geneve = [&[2, 0, 0x65, 0x58, 0, 0, 9, 0][..], &[1; 8], &frame].concat();
    let outer = udp_to(6081, &geneve);
    carries(LinkType::ETHERNET, &outer, &[Layer::Geneve(9)]);
    let geneve = [&[0, 0, 0x86, 0xdd, 0, 0, 9, 0][..], &inner6()].concat();
    carries(
        LinkType::ETHERNET,
        &udp_to(6081, &geneve),
        &[Layer::Geneve(9)],
    );

    is_plain_udp(
        &udp_to(4789, &vxlan([0, 0, 0, 0, 0, 0, 42, 0], &frame)),
        4789,
    );
    is_plain_udp(
        &udp_to(4789, &vxlan([8, 0, 0, 0, 0, 0, 42, 1], &frame)),
        4789,
    );
    is_plain_udp(
        &udp_to(4789, &vxlan([8, 0, 0, 0, 0, 0, 42, 0], b"no frame")),
        4789,
    );
    is_plain_udp(
        &udp_to(4788, &vxlan([8, 0, 0, 0, 0, 0, 42, 0], &frame)),
        4788,
    );
    is_plain_udp(&udp_to(6081, &[0x40, 0, 8, 0, 0, 0, 9, 0]), 6081);
    is_plain_udp(&udp_to(6081, b"hello"), 6081);
    // Inside a tunnel that is one, ARP is no reason to doubt it.
    let arp = udp_to(
        4789,
        &vxlan([8, 0, 0, 0, 0, 0, 42, 0], &ethernet(0x0806, &[0; 28])),
    );
    assert_eq!(ignored(LinkType::ETHERNET, &arp), Reason::Arp);
}

#[test]
fn gtp_user_plane() {
    let gtp = |flags: u8, kind: u8, optional: &[u8]| {
        let length = u16::try_from(optional.len() + inner().len()).unwrap();
        let header = [
            &[flags, kind][..],
            &length.to_be_bytes(),
            &[0, 0, 0x12, 0x34],
        ]
        .concat();
        udp_to(2152, &[&header, optional, &inner()[..]].concat())
    };
    let layers = [Layer::GtpU(0x1234)];
    carries(LinkType::ETHERNET, &gtp(0x30, 0xff, &[]), &layers);
    carries(LinkType::ETHERNET, &gtp(0x32, 0xff, &[0, 1, 0, 0]), &layers);
    // A PDU session container (type 85) of one word, then no more.
    let extended = [0, 0, 0, 0x85, 1, 0x10, 9, 0];
    carries(LinkType::ETHERNET, &gtp(0x34, 0xff, &extended), &layers);
    is_plain_udp(&gtp(0x30, 1, &[]), 2152);
    is_plain_udp(&gtp(0x20, 0xff, &[]), 2152);
    is_plain_udp(&gtp(0x34, 0xff, &[0, 0, 0, 0x85, 0, 0, 0, 0]), 2152);
}

#[test]
fn teredo_needs_a_teredo_address() {
    let mut inside = inner6();
    inside[8..12].copy_from_slice(&[0x20, 1, 0, 0]);
    let authentication = [&[0, 1, 0, 0][..], &[7; 9]].concat();
    let origin = [0, 0, 0x2b, 0xff, 1, 2, 3, 4];
    for front in [
        vec![],
        origin.to_vec(),
        [&authentication[..], &origin].concat(),
    ] {
        let frame = udp_to(3544, &[&front, &inside[..]].concat());
        carries(LinkType::ETHERNET, &frame, &[Layer::Teredo]);
    }
    is_plain_udp(&udp_to(3544, &inner6()), 3544);
    inside.push(0);
    is_plain_udp(&udp_to(3544, &inside), 3544);
}

#[test]
fn l2tp_data() {
    let ppp = [&[0xff, 3, 0, 0x21][..], &inner()].concat();
    let short = [&[0, 2, 0, 1, 0, 2][..], &ppp].concat();
    carries(LinkType::ETHERNET, &udp_to(1701, &short), &[Layer::L2tp]);
    // Length, sequence numbers, an offset of two bytes.
    let length = u16::try_from(2 + 2 + 4 + 4 + 2 + 2 + ppp.len()).unwrap();
    let full = [
        &[0x4a, 2][..],
        &length.to_be_bytes(),
        &[0, 1, 0, 2, 0, 3, 0, 4, 0, 2, 9, 9],
        &ppp,
    ]
    .concat();
    carries(LinkType::ETHERNET, &udp_to(1701, &full), &[Layer::L2tp]);
    is_plain_udp(
        &udp_to(1701, &[0xc8, 2, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0]),
        1701,
    );
    is_plain_udp(
        &udp_to(1701, &[&[0, 3, 0, 1, 0, 2][..], &ppp].concat()),
        1701,
    );
}

/// A data frame of a wireless LAN with LLC and SNAP inside.
fn wifi(subtype: u8, flags: u8, extra: &[u8]) -> Vec<u8> {
    let header = [&[subtype << 4 | 8, flags][..], &[0; 22], extra].concat();
    [&header, &snap()[..]].concat()
}

fn snap() -> Vec<u8> {
    [&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0][..], &inner()].concat()
}

#[test]
fn wireless_data() {
    let layers = [Layer::Wifi];
    for (flags, extra) in [(1, 0), (2, 0), (3, 6)] {
        let plain = wifi(0, flags, &vec![0; extra]);
        carries(LinkType::IEEE802_11, &plain, &layers);
        let quality = wifi(8, flags, &vec![0; extra + 2]);
        carries(LinkType::IEEE802_11, &quality, &layers);
    }
    carries(LinkType::IEEE802_11, &wifi(8, 0x81, &[0; 6]), &layers);
    let length = u16::try_from(snap().len()).unwrap().to_be_bytes();
    let aggregated = [&[0x80, 0][..], &[0; 12], &length].concat();
    carries(LinkType::IEEE802_11, &wifi(8, 1, &aggregated), &layers);

    let mut secret = wifi(0, 0x41, &[]);
    secret[24..32].fill(0x5a);
    assert_eq!(ignored(LinkType::IEEE802_11, &secret), Reason::Encrypted);
    for frame in [wifi(4, 1, &[]), [&[0x80, 0][..], &[0; 40]].concat()] {
        assert_eq!(ignored(LinkType::IEEE802_11, &frame), Reason::NoDataFrame);
    }
}

#[test]
fn headers_that_capturing_programs_put_before_a_wireless_frame() {
    let layers = [Layer::Wifi];
    let frame = wifi(0, 2, &[]);
    let bare = [&[0, 0, 8, 0, 0, 0, 0, 0][..], &frame].concat();
    carries(LinkType::RADIOTAP, &bare, &layers);
    // Time and flags, a second word of fields; the driver aligned the body behind a header of 26 bytes.
    let radiotap = |flags: u8| {
        let mut header = vec![0, 0, 25, 0, 3, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0];
        header.extend([0; 8]);
        header.push(flags);
        header
    };
    let padded = wifi(8, 2, &[0; 4]);
    carries(
        LinkType::RADIOTAP,
        &[radiotap(0x20), padded].concat(),
        &layers,
    );
    let broken = [radiotap(0x40), frame.clone()].concat();
    assert_eq!(ignored(LinkType::RADIOTAP, &broken), Reason::Malformed);
    let ppi = [&[0, 0, 12, 0, 105, 0, 0, 0, 1, 2, 3, 4][..], &frame].concat();
    carries(LinkType::PPI, &ppi, &layers);
    let wired = [&[0, 0, 8, 0, 1, 0, 0, 0][..], &ethernet(0x0800, &inner())].concat();
    carries(LinkType::PPI, &wired, &[]);
    let mut prism = vec![0x44, 0, 0, 0, 144, 0, 0, 0];
    prism.resize(144, 0);
    carries(
        LinkType::IEEE802_11_PRISM,
        &[prism, frame.clone()].concat(),
        &layers,
    );
    let mut avs = vec![0x80, 0x21, 0x10, 1, 0, 0, 0, 64];
    avs.resize(64, 0);
    carries(LinkType::IEEE802_11_AVS, &[avs, frame].concat(), &layers);
}

#[test]
fn frames_that_a_sniffer_sent_on() {
    let tzsp = |kind: u8, frame: &[u8]| {
        udp_to(
            37008,
            &[&[1, 0, 0, kind, 0, 10, 1, 0xd0, 1][..], frame].concat(),
        )
    };
    let wired = tzsp(1, &ethernet(0x0800, &inner()));
    carries(LinkType::ETHERNET, &wired, &[Layer::Tzsp]);
    let wireless = tzsp(0x12, &wifi(0, 2, &[]));
    carries(LinkType::ETHERNET, &wireless, &[Layer::Tzsp, Layer::Wifi]);
    is_plain_udp(&tzsp(9, &ethernet(0x0800, &inner())), 37008);
}

#[test]
fn eight_layers_and_no_more() {
    let nested = |depth: usize| {
        let mut datagram = inner();
        for _ in 0..depth {
            datagram = ipv4(4, &datagram);
        }
        ethernet(0x0800, &datagram)
    };
    carries(LinkType::ETHERNET, &nested(8), &[Layer::IpIp; 8]);
    assert_eq!(
        ignored(LinkType::ETHERNET, &nested(9)),
        Reason::TooManyLayers
    );
}

#[test]
fn tunnels_within_tunnels() {
    let vxlan = |frame: &[u8]| udp_to(4789, &[&[8, 0, 0, 0, 0, 0, 7, 0][..], frame].concat());
    let gre_inside = vxlan(&gre(0, 0x6558, &[], &ethernet(0x0800, &inner())));
    carries(
        LinkType::ETHERNET,
        &gre_inside,
        &[Layer::Vxlan(7), Layer::Gre],
    );
    let vxlan_inside = gre(0, 0x6558, &[], &vxlan(&ethernet(0x0800, &inner())));
    carries(
        LinkType::ETHERNET,
        &vxlan_inside,
        &[Layer::Gre, Layer::Vxlan(7)],
    );
}
