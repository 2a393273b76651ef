//! Addresses as Yahoo clients write them.

use crate::model::Target;
use std::net::{IpAddr, Ipv4Addr};

/// The address in key 12 of a peer-to-peer invitation: base64 of a decimal number, the address read in
/// little-endian order and printed as a signed integer, so it may be negative.
pub fn peer_address(value: &str) -> Option<Ipv4Addr> {
    let decoded = base64(value)?;
    let number: i64 = std::str::from_utf8(&decoded).ok()?.trim().parse().ok()?;
    let bits = i32::try_from(number)
        .map(i32::cast_unsigned)
        .or_else(|_| u32::try_from(number))
        .ok()?;
    let address = Ipv4Addr::from(bits.to_le_bytes());
    is_host(address).then_some(address)
}

/// Whether somebody could be reached there.
pub fn is_host(address: Ipv4Addr) -> bool {
    !(address.is_unspecified()
        || address.is_loopback()
        || address.is_broadcast()
        || address.is_multicast())
}

/// Where an `http://` URL, or a bare `host[:port]`, leads; port 80 when it names none.
pub fn http_target(value: &str) -> Option<Target> {
    let rest = match value.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
        Some(_) => return None,
        None => value,
    };
    let authority = rest.split(['/', '?', '#']).next()?;
    let authority = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    match Target::parse(authority)? {
        Target::Address(IpAddr::V4(ip), _) if !is_host(ip) => None,
        Target::Address(ip, port) => Some(Target::Address(ip, port.or(Some(80)))),
        Target::Host(name, port) => Some(Target::Host(name, port.or(Some(80)))),
    }
}

/// Standard base64, at most 64 characters. A dependency for this one field would be too much.
fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    if text.len() > 64 || text.len() % 4 == 1 {
        return None;
    }
    let mut out = Vec::with_capacity(48);
    let (mut bits, mut have) = (0_u32, 0_u32);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xFFFF;
        have += 6;
        if have >= 8 {
            have -= 8;
            out.push((bits >> have) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_little_endian_and_may_be_negative() {
        assert_eq!(
            peer_address("NjczMDU5ODU="),
            Some(Ipv4Addr::new(1, 2, 3, 4))
        );
        assert_eq!(
            peer_address("LTkzOTQ4MDg5Ng=="),
            Some(Ipv4Addr::new(192, 168, 0, 200))
        );
    }

    #[test]
    fn nonsense_is_no_address() {
        // "0", "16777343" (127.0.0.1), "hello", an integer too long, not base64, empty.
        for value in [
            "MA==",
            "MTY3NzczNDM=",
            "aGVsbG8=",
            "OTk5OTk5OTk5OTk5",
            "%%%",
            "",
            "A",
        ] {
            assert_eq!(peer_address(value), None, "{value}");
        }
        assert_eq!(peer_address(&"A".repeat(4000)), None);
    }

    #[test]
    fn urls_lead_to_their_authority() {
        let ip = |port| {
            Some(Target::Address(
                Ipv4Addr::new(192, 0, 2, 7).into(),
                Some(port),
            ))
        };
        assert_eq!(
            http_target("http://192.0.2.7:9000/Messenger.bob.1000x?AppID=Messenger"),
            ip(9000)
        );
        assert_eq!(http_target("192.0.2.7"), ip(80));
        assert_eq!(
            http_target("HTTP://Files.example.com/x"),
            Some(Target::Host("files.example.com".into(), Some(80)))
        );
        for bad in [
            "ftp://192.0.2.7/",
            "http:///x",
            "http://0.0.0.0/",
            "",
            "http://a b/",
        ] {
            assert_eq!(http_target(bad), None, "{bad}");
        }
    }
}
