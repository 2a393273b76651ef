//! SNAC, the unit inside FLAP channel 2: family u16, subtype u16, flags u16, request id u32, body.
//!
//! The table of families and of who may send what follows the constants of Open OSCAR Server, libpurple
//! and joscar, which agree where they overlap.

use super::bytes::Bytes;
use super::names;
use super::tlv;

/// Bytes before the body.
pub const HEADER: usize = 10;

/// The body begins with a length and the version of the family.
const FLAG_VERSION_BLOCK: u16 = 0x8000;
/// The only flags in use: the above, and "more follows".
const FLAGS: u16 = FLAG_VERSION_BLOCK | 0x0001;

/// Families that name a connection's part.
pub mod family {
    pub const GENERIC: u16 = 0x0001;
    pub const LOCATE: u16 = 0x0002;
    pub const BUDDY: u16 = 0x0003;
    pub const ICBM: u16 = 0x0004;
    pub const ADMIN: u16 = 0x0007;
    pub const PRIVACY: u16 = 0x0009;
    pub const CHAT_NAV: u16 = 0x000D;
    pub const CHAT: u16 = 0x000E;
    pub const DIRECTORY: u16 = 0x000F;
    pub const ICONS: u16 = 0x0010;
    pub const FEEDBAG: u16 = 0x0013;
    pub const ICQ: u16 = 0x0015;
    pub const SIGN_ON: u16 = 0x0017;
    pub const KERBEROS: u16 = 0x050C;
}

/// What a family may contain.
struct Family {
    id: u16,
    /// The highest subtype in use.
    last: u16,
    /// Subtypes that only a client sends, and that only a server sends, as bit sets. 0001 is an error
    /// report in every family.
    client: u64,
    server: u64,
}

const fn bits(subtypes: &[u16]) -> u64 {
    let mut set = 0;
    let mut i = 0;
    while i < subtypes.len() {
        set |= 1 << subtypes[i];
        i += 1;
    }
    set
}

const fn family(id: u16, last: u16, client: &[u16], server: &[u16]) -> Family {
    Family {
        id,
        last,
        client: bits(client),
        server: bits(server) | bits(&[1]),
    }
}

const FAMILIES: &[Family] = &[
    family(
        0x0001,
        0x26,
        &[
            0x02, 0x04, 0x06, 0x08, 0x09, 0x0C, 0x0E, 0x11, 0x14, 0x16, 0x17, 0x1E, 0x20,
        ],
        &[
            0x03, 0x05, 0x07, 0x0A, 0x0B, 0x0D, 0x0F, 0x10, 0x12, 0x13, 0x15, 0x18, 0x1F, 0x21,
        ],
    ),
    family(
        0x0002,
        0x17,
        &[0x02, 0x04, 0x05, 0x07, 0x09, 0x0B, 0x0F, 0x15],
        &[0x03, 0x06, 0x08, 0x0A, 0x0C, 0x10],
    ),
    family(
        0x0003,
        0x10,
        &[0x02, 0x04, 0x05, 0x06],
        &[0x03, 0x0A, 0x0B, 0x0C],
    ),
    family(
        0x0004,
        0x17,
        &[0x02, 0x03, 0x04, 0x06, 0x08, 0x10],
        &[0x05, 0x07, 0x09, 0x0A, 0x0C, 0x17],
    ),
    family(0x0005, 0x04, &[0x02], &[0x03]),
    family(0x0006, 0x03, &[0x02], &[0x03]),
    family(
        0x0007,
        0x09,
        &[0x02, 0x04, 0x06, 0x08],
        &[0x03, 0x05, 0x07, 0x09],
    ),
    family(0x0008, 0x02, &[], &[0x02]),
    family(
        0x0009,
        0x0C,
        &[0x02, 0x04, 0x05, 0x06, 0x07, 0x08, 0x0A, 0x0B],
        &[0x03, 0x09],
    ),
    family(0x000A, 0x03, &[0x02], &[0x03]),
    family(0x000B, 0x04, &[0x03], &[0x02, 0x04]),
    family(0x000C, 0x03, &[0x02], &[0x03]),
    family(
        0x000D,
        0x09,
        &[0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08],
        &[0x09],
    ),
    family(0x000E, 0x0B, &[0x05, 0x07], &[0x02, 0x03, 0x04, 0x06, 0x08]),
    family(0x000F, 0x05, &[0x02, 0x04], &[0x03, 0x05]),
    family(0x0010, 0x08, &[0x02, 0x04, 0x06], &[0x03, 0x05, 0x07]),
    // Feedbag changes (08, 09, 0A, 11, 12) also come from the server, from the user's other sessions.
    family(
        0x0013,
        0x2F,
        &[0x02, 0x04, 0x05, 0x07, 0x14, 0x18, 0x1A],
        &[0x03, 0x06, 0x0E, 0x0F, 0x15, 0x19, 0x1B, 0x1C],
    ),
    family(0x0015, 0x03, &[0x02], &[0x03]),
    family(
        0x0017,
        0x0D,
        &[0x02, 0x04, 0x06, 0x0B],
        &[0x03, 0x05, 0x07, 0x0A],
    ),
    family(0x0018, 0x20, &[0x06, 0x16], &[0x07]),
    family(0x0022, 0x20, &[], &[]),
    family(0x0024, 0x20, &[], &[]),
    family(0x0025, 0x20, &[0x02, 0x04], &[0x03]),
    family(0x0085, 0x10, &[], &[]),
    family(0x050C, 0x04, &[0x02], &[0x03]),
];

