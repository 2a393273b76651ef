//! What most frames are: Ethernet, IPv4 without options and in one piece, TCP or UDP that is no tunnel, captured whole.
//!
//! Such a frame is read here in a fifth of the instructions; any other is left to the general way, which says the same of
//! these.

use super::link::ethernet;
use super::transport::tcp_header;
use super::{FrameMeta, ip, tunnel};
use crate::model::{Endpoint, LayerPath, LinkType, Packet, TransportHeader};
use etherparse::{IpNumber, ip_number};
use std::net::{IpAddr, Ipv4Addr};

const ETHERNET: usize = 14;
const IPV4: usize = 20;
const UDP: usize = 8;

#[inline]
pub(super) fn read(meta: FrameMeta, frame: &[u8]) -> Option<Packet<'_>> {
    // One look at the length: TCP's header is longer than UDP's, and its ports stand in the same place.
    let head = frame.first_chunk::<{ ETHERNET + IPV4 + UDP }>()?;
    let ([.., 0x08, 0x00], datagram) = head.split_first_chunk::<ETHERNET>()? else {
        return None;
    };
    let (header, ports) = datagram.split_first_chunk::<IPV4>()?;
    let &[
        0x45,
        _,
        t0,
        t1,
        _,
        _,
        f0,
        f1,
        hops,
        protocol,
        _,
        _,
        ref addresses @ ..,
    ] = header
    else {
        return None;
    };
    let ([src, dst], _) = addresses.as_chunks() else {
        return None;
    };
    // More fragments, or not the first one.
    if meta.link != LinkType::ETHERNET || f0 & 0x3f | f1 != 0 {
        return None;
    }
    let end = ETHERNET + usize::from(u16::from_be_bytes([t0, t1]));
    let segment = frame.get(ETHERNET + IPV4..end)?;
    let &[p0, p1, q0, q1] = ports.first_chunk()?;
    let ports = [u16::from_be_bytes([p0, p1]), u16::from_be_bytes([q0, q1])];
    let (header, payload) = match IpNumber(protocol) {
        ip_number::TCP => tcp(segment)?,
        ip_number::UDP if tunnel::Udp::between(ports).is_none() => udp(segment)?,
        _ => return None,
    };
    let endpoint = |ip: [u8; 4], port| Endpoint::new(IpAddr::V4(Ipv4Addr::from(ip)), port);
    Some(Packet {
        number: meta.number,
        timestamp: meta.timestamp,
        src: endpoint(*src, ports[0]),
        dst: endpoint(*dst, ports[1]),
        header,
        payload,
        cut: 0,
        wire_len: meta.wire_len,
        path: LayerPath::default(),
        card: if ip::is_first_hop(hops) {
            ethernet::source(frame)
        } else {
            None
        },
    })
}

#[inline]
fn tcp(segment: &[u8]) -> Option<(TransportHeader, &[u8])> {
    let (header, _) = segment.split_first_chunk::<20>()?;
    let (header, length) = tcp_header(header)?;
    Some((header, segment.get(length..)?))
}

#[inline]
fn udp(segment: &[u8]) -> Option<(TransportHeader, &[u8])> {
    let (&[_, _, _, _, l0, l1, _, _], payload) = segment.split_first_chunk::<UDP>()?;
    let whole = usize::from(u16::from_be_bytes([l0, l1])) == segment.len();
    whole.then_some((TransportHeader::Udp, payload))
}

#[cfg(test)]
mod tests {
    use super::super::{Decoded, FrameMeta, from_the_link_up};
    use super::read;
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
        let Some(packet) = read(meta, frame) else {
            return false;
        };
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
            assert!(read(meta(frame.len()), &frame).is_none(), "{port}");
        }
    }
}
