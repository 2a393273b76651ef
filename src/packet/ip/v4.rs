//! IPv4 (RFC 791).

use super::super::{Reason, Span};
use super::{Datagram, authentication};
use etherparse::err::ipv4::HeaderSliceError;
use etherparse::{Ipv4HeaderSlice, ip_number};

pub(super) fn read(span: Span<'_>) -> Result<Datagram<'_>, Reason> {
    let header = Ipv4HeaderSlice::from_slice(span.data()).map_err(|error| match error {
        HeaderSliceError::Len(_) => span.too_short(),
        HeaderSliceError::Content(_) => Reason::Malformed,
    })?;
    let length = header.slice().len();
    let span = match usize::from(header.total_len()) {
        // Captured before the network card cut a large segment into packets (TSO): it goes on to the end.
        0 => span,
        total if total < length => return Err(Reason::Malformed),
        total => span.limit(total),
    };
    if header.is_fragmenting_payload() {
        return Err(Reason::IpFragment);
    }
    let mut protocol = header.protocol();
    let mut payload = span.skip(length)?;
    if protocol == ip_number::AUTH {
        (protocol, payload) = authentication(payload)?;
    }
    Ok(Datagram {
        protocol,
        src: header.source_addr().into(),
        dst: header.destination_addr().into(),
        payload,
    })
}