fn lookup(id: u16) -> Option<&'static Family> {
    FAMILIES.iter().find(|family| family.id == id)
}

/// A SNAC's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What part of the service it belongs to.
    pub family: u16,
    /// What it is, within the family.
    pub subtype: u16,
    flags: u16,
}

/// How bytes read as a SNAC header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// A known family, subtype and flags.
    Known(Header),
    /// The header goes on behind these bytes, and nothing is wrong so far.
    Short,
    /// Not a SNAC.
    Wrong,
}

impl Header {
    /// Reads the header at the start of a payload and holds it against the table.
    pub fn read(payload: &[u8]) -> Reading {
        let mut bytes = Bytes::new(payload);
        let Some(family_id) = bytes.be16() else {
            return Reading::Short;
        };
        let Some(family) = lookup(family_id) else {
            return Reading::Wrong;
        };
        let Some(subtype) = bytes.be16() else {
            return Reading::Short;
        };
        if subtype == 0 || subtype > family.last {
            return Reading::Wrong;
        }
        let Some(flags) = bytes.be16() else {
            return Reading::Short;
        };
        if flags & !FLAGS != 0 {
            return Reading::Wrong;
        }
        match bytes.be32() {
            Some(_) => Reading::Known(Self {
                family: family_id,
                subtype,
                flags,
            }),
            None => Reading::Short,
        }
    }

    /// `Some(true)` if only a client sends this, `Some(false)` if only a server does.
    pub fn sender_is_client(self) -> Option<bool> {
        let family = lookup(self.family)?;
        let bit = 1_u64.checked_shl(u32::from(self.subtype))?;
        if family.client & bit != 0 {
            Some(true)
        } else if family.server & bit != 0 {
            Some(false)
        } else {
            None
        }
    }
}

/// A SNAC with its body.
#[derive(Clone, Copy, Debug)]
pub struct Snac<'a> {
    /// Which one.
    pub header: Header,
    /// The documented body, behind the version block if there is one.
    pub body: &'a [u8],
    /// The body is all there: the frame was neither cut nor longer than what is kept.
    pub whole: bool,
}

impl<'a> Snac<'a> {
    /// The SNAC that the payload of a frame holds, if it is of a known family. Less strict than
    /// [`Header::read`]: here the frame is known to be one.
    pub fn read(payload: &'a [u8]) -> Option<Self> {
        let mut bytes = Bytes::new(payload);
        let header = Header {
            family: bytes.be16()?,
            subtype: bytes.be16()?,
            flags: bytes.be16()?,
        };
        bytes.be32()?;
        lookup(header.family)?;
        if header.flags & FLAG_VERSION_BLOCK != 0 {
            let len = bytes.be16()?;
            bytes.take(usize::from(len))?;
        }
        Some(Self {
            header,
            body: bytes.rest(),
            whole: true,
        })
    }

