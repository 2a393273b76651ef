//! Sets of byte values.

use super::item::Masked;
use std::fmt::Write;

/// Some of the byte values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Set([u64; 4]);

impl Set {
    pub(super) const NONE: Self = Self([0; 4]);

    const fn has(&self, byte: u8) -> bool {
        self.0[byte as usize / 64] >> (byte % 64) & 1 == 1
    }

    pub(super) const fn add(&mut self, byte: u8) {
        self.0[byte as usize / 64] |= 1 << (byte % 64);
    }

    pub(super) fn not(self) -> Self {
        Self(self.0.map(|word| !word))
    }

    fn bytes(self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(move |byte| self.has(*byte))
    }

    /// Letters in any case.
    pub(super) fn caseless(self) -> Self {
        let mut set = self;
        for byte in self.bytes().filter(u8::is_ascii_alphabetic) {
            set.add(byte ^ 0x20);
        }
        set
    }

    /// NUL is never seen.
    pub(super) const fn without_nul(mut self) -> Self {
        self.0[0] &= !1;
        self
    }

    /// The bits that all of them have in common.
    pub(super) fn masked(self) -> Masked {
        let (ones, noughts) = self.bytes().fold((0xff, 0xff), |(ones, noughts), byte| {
            (ones & byte, noughts & !byte)
        });
        (ones, ones | noughts)
    }

    /// Whether nothing else has those bits in common.
    pub(super) fn is_masked(self) -> bool {
        let (value, mask) = self.masked();
        (0..=u8::MAX).all(|byte| self.has(byte) == (byte & mask == value))
    }

    pub(super) fn print(self, out: &mut String) {
        // Into a string: this cannot fail.
        let mut runs = Vec::new();
        for byte in self.bytes() {
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == byte => *last = byte,
                _ => runs.push((byte, byte)),
            }
        }
        if let [(one, last)] = runs[..]
            && one == last
        {
            if one.is_ascii_alphanumeric() {
                out.push(char::from(one));
            } else {
                let _ = write!(out, "\\x{one:02x}");
            }
            return;
        }
        out.push('[');
        for (first, last) in runs {
            let _ = match last - first {
                0 => write!(out, "\\x{first:02x}"),
                _ => write!(out, "\\x{first:02x}-\\x{last:02x}"),
            };
        }
        out.push(']');
    }
}
