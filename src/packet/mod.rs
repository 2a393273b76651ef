//! What a frame says.
//!
//! [`decode`] goes from header to header, outermost first, until it stands before a TCP or UDP payload. Each
//! header is one small function that eats its bytes and names what comes [`Next`]; a tunnel is a function
//! whose next header is a link layer or IP once more. Nothing is allocated and nothing is copied: the payload
//! is lent from the frame.
//!
//! Checksums are not looked at: with offloading, half of what a host captures of itself has none yet.

mod ether_type;
mod fragment;
mod ip;
mod link;
mod plain;
mod reason;
mod span;
mod transport;
mod tunnel;
mod vlan;

pub use fragment::{Defragmenter, Fragment, FragmentStats};
pub use plain::Plain;
pub use reason::Reason;

use crate::model::{LayerPath, LinkType, Mac, Packet, Timestamp};
use ip::{Datagram, Piece};
use span::Span;

/// What is known about a frame besides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameMeta {
    /// Position in the capture, from 1.
    pub number: u64,
    /// When it was captured.
    pub timestamp: Timestamp,
    /// What its first header is.
    pub link: LinkType,
    /// How long it was on the wire.
    pub wire_len: u32,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a box would be an allocation a packet"
)]
pub enum Decoded<'a> {
    /// A TCP segment or UDP datagram.
    Packet(Packet<'a>),
    /// A piece of a datagram, for a [`Defragmenter`].
    Fragment(Fragment<'a>),
    /// Nothing for us; to be counted.
    Ignored(Reason),
}

/// The header to read next, and the bytes from there on.
enum Next<'a> {
    /// An Ethernet header.
    Ethernet(Span<'a>),
    /// An IEEE 802.2 LLC header.
    Llc(Span<'a>),
    /// A PPP header.
    Ppp(Span<'a>),
    /// An IEEE 802.11 header.
    Wifi(Span<'a>),
    /// Whatever this Ethernet type stands for.
    EtherType(u16, Span<'a>),
    /// IPv4 or IPv6, as its first four bits say.
    Ip(Span<'a>),
    /// Whatever IP's protocol number stands for.
    IpPayload(Datagram<'a>),
    /// One of the pieces of a datagram.
    Fragment(Piece<'a>),
}

/// Reads the headers of one frame, as a capture holds it.
#[inline]
pub fn decode(meta: FrameMeta, frame: &[u8]) -> Decoded<'_> {
    match Plain::read(meta.link, frame) {
        Some(plain) => Decoded::Packet(plain.packet(&meta)),
        None => from_the_link_up(meta, frame),
    }
}

/// [`decode`], the general way.
fn from_the_link_up(meta: FrameMeta, frame: &[u8]) -> Decoded<'_> {
    let mut path = LayerPath::default();
    let next = link::first(meta.link, Span::frame(frame, meta.wire_len), &mut path);
    let card = match meta.link {
        LinkType::ETHERNET => link::ethernet::source(frame),
        _ => None,
    };
    headers(meta, path, card, next)
}

/// Goes on with a datagram that was put together from fragments, behind the headers that each of them had.
fn resume(meta: FrameMeta, path: LayerPath, datagram: Datagram<'_>) -> Decoded<'_> {
    headers(meta, path, None, ip::resume(datagram))
}

/// Reads from there on. `card` sent the frame.
fn headers(
    meta: FrameMeta,
    mut path: LayerPath,
    card: Option<Mac>,
    mut next: Result<Next<'_>, Reason>,
) -> Decoded<'_> {
    // The segment that carries the innermost UDP tunnel, and the path to it.
    let mut carrier = None;
    // Ends because each round eats at least one captured byte.
    loop {
        next = match next {
            Ok(Next::Ethernet(span)) => link::ethernet::read(span),
            Ok(Next::Llc(span)) => link::llc::read(span),
            Ok(Next::Ppp(span)) => tunnel::ppp::read(span),
            Ok(Next::Wifi(span)) => link::wifi::read(span, &mut path),
            Ok(Next::EtherType(kind, span)) => ether_type::read(kind, span, &mut path),
            Ok(Next::Ip(span)) => ip::read(span),
            Ok(Next::Fragment(piece)) => {
                return Decoded::Fragment(Fragment::new(meta, path, &piece));
            }
            Ok(Next::IpPayload(datagram)) => {
                if let Some(inside) = tunnel::over_ip(&datagram, &mut path) {
                    inside
                } else {
                    match transport::read(&datagram) {
                        Err(reason) => Err(reason),
                        Ok(segment) => {
                            let Some((inside, deeper)) = segment.tunnel(&path) else {
                                let mut packet = segment.packet(meta, &datagram.addresses, path);
                                packet.card = card.filter(|_| {
                                    path.is_one_link() && ip::is_first_hop(datagram.hops)
                                });
                                return Decoded::Packet(packet);
                            };
                            carrier = Some((segment, datagram.addresses, path));
                            path = deeper;
                            Ok(inside)
                        }
                    }
                }
            }
            Err(reason) => {
                return match carrier {
                    Some((segment, addresses, path)) if refutes_tunnel(reason) => {
                        Decoded::Packet(segment.packet(meta, &addresses, path))
                    }
                    _ => Decoded::Ignored(reason),
                };
            }
        };
    }
}

/// Behind a UDP header a tunnel is only a guess; what contradicts it was no tunnel. What says that it was one (ARP, ICMP
/// and the like can be read inside) stays a reason.
const fn refutes_tunnel(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Malformed
            | Reason::TruncatedHeader
            | Reason::UnsupportedEthertype
            | Reason::TooManyLayers
    )
}
