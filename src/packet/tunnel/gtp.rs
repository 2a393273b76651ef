//! GTP-U, the user plane of mobile networks (3GPP TS 29.281, 5.1).

use super::super::{Next, Span};
use crate::model::Layer;

/// The one message type that carries a user's packet.
const G_PDU: u8 = 0xff;

pub(super) fn read(span: Span<'_>) -> Option<(Layer, Next<'_>)> {
    let (&[flags, G_PDU, l0, l1, t0, t1, t2, t3], rest) = span.split::<8>().ok()? else {
        return None;
    };
    // Version 1, GTP and not GTP', one reserved bit.
    if flags & 0xf8 != 0x30 {
        return None;
    }
    // The length counts what follows these eight bytes.
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    if length > rest.wire_len() {
        return None;
    }
    let mut rest = rest.limit(length);
    // One of three optional fields is there: then all are.
    if flags & 0x07 != 0 {
        let (&[_, _, _, extension], behind) = rest.split::<4>().ok()?;
        rest = behind;
        let mut extension = if flags & 0x04 != 0 { extension } else { 0 };
        while extension != 0 {
            // Words of four bytes, this one and the next type included.
            let words = *rest.data().first().filter(|words| **words > 0)?;
            let length = usize::from(words) * 4;
            extension = *rest.data().get(length - 1)?;
            rest = rest.skip(length).ok()?;
        }
    }
    let tunnel = Layer::GtpU(u32::from_be_bytes([t0, t1, t2, t3]));
    Some((tunnel, Next::Ip(rest)))
}
