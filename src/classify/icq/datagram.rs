//! ICQ UDP datagrams, versions 2, 3 and 5: headers, commands, and the shapes of their bodies.
//!
//! Numbers are little-endian, strings are a 16-bit length that counts the final NUL, the text, the NUL. The
//! layouts are those that Open OSCAR Server reads and writes. Version 4 is left out: the sources contradict
//! each other about its scrambling, and no capture could decide.

use super::v5::{self, CLIENT_HEADER, SERVER_HEADER};
use std::net::Ipv4Addr;

/// Command numbers that are told apart here.
#[allow(missing_docs)]
pub mod command {
    pub const ACK: u16 = 0x000A;
    // Client.
    pub const SEND_MESSAGE: u16 = 0x010E;
    pub const LOGIN: u16 = 0x03E8;
    pub const PRE_LOGIN: u16 = 0x03F2;
    pub const CONTACT_LIST: u16 = 0x0406;
    pub const LOGOFF: u16 = 0x0438;
    pub const SET_PASSWORD: u16 = 0x049C;
    pub const SET_STATUS: u16 = 0x04D8;
    pub const USER_ADD: u16 = 0x053C;
    // Server.
    pub const HELLO: u16 = 0x005A;
    pub const WRONG_PASSWORD: u16 = 0x0064;
    pub const USER_ONLINE: u16 = 0x006E;
    pub const USER_OFFLINE: u16 = 0x0078;
    pub const STORED_MESSAGE: u16 = 0x00DC;
    pub const STORED_DONE: u16 = 0x00E6;
    pub const NOT_CONNECTED: u16 = 0x00F0;
    pub const MESSAGE: u16 = 0x0104;
    pub const USER_STATUS: u16 = 0x01A4;
    pub const MULTI: u16 = 0x0212;
    pub const LIST_DONE: u16 = 0x021C;
    pub const META: u16 = 0x03DE;
}

/// How much a datagram proves by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// A header that fits: only for a flow that is known, or expected, to be ICQ.
    Weak,
    /// The whole body has the shape of its command.
    Shaped,
    /// A sign-on, byte for byte; or the self check of version 5.
    Proof,
}

/// A datagram, taken apart.
#[derive(Debug)]
pub struct Datagram {
    /// 2, 3 or 5.
    pub version: u8,
    /// Which side sends such a command.
    pub from_client: bool,
    /// What it is about.
    pub command: u16,
    /// Counts datagrams; an acknowledgement repeats it.
    pub sequence: u16,
    /// Version 5: chosen by the client, repeated by the server.
    pub session: Option<u32>,
    /// The client's account, where the header holds it.
    pub uin: Option<u32>,
    /// Behind the header, in clear.
    pub body: Vec<u8>,
    /// How much it proves.
    pub strength: Strength,
}

/// Reads numbers from the front of a body.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// The next byte.
    pub fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// The next 16 bits.
    pub fn short(&mut self) -> Option<u16> {
        self.take(2)?.first_chunk().copied().map(u16::from_le_bytes)
    }

    /// The next 32 bits.
    pub fn long(&mut self) -> Option<u32> {
        self.take(4)?.first_chunk().copied().map(u32::from_le_bytes)
    }

    /// The next account.
    pub fn uin(&mut self) -> Option<u32> {
        self.long().filter(|uin| is_uin(*uin))
    }

    /// The next address: its bytes are in reading order.
    pub fn address(&mut self) -> Option<Ipv4Addr> {
        self.take(4)?
            .first_chunk::<4>()
            .copied()
            .map(Ipv4Addr::from)
    }

    /// A string of `min..=max` bytes, NUL included.
    pub fn string(&mut self, min: u16, max: u16) -> Option<&'a [u8]> {
        let length = self.short().filter(|length| (min..=max).contains(length))?;
        let (last, text) = self.take(usize::from(length))?.split_last()?;
        (*last == 0 && !text.contains(&0)).then_some(text)
    }

    /// Nothing is left.
    pub fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

/// Accounts were given out from 1000 on and never reached 2^31.
pub const fn is_uin(uin: u32) -> bool {
    uin >= 1000 && uin < 0x8000_0000
}

/// Commands of clients.
const fn from_client(command: u16) -> bool {
    matches!(
        command,
        0x000A
            | 0x010E
            | 0x015E
            | 0x03E8
            | 0x03F2
            | 0x03FC
            | 0x0406
            | 0x041A
            | 0x0424
            | 0x042E
            | 0x0438
            | 0x0442
            | 0x044C
            | 0x0456
            | 0x0460
            | 0x046A
            | 0x049C
            | 0x04C4
            | 0x04CE
            | 0x04D8
            | 0x04EC
            | 0x050A
            | 0x0514
            | 0x051E
            | 0x0528
            | 0x0532
            | 0x053C
            | 0x056E
            | 0x05C8
            | 0x05DC
            | 0x05E6
            | 0x05F0
            | 0x05FA
            | 0x060E
            | 0x0618
            | 0x0622
            | 0x064A
            | 0x06A4
            | 0x06AE
            | 0x06B8
    )
}

