//! The smaller facts of a session: families 0001, 0002, 0003, 0007, 000D, 000E, 0010 and 0013.

use super::bytes::Bytes;
use super::snac::{Snac, family};
use super::tell::Teller;
use super::{icbm, icq, names, rendezvous, signon, tlv};
use crate::classify::icq::direct_token;
use crate::model::{
    Activity, Endpoint, Format, Party, Service, ServiceHint, Target, feature, risk, what,
};
use std::net::{IpAddr, Ipv4Addr};

/// Tells what a SNAC of any family says.
pub fn unit(snac: &Snac<'_>, from_client: bool, tell: &mut Teller<'_>) {
    let body = snac.body;
    match (snac.header.family, snac.header.subtype) {
        (family::SIGN_ON, _) => signon::unit(snac, tell),
        (family::ICBM, _) => icbm::unit(snac, from_client, tell),
        (family::ICQ, _) => icq::unit(snac, from_client, tell),
        // The answer to a request for another service: its family, where it is, the cookie for it.
        (family::GENERIC, 0x05) => signon::redirect(body, "service", tell),
        (family::GENERIC, 0x0F) => own_info(body, tell),
        (family::GENERIC, 0x12) => migrate(body, tell),
        (family::GENERIC, 0x11) => idle(body, tell),
        (family::GENERIC, 0x1E) => own_status(body, tell),
        (family::LOCATE, 0x04) => profile(body, tell),
        // A profile that is asked for: what of it first, as u16 in the old request, as u32 in the new one.
        (family::LOCATE, 0x05) => asked(body.get(2..), "user-info", tell),
        (family::LOCATE, 0x0B) => asked(Some(body), "user-info", tell),
        (family::LOCATE, 0x15) => asked(body.get(4..), "user-info", tell),
        (family::BUDDY, 0x0B) => buddy(body, "online", tell),
        (family::BUDDY, 0x0C) => buddy(body, "offline", tell),
        (family::BUDDY, 0x04) => named(body, "added", tell),
        (family::BUDDY, 0x05) => named(body, "removed", tell),
        // Somebody's icon, asked for by its sum in the old form and by its id in the new one.
        (family::ICONS, 0x04 | 0x06) => asked(Some(body), "buddy-icon", tell),
        (family::FEEDBAG, 0x06) => listed(body, tell),
        (family::FEEDBAG, 0x08) => items(body, "added", tell),
        (family::FEEDBAG, 0x0A) => items(body, "removed", tell),
        (family::FEEDBAG, 0x04 | 0x05 | 0x07 | 0x09) => tell.feature(feature::CONTACT_LIST),
        // A change of password: TLV 02 is the new one.
        (family::ADMIN, 0x04) if tlv::has(body, 2) => {
            tell.risk(risk::CLEARTEXT_PASSWORD);
            tell.done(Activity::new(what::PASSWORD_CHANGE).by(Party::Own));
        }
        (family::CHAT, 0x05 | 0x06) => chat(body, snac.header.subtype == 0x05, tell),
        (family::CHAT, 0x03) => chatters(body, what::CHAT_JOIN, tell),
        (family::CHAT, 0x04) => chatters(body, what::CHAT_LEAVE, tell),
        // 000D/0008 makes a room; the other requests of the navigator are sent by idle clients too.
        (family::CHAT_NAV, 0x08) | (family::CHAT, 0x02) => tell.feature(feature::CHAT_ROOM),
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
fn buddy(body: &[u8], state: &'static str, tell: &mut Teller<'_>) {
    let Some((name, tlvs)) = user_info(body) else {
        return;
    };
    tell.feature(feature::PRESENCE);
    let Some(name) = names::account(name) else {
        return;
    };
    let status = tlv::find(tlvs, 6).and_then(status);
    tell.done(
        Activity::new(what::STATUS)
            .by(name.clone())
            .with("status", status.unwrap_or(state)),
    );
    direct_connection(tlvs, Some(&name), tell);
}

/// TLV 06: flags u16, then ICQ's status u16. AIM has the same field and leaves it 0.
fn status(value: &[u8]) -> Option<&'static str> {
    let mut bytes = Bytes::new(value);
    bytes.be16()?;
    Some(match bytes.be16()? & 0x01FF {
        0 => "online",
        status if status & 0x0100 != 0 => "invisible",
        status if status & 0x02 != 0 => "do-not-disturb",
        status if status & 0x10 != 0 => "occupied",
        status if status & 0x04 != 0 => "not-available",
        status if status & 0x20 != 0 => "free-for-chat",
        status if status & 0x01 != 0 => "away",
        _ => return None,
    })
}

/// 0001/001E: the user's own status.
fn own_status(body: &[u8], tell: &mut Teller<'_>) {
    tell.feature(feature::PRESENCE);
    if let Some(status) = tlv::find(body, 6).and_then(status) {
        tell.done(
            Activity::new(what::STATUS)
                .by(Party::Own)
                .with("status", status),
        );
    }
    direct_connection(body, None, tell);
}

/// 0001/0011: seconds without a key pressed; 0 when the user is back.
fn idle(body: &[u8], tell: &mut Teller<'_>) {
    if let Some(seconds) = Bytes::new(body).be32() {
        tell.feature(feature::PRESENCE);
        let status = if seconds == 0 { "active" } else { "idle" };
        tell.done(
            Activity::new(what::STATUS)
                .by(Party::Own)
                .with("status", status)
                .with("idle_seconds", u64::from(seconds)),
        );
    }
}

/// The client asks for what somebody shows of himself: his name comes first.
fn asked(body: Option<&[u8]>, kind: &'static str, tell: &mut Teller<'_>) {
    let name = body.and_then(|body| Bytes::new(body).short_text());
    if let Some(name) = name.and_then(names::account) {
        let asked = Activity::new(what::QUERY).by(Party::Own).to(name);
        tell.done(asked.with("kind", kind));
    }
}

/// People of one list that are told of one by one; more are counted only.
const MAX_CONTACTS: usize = 256;

fn contact(name: &[u8], change: &'static str, tell: &mut Teller<'_>) {
    if let Some(name) = names::account(name) {
        let contact = Activity::new(what::CONTACT).by(Party::Own).to(name);
        tell.done(contact.with("change", change));
    }
}

/// 0003/0004, 0005: names, one after the other.
fn named(body: &[u8], change: &'static str, tell: &mut Teller<'_>) {
    tell.feature(feature::CONTACT_LIST);
    let mut bytes = Bytes::new(body);
    let names = std::iter::from_fn(|| bytes.short_text());
    for name in names.take(MAX_CONTACTS) {
        contact(name, change, tell);
    }
}

/// Items of a list that the server keeps: name with a u16 before it, group u16, number u16, type u16, TLVs behind a
/// u16. Type 0 is a person.
fn items(body: &[u8], change: &'static str, tell: &mut Teller<'_>) {
    tell.feature(feature::CONTACT_LIST);
    let mut bytes = Bytes::new(body);
    let item = || {
        let len = bytes.be16()?;
        let name = bytes.take(usize::from(len))?;
        bytes.take(4)?;
        let kind = bytes.be16()?;
        let len = bytes.be16()?;
        bytes.take(usize::from(len))?;
        Some((name, kind))
    };
    let people = std::iter::from_fn(item).filter(|(_, kind)| *kind == 0);
    for (name, _) in people.take(MAX_CONTACTS) {
        contact(name, change, tell);
    }
}

/// 0013/0006: the whole list: version u8, count u16, items, time u32.
fn listed(body: &[u8], tell: &mut Teller<'_>) {
    items(body.get(3..).unwrap_or_default(), "listed", tell);
}

/// 000E/0005, 0006: cookie 8, channel u16, TLVs: 03 who said it, 05 what, of which TLV 01 is the text.
fn chat(body: &[u8], from_client: bool, tell: &mut Teller<'_>) {
    tell.feature(feature::CHAT_ROOM);
    tell.risk(risk::CLEARTEXT_MESSAGES);
    let tlvs = body.get(10..).unwrap_or_default();
    let length = tlv::find(tlvs, 5).and_then(|message| tlv::find(message, 1));
    let sender = tlv::find(tlvs, 3)
        .and_then(|info| Bytes::new(info).short_text())
        .and_then(names::account);
    let sender = match sender {
        Some(name) if !from_client => Some(Party::Account(name)),
        _ => from_client.then_some(Party::Own),
    };
    let mut said = Activity::new(what::CHAT_MESSAGE);
    said.from = sender;
    tell.done(said.maybe("length", length.map(<[u8]>::len)));
}

/// 000E/0003, 0004: user infos of those who came or went.
fn chatters(body: &[u8], what: &'static str, tell: &mut Teller<'_>) {
    tell.feature(feature::CHAT_ROOM);
    let mut rest = body;
    for _ in 0..MAX_CONTACTS {
        let mut bytes = Bytes::new(rest);
        let Some(name) = bytes.short_text() else {
            return;
        };
        let count = bytes.be16().and_then(|_warning| bytes.be16());
        let Some((_, next)) = count.and_then(|count| tlv::split_counted(bytes.rest(), count))
        else {
            return;
        };
        rest = next;
        if let Some(name) = names::account(name) {
            tell.peer(name.clone());
            tell.done(Activity::new(what).by(name));
        }
    }
}

/// TLV 0C: where ICQ's direct connections to this user go. Clients that take none fill in zeros.
fn direct_connection(tlvs: &[u8], whose: Option<&str>, tell: &mut Teller<'_>) {
    let Some(info) = tlv::find(tlvs, 0x0C) else {
        return;
    };
    let mut bytes = Bytes::new(info);
    if let (Some(address), Some(port)) = (bytes.be32(), bytes.be32())
        && port != 0
        && let address = IpAddr::V4(Ipv4Addr::from(address))
        && rendezvous::reachable(&address)
    {
        let place = match u16::try_from(port) {
            Ok(port) => Endpoint::new(address, port).to_string(),
            Err(_) => address.to_string(),
        };
        tell.exposes(risk::ADDRESS_REVEALED, place.clone());
        // How it takes connections u8, version u16, then what the one who connects will show.
        let cookie = bytes.take(3).and_then(|_| bytes.be32());
        if let (Ok(port), Some(name)) = (u16::try_from(port), whose) {
            tell.redirect(
                Target::Address(address, Some(port)),
                DIRECT,
                (None, Some(name.to_owned())),
                cookie.and_then(direct_token),
            );
        } else {
            tell.done(
                Activity::new(what::ADDRESS)
                    .by(Party::Own)
                    .with("address", place),
            );
        }
    }
}

/// A connection between two users of ICQ.
const DIRECT: Format = Format::messenger(Service::ICQ, "icq-direct", "peer");

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
    if let Some(away) = tlv::find(body, 4) {
        tell.feature(feature::PRESENCE);
        let status = if away.is_empty() { "back" } else { "away" };
        tell.done(
            Activity::new(what::STATUS)
                .by(Party::Own)
                .with("status", status),
        );
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
