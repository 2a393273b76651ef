//! SNAC family 0004: messages between users.

use super::bytes::Bytes;
use super::snac::Snac;
use super::tell::Teller;
use super::{names, rendezvous, tlv};
use crate::model::{Service, ServiceHint, feature, risk};

/// The lowest number ICQ ever gave to a user.
pub const FIRST_UIN: u32 = 10_000;

/// Tells what a SNAC of this family says.
pub fn unit(snac: &Snac<'_>, tell: &mut Teller<'_>) {
    match snac.header.subtype {
        0x06 => message(snac.body, false, tell),
        0x07 => message(snac.body, true, tell),
        // Automatic answer, acknowledgement, typing: cookie, channel, name of the other.
        0x0B | 0x0C | 0x14 => {
            let mut bytes = Bytes::new(snac.body);
            if bytes.take(8).and_then(|_| bytes.be16()).is_some()
                && let Some(peer) = bytes.short_text().and_then(names::account)
            {
                tell.peer(peer);
            }
        }
        _ => {}
    }
}

/// Cookie 8, channel u16, name of the other; from the server then his user info; then TLVs.
fn message(body: &[u8], from_server: bool, tell: &mut Teller<'_>) {
    let mut bytes = Bytes::new(body);
    let Some(channel) = bytes.take(8).and_then(|_| bytes.be16()) else {
        return;
    };
    let Some(peer) = bytes.short_text().and_then(names::account) else {
        return;
    };
    let tlvs = if from_server {
        let count = bytes.be16().and_then(|_warning| bytes.be16());
        count
            .and_then(|count| tlv::split_counted(bytes.rest(), count))
            .map_or(&[][..], |(_, tlvs)| tlvs)
    } else {
        bytes.rest()
    };
    tell.peer(peer.clone());
    match channel {
        1 if tlv::has(tlvs, 2) => text(tell),
        2 => {
            if let Some(block) = tlv::find(tlvs, 5) {
                // The proposer listens, so the other one connects.
                let opener = (!from_server).then_some(peer.as_str());
                rendezvous::block(block, opener, tell);
            }
        }
        4 => {
            if let Some(block) = tlv::find(tlvs, 5) {
                legacy(block, from_server, tell);
            }
        }
        _ => {}
    }
}

/// Channel 4, little-endian as ICQ wrote before it moved to OSCAR: sender's UIN u32, type u8, flags u8, text.
fn legacy(block: &[u8], from_server: bool, tell: &mut Teller<'_>) {
    let mut bytes = Bytes::new(block);
    let (Some(uin), Some(kind)) = (bytes.le32(), bytes.u8()) else {
        return;
    };
    // Only ICQ clients put their own number here.
    if !from_server && uin >= FIRST_UIN {
        tell.account(uin.to_string());
        tell.hint(Service::ICQ, ServiceHint::OwnUnits);
    }
    match kind {
        // Text, URL, pagers, contacts: all readable.
        0x01 | 0x04 | 0x0D | 0x0E | 0x13 => text(tell),
        0x03 => {
            tell.feature(feature::FILE_TRANSFER);
            tell.risk(risk::FILE_TRANSFER);
        }
        _ => {}
    }
}

fn text(tell: &mut Teller<'_>) {
    tell.feature(feature::MESSAGE);
    tell.risk(risk::CLEARTEXT_MESSAGES);
}
