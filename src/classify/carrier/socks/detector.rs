//! Recognises SOCKS from the opening of either side.

use super::dissector::Connection;
use super::opening::{self, MAX_OPENING, Read};
use crate::classify::{Claim, Detector, Dissector, Probe, ProbeInput, Start, registry};
use crate::model::{Evidence, Format, Transport};

/// Bytes of a proxy that refuses: it has no more to say.
const MAX_REFUSAL: usize = 32;
/// Openings inside each other that are read.
const MAX_NESTED: usize = 8;

/// SOCKS 4, 4a and 5 over TCP.
pub struct Socks;

impl Detector for Socks {
    fn name(&self) -> &'static str {
        "socks"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn probe(&self, input: &ProbeInput<'_>) -> Probe {
        if input.start == Start::Later {
            return Probe::No;
        }
        match look(input.bytes) {
            Look::Proof(claim) => Probe::Certain(claim),
            Look::Weak(claim, length) => behind(claim, length, input),
            Look::More(most) if !input.ended && input.bytes.len() < most => Probe::NeedMore {
                from: 0,
                total: input.bytes.len() + 1,
            },
            Look::More(_) | Look::No => Probe::No,
        }
    }

    fn dissector(&self, _: &Claim) -> Box<dyn Dissector> {
        Box::new(Connection::default())
    }
}

/// What bytes are, by themselves.
enum Look {
    /// An opening that leaves no doubt.
    Proof(Claim),
    /// An opening of that length which other bytes may look like.
    Weak(Claim, usize),
    /// Perhaps the start of an opening, which is not longer than that.
    More(usize),
    No,
}

fn look(bytes: &[u8]) -> Look {
    let client = opening::client(bytes);
    let proxy = opening::proxy(bytes, false);
    match (client, proxy) {
        (Read::Done(request, length), _) => {
            let claim = claim(request.carrier, true, "request");
            if request.is_proof() {
                Look::Proof(claim)
            } else {
                Look::Weak(claim, length)
            }
        }
        (_, Read::Done(answer, length)) if answer.granted => {
            let claim = claim(answer.carrier, false, "reply");
            // Ten bytes of which five or more are given are proof; two of eight are not.
            match answer.carrier {
                "socks5" => Look::Proof(claim),
                _ => Look::Weak(claim, length),
            }
        }
        (Read::More, _) | (_, Read::More) => Look::More(MAX_OPENING),
        // A refusal proves nothing, but is remembered in case that the other side does.
        (Read::Wrong, Read::Done(..)) => Look::More(MAX_REFUSAL),
        (Read::Wrong, Read::Wrong) => Look::No,
    }
}

fn claim(carrier: &'static str, from_client: bool, what: &str) -> Claim {
    Claim {
        format: Format::other(carrier),
        offset: 0,
        sender_is_client: Some(from_client),
        evidence: Evidence::payload("socks", format!("{what} of {carrier}")),
    }
}

/// An opening of `length` bytes that proves little by itself is proven by something known behind it, which may be
/// another opening.
fn behind(claim: Claim, mut length: usize, input: &ProbeInput<'_>) -> Probe {
    let mut wanted: Option<usize> = None;
    let mut want = |total: usize| wanted = Some(wanted.map_or(total, |least| least.min(total)));
    for _ in 0..MAX_NESTED {
        let bytes = input.bytes.get(length..).unwrap_or_default();
        let inside = ProbeInput {
            bytes,
            start: Start::Beginning,
            wire_len: bytes.len(),
            expected: None,
            ..*input
        };
        if bytes.is_empty() {
            want(length.saturating_add(1));
        }
        let detectors = registry::FAMILIES.iter().copied().flatten().copied();
        let others = detectors.filter(|detector| {
            detector.transport() == Transport::Tcp && detector.name() != Socks.name()
        });
        let of_rules = input.signatures.and_then(|it| it.detector(Transport::Tcp));
        for detector in others.map(|it| it as &dyn Detector).chain(of_rules) {
            match detector.probe(&inside) {
                Probe::Certain(_) | Probe::Likely(_) => return Probe::Certain(claim),
                Probe::NeedMore { total, .. } => {
                    want(length.saturating_add(total.max(bytes.len() + 1)));
                }
                Probe::No => {}
            }
        }
        match look(bytes) {
            Look::Proof(_) => return Probe::Certain(claim),
            Look::Weak(_, more) => length = length.saturating_add(more),
            Look::More(most) if bytes.len() < most => {
                want(input.bytes.len() + 1);
                break;
            }
            Look::More(_) | Look::No => break,
        }
    }
    match wanted {
        Some(total) if !input.ended => Probe::NeedMore { from: 0, total },
        _ => Probe::No,
    }
}

