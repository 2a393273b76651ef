//! A packet of a capture as it goes through the lab: the same addresses, ports, flags and payload in one plain IP packet.
//! What it was wrapped in is left off, what the capture cut away is zeros, and the checksums are right.

use crate::model::{Packet, TransportHeader};
use etherparse::{IpHeaders, PacketBuilder, PacketBuilderStep};
use std::net::IpAddr;

/// Hops that a host's packets begin with.
const HOPS: u8 = 64;
/// No datagram is longer, headers included.
const LONGEST: usize = 65_000;

fn ip(src: IpAddr, dst: IpAddr) -> Option<PacketBuilderStep<IpHeaders>> {
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            Some(PacketBuilder::ipv4(src.octets(), dst.octets(), HOPS))
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            Some(PacketBuilder::ipv6(src.octets(), dst.octets(), HOPS))
        }
        _ => None,
    }
}

/// A packet of a capture, as it is sent; `None` for what no packet can be.
pub fn of(packet: &Packet<'_>) -> Option<Vec<u8>> {
    let ip = ip(packet.src.ip, packet.dst.ip)?;
    let mut payload = packet.payload.to_vec();
    payload.resize(payload.len() + packet.cut, 0);
    payload.truncate(LONGEST);
    let mut bytes = Vec::with_capacity(payload.len() + 64);
    match packet.header {
        TransportHeader::Udp => ip
            .udp(packet.src.port, packet.dst.port)
            .write(&mut bytes, &payload),
        TransportHeader::Tcp(tcp) => {
            let mut step = ip.tcp(packet.src.port, packet.dst.port, tcp.seq, u16::MAX);
            if tcp.flags.syn {
                step = step.syn();
            }
            if tcp.flags.fin {
                step = step.fin();
            }
            if tcp.flags.rst {
                step = step.rst();
            }
            if tcp.flags.ack {
                step = step.ack(tcp.ack);
            }
            step.write(&mut bytes, &payload)
        }
    }
    .ok()?;
    Some(bytes)
}

/// A UDP datagram.
pub(super) fn datagram(
    (src, from): (IpAddr, u16),
    (dst, to): (IpAddr, u16),
    payload: &[u8],
) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(ip) = ip(src, dst) {
        // Writing to a Vec cannot fail, and the payload is short.
        let _ = ip.udp(from, to).write(&mut bytes, payload);
    }
    bytes
}
