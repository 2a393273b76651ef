//! What kind of frames a capture holds.

use std::fmt;

/// A link type by its number in the registry of capture formats (`LINKTYPE_` of <https://www.tcpdump.org/linktypes.html>).
///
/// Any number may turn up in a file, so this is no enum: frames of an unknown type are delivered all the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkType(pub u32);

#[allow(missing_docs)]
impl LinkType {
    /// BSD loopback: address family in the byte order of the machine that captured.
    pub const NULL: Self = Self(0);
    pub const ETHERNET: Self = Self(1);
    pub const PPP: Self = Self(9);
    /// Raw IP as `DLT_RAW` of most systems; a file should say 101.
    pub const DLT_RAW: Self = Self(12);
    /// Raw IP as `DLT_RAW` of OpenBSD.
    pub const DLT_RAW_OPENBSD: Self = Self(14);
    pub const PPP_HDLC: Self = Self(50);
    pub const PPP_ETHER: Self = Self(51);
    pub const RAW: Self = Self(101);
    pub const C_HDLC: Self = Self(104);
    pub const IEEE802_11: Self = Self(105);
    /// OpenBSD loopback: address family in network byte order.
    pub const LOOP: Self = Self(108);
    pub const LINUX_SLL: Self = Self(113);
    pub const IEEE802_11_PRISM: Self = Self(119);
    pub const RADIOTAP: Self = Self(127);
    pub const IEEE802_11_AVS: Self = Self(163);
    pub const PPP_PPPD: Self = Self(166);
    pub const PPI: Self = Self(192);
    pub const PPP_WITH_DIR: Self = Self(204);
    pub const IPV4: Self = Self(228);
    pub const IPV6: Self = Self(229);
    pub const LINUX_SLL2: Self = Self(276);

    /// The registry's name, for the types that turn up where messengers do.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::NULL => "NULL",
            Self::ETHERNET => "ETHERNET",
            Self(6) => "IEEE802_5",
            Self::PPP => "PPP",
            Self(10) => "FDDI",
            Self::DLT_RAW | Self::DLT_RAW_OPENBSD | Self::RAW => "RAW",
            Self::PPP_HDLC => "PPP_HDLC",
            Self::PPP_ETHER => "PPP_ETHER",
            Self::C_HDLC => "C_HDLC",
            Self::IEEE802_11 => "IEEE802_11",
            Self(107) => "FRELAY",
            Self::LOOP => "LOOP",
            Self::LINUX_SLL => "LINUX_SLL",
            Self(117) => "PFLOG",
            Self::IEEE802_11_PRISM => "IEEE802_11_PRISM",
            Self::RADIOTAP => "IEEE802_11_RADIOTAP",
            Self::IEEE802_11_AVS => "IEEE802_11_AVS",
            Self::PPP_PPPD => "PPP_PPPD",
            Self(189) => "USB_LINUX",
            Self::PPI => "PPI",
            Self(195) => "IEEE802_15_4_WITHFCS",
            Self(201) => "BLUETOOTH_HCI_H4_WITH_PHDR",
            Self(220) => "USB_LINUX_MMAPPED",
            Self::PPP_WITH_DIR => "PPP_WITH_DIR",
            Self::IPV4 => "IPV4",
            Self::IPV6 => "IPV6",
            Self(239) => "NFLOG",
            Self(249) => "USBPCAP",
            Self(253) => "NETLINK",
            Self::LINUX_SLL2 => "LINUX_SLL2",
            _ => return None,
        })
    }
}

/// `ETHERNET`, or `link type 147` when the number has no name here.
impl fmt::Display for LinkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "link type {}", self.0),
        }
    }
}

impl fmt::Debug for LinkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}({})", self.0)
    }
}
