//! What a connection opens with: `'VER ' ?? ' MSNP'`, `2a 01 ?? ?? ?? ?? 00 00 00 01`.

use std::fmt;

/// Fewer fixed bytes are met in other protocols by chance.
const FEWEST_FIXED: usize = 5;
/// Firewalls compare only so much.
const LONGEST: usize = 64;

/// Bytes from the first one on, some of which may be anything. The first and the last one are fixed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pattern {
    bytes: Vec<Option<u8>>,
}

impl Pattern {
    /// Reads words: two hex digits, `??` for any byte, text in single quotes.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut bytes = Vec::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            if let Some(quoted) = rest.strip_prefix('\'') {
                let (inside, after) = quoted
                    .split_once('\'')
                    .ok_or("a quote that is not closed")?;
                bytes.extend(inside.bytes().map(Some));
                rest = after.trim_start();
                continue;
            }
            let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            bytes.push(if word == "??" {
                None
            } else {
                let hex = word.len() == 2 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
                let byte = u8::from_str_radix(word, 16).ok().filter(|_| hex);
                Some(byte.ok_or("words are two hex digits, ??, or text in single quotes")?)
            });
            rest = after.trim_start();
        }
        if bytes.len() > LONGEST {
            return Err("at most 64 bytes: firewalls compare no more");
        }
        if bytes.iter().flatten().count() < FEWEST_FIXED {
            return Err("at least five bytes must be fixed: fewer are met elsewhere by chance");
        }
        if bytes.first() == Some(&None) || bytes.last() == Some(&None) {
            return Err("the first and the last byte must be fixed");
        }
        Ok(Self { bytes })
    }

    /// The runs of fixed bytes, each with its place.
    pub fn pieces(&self) -> Vec<(u16, Vec<u8>)> {
        let mut pieces: Vec<(u16, Vec<u8>)> = Vec::new();
        let mut joined = false;
        for (at, byte) in self.bytes.iter().enumerate() {
            match (byte, pieces.last_mut()) {
                (None, _) => joined = false,
                (Some(byte), Some((_, piece))) if joined => piece.push(*byte),
                (Some(byte), _) => {
                    pieces.push((at as u16, vec![*byte]));
                    joined = true;
                }
            }
        }
        pieces
    }
}

/// In hex, `??` for any byte.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.bytes.iter().enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            match byte {
                Some(byte) => write!(f, "{byte:02x}")?,
                None => f.write_str("??")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn words_are_hex_any_byte_and_text() {
        let pattern = Pattern::parse("'VER ' ?? ' M' 53 4E 50").unwrap();
        assert_eq!(
            pattern.pieces(),
            [(0, b"VER ".to_vec()), (5, b" MSNP".to_vec())]
        );
        assert_eq!(pattern.to_string(), "56 45 52 20 ?? 20 4d 53 4e 50");
        assert_eq!(Pattern::parse(&pattern.to_string()).unwrap(), pattern);
    }

    #[test]
    fn what_would_match_too_much_or_nothing_is_refused() {
        for wrong in [
            "",
            "'YMSG'",
            "?? 'YMSG1'",
            "'YMSG1' ??",
            "'YMSG",
            "1 2 3 4 5",
            "zz 01 02 03 04 05",
            "+1 01 02 03 04 05",
        ] {
            assert!(Pattern::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Pattern::parse(&"00 ".repeat(65)).is_err());
        assert!(Pattern::parse(&"00 ".repeat(64)).is_ok());
    }
}
