//! Link layers: the first header of a frame, by the capture's link type.

pub(super) mod ethernet;
pub(super) mod llc;
mod null;
mod sll;

use super::{Next, Reason, Span};
use crate::model::LinkType;

pub(super) fn first(link: LinkType, frame: Span<'_>) -> Result<Next<'_>, Reason> {
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
        _ => Err(Reason::UnsupportedLinkType),
    }
}
