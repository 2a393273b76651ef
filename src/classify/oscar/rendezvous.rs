//! Rendezvous: one user proposes a direct connection, or another service, to the other.

use super::bytes::Bytes;
use super::tell::Teller;
use super::{icbm, tlv};
use crate::classify::exploit;
use crate::classify::file::File;
use crate::model::{Activity, Endpoint, Format, Service, Target, Token, feature, risk, what};
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
    /// As the event record calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Voice => "voice",
            Self::Video => "video",
            Self::SendFile => "file",
            Self::GetFile => "file-share",
            Self::IcqDirect | Self::DirectIm => "direct-connection",
            Self::IcqRelay => "message",
            Self::Games => "game",
            Self::ScreenShare => "screen-share",
            Self::Chat => "chat-room",
        }
    }

    /// Tells what it is used for; the format of the connection that follows it.
    pub fn tell(self, tell: &mut Teller<'_>) -> Option<&'static str> {
        let (feature, next) = match self {
            Self::Voice => (feature::VOICE, None),
            Self::Video => (feature::VIDEO, None),
            Self::SendFile => (feature::FILE_TRANSFER, Some("oft")),
            Self::GetFile => {
                tell.risk(risk::FILE_SHARE);
                (feature::FILE_SHARE, Some("oft"))
            }
            Self::DirectIm => (feature::DIRECT_CONNECTION, Some("odc")),
            Self::IcqDirect => (feature::DIRECT_CONNECTION, None),
            Self::IcqRelay => (feature::MESSAGE, None),
            Self::Games => (feature::GAMES, None),
            Self::ScreenShare => {
                tell.risk(risk::APPLICATION_SHARING);
                (feature::APPLICATION_SHARING, None)
            }
            Self::Chat => (feature::CHAT_ROOM, None),
        };
        tell.feature(feature);
        next
    }

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

/// The client's user and the other one, and which of them speaks.
#[derive(Clone, Debug)]
pub struct Parties {
    /// The client's user speaks.
    pub from_client: bool,
    /// The other one's account.
    pub peer: String,
}

/// What is proposed, and how.
#[derive(Debug, Default)]
pub struct Offer<'a> {
    /// What links it to the connection that follows.
    pub cookie: &'a [u8],
    /// Where the proposer says it can be reached, and where the server saw it.
    pub addresses: Vec<IpAddr>,
    /// The port there.
    pub port: Option<u16>,
    /// AOL's proxy is between them.
    pub proxy: bool,
    /// What the service wants to say besides: of a file its name and size.
    pub data: Option<&'a [u8]>,
    /// Further data of the kind that only one is made of.
    pub more_data: usize,
}

/// The block of a channel 2 ICBM: type, cookie, UUID, TLVs.
pub fn block(bytes: &[u8], parties: &Parties, tell: &mut Teller<'_>) {
    let mut cursor = Bytes::new(bytes);
    let Some(kind) = cursor.be16() else { return };
    let Some((cookie, uuid)) = cursor.take(8).zip(cursor.take(16)) else {
        return;
    };
    let Some(capability) = <&[u8; 16]>::try_from(uuid).ok().and_then(Capability::of) else {
        return;
    };
    let tlvs = cursor.rest();
    let answer = match kind {
        0 => None,
        1 => Some(what::CANCELLED),
        2 => Some(what::ACCEPTED),
        3 => Some(what::REFUSED),
        _ => return,
    };
    // An empty TLV 10 makes TLV 02 the address of AOL's proxy, and TLV 05 a number to tell it.
    let proxy = tlv::has(tlvs, 0x10);
    let addresses = tlv::list(tlvs)
        .filter(|tlv| !proxy && matches!(tlv.kind, 2..=4))
        .filter_map(|tlv| <[u8; 4]>::try_from(tlv.value).ok())
        .map(|octets| IpAddr::V4(Ipv4Addr::from(octets)))
        .take(8)
        .collect();
    let offer = Offer {
        cookie,
        addresses,
        port: tlv::find_be16(tlvs, 5).filter(|_| kind == 0 && !proxy),
        proxy,
        data: tlv::find(tlvs, 0x2711),
        more_data: tlv::list(tlvs)
            .filter(|tlv| tlv.kind >= 0x2711)
            .count()
            .saturating_sub(1),
    };
    if let Some(what) = answer {
        let between = Activity::between(what, parties.from_client, Some(parties.peer.clone()));
        tell.done(between.with("kind", capability.name()));
        // Cancelled and refused ones lead nowhere.
        if kind != 2 {
            return;
        }
    } else {
        proposal(capability, &offer, parties, tell);
    }
    leads_to(capability, &offer, parties, tell);
}