    /// Whether the body, which must be whole, is of a shape that proves the SNAC without a second frame.
    /// Only the units that a short capture is most likely to hold are known here.
    pub fn proves_itself(&self) -> bool {
        let body = self.body;
        match (self.header.family, self.header.subtype) {
            (family::SIGN_ON, 0x02 | 0x06) => {
                tlv::tiles(body) && tlv::find(body, 1).is_some_and(is_name)
            }
            (family::SIGN_ON, 0x03) => {
                tlv::tiles(body)
                    && tlv::find(body, 1).is_some_and(is_name)
                    && (tlv::has(body, 5) || tlv::has(body, 8))
            }
            (family::ICBM, 0x06) => icbm_tlvs(body, false).is_some(),
            (family::ICBM, 0x07) => icbm_tlvs(body, true).is_some(),
            _ => false,
        }
    }
}

fn is_name(bytes: &[u8]) -> bool {
    names::account(bytes).is_some()
}

/// The message TLVs of an ICBM when everything about it is in order.
fn icbm_tlvs(body: &[u8], from_server: bool) -> Option<&[u8]> {
    let mut bytes = Bytes::new(body);
    bytes.take(8)?;
    let channel = bytes.be16()?;
    let name = bytes.short_text()?;
    let mut tlvs = bytes.rest();
    if from_server {
        bytes.be16()?;
        let count = bytes.be16()?;
        tlvs = tlv::split_counted(bytes.rest(), count)?.1;
    }
    let sound = (1..=5).contains(&channel)
        && is_name(name)
        && tlv::tiles(tlvs)
        && (tlv::has(tlvs, 2) || tlv::has(tlvs, 5));
    sound.then_some(tlvs)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Header, Reading, Snac};

    #[test]
    fn families_subtypes_and_flags_are_checked() {
        let known = |bytes: &[u8]| matches!(Header::read(bytes), Reading::Known(_));
        assert!(known(&[0, 4, 0, 6, 0, 0, 0, 0, 0, 1]));
        assert!(known(&[0, 1, 0, 0x0A, 0x80, 0, 0, 0, 0, 1]));
        assert!(!known(&[0, 4, 0, 0x18, 0, 0, 0, 0, 0, 1]));
        assert!(!known(&[0, 4, 0, 0, 0, 0, 0, 0, 0, 1]));
        assert!(!known(&[0, 0x11, 0, 2, 0, 0, 0, 0, 0, 1]));
        assert!(!known(&[0, 4, 0, 6, 0x40, 0, 0, 0, 0, 1]));
    }

    #[test]
    fn a_beginning_is_short_or_wrong_never_known() {
        assert_eq!(Header::read(&[]), Reading::Short);
        assert_eq!(Header::read(&[0, 4, 0, 6, 0, 0, 0, 0, 0]), Reading::Short);
        assert_eq!(Header::read(b"to"), Reading::Wrong);
    }

    #[test]
    fn the_version_block_is_stepped_over() {
        let snac = Snac::read(&[
            0, 1, 0, 0x0F, 0x80, 0, 0, 0, 0, 1, 0, 4, 9, 9, 9, 9, 3, b'b', b'o', b'b',
        ])
        .unwrap();
        assert_eq!(snac.body, b"\x03bob");
        // A block longer than the SNAC leaves nothing that could be read as the body.
        assert!(
            Snac::read(&[
                0, 1, 0, 0x0F, 0x80, 0, 0, 0, 0, 1, 0xFF, 0xFF, 3, b'b', b'o', b'b'
            ])
            .is_none()
        );
    }

    #[test]
    fn the_sender_shows_in_the_subtype() {
        let sender = |family: u8, subtype: u8| {
            Snac::read(&[0, family, 0, subtype, 0, 0, 0, 0, 0, 1])
                .unwrap()
                .header
                .sender_is_client()
        };
        assert_eq!(sender(0x17, 6), Some(true));
        assert_eq!(sender(0x17, 7), Some(false));
        assert_eq!(sender(4, 6), Some(true));
        assert_eq!(sender(4, 7), Some(false));
        assert_eq!(sender(4, 0x14), None, "typing notices go both ways");
        assert_eq!(sender(4, 1), Some(false), "errors come from the server");
    }
}
