//! What one frame said, once its headers are read.

use super::{Endpoint, FlowKey, Timestamp, Transport};
use std::fmt;

/// How many layers a [`LayerPath`] remembers; decoding stops at the same depth.
pub const MAX_LAYERS: usize = 8;

/// Something a packet was wrapped in on its way, worth telling the reader. Eight bytes, since every flow keeps its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layer {
    /// IEEE 802.1Q, 802.1ad or 9100 tag with its VLAN id.
    Vlan(u16),
    /// One MPLS label (RFC 3032).
    Mpls(u32),
    /// A `PPPoE` session with its id (RFC 2516).
    Pppoe(u16),
    /// GRE (RFC 2784, 2890; version 1 as PPTP uses it, RFC 2637).
    Gre,
    /// A mirrored frame inside GRE.
    Erspan,
    /// IPv4 in IPv4 (RFC 2003).
    IpIp,
    /// IPv6 in IPv4 (RFC 4213).
    SixInFour,
    /// IPv4 in IPv6 (RFC 2473).
    FourInSix,
    /// IPv6 in IPv6 (RFC 2473).
    SixInSix,
    /// VXLAN with its network identifier (RFC 7348).
    Vxlan(u32),
    /// Geneve with its network identifier (RFC 8926).
    Geneve(u32),
    /// GTP-U with its tunnel endpoint identifier (3GPP TS 29.281).
    GtpU(u32),
    /// Teredo (RFC 4380).
    Teredo,
    /// L2TP version 2 (RFC 2661).
    L2tp,
    /// A frame that a sniffer sent on.
    Tzsp,
    /// A wireless LAN.
    Wifi,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vlan(id) => write!(f, "vlan {id}"),
            Self::Mpls(label) => write!(f, "mpls {label}"),
            Self::Pppoe(session) => write!(f, "pppoe {session}"),
            Self::Gre => f.write_str("gre"),
            Self::Erspan => f.write_str("erspan"),
            Self::IpIp => f.write_str("ipip"),
            Self::SixInFour => f.write_str("6in4"),
            Self::FourInSix => f.write_str("4in6"),
            Self::SixInSix => f.write_str("6in6"),
            Self::Vxlan(vni) => write!(f, "vxlan {vni}"),
            Self::Geneve(vni) => write!(f, "geneve {vni}"),
            Self::GtpU(teid) => write!(f, "gtp-u {teid:#x}"),
            Self::Teredo => f.write_str("teredo"),
            Self::L2tp => f.write_str("l2tp"),
            Self::Tzsp => f.write_str("tzsp"),
            Self::Wifi => f.write_str("802.11"),
        }
    }
}

/// The layers a packet came by, outermost first. Copied around, so it is small and never allocates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LayerPath {
    layers: [Option<Layer>; MAX_LAYERS],
}

impl LayerPath {
    /// Adds one more layer inside the others; `false` when the path is full.
    pub fn push(&mut self, layer: Layer) -> bool {
        match self.layers.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => {
                *slot = Some(layer);
                true
            }
            None => false,
        }
    }

    /// Whether the sender may be on the link that was captured: nothing but VLAN tags was around the datagram.
    pub fn is_one_link(&self) -> bool {
        self.iter().all(|layer| matches!(layer, Layer::Vlan(_)))
    }

    /// The layers, outermost first.
    pub fn iter(&self) -> impl Iterator<Item = Layer> + '_ {
        self.layers.iter().flatten().copied()
    }
}

/// The TCP flags that matter here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "these are the header's bits")]
pub struct TcpFlags {
    /// Synchronise: opens.
    pub syn: bool,
    /// Acknowledgement number is valid.
    pub ack: bool,
    /// Finish: no more data from the sender.
    pub fin: bool,
    /// Reset: the connection is dead.
    pub rst: bool,
}

