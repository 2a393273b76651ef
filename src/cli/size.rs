//! An amount of memory, as people write it.

use std::fmt;
use std::str::FromStr;

/// Less does not hold the flows of a busy second.
const LEAST: u64 = 16 << 20;
/// Smaller files are all head.
const LEAST_FILE: u64 = 4 << 10;

/// Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(u64);

impl Size {
    /// The number.
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// The number, of a file.
    pub const fn in_file(self) -> u64 {
        self.0
    }
}

/// What is wrong with a size.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// No number with a unit.
    #[error("write a number of bytes, or one with a unit: 64M, 1G, 512MiB")]
    NoSize,
    /// Below the least.
    #[error("at least {} are needed", if *.0 < 1 << 20 { "4K" } else { "16M" })]
    TooSmall(u64),
}

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        Self::parse(text, LEAST)
    }
}

impl Size {
    /// The size of a file.
    pub fn of_file(text: &str) -> Result<Self, SizeError> {
        Self::parse(text, LEAST_FILE)
    }

    fn parse(text: &str, least: u64) -> Result<Self, SizeError> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| SizeError::NoSize)?;
        let shift = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 10,
            "m" | "mb" | "mib" => 20,
            "g" | "gb" | "gib" => 30,
            _ => return Err(SizeError::NoSize),
        };
        let bytes = number.checked_mul(1 << shift).ok_or(SizeError::NoSize)?;
        if bytes < least {
            return Err(SizeError::TooSmall(least));
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}M", self.0 >> 20)
    }
}

#[cfg(test)]
mod tests {
    use super::{Size, SizeError};

    #[test]
    fn sizes_as_people_write_them() {
        for (text, bytes) in [
            ("16777216", 16 << 20),
            ("16384k", 16 << 20),
            ("64M", 64 << 20),
            ("64MiB", 64 << 20),
            ("2g", 2 << 30),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for text in ["", "M", "-1", "1.5G", "64 M", "64T", "99999999999G"] {
            assert_eq!(text.parse::<Size>(), Err(SizeError::NoSize), "{text}");
        }
        assert_eq!("1M".parse::<Size>(), Err(SizeError::TooSmall(16 << 20)));
        assert_eq!(Size::of_file("1M"), Ok(Size(1 << 20)));
        assert_eq!(Size::of_file("1K"), Err(SizeError::TooSmall(4096)));
    }
}
