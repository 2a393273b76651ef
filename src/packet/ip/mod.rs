//! The Internet Protocol.

mod v4;
mod v6;

use super::{Next, Reason, Span};
use etherparse::{IpAuthHeaderSlice, IpNumber};
use std::net::IpAddr;

/// No datagram is longer: the length fields of both versions have 16 bits.
pub(super) const MAX_DATAGRAM: usize = 0xffff;

/// A datagram's payload, padding removed: behind all extension headers, or from one of them on.
pub(super) struct Datagram<'a> {
    pub protocol: IpNumber,
    pub addresses: Addresses<'a>,
    /// Routers that it may still pass; not known of one that was put together.
    pub hops: u8,
    pub payload: Span<'a>,
}

/// Who sent a datagram, and to whom. Lent from the frame until somebody asks: an `IpAddr` that is handed from header to
/// header costs more than reading the header did.
#[derive(Clone, Copy)]
pub(super) enum Addresses<'a> {
    V4 {
        src: &'a [u8; 4],
        dst: &'a [u8; 4],
    },
    V6 {
        src: &'a [u8; 16],
        dst: &'a [u8; 16],
    },
    /// Those that all fragments had.
    Known {
        src: &'a IpAddr,
        dst: &'a IpAddr,
    },
}

impl Addresses<'_> {
    pub fn src(&self) -> IpAddr {
        match *self {
            Self::V4 { src, .. } => (*src).into(),
            Self::V6 { src, .. } => (*src).into(),
            Self::Known { src, .. } => *src,
        }
    }

    pub fn dst(&self) -> IpAddr {
        match *self {
            Self::V4 { dst, .. } => (*dst).into(),
            Self::V6 { dst, .. } => (*dst).into(),
            Self::Known { dst, .. } => *dst,
        }
    }

    pub const fn are_v4(&self) -> bool {
        match self {
            Self::V4 { .. } => true,
            Self::V6 { .. } => false,
            Self::Known { src, .. } => src.is_ipv4(),
        }
    }
}

/// Whether a datagram with so many hops left has passed no router yet: systems begin with one of these, and each router takes
/// one away.
pub(super) const fn is_first_hop(hops: u8) -> bool {
    matches!(hops, 32 | 64 | 128 | 255)
}

/// One of the pieces that a datagram's payload was cut into.
pub(super) struct Piece<'a> {
    /// The datagram, with this piece as its payload.
    pub datagram: Datagram<'a>,
    /// Same for all its pieces.
    pub identification: u32,
    /// Where the piece belongs, in bytes.
    pub offset: usize,
    /// It is not the last one.
    pub more: bool,
}

impl<'a> Piece<'a> {
    fn new(
        datagram: Datagram<'a>,
        identification: u32,
        offset: usize,
        more: bool,
    ) -> Result<Self, Reason> {
        if !is_sound(offset, datagram.payload.wire_len(), more) {
            return Err(Reason::Malformed);
        }
        Ok(Self {
            datagram,
            identification,
            offset,
            more,
        })
    }
}

/// No receiver takes a piece of nothing, one that is not the last and ends between two of the 8-byte units that
/// offsets are counted in, and one that ends behind the longest datagram there can be (the "ping of death").
pub(super) fn is_sound(offset: usize, length: usize, more: bool) -> bool {
    let fits = offset
        .checked_add(length)
        .is_some_and(|end| end <= MAX_DATAGRAM);
    length > 0 && (!more || length.is_multiple_of(8)) && fits
}

#[inline]
pub(super) fn read(span: Span<'_>) -> Result<Next<'_>, Reason> {
    // The version field rules: link types and Ethernet types have been seen to lie about it, receivers go by it.
    match span.data().first().map(|first| first >> 4) {
        Some(4) => v4::read(span),
        Some(6) => v6::read(span),
        Some(_) => Err(Reason::Malformed),
        None => Err(span.too_short()),
    }
}

/// Goes on behind the headers that every fragment had, in a datagram that was put together again.
pub(super) fn resume(datagram: Datagram<'_>) -> Result<Next<'_>, Reason> {
    if datagram.addresses.are_v4() {
        v4::payload(datagram)
    } else {
        v6::resume(datagram)
    }
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