impl TcpFlags {
    /// From the byte of the header that they stand in (RFC 9293 section 3.1).
    #[inline]
    pub const fn of_byte(byte: u8) -> Self {
        Self {
            fin: byte & 0x01 != 0,
            syn: byte & 0x02 != 0,
            rst: byte & 0x04 != 0,
            ack: byte & 0x10 != 0,
        }
    }

    /// Whether a segment with them opens, ends or resets a connection.
    #[inline]
    pub const fn opens_or_ends(self) -> bool {
        self.syn | self.fin | self.rst
    }
}

/// The TCP fields that reassembly needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpHeader {
    /// Sequence number of the first payload byte (of the SYN, when set).
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// Flags.
    pub flags: TcpFlags,
}

/// The transport header of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportHeader {
    /// TCP.
    Tcp(TcpHeader),
    /// UDP.
    Udp,
}

impl TransportHeader {
    /// Whether it opens, ends or resets a connection.
    #[inline]
    pub const fn opens_or_ends(self) -> bool {
        match self {
            Self::Tcp(TcpHeader { flags, .. }) => flags.opens_or_ends(),
            Self::Udp => false,
        }
    }
}

/// The address of a network card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Whether a card can have it: it is no group's, and not the zeros of a loopback interface.
    pub const fn is_a_cards(self) -> bool {
        self.0[0] & 1 == 0 && !matches!(self.0, [0, 0, 0, 0, 0, 0])
    }
}

/// `02:00:5e:00:53:01`.
impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digit = |value: u8| b"0123456789abcdef"[usize::from(value & 15)];
        let mut text = [b':'; 17];
        for (byte, place) in self.0.iter().zip(text.chunks_mut(3)) {
            (place[0], place[1]) = (digit(byte >> 4), digit(*byte));
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

/// One TCP segment or UDP datagram.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Position in the capture, from 1, as Wireshark counts.
    pub number: u64,
    /// When it was captured.
    pub timestamp: Timestamp,
    /// Who sent it.
    pub src: Endpoint,
    /// To whom.
    pub dst: Endpoint,
    /// TCP or UDP header.
    pub header: TransportHeader,
    /// The captured payload.
    pub payload: &'a [u8],
    /// Payload bytes that were on the wire but that the capture's snap length cut off.
    pub cut: usize,
    /// Length of the whole frame on the wire, in bytes.
    pub wire_len: u32,
    /// What it was wrapped in.
    pub path: LayerPath,
    /// The sender's network card, if the sender is on the link that was captured: behind a router it is not known.
    pub card: Option<Mac>,
}

/// What of a packet says which flow it is of, and what is counted of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headline {
    /// The flow.
    pub key: FlowKey,
    /// The sender is the lower endpoint of the key.
    pub sent_by_low: bool,
    /// See [`TransportHeader::opens_or_ends`].
    pub opens_or_ends: bool,
    /// TCP's sequence number.
    pub seq: u32,
    /// Length of the payload, captured or not.
    pub length: u32,
    /// See [`Packet::number`].
    pub number: u64,
    /// When it was captured.
    pub timestamp: Timestamp,
    /// See [`Packet::wire_len`].
    pub wire_len: u32,
}

impl Packet<'_> {
    /// Its flow, and what is counted.
    #[inline]
    pub fn headline(&self) -> Headline {
        let (key, sent_by_low) = FlowKey::of_packet(self.transport(), self.src, self.dst);
        Headline {
            key,
            sent_by_low,
            opens_or_ends: self.header.opens_or_ends(),
            seq: match self.header {
                TransportHeader::Tcp(TcpHeader { seq, .. }) => seq,
                TransportHeader::Udp => 0,
            },
            length: u32::try_from(self.payload.len() + self.cut).unwrap_or(u32::MAX),
            number: self.number,
            timestamp: self.timestamp,
            wire_len: self.wire_len,
        }
    }

    /// TCP or UDP.
    pub const fn transport(&self) -> Transport {
        match self.header {
            TransportHeader::Tcp(_) => Transport::Tcp,
            TransportHeader::Udp => Transport::Udp,
        }
    }
}
