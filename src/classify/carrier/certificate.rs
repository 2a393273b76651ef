//! The names in a server's certificate. Up to TLS 1.2 it is sent in clear text, behind the `ServerHello` (RFC 5246, 7.4.2).
//!
//! Whether anybody signed it, and whom it convinced, is not looked at: it is the server's own word.

use super::hello::host_name;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// Longest beginning of a server's flight in which its certificate is looked for.
pub const MAX_FLIGHT: usize = 16 * 1024;
/// Kinds of handshake messages. Clients send certificates as well: only what begins with a `ServerHello` is a server's flight.
const SERVER_HELLO: u8 = 2;
const SUPPLEMENTAL_DATA: u8 = 23;
const CERTIFICATE: u8 = 11;
/// A certificate for more hosts than that is one of a network that serves everybody.
const MAX_NAMES: usize = 128;
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// How far the reading of a flight came.
#[derive(Debug, PartialEq, Eq)]
pub enum Flight {
    /// The certificate ends behind these bytes.
    NeedMore,
    /// The hosts that it is for.
    Certificate(Vec<String>),
    /// There is none, or none that says whom it is for.
    None,
}

/// Reads a server's handshake messages from the first one on, as far as its own certificate. Those that vouch for it are not
/// looked at.
pub fn read(flight: &[u8]) -> Flight {
    let mut rest = flight;
    loop {
        let [kind, message @ ..] = rest else {
            return Flight::NeedMore;
        };
        // RFC 4680 has data between the two.
        let expected = match (rest.len() == flight.len(), *kind) {
            (true, kind) => kind == SERVER_HELLO,
            (false, kind) => [SUPPLEMENTAL_DATA, CERTIFICATE].contains(&kind),
        };
        if !expected {
            return Flight::None;
        }
        let Some((length, body)) = number(message) else {
            return Flight::NeedMore;
        };
        if *kind == CERTIFICATE {
            return leaf(length, body);
        }
        let Some(behind) = body.get(length..) else {
            return Flight::NeedMore;
        };
        rest = behind;
    }
}

/// The first certificate of a list, in a message of that length.
fn leaf(length: usize, body: &[u8]) -> Flight {
    let Some((list, rest)) = number(body) else {
        return Flight::NeedMore;
    };
    // A server without one sends an empty list.
    if list == 0 || list + 3 != length {
        return Flight::None;
    }
    let Some((certificate, rest)) = number(rest) else {
        return Flight::NeedMore;
    };
    if certificate + 3 > list || certificate > MAX_FLIGHT {
        return Flight::None;
    }
    match rest.get(..certificate).map(names) {
        None => Flight::NeedMore,
        Some(Some(names)) => Flight::Certificate(names),
        Some(None) => Flight::None,
    }
}

/// A number of three bytes, and what is behind it.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&[a, b, c], rest) = bytes.split_first_chunk()?;
    Some((u32::from_be_bytes([0, a, b, c]) as usize, rest))
}

