//! What most frames are: Ethernet, IPv4 without options and in one piece, TCP or UDP that is no tunnel, captured whole.
//!
//! Such a frame is read here in a fifth of the instructions; any other is left to the general way, which says the same of
//! these.

use super::link::ethernet;
use super::transport::tcp_header;
use super::{FrameMeta, ip, tunnel};
use crate::model::{
    Endpoint, FlowKey, Headline, LayerPath, LinkType, Packet, TcpFlags, Transport, TransportHeader,
};
use etherparse::{IpNumber, ip_number};
use std::net::{IpAddr, Ipv4Addr};

/// Where IP's header begins, then the segment, then a datagram's payload.
const IPV4: usize = 14;
const SEGMENT: usize = IPV4 + 20;
const DATA: usize = SEGMENT + 8;

/// Such a frame. What its flow is and what is counted of it is known at once ([`Self::headline`]), and that is all that is asked of
/// most; the packet is only made for those that somebody listens to.
///
/// Inlined by force: it lives in registers then, and a frame of a flow that nobody listens to costs a quarter less.
#[derive(Clone, Copy)]
pub struct Plain<'a> {
    frame: &'a [u8],
    /// TCP's header is longer than UDP's, and its ports stand in the same place.
    head: &'a [u8; DATA],
    transport: Transport,
    flags: TcpFlags,
    /// TCP's.
    seq: u32,
    payload: &'a [u8],
}

#[allow(clippy::inline_always, reason = "see above")]
impl<'a> Plain<'a> {
    /// `None` if it is any other frame.
    #[inline(always)]
    pub fn read(link: LinkType, frame: &'a [u8]) -> Option<Self> {
        let head = frame.first_chunk::<DATA>()?;
        let number = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let is_ipv4 = number(12) == 0x0800 && head[IPV4] == 0x45;
        // Neither more fragments nor a place behind the first one.
        let is_whole = head[IPV4 + 6] & 0x3f | head[IPV4 + 7] == 0;
        if link != LinkType::ETHERNET || !is_ipv4 || !is_whole {
            return None;
        }
        let end = IPV4 + usize::from(number(IPV4 + 2));
        let (transport, flags, seq, start) = match IpNumber(head[IPV4 + 9]) {
            ip_number::TCP => {
                let &[offset, flags] = frame.get(SEGMENT + 12..SEGMENT + 14)?.first_chunk()?;
                let length = usize::from(offset >> 4) * 4;
                if length < 20 {
                    return None;
                }
                let [.., s0, s1, s2, s3] = *head;
                let seq = u32::from_be_bytes([s0, s1, s2, s3]);
                (
                    Transport::Tcp,
                    TcpFlags::of_byte(flags),
                    seq,
                    SEGMENT + length,
                )
            }
            ip_number::UDP => {
                let whole = SEGMENT + usize::from(number(SEGMENT + 4)) == end;
                let ports = [number(SEGMENT), number(SEGMENT + 2)];
                if !whole || tunnel::Udp::between(ports).is_some() {
                    return None;
                }
                (Transport::Udp, TcpFlags::default(), 0, DATA)
            }
            _ => return None,
        };
        Some(Self {
            frame,
            head,
            transport,
            flags,
            seq,
            payload: frame.get(start..end)?,
        })
    }

    /// Who sent it (0) and to whom (1).
    #[inline(always)]
    fn end(&self, side: usize) -> (Ipv4Addr, u16) {
        let (ip, port) = (IPV4 + 12 + 4 * side, SEGMENT + 2 * side);
        let head = self.head;
        (
            Ipv4Addr::new(head[ip], head[ip + 1], head[ip + 2], head[ip + 3]),
            u16::from_be_bytes([head[port], head[port + 1]]),
        )
    }

    /// As [`Packet::headline`].
    #[inline(always)]
    pub fn headline(&self, meta: &FrameMeta) -> Headline {
        let (key, sent_by_low) = FlowKey::between(self.transport, self.end(0), self.end(1));
        Headline {
            key,
            sent_by_low,
            opens_or_ends: self.flags.opens_or_ends(),
            seq: self.seq,
            length: self.payload.len() as u32,
            number: meta.number,
            timestamp: meta.timestamp,
            wire_len: meta.wire_len,
        }
    }

