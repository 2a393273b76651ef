//! Google's versions before the standard: a handshake of their own, in clear text up to Q046.
//!
//! Shapes: "QUIC Wire Layout Specification" and "QUIC Crypto" (chromium.org/quic); Wireshark `epan/dissectors/packet-gquic.c`;
//! nDPI `src/lib/protocols/quic.c`.

/// Version, connection id and packet number in a header of Q043 and before: flags, id, version, number.
const VERSION_AT: usize = 9;
const NUMBER_AT: usize = 13;
/// Behind the packet number: what protects a packet that nobody encrypts yet.
const HASH: usize = 12;
/// In a header of Q046: flags, version, lengths, id, number.
const LATE_HEADER: usize = 18;
/// The lengths of its ids: 8 bytes for the server's, none for the client's.
const LATE_IDS: u8 = 0x50;
/// The oldest version that is read, and the last one with such headers; versions that count in the other order, and that have a byte of
/// private flags.
const OLDEST: u8 = 24;
const LAST: u8 = 43;
const LITTLE_ENDIAN: u8 = 38;
const PRIVATE_FLAGS: u8 = 33;
const LATE: u8 = 46;
/// The stream of the handshake.
const HANDSHAKE: u8 = 1;
/// Entries of a message that are read.
const MAX_TAGS: usize = 128;

/// A client's first packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct First<'a> {
    /// The version: 43 for "Q043".
    pub version: u8,
    /// Its handshake message, as far as it was captured.
    pub hello: &'a [u8],
}

/// Reads a client's first packet in clear text.
pub(super) fn first(datagram: &[u8]) -> Option<First<'_>> {
    let flags = *datagram.first()?;
    let (version, frames) = if flags & 0x80 == 0 {
        // A version and an id of 8 bytes, one byte for the packet's number, one path.
        let version = version(datagram, VERSION_AT)?;
        let fits = flags & 0xf9 == 0x09 && (OLDEST..=LAST).contains(&version);
        let private = usize::from(version < PRIVATE_FLAGS);
        (fits.then_some(version)?, NUMBER_AT + 1 + HASH + private)
    } else {
        let version = version(datagram, 1)?;
        let fits = flags == 0xc3 && version == LATE && datagram.get(5) == Some(&LATE_IDS);
        (fits.then_some(version)?, LATE_HEADER + HASH)
    };
    let frames = datagram.get(frames..)?;
    let padding = frames.iter().position(|byte| *byte != 0)?;
    let hello = stream(&frames[padding..], version)?;
    hello
        .starts_with(b"CHLO")
        .then_some(First { version, hello })
}

/// `Q043`.
fn version(bytes: &[u8], at: usize) -> Option<u8> {
    let [b'Q', b'0', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] = *bytes.get(at..)?.first_chunk()?
    else {
        return None;
    };
    Some((tens - b'0') * 10 + ones - b'0')
}

/// What a frame of the handshake's stream carries: 1fdooossB, with a length (d), an offset of so many bytes (o) and an id of one byte.
fn stream(frame: &[u8], version: u8) -> Option<&[u8]> {
    let [kind, HANDSHAKE, rest @ ..] = frame else {
        return None;
    };
    if kind & 0xe3 != 0xa0 {
        return None;
    }
    let offset = match (kind >> 2) & 7 {
        0 => 0,
        more => usize::from(more) + 1,
    };
    if rest.get(..offset)?.iter().any(|byte| *byte != 0) {
        return None;
    }
    let rest = &rest[offset..];
    let length = *rest.first_chunk()?;
    let length = if version <= LITTLE_ENDIAN {
        u16::from_le_bytes(length)
    } else {
        u16::from_be_bytes(length)
    };
    let data = &rest[2..];
    Some(data.get(..usize::from(length)).unwrap_or(data))
}

/// The server's name in a handshake message: the tag, the number of entries, then each entry's tag and where its value ends.
pub(super) fn server_name(hello: &[u8]) -> Option<&str> {
    let entries = usize::from(u16::from_le_bytes(*hello.get(4..)?.first_chunk()?));
    let table = hello.get(8..8 + 8 * entries)?;
    let values = &hello[8 + 8 * entries..];
    let mut from = 0;
    for entry in table.chunks_exact(8).take(MAX_TAGS) {
        let end = u32::from_le_bytes(*entry[4..].first_chunk()?) as usize;
        if end < from {
            return None;
        }
        if entry.starts_with(b"SNI\0") {
            return std::str::from_utf8(values.get(from..end)?).ok();
        }
        from = end;
    }
    None
}
