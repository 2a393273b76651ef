//! Why a frame is no packet for us.

use std::fmt;

/// Why a frame was passed over. To be counted; never an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// An address resolution packet (ARP, RARP).
    Arp,
    /// The capture's link type cannot be read.
    UnsupportedLinkType,
    /// Neither IPv4 nor IPv6 by its Ethernet type, LLC or address family.
    UnsupportedEthertype,
    /// IP, but neither TCP nor UDP: ICMP, ESP, ...
    UnsupportedIpProtocol,
    /// The snap length cut a header in two.
    TruncatedHeader,
    /// One of the pieces of a larger datagram.
    IpFragment,
    /// A wireless frame whose content is encrypted.
    Encrypted,
    /// A wireless frame that carries no data: management, control.
    NoDataFrame,
    /// Wrapped more often than is followed.
    TooManyLayers,
    /// A header contradicts itself or what is around it.
    Malformed,
}

impl Reason {
    /// Every reason, in the order of [`Reason::index`].
    pub const ALL: [Self; 10] = [
        Self::Arp,
        Self::UnsupportedLinkType,
        Self::UnsupportedEthertype,
        Self::UnsupportedIpProtocol,
        Self::TruncatedHeader,
        Self::IpFragment,
        Self::Encrypted,
        Self::NoDataFrame,
        Self::TooManyLayers,
        Self::Malformed,
    ];

    /// Stable name, as in the summary record.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Arp => "arp",
            Self::UnsupportedLinkType => "unsupported-link-type",
            Self::UnsupportedEthertype => "unsupported-ethertype",
            Self::UnsupportedIpProtocol => "unsupported-ip-protocol",
            Self::TruncatedHeader => "truncated-header",
            Self::IpFragment => "ip-fragment",
            Self::Encrypted => "encrypted",
            Self::NoDataFrame => "no-data-frame",
            Self::TooManyLayers => "too-many-layers",
            Self::Malformed => "malformed",
        }
    }

    /// Its place in [`Reason::ALL`], to count in an array.
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
