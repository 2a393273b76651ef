//! One packet, and what a sign-on says.

pub(super) const HEADER: usize = 8;
/// A SHA-1 or the older 32-bit hash, filled up with zeros.
const HASH: usize = 64;

/// Types of packets. The same number may mean one thing from the client and another from the server.
pub(super) mod kind {
    pub const WELCOME: u32 = 0x01;
    pub const NEW_STATUS: u32 = 0x02;
    pub const LOGIN_OK: u32 = 0x03;
    pub const LOGIN_FAILED: u32 = 0x09;
    pub const RECV_MSG: u32 = 0x0a;
    pub const SEND_MSG: u32 = 0x0b;
    pub const NOTIFY_FIRST: u32 = 0x0f;
    pub const NOTIFY_LAST: u32 = 0x10;
    pub const LOGIN_EXT: u32 = 0x13;
    pub const NEED_EMAIL: u32 = 0x14;
    pub const LOGIN_60: u32 = 0x15;
    pub const LOGIN_70: u32 = 0x19;
    pub const FILE_NEW: u32 = 0x20;
    pub const NEW_STATUS_80_BETA: u32 = 0x28;
    pub const LOGIN_80_BETA: u32 = 0x29;
    pub const SEND_MSG_80: u32 = 0x2d;
    pub const RECV_MSG_80: u32 = 0x2e;
    pub const LOGIN_80: u32 = 0x31;
    pub const LOGIN_80_OK: u32 = 0x35;
    pub const NEW_STATUS_80: u32 = 0x38;
    pub const LOGIN_80_FAILED: u32 = 0x43;
    pub const TYPING: u32 = 0x59;
    pub const NEW_STATUS_105: u32 = 0x63;
    pub const SEND_MSG_110: u32 = 0x7d;
    pub const RECV_MSG_110: u32 = 0x7e;
    pub const LOGIN_105: u32 = 0x83;
}

/// A 32-bit number.
pub(super) fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*bytes))
}

/// Type and length of the packet that these bytes begin.
pub(super) fn header(bytes: &[u8]) -> Option<(u32, usize)> {
    Some((number(bytes, 0)?, number(bytes, 4)? as usize))
}

/// A number that a user can have.
pub(super) fn uin(number: u32) -> Option<String> {
    // The upper byte holds flags in some packets, and numbers do not reach so far.
    let number = number & 0x00ff_ffff | number & 0x0700_0000;
    (number > 0).then(|| number.to_string())
}

/// A sign-on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Login {
    /// What it is called.
    pub name: &'static str,
    /// Who signs on.
    pub uin: Option<String>,
    /// How the password is hashed.
    pub method: &'static str,
}

/// A kind of sign-on.
struct Shape {
    kind: u32,
    name: &'static str,
    /// Least and most bytes behind the header: a description of the status may follow.
    length: (usize, usize),
    /// Where the kind of the hash stands; `None` where there was one kind only.
    hash: Option<usize>,
    /// Language, "pl" in all clients that are known.
    language: Option<usize>,
}

const SHAPES: [Shape; 6] = [
    Shape {
        kind: kind::LOGIN_EXT,
        name: "GG_LOGIN_EXT",
        length: (22, 110),
        hash: None,
        language: None,
    },
    Shape {
        kind: kind::LOGIN_60,
        name: "GG_LOGIN60",
        length: (31, 120),
        hash: None,
        language: None,
    },
    Shape {
        kind: kind::LOGIN_70,
        name: "GG_LOGIN70",
        length: (92, 180),
        hash: Some(4),
        language: None,
    },
    Shape {
        kind: kind::LOGIN_80_BETA,
        name: "GG_LOGIN80BETA",
        length: (92, 180),
        hash: Some(4),
        language: None,
    },
    Shape {
        kind: kind::LOGIN_80,
        name: "GG_LOGIN80",
        length: (97, 700),
        hash: Some(6),
        language: Some(4),
    },
    Shape {
        kind: kind::LOGIN_105,
        name: "GG_LOGIN105",
        length: (80, 700),
        hash: Some(2),
        language: Some(0),
    },
];

