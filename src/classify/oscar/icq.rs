//! SNAC family 0015: what ICQ needs beyond AIM, as a little-endian block in TLV 01.

use super::bytes::Bytes;
use super::icbm::FIRST_UIN;
use super::snac::Snac;
use super::tell::Teller;
use super::tlv;
use crate::model::{Service, ServiceHint, feature, risk};

/// Tells what a SNAC of this family says.
pub fn unit(snac: &Snac<'_>, tell: &mut Teller<'_>) {
    if !matches!(snac.header.subtype, 0x02 | 0x03) {
        return;
    }
    if let Some(block) = tlv::find(snac.body, 1) {
        // A malformed block ends the reading, nothing else.
        let _ = block_facts(block, tell);
    }
}

/// Size u16, own UIN u32, type u16, sequence u16, then by type.
fn block_facts(block: &[u8], tell: &mut Teller<'_>) -> Option<()> {
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
            let peer = bytes.le32()?;
            if peer >= FIRST_UIN {
                tell.peer(peer.to_string());
            }
            tell.feature(feature::MESSAGE);
            tell.risk(risk::CLEARTEXT_MESSAGES);
        }
        // A change of password carries the new one as it is.
        0x07D0 if bytes.le16()? == 0x042E => tell.risk(risk::REVERSIBLE_PASSWORD),
        _ => {}
    }
    Some(())
}
