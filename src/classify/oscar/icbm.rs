//! SNAC family 0004: messages between users.

use super::bytes::Bytes;
use super::rendezvous::{self, Parties};
use super::snac::Snac;
use super::tell::Teller;
use super::{names, tlv};
use crate::classify::exploit;
use crate::classify::file::File;
use crate::classify::icq::message_kind;
use crate::model::{Activity, Service, ServiceHint, feature, risk, what};

/// The lowest number ICQ ever gave to a user.
pub const FIRST_UIN: u32 = 10_000;

/// Tells what a SNAC of this family says; `from_client` as far as the SNAC itself does not tell.
pub fn unit(snac: &Snac<'_>, from_client: bool, tell: &mut Teller<'_>) {
    match snac.header.subtype {
        0x06 => message(snac, false, tell),
        0x07 => message(snac, true, tell),
        0x0B | 0x0C | 0x14 => notice(snac, from_client, tell),
        // The server could not deliver: channel, user info, how many, why.
        0x0A => {
            let mut bytes = Bytes::new(snac.body);
            if bytes.be16().is_some()
                && let Some(peer) = bytes.short_text().and_then(names::account)
            {
                tell.peer(peer);
            }
        }
        _ => {}
    }
}

/// Automatic answer, acknowledgement, typing: cookie, channel, name of the other, and when typing how it stands.
fn notice(snac: &Snac<'_>, from_client: bool, tell: &mut Teller<'_>) {
    let mut bytes = Bytes::new(snac.body);
    let Some(peer) = bytes
        .take(8)
        .and_then(|_| bytes.be16())
        .and_then(|_| bytes.short_text())
        .and_then(names::account)
    else {
        return;
    };
    tell.peer(peer.clone());
    if snac.header.subtype == 0x14
        && let Some(state) = bytes.be16()
    {
        let state = match state {
            0 => "stopped",
            1 => "paused",
            2 => "begun",
            _ => "closed",
        };
        tell.done(Activity::between(what::TYPING, from_client, Some(peer)).with("state", state));
    }
}

/// Cookie 8, channel u16, name of the other; from the server then his user info; then TLVs.
fn message(snac: &Snac<'_>, from_server: bool, tell: &mut Teller<'_>) {
    let mut bytes = Bytes::new(snac.body);
    let Some((cookie, channel)) = bytes.take(8).zip(bytes.be16()) else {
        return malformed(snac, "message without a channel", tell);
    };
    let Some(name) = bytes.short_text() else {
        return malformed(snac, "name longer than its message", tell);
    };
    let Some(peer) = names::account(name) else {
        return;
    };
    let tlvs = if from_server {
        let count = bytes.be16().and_then(|_warning| bytes.be16());
        let split = count.and_then(|count| tlv::split_counted(bytes.rest(), count));
        if split.is_none() {
            malformed(snac, "more user info announced than there is", tell);
        }
        split.map_or(&[][..], |(_, tlvs)| tlvs)
    } else {
        bytes.rest()
    };
    if !tlv::tiles(tlvs) {
        malformed(snac, "TLV longer than its message", tell);
    }
    tell.peer(peer.clone());
    let parties = Parties {
        from_client: !from_server,
        peer,
    };
    match channel {
        1 => {
            if let Some(blocks) = tlv::find(tlvs, 2) {
                plain(snac, blocks, tlv::has(tlvs, 4), &parties, tell);
            }
        }
        2 => {
            if let Some(block) = tlv::find(tlvs, 5) {
                if block.get(2..10).is_some_and(|inner| inner != cookie) {
                    malformed(snac, "rendezvous with two different cookies", tell);
                }
                rendezvous::block(block, &parties, tell);
            }
        }
        4 => {
            if let Some(block) = tlv::find(tlvs, 5) {
                legacy(block, &parties, tell);
            }
        }
        _ => {}
    }
}