/// What the beginning of a client's packet says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// It signs on.
    On(Login),
    /// So many bytes would tell.
    NeedMore(usize),
    No,
}

/// Does a client sign on with the packet that begins there?
pub(super) fn login(bytes: &[u8]) -> Sign {
    let Some((kind, length)) = header(bytes) else {
        let begins = SHAPES.iter().any(|shape| {
            let kind = shape.kind.to_le_bytes();
            bytes.iter().zip(kind).all(|(byte, want)| *byte == want)
        });
        return if begins {
            Sign::NeedMore(HEADER)
        } else {
            Sign::No
        };
    };
    let shape = SHAPES.iter().find(|shape| shape.kind == kind);
    let shape = shape.filter(|it| (it.length.0..=it.length.1).contains(&length));
    let Some(shape) = shape else {
        return Sign::No;
    };
    // The first byte of a message in protocol buffers; else the language's first letter stands there.
    if kind == kind::LOGIN_105 && bytes.get(HEADER) == Some(&0x0a) {
        return super::eleven::login(bytes);
    }
    let needed = HEADER + shape.length.0;
    let Some(body) = bytes.get(HEADER..needed) else {
        return if plausible(shape, &bytes[HEADER..]) {
            Sign::NeedMore(needed)
        } else {
            Sign::No
        };
    };
    if !plausible(shape, body) {
        return Sign::No;
    }
    let method = match shape.hash.and_then(|at| body.get(at)) {
        Some(2) => "sha1",
        _ => "gg32",
    };
    let uin = match kind {
        kind::LOGIN_105 => uin_in_digits(&body[3 + HASH..]),
        _ => number(body, 0).and_then(uin),
    };
    match uin {
        // An older sign-on has little else to be told by.
        None if shape.hash.is_none() => Sign::No,
        uin => Sign::On(Login {
            name: shape.name,
            uin,
            method,
        }),
    }
}

/// Bytes of a hash and the zeros behind it that make a sign-on of what the capture has cut.
const ENOUGH: usize = 24;

/// What the first bytes of a sign-on are called, when no more of it was captured: header, language, hash, and some of the
/// zeros behind it.
pub(super) fn cut_login(bytes: &[u8]) -> Option<&'static str> {
    let (kind, _) = header(bytes)?;
    let shape = SHAPES.iter().find(|shape| shape.kind == kind)?;
    let place = shape.hash?;
    let fits = bytes.len() >= HEADER + place + 1 + ENOUGH;
    (fits && matches!(login(bytes), Sign::NeedMore(_))).then_some(shape.name)
}

/// Whether what is there of a sign-on is as it must be.
fn plausible(shape: &Shape, body: &[u8]) -> bool {
    let at = |place: usize, want: &[u8]| {
        let here = body.get(place..).unwrap_or_default();
        here.iter().zip(want).all(|(byte, want)| byte == want)
    };
    if let Some(place) = shape.language
        && !at(place, b"pl")
    {
        return false;
    }
    let Some(place) = shape.hash else {
        // Hash, status, version: a known status (the upper bits are flags) and a version of those days.
        let status = body.get(8).is_none_or(|low| *low < 0x30);
        let version = body.get(12).is_none_or(|low| (0x0b..=0x2f).contains(low))
            && body.get(13).is_none_or(|byte| *byte == 0);
        let dunno = shape.kind != kind::LOGIN_60 || body.get(16).is_none_or(|byte| *byte == 0);
        return status && version && dunno;
    };
    let used = match body.get(place) {
        Some(1) => 4,
        Some(2) => 20,
        Some(_) => return false,
        None => return true,
    };
    at(place + 1 + used, &[0; HASH][used..])
}

/// The number as text, as the later clients have it: zero, a length, digits.
fn uin_in_digits(bytes: &[u8]) -> Option<String> {
    (0..bytes.len().min(6)).find_map(|at| {
        let (zero, length) = (*bytes.get(at)?, usize::from(*bytes.get(at + 1)?));
        let digits = bytes.get(at + 2..at + 2 + length)?;
        let fits = zero == 0 && (3..=10).contains(&length) && digits.iter().all(u8::is_ascii_digit);
        fits.then(|| String::from_utf8_lossy(digits).into_owned())
    })
}
