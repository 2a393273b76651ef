//! One STUN message (RFC 8489, 5; RFC 3489, 11), or what TURN puts around data.

use crate::ruleset::StunMessage;

/// Type, length, cookie and transaction.
const HEADER: usize = 20;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
/// Attributes of one message that are read.
const MAX_ATTRIBUTES: usize = 64;
/// Channel numbers of TURN (RFC 8656, 12; RFC 5766, 11).
const CHANNELS: std::ops::RangeInclusive<u8> = 0x40..=0x7f;

/// A message whose attributes fill it to the last byte, as far as it was captured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    kind: u16,
    cookie: bool,
    attributes: &'a [u8],
    /// Its length on the wire.
    pub length: usize,
}

/// What a beginning is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Beginning<'a> {
    /// A message, and how many bytes it has.
    Message(Message<'a>, usize),
    /// The beginning of one: so many bytes are wanted.
    Short(usize),
    /// None.
    Other,
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let pair = bytes.get(at..at + 2)?;
    Some(usize::from(pair[0]) << 8 | usize::from(pair[1]))
}

impl<'a> Message<'a> {
    /// Reads the message that these bytes begin with; one with the cookie, for that says that it is one.
    pub fn begin(bytes: &'a [u8]) -> Beginning<'a> {
        let cookie = bytes.get(4..).unwrap_or_default();
        let fits = bytes.first().is_none_or(|byte| *byte < 0x40)
            && bytes.get(3).is_none_or(|byte| byte.is_multiple_of(4))
            && cookie.iter().zip(COOKIE).all(|(byte, want)| *byte == want);
        if !fits {
            return Beginning::Other;
        }
        let Some(length) = number(bytes, 2).filter(|_| bytes.len() >= HEADER) else {
            return Beginning::Short(HEADER);
        };
        let whole = HEADER + length;
        match bytes.get(..whole) {
            None => Beginning::Short(whole),
            Some(message) => Self::datagram(message).map_or(Beginning::Other, |message| {
                Beginning::Message(message, whole)
            }),
        }
    }

    /// Reads a datagram, or what the capture has left of it. One without the cookie (RFC 3489) is believed for its
    /// attributes, of which it must have one.
    pub fn datagram(bytes: &'a [u8]) -> Option<Self> {
        let kind = number(bytes, 0).filter(|kind| *kind < 0x4000)?;
        let length = number(bytes, 2).filter(|length| length.is_multiple_of(4))?;
        if bytes.len() < HEADER || bytes.len() > HEADER + length {
            return None;
        }
        let cookie = bytes[4..8] == COOKIE;
        let attributes = &bytes[HEADER..];
        let message = Self {
            kind: kind as u16,
            cookie,
            attributes,
            length: HEADER + length,
        };
        let believed = cookie || (length > 0 && kind & 0x3eef <= 0x0004 && kind != 0);
        (believed && message.fills(length)).then_some(message)
    }

    /// Whether the attributes fill so many bytes, as far as they were captured.
    fn fills(&self, length: usize) -> bool {
        let mut at = 0;
        for _ in 0..MAX_ATTRIBUTES {
            if at >= self.attributes.len() {
                return at == length || (at < length && self.attributes.len() < length);
            }
            match number(self.attributes, at + 2) {
                Some(value) => at += 4 + value.next_multiple_of(4),
                None => return self.attributes.len() < length,
            }
            if at > length {
                return false;
            }
        }
        false
    }
}

impl StunMessage for Message<'_> {
    fn kind(&self) -> u16 {
        self.kind
    }

    fn has_cookie(&self) -> bool {
        self.cookie
    }

    fn attribute_types(&self) -> impl Iterator<Item = u16> {
        let mut rest = self.attributes;
        std::iter::from_fn(move || {
            let (kind, length) = (number(rest, 0)?, number(rest, 2)?);
            rest = rest
                .get(4 + length.next_multiple_of(4)..)
                .unwrap_or_default();
            Some(kind as u16)
        })
        .take(MAX_ATTRIBUTES)
    }

    fn attributes(&self) -> impl Iterator<Item = (u16, &[u8])> {
        let mut rest = self.attributes;
        std::iter::from_fn(move || {
            let (kind, length) = (number(rest, 0)?, number(rest, 2)?);
            let value = rest.get(4..4 + length)?;
            rest = rest
                .get(4 + length.next_multiple_of(4)..)
                .unwrap_or_default();
            Some((kind as u16, value))
        })
        .take(MAX_ATTRIBUTES)
    }
}

/// What a relay carries in a channel: its data, and how many bytes that takes in a stream.
pub(super) fn channel(bytes: &[u8]) -> Option<(&[u8], usize)> {
    bytes.first().filter(|byte| CHANNELS.contains(byte))?;
    let length = number(bytes, 2)?;
    let data = bytes.get(4..(4 + length).min(bytes.len()))?;
    Some((data, 4 + length.next_multiple_of(4)))
}
