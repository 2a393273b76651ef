//! Who talks to whom.

use std::fmt;
use std::net::IpAddr;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowKey {
    transport: Transport,
    low: Endpoint,
    high: Endpoint,
}

impl FlowKey {
    /// The key of a packet between these two endpoints, whichever sent it.
    pub fn new(transport: Transport, a: Endpoint, b: Endpoint) -> Self {
        let (low, high) = if a <= b { (a, b) } else { (b, a) };
        Self {
            transport,
            low,
            high,
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
