//! What an Ethernet type stands for, wherever it was found (Ethernet, VLAN tag, SNAP, Linux cooked).

use super::tunnel::{mpls, ppp};
use super::{Next, Reason, Span, vlan};
use crate::model::LayerPath;

const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const RARP: u16 = 0x8035;
const IPV6: u16 = 0x86dd;

#[inline]
pub(super) fn read<'a>(
    kind: u16,
    span: Span<'a>,
    path: &mut LayerPath,
) -> Result<Next<'a>, Reason> {
    match kind {
        IPV4 | IPV6 => Ok(Next::Ip(span)),
        // 802.1Q, 802.1ad, and three numbers that switches used for outer tags before 802.1ad.
        0x8100 | 0x88a8 | 0x9100 | 0x9200 | 0x9300 => vlan::read(span, path),
        0x8847 | 0x8848 => mpls::read(span, path),
        // 8863 sets sessions up and carries nothing.
        0x8864 => ppp::over_ethernet(span, path),
        ARP | RARP => Err(Reason::Arp),
        _ => Err(Reason::UnsupportedEthertype),
    }
}
