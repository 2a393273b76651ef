//! Data frames of a wireless LAN (IEEE 802.11, 9.3.2), and the headers that capturing programs put before them.

use super::super::{Next, Reason, Span, tunnel};
use super::first;
use crate::model::{Layer, LayerPath, LinkType};

const TO_DS: u8 = 0x01;
const FROM_DS: u8 = 0x02;
const PROTECTED: u8 = 0x40;
const ORDER: u8 = 0x80;
/// LLC and SNAP, with which every IP packet begins.
const SNAP: [u8; 3] = [0xaa, 0xaa, 0x03];

pub(in crate::packet) fn read<'a>(
    span: Span<'a>,
    path: &mut LayerPath,
) -> Result<Next<'a>, Reason> {
    frame(span, false, path)
}

/// `padded`: the driver aligned what follows the header to four bytes.
pub(in crate::packet) fn frame<'a>(
    span: Span<'a>,
    padded: bool,
    path: &mut LayerPath,
) -> Result<Next<'a>, Reason> {
    let &[control, flags, ..] = span.data() else {
        return Err(span.too_short());
    };
    let (version, kind, subtype) = (control & 3, control >> 2 & 3, control >> 4);
    // Type 2 is data; the third bit of its subtype says "without data".
    if version != 0 || kind != 2 || subtype & 4 != 0 {
        return Err(Reason::NoDataFrame);
    }
    let quality = subtype & 8 != 0;
    let mut length: usize = 24;
    if flags & (TO_DS | FROM_DS) == TO_DS | FROM_DS {
        length += 6;
    }
    let quality_at = length;
    if quality {
        length += 2;
        if flags & ORDER != 0 {
            length += 4;
        }
    }
    if padded {
        length = length.div_ceil(4) * 4;
    }
    let aggregated = quality
        && span
            .data()
            .get(quality_at)
            .is_some_and(|byte| byte & 0x80 != 0);
    let body = span.skip(length)?;
    // A driver that has decrypted the frame may leave the bit set.
    if flags & PROTECTED != 0 && !body.data().starts_with(&SNAP) {
        return Err(Reason::Encrypted);
    }
    tunnel::enter(path, Layer::Wifi)?;
    if aggregated {
        // The first of several frames: receiver, sender, length. The others are not read.
        let (&[.., high, low], inner) = body.split::<14>()?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        return Ok(Next::Llc(inner.limit(length)));
    }
    Ok(Next::Llc(body))
}

/// Radiotap: version 0, its length, which fields are there, the fields.
pub(super) fn radiotap<'a>(span: Span<'a>, path: &mut LayerPath) -> Result<Next<'a>, Reason> {
    const MORE: u32 = 1 << 31;
    const TIME: u32 = 1;
    const FLAGS: u32 = 2;
    let (&[0, _, l0, l1], _) = span.split::<4>()? else {
        return Err(Reason::Malformed);
    };
    let length = usize::from(u16::from_le_bytes([l0, l1]));
    let inner = span.skip(length)?;
    let header = span.data().get(..length).unwrap_or_default();
    let mut at: usize = 4;
    let mut present = 0;
    loop {
        let Some(word) = header.get(at..).and_then(<[u8]>::first_chunk::<4>) else {
            return Err(Reason::Malformed);
        };
        let word = u32::from_le_bytes(*word);
        if at == 4 {
            present = word;
        }
        at += 4;
        if word & MORE == 0 {
            break;
        }
    }
    if present & TIME != 0 {
        at = at.div_ceil(8) * 8 + 8;
    }
    let flags = match header.get(at) {
        Some(flags) if present & FLAGS != 0 => *flags,
        _ => 0,
    };
    // The checksum did not match: these are not the bytes that were sent.
    if flags & 0x40 != 0 {
        return Err(Reason::Malformed);
    }
    frame(inner, flags & 0x20 != 0, path)
}

/// PPI: version 0, flags, its length, the link type of what follows.
pub(super) fn ppi<'a>(span: Span<'a>, path: &mut LayerPath) -> Result<Next<'a>, Reason> {
    let (&[0, _, l0, l1, t0, t1, t2, t3], _) = span.split::<8>()? else {
        return Err(Reason::Malformed);
    };
    let link = LinkType(u32::from_le_bytes([t0, t1, t2, t3]));
    if link == LinkType::PPI {
        return Err(Reason::Malformed);
    }
    let length = usize::from(u16::from_le_bytes([l0, l1])).max(8);
    first(link, span.skip(length)?, path)
}

/// The header of Prism cards, and AVS, which came after it and has a magic of its own.
pub(super) fn prism<'a>(span: Span<'a>, path: &mut LayerPath) -> Result<Next<'a>, Reason> {
    let (&[m0, m1, m2, _, l0, l1, l2, l3], _) = span.split::<8>()?;
    let length = if [m0, m1, m2 & 0xf0] == [0x80, 0x21, 0x10] {
        u32::from_be_bytes([l0, l1, l2, l3])
    } else {
        u32::from_le_bytes([l0, l1, l2, l3])
    };
    if !(8..=1024).contains(&length) {
        return Err(Reason::Malformed);
    }
    frame(span.skip(length as usize)?, false, path)
}
