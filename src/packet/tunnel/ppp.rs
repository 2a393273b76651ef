//! PPP (RFC 1661), on a line of its own (RFC 1662), over Ethernet (RFC 2516) and inside tunnels.

use super::super::{Next, Reason, Span};
use super::enter;
use crate::model::{Layer, LayerPath};

pub(in crate::packet) fn read(span: Span<'_>) -> Result<Next<'_>, Reason> {
    // Address and control, which both sides may agree to leave out.
    let span = match span.data() {
        [0xff, 0x03, ..] => span.skip(2)?,
        _ => span,
    };
    // The first byte of a protocol number is even and its last odd: one that begins odd was shortened to one byte.
    let (protocol, span) = match span.data() {
        [first, ..] if first & 1 == 1 => (u16::from(*first), span.skip(1)?),
        _ => {
            let (number, rest) = span.split::<2>()?;
            (u16::from_be_bytes(*number), rest)
        }
    };
    match protocol {
        0x0021 | 0x0057 => Ok(Next::Ip(span)),
        0x0281 => Ok(Next::EtherType(0x8847, span)),
        0x0283 => Ok(Next::EtherType(0x8848, span)),
        // Link control, authentication, compressed headers.
        _ => Err(Reason::UnsupportedEthertype),
    }
}

/// A session packet of `PPPoE`: version and type 1, code 0, session, length.
pub(in crate::packet) fn over_ethernet<'a>(
    span: Span<'a>,
    path: &mut LayerPath,
) -> Result<Next<'a>, Reason> {
    let (&[0x11, 0, s0, s1, l0, l1], span) = span.split::<6>()? else {
        return Err(Reason::Malformed);
    };
    enter(path, Layer::Pppoe(u16::from_be_bytes([s0, s1])))?;
    Ok(Next::Ppp(
        span.limit(usize::from(u16::from_be_bytes([l0, l1]))),
    ))
}

/// Cisco's HDLC, and PPP in HDLC-like frames, which begin with FF.
pub(in crate::packet) fn hdlc(span: Span<'_>) -> Result<Next<'_>, Reason> {
    match span.data() {
        [0x0f | 0x8f, _, ..] => {
            let (&[_, _, high, low], span) = span.split::<4>()?;
            Ok(Next::EtherType(u16::from_be_bytes([high, low]), span))
        }
        _ => Ok(Next::Ppp(span)),
    }
}
