//! JA4: a fingerprint of a TLS client's hello, as its makers, `FoxIO`, publish it (`technical_details/JA4.md`; BSD 3-Clause). The rest of
//! JA4+ is under another licence and is not here.

use sha2::{Digest, Sha256};
use std::fmt::Write;
use tls_parser::TlsClientHelloContents;

const SERVER_NAME: u16 = 0x0000;
const SIGNATURE_ALGORITHMS: u16 = 0x000d;
const ALPN: u16 = 0x0010;
const SUPPORTED_VERSIONS: u16 = 0x002b;
/// The counts have two digits.
const MOST: usize = 99;
/// What stands for the hash of nothing.
const NOTHING: &str = "000000000000";

/// What the hello came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// TLS over TCP.
    Tcp,
    /// QUIC.
    Quic,
}

/// The fingerprints that are asked for, in order.
#[derive(Debug)]
pub struct Fingerprints(Vec<String>);

impl Fingerprints {
    /// These; `None` if there are none.
    pub fn of<'a>(asked: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut asked: Vec<String> = asked.map(str::to_owned).collect();
        asked.sort_unstable();
        (!asked.is_empty()).then_some(Self(asked))
    }

    /// The fingerprint of a hello, if it is one of them.
    pub fn find(&self, over: Over, hello: &TlsClientHelloContents<'_>) -> Option<String> {
        fingerprint(over, hello, |beginning| self.is_begun_by(beginning))
    }

    fn is_begun_by(&self, beginning: &str) -> bool {
        let at = self.0.partition_point(|it| it.as_str() < beginning);
        self.0.get(at).is_some_and(|it| it.starts_with(beginning))
    }
}

/// The fingerprint of a hello, as long as somebody asks for one that begins so: most hellos need no hashing then.
fn fingerprint(
    over: Over,
    hello: &TlsClientHelloContents<'_>,
    is_asked: impl Fn(&str) -> bool,
) -> Option<String> {
    let mut ciphers: Vec<u16> = hello.ciphers.iter().map(|cipher| cipher.0).collect();
    ciphers.retain(|cipher| !is_grease(*cipher));
    let mut kinds = Vec::new();
    let mut algorithms = Vec::new();
    let mut version = hello.version.0;
    let mut protocol: &[u8] = &[];
    for (kind, body) in extensions(hello.ext.unwrap_or_default()) {
        if is_grease(kind) {
            continue;
        }
        kinds.push(kind);
        match kind {
            SIGNATURE_ALGORITHMS => algorithms = numbers(body.get(2..).unwrap_or_default()),
            SUPPORTED_VERSIONS => {
                let highest = numbers(body.get(1..).unwrap_or_default()).into_iter().max();
                version = highest.unwrap_or(version);
            }
            ALPN => {
                let length = body.get(2).copied().unwrap_or(0);
                let first = body.get(3..3 + usize::from(length));
                protocol = first.unwrap_or_default();
            }
            _ => {}
        }
    }
    let letter = match over {
        Over::Tcp => 't',
        Over::Quic => 'q',
    };
    let name = if kinds.contains(&SERVER_NAME) {
        'd'
    } else {
        'i'
    };
    let counts = [ciphers.len().min(MOST), kinds.len().min(MOST)];
    let [first, last] = ends(protocol);
    let mut text = format!(
        "{letter}{}{name}{:02}{:02}{first}{last}",
        digits(version),
        counts[0],
        counts[1]
    );
    if !is_asked(&text) {
        return None;
    }
    ciphers.sort_unstable();
    text.push('_');
    text.push_str(&hash(&list(&ciphers)));
    if !is_asked(&text) {
        return None;
    }
    kinds.retain(|kind| ![SERVER_NAME, ALPN].contains(kind));
    kinds.sort_unstable();
    let mut listed = list(&kinds);
    if !algorithms.is_empty() && !listed.is_empty() {
        listed.push('_');
        listed.push_str(&list(&algorithms));
    }
    text.push('_');
    text.push_str(&hash(&listed));
    is_asked(&text).then_some(text)
}

/// Values that clients make up, so that servers get used to unknown ones (RFC 8701).
const fn is_grease(value: u16) -> bool {
    let [high, low] = value.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}

const fn digits(version: u16) -> &'static str {
    match version {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        _ => "00",
    }
}

/// First and last character of the first protocol that is offered; of its hexadecimal digits, if one of them is neither letter
/// nor digit.
fn ends(protocol: &[u8]) -> [char; 2] {
    let (Some(&first), Some(&last)) = (protocol.first(), protocol.last()) else {
        return ['0', '0'];
    };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [char::from(first), char::from(last)];
    }
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
    [digit(first >> 4), digit(last & 0x0f)]
}

