//! IPv4 (RFC 791).

use super::super::{Next, Reason, Span};
use super::{Addresses, Datagram, Piece, authentication};
use etherparse::err::ipv4::HeaderSliceError;
use etherparse::{Ipv4HeaderSlice, ip_number};

#[inline]
pub(super) fn read(span: Span<'_>) -> Result<Next<'_>, Reason> {
    let header = Ipv4HeaderSlice::from_slice(span.data()).map_err(|error| match error {
        HeaderSliceError::Len(_) => span.too_short(),
        HeaderSliceError::Content(_) => Reason::Malformed,
    })?;
    let length = header.slice().len();
    let addresses = header.slice().get(12..20).unwrap_or_default();
    let ([src, dst], _) = addresses.as_chunks() else {
        return Err(Reason::Malformed);
    };
    let fragment = header.is_fragmenting_payload();
    let span = match usize::from(header.total_len()) {
        // Captured before the network card cut a large segment into packets (TSO): it goes on to the end. The
        // card writes the true lengths before anything makes fragments of them.
        0 if !fragment => span,
        total if total < length => return Err(Reason::Malformed),
        total => span.limit(total),
    };
    let datagram = Datagram {
        protocol: header.protocol(),
        addresses: Addresses::V4 { src, dst },
        hops: header.ttl(),
        payload: span.skip(length)?,
    };
    if fragment {
        let piece = Piece::new(
            datagram,
            header.identification().into(),
            header.fragments_offset().byte_offset().into(),
            header.more_fragments(),
        )?;
        return Ok(Next::Fragment(piece));
    }
    payload(datagram)
}

/// Fragments are made after signing, so the authentication header is inside.
#[inline]
pub(super) fn payload(mut datagram: Datagram<'_>) -> Result<Next<'_>, Reason> {
    if datagram.protocol == ip_number::AUTH {
        (datagram.protocol, datagram.payload) = authentication(datagram.payload)?;
    }
    Ok(Next::IpPayload(datagram))
}
