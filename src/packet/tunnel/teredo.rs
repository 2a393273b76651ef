//! Teredo: IPv6 through a NAT (RFC 4380, 5.1.1).

use super::super::{Next, Span};
use crate::model::Layer;

pub(super) fn read(mut span: Span<'_>) -> Option<(Layer, Next<'_>)> {
    // Authentication: lengths of client id and value, both, then a nonce of 8 bytes and a confirmation byte.
    if let [0, 1, id, value, ..] = span.data() {
        span = span
            .skip(4 + usize::from(*id) + usize::from(*value) + 9)
            .ok()?;
    }
    // Origin: port and address as the server saw them.
    if let [0, 0, ..] = span.data() {
        span = span.skip(8).ok()?;
    }
    let (header, payload) = span.split::<40>().ok()?;
    let &[version, _, _, _, high, low, ..] = header;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let teredo = |at: usize| header.get(at..at + 4) == Some(&[0x20, 0x01, 0, 0]);
    let known = version >> 4 == 6 && length == payload.wire_len() && (teredo(8) || teredo(24));
    known.then_some((Layer::Teredo, Next::Ip(span)))
}
