//! Data messages of L2TP version 2 (RFC 2661, 3.1).

use super::super::{Next, Span};
use crate::model::Layer;

const CONTROL: u16 = 0x8000;
const LENGTH: u16 = 0x4000;
const SEQUENCE: u16 = 0x0800;
const OFFSET: u16 = 0x0200;
const RESERVED: u16 = 0x34f0;
const VERSION: u16 = 0x000f;

pub(super) fn read(span: Span<'_>) -> Option<(Layer, Next<'_>)> {
    let whole = span.wire_len();
    let (flags, mut rest) = number(span)?;
    if flags & (CONTROL | RESERVED) != 0 || flags & VERSION != 2 {
        return None;
    }
    if flags & LENGTH != 0 {
        let (length, behind) = number(rest)?;
        let length = usize::from(length);
        if length > whole {
            return None;
        }
        rest = behind.limit(length.checked_sub(4)?);
    }
    // Tunnel and session; sequence numbers sent and expected.
    rest = rest.skip(4).ok()?;
    if flags & SEQUENCE != 0 {
        rest = rest.skip(4).ok()?;
    }
    if flags & OFFSET != 0 {
        let (pad, behind) = number(rest)?;
        rest = behind.skip(usize::from(pad)).ok()?;
    }
    Some((Layer::L2tp, Next::Ppp(rest)))
}

fn number(span: Span<'_>) -> Option<(u16, Span<'_>)> {
    let (bytes, rest) = span.split::<2>().ok()?;
    Some((u16::from_be_bytes(*bytes), rest))
}
