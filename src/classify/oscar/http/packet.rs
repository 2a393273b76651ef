//! The packets in the bodies: length u16 (of what follows it), version u16 0x0443, type u16, u32 and u32, data.
//!
//! The first u32 is zero, the second numbers the inner connection. The answer to `/hello` has no such number but two
//! more zero bytes, and its data begins there.

use crate::classify::oscar::bytes::Bytes;

const VERSION: u16 = 0x0443;
/// Length and everything up to the number of the connection.
const SHORT_HEADER: usize = 12;
/// A whole header.
pub const HEADER: usize = 14;

/// What a packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The server: the session's id and its host.
    Hello,
    /// The client: connect to this host and port.
    Login,
    /// The server: done.
    LoginReply,
    /// A piece of a FLAP stream.
    Flap,
    /// The client: this connection is over.
    Close,
    /// The server: so it is.
    CloseReply,
}

impl Kind {
    /// Whether only the client sends it, or only the server.
    pub const fn sender_is_client(self) -> Option<bool> {
        match self {
            Self::Login | Self::Close => Some(true),
            Self::Hello | Self::LoginReply | Self::CloseReply => Some(false),
            Self::Flap => None,
        }
    }
}

/// A packet's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What for.
    pub kind: Kind,
    /// Length of the whole packet.
    pub len: usize,
    /// Which inner connection.
    pub connection: u32,
    /// The bytes that nobody has seen used are zero.
    pub zeros: bool,
}

impl Header {
    /// Reads the header in front of `bytes`; `None` for anything else, and for less than a header.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Bytes::new(bytes);
        let len = usize::from(cursor.be16()?).saturating_add(2);
        let (version, kind) = (cursor.be16()?, cursor.be16()?);
        let kind = match kind {
            2 => Kind::Hello,
            3 => Kind::Login,
            4 => Kind::LoginReply,
            5 => Kind::Flap,
            6 => Kind::Close,
            7 => Kind::CloseReply,
            _ => return None,
        };
        let zeros = [cursor.be16()?, cursor.be16()?] == [0, 0];
        let high = cursor.be16()?;
        let low = cursor.be16()?;
        (version == VERSION && len >= HEADER).then_some(Self {
            kind,
            len,
            connection: u32::from(high) << 16 | u32::from(low),
            zeros,
        })
    }

    /// Whether the packet's length fits what its kind holds.
    fn fits(&self) -> bool {
        let data = self.len.saturating_sub(HEADER);
        match self.kind {
            // Id (two bytes of it in the header's place), length of the host name, one letter.
            Kind::Hello => data > 14 + 2,
            // A host name, its length and the port.
            Kind::Login => (5..=4 + 255).contains(&data),
            Kind::LoginReply | Kind::CloseReply => data <= 4,
            Kind::Flap => data > 0,
            Kind::Close => data == 0,
        }
    }
}

/// Whether a body is made of packets. `body` may be its beginning only.
pub fn is_body(body: &[u8], from_client: bool) -> Option<Header> {
    let first = Header::read(body)?;
    let mut rest = body;
    while !rest.is_empty() {
        if rest.len() < HEADER {
            // The beginning of a body ends anywhere, but with what a packet may begin with.
            break;
        }
        let header = Header::read(rest)?;
        let sender = header.kind.sender_is_client();
        if !header.zeros || !header.fits() || sender.is_some_and(|sender| sender != from_client) {
            return None;
        }
        let packet = rest.get(..header.len).unwrap_or(rest);
        let right = match header.kind {
            Kind::Hello if packet.len() == header.len => hello(packet).is_some(),
            Kind::Login if packet.len() == header.len => login(packet).is_some(),
            _ => true,
        };
        if !right {
            return None;
        }
        rest = rest.get(header.len..).unwrap_or_default();
    }
    Some(first)
}

/// What `/hello` is answered with.
#[derive(Debug, PartialEq, Eq)]
pub struct Hello<'a> {
    /// The session's id.
    pub id: &'a [u8],
    /// Where its requests go.
    pub host: &'a str,
}

/// Reads a whole [`Kind::Hello`].
pub fn hello(packet: &[u8]) -> Option<Hello<'_>> {
    let data = packet.get(SHORT_HEADER..)?;
    let (id, rest) = data.split_at_checked(16)?;
    // Behind it comes a port, which some clients do not read.
    let (host, _) = text(rest)?;
    Some(Hello { id, host })
}

/// Reads a whole [`Kind::Login`]: where the server shall connect to.
pub fn login(packet: &[u8]) -> Option<(&str, u16)> {
    let (host, rest) = text(packet.get(HEADER..)?)?;
    Some((host, Bytes::new(rest).be16()?))
}

/// Length u16 and a host name.
fn text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let len = Bytes::new(bytes).be16()?;
    let (name, rest) = bytes.get(2..)?.split_at_checked(usize::from(len))?;
    let is_host = !name.is_empty()
        && name.len() <= 253
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    Some((std::str::from_utf8(name).ok().filter(|_| is_host)?, rest))
}

/// Cuts one body after the other into packets. Holds at most one packet.
#[derive(Debug, Default)]
pub struct Packets {
    held: Vec<u8>,
    /// Nothing more of this body can be read.
    lost: bool,
}

impl Packets {
    /// A body begins.
    pub fn begin(&mut self) {
        self.held.clear();
        self.lost = false;
    }

    /// Bytes held on the heap.
    pub const fn memory(&self) -> usize {
        self.held.capacity()
    }

    /// The rest of this body is of no use.
    pub fn lose(&mut self) {
        self.held = Vec::new();
        self.lost = true;
    }

    /// Takes the next bytes of the body and hands on each packet that is now whole.
    pub fn feed(&mut self, bytes: &[u8], mut on_packet: impl FnMut(Header, &[u8])) {
        if self.lost {
            return;
        }
        self.held.extend_from_slice(bytes);
        let held = std::mem::take(&mut self.held);
        let mut rest = held.as_slice();
        while rest.len() >= HEADER {
            let Some(header) = Header::read(rest) else {
                self.lost = true;
                return;
            };
            let Some((packet, next)) = rest.split_at_checked(header.len) else {
                break;
            };
            on_packet(header, packet);
            rest = next;
        }
        if rest.len() == held.len() {
            self.held = held;
        } else {
            self.held = rest.to_vec();
        }
    }
}
