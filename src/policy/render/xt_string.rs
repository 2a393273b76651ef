//! Bytes anywhere in a segment, for iptables' `-m string`.

use super::iptables::Family;
use crate::policy::hello::FIRST_EXTENSION;
use std::fmt::Write as _;

/// `-m string --algo kmp --hex-string "|0d0a0d0a|YMSG"`.
///
/// Not `bm`: it misses what lies across two of the pages that a packet is kept in. No `--to`: kernels differ in whether what
/// is searched must begin or end before it.
pub(super) fn matches(bytes: &[u8]) -> String {
    format!("-m string --algo kmp {}", pattern(bytes))
}

/// The same in letters of either case.
pub(super) fn in_any_case(bytes: &[u8]) -> String {
    format!("-m string --algo kmp --icase {}", pattern(bytes))
}

/// The same among a TLS hello's extensions, and not in what is random before them. The place is counted from the IP header on,
/// and as if neither it nor TCP's had options.
pub(super) fn in_extensions(bytes: &[u8], family: Family) -> String {
    let headers = match family {
        Family::V4 => 40,
        Family::V6 => 60,
    };
    format!(
        "-m string --algo kmp --icase --from {} {}",
        headers + FIRST_EXTENSION,
        pattern(bytes)
    )
}

/// What needs no quoting anywhere stands as it is.
fn pattern(bytes: &[u8]) -> String {
    let mut text = String::from("--hex-string \"");
    let mut hex = false;
    for byte in bytes {
        let plain = byte.is_ascii_alphanumeric() || b".-_".contains(byte);
        if plain == hex {
            text.push('|');
            hex = !hex;
        }
        // Writing to a String cannot fail.
        let _ = if plain {
            write!(text, "{}", char::from(*byte))
        } else {
            write!(text, "{byte:02x}")
        };
    }
    if hex {
        text.push('|');
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_need_quoting_is_written_in_hex() {
        assert_eq!(
            matches(b"\r\n\r\nYMSG\0"),
            "-m string --algo kmp --hex-string \"|0d0a0d0a|YMSG|00|\""
        );
        assert_eq!(
            in_any_case(b".a-b.example\"|$ `x"),
            "-m string --algo kmp --icase --hex-string \".a-b.example|227c242060|x\""
        );
        assert_eq!(
            in_extensions(b"\0a", Family::V6),
            "-m string --algo kmp --icase --from 112 --hex-string \"|00|a\""
        );
    }
}