/// Tells what is proposed.
fn proposal(capability: Capability, offer: &Offer<'_>, parties: &Parties, tell: &mut Teller<'_>) {
    let between = |what| Activity::between(what, parties.from_client, Some(parties.peer.clone()));
    let through = offer.proxy.then_some("proxy");
    match capability {
        Capability::SendFile => {
            let file = offer.data.map(sent_file).unwrap_or_default();
            file.tell(
                between(what::FILE_OFFER).maybe("through", through),
                tell.out(),
            );
        }
        Capability::IcqRelay => {
            let data = offer.data.unwrap_or_default();
            relayed(data, parties, tell);
        }
        _ => {
            tell.done(
                between(what::INVITATION)
                    .with("kind", capability.name())
                    .maybe("through", through),
            );
        }
    }
    if capability == Capability::Games {
        let data = offer.data.unwrap_or_default();
        exploit::game_request(data, offer.more_data, tell.out());
    }
}

/// The data of a file offer: type u16, how many u16, bytes u32, name and NUL.
fn sent_file(data: &[u8]) -> File {
    let mut bytes = Bytes::new(data);
    let (_kind, count, size) = (bytes.be16(), bytes.be16(), bytes.be32());
    let name = bytes.rest().split(|byte| *byte == 0).next();
    File {
        count: count.filter(|count| *count > 1).map(u64::from),
        ..File::new(name.unwrap_or_default(), size.map(u64::from))
    }
}

/// A message of ICQ that the server passes on, little-endian: a header with its length before it, a second one with
/// the sequence, then type u8, flags u8, status u16, priority u16, length u16, text.
fn relayed(data: &[u8], parties: &Parties, tell: &mut Teller<'_>) {
    let mut bytes = Bytes::new(data);
    let body = (|| {
        for _ in 0..2 {
            let len = bytes.le16()?;
            bytes.take(usize::from(len))?;
        }
        let kind = bytes.u8()?;
        bytes.take(5)?;
        let len = bytes.le16()?;
        Some((u16::from(kind), bytes.take(usize::from(len))?))
    })();
    match body {
        Some((kind, body)) => icbm::legacy_message(kind, body, parties, tell),
        None => tell.risk(risk::CLEARTEXT_MESSAGES),
    }
    tell.feature(feature::MESSAGE);
}

/// Tells what a proposal is good for, whose addresses it gave away and where the connection will go.
pub fn leads_to(
    capability: Capability,
    offer: &Offer<'_>,
    parties: &Parties,
    tell: &mut Teller<'_>,
) {
    let next = capability.tell(tell);
    for address in offer.addresses.iter().filter(|address| reachable(address)) {
        let port = offer.port.filter(|port| *port != 0);
        let place = port.map_or_else(
            || address.to_string(),
            |port| Endpoint::new(*address, port).to_string(),
        );
        tell.exposes(risk::ADDRESS_REVEALED, place);
        if let (Some(app_proto), Some(port)) = (next, port) {
            let format = Format::messenger(Service::OSCAR, app_proto, "peer");
            // The proposer listens, so the other one connects.
            let peer = Some(parties.peer.clone());
            let users = if parties.from_client {
                (peer, None)
            } else {
                (None, peer)
            };
            tell.redirect(
                Target::Address(*address, Some(port)),
                format,
                users,
                token(offer.cookie),
            );
        }
    }
}

/// What links a proposal to its connection.
pub fn token(cookie: &[u8]) -> Option<Token> {
    Token::of("icbm-cookie", cookie)
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
