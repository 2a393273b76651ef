//! IPv6 (RFC 8200) and its extension headers, in any order.

use super::super::{Reason, Span};
use super::{Datagram, authentication};
use etherparse::{Ipv6FragmentHeaderSlice, Ipv6HeaderSlice, Ipv6RawExtHeaderSlice, err, ip_number};

pub(super) fn read(span: Span<'_>) -> Result<Datagram<'_>, Reason> {
    let header = Ipv6HeaderSlice::from_slice(span.data()).map_err(|error| match error {
        err::ipv6::HeaderSliceError::Len(_) => span.too_short(),
        err::ipv6::HeaderSliceError::Content(_) => Reason::Malformed,
    })?;
    let mut protocol = header.next_header();
    let payload = span.skip(header.slice().len())?;
    let mut payload = match usize::from(header.payload_length()) {
        // A jumbogram (RFC 2675), or one that the network card has still to cut (TSO): it goes on to the end.
        0 => payload,
        length => payload.limit(length),
    };
    // Each header has 8 bytes at least, so the captured length bounds the chain.
    loop {
        match protocol {
            ip_number::IPV6_HEADER_HOP_BY_HOP
            | ip_number::IPV6_ROUTE_HEADER
            | ip_number::IPV6_DESTINATION_OPTIONS
            | ip_number::MOBILITY_HEADER
            | ip_number::HIP
            | ip_number::SHIM6 => {
                let extension = Ipv6RawExtHeaderSlice::from_slice(payload.data())
                    .map_err(|_| payload.too_short())?;
                protocol = extension.next_header();
                payload = payload.skip(extension.slice().len())?;
            }
            ip_number::AUTH => (protocol, payload) = authentication(payload)?,
            ip_number::IPV6_FRAGMENTATION_HEADER => {
                let fragment = Ipv6FragmentHeaderSlice::from_slice(payload.data())
                    .map_err(|_| payload.too_short())?;
                // One that is first and last at once (an "atomic fragment", RFC 6946) is whole.
                if fragment.is_fragmenting_payload() {
                    return Err(Reason::IpFragment);
                }
                protocol = fragment.next_header();
                payload = payload.skip(fragment.slice().len())?;
            }
            _ => break,
        }
    }
    Ok(Datagram {
        protocol,
        src: header.source_addr().into(),
        dst: header.destination_addr().into(),
        payload,
    })
}
