//! TCP (RFC 9293) and UDP (RFC 768).

use super::ip::{Addresses, Datagram};
use super::{FrameMeta, Next, Reason, Span, tunnel};
use crate::model::{Endpoint, LayerPath, Packet, TcpFlags, TcpHeader, TransportHeader};
use etherparse::ip_number;

/// What the last header says.
pub(super) struct Segment<'a> {
    /// Of the sender and the receiver.
    pub ports: [u16; 2],
    pub header: TransportHeader,
    pub payload: Span<'a>,
}

impl<'a> Segment<'a> {
    /// What may be tunnelled inside, and the path there.
    pub fn tunnel(&self, path: &LayerPath) -> Option<(Next<'a>, LayerPath)> {
        if self.header != TransportHeader::Udp {
            return None;
        }
        let mut deeper = *path;
        let next = tunnel::over_udp(self.ports, self.payload, &mut deeper)?;
        Some((next, deeper))
    }

    /// The packet that this is.
    pub fn packet(
        &self,
        meta: FrameMeta,
        addresses: &Addresses<'_>,
        path: LayerPath,
    ) -> Packet<'a> {
        Packet {
            number: meta.number,
            timestamp: meta.timestamp,
            src: Endpoint::new(addresses.src(), self.ports[0]),
            dst: Endpoint::new(addresses.dst(), self.ports[1]),
            header: self.header,
            payload: self.payload.data(),
            cut: self.payload.missing(),
            wire_len: meta.wire_len,
            path,
            card: None,
        }
    }
}

#[inline]
pub(super) fn read<'a>(datagram: &Datagram<'a>) -> Result<Segment<'a>, Reason> {
    match datagram.protocol {
        ip_number::TCP => tcp(datagram),
        ip_number::UDP => udp(datagram),
        _ => Err(Reason::UnsupportedIpProtocol),
    }
}

fn tcp<'a>(datagram: &Datagram<'a>) -> Result<Segment<'a>, Reason> {
    let (header, _) = datagram.payload.split::<20>()?;
    let &[s0, s1, d0, d1, ..] = header;
    let (header, length) = tcp_header(header).ok_or(Reason::Malformed)?;
    Ok(Segment {
        ports: [u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1])],
        header,
        payload: datagram.payload.skip_on_wire(length)?,
    })
}

/// What a TCP header says, and how long it is with its options. Read by hand and not with a library's slice, because a
/// capture that cuts into the options still has all that reassembly needs.
#[inline]
pub(super) fn tcp_header(header: &[u8; 20]) -> Option<(TransportHeader, usize)> {
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
    let header = TransportHeader::Tcp(TcpHeader {
        seq: u32::from_be_bytes([q0, q1, q2, q3]),
        ack: u32::from_be_bytes([a0, a1, a2, a3]),
        flags: TcpFlags::of_byte(flags),
    });
    (length >= 20).then_some((header, length))
}

fn udp<'a>(datagram: &Datagram<'a>) -> Result<Segment<'a>, Reason> {
    let (&[s0, s1, d0, d1, l0, l1, _, _], payload) = datagram.payload.split::<8>()?;
    let payload = match usize::from(u16::from_be_bytes([l0, l1])) {
        // A jumbogram, or not yet cut by the network card: as long as IP says.
        0 => payload,
        1..8 => return Err(Reason::Malformed),
        // A receiver would drop it.
        length if length > datagram.payload.wire_len() => return Err(Reason::Malformed),
        length => payload.limit(length - 8),
    };
    Ok(Segment {
        ports: [u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1])],
        header: TransportHeader::Udp,
        payload,
    })
}
