//! What versions 10.5 and 11 say in protocol buffers, inside packets of the old shape.
//!
//! Messages: libgadu `packets.proto`; numbers of packets: twasilczyk/gg-dissector `ggp-packet-type.hpp`.

use super::packet::{HEADER, Login, Sign};
use crate::classify::Events;
use crate::model::{Activity, Event, feature, risk, what};

/// How many bytes a hash has, and how many the longest number has with what stands before it.
const HASH: u8 = 20;
const LONGEST_NUMBER: usize = 12;
/// Fields of a message that are read.
const MAX_FIELDS: usize = 32;

/// Reads a sign-on: language, number, hash, each a field of its own, in this order. The hash itself may be missing.
pub(super) fn login(bytes: &[u8]) -> Sign {
    let mut rest = &bytes[HEADER..];
    let more = Sign::NeedMore(bytes.len() + 1);
    // Field 1, two letters.
    for want in [Some(0x0a), Some(2), None, None, Some(0x12)] {
        let Some((byte, behind)) = rest.split_first() else {
            return more;
        };
        if !want.map_or(byte.is_ascii_lowercase(), |want| *byte == want) {
            return Sign::No;
        }
        rest = behind;
    }
    let Some((length, behind)) = rest.split_first() else {
        return more;
    };
    let length = usize::from(*length);
    if !(5..=LONGEST_NUMBER).contains(&length) {
        return Sign::No;
    }
    let (number, behind) = behind.split_at(length.min(behind.len()));
    let fits = |(at, byte): (usize, &u8)| match at {
        0 => *byte <= 1,
        1 => usize::from(*byte) == length - 2,
        _ => byte.is_ascii_digit(),
    };
    let hash = [0x1a, HASH];
    if !number.iter().enumerate().all(fits)
        || !behind.iter().zip(hash).all(|(it, want)| *it == want)
    {
        return Sign::No;
    }
    if number.len() < length || behind.len() < hash.len() {
        return more;
    }
    Sign::On(Login {
        name: "GG_LOGIN105",
        uin: uin(number),
        method: "sha1",
    })
}

/// A number as text: zero or one, a length, digits.
fn uin(bytes: &[u8]) -> Option<String> {
    let [0 | 1, length, digits @ ..] = bytes else {
        return None;
    };
    let fits = usize::from(*length) == digits.len()
        && (3..=10).contains(&digits.len())
        && digits.iter().all(u8::is_ascii_digit);
    fits.then(|| String::from_utf8_lossy(digits).into_owned())
}

/// Bases of 128, the lowest first.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * at).min(63);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}

/// Fields of bytes: their numbers, as much of them as is there, and how long they are.
fn fields(mut rest: &[u8]) -> impl Iterator<Item = (u64, &[u8], usize)> {
    let next = move || {
        loop {
            let (key, behind) = varint(rest)?;
            let skipped = match key & 7 {
                0 => varint(behind)?.1,
                1 => behind.get(8..)?,
                5 => behind.get(4..)?,
                2 => {
                    let (length, behind) = varint(behind)?;
                    let length = usize::try_from(length).ok()?;
                    let (value, later) = behind.split_at(length.min(behind.len()));
                    rest = later;
                    return Some((key >> 3, value, length));
                }
                _ => return None,
            };
            rest = skipped;
        }
    };
    std::iter::from_fn(next).take(MAX_FIELDS)
}

/// Somebody said something: to whom or from whom (1), and the plain text (5), of which the length is told.
pub(super) fn said(by_client: bool, body: &[u8], out: &mut Events) {
    let (mut other, mut text) = (None, None);
    for (number, value, length) in fields(body) {
        match number {
            1 => other = uin(value),
            5 => text = Some(length),
            _ => {}
        }
    }
    let (Some(other), Some(length)) = (other, text) else {
        return;
    };
    out.push(Event::Risk(risk::CLEARTEXT_MESSAGES));
    out.push(Event::Feature(feature::MESSAGE));
    out.push(Event::Peer(other.clone()));
    out.done(Activity::between(what::MESSAGE, by_client, Some(other)).with("length", length));
}
