//! Link layers: the first header of a frame, by the capture's link type.

pub(super) mod ethernet;
pub(super) mod llc;
mod null;
mod sll;
pub(super) mod wifi;

use super::tunnel::ppp;
use super::{Next, Reason, Span};
use crate::model::{LayerPath, LinkType};

#[inline]
pub(super) fn first<'a>(
    link: LinkType,
    frame: Span<'a>,
    path: &mut LayerPath,
) -> Result<Next<'a>, Reason> {
    match link {
        LinkType::ETHERNET => Ok(Next::Ethernet(frame)),
        LinkType::LINUX_SLL => sll::v1(frame),
        LinkType::LINUX_SLL2 => sll::v2(frame),
        LinkType::NULL | LinkType::LOOP => null::read(frame),
        LinkType::RAW
        | LinkType::DLT_RAW
        | LinkType::DLT_RAW_OPENBSD
        | LinkType::IPV4
        | LinkType::IPV6 => Ok(Next::Ip(frame)),
        LinkType::PPP => Ok(Next::Ppp(frame)),
        LinkType::PPP_HDLC | LinkType::C_HDLC => ppp::hdlc(frame),
        LinkType::PPP_ETHER => ppp::over_ethernet(frame, path),
        // A byte before PPP says which way it went.
        LinkType::PPP_PPPD | LinkType::PPP_WITH_DIR => Ok(Next::Ppp(frame.skip(1)?)),
        LinkType::IEEE802_11 => Ok(Next::Wifi(frame)),
        LinkType::RADIOTAP => wifi::radiotap(frame, path),
        LinkType::PPI => wifi::ppi(frame, path),
        LinkType::IEEE802_11_PRISM | LinkType::IEEE802_11_AVS => wifi::prism(frame, path),
        _ => Err(Reason::UnsupportedLinkType),
    }
}