/// The hosts that a certificate is for: its alternative names, or without any the subject's common name (RFC 6125, 6.4.4). `None`
/// if one of them cannot be read.
fn names(der: &[u8]) -> Option<Vec<String>> {
    let certificate = Certificate::from_der(der).ok()?;
    let certificate = certificate.tbs_certificate();
    let alternative = certificate.get_extension::<SubjectAltName>().ok()?;
    let alternative = alternative.map(|(_, names)| names.0).unwrap_or_default();
    let hosts = alternative.iter().filter_map(|name| match name {
        GeneralName::DnsName(name) => Some(name.as_str()),
        _ => None,
    });
    let mut names: Vec<String> = hosts
        .take(MAX_NAMES + 1)
        .map(host_name)
        .collect::<Option<_>>()?;
    if names.is_empty() {
        let subject = certificate.subject().iter();
        let common = subject.filter(|part| part.oid == COMMON_NAME);
        let common = common.map(|part| {
            std::str::from_utf8(part.value.value())
                .ok()
                .and_then(host_name)
        });
        names = common.collect::<Option<_>>()?;
    }
    (1..=MAX_NAMES).contains(&names.len()).then_some(names)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub mod testing {
    use base64::prelude::{BASE64_STANDARD, Engine};

    /// Two certificates that `openssl` made. The first is for `*.chat.example.com` and `talk.example.net`, an address and a user's
    /// mail, with another common name; the second is of version 1, for `chat.example.com` by its common name.
    const ALTERNATIVES: &str = "MIIB+jCCAZ+gAwIBAgIUa/yhYcVe7jQS7pnn7AiNmntpZPIwCgYIKoZIzj0EAwIwLDEQMA4GA1UECgwHRXhhbXBsZTEYMBYGA1UEAwwPd3d3LmV4YW1wbGUuY29tMB4XDT\
    I2MTEyODExNDczNFoXDTM2MTEyNTExNDczNFowLDEQMA4GA1UECgwHRXhhbXBsZTEYMBYGA1UEAwwPd3d3LmV4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcD\
    QgAEPy9WPjXyirsD9CIPAq4weq8hgUQM+0IXrQG9AfbzGHPQtWLwnouDnK1SfqrDLhHg75gUSYz5Iw3xDH+N0EREXKOBnjCBmzAdBgNVHQ4EFgQUlCkoubAWeO8sopSZY8\
    VG8juaZh0wHwYDVR0jBBgwFoAUlCkoubAWeO8sopSZY8VG8juaZh0wDwYDVR0TAQH/BAUwAwEB/zBIBgNVHREEQTA/ghIqLmNoYXQuZXhhbXBsZS5jb22CEFRhbGsuRXhh\
    bXBsZS5uZXSHBMAAAgGBEWFsaWNlQGV4YW1wbGUuY29tMAoGCCqGSM49BAMCA0kAMEYCIQCWHiDWsVgPZct9LWnCid9qG3CdAM1/WgV6FVAiLxNugQIhANWfBuZy7pL8V3\
    6WBXzTfFbhU/EzEPkeQJcscyJaP6G/";
    const COMMON: &str = "MIIBVTCB+wIUDYRoyG/LHVNKxpUnfJxFRj7QBJkwCgYIKoZIzj0EAwIwLTEQMA4GA1UECgwHRXhhbXBsZTEZMBcGA1UEAwwQQ2hhdC5FeGFtcGxlLmNvbTAeFw0yNjExMj\
    gxMTQ3MzRaFw0zNjExMjUxMTQ3MzRaMC0xEDAOBgNVBAoMB0V4YW1wbGUxGTAXBgNVBAMMEENoYXQuRXhhbXBsZS5jb20wWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQ/\
    L1Y+NfKKuwP0Ig8CrjB6ryGBRAz7QhetAb0B9vMYc9C1YvCei4OcrVJ+qsMuEeDvmBRJjPkjDfEMf43QRERcMAoGCCqGSM49BAMCA0kAMEYCIQCoBKwy05KMHB5HIHUOs8\
    4Te2SMkSGfkhGSFPTy5DSdLQIhAIkglUgyQx+7/3i61lr4/6AwYriQOzJeHW0W/rMyrj6P";

    pub fn alternatives() -> Vec<u8> {
        BASE64_STANDARD.decode(ALTERNATIVES).unwrap()
    }

    pub fn common() -> Vec<u8> {
        BASE64_STANDARD.decode(COMMON).unwrap()
    }

    pub fn be24(n: usize) -> [u8; 3] {
        let [.., a, b, c] = n.to_be_bytes();
        [a, b, c]
    }

    /// A handshake message with these certificates.
    pub fn message(chain: &[Vec<u8>]) -> Vec<u8> {
        let list = chain
            .iter()
            .flat_map(|one| [&be24(one.len())[..], one].concat());
        let list: Vec<u8> = list.collect();
        [&[11][..], &be24(list.len() + 3), &be24(list.len()), &list].concat()
    }

    /// A server's first flight, up to TLS 1.2.
    pub fn flight(chain: &[Vec<u8>]) -> Vec<u8> {
        let hello = [&[2, 0, 0, 38, 3, 1][..], &[7; 32], &[0, 0, 10, 0]].concat();
        [&hello[..], &message(chain), &[14, 0, 0, 0]].concat()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::testing::{alternatives, common, flight, message};
    use super::{Flight, names, read};

    fn of(names: &[&str]) -> Flight {
        Flight::Certificate(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn the_servers_own_certificate_is_read_as_soon_as_it_is_there() {
        let both = ["*.chat.example.com", "talk.example.net"];
        for (chain, expected) in [
            ([alternatives(), common()], of(&both)),
            ([common(), alternatives()], of(&["chat.example.com"])),
        ] {
            let flight = flight(&chain);
            let end = 42 + 10 + chain[0].len();
            for cut in 0..=flight.len() {
                let told = read(&flight[..cut]);
                let right = if cut < end {
                    &Flight::NeedMore
                } else {
                    &expected
                };
                assert_eq!(&told, right, "first {cut} bytes");
            }
        }
    }

    #[test]
    fn what_is_no_flight_with_a_certificate_is_none() {
        let hello = &flight(&[])[..42];
        let none: [&[u8]; 8] = [
            // A client has certificates as well.
            &message(&[alternatives()]),
            // Another message comes first, or the server has none.
            &[hello, &[14, 0, 0, 0]].concat(),
            &[hello, &[12, 0, 0, 1]].concat(),
            &flight(&[]),
            &flight(&[Vec::new()]),
            // Lengths that do not fit into each other, and one that nobody waits for.
            &[hello, &[11, 0, 0, 9, 0, 0, 7, 0, 0, 3, 1, 2, 3]].concat(),
            &[hello, &[11, 0, 0, 9, 0, 0, 6, 0, 0, 4, 1, 2, 3]].concat(),
            &[
                hello,
                &[11, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfc, 0xff, 0xff, 0xf9],
            ]
            .concat(),
        ];
        for flight in none {
            assert_eq!(read(flight), Flight::None, "{flight:02x?}");
        }
    }

    #[test]
    fn no_changed_byte_does_harm() {
        let whole = alternatives();
        let mut readable = 0;
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut changed = whole.clone();
                changed[at] ^= 1 << bit;
                readable += usize::from(names(&changed).is_some_and(|names| !names.is_empty()));
            }
            assert_eq!(names(&whole[..at]), None, "first {at} bytes");
        }
        // Keys and signatures may be anything.
        assert!(readable > 1000 && readable < 8 * whole.len(), "{readable}");
    }

    #[test]
    fn a_name_that_cannot_be_read_makes_it_nobodys() {
        let whole = alternatives();
        let at = whole.windows(4).position(|it| it == b"Talk").unwrap();
        for other in [0, b' ', 0xc3, b'\n'] {
            let mut changed = whole.clone();
            changed[at] = other;
            assert_eq!(names(&changed), None, "{other:#x}");
        }
    }
}
