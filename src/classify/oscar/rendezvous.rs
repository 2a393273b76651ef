//! Rendezvous: one user proposes a direct connection, or another service, to the other.

use super::bytes::Bytes;
use super::tell::Teller;
use super::tlv;
use crate::model::{Format, Service, Target, feature, risk};
use std::net::{IpAddr, Ipv4Addr};

/// What is proposed, by the UUID of the capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// 1341, 0104.
    Voice,
    /// 0100, 0101, 0105.
    Video,
    /// 1343.
    SendFile,
    /// 1348: a folder is opened to the other.
    GetFile,
    /// 1344: ICQ's own direct connection.
    IcqDirect,
    /// 1345: direct IM, which carries images too.
    DirectIm,
    /// 1349: ICQ's messages, relayed by the server.
    IcqRelay,
    /// 134A, in two spellings of the UUID's tail.
    Games,
    /// F004.
    ScreenShare,
    /// 748F2420-...
    Chat,
}

impl Capability {
    /// Reads a UUID; `None` for one that says nothing of interest.
    pub fn of(uuid: &[u8; 16]) -> Option<Self> {
        let mut bytes = Bytes::new(uuid);
        let (head, code, tail) = (bytes.be16()?, bytes.be16()?, bytes.be32()?);
        if (head, code) == (0x748F, 0x2420) && tail == 0x6287_11D1 {
            return Some(Self::Chat);
        }
        // The last eight bytes vary: games and iChat write them wrong.
        if head != 0x0946 || tail != 0x4C7F_11D1 {
            return None;
        }
        Some(match code {
            0x0104 | 0x1341 => Self::Voice,
            0x0100 | 0x0101 | 0x0105 => Self::Video,
            0x1343 => Self::SendFile,
            0x1344 => Self::IcqDirect,
            0x1345 => Self::DirectIm,
            0x1348 => Self::GetFile,
            0x1349 => Self::IcqRelay,
            0x134A => Self::Games,
            0xF004 => Self::ScreenShare,
            _ => return None,
        })
    }
}

/// The block of a channel 2 ICBM: type, cookie, UUID, TLVs. `opener` is the account that would connect:
/// `None` when it is this client.
pub fn block(bytes: &[u8], opener: Option<&str>, tell: &mut Teller<'_>) {
    let mut cursor = Bytes::new(bytes);
    let Some(kind) = cursor.be16() else { return };
    let Some(uuid) = cursor.take(8).and_then(|_| cursor.take(16)) else {
        return;
    };
    let Some(capability) = <&[u8; 16]>::try_from(uuid).ok().and_then(Capability::of) else {
        return;
    };
    // 1 cancel and 3 refuse announce nothing.
    let (proposal, accepted) = (kind == 0, kind == 2);
    if !proposal && !accepted {
        return;
    }
    let tlvs = cursor.rest();
    // An empty TLV 10 makes TLV 02 the address of AOL's proxy, and TLV 05 a number to tell it.
    let direct = !tlv::has(tlvs, 0x10);
    let addresses: Vec<_> = tlv::list(tlvs)
        .filter(|tlv| direct && matches!(tlv.kind, 2..=4))
        .filter_map(|tlv| <[u8; 4]>::try_from(tlv.value).ok())
        .map(|octets| IpAddr::V4(Ipv4Addr::from(octets)))
        .take(8)
        .collect();
    let port = if proposal {
        tlv::find_be16(tlvs, 5)
    } else {
        None
    };
    offer(capability, &addresses, port, opener, tell);
}

/// Tells what a proposal is for, whose addresses it gave away and where the connection will go.
pub fn offer(
    capability: Capability,
    addresses: &[IpAddr],
    port: Option<u16>,
    opener: Option<&str>,
    tell: &mut Teller<'_>,
) {
    let next = match capability {
        Capability::Voice => {
            tell.feature(feature::VOICE);
            None
        }
        Capability::Video => {
            tell.feature(feature::VIDEO);
            None
        }
        Capability::SendFile => {
            tell.feature(feature::FILE_TRANSFER);
            tell.risk(risk::FILE_TRANSFER);
            Some("oft")
        }
        Capability::GetFile => {
            tell.feature(feature::FILE_SHARE);
            tell.risk(risk::FILE_TRANSFER);
            Some("oft")
        }
        Capability::DirectIm => {
            tell.feature(feature::DIRECT_CONNECTION);
            Some("odc")
        }
        Capability::IcqDirect => {
            tell.feature(feature::DIRECT_CONNECTION);
            None
        }
        Capability::IcqRelay => {
            tell.feature(feature::MESSAGE);
            tell.risk(risk::CLEARTEXT_MESSAGES);
            None
        }
        Capability::Games => {
            tell.feature(feature::GAMES);
            None
        }
        Capability::ScreenShare => {
            tell.feature(feature::APPLICATION_SHARING);
            None
        }
        Capability::Chat => {
            tell.feature(feature::CHAT_ROOM);
            None
        }
    };
    for address in addresses.iter().filter(|address| reachable(address)) {
        tell.risk(risk::ADDRESS_REVEALED);
        if let (Some(app_proto), Some(port)) = (next, port.filter(|port| *port != 0)) {
            let format = Format::messenger(Service::OSCAR, app_proto, "peer");
            tell.redirect(
                Target::Address(*address, Some(port)),
                format,
                opener.map(str::to_owned),
            );
        }
    }
}

/// An address that a peer could really be reached at.
pub fn reachable(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [first, ..] = v4.octets();
            first != 0 && !v4.is_loopback() && !v4.is_multicast() && *v4 != Ipv4Addr::BROADCAST
        }
        IpAddr::V6(v6) => !v6.is_unspecified() && !v6.is_loopback() && !v6.is_multicast(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Capability, reachable};

    #[test]
    fn uuids_are_told_apart() {
        let aol = |code: u128| {
            Capability::of(&(0x0946_0000_4C7F_11D1_8222_4445_5354_0000 | code << 96).to_be_bytes())
        };
        assert_eq!(aol(0x1343), Some(Capability::SendFile));
        assert_eq!(aol(0x1345), Some(Capability::DirectIm));
        assert_eq!(aol(0x1346), None, "buddy icons are no feature");
        let games = 0x0946_134A_4C7F_11D1_2282_4445_5354_0000_u128;
        assert_eq!(
            Capability::of(&games.to_be_bytes()),
            Some(Capability::Games)
        );
        let chat = 0x748F_2420_6287_11D1_8222_4445_5354_0000_u128;
        assert_eq!(Capability::of(&chat.to_be_bytes()), Some(Capability::Chat));
        assert_eq!(Capability::of(&[0; 16]), None);
    }

    #[test]
    fn nonsense_addresses_predict_nothing() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "ff02::1",
        ] {
            assert!(text.parse().is_ok_and(|ip| !reachable(&ip)), "{text}");
        }
        assert!("192.168.1.5".parse().is_ok_and(|ip| reachable(&ip)));
    }
}
