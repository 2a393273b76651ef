//! IEEE 802.2 logical link control, with SNAP (RFC 1042) and IP's own address.

use super::super::{Next, Reason, Span};

/// Destination and source address of SNAP, and "unnumbered information".
const SNAP: [u8; 3] = [0xaa, 0xaa, 3];
/// The address of IP, without SNAP: rare, but assigned.
const IP: [u8; 3] = [6, 6, 3];

pub(in crate::packet) fn read(span: Span<'_>) -> Result<Next<'_>, Reason> {
    let (header, span) = span.split::<3>()?;
    match *header {
        SNAP => {
            let (&[a, b, c, kind @ ..], span) = span.split::<5>()?;
            match [a, b, c] {
                // An Ethernet type, also when a bridge from token ring or 802.11 passed it on (802.1H).
                [0, 0, 0 | 0xf8] => Ok(Next::EtherType(u16::from_be_bytes(kind), span)),
                _ => Err(Reason::UnsupportedEthertype),
            }
        }
        IP => Ok(Next::Ip(span)),
        _ => Err(Reason::UnsupportedEthertype),
    }
}
