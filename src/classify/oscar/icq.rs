//! SNAC family 0015: what ICQ needs beyond AIM, as a little-endian block in TLV 01.

use super::bytes::Bytes;
use super::icbm::{self, FIRST_UIN};
use super::rendezvous::Parties;
use super::snac::Snac;
use super::tell::Teller;
use super::tlv;
use crate::model::{Activity, Party, Service, ServiceHint, feature, risk, what};

/// Tells what a SNAC of this family says.
pub fn unit(snac: &Snac<'_>, from_client: bool, tell: &mut Teller<'_>) {
    if !matches!(snac.header.subtype, 0x02 | 0x03) {
        return;
    }
    if let Some(block) = tlv::find(snac.body, 1) {
        // A malformed block ends the reading, nothing else.
        let _ = block_facts(block, from_client, tell);
    }
}

/// Size u16, own UIN u32, type u16, sequence u16, then by type.
fn block_facts(block: &[u8], from_client: bool, tell: &mut Teller<'_>) -> Option<()> {
    let mut bytes = Bytes::new(block);
    bytes.le16()?;
    let own = bytes.le32()?;
    // AIM clients fill in 0 when they ask about an ICQ user.
    if own >= FIRST_UIN {
        tell.account(own.to_string());
        tell.hint(Service::ICQ, ServiceHint::OwnUnits);
    }
    let kind = bytes.le16()?;
    bytes.le16()?;
    match kind {
        // A message stored while the user was away, from this UIN.
        0x0041 => {
            let peer = bytes.le32()?.to_string();
            if peer.len() > 4 {
                tell.peer(peer.clone());
            }
            // Year u16, month, day, hour, minute, then type u8, flags u8, length u16, text.
            bytes.take(6)?;
            let kind = bytes.u8()?;
            bytes.u8()?;
            let len = bytes.le16()?;
            let body = bytes.take(usize::from(len)).unwrap_or(bytes.rest());
            let parties = Parties {
                from_client: false,
                peer,
            };
            icbm::legacy_message(u16::from(kind), body, &parties, tell);
        }
        0x003C if from_client => tell.done(query("offline-messages")),
        // A change of password carries the new one as it is.
        0x07D0 => match bytes.le16()? {
            0x042E => {
                tell.risk(risk::CLEARTEXT_PASSWORD);
                tell.done(Activity::new(what::PASSWORD_CHANGE).by(Party::Own));
            }
            0x1482 => {
                tell.feature(feature::MESSAGE);
                tell.risk(risk::CLEARTEXT_MESSAGES);
                // XML, which begins with the number it goes to.
                tell.done(
                    Activity::new(what::SMS)
                        .by(Party::Own)
                        .maybe("number", number_of(bytes.rest())),
                );
            }
            0x04B2 | 0x04BA | 0x04D0 => {
                let whom = bytes.le32().filter(|uin| *uin >= FIRST_UIN);
                tell.done(query("user-info").maybe_to(whom.map(|uin| uin.to_string())));
            }
            0x0515 | 0x055F | 0x0569 | 0x0573 => tell.done(query("search")),
            0x0C3A => tell.done(query("save-own-info")),
            _ => {}
        },
        _ => {}
    }
    Some(())
}

/// The telephone number that a text message goes to.
fn number_of(block: &[u8]) -> Option<String> {
    const OPEN: &[u8] = b"<destination>";
    // Two numbers and sixteen zeros, a length, then XML.
    let at = memchr::memmem::find(block.get(..256).unwrap_or(block), OPEN)?;
    let digits: Vec<u8> = block
        .get(at + OPEN.len()..)?
        .iter()
        .copied()
        .take_while(|byte| byte.is_ascii_digit() || *byte == b'+')
        .take(16)
        .collect();
    String::from_utf8(digits).ok().filter(|text| text.len() > 3)
}

/// The user asks the server for something.
fn query(kind: &'static str) -> Activity {
    Activity::new(what::QUERY).by(Party::Own).with("kind", kind)
}
