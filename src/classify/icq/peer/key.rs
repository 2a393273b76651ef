//! How frames of direct connections are scrambled from version 4 on.
//!
//! The key stands in the frame, only the first quarter is scrambled, and a check code repeats two bytes: 16 bits of proof, and
//! nothing hidden.

/// What the scrambling draws from, and the check code repeats a byte of.
const TEXT: &[u8] = b"As part of this software beta version Mirabilis is granting a limited access to the ICQ network, \
servers, directories, listings, information and databases (\"ICQ Services and Information\"). The ICQ Service and Information \
may databases (\"ICQ Services and Information\"). The ICQ Service and Information may\0";

/// The first byte of frames from version 7 on that hold a message.
const MESSAGE: u8 = 2;
/// Bytes of versions 4 and 5 before the check code: sender and version, which stay readable.
pub const CLEAR: usize = 6;

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*four))
}

fn byte(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at).copied().map(u32::from)
}

/// Where the check code stands, by the connection's version.
pub const fn check_at(version: u16) -> usize {
    if version < 6 { CLEAR } else { 0 }
}

/// Scrambles or unscrambles the first quarter of a body of `length` bytes; it is its own inverse but for the check code.
fn apply(version: u16, body: &mut [u8], length: usize, check: u32) {
    let key = (length as u32)
        .wrapping_mul(0x6765_7268)
        .wrapping_add(check);
    let end = length.div_ceil(4);
    for at in (4..end).step_by(4) {
        let from_text = TEXT.get(at & 0xFF).copied().unwrap_or_default();
        let mask = key.wrapping_add(from_text.into()).to_le_bytes();
        for (offset, mask) in mask.into_iter().enumerate() {
            let at = at + offset;
            if let Some(byte) = body.get_mut(at)
                && (version >= 6 || at >= CLEAR)
            {
                *byte ^= mask;
            }
        }
    }
}

/// Four bytes of the plain body that go into the check code.
fn repeated(version: u16, body: &[u8]) -> Option<u32> {
    let places = if version < 6 {
        [CLEAR + 4, CLEAR + 6, 2, 0]
    } else {
        [4, 6, 4, 6]
    };
    places
        .into_iter()
        .try_fold(0, |word, at| Some(word << 8 | byte(body, at)?))
}

/// A frame in clear, without its marker; `None` for what is no message, or fails its own check. `frame` is as much as is known
/// of a frame of `length` bytes.
pub fn plain(version: u16, frame: &[u8], length: usize) -> Option<Vec<u8>> {
    if version < 4 {
        return Some(frame.to_vec());
    }
    let (body, length) = match frame {
        [MESSAGE, body @ ..] if version > 6 => (body, length.checked_sub(1)?),
        _ if version > 6 => return None,
        body => (body, length),
    };
    let check = long(body, check_at(version))?;
    let mut body = body.to_vec();
    apply(version, &mut body, length, check);
    let [at, value, index, of_text] = (repeated(version, &body)? ^ check).to_be_bytes();
    let place = usize::from(at);
    let fits = (10..length).contains(&place)
        && body.get(place).is_some_and(|byte| !*byte == value)
        && (index >= 220
            || TEXT
                .get(usize::from(index))
                .is_some_and(|byte| !*byte == of_text));
    fits.then_some(body)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub mod testing {
    use super::{MESSAGE, TEXT, apply, check_at, repeated};

    /// A frame with its length, as a client of that version sends it. `at` and `index` are the sender's choice.
    pub fn frame(version: u16, plain: &[u8], at: u8, index: u8) -> Vec<u8> {
        let mut body = plain.to_vec();
        if version > 3 {
            let own = [at, !body[usize::from(at)], index, !TEXT[usize::from(index)]];
            let check = u32::from_be_bytes(own) ^ repeated(version, &body).unwrap();
            let length = body.len();
            apply(version, &mut body, length, check);
            let place = check_at(version);
            body[place..place + 4].copy_from_slice(&check.to_le_bytes());
        }
        if version > 6 {
            body.insert(0, MESSAGE);
        }
        let length = u16::try_from(body.len()).unwrap();
        [&length.to_le_bytes()[..], &body].concat()
    }
}