/// Kinds and bodies of extensions, as far as they are whole.
fn extensions(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let [a, b, c, d, behind @ ..] = rest else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([*c, *d]));
        let body = behind.get(..length)?;
        rest = &behind[length..];
        Some((u16::from_be_bytes([*a, *b]), body))
    })
}

fn numbers(bytes: &[u8]) -> Vec<u16> {
    let pairs = bytes.chunks_exact(2);
    let numbers = pairs.map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    numbers.filter(|number| !is_grease(*number)).collect()
}

fn list(values: &[u16]) -> String {
    let mut text = String::with_capacity(5 * values.len());
    for (at, value) in values.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        // Into a string: this cannot fail.
        let _ = write!(text, "{comma}{value:04x}");
    }
    text
}

/// The first twelve digits of SHA-256.
fn hash(text: &str) -> String {
    if text.is_empty() {
        return NOTHING.to_owned();
    }
    let digest = Sha256::digest(text.as_bytes());
    let mut digits = String::with_capacity(NOTHING.len());
    for byte in digest.iter().take(NOTHING.len() / 2) {
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

#[cfg(test)]
#[allow(clippy::panic, clippy::unwrap_used)]
mod tests {
    use super::{Fingerprints, Over, ends, fingerprint, is_grease};
    use tls_parser::{TlsMessage, TlsMessageHandshake};

    /// A hello with these ciphers and extensions, each extension with its body.
    fn hello(version: u16, ciphers: &[u16], extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let sized = |body: Vec<u8>| [&(body.len() as u16).to_be_bytes()[..], &body].concat();
        let pairs = |values: &[u16]| values.iter().flat_map(|v| v.to_be_bytes()).collect();
        let mut body = version.to_be_bytes().to_vec();
        body.extend([9; 32]);
        body.push(0);
        body.extend(sized(pairs(ciphers)));
        body.extend([1, 0]);
        if !extensions.is_empty() {
            let all = extensions.iter().flat_map(|(kind, body)| {
                [kind.to_be_bytes().to_vec(), sized(body.clone())].concat()
            });
            body.extend(sized(all.collect()));
        }
        [&[1, 0][..], &sized(body)].concat()
    }

    fn ja4(over: Over, message: &[u8]) -> String {
        let (_, message) = tls_parser::parse_tls_message_handshake(message).unwrap();
        let TlsMessage::Handshake(TlsMessageHandshake::ClientHello(hello)) = message else {
            return String::new();
        };
        fingerprint(over, &hello, |_| true).unwrap()
    }

    /// The example of the specification: a browser's hello, with GREASE in each list.
    fn example(grease: u16) -> Vec<u8> {
        let ciphers = [
            grease, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013,
            0xc014, 0x009c, 0x009d, 0x002f, 0x0035,
        ];
        let algorithms = [
            0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601,
        ];
        let mut signatures = vec![0, 2 * (algorithms.len() as u8)];
        signatures.extend(algorithms.iter().flat_map(|a: &u16| a.to_be_bytes()));
        let [high, low] = grease.to_be_bytes();
        let name = b"\x00\x0e\x00\x00\x0bexample.com".to_vec();
        let protocols = b"\x00\x0c\x02h2\x08http/1.1".to_vec();
        let versions = vec![6, high, low, 3, 4, 3, 3];
        let kinds: [(u16, Vec<u8>); 18] = [
            (grease, vec![]),
            (0x001b, vec![2, 0, 2]),
            (0x0000, name),
            (0x0033, vec![]),
            (0x0010, protocols),
            (0x4469, vec![]),
            (0x0017, vec![]),
            (0x002d, vec![1, 1]),
            (0x000d, signatures),
            (0x0005, vec![1, 0, 0, 0, 0]),
            (0x0023, vec![]),
            (0x0012, vec![]),
            (0x002b, versions),
            (0xff01, vec![0]),
            (0x000b, vec![1, 0]),
            (0x000a, vec![0, 2, 0, 0x1d]),
            (grease ^ 0x1010, vec![0]),
            (0x0015, vec![0; 9]),
        ];
        hello(0x0303, &ciphers, &kinds)
    }

    #[test]
    fn the_specifications_example_has_its_fingerprint_whatever_grease() {
        for grease in [0x0a0a, 0x8a8a, 0xfafa] {
            let told = ja4(Over::Tcp, &example(grease));
            assert_eq!(told, "t13d1516h2_8daaf6152771_e5627efa2ab1");
            let told = ja4(Over::Quic, &example(grease));
            assert_eq!(told, "q13d1516h2_8daaf6152771_e5627efa2ab1");
        }
    }

    #[test]
    fn what_nobody_asks_for_is_not_told() {
        let message = example(0x0a0a);
        let (_, message) = tls_parser::parse_tls_message_handshake(&message).unwrap();
        let TlsMessage::Handshake(TlsMessageHandshake::ClientHello(hello)) = message else {
            panic!("no hello");
        };
        let whole = "t13d1516h2_8daaf6152771_e5627efa2ab1";
        let near = [
            "t12d1516h2_8daaf6152771_e5627efa2ab1",
            "t13d1516h2_8daaf6152772_e5627efa2ab1",
            "t13d1516h2_8daaf6152771_e5627efa2ab0",
            "t13d1516h2_8daaf6152771_e5627efa2ab2",
            "q13d1516h2_8daaf6152771_e5627efa2ab1",
        ];
        let find = |asked: &[&str]| {
            let asked = Fingerprints::of(asked.iter().copied()).unwrap();
            asked.find(Over::Tcp, &hello)
        };
        assert_eq!(find(&near), None);
        assert_eq!(find(&[&near[..], &[whole]].concat()).unwrap(), whole);
        assert!(Fingerprints::of(std::iter::empty()).is_none());
    }

    #[test]
    fn order_of_ciphers_and_extensions_does_not_matter_but_that_of_algorithms_does() {
        let algorithms = |list: [u8; 4]| (0x000d, [&[0, 4][..], &list].concat());
        let one = [(0x0017, vec![]), algorithms([4, 3, 8, 4])];
        let turned = [algorithms([4, 3, 8, 4]), (0x0017, vec![])];
        let other = [(0x0017, vec![]), algorithms([8, 4, 4, 3])];
        let first = ja4(Over::Tcp, &hello(0x0303, &[0x1301, 0x1302], &one));
        assert_eq!(
            first,
            ja4(Over::Tcp, &hello(0x0303, &[0x1302, 0x1301], &turned))
        );
        assert_ne!(
            first,
            ja4(Over::Tcp, &hello(0x0303, &[0x1301, 0x1302], &other))
        );
        assert!(first.starts_with("t12i020200_"), "{first}");
    }

    #[test]
    fn nothing_is_twelve_noughts_and_many_are_ninety_nine() {
        let bare = ja4(Over::Tcp, &hello(0x0301, &[], &[]));
        assert_eq!(bare, "t10i000000_000000000000_000000000000");
        let only_a_name = [(0, b"\x00\x0e\x00\x00\x0bexample.com".to_vec())];
        let named = ja4(Over::Tcp, &hello(0x0300, &[], &only_a_name));
        assert_eq!(named, "ts3d000100_000000000000_000000000000");
        let ciphers: Vec<u16> = (1..=200).collect();
        let many = ja4(Over::Tcp, &hello(0x0303, &ciphers, &[]));
        assert!(many.starts_with("t12i990000_"), "{many}");
    }

    #[test]
    fn the_ends_of_a_protocols_name() {
        for (protocol, told) in [
            (&b""[..], "00"),
            (b"h2", "h2"),
            (b"http/1.1", "h1"),
            (b"x", "xx"),
            (b" ", "20"),
            (b"a ", "60"),
            (b"\xab", "ab"),
            (b"\xab\xcd", "ad"),
            (b"\x30\xab", "3b"),
            (b"\x30\x31\xab\xcd", "3d"),
            (b"\x30\xab\xcd\x31", "01"),
        ] {
            let [first, last] = ends(protocol);
            assert_eq!(format!("{first}{last}"), told, "{protocol:?}");
        }
    }

    #[test]
    fn grease_is_sixteen_values() {
        let those: Vec<u16> = (0..=u16::MAX).filter(|value| is_grease(*value)).collect();
        assert_eq!((those.len(), those[0], those[15]), (16, 0x0a0a, 0xfafa));
    }

    #[test]
    fn what_is_cut_off_does_no_harm() {
        for kind in [0x000d_u16, 0x0010, 0x002b] {
            for body in [
                vec![],
                vec![0],
                vec![0, 9],
                vec![0, 9, 200, 1],
                vec![255; 3],
            ] {
                let told = ja4(Over::Tcp, &hello(0x0303, &[1], &[(kind, body)]));
                assert_eq!(told.len(), 36, "{told}");
            }
        }
    }
}
