//! YPNS, the protocol of the first Yahoo! Pagers (before 2000), and its answers, YHOO.
//!
//! A header of 104 bytes, little-endian: version (8 bytes of text), length, service, connection, magic id,
//! unknown, message type (4 bytes each), two names (36 bytes each). No capture of it was at hand, so it
//! stays `probable`, and only if every field is sane.

use super::session::account;
use crate::classify::opening::Openings;
use crate::classify::{Claim, Detector, Dissector, Events, Probe, ProbeInput, Start};
use crate::model::{Direction, Event, Evidence, Format, Service, Transport, feature};

const HEADER: usize = 104;

/// The old pager.
#[derive(Debug)]
pub struct Ypns;

fn format() -> Format {
    Format::messenger(Service::YAHOO, "ypns", "session")
}

/// A field of text, padded with NUL to its end. `None` when it is anything else.
fn padded(field: &[u8]) -> Option<&str> {
    let end = field.iter().position(|byte| *byte == 0)?;
    let (text, padding) = field.split_at(end);
    if padding.iter().any(|byte| *byte != 0) || !text.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    std::str::from_utf8(text).ok()
}

/// Whether this is a header, as far as it goes: magic, a version like `YPNS2.0`, lengths and numbers in
/// range, printable names.
fn sane(bytes: &[u8]) -> bool {
    let number = |at: usize| {
        bytes
            .get(at..at + 4)
            .and_then(|four| four.first_chunk().copied())
            .map(u32::from_le_bytes)
    };
    let magic = [b"YPNS", b"YHOO"]
        .iter()
        .any(|magic| bytes.iter().zip(*magic).all(|(have, want)| have == want));
    let version = bytes.get(4..8).is_none_or(|version| {
        matches!(padded(version), Some(text) if text.len() >= 2
            && text.starts_with(|c: char| c.is_ascii_digit())
            && text.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
    });
    magic
        && version
        && number(8).is_none_or(|length| length <= 65_535)
        && number(12).is_none_or(|service| (1..=0x02EA).contains(&service))
        && number(28).is_none_or(|kind| matches!(kind, 0..=2 | 4 | 0x5A55_AA56))
        && bytes.get(32..68).is_none_or(|name| padded(name).is_some())
        && bytes.get(68..104).is_none_or(|name| padded(name).is_some())
}

impl Detector for Ypns {
    fn name(&self) -> &'static str {
        "ypns"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn probe(&self, input: &ProbeInput<'_>) -> Probe {
        let bytes = input.bytes.get(..HEADER).unwrap_or(input.bytes);
        if input.start == Start::Later || !sane(bytes) {
            return Probe::No;
        }
        if bytes.len() < HEADER {
            return Probe::NeedMore {
                from: 0,
                total: HEADER,
            };
        }
        // Two headers of nothing but names left empty are too little.
        if bytes.get(32) == Some(&0) && bytes.get(68) == Some(&0) {
            return Probe::No;
        }
        let from_client = bytes.starts_with(b"YPNS");
        Probe::Likely(Claim {
            format: format(),
            offset: 0,
            sender_is_client: Some(from_client),
            evidence: Evidence::payload("ypns-header", "YPNS header of 104 bytes with sane fields"),
        })
    }

    fn dissector(&self, _claim: &Claim) -> Box<dyn Dissector> {
        Box::new(YpnsDissector {
            openings: Openings::new(HEADER),
        })
    }
}

/// Reads the first header of each direction. Whether the length counts the header is not settled, so the
/// following ones are not looked for.
#[derive(Debug)]
struct YpnsDissector {
    openings: Openings,
}

impl Dissector for YpnsDissector {
    fn feed(&mut self, direction: Direction, bytes: &[u8], out: &mut Events) {
        self.openings.feed(direction, bytes, |header| {
            if header.len() < HEADER {
                return false;
            }
            if sane(header) {
                out.push(Event::Feature(feature::SIGN_ON));
                // The client's header names its user first.
                if let Some(name) = header.get(32..68).and_then(padded).and_then(account)
                    && header.starts_with(b"YPNS")
                {
                    out.push(Event::Account(name));
                }
            }
            true
        });
    }

    fn gap(&mut self, direction: Direction, _missing: u64, _out: &mut Events) {
        self.openings.close(direction);
    }

    fn is_done(&self) -> bool {
        self.openings.is_done()
    }

    fn memory(&self) -> usize {
        size_of_val(self) + self.openings.memory()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::yahoo::testing::{events, verdict};

    fn header(magic: &[u8], version: [u8; 4], service: u32, name: &str) -> Vec<u8> {
        let mut bytes = [magic, &version[..]].concat();
        for number in [0_u32, service, 7, 0, 0, 1] {
            bytes.extend(number.to_le_bytes());
        }
        for name in [name, name] {
            bytes.extend(name.bytes().chain(std::iter::repeat(0)).take(36));
        }
        bytes
    }

    #[test]
    fn a_sane_header_is_likely() {
        let bytes = header(b"YPNS", *b"2.0\0", 0x01, "alice");
        assert!(matches!(
            verdict(&Ypns, &bytes, Start::Beginning),
            Probe::Likely(_)
        ));
        let told = events(&Ypns, &[(Direction::ToServer, bytes)]);
        assert!(told.contains(&Event::Account("alice".into())));
        let answer = header(b"YHOO", *b"1.0\0", 0x01, "alice");
        assert!(matches!(
            verdict(&Ypns, &answer, Start::Joined),
            Probe::Likely(_)
        ));
    }

    #[test]
    fn anything_less_is_nothing() {
        for bytes in [
            header(b"YPNS", *b"rock", 0x01, "alice"),
            header(b"YPNS", *b"2.0\0", 0x4000, "alice"),
            header(b"YPNS", *b"2.0\0", 0x01, "al ice"),
            header(b"YPNS", *b"2.0\0", 0x01, ""),
            header(b"YAHO", *b"2.0\0", 0x01, "alice"),
            b"YHOO is what some people type instead of the name of a company, and then they wonder what it is that they get.".to_vec(),
        ] {
            assert_eq!(verdict(&Ypns, &bytes, Start::Beginning), Probe::No);
        }
    }
}
