//! What a segment begins with, for iptables' `-m u32`.

use super::iptables::Family;
use crate::policy::Opening;

/// One match reads at most so many places.
const MOST: usize = 10;

/// `-m u32 --u32 "..."`, more than one for what is long.
///
/// u32 reads four bytes at a place, and masks them. What stands before the @ goes over the IP and TCP headers,
/// as long as they say they are; for IPv6 it supposes that no extension header is between them.
pub(super) fn matches(opening: &Opening, family: Family) -> String {
    let (skip, base) = match family {
        Family::V4 => ("0>>22&0x3C@12>>26&0x3C@", 0),
        Family::V6 => ("52>>26&0x3C@", 40),
    };
    let tests: Vec<String> = windows(opening)
        .into_iter()
        .map(|(at, mask, value)| {
            let mask = match mask {
                u32::MAX => String::new(),
                mask => format!("&0x{mask:x}"),
            };
            format!("{skip}{}{mask}=0x{value:x}", base + at)
        })
        .collect();
    let matches: Vec<String> = tests
        .chunks(MOST)
        .map(|tests| format!("-m u32 --u32 \"{}\"", tests.join("&&")))
        .collect();
    matches.join(" ")
}

/// Place, mask and value of four bytes each. None reaches beyond what is looked for: those bytes need not be there.
fn windows(opening: &Opening) -> Vec<(usize, u32, u32)> {
    let fixed = |at: usize| {
        opening.pieces.iter().find_map(|(start, bytes)| {
            let inside = at.checked_sub(usize::from(*start))?;
            bytes.get(inside).copied()
        })
    };
    let end = opening
        .pieces
        .iter()
        .map(|(start, bytes)| usize::from(*start) + bytes.len())
        .max()
        .unwrap_or(0);
    let mut windows = Vec::new();
    let mut at = 0;
    while at < end {
        if fixed(at).is_none() {
            at += 1;
            continue;
        }
        let start = at.min(end.saturating_sub(4));
        let (mut mask, mut value) = (0_u32, 0_u32);
        for place in start..start + 4 {
            let byte = fixed(place);
            mask = mask << 8 | if byte.is_some() { 0xff } else { 0 };
            value = value << 8 | u32::from(byte.unwrap_or(0));
        }
        windows.push((start, mask, value));
        at = start + 4;
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fixed_byte_is_compared_and_none_beyond_the_end_is_read() {
        assert_eq!(
            windows(&Opening::flap()),
            [(0, 0xffff_0000, 0x2a01_0000), (6, u32::MAX, 1)]
        );
        let five = Opening::prefix(b"YMSG\0");
        assert_eq!(
            windows(&five),
            [(0, u32::MAX, 0x594d_5347), (1, u32::MAX, 0x4d53_4700)]
        );
        let ver = Opening {
            pieces: vec![(0, b"VER ".to_vec()), (5, b" MSNP".to_vec())],
        };
        assert_eq!(
            windows(&ver),
            [
                (0, u32::MAX, 0x5645_5220),
                (5, u32::MAX, 0x204d_534e),
                (6, u32::MAX, 0x4d53_4e50)
            ]
        );
        assert_eq!(
            matches(&Opening::flap(), Family::V6),
            "-m u32 --u32 \"52>>26&0x3C@40&0xffff0000=0x2a010000&&52>>26&0x3C@46=0x1\""
        );
        let long = Opening::prefix(&[7; 40]);
        assert_eq!(matches(&long, Family::V4).matches("-m u32").count(), 1);
        let longer = Opening {
            pieces: vec![(0, vec![7; 41])],
        };
        assert_eq!(matches(&longer, Family::V4).matches("-m u32").count(), 2);
    }
}
