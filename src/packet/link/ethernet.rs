//! Ethernet II and IEEE 802.3.

use super::super::{Next, Reason, Span};

pub(in crate::packet) fn read(span: Span<'_>) -> Result<Next<'_>, Reason> {
    let (&[.., high, low], span) = span.split::<14>()?;
    type_or_length(u16::from_be_bytes([high, low]), span)
}

/// The two bytes are a type from 0x600 up, and the length of an 802.3 frame up to 1500.
pub(in crate::packet) fn type_or_length(value: u16, span: Span<'_>) -> Result<Next<'_>, Reason> {
    match value {
        0x600.. => Ok(Next::EtherType(value, span)),
        0..=1500 => Ok(Next::Llc(span.limit(usize::from(value)))),
        _ => Err(Reason::Malformed),
    }
}