/// TLV 02: blocks of id u8, version u8, length u16. Block 1 is a text: charset u16, subset u16, bytes.
fn plain(
    snac: &Snac<'_>,
    blocks: &[u8],
    automatic: bool,
    parties: &Parties,
    tell: &mut Teller<'_>,
) {
    let mut bytes = Bytes::new(blocks);
    let (mut length, mut charset) = (0, None);
    while let (Some(id), Some(_version), Some(len)) = (bytes.u8(), bytes.u8(), bytes.be16()) {
        let Some(block) = bytes.take(usize::from(len)) else {
            malformed(snac, "text longer than its message", tell);
            break;
        };
        if id != 1 {
            continue;
        }
        let mut block = Bytes::new(block);
        let (Some(set), Some(_subset)) = (block.be16(), block.be16()) else {
            malformed(snac, "text without a character set", tell);
            continue;
        };
        let text = block.rest();
        length += text.len();
        charset = charset.or(match set {
            0 => Some("ascii"),
            2 => Some("utf-16be"),
            3 => Some("latin-1"),
            _ => None,
        });
        exploit::aim_urls(text, tell.out());
    }
    text(tell);
    let message = Activity::between(
        what::MESSAGE,
        parties.from_client,
        Some(parties.peer.clone()),
    );
    tell.done(
        message
            .with("length", length)
            .maybe("charset", charset)
            .maybe("kind", automatic.then_some("automatic")),
    );
}

/// Channel 4, little-endian as ICQ wrote before it moved to OSCAR: sender's UIN u32, type u8, flags u8, length u16, text.
fn legacy(block: &[u8], parties: &Parties, tell: &mut Teller<'_>) {
    let mut bytes = Bytes::new(block);
    let (Some(uin), Some(kind)) = (bytes.le32(), bytes.u8()) else {
        return;
    };
    // Only ICQ clients put their own number here.
    if parties.from_client && uin >= FIRST_UIN {
        tell.account(uin.to_string());
        tell.hint(Service::ICQ, ServiceHint::OwnUnits);
    }
    let body = bytes
        .u8()
        .and_then(|_flags| bytes.le16())
        .and_then(|len| bytes.take(usize::from(len)));
    legacy_message(u16::from(kind), body.unwrap_or_default(), parties, tell);
}

/// A message of ICQ's own types, wherever it was found.
pub fn legacy_message(kind: u16, body: &[u8], parties: &Parties, tell: &mut Teller<'_>) {
    let Parties { from_client, peer } = parties;
    let between = |what| Activity::between(what, *from_client, Some(peer.clone()));
    exploit::icq_message(kind, body, tell.out());
    let Some(word) = message_kind(kind) else {
        return;
    };
    match kind {
        // A file offer: its name stands where the text of others does.
        0x03 => {
            let name = body.split(|byte| *byte == 0).next().unwrap_or_default();
            File::new(name, None).tell(between(what::FILE_OFFER), tell.out());
        }
        // Text, URL, pagers, contacts: all readable.
        0x01 | 0x04 | 0x0D | 0x0E | 0x13 => {
            text(tell);
            let length = body.strip_suffix(b"\0").unwrap_or(body).len();
            tell.done(
                between(what::MESSAGE)
                    .with("length", length)
                    .maybe("kind", (kind != 1).then_some(word)),
            );
        }
        _ => tell.done(between(what::INVITATION).with("kind", word)),
    }
}

fn text(tell: &mut Teller<'_>) {
    tell.feature(feature::MESSAGE);
    tell.risk(risk::CLEARTEXT_MESSAGES);
}

/// What is wrong with a unit whose end was seen; of a cut one nobody knows.
fn malformed(snac: &Snac<'_>, wrong: &'static str, tell: &mut Teller<'_>) {
    if snac.whole {
        let (family, subtype) = (snac.header.family, snac.header.subtype);
        tell.malformed(format!("SNAC {family:04x}/{subtype:04x}: {wrong}"));
    }
}
