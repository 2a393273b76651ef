//! Geneve (RFC 8926, 3.4).

use super::super::{Next, Span};
use crate::model::Layer;

const TRANSPARENT_ETHERNET: u16 = 0x6558;

pub(super) fn read(span: Span<'_>) -> Option<(Layer, Next<'_>)> {
    let (&[first, flags, p0, p1, v0, v1, v2, 0], span) = span.split::<8>().ok()? else {
        return None;
    };
    // Version 0 in the upper two bits; the rest counts options in words of four bytes.
    if first >> 6 != 0 || flags & 0x3f != 0 {
        return None;
    }
    let span = span.skip(usize::from(first) * 4).ok()?;
    let next = match u16::from_be_bytes([p0, p1]) {
        TRANSPARENT_ETHERNET => Next::Ethernet(span),
        kind => Next::EtherType(kind, span),
    };
    Some((Layer::Geneve(u32::from_be_bytes([0, v0, v1, v2])), next))
}
