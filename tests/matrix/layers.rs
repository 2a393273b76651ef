//! Link layers and tunnels, made from the protocols' specifications: they share nothing with the decoder.

/// Puts an IP datagram behind an Ethernet header.
pub fn ethernet(datagram: &[u8]) -> Vec<u8> {
    let kind: u16 = if datagram[0] >> 4 == 4 {
        0x0800
    } else {
        0x86dd
    };
    frame(kind, datagram)
}

fn frame(kind: u16, payload: &[u8]) -> Vec<u8> {
    let addresses = [2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8];
    [&addresses[..], &kind.to_be_bytes(), payload].concat()
}

/// An IPv4 header between two routers.
fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let total = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
    let mut header = vec![
        0x45, 0, total[0], total[1], 0, 7, 0x40, 0, 64, protocol, 0, 0,
    ];
    header.extend([198, 51, 100, 1, 198, 51, 100, 2]);
    [&header, payload].concat()
}

fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap();
    let header = [40_000, port, length, 0].map(u16::to_be_bytes).concat();
    ipv4(17, &[&header, payload].concat())
}

fn gre(flags: u16, kind: u16, fields: &[u8], payload: &[u8]) -> Vec<u8> {
    let header = [flags, kind].map(u16::to_be_bytes).concat();
    ipv4(47, &[&header, fields, payload].concat())
}

fn ether_type(datagram: &[u8]) -> [u8; 2] {
    if datagram[0] >> 4 == 4 {
        [8, 0]
    } else {
        [0x86, 0xdd]
    }
}

fn ppp(datagram: &[u8]) -> Vec<u8> {
    let protocol = if datagram[0] >> 4 == 4 { 0x21 } else { 0x57 };
    [&[0xff, 3, 0, protocol][..], datagram].concat()
}

/// A tunnel: its name in the path, and a datagram that carries another.
pub type Tunnel = (&'static str, fn(&[u8]) -> Vec<u8>);

/// "ipip" and "6in4" are one tunnel here; the version of what is inside decides.
pub const TUNNELS: [Tunnel; 10] = [
    ("ip", |inner| {
        ipv4(if inner[0] >> 4 == 4 { 4 } else { 41 }, inner)
    }),
    ("gre", |inner| {
        let [high, low] = ether_type(inner);
        gre(0xb000, u16::from_be_bytes([high, low]), &[0; 12], inner)
    }),
    ("gre", |inner| gre(0, 0x6558, &[], &ethernet(inner))),
    ("gre > erspan", |inner| {
        let mirrored = [&[0x10, 7, 0, 1, 0, 0, 0, 0][..], &ethernet(inner)].concat();
        gre(0x1000, 0x88be, &[0; 4], &mirrored)
    }),
    ("vxlan 42", |inner| {
        udp(
            4789,
            &[&[8, 0, 0, 0, 0, 0, 42, 0][..], &ethernet(inner)].concat(),
        )
    }),
    ("geneve 43", |inner| {
        udp(
            6081,
            &[
                &[1, 0, 0x65, 0x58, 0, 0, 43, 0, 1, 2, 3, 0][..],
                &ethernet(inner),
            ]
            .concat(),
        )
    }),
    ("gtp-u 0x2c", |inner| {
        let length = u16::try_from(4 + inner.len()).unwrap().to_be_bytes();
        let header = [&[0x32, 0xff][..], &length, &[0, 0, 0, 0x2c, 0, 1, 0, 0]].concat();
        udp(2152, &[&header, inner].concat())
    }),
    ("l2tp", |inner| {
        udp(1701, &[&[0, 2, 0, 1, 0, 2][..], &ppp(inner)].concat())
    }),
    ("tzsp", |inner| {
        udp(37008, &[&[1, 0, 0, 1, 1][..], &ethernet(inner)].concat())
    }),
    ("mpls 16", |inner| {
        udp(6635, &[&[0, 1, 1, 64][..], inner].concat())
    }),
];

/// A link layer: its name in the path, the capture's link type, and a frame that carries a datagram.
pub type Link = (&'static str, u32, fn(&[u8]) -> Vec<u8>);

pub const LINKS: [Link; 19] = [
    ("", 1, ethernet),
    ("vlan 7", 1, |ip| {
        frame(0x8100, &[&[0, 7][..], &ether_type(ip), ip].concat())
    }),
    ("vlan 8 > vlan 9", 1, |ip| {
        frame(
            0x88a8,
            &[&[0, 8, 0x81, 0, 0, 9][..], &ether_type(ip), ip].concat(),
        )
    }),
    ("vlan 8 > vlan 9", 1, |ip| {
        frame(
            0x9100,
            &[&[0, 8, 0x81, 0, 0, 9][..], &ether_type(ip), ip].concat(),
        )
    }),
    ("mpls 5 > mpls 6", 1, |ip| {
        frame(
            0x8847,
            &[&[0, 0, 0x50, 64, 0, 0, 0x61, 64][..], ip].concat(),
        )
    }),
    ("mpls 6", 1, |ip| {
        frame(
            0x8847,
            &[&[0, 0, 0x61, 64, 0, 0, 0, 0][..], &ethernet(ip)].concat(),
        )
    }),
    ("mpls 6", 1, |ip| {
        frame(0x8847, &[&[0, 0, 0x61, 64][..], &ethernet(ip)].concat())
    }),
    ("pppoe 17", 1, |ip| {
        let ppp = &ppp(ip)[2..];
        let length = u16::try_from(ppp.len()).unwrap().to_be_bytes();
        frame(0x8864, &[&[0x11, 0, 0, 17][..], &length, ppp].concat())
    }),
    ("", 9, ppp),
    ("", 50, ppp),
    ("", 101, |ip| ip.to_vec()),
    ("", 12, |ip| ip.to_vec()),
    ("", 0, |ip| {
        [&[if ip[0] >> 4 == 4 { 2 } else { 10 }, 0, 0, 0][..], ip].concat()
    }),
    ("", 108, |ip| {
        [&[0, 0, 0, if ip[0] >> 4 == 4 { 2 } else { 24 }][..], ip].concat()
    }),
    ("", 113, |ip| {
        [
            &[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 9, 0, 0][..],
            &ether_type(ip),
            ip,
        ]
        .concat()
    }),
    ("", 276, |ip| {
        let rest = [0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 9, 0, 0];
        [&ether_type(ip)[..], &rest, ip].concat()
    }),
    ("802.11", 105, |ip| wifi(ip)),
    ("802.11", 127, |ip| {
        [&[0, 0, 8, 0, 0, 0, 0, 0][..], &wifi(ip)].concat()
    }),
    ("802.11", 192, |ip| {
        [&[0, 0, 8, 0, 105, 0, 0, 0][..], &wifi(ip)].concat()
    }),
];

/// A `QoS` data frame to the access point.
fn wifi(ip: &[u8]) -> Vec<u8> {
    [
        &[0x88, 1][..],
        &[0; 24],
        &[0xaa, 0xaa, 3, 0, 0, 0],
        &ether_type(ip),
        ip,
    ]
    .concat()
}
