//! Linux cooked captures, from the device `any` and from interfaces without a link header of their own.

use super::super::{Next, Reason, Span};

/// Version 1: packet type, hardware type, address length (u16 each), address (8 bytes), protocol u16.
pub(super) fn v1(span: Span<'_>) -> Result<Next<'_>, Reason> {
    let (&[_, _, hardware0, hardware1, .., protocol0, protocol1], span) = span.split::<16>()?;
    protocol([hardware0, hardware1], [protocol0, protocol1], span)
}

/// Version 2: protocol u16, reserved u16, interface u32, hardware type u16, packet type u8, address length
/// u8, address (8 bytes).
pub(super) fn v2(span: Span<'_>) -> Result<Next<'_>, Reason> {
    let (
        &[
            protocol0,
            protocol1,
            _,
            _,
            _,
            _,
            _,
            _,
            hardware0,
            hardware1,
            ..,
        ],
        span,
    ) = span.split::<20>()?;
    protocol([hardware0, hardware1], [protocol0, protocol1], span)
}

fn protocol(hardware: [u8; 2], protocol: [u8; 2], span: Span<'_>) -> Result<Next<'_>, Reason> {
    const ARPHRD_NETLINK: u16 = 824;
    match (u16::from_be_bytes(hardware), u16::from_be_bytes(protocol)) {
        // The protocol is a netlink family there.
        (ARPHRD_NETLINK, _) => Err(Reason::UnsupportedEthertype),
        // Linux' own number for "an 802.2 LLC header follows".
        (_, 4) => Ok(Next::Llc(span)),
        (_, kind) => Ok(Next::EtherType(kind, span)),
    }
}
