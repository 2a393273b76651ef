//! Addresses as Yahoo clients write them.

use crate::model::Target;
use base64::Engine as _;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use std::net::{IpAddr, Ipv4Addr};

/// Clients pad it or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The address in key 12 of a peer-to-peer invitation: base64 of a decimal number, the address read in
/// little-endian order and printed as a signed integer, so it may be negative.
pub fn peer_address(value: &str) -> Option<Ipv4Addr> {
    let decoded = BASE64.decode(value.get(..64).unwrap_or(value)).ok()?;
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
