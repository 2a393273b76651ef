//! IPv6 (RFC 8200) and its extension headers.

use super::super::span::MAX_WIRE;
use super::super::{Next, Reason, Span};
use super::{Addresses, Datagram, MAX_DATAGRAM, Piece, authentication};
use etherparse::{Ipv6FragmentHeaderSlice, Ipv6HeaderSlice, Ipv6RawExtHeaderSlice, err, ip_number};

/// How a datagram's payload begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    /// Behind the IPv6 header, which gave a length.
    Header,
    /// Behind an IPv6 header that left the length to others.
    NoLength,
    /// Behind the fragment headers of the pieces it was put together from.
    Reassembled,
}

pub(super) fn read(span: Span<'_>) -> Result<Next<'_>, Reason> {
    let header = Ipv6HeaderSlice::from_slice(span.data()).map_err(|error| match error {
        err::ipv6::HeaderSliceError::Len(_) => span.too_short(),
        err::ipv6::HeaderSliceError::Content(_) => Reason::Malformed,
    })?;
    let addresses = header.slice().get(8..40).unwrap_or_default();
    let ([src, dst], _) = addresses.as_chunks() else {
        return Err(Reason::Malformed);
    };
    let payload = span.skip(header.slice().len())?;
    let (payload, start) = match usize::from(header.payload_length()) {
        // A jumbogram (RFC 2675), or one that the network card has still to cut (TSO): it goes on to the end.
        0 => (payload, Start::NoLength),
        length => (payload.limit(length), Start::Header),
    };
    let mut datagram = Datagram {
        protocol: header.next_header(),
        addresses: Addresses::V6 { src, dst },
        hops: header.hop_limit(),
        payload,
    };
    // Hop-by-hop options follow the IPv6 header or nothing at all (RFC 8200 section 4.1).
    if datagram.protocol == ip_number::IPV6_HEADER_HOP_BY_HOP {
        let options = raw(datagram.payload)?;
        if start == Start::NoLength
            && let Some(length) = jumbo_length(options.payload())?
        {
            datagram.payload = datagram.payload.limit(length);
        }
        skip(&mut datagram, &options)?;
    }
    extensions(datagram, start)
}

pub(super) fn resume(datagram: Datagram<'_>) -> Result<Next<'_>, Reason> {
    extensions(datagram, Start::Reassembled)
}

/// In any order, as receivers must take them. Each header has 8 bytes at least, so the captured length bounds
/// the chain.
fn extensions(mut datagram: Datagram<'_>, start: Start) -> Result<Next<'_>, Reason> {
    loop {
        let payload = datagram.payload;
        match datagram.protocol {
            ip_number::IPV6_DESTINATION_OPTIONS
            | ip_number::MOBILITY_HEADER
            | ip_number::HIP
            | ip_number::SHIM6 => skip(&mut datagram, &raw(payload)?)?,
            ip_number::IPV6_ROUTE_HEADER => {
                let routing = raw(payload)?;
                if let Some(last) = last_stop(routing.payload())
                    && let Addresses::V6 { dst, .. } = &mut datagram.addresses
                {
                    *dst = last;
                }
                skip(&mut datagram, &routing)?;
            }
            ip_number::AUTH => {
                (datagram.protocol, datagram.payload) = authentication(payload)?;
            }
            ip_number::IPV6_FRAGMENTATION_HEADER => {
                let header = Ipv6FragmentHeaderSlice::from_slice(payload.data())
                    .map_err(|_| payload.too_short())?;
                datagram.protocol = header.next_header();
                datagram.payload = payload.skip(header.slice().len())?;
                // One that is first and last at once (an "atomic fragment", RFC 6946) is whole.
                if header.is_fragmenting_payload() {
                    // Fragments of fragments are dropped by receivers, and so are fragments of jumbograms (RFC 2675
                    // section 3); a fragment without a length would take link padding for data.
                    if start != Start::Header {
                        return Err(Reason::Malformed);
                    }
                    let piece = Piece::new(
                        datagram,
                        header.identification(),
                        header.fragment_offset().byte_offset().into(),
                        header.more_fragments(),
                    )?;
                    return Ok(Next::Fragment(piece));
                }
            }
            ip_number::IPV6_HEADER_HOP_BY_HOP => return Err(Reason::Malformed),
            _ => return Ok(Next::IpPayload(datagram)),
        }
    }
}

/// An extension header of the common form: next header, length in units of 8 bytes less one, content.
fn raw(span: Span<'_>) -> Result<Ipv6RawExtHeaderSlice<'_>, Reason> {
    Ipv6RawExtHeaderSlice::from_slice(span.data()).map_err(|_| span.too_short())
}

fn skip(datagram: &mut Datagram<'_>, header: &Ipv6RawExtHeaderSlice<'_>) -> Result<(), Reason> {
    datagram.protocol = header.next_header();
    datagram.payload = datagram.payload.skip(header.slice().len())?;
    Ok(())
}

/// The length that a jumbo payload option among these options gives (RFC 2675 section 2).
fn jumbo_length(mut options: &[u8]) -> Result<Option<usize>, Reason> {
    const PAD_1: u8 = 0;
    const JUMBO: u8 = 0xc2;
    loop {
        options = match *options {
            [PAD_1, ref rest @ ..] => rest,
            [JUMBO, 4, a, b, c, d, ..] => {
                let length = u32::from_be_bytes([a, b, c, d]) as usize;
                return match length {
                    // What fits into the IPv6 header's own field must stand there.
                    0..=MAX_DATAGRAM => Err(Reason::Malformed),
                    // No longer than any frame can be; else it goes on to the end.
                    _ => Ok((length <= MAX_WIRE).then_some(length)),
                };
            }
            [_, length, ref rest @ ..] => match rest.get(usize::from(length)..) {
                Some(rest) => rest,
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
    }
}

/// Where a packet that still has stops to make will arrive in the end: what both ends take for its destination.
fn last_stop(routing: &[u8]) -> Option<&[u8; 16]> {
    let [kind, segments_left, _, _, _, _, addresses @ ..] = routing else {
        return None;
    };
    if *segments_left == 0 {
        return None;
    }
    let (addresses, _) = addresses.as_chunks::<16>();
    match kind {
        // Source routes (RFC 2460 section 4.4) and Mobile IPv6's home address (RFC 6275 section 6.4) in order;
        // more stops than there are addresses is an error.
        0 | 2 if usize::from(*segments_left) <= addresses.len() => addresses.last(),
        // Segment routing lists its stops backwards (RFC 8754 section 2).
        4 => addresses.first(),
        _ => None,
    }
}
