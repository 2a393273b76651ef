//! The Internet Protocol.

mod v4;
mod v6;

use super::{Next, Reason, Span};
use etherparse::{IpAuthHeaderSlice, IpNumber};
use std::net::IpAddr;

/// A whole datagram's payload: no fragment, extension headers and padding removed.
pub(super) struct Datagram<'a> {
    pub protocol: IpNumber,
    pub src: IpAddr,
    pub dst: IpAddr,
    pub payload: Span<'a>,
}

pub(super) fn read(span: Span<'_>) -> Result<Next<'_>, Reason> {
    // The version field rules: link types and Ethernet types have been seen to lie about it, receivers go by it.
    let datagram = match span.data().first().map(|first| first >> 4) {
        Some(4) => v4::read(span)?,
        Some(6) => v6::read(span)?,
        Some(_) => return Err(Reason::Malformed),
        None => return Err(span.too_short()),
    };
    Ok(Next::IpPayload(datagram))
}

/// The authentication header (RFC 4302) signs and does not hide: what follows can be read.
fn authentication(span: Span<'_>) -> Result<(IpNumber, Span<'_>), Reason> {
    use etherparse::err::ip_auth::HeaderSliceError;
    let header = IpAuthHeaderSlice::from_slice(span.data()).map_err(|error| match error {
        HeaderSliceError::Len(_) => span.too_short(),
        HeaderSliceError::Content(_) => Reason::Malformed,
    })?;
    Ok((header.next_header(), span.skip(header.slice().len())?))
}
