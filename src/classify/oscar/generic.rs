//! The smaller facts of a session: families 0001, 0002, 0003, 0007, 000D, 000E and 0013.

use super::bytes::Bytes;
use super::snac::{Snac, family};
use super::tell::Teller;
use super::{icbm, icq, names, rendezvous, signon, tlv};
use crate::model::{Service, ServiceHint, feature, risk};
use std::net::{IpAddr, Ipv4Addr};

/// Tells what a SNAC of any family says.
pub fn unit(snac: &Snac<'_>, tell: &mut Teller<'_>) {
    let body = snac.body;
    match (snac.header.family, snac.header.subtype) {
        (family::SIGN_ON, _) => signon::unit(snac, tell),
        (family::ICBM, _) => icbm::unit(snac, tell),
        (family::ICQ, _) => icq::unit(snac, tell),
        // The answer to a request for another service: its family, where it is, the cookie for it.
        (family::GENERIC, 0x05) => signon::redirect(body, "service", tell),
        (family::GENERIC, 0x0F) => own_info(body, tell),
        (family::GENERIC, 0x12) => migrate(body, tell),
        (family::GENERIC, 0x1E) => {
            tell.feature(feature::PRESENCE);
            direct_connection(body, tell);
        }
        (family::LOCATE, 0x04) => profile(body, tell),
        (family::BUDDY, 0x0B | 0x0C) => buddy(body, tell),
        (family::BUDDY, 0x04 | 0x05) | (family::FEEDBAG, 0x04..=0x0A) => {
            tell.feature(feature::CONTACT_LIST);
        }
        // A change of password: TLV 02 is the new one.
        (family::ADMIN, 0x04) if tlv::has(body, 2) => tell.risk(risk::REVERSIBLE_PASSWORD),
        (family::CHAT, 0x05 | 0x06) => {
            tell.feature(feature::CHAT_ROOM);
            tell.risk(risk::CLEARTEXT_MESSAGES);
        }
        // 000D/0008 makes a room; the other requests of the navigator are sent by idle clients too.
        (family::CHAT_NAV, 0x08) | (family::CHAT, 0x02..=0x04) => tell.feature(feature::CHAT_ROOM),
        _ => {}
    }
}

/// User info: name, warning level u16, count u16, TLVs.
fn user_info(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut bytes = Bytes::new(body);
    let name = bytes.short_text()?;
    bytes.be16()?;
    let count = bytes.be16()?;
    let tlvs = tlv::split_counted(bytes.rest(), count).map_or(bytes.rest(), |(tlvs, _)| tlvs);
    Some((name, tlvs))
}

/// 0001/000F: the server tells the client about itself.
fn own_info(body: &[u8], tell: &mut Teller<'_>) {
    if let Some(name) = user_info(body).and_then(|(name, _)| names::account(name)) {
        tell.account(name);
    }
}

/// 0003/000B, 000C: somebody on the list came or went.
fn buddy(body: &[u8], tell: &mut Teller<'_>) {
    if let Some((_, tlvs)) = user_info(body) {
        tell.feature(feature::PRESENCE);
        direct_connection(tlvs, tell);
    }
}

/// TLV 0C: where ICQ's direct connections to this user go. Clients that take none fill in zeros.
fn direct_connection(tlvs: &[u8], tell: &mut Teller<'_>) {
    let Some(info) = tlv::find(tlvs, 0x0C) else {
        return;
    };
    let mut bytes = Bytes::new(info);
    if let (Some(address), Some(port)) = (bytes.be32(), bytes.be32())
        && port != 0
        && rendezvous::reachable(&IpAddr::V4(Ipv4Addr::from(address)))
    {
        tell.risk(risk::ADDRESS_REVEALED);
    }
}

/// 0001/0012: the client is to move: a counted list of families, then where to.
fn migrate(body: &[u8], tell: &mut Teller<'_>) {
    let mut bytes = Bytes::new(body);
    let Some(count) = bytes.be16() else { return };
    if bytes.take(usize::from(count).saturating_mul(2)).is_some() {
        signon::redirect(bytes.rest(), "bos", tell);
    }
}

/// 0002/0004: profile, away message, capabilities.
fn profile(body: &[u8], tell: &mut Teller<'_>) {
    if tlv::find(body, 4).is_some_and(|away| !away.is_empty()) {
        tell.feature(feature::PRESENCE);
    }
    // Of ICQ's capabilities only the direct connection is its own: clients that speak both give the
    // others (server relay, XTraz, UTF-8) for AIM accounts as well.
    let capabilities = tlv::find(body, 5).unwrap_or_default();
    let own = capabilities
        .chunks_exact(16)
        .filter_map(|uuid| <&[u8; 16]>::try_from(uuid).ok())
        .any(|uuid| rendezvous::Capability::of(uuid) == Some(rendezvous::Capability::IcqDirect));
    if own {
        tell.hint(Service::ICQ, ServiceHint::OwnUnits);
    }
}

/// The families that a connection serves, as server (0001/0003) or client (0001/0002, 0017) lists them.
pub fn hosted_families<'a>(snac: &Snac<'a>) -> Option<impl Iterator<Item = u16> + 'a> {
    // A list of families; with a version each; with a version and the tool's id and version each.
    let step = match (snac.header.family, snac.header.subtype) {
        (family::GENERIC, 0x03) => 2,
        (family::GENERIC, 0x17) => 4,
        (family::GENERIC, 0x02) => 8,
        _ => return None,
    };
    let whole = snac.body.len() >= step;
    whole.then(|| {
        snac.body
            .chunks_exact(step)
            .filter_map(|item| Bytes::new(item).be16())
    })
}
