//! The YMSG header, and the numbers in it.

/// The four bytes every packet begins with.
pub const MAGIC: &[u8; 4] = b"YMSG";
/// Length of the header.
pub const HEADER: usize = 20;
/// Stands behind each key and each value. Never valid UTF-8, which is why it was chosen.
pub const SEPARATOR: [u8; 2] = [0xC0, 0x80];

/// Numbers of the services that are told apart here.
#[allow(missing_docs)]
pub mod service {
    pub const MESSAGE: u16 = 0x06;
    pub const MASS_MESSAGE: u16 = 0x17;
    pub const CONFERENCE_MESSAGE: u16 = 0x1D;
    pub const OLD_CHAT_MESSAGE: u16 = 0x20;
    pub const LOGON: u16 = 0x01;
    pub const FILE_TRANSFER: u16 = 0x46;
    pub const VOICE_CHAT: u16 = 0x4A;
    pub const NOTIFY: u16 = 0x4B;
    pub const VERIFY: u16 = 0x4C;
    pub const P2P_FILE_TRANSFER: u16 = 0x4D;
    pub const PEER_TO_PEER: u16 = 0x4F;
    pub const WEBCAM: u16 = 0x50;
    pub const AUTH_RESPONSE: u16 = 0x54;
    pub const LIST: u16 = 0x55;
    pub const AUTH: u16 = 0x57;
    pub const KEEP_ALIVE: u16 = 0x8A;
    pub const CHAT_MESSAGE: u16 = 0xA8;
    pub const PHOTO_SHARE: u16 = 0xD2;
    pub const FILE_OFFER_15: u16 = 0xDC;
    pub const FILE_INFO_15: u16 = 0xDD;
    pub const FILE_ACCEPT_15: u16 = 0xDE;
    pub const LIST_15: u16 = 0xF1;
    pub const WEB_LOGIN: u16 = 0x0226;
    pub const DISCONNECT: u16 = 0x07D1;
}

/// Who writes a version number like this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// A client: 8 to 10 in little-endian order, 11 and later in big-endian order, 0x65 the web messenger.
    Client(u16),
    /// A server: it fills the field with 0 or 0x8000.
    Server,
    /// Nobody known. Servers are free to write anything, so this alone refutes nothing.
    Unknown,
}

/// A packet's header. All numbers are big-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The version, see [`Version`].
    pub version: Version,
    /// Length of the body.
    pub length: u16,
    /// What the packet is about.
    pub service: u16,
    /// 1 is a server's answer; otherwise presence, or an error.
    pub status: u32,
    /// Chosen by the server; 0 before that. Only ever compared.
    pub session: [u8; 4],
}

impl Header {
    /// Reads a header; `None` without the magic or with fewer than [`HEADER`] bytes.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let &[
            b'Y',
            b'M',
            b'S',
            b'G',
            v0,
            v1,
            _,
            _,
            l0,
            l1,
            s0,
            s1,
            t0,
            t1,
            t2,
            t3,
            session @ ..,
        ] = bytes.first_chunk::<HEADER>()?
        else {
            return None;
        };
        Some(Self {
            version: version([v0, v1]),
            length: u16::from_be_bytes([l0, l1]),
            service: u16::from_be_bytes([s0, s1]),
            status: u32::from_be_bytes([t0, t1, t2, t3]),
            session,
        })
    }

    /// Magic, a service that exists and a version that somebody writes: enough to find the way again in a
    /// stream that was already recognised.
    pub fn is_plausible(&self) -> bool {
        known(self.service) && self.version != Version::Unknown
    }

    /// Length of the whole packet.
    pub fn packet_len(&self) -> usize {
        HEADER + usize::from(self.length)
    }

    /// Whether only the client (`Some(true)`) or only the server can have sent a packet with this header
    /// in a session.
    pub fn sender_is_client(&self) -> Option<bool> {
        match (self.version, self.service, self.status) {
            (Version::Server, ..)
            | (_, service::AUTH | service::VERIFY, 1)
            | (_, service::LIST | service::LIST_15 | service::DISCONNECT, _) => Some(false),
            (Version::Client(_), service::AUTH | service::VERIFY | service::WEB_LOGIN, _) => {
                Some(true)
            }
            _ => None,
        }
    }
}

fn version(bytes: [u8; 2]) -> Version {
    match bytes {
        [0 | 0x80, 0] => Version::Server,
        [0, number @ (8..=0x1F | 0x65)] | [number @ (8..=0x13 | 0x65), 0] => {
            Version::Client(u16::from(number))
        }
        _ => Version::Unknown,
    }
}

/// Whether the service number is one that clients and servers use.
pub const fn known(service: u16) -> bool {
    matches!(
        service,
        0x01..=0x20
            | 0x28..=0x2A
            | 0x46
            | 0x4A..=0x4D
            | 0x4F..=0x50
            | 0x54..=0x55
            | 0x57
            | 0x6D
            | 0x83..=0x86
            | 0x89..=0x8A
            | 0x96..=0x99
            | 0x9B
            | 0x9D
            | 0xA0..=0xA1
            | 0xA8
            | 0xB7
            | 0xB9..=0xBA
            | 0xBC..=0xC8
            | 0xD0
            | 0xD2..=0xD6
            | 0xDC..=0xDE
            | 0xE1
            | 0xE7
            | 0xEF..=0xF1
            | 0xFB
            | 0x0226
            | 0x02EA
            | 0x07D1
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn header(version: [u8; 2], service: u16, status: u32) -> Header {
        let mut bytes = b"YMSG".to_vec();
        bytes.extend(version);
        bytes.extend([0, 0, 0, 12]);
        bytes.extend(service.to_be_bytes());
        bytes.extend(status.to_be_bytes());
        bytes.extend([0; 4]);
        Header::parse(&bytes).unwrap()
    }

    #[test]
    fn versions_come_in_both_byte_orders() {
        assert_eq!(header([9, 0], 0x57, 0).version, Version::Client(9));
        assert_eq!(header([0, 16], 0x57, 0).version, Version::Client(16));
        assert_eq!(header([0, 0x65], 0x0226, 0).version, Version::Client(0x65));
        assert_eq!(header([0, 0], 0x57, 1).version, Version::Server);
        assert_eq!(header([0x80, 0], 0x55, 0).version, Version::Server);
        assert_eq!(header([0x20, 0x72], 0x57, 0).version, Version::Unknown);
    }

    #[test]
    fn sides_follow_from_service_and_status() {
        assert_eq!(header([0, 12], 0x57, 0).sender_is_client(), Some(true));
        assert_eq!(header([0, 12], 0x57, 1).sender_is_client(), Some(false));
        assert_eq!(header([0x80, 0], 0x06, 0).sender_is_client(), Some(false));
        // A peer's or a client's message looks the same in the header.
        assert_eq!(header([0, 16], 0x06, 0).sender_is_client(), None);
    }

    #[test]
    fn text_and_short_input_are_no_header() {
        assert_eq!(Header::parse(b"YMSG"), None);
        assert_eq!(
            Header::parse(b"YMSH\0\x10\0\0\0\0\0\x4c\0\0\0\0\0\0\0\0"),
            None
        );
        assert!(
            !Header::parse(b"YMSG rocks, said Bob.")
                .unwrap()
                .is_plausible()
        );
    }
}