#[cfg(test)]
mod tests {
    use super::Socks;
    use crate::classify::{Detector, Probe, ProbeInput, Start};
    use crate::model::Direction;

    fn probe(bytes: &[u8], start: Start, ended: bool) -> Probe {
        Socks.probe(&ProbeInput {
            direction: Direction::ToServer,
            bytes,
            start,
            wire_len: bytes.len(),
            ended,
            server_port: 1080,
            expected: None,
            signatures: None,
        })
    }

    /// The carrier, and whether the client sent it; every beginning must ask for more or say the same.
    fn named(bytes: &[u8]) -> Option<(&'static str, Option<bool>)> {
        let answer = |probe| match probe {
            Probe::Certain(claim) => Some((claim.format.app_proto, claim.sender_is_client)),
            _ => None,
        };
        let whole = answer(probe(bytes, Start::Beginning, false));
        for end in 0..bytes.len() {
            let part = probe(&bytes[..end], Start::Beginning, false);
            assert!(
                matches!(part, Probe::NeedMore { .. }) || answer(part) == whole,
                "{end} bytes"
            );
        }
        whole
    }

    #[test]
    fn each_side_alone() {
        assert_eq!(
            named(b"\x05\x01\0\x05\x01\0\x01\xc6\x33\x64\x09\x14\x46"),
            Some(("socks5", Some(true)))
        );
        assert_eq!(
            named(b"\x05\0\x05\0\0\x01\0\0\0\0\0\0"),
            Some(("socks5", Some(false)))
        );
        assert_eq!(
            named(b"\x04\x01\x07\x47\0\0\0\x01\0chat.example.com\0"),
            Some(("socks4a", Some(true)))
        );
        assert_eq!(
            named(b"\x04\x01\x07\x47\xc6\x33\x64\x09\0VER 1 MSNP9 MSNP8 CVR0\r\n"),
            Some(("socks4", Some(true)))
        );
        assert_eq!(
            named(b"\0\x5a\x07\x47\xc6\x33\x64\x09HTTP/1.1 200 OK\r\n"),
            Some(("socks4", Some(false)))
        );
    }

    #[test]
    fn little_is_no_proof() {
        let request = b"\x04\x01\x07\x47\xc6\x33\x64\x09\0";
        assert!(matches!(
            probe(request, Start::Beginning, false),
            Probe::NeedMore { .. }
        ));
        assert_eq!(probe(request, Start::Beginning, true), Probe::No);
        let strange = [
            &request[..],
            b"\x99 nothing that anybody knows \x01\x02\x03",
        ]
        .concat();
        assert_eq!(probe(&strange, Start::Beginning, true), Probe::No);
        assert_eq!(probe(b"\x05\x01\0", Start::Beginning, true), Probe::No);
        assert_eq!(probe(b"\x05\xff", Start::Beginning, true), Probe::No);
        assert_eq!(probe(b"", Start::Beginning, true), Probe::No);
        let whole = b"\x05\x01\0\x05\x01\0\x01\xc6\x33\x64\x09\x14\x46";
        assert_eq!(probe(whole, Start::Later, false), Probe::No);
    }
}
