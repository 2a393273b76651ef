//! What a file is, told from its first bytes.

use super::pcap::Variant;
use super::pcapng;
use std::fmt;

/// Bytes that tell a capture from anything else; every capture has more.
pub(super) const ENOUGH: usize = 12;
/// Bytes that [`describe`] likes to have: a tar archive shows itself at 257.
pub(super) const HEAD: usize = 512;

/// What the first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Pcap,
    Pcapng,
    Gzip,
    Zstd,
    Foreign,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pcap => "a pcap file",
            Self::Pcapng => "a pcapng file",
            Self::Gzip => "a gzip file",
            Self::Zstd => "a zstd file",
            Self::Foreign => "something else",
        })
    }
}

/// Tells captures and compressed files from anything else.
pub(super) fn identify(head: &[u8]) -> Kind {
    if Variant::of(head).is_some() {
        Kind::Pcap
    } else if pcapng::starts_section(head) {
        Kind::Pcapng
    } else if head.starts_with(&[0x1f, 0x8b, 8]) {
        Kind::Gzip
    } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) || is_zstd_skippable(head) {
        Kind::Zstd
    } else {
        Kind::Foreign
    }
}

/// A zstd file may begin with a skippable frame (pzstd writes one), whose magic is 0x184D2A50 to 0x184D2A5F.
fn is_zstd_skippable(head: &[u8]) -> bool {
    matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// Whether these few bytes, being all there is, are the beginning of a capture that broke off.
pub(super) fn may_become_a_capture(head: &[u8]) -> bool {
    !head.is_empty()
        && head.len() < ENOUGH
        && (Variant::may_begin_with(head) || pcapng::may_begin_with(head))
}

/// What a foreign file looks like, for people.
pub(super) fn describe(head: &[u8]) -> String {
    if let Some((_, _, name)) = KNOWN
        .iter()
        .find(|(at, magic, _)| head.get(*at..).is_some_and(|b| b.starts_with(magic)))
    {
        return (*name).to_owned();
    }
    if let Some(text) = text(head) {
        return describe_text(text);
    }
    let bytes: Vec<String> = head.iter().take(8).map(|b| format!("{b:02x}")).collect();
    format!("data that begins with the bytes {}", bytes.join(" "))
}

/// The text that `head` begins with, if it is text; a character cut in two at the end does not matter.
fn text(head: &[u8]) -> Option<&str> {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(head.get(..error.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };
    let printable = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t' | '\x0c');
    (!text.is_empty() && text.chars().all(printable)).then_some(text)
}

fn describe_text(text: &str) -> String {
    let text = text.trim_start_matches('\u{feff}').trim();
    let begins = |with: &str| {
        text.get(..with.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(with))
    };
    if text.is_empty() {
        "nothing but blanks".into()
    } else if begins("<!doctype html") || begins("<html") {
        "an HTML page".into()
    } else if begins("<?xml") {
        "XML".into()
    } else if text.starts_with('{') || text.starts_with("[{") || text.starts_with("[\"") {
        "JSON".into()
    } else {
        let line = text.lines().next().unwrap_or_default();
        let start: String = line.chars().take(24).collect();
        format!("text that begins with \"{}\"", start.escape_debug())
    }
}

/// Offset, bytes, name.
const KNOWN: &[(usize, &[u8], &str)] = &[
    (
        0,
        b"snoop\0\0\0",
        "a Solaris snoop capture; editcap -F pcap converts it",
    ),
    (
        0,
        b"GMBU",
        "a Microsoft Network Monitor capture; editcap -F pcap converts it",
    ),
    (
        0,
        b"RTSS",
        "a Microsoft Network Monitor 1 capture; editcap -F pcap converts it",
    ),
    (
        0,
        b"TRSNIFF data    \x1a",
        "a DOS Sniffer capture; editcap -F pcap converts it",
    ),
    (
        0,
        b"XCP\0",
        "a Windows Sniffer capture; editcap -F pcap converts it",
    ),
    (
        0,
        b"iptrace ",
        "an AIX iptrace capture; editcap -F pcap converts it",
    ),
    (0, b"\xfd7zXZ\0", "an xz file; unpack it first"),
    (0, b"BZh", "a bzip2 file; unpack it first"),
    (0, b"\x04\x22\x4d\x18", "an LZ4 file; unpack it first"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive; unpack it first"),
    (0, b"Rar!\x1a\x07", "a RAR archive; unpack it first"),
    (0, b"PK\x03\x04", "a ZIP archive; unpack it first"),
    (0, b"PK\x05\x06", "an empty ZIP archive"),
    (257, b"ustar", "a tar archive; unpack it first"),
    (0, b"\x7fELF", "an ELF program"),
    (0, b"MZ", "a Windows program"),
    (0, b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (0, b"\xff\xd8\xff", "a JPEG image"),
    (0, b"GIF8", "a GIF image"),
    (0, b"%PDF-", "a PDF document"),
    (0, b"SQLite format 3\0", "an SQLite database"),
    (
        0,
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "an old Microsoft Office document",
    ),
];

#[cfg(test)]
mod tests {
    use super::describe;

    #[test]
    fn names_what_it_finds_instead() {
        for (bytes, name) in [
            (&b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..], "a PNG image"),
            (b"\x7fELF\x02\x01\x01", "an ELF program"),
            (b"PK\x03\x04\x14\0", "a ZIP archive; unpack it first"),
            (
                b"snoop\0\0\0\0\0\0\x02",
                "a Solaris snoop capture; editcap -F pcap converts it",
            ),
            (b"\n<!DOCTYPE HTML>\n<html>", "an HTML page"),
            (b"{\"schema\":\"x\"}", "JSON"),
            (b"\xef\xbb\xbf<?xml version=\"1.0\"?>", "XML"),
            (
                b"frame,time,\"src\"\n1,2,3",
                "text that begins with \"frame,time,\\\"src\\\"\"",
            ),
            (b" \r\n\t ", "nothing but blanks"),
            (
                b"\x01\x02\xff\0",
                "data that begins with the bytes 01 02 ff 00",
            ),
        ] {
            assert_eq!(describe(bytes), name);
        }
    }

    #[test]
    fn text_that_would_drive_a_terminal_is_not_shown_as_text() {
        assert_eq!(
            describe(b"\x1b[2Jhello"),
            "data that begins with the bytes 1b 5b 32 4a 68 65 6c 6c"
        );
        // U+202E turns the writing direction around.
        assert!(!describe("abc\u{202e}def".as_bytes()).contains('\u{202e}'));
    }

    #[test]
    fn a_character_cut_in_two_is_still_text() {
        assert_eq!(describe(b"caf\xc3"), "text that begins with \"caf\"");
    }
}
