//! What most frames are: Ethernet, IPv4 without options and in one piece, TCP or UDP that is no tunnel, captured whole.
//!
//! Such a frame is read here in a fifth of the instructions; any other is left to the general way, which says the same of
//! these.

use super::{FrameMeta, tunnel};
use crate::model::{Endpoint, LayerPath, LinkType, Packet, TcpFlags, TcpHeader, TransportHeader};
use etherparse::{IpNumber, ip_number};
use std::net::{IpAddr, Ipv4Addr};

const ETHERNET: usize = 14;
const IPV4: usize = 20;

#[inline]
pub(super) fn read(meta: FrameMeta, frame: &[u8]) -> Option<Packet<'_>> {
    let (header, _) = frame.split_first_chunk::<{ ETHERNET + IPV4 }>()?;
    let [
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        0x08,
        0x00, // Ethernet: addresses, type
        0x45,
        _,
        t0,
        t1,
        _,
        _,
        f0,
        f1,
        _,
        protocol,
        _,
        _,
        s0,
        s1,
        s2,
        s3,
        d0,
        d1,
        d2,
        d3,
    ] = *header
    else {
        return None;
    };
    // More fragments, or not the first one.
    if meta.link != LinkType::ETHERNET || f0 & 0x3f | f1 != 0 {
        return None;
    }
    let end = ETHERNET + usize::from(u16::from_be_bytes([t0, t1]));
    let segment = frame.get(ETHERNET + IPV4..end)?;
    let (&[p0, p1, q0, q1], _) = segment.split_first_chunk::<4>()?;
    let ports = [u16::from_be_bytes([p0, p1]), u16::from_be_bytes([q0, q1])];
    let (header, payload) = match IpNumber(protocol) {
        ip_number::TCP => tcp(segment)?,
        ip_number::UDP if !tunnel::may_be_over_udp(ports) => udp(segment)?,
        _ => return None,
    };
    let endpoint = |ip: [u8; 4], port| Endpoint::new(IpAddr::V4(Ipv4Addr::from(ip)), port);
    Some(Packet {
        number: meta.number,
        timestamp: meta.timestamp,
        src: endpoint([s0, s1, s2, s3], ports[0]),
        dst: endpoint([d0, d1, d2, d3], ports[1]),
        header,
        payload,
        cut: 0,
        wire_len: meta.wire_len,
        path: LayerPath::default(),
    })
}

#[inline]
fn tcp(segment: &[u8]) -> Option<(TransportHeader, &[u8])> {
    let (header, _) = segment.split_first_chunk::<20>()?;
    let [
        _,
        _,
        _,
        _,
        q0,
        q1,
        q2,
        q3,
        a0,
        a1,
        a2,
        a3,
        offset,
        flags,
        ..,
    ] = *header;
    let length = usize::from(offset >> 4) * 4;
    if length < header.len() {
        return None;
    }
    let header = TransportHeader::Tcp(TcpHeader {
        seq: u32::from_be_bytes([q0, q1, q2, q3]),
        ack: u32::from_be_bytes([a0, a1, a2, a3]),
        flags: TcpFlags::of_byte(flags),
    });
    Some((header, segment.get(length..)?))
}

#[inline]
fn udp(segment: &[u8]) -> Option<(TransportHeader, &[u8])> {
    let (&[_, _, _, _, l0, l1, _, _], payload) = segment.split_first_chunk::<8>()?;
    let whole = usize::from(u16::from_be_bytes([l0, l1])) == segment.len();
    whole.then_some((TransportHeader::Udp, payload))
}
