//! Ethernet II and IEEE 802.3.

use super::super::{Next, Reason, Span};
use crate::model::Mac;

pub(in crate::packet) fn read(span: Span<'_>) -> Result<Next<'_>, Reason> {
    let (&[.., high, low], span) = span.split::<14>()?;
    type_or_length(u16::from_be_bytes([high, low]), span)
}

/// The card that sent a frame.
#[inline]
pub(in crate::packet) fn source(frame: &[u8]) -> Option<Mac> {
    let [_, _, _, _, _, _, source @ ..] = *frame.first_chunk::<12>()?;
    let mac = Mac(source);
    mac.is_a_cards().then_some(mac)
}

/// Whether these bytes begin with an Ethernet header of something that is carried: to tell it from IP where nothing
/// else does.
pub(in crate::packet) fn is_plausible(data: &[u8]) -> bool {
    match data.get(12..) {
        Some([0x08, 0x00, first, ..]) => first >> 4 == 4,
        Some([0x86, 0xdd, first, ..]) => first >> 4 == 6,
        Some([high, low, ..]) => matches!(
            u16::from_be_bytes([*high, *low]),
            0x0806 | 0x8100 | 0x88a8 | 0x9100 | 0x8847 | 0x8864
        ),
        _ => false,
    }
}

/// The two bytes are a type from 0x600 up, and the length of an 802.3 frame up to 1500.
pub(in crate::packet) fn type_or_length(value: u16, span: Span<'_>) -> Result<Next<'_>, Reason> {
    match value {
        0x600.. => Ok(Next::EtherType(value, span)),
        0..=1500 => Ok(Next::Llc(span.limit(usize::from(value)))),
        _ => Err(Reason::Malformed),
    }
}
