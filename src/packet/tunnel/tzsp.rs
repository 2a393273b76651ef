//! TZSP: what access points and routers send to a sniffer (Network Chemistry's `TaZmen` Sniffer Protocol).

use super::super::{Next, Span};
use crate::model::Layer;

const PADDING: u8 = 0;
const END: u8 = 1;

pub(super) fn read(span: Span<'_>) -> Option<(Layer, Next<'_>)> {
    // Version 1, type "received frame", what is inside.
    let (&[1, 0, k0, k1], mut span) = span.split::<4>().ok()? else {
        return None;
    };
    // Tags with a length, but for two.
    loop {
        let tag = *span.data().first()?;
        span = span.skip(1).ok()?;
        match tag {
            PADDING => {}
            END => break,
            _ => {
                let length = *span.data().first()?;
                span = span.skip(1 + usize::from(length)).ok()?;
            }
        }
    }
    let next = match u16::from_be_bytes([k0, k1]) {
        1 => Next::Ethernet(span),
        0x12 => Next::Wifi(span),
        _ => return None,
    };
    Some((Layer::Tzsp, next))
}
