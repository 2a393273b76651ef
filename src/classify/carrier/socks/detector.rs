//! Recognises SOCKS from the opening of either side.

use super::dissector::Connection;
use super::opening::{self, MAX_OPENING, Read};
use crate::classify::{Claim, Detector, Dissector, Probe, ProbeInput, Start, registry};
use crate::model::{Evidence, Format, Transport};

/// Bytes of a proxy that refuses: it has no more to say.
const MAX_REFUSAL: usize = 32;

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
        let client = opening::client(input.bytes);
        let proxy = opening::proxy(input.bytes, false);
        match (client, proxy) {
            (Read::Done(request, length), _) => {
                let claim = claim(request.carrier, true, "request");
                if request.is_proof() {
                    Probe::Certain(claim)
                } else {
                    with_inner(claim, length, input)
                }
            }
            (_, Read::Done(answer, length)) if answer.granted => {
                let claim = claim(answer.carrier, false, "reply");
                // Ten bytes of which five or more are given are proof; two of eight are not.
                if answer.carrier == "socks5" {
                    Probe::Certain(claim)
                } else {
                    with_inner(claim, length, input)
                }
            }
            // A refusal proves nothing, but is remembered in case that the other side does.
            (_, Read::Done(..)) if !input.ended && input.bytes.len() < MAX_REFUSAL => more(input),
            (Read::More, _) | (_, Read::More)
                if !input.ended && input.bytes.len() < MAX_OPENING =>
            {
                more(input)
            }
            _ => Probe::No,
        }
    }

    fn dissector(&self, _: &Claim) -> Box<dyn Dissector> {
        Box::new(Connection::default())
    }
}

/// Undecided, with every byte still needed.
const fn more(input: &ProbeInput<'_>) -> Probe {
    Probe::NeedMore {
        from: 0,
        total: input.bytes.len() + 1,
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

/// An opening that proves little by itself is proven by something known behind it.
fn with_inner(claim: Claim, length: usize, input: &ProbeInput<'_>) -> Probe {
    let bytes = input.bytes.get(length..).unwrap_or_default();
    let inside = ProbeInput {
        bytes,
        start: Start::Beginning,
        wire_len: bytes.len(),
        expected: None,
        ..*input
    };
    let mut total = bytes.is_empty().then_some(1);
    let detectors = registry::FAMILIES.iter().copied().flatten().copied();
    // Not SOCKS in SOCKS in SOCKS: whoever does that is recognised by the other side's opening.
    let others = detectors.filter(|detector| detector.name() != Socks.name());
    for detector in others.filter(|detector| detector.transport() == Transport::Tcp) {
        match detector.probe(&inside) {
            Probe::Certain(_) | Probe::Likely(_) => return Probe::Certain(claim),
            Probe::NeedMore { total: wanted, .. } if !input.ended => {
                total = Some(total.map_or(wanted, |total: usize| total.min(wanted)));
            }
            Probe::NeedMore { .. } | Probe::No => {}
        }
    }
    match total {
        Some(total) if !input.ended => Probe::NeedMore {
            from: 0,
            total: length.saturating_add(total.max(bytes.len() + 1)),
        },
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
