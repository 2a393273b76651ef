//! Looking for a unit at the start of a stream, or anywhere in one that was joined in the middle.

use super::flap::Start as Found;
use crate::classify::{Claim, Probe, ProbeInput, Start};

/// What was found.
#[derive(Debug)]
pub enum Hunt<T> {
    /// A unit, at that offset.
    Found(T, usize),
    /// See [`Probe::NeedMore`].
    More { from: usize, total: usize },
    /// Nothing, and nothing will be.
    Nothing,
}

/// Asks `read` at each place of the input where a unit, which begins with `first`, may start.
pub fn hunt<T>(input: &ProbeInput<'_>, first: u8, read: impl Fn(&[u8]) -> Found<T>) -> Hunt<T> {
    let bytes = input.bytes;
    for at in memchr::memchr_iter(first, bytes) {
        if at > 0 && input.start == Start::Beginning {
            return Hunt::Nothing;
        }
        match read(bytes.get(at..).unwrap_or_default()) {
            Found::Yes(found) => return Hunt::Found(found, at),
            Found::Short(need) if !input.ended => {
                return Hunt::More {
                    from: at,
                    total: at.saturating_add(need),
                };
            }
            Found::Short(_) | Found::No => {}
        }
    }
    if input.ended || (input.start == Start::Beginning && !bytes.is_empty()) {
        return Hunt::Nothing;
    }
    Hunt::More {
        from: bytes.len(),
        total: bytes.len().saturating_add(1),
    }
}

impl<T> Hunt<T> {
    /// The detector's answer; a unit that was found is proof.
    pub fn into_probe(self, claim: impl FnOnce(T, usize) -> Claim) -> Probe {
        match self {
            Self::Found(found, offset) => Probe::Certain(claim(found, offset)),
            Self::More { from, total } => Probe::NeedMore { from, total },
            Self::Nothing => Probe::No,
        }
    }
}
