//! BSD loopback: four bytes with the address family, in the byte order of the machine that captured (`NULL`)
//! or of the network (`LOOP`).

use super::super::{Next, Reason, Span};

pub(super) fn read(span: Span<'_>) -> Result<Next<'_>, Reason> {
    let (&header, span) = span.split::<4>()?;
    // Families are small numbers, so the order shows: written the other way round they are huge.
    let family = u32::from_be_bytes(header);
    let family = if family > 0xffff {
        family.swap_bytes()
    } else {
        family
    };
    match family {
        // AF_INET everywhere; AF_INET6 of Linux, Windows, NetBSD and OpenBSD, FreeBSD, macOS.
        2 | 10 | 23 | 24 | 28 | 30 => Ok(Next::Ip(span)),
        _ => Err(Reason::UnsupportedEthertype),
    }
}
