//! Who talks to whom.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr};

/// The transport protocol of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Transmission Control Protocol.
    Tcp,
    /// User Datagram Protocol.
    Udp,
}

impl Transport {
    /// `TCP` or `UDP`, as in the flow record.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        }
    }
}

/// An address and a port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// IPv4 or IPv6 address.
    pub ip: IpAddr,
    /// TCP or UDP port.
    pub port: u16,
}

impl Endpoint {
    /// An endpoint from its parts.
    pub const fn new(ip: IpAddr, port: u16) -> Self {
        Self { ip, port }
    }
}

/// `192.0.2.1:5190` or `[2001:db8::1]:5190`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        std::net::SocketAddr::new(self.ip, self.port).fmt(f)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The direction-free name of a flow: both directions of one conversation have the same key.
///
/// Made and compared for every packet, so it is plain numbers: comparing two of these is a few instructions, where
/// comparing two `IpAddr`s is a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowKey {
    low: [u64; 2],
    high: [u64; 2],
    /// Port of the lower address, port of the higher one.
    ports: u32,
    /// Transport and IP version.
    kind: u8,
}

/// A key in short: over IPv4 all that it says, else enough to tell most keys from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Brief {
    /// Both addresses, or a sum of them.
    pub addresses: u64,
    /// Both ports.
    pub ports: u32,
    /// Transport and IP version.
    pub kind: u8,
}

impl Brief {
    /// Whether it says all that its key says.
    #[allow(clippy::inline_always, reason = "every packet, see ARCHITECTURE.md")]
    #[inline(always)]
    pub const fn is_whole(&self) -> bool {
        self.kind & 0x20 == 0
    }

    /// Its key, if it says all of it.
    pub const fn key(&self) -> Option<FlowKey> {
        if !self.is_whole() {
            return None;
        }
        Some(FlowKey {
            low: [0, self.addresses >> 32],
            high: [0, self.addresses & 0xffff_ffff],
            ports: self.ports,
            kind: self.kind,
        })
    }
}

impl FlowKey {
    /// In short.
    #[allow(clippy::inline_always, reason = "every packet, see ARCHITECTURE.md")]
    #[inline(always)]
    pub const fn brief(&self) -> Brief {
        let ([a, b], [c, d]) = (self.low, self.high);
        Brief {
            addresses: if self.kind & 0x20 == 0 {
                b << 32 | d
            } else {
                a ^ b.rotate_left(16) ^ c.rotate_left(32) ^ d.rotate_left(48)
            },
            ports: self.ports,
            kind: self.kind,
        }
    }

    /// The key of a packet between these two endpoints, whichever sent it.
    pub fn new(transport: Transport, a: Endpoint, b: Endpoint) -> Self {
        Self::of_packet(transport, a, b).0
    }

    /// As [`Self::of_packet`], over IPv4.
    #[allow(clippy::inline_always, reason = "every packet, see ARCHITECTURE.md")]
    #[inline(always)]
    pub fn between(
        transport: Transport,
        (from, from_port): (Ipv4Addr, u16),
        (to, to_port): (Ipv4Addr, u16),
    ) -> (Self, bool) {
        // As below, but as one number each: which one is lower changes from packet to packet, and a branch that
        // depends on it is mostly guessed wrong.
        let number = |ip: Ipv4Addr, port: u16| u64::from(ip.to_bits()) << 16 | u64::from(port);
        let (src, dst) = (number(from, from_port), number(to, to_port));
        let (low, high) = (src.min(dst), src.max(dst));
        let key = Self {
            low: [0, low >> 16],
            high: [0, high >> 16],
            ports: (low as u32) << 16 | high as u32 & 0xffff,
            kind: 0x40 | transport as u8,
        };
        (key, src <= dst)
    }

    /// The key, and whether the sender is the lower of the two endpoints: within a flow that tells the direction.
    pub fn of_packet(transport: Transport, src: Endpoint, dst: Endpoint) -> (Self, bool) {
        if let (IpAddr::V4(from), IpAddr::V4(to)) = (src.ip, dst.ip) {
            return Self::between(transport, (from, src.port), (to, dst.port));
        }
        let (src, dst) = ((numbers(src.ip), src.port), (numbers(dst.ip), dst.port));
        let src_is_low = src <= dst;
        let (((version, low), low_port), ((_, high), high_port)) =
            if src_is_low { (src, dst) } else { (dst, src) };
        let key = Self {
            low,
            high,
            ports: u32::from(low_port) << 16 | u32::from(high_port),
            kind: version | transport as u8,
        };
        (key, src_is_low)
    }
}

/// Version and address.
const fn numbers(ip: IpAddr) -> (u8, [u64; 2]) {
    match ip {
        IpAddr::V4(v4) => (0x40, [0, v4.to_bits() as u64]),
        IpAddr::V6(v6) => {
            let bits = v6.to_bits();
            (0x60, [(bits >> 64) as u64, bits as u64])
        }
    }
}

impl Hash for FlowKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        // One round for IPv4, which fits into it.
        let rest = u128::from(self.ports) << 64 | u128::from(self.kind) << 96;
        let brief = self.brief();
        if brief.is_whole() {
            state.write_u128(rest | u128::from(brief.addresses));
        } else {
            let number = |[high, low]: [u64; 2]| u128::from(high) << 64 | u128::from(low);
            state.write_u128(number(self.low));
            state.write_u128(number(self.high));
            state.write_u128(rest);
        }
    }
}

/// An oriented flow: `client` opened it, `server` was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FiveTuple {
    /// TCP or UDP.
    pub transport: Transport,
    /// Who opened the flow.
    pub client: Endpoint,
    /// Who was listening.
    pub server: Endpoint,
}

impl FiveTuple {
    /// The direction-free key.
    pub fn key(&self) -> FlowKey {
        FlowKey::new(self.transport, self.client, self.server)
    }

    /// The same flow seen from the other side.
    #[must_use]
    pub const fn swapped(self) -> Self {
        Self {
            transport: self.transport,
            client: self.server,
            server: self.client,
        }
    }
}

/// Which way bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

impl Direction {
    /// Both, client first.
    pub const BOTH: [Self; 2] = [Self::ToServer, Self::ToClient];

    /// The opposite direction.
    #[must_use]
    pub const fn reverse(self) -> Self {
        match self {
            Self::ToServer => Self::ToClient,
            Self::ToClient => Self::ToServer,
        }
    }

    /// 0 for `ToServer`, 1 for `ToClient`: to index a pair.
    pub const fn index(self) -> usize {
        self as usize
    }
}
