//! OSCAR, the protocol of AIM and ICQ: FLAP frames, SNACs, TLVs and messages.

use super::bytes::{be16, be32, join, noise};
use super::talk::{Side, Talk};
use std::net::Ipv4Addr;

/// Capability "send file" (0946xxxx-4C7F-11D1-8222-444553540000 with 1343).
pub const SEND_FILE: u16 = 0x1343;
/// Capability "direct IM".
pub const DIRECT_IM: u16 = 0x1345;
/// Get file: a folder is opened to the other.
pub const GET_FILE: u16 = 0x1348;
/// Games.
pub const GAMES: u16 = 0x134A;

/// A capability's 16 bytes.
pub fn capability(short: u16) -> [u8; 16] {
    let [high, low] = short.to_be_bytes();
    [
        0x09, 0x46, high, low, 0x4c, 0x7f, 0x11, 0xd1, 0x82, 0x22, 0x44, 0x45, 0x53, 0x54, 0, 0,
    ]
}

/// Type, length, value.
pub fn tlv(kind: usize, value: impl AsRef<[u8]>) -> Vec<u8> {
    let value = value.as_ref();
    join(&[&be16(kind), &be16(value.len()), value])
}

/// A text behind its 8-bit length.
pub fn short_text(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("a short name");
    join(&[&[length], text.as_bytes()])
}

/// The reversible cipher of the first sign-on: XOR with a fixed key.
pub fn roast(password: &str) -> Vec<u8> {
    const KEY: [u8; 16] = [
        0xf3, 0x26, 0x81, 0xc4, 0x39, 0x86, 0xdb, 0x92, 0x71, 0xa3, 0xb9, 0xe6, 0x53, 0x7a, 0x95,
        0x7c,
    ];
    password
        .bytes()
        .zip(KEY.iter().cycle())
        .map(|(byte, key)| byte ^ key)
        .collect()
}

/// The bytes that the authoriser hands out and the next server wants to see (256 in real sessions).
pub fn cookie(seed: u64) -> Vec<u8> {
    noise(seed, 256)
}

/// A connection that speaks FLAP: it numbers frames and requests.
pub struct Link {
    pub talk: Talk,
    sequence: [u16; 2],
    request: usize,
}

impl Link {
    /// FLAP over this connection; sequence numbers start anywhere.
    pub fn new(talk: Talk) -> Self {
        let start = (talk.start_ms as u16) & 0x3fff;
        Self {
            talk,
            sequence: [start, start ^ 0x2a35],
            request: 0,
        }
    }

    /// The next frame of this side.
    pub fn frame(&mut self, from: Side, channel: u8, body: &[u8]) -> Vec<u8> {
        let sequence = &mut self.sequence[usize::from(from == Side::Server)];
        *sequence = sequence.wrapping_add(1);
        join(&[
            &[0x2a, channel],
            &sequence.to_be_bytes(),
            &be16(body.len()),
            body,
        ])
    }

    fn say(mut self, from: Side, bytes: Vec<u8>) -> Self {
        self.talk = match from {
            Side::Client => self.talk.client(bytes),
            Side::Server => self.talk.server(bytes),
        };
        self
    }

    /// One frame.
    pub fn flap(mut self, from: Side, channel: u8, body: &[u8]) -> Self {
        let frame = self.frame(from, channel, body);
        self.say(from, frame)
    }

    /// Both sides open with version 1; the client adds its TLVs.
    pub fn hello(self, tlvs: &[u8]) -> Self {
        self.flap(Side::Server, 1, &[0, 0, 0, 1]).flap(
            Side::Client,
            1,
            &join(&[&[0, 0, 0, 1], tlvs]),
        )
    }

    /// The client asks.
    pub fn ask(mut self, family: usize, subtype: usize, body: &[u8]) -> Self {
        self.request += 1;
        let snac = snac(family, subtype, self.request, body);
        self.flap(Side::Client, 2, &snac)
    }

    /// The server answers the last question.
    pub fn answer(self, family: usize, subtype: usize, body: &[u8]) -> Self {
        let snac = snac(family, subtype, self.request, body);
        self.flap(Side::Server, 2, &snac)
    }

    /// The server says something on its own: its request numbers have the top bit set.
    pub fn tell(mut self, family: usize, subtype: usize, body: &[u8]) -> Self {
        self.request += 1;
        let snac = snac(family, subtype, 0x8000_0000 + self.request, body);
        self.flap(Side::Server, 2, &snac)
    }

    /// Several questions that leave the client in one write.
    pub fn ask_at_once(mut self, questions: &[(usize, usize, &[u8])]) -> Self {
        let mut all = Vec::new();
        for (family, subtype, body) in questions {
            self.request += 1;
            let snac = snac(*family, *subtype, self.request, body);
            all.extend(self.frame(Side::Client, 2, &snac));
        }
        self.say(Side::Client, all)
    }

    /// Silence, then the client's keep-alive (channel 5, empty).
    pub fn idle(mut self, ms: u64) -> Self {
        self.talk = self.talk.pause(ms);
        self.flap(Side::Client, 5, &[])
    }

    /// Somebody types or thinks.
    pub fn pause(mut self, ms: u64) -> Self {
        self.talk = self.talk.pause(ms);
        self
    }

