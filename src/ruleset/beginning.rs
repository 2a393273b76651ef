//! What a messenger says first, as bytes with gaps.

use super::{Origin, PortRange, Source};
use crate::model::Transport;

/// Bytes at a fixed place, some of them unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytes {
    /// Each byte, and which of its bits are known.
    bytes: Vec<(u8, u8)>,
}

impl Bytes {
    /// Most bytes that a pattern may have.
    pub const MAX: usize = 128;

    /// Reads hexadecimal digits, two a byte, with `?` for a digit that nobody knows; blanks are for the eye.
    /// The error says what is wrong.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut digits = Vec::new();
        for digit in text.chars().filter(|c| !c.is_ascii_whitespace()) {
            match (digit, digit.to_digit(16)) {
                ('?', _) => digits.push((0, 0)),
                (_, Some(value)) => digits.push((value as u8, 15)),
                _ => return Err("hexadecimal digits, and `?` for one that is not known"),
            }
        }
        if digits.is_empty() || digits.len() % 2 == 1 {
            return Err("two digits a byte");
        }
        if digits.len() > 2 * Self::MAX {
            return Err("at most 128 bytes");
        }
        let bytes = digits
            .chunks_exact(2)
            .map(|pair| (pair[0].0 << 4 | pair[1].0, pair[0].1 << 4 | pair[1].1));
        Ok(Self {
            bytes: bytes.collect(),
        })
    }

    /// The same, of which only some bits count; the error says what is wrong.
    pub fn masked(self, mask: &Self) -> Result<Self, &'static str> {
        if mask.len() != self.len() || mask.bytes.iter().any(|(_, known)| *known != 0xff) {
            return Err("as many bytes as `bytes` has, all of them known");
        }
        let pairs = self.bytes.into_iter().zip(&mask.bytes);
        let masked = pairs.map(|((byte, known), (bits, _))| (byte & bits, known & bits));
        Ok(Self {
            bytes: masked.collect(),
        })
    }

    /// How long.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it has no byte: never.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// How many bits are known.
    pub fn known_bits(&self) -> u32 {
        self.bytes.iter().map(|(_, mask)| mask.count_ones()).sum()
    }

    /// The byte at that place, and which of its bits are known.
    pub fn byte(&self, at: usize) -> Option<(u8, u8)> {
        self.bytes.get(at).copied()
    }

    /// Whether these bytes are as it says, as far as both go.
    pub fn agrees(&self, bytes: &[u8]) -> bool {
        self.bytes
            .iter()
            .zip(bytes)
            .all(|((want, mask), byte)| byte & mask == *want)
    }
}

/// Who says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Whoever opened the connection.
    Client,
    /// The other.
    Server,
    /// Both do.
    Either,
}

impl Sender {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::Client, Self::Server, Self::Either];

    /// The name in rule files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Either => "either",
        }
    }
}

/// The beginning of what one side says.
#[derive(Clone, Debug)]
pub struct BeginningRule {
    /// Name of the fact, such as `whatsapp/hello`.
    pub id: String,
    /// TCP or UDP.
    pub transport: Transport,
    /// Who says it.
    pub sender: Sender,
    /// Where the bytes stand.
    pub offset: usize,
    /// The bytes.
    pub pattern: Bytes,
    /// The side says so many bytes at least (a datagram has them).
    pub length: usize,
    /// A datagram has no more.
    pub longest: Option<usize>,
    /// The server's ports, if it is said there only.
    pub ports: Option<PortRange>,
    /// What the first bytes must match as well: `length` of them, or as many as are there, up to `within`.
    pub regex: Option<regex::bytes::Regex>,
    /// How many bytes are looked at for the regex, when that is not `length`.
    pub within: Option<usize>,
    /// The signature of the other side that it answers: both together are proof.
    pub answers: Option<String>,
    /// Whether it says anything without its other half.
    pub alone: bool,
    /// Who says so.
    pub source: Source,
    /// Where that can be read.
    pub reference: Option<String>,
    /// What it is.
    pub note: Option<String>,
    /// Where it stands.
    pub origin: Origin,
}

/// What a signature says of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// Not it.
    No,
    /// Not yet: so many bytes would tell.
    NeedMore(usize),
    /// It is.
    Yes,
}

impl BeginningRule {
    /// Holds it against the beginning of what a side said, or against a datagram of which `on_wire` bytes were sent.
    pub fn matches(&self, bytes: &[u8], on_wire: usize) -> Match {
        let here = bytes.get(self.offset..).unwrap_or_default();
        if !self.pattern.agrees(here) || self.longest.is_some_and(|most| on_wire > most) {
            return Match::No;
        }
        let told = if self.regex.is_some() && self.within.is_none() {
            self.length
        } else {
            self.offset + self.pattern.len()
        };
        if bytes.len() < told || on_wire < self.length {
            return Match::NeedMore(self.length.max(told));
        }
        match (&self.regex, self.within) {
            (None, _) => Match::Yes,
            (Some(regex), None) if regex.is_match(&bytes[..self.length]) => Match::Yes,
            (Some(_), None) => Match::No,
            (Some(regex), Some(within)) => {
                let seen = bytes.get(..within).unwrap_or(bytes);
                if regex.is_match(seen) {
                    Match::Yes
                } else if seen.len() < within {
                    Match::NeedMore(bytes.len() + 1)
                } else {
                    Match::No
                }
            }
        }
    }
}

/// The name of a messenger's protocol in TLS (RFC 7301).
#[derive(Clone, Debug)]
pub struct AlpnRule {
    /// The name, such as `xmpp-client`.
    pub protocol: String,
    /// Who says so.
    pub source: Source,
    /// Where that can be read.
    pub reference: Option<String>,
    /// What it is.
    pub note: Option<String>,
    /// Where it stands.
    pub origin: Origin,
}

/// Fingerprints of a messenger's program in TLS (JA4). Programs share libraries and change with each version: they have a date
/// of their own, and a fingerprint alone never makes more than `possible`.
#[derive(Clone, Debug)]
pub struct FingerprintRule {
    /// The fingerprints, such as `t13d1516h2_8daaf6152771_e5627efa2ab1`.
    pub ja4: Vec<String>,
    /// When they were taken.
    pub date: jiff::civil::Date,
    /// Who says so.
    pub source: Source,
    /// Where that can be read.
    pub reference: Option<String>,
    /// What it is.
    pub note: Option<String>,
    /// Where it stands.
    pub origin: Origin,
}

/// Addresses of a messenger's servers. They move: the file has a date, and an address alone never makes more than
/// `possible` and is never closed.
#[derive(Clone, Debug)]
pub struct NetworkRule {
    /// The range.
    pub net: ipnet::IpNet,
    /// Who says so.
    pub source: Source,
    /// Where that can be read.
    pub reference: Option<String>,
    /// What it is.
    pub note: Option<String>,
    /// Where it stands.
    pub origin: Origin,
}
