//! VXLAN (RFC 7348) with group policy, and its generic extension (draft-ietf-nvo3-vxlan-gpe).

use super::super::{Next, Span};
use crate::model::Layer;

/// The network identifier is valid.
const IDENTIFIED: u8 = 0x08;
/// Bytes 2 and 3 are a group (draft-smith-vxlan-group-policy).
const GROUPED: u8 = 0x80;
/// Byte 3 says what is inside.
const TYPED: u8 = 0x04;

pub(super) fn read(span: Span<'_>) -> Option<(Layer, Next<'_>)> {
    let (&[flags, r, g0, g1, v0, v1, v2, 0], frame) = span.split::<8>().ok()? else {
        return None;
    };
    let plain = flags == IDENTIFIED && [r, g0, g1] == [0; 3];
    let grouped = flags == IDENTIFIED | GROUPED;
    (plain || grouped).then(|| (layer([v0, v1, v2]), Next::Ethernet(frame)))
}

pub(super) fn read_gpe(span: Span<'_>) -> Option<(Layer, Next<'_>)> {
    let (&[flags, 0, 0, kind, v0, v1, v2, 0], inside) = span.split::<8>().ok()? else {
        return None;
    };
    if flags != IDENTIFIED | TYPED {
        return None;
    }
    let next = match kind {
        1 | 2 => Next::Ip(inside),
        3 => Next::Ethernet(inside),
        _ => return None,
    };
    Some((layer([v0, v1, v2]), next))
}

const fn layer([v0, v1, v2]: [u8; 3]) -> Layer {
    Layer::Vxlan(u32::from_be_bytes([0, v0, v1, v2]))
}
