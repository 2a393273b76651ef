//! Headers. Each function puts one in front of what it carries.

pub const SYN: u8 = 0x02;
pub const ACK: u8 = 0x10;

pub const UDP: u8 = 17;
pub const TCP: u8 = 6;

pub fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    [
        &[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1][..],
        &kind.to_be_bytes(),
        payload,
    ]
    .concat()
}

/// 10.0.0.5 to 192.0.2.9.
pub fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_with(protocol, &[], 0x4000, None, payload)
}

pub fn ipv4_with(
    protocol: u8,
    options: &[u8],
    fragment: u16,
    total: Option<u16>,
    payload: &[u8],
) -> Vec<u8> {
    let length = 20 + options.len();
    let total = total.unwrap_or_else(|| u16::try_from(length + payload.len()).unwrap());
    let mut header = vec![0x40 | u8::try_from(length / 4).unwrap(), 0];
    header.extend(total.to_be_bytes());
    header.extend([0x12, 0x34]);
    header.extend(fragment.to_be_bytes());
    header.extend([64, protocol, 0, 0, 10, 0, 0, 5, 192, 0, 2, 9]);
    [&header, options, payload].concat()
}

/// `2001:db8::5` to `2001:db8::9`.
pub fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    ipv6_with(next, u16::try_from(payload.len()).unwrap(), payload)
}

pub fn ipv6_with(next: u8, length: u16, payload: &[u8]) -> Vec<u8> {
    let mut header = vec![0x60, 0, 0, 0];
    header.extend(length.to_be_bytes());
    header.extend([next, 64]);
    for last in [5, 9] {
        header.extend([
            0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last,
        ]);
    }
    [&header, payload].concat()
}

/// An IPv6 extension header of 8 + 8 * `more` bytes.
pub fn extension(next: u8, more: u8, payload: &[u8]) -> Vec<u8> {
    // PadN options would be right inside; nobody looks.
    let mut header = vec![next, more];
    header.resize(8 + 8 * usize::from(more), 0);
    [&header, payload].concat()
}

/// A hop-by-hop header whose one option gives a jumbogram's length (RFC 2675): type 0xc2, 4 bytes.
pub fn jumbo(next: u8, length: u32, payload: &[u8]) -> Vec<u8> {
    [&[next, 0, 0xc2, 4][..], &length.to_be_bytes(), payload].concat()
}

/// A routing header (RFC 8200 section 4.4) of this type through these last bytes of `2001:db8::`.
pub fn routing(next: u8, kind: u8, segments_left: u8, stops: &[u8], payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(2 * stops.len()).unwrap();
    let mut header = vec![next, length, kind, segments_left, 0, 0, 0, 0];
    for &stop in stops {
        header.extend([
            0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, stop,
        ]);
    }
    [&header, payload].concat()
}

/// An IPv6 fragment header; `offset` in units of 8 bytes.
pub fn fragment(next: u8, offset: u16, more: bool, payload: &[u8]) -> Vec<u8> {
    let offset = (offset << 3) | u16::from(more);
    [
        &[next, 0][..],
        &offset.to_be_bytes(),
        &[0, 0, 0, 1],
        payload,
    ]
    .concat()
}

/// An authentication header with a check value of 12 bytes: 24 bytes, which its length gives as 24 / 4 - 2.
pub fn authentication(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = vec![next, 4];
    header.resize(24, 0);
    [&header, payload].concat()
}

/// Port 50211 to 5190, sequence `0x0102_0304`, acknowledgement `0x0506_0708`.
pub fn tcp(flags: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut header = vec![0xc4, 0x23, 0x14, 0x46, 1, 2, 3, 4, 5, 6, 7, 8];
    header.extend([u8::try_from((20 + options.len()) / 4).unwrap() << 4, flags]);
    // Window, a checksum that is wrong, urgent pointer.
    header.extend([0xff, 0xff, 0xde, 0xad, 0, 0]);
    [&header, options, payload].concat()
}

/// Port 50211 to 4000.
pub fn udp(payload: &[u8]) -> Vec<u8> {
    udp_with(u16::try_from(8 + payload.len()).unwrap(), payload)
}

pub fn udp_with(length: u16, payload: &[u8]) -> Vec<u8> {
    [
        &[0xc4, 0x23, 0x0f, 0xa0][..],
        &length.to_be_bytes(),
        &[0xbe, 0xef],
        payload,
    ]
    .concat()
}

/// A VLAN tag behind the type that announces it.
pub fn tag(control: u16, kind: u16, payload: &[u8]) -> Vec<u8> {
    [&control.to_be_bytes()[..], &kind.to_be_bytes(), payload].concat()
}
