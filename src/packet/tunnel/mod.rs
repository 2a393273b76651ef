//! Tunnels: headers behind which a link layer or IP begins once more.
//!
//! Over IP the protocol number says what it is. Over UDP only a port does, and anybody may use that port: there a
//! header must be right in every fixed bit, and when what it carries cannot be read the datagram is taken for what it
//! is without the tunnel (see [`super::decode`]).

mod geneve;
mod gre;
mod gtp;
mod l2tp;
pub(super) mod mpls;
pub(super) mod ppp;
mod teredo;
mod tzsp;
mod vxlan;

use super::ip::Datagram;
use super::{Next, Reason, Span};
use crate::model::{Layer, LayerPath};
use etherparse::ip_number;

/// Adds a layer; that is what bounds how deep frames are read.
pub(super) fn enter(path: &mut LayerPath, layer: Layer) -> Result<(), Reason> {
    if path.push(layer) {
        Ok(())
    } else {
        Err(Reason::TooManyLayers)
    }
}

/// What an IP datagram carries that is no transport; `None` if it is none of the tunnels.
#[inline]
pub(super) fn over_ip<'a>(
    datagram: &Datagram<'a>,
    path: &mut LayerPath,
) -> Option<Result<Next<'a>, Reason>> {
    let is_v4 = datagram.addresses.are_v4();
    let layer = match (datagram.protocol, is_v4) {
        (ip_number::IPV4, true) => Layer::IpIp,
        (ip_number::IPV4, false) => Layer::FourInSix,
        (ip_number::IPV6, true) => Layer::SixInFour,
        (ip_number::IPV6, false) => Layer::SixInSix,
        (ip_number::GRE, _) => return Some(gre::read(datagram.payload, path)),
        (ip_number::MPLS_IN_IP, _) => return Some(mpls::read(datagram.payload, path)),
        _ => return None,
    };
    Some(enter(path, layer).map(|()| Next::Ip(datagram.payload)))
}

/// Tunnels over UDP.
#[derive(Clone, Copy)]
pub(super) enum Udp {
    Vxlan,
    VxlanGpe,
    Geneve,
    Gtp,
    Teredo,
    L2tp,
    Tzsp,
    Mpls,
}

impl Udp {
    /// Which may run between these ports.
    #[inline]
    pub const fn between([src, dst]: [u16; 2]) -> Option<Self> {
        // Servers of some answer from the port they listen on; the senders of the others choose theirs by the flow inside.
        Some(match (src, dst) {
            (_, 4789 | 8472) => Self::Vxlan,
            (_, 4790) => Self::VxlanGpe,
            (_, 6081) => Self::Geneve,
            (_, 2152) | (2152, _) => Self::Gtp,
            (_, 3544) | (3544, _) => Self::Teredo,
            (_, 1701) | (1701, _) => Self::L2tp,
            (_, 37008) => Self::Tzsp,
            (_, 6635) => Self::Mpls,
            _ => return None,
        })
    }
}

/// What a UDP datagram between these ports carries, if it is a tunnel. The path only grows if so.
pub(super) fn over_udp<'a>(
    ports: [u16; 2],
    payload: Span<'a>,
    path: &mut LayerPath,
) -> Option<Next<'a>> {
    let (layer, next) = match Udp::between(ports)? {
        Udp::Vxlan => vxlan::read(payload)?,
        Udp::VxlanGpe => vxlan::read_gpe(payload)?,
        Udp::Geneve => geneve::read(payload)?,
        Udp::Gtp => gtp::read(payload)?,
        Udp::Teredo => teredo::read(payload)?,
        Udp::L2tp => l2tp::read(payload)?,
        Udp::Tzsp => tzsp::read(payload)?,
        Udp::Mpls => return mpls::read(payload, path).ok(),
    };
    path.push(layer).then_some(next)
}