    /// The client leaves (channel 4, empty).
    pub fn sign_off(self) -> Talk {
        self.flap(Side::Client, 4, &[]).talk
    }
}

/// Family, subtype, flags 0, request, body.
pub fn snac(family: usize, subtype: usize, request: usize, body: &[u8]) -> Vec<u8> {
    join(&[&be16(family), &be16(subtype), &[0, 0], &be32(request), body])
}

/// ICQ names its users by number.
fn is_uin(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_digit())
}

/// Online information: name, warning level, then counted TLVs.
pub fn user_info(name: &str, address: Option<Ipv4Addr>) -> Vec<u8> {
    // Class: 0010 is AIM's "free", with 0040 it is ICQ.
    let class: u16 = if is_uin(name) { 0x50 } else { 0x10 };
    let mut tlvs = vec![
        tlv(1, class.to_be_bytes()),
        tlv(6, [0, 0, 0, 0]),
        tlv(0x0f, be32(61)),
        tlv(3, be32(1_767_323_000)),
    ];
    if let Some(address) = address {
        tlvs.push(tlv(0x0a, address.octets()));
    }
    join(&[
        &short_text(name),
        &[0, 0],
        &be16(tlvs.len()),
        &tlvs.concat(),
    ])
}

/// Message text as TLV 2: a features block and a text block (character set 0, ASCII).
fn text_tlv(text: &str) -> Vec<u8> {
    let block = join(&[&[0, 0, 0, 0], text.as_bytes()]);
    tlv(
        2,
        join(&[&[5, 1, 0, 1, 1], &[1, 1], &be16(block.len()), &block]),
    )
}

/// Eight digits and a zero end, as real clients make them.
pub fn icbm_cookie(seed: u64) -> [u8; 8] {
    let mut cookie = [0; 8];
    let digits = (1_000_000 + seed * 7919 % 8_999_999).to_string();
    cookie[..7].copy_from_slice(digits.as_bytes());
    cookie
}

impl Link {
    /// The user writes to somebody (0004/0006, channel 1); the server confirms (0004/000C).
    pub fn message_to(self, seed: u64, name: &str, text: &str) -> Self {
        let head = join(&[&icbm_cookie(seed), &[0, 1], &short_text(name)]);
        self.ask(4, 6, &join(&[&head, &text_tlv(text), &tlv(3, [])]))
            .answer(4, 0x0c, &head)
    }

    /// Somebody writes to the user (0004/0007, channel 1).
    pub fn message_from(self, seed: u64, name: &str, text: &str) -> Self {
        let head = join(&[&icbm_cookie(seed), &[0, 1]]);
        let body = join(&[&head, &user_info(name, None), &text_tlv(text)]);
        self.tell(4, 7, &body)
    }

    /// The user types (0004/0014, state 2, then 0).
    pub fn typing_to(self, name: &str, state: u8) -> Self {
        self.ask(
            4,
            0x14,
            &join(&[&[0; 8], &[0, 1], &short_text(name), &[0, state]]),
        )
    }

    /// Somebody types.
    pub fn typing_from(self, name: &str, state: u8) -> Self {
        self.tell(
            4,
            0x14,
            &join(&[&[0; 8], &[0, 1], &short_text(name), &[0, state]]),
        )
    }

    /// The user proposes or accepts a rendezvous (0004/0006, channel 2).
    pub fn rendezvous_to(self, name: &str, rendezvous: &Rendezvous) -> Self {
        let body = join(&[
            &rendezvous.cookie,
            &[0, 2],
            &short_text(name),
            &rendezvous.tlv(None),
        ]);
        self.ask(4, 6, &body)
    }

    /// The server brings one; it adds the address that it saw (TLV 4).
    pub fn rendezvous_from(self, name: &str, rendezvous: &Rendezvous, seen: Ipv4Addr) -> Self {
        let body = join(&[
            &rendezvous.cookie,
            &[0, 2],
            &user_info(name, None),
            &rendezvous.tlv(Some(seen)),
        ]);
        self.tell(4, 7, &body)
    }
}

/// The beginning of something between two users.
pub struct Rendezvous {
    /// 0 proposes, 2 accepts.
    pub kind: usize,
    pub cookie: [u8; 8],
    pub capability: u16,
    /// Where the proposer listens.
    pub listens: Option<(Ipv4Addr, u16)>,
    /// File name and size.
    pub file: Option<(&'static str, usize)>,
}

impl Rendezvous {
    fn tlv(&self, seen: Option<Ipv4Addr>) -> Vec<u8> {
        let mut body = join(&[&be16(self.kind), &self.cookie, &capability(self.capability)]);
        if let Some((address, port)) = self.listens {
            body.extend(tlv(0x0a, [0, 1]));
            body.extend(tlv(2, address.octets()));
            body.extend(tlv(3, address.octets()));
            if let Some(seen) = seen {
                body.extend(tlv(4, seen.octets()));
            }
            body.extend(tlv(5, port.to_be_bytes()));
            body.extend(tlv(0x0f, []));
        }
        if let Some((name, size)) = self.file {
            let offer = join(&[&[0, 1, 0, 1], &be32(size), name.as_bytes(), &[0]]);
            body.extend(tlv(0x2711, offer));
        }
        tlv(5, body)
    }
}
