//! GRE: version 0 (RFC 2784 with the key and sequence number of RFC 2890) and version 1 (PPTP, RFC 2637).

use super::super::{Next, Reason, Span};
use super::enter;
use crate::model::{Layer, LayerPath};

const CHECKSUM: u16 = 0x8000;
const ROUTING: u16 = 0x4000;
const KEY: u16 = 0x2000;
const SEQUENCE: u16 = 0x1000;
const ACKNOWLEDGEMENT: u16 = 0x0080;
const VERSION: u16 = 0x0007;

const PPP: u16 = 0x880b;
const TRANSPARENT_ETHERNET: u16 = 0x6558;
const ERSPAN: u16 = 0x88be;
const ERSPAN_III: u16 = 0x22eb;

pub(super) fn read<'a>(span: Span<'a>, path: &mut LayerPath) -> Result<Next<'a>, Reason> {
    let (&[f0, f1, p0, p1], span) = span.split::<4>()?;
    let flags = u16::from_be_bytes([f0, f1]);
    let protocol = u16::from_be_bytes([p0, p1]);
    // Source routes (RFC 1701) went out of use before any of this; RFC 2784 tells receivers to discard them.
    if flags & ROUTING != 0 {
        return Err(Reason::Malformed);
    }
    enter(path, Layer::Gre)?;
    let field = |bit: u16| if flags & bit != 0 { 4 } else { 0 };
    match flags & VERSION {
        0 => {
            let span = span.skip(field(CHECKSUM) + field(KEY) + field(SEQUENCE))?;
            inside(protocol, flags & SEQUENCE != 0, span, path)
        }
        1 if protocol == PPP => {
            // The key is always there: payload length and call id. Without a sequence number there is no payload.
            let span = span.skip(4 + field(SEQUENCE) + field(ACKNOWLEDGEMENT))?;
            if flags & SEQUENCE == 0 {
                return Err(Reason::UnsupportedIpProtocol);
            }
            Ok(Next::Ppp(span))
        }
        _ => Err(Reason::Malformed),
    }
}

fn inside<'a>(
    protocol: u16,
    sequenced: bool,
    span: Span<'a>,
    path: &mut LayerPath,
) -> Result<Next<'a>, Reason> {
    match protocol {
        PPP => Ok(Next::Ppp(span)),
        TRANSPARENT_ETHERNET => Ok(Next::Ethernet(span)),
        // Type I has neither sequence number nor header (draft-foschiano-erspan).
        ERSPAN if !sequenced => enter(path, Layer::Erspan).map(|()| Next::Ethernet(span)),
        ERSPAN => {
            let (&[version, ..], frame) = span.split::<8>()?;
            mirrored(version, 1, frame, path)
        }
        ERSPAN_III => {
            let (&[version, .., flags], frame) = span.split::<12>()?;
            // The last bit says that a platform's own 8 bytes follow.
            let frame = frame.skip(usize::from(flags & 1) * 8)?;
            mirrored(version, 2, frame, path)
        }
        _ => Ok(Next::EtherType(protocol, span)),
    }
}

fn mirrored<'a>(
    version: u8,
    wanted: u8,
    frame: Span<'a>,
    path: &mut LayerPath,
) -> Result<Next<'a>, Reason> {
    if version >> 4 != wanted {
        return Err(Reason::Malformed);
    }
    enter(path, Layer::Erspan).map(|()| Next::Ethernet(frame))
}