    /// The packet.
    #[inline]
    pub fn packet(&self, meta: &FrameMeta) -> Packet<'a> {
        let endpoint = |side: usize| {
            let (ip, port) = self.end(side);
            Endpoint::new(IpAddr::V4(ip), port)
        };
        let segment = self.frame.get(SEGMENT..).unwrap_or_default();
        let header = match (self.transport, segment.first_chunk::<20>()) {
            (Transport::Tcp, Some(header)) => tcp_header(header).map(|(header, _)| header),
            _ => None,
        };
        Packet {
            number: meta.number,
            timestamp: meta.timestamp,
            src: endpoint(0),
            dst: endpoint(1),
            header: header.unwrap_or(TransportHeader::Udp),
            payload: self.payload,
            cut: 0,
            wire_len: meta.wire_len,
            path: LayerPath::default(),
            card: if ip::is_first_hop(self.head[IPV4 + 8]) {
                ethernet::source(self.frame)
            } else {
                None
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Decoded, FrameMeta, from_the_link_up};
    use super::Plain;
    use crate::model::{LinkType, Timestamp};

    fn meta(wire_len: usize) -> FrameMeta {
        FrameMeta {
            number: 7,
            timestamp: Timestamp::from_nanos(8),
            link: LinkType::ETHERNET,
            wire_len: wire_len as u32,
        }
    }

    /// Whether it was read, after a look at whether the general way says the same.
    fn agrees(frame: &[u8], wire_len: usize) -> bool {
        let meta = meta(wire_len);
        let Some(plain) = Plain::read(meta.link, frame) else {
            return false;
        };
        let packet = plain.packet(&meta);
        assert_eq!(plain.headline(&meta), packet.headline(), "{frame:02x?}");
        let general = from_the_link_up(meta, frame);
        assert_eq!(
            format!("{:?}", Decoded::Packet(packet)),
            format!("{general:?}"),
            "{frame:02x?}"
        );
        true
    }

    fn frame(protocol: u8, segment: &[u8]) -> Vec<u8> {
        let total = (20 + segment.len()) as u16;
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
        frame.extend(total.to_be_bytes());
        frame.extend([0, 1, 0x40, 0, 64, protocol, 0, 0]);
        frame.extend([192, 0, 2, 1, 198, 51, 100, 9]);
        frame.extend(segment);
        frame
    }

    #[test]
    fn whatever_is_read_here_is_read_alike_the_general_way() {
        let tcp = [
            0x14, 0x46, 0x9c, 0x40, 0, 0, 0, 1, 0, 0, 0, 2, 0x60, 0x18, 1, 0, 0, 0, 0, 0, 1, 1, 1,
            0, b'a', b'b', b'c',
        ];
        let udp = [0x0f, 0xa0, 0x9c, 0x40, 0, 11, 0, 0, b'a', b'b', b'c'];
        for whole in [frame(6, &tcp), frame(17, &udp)] {
            assert!(agrees(&whole, whole.len()));
            // Padding, and a capture that says less of the frame than there is.
            let padded = [&whole[..], &[0; 9]].concat();
            assert!(agrees(&padded, padded.len()) && agrees(&whole, 0));
            for length in 0..whole.len() {
                assert!(!agrees(&whole[..length], whole.len()));
            }
            let mut read = 0;
            for at in 0..whole.len() {
                for value in 0..=255 {
                    let mut other = whole.clone();
                    other[at] = value;
                    read += u32::from(agrees(&other, other.len()));
                }
            }
            assert!(read > 5000, "only {read} were plain");
        }
    }

    #[test]
    fn tunnels_go_the_general_way() {
        for port in [4789_u16, 8472, 4790, 6081, 2152, 3544, 1701, 37008, 6635] {
            let [high, low] = port.to_be_bytes();
            let vxlan = [0x9c, 0x40, high, low, 0, 8, 0, 0];
            let frame = frame(17, &vxlan);
            assert!(Plain::read(LinkType::ETHERNET, &frame).is_none(), "{port}");
        }
    }
}