/// Message types: text, chat, file, URL, authorisation, contacts and the automatic answers. Bit 15 marks a
/// message to several people.
pub const fn is_message_type(kind: u16) -> bool {
    matches!(kind & 0x7FFF, 1..=4 | 6..=9 | 0x0C..=0x0E | 0x13 | 0x1A | 0xE8..=0xEC)
}

/// A message's type and text, if the rest of the body is a message.
pub fn message<'a>(reader: &mut Reader<'a>) -> Option<(u16, &'a [u8])> {
    let kind = reader.short().filter(|kind| is_message_type(*kind))?;
    let text = reader.string(1, 8192)?;
    reader.end()?;
    Some((kind, text))
}

/// What a server sends: `None`, the body does not fit; else how convincingly it fits.
fn server_shape(version: u8, command: u16, body: &[u8]) -> Option<Strength> {
    let mut reader = Reader(body);
    match command {
        command::MESSAGE => {
            reader.uin()?;
            message(&mut reader)?;
            Some(Strength::Shaped)
        }
        command::STORED_MESSAGE => {
            reader.uin()?;
            let year = reader.short()?;
            let [month, day, hour, minute] = *reader.take(4)?.first_chunk()?;
            ((1996..=2050).contains(&year)
                && (1..=12).contains(&month)
                && (1..=31).contains(&day)
                && hour < 24
                && minute < 60)
                .then_some(())?;
            message(&mut reader)?;
            Some(Strength::Shaped)
        }
        // Version 2 repeats fixed timing values: 1, 1 behind UIN, address and sequence.
        command::HELLO if version == 2 => {
            reader.uin()?;
            reader.take(6)?;
            (body.len() == 32 && reader.take(4)? == [1, 0, 1, 0]).then_some(Strength::Shaped)
        }
        command::HELLO => (body.len() >= 20).then_some(Strength::Weak),
        command::USER_ONLINE => {
            reader.uin()?;
            (body.len() >= 25).then_some(Strength::Weak)
        }
        command::USER_OFFLINE => {
            reader.uin()?;
            reader.end()?;
            Some(Strength::Weak)
        }
        command::USER_STATUS => {
            reader.uin()?;
            (body.len() == 8 || body.len() == 6).then_some(Strength::Weak)
        }
        command::ACK
        | command::WRONG_PASSWORD
        | command::NOT_CONNECTED
        | command::STORED_DONE
        | command::LIST_DONE => body.is_empty().then_some(Strength::Weak),
        // A count, then packets, each behind its length.
        command::MULTI => {
            let count = reader.byte().filter(|count| *count > 0)?;
            let mut packets = 0;
            for _ in 0..count {
                let length = reader.short()?;
                let part = reader.take(usize::from(length))?;
                packets += u8::from(version == 5 && is_answer(part));
            }
            // Packets inside a packet, which nothing else looks like.
            Some(if count > 1 && packets == count {
                Strength::Shaped
            } else {
                Strength::Weak
            })
        }
        _ => None,
    }
}

/// Whether this is the head of something that a server of version 5 says about a user.
fn is_answer(part: &[u8]) -> bool {
    let mut reader = Reader(part);
    reader
        .take(7)
        .is_some_and(|head| head.starts_with(&[5, 0, 0]))
        && part.len() >= SERVER_HEADER
        && matches!(
            reader.short(),
            Some(command::USER_ONLINE | command::USER_OFFLINE | command::MESSAGE | command::META)
        )
}

/// What a client sends in versions 2 and 3.
fn client_shape(command: u16, body: &[u8]) -> Option<Strength> {
    let mut reader = Reader(body);
    match command {
        // Port, password, four bytes, address, 4, then status, version and more: 25 to 27 bytes in all.
        command::LOGIN => {
            reader.long().filter(|port| *port <= 0xFFFF)?;
            password(&mut reader)?;
            let rest = reader.0;
            ((20..=32).contains(&rest.len()) && rest.get(8) == Some(&4)).then_some(Strength::Proof)
        }
        command::SEND_MESSAGE => {
            reader.uin()?;
            message(&mut reader)?;
            Some(Strength::Shaped)
        }
        command::CONTACT_LIST => {
            let count = reader.byte()?;
            (body.len() == 1 + 4 * usize::from(count)).then_some(())?;
            for _ in 0..count {
                reader.uin()?;
            }
            Some(if count >= 3 {
                Strength::Shaped
            } else {
                Strength::Weak
            })
        }
        command::LOGOFF => {
            let text = reader.string(1, 64)?;
            (text == b"B_USER_DISCONNECTED").then_some(Strength::Proof)
        }
        command::ACK => body.is_empty().then_some(Strength::Weak),
        _ => Some(Strength::Weak),
    }
}

/// A password in clear: at most 20 bytes, printable.
fn password<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let text = reader.string(2, 21)?;
    text.iter()
        .all(|byte| !byte.is_ascii_control())
        .then_some(text)
}

