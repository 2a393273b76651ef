//! ICQ before and beside OSCAR: the UDP protocol of 1996 to 1999, and direct connections between peers.
//!
//! [`v5`] undoes the scrambling of version 5, [`datagram`] takes datagrams apart, [`udp`] recognises them,
//! [`session`] follows them; [`direct`] does both for peers, and [`peer`]
//! reads what they say. ICQ over OSCAR is in `classify::oscar`.

mod datagram;
mod direct;
mod peer;
mod session;
#[cfg(test)]
mod testing;
mod udp;
mod v5;

use crate::classify::Detector;
use crate::model::Token;

/// Detectors of this family.
pub const DETECTORS: &[&dyn Detector] = &[&udp::IcqUdp, &direct::IcqDirect];

/// The plain text of a client's datagram of version 5, which is scrambled with a key that it carries.
pub fn unscramble(datagram: &[u8]) -> Option<Vec<u8>> {
    v5::decode(datagram, datagram.len())
}

/// The datagram of such a plain text.
pub fn scramble(plain: &[u8]) -> Option<Vec<u8>> {
    v5::encode(plain)
}

/// What ICQ's message types are.
pub const fn message_kind(kind: u16) -> Option<&'static str> {
    Some(match kind {
        0x01 => "text",
        0x02 => "chat",
        0x03 => "file",
        0x04 => "url",
        0x06 => "authorisation-request",
        0x07 => "authorisation-refused",
        0x08 => "authorisation-granted",
        0x09 => "server",
        0x0C => "added-to-list",
        0x0D => "web-pager",
        0x0E => "e-mail-pager",
        0x13 => "contacts",
        0x1A => "plug-in",
        _ => return None,
    })
}

/// What the server tells of a user, and whoever connects to that user directly repeats.
pub fn direct_token(cookie: u32) -> Option<Token> {
    (cookie != 0)
        .then(|| Token::of("icq-direct-cookie", &cookie.to_be_bytes()))
        .flatten()
}
