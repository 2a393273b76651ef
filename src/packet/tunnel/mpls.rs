//! MPLS label stacks (RFC 3032), and Ethernet pseudowires behind them (RFC 4448).

use super::super::link::ethernet;
use super::super::{Next, Reason, Span};
use super::enter;
use crate::model::{Layer, LayerPath};

pub(in crate::packet) fn read<'a>(
    mut span: Span<'a>,
    path: &mut LayerPath,
) -> Result<Next<'a>, Reason> {
    loop {
        // 20 bits label, 3 bits traffic class, 1 bit bottom of stack, 8 bits time to live.
        let (&entry, rest) = span.split::<4>()?;
        let entry = u32::from_be_bytes(entry);
        enter(path, Layer::Mpls(entry >> 12))?;
        span = rest;
        if entry & 0x100 != 0 {
            return bottom(span);
        }
    }
}

/// Nothing says what the stack carries. Routers look at the first four bits; an Ethernet address may begin with
/// anything, so what stands behind it is looked at as well.
fn bottom(span: Span<'_>) -> Result<Next<'_>, Reason> {
    let data = span.data();
    let Some(first) = data.first() else {
        return Err(span.too_short());
    };
    let is_ip = match first >> 4 {
        4 => match data {
            [version, _, high, low, ..] => {
                let total = usize::from(u16::from_be_bytes([*high, *low]));
                version & 0x0f >= 5 && (total == 0 || (20..=span.wire_len()).contains(&total))
            }
            _ => true,
        },
        6 => match data {
            [_, _, _, _, high, low, ..] => {
                usize::from(u16::from_be_bytes([*high, *low])) + 40 <= span.wire_len()
            }
            _ => true,
        },
        _ => false,
    };
    if is_ip && !ethernet::is_plausible(data) {
        return Ok(Next::Ip(span));
    }
    // The control word's first four bits are zero (RFC 4385); so are those of most Ethernet addresses.
    let behind = data.get(4..).unwrap_or_default();
    if first >> 4 == 0 && ethernet::is_plausible(behind) {
        return Ok(Next::Ethernet(span.skip(4)?));
    }
    if ethernet::is_plausible(data) || !is_ip {
        return Ok(Next::Ethernet(span));
    }
    Ok(Next::Ip(span))
}