/// Takes a datagram apart. `wire_len`: its length on the wire.
pub fn parse(bytes: &[u8], wire_len: usize) -> Option<Datagram> {
    match bytes {
        [2, 0, ..] if bytes.len() == wire_len => parse_v2(bytes),
        [3, 0, ..] if bytes.len() == wire_len => parse_v3(bytes),
        [5, 0, 0, 0, 0, 0, ..] => {
            parse_v5_client(bytes, wire_len).or_else(|| parse_v5_server(bytes, wire_len))
        }
        [5, 0, 0, ..] => parse_v5_server(bytes, wire_len),
        _ => None,
    }
}

fn parse_v2(bytes: &[u8]) -> Option<Datagram> {
    let mut reader = Reader(bytes.get(2..)?);
    let (command, sequence) = (reader.short()?, reader.short()?);
    let (version, session) = (2, None);
    // A client's acknowledgement holds its UIN, a server's is six bytes.
    if from_client(command) && !(command == command::ACK && reader.0.is_empty()) {
        let uin = Some(reader.uin()?);
        let strength = client_shape(command, reader.0)?;
        let body = reader.0.to_vec();
        return Some(Datagram {
            version,
            from_client: true,
            command,
            sequence,
            session,
            uin,
            body,
            strength,
        });
    }
    let strength = server_shape(version, command, reader.0)?;
    let body = reader.0.to_vec();
    Some(Datagram {
        version,
        from_client: false,
        command,
        sequence,
        session,
        uin: None,
        body,
        strength,
    })
}

fn parse_v3(bytes: &[u8]) -> Option<Datagram> {
    let mut reader = Reader(bytes.get(2..)?);
    let (command, sequence) = (reader.short()?, reader.short()?);
    reader.short()?;
    let uin = reader.long()?;
    let (version, session) = (3, None);
    let behind = reader.0;
    // Sources disagree whether four bytes of check code follow; the body that fits decides.
    let checked = behind.get(4..);
    let from_server = checked.and_then(|body| Some((body, server_shape(version, command, body)?)));
    if let Some((body, strength)) =
        from_server.filter(|_| !from_client(command) || command == command::ACK)
    {
        // Servers leave the UIN out of what they tell about others.
        let uin = is_uin(uin).then_some(uin);
        (uin.is_some() || strength > Strength::Weak).then_some(())?;
        let body = body.to_vec();
        return Some(Datagram {
            version,
            from_client: false,
            command,
            sequence,
            session,
            uin,
            body,
            strength,
        });
    }
    (from_client(command) && is_uin(uin)).then_some(())?;
    let (body, strength) = if command == command::LOGIN {
        // A time stamp, or the check code, then port and password; what follows is not known to the byte.
        let fits = |body: &[u8]| {
            let mut reader = Reader(body.get(4..)?);
            reader.long().filter(|port| *port <= 0xFFFF)?;
            password(&mut reader)?;
            (8..=64).contains(&reader.0.len()).then_some(())
        };
        let body = [Some(behind), checked]
            .into_iter()
            .flatten()
            .find(|body| fits(body).is_some())?;
        (body.get(4..)?, Strength::Shaped)
    } else {
        [checked, Some(behind)]
            .into_iter()
            .flatten()
            .filter_map(|body| Some((body, client_shape(command, body)?)))
            .max_by_key(|(_, strength)| *strength)?
    };
    let body = body.to_vec();
    Some(Datagram {
        version,
        from_client: true,
        command,
        sequence,
        session,
        uin: Some(uin),
        body,
        strength,
    })
}

fn parse_v5_client(bytes: &[u8], wire_len: usize) -> Option<Datagram> {
    let packet = v5::decode(bytes, wire_len)?;
    let mut reader = Reader(packet.get(6..)?);
    let uin = reader.uin()?;
    let session = reader.long()?;
    let command = reader.short().filter(|command| from_client(*command))?;
    let sequence = reader.short()?;
    Some(Datagram {
        version: 5,
        from_client: true,
        command,
        sequence,
        session: Some(session),
        uin: Some(uin),
        body: packet.get(CLIENT_HEADER..)?.to_vec(),
        strength: Strength::Proof,
    })
}

fn parse_v5_server(bytes: &[u8], wire_len: usize) -> Option<Datagram> {
    let mut reader = Reader(bytes.get(3..)?);
    let session = reader.long()?;
    let (command, sequence) = (reader.short()?, reader.short()?);
    reader.short()?;
    // What carries others' packets may be for nobody.
    let uin = reader.long().filter(|uin| *uin == 0 || is_uin(*uin))?;
    let uin = (uin != 0).then_some(uin);
    (uin.is_some() || command == command::MULTI).then_some(())?;
    reader.long()?;
    (bytes.len() == wire_len).then_some(())?;
    let body = bytes.get(SERVER_HEADER..)?.to_vec();
    let shape = server_shape(5, command, &body)?;
    // Such a body is no proof on its own: the header is mostly zeros and small numbers. With the check code
    // that some servers compute, it is a signature.
    let many = command == command::MULTI && shape == Strength::Shaped;
    let strength = if many || v5::server_check(bytes, wire_len) {
        Strength::Shaped
    } else {
        Strength::Weak
    };
    Some(Datagram {
        version: 5,
        from_client: false,
        command,
        sequence,
        session: Some(session),
        uin,
        body,
        strength,
    })
}
