//! TLS: the server name and the protocols that the client asks for; where it names nobody, the names in the server's
//! certificate.

use super::certificate::{self, Flight, MAX_FLIGHT};
use super::hello::{self, Answer};
use super::ja4::Over;
use crate::classify::opening::Openings;
use crate::classify::{Claim, Detector, Dissector, Events, Probe, ProbeInput, Start};
use crate::model::{Direction, Event, Evidence, Format, Transport};

/// Longest `ClientHello` that is waited for (RFC 8446 allows more; nobody sends it).
const MAX_HELLO: usize = 32 * 1024;
const RECORD_HEADER: usize = 5;

/// TLS over TCP.
pub struct Tls;

impl Detector for Tls {
    fn name(&self) -> &'static str {
        "tls"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn probe(&self, input: &ProbeInput<'_>) -> Probe {
        if input.start == Start::Later {
            return Probe::No;
        }
        // Handshake record, version 3.x, a length, then ClientHello or ServerHello with its own length inside
        // the record's (RFC 8446, 5.1 and 4); joined later: application data records one after the other.
        let Some(header) = input.bytes.first_chunk::<RECORD_HEADER>() else {
            let kind = match input.bytes.first() {
                None | Some(0x16) => true,
                Some(0x17) => input.start == Start::Joined,
                Some(_) => false,
            };
            return if kind && input.bytes.get(1).is_none_or(|major| *major == 3) {
                Probe::NeedMore {
                    from: 0,
                    total: RECORD_HEADER,
                }
            } else {
                Probe::No
            };
        };
        let [kind, 3, minor @ 0..=4, length @ ..] = header else {
            return Probe::No;
        };
        let length = usize::from(u16::from_be_bytes(*length));
        if length == 0 || length > 0x4800 {
            return Probe::No;
        }
        let what = match (kind, input.bytes.get(RECORD_HEADER)) {
            (0x16, None) => {
                return Probe::NeedMore {
                    from: 0,
                    total: RECORD_HEADER + 1,
                };
            }
            (0x16, Some(1)) => "ClientHello",
            (0x16, Some(2)) => "ServerHello",
            (0x17, _) if input.start == Start::Joined => {
                let next = RECORD_HEADER + length;
                match input.bytes.get(next..next + 3) {
                    Some([0x14..=0x17, 3, _]) => "application data",
                    Some(_) => return Probe::No,
                    None => {
                        return Probe::NeedMore {
                            from: 0,
                            total: next + 3,
                        };
                    }
                }
            }
            _ => return Probe::No,
        };
        Probe::Certain(Claim {
            format: Format::other("tls"),
            offset: 0,
            sender_is_client: match what {
                "ClientHello" => Some(true),
                "ServerHello" => Some(false),
                _ => None,
            },
            evidence: Evidence::payload("tls", format!("{what}, record version 3.{minor}")),
        })
    }

    fn dissector(&self, claim: &Claim) -> Box<dyn Dissector> {
        Box::new(Hello {
            openings: Openings::new(MAX_HELLO),
            from_hello: claim.sender_is_client == Some(true),
        })
    }
}

/// Reads how each direction begins: the client's hello, and the server's flight as far as its certificate.
struct Hello {
    openings: Openings,
    /// The client's hello was seen first, so that the server has not said anything before.
    from_hello: bool,
}

impl Dissector for Hello {
    fn feed(&mut self, direction: Direction, bytes: &[u8], out: &mut Events) {
        let mut named = false;
        let asked = out.fingerprints();
        let asked = asked.as_deref().map(|asked| (Over::Tcp, asked));
        self.openings.feed(direction, bytes, |stream| {
            let (handshake, over) = handshake(stream);
            // Whose words they are, the bytes say and not the direction, which may be a guess.
            match hello::read(&handshake, asked) {
                Answer::NeedMore => over,
                Answer::Hello(hello) => {
                    named = hello.tell("tls-sni", out);
                    true
                }
                Answer::None => match certificate::read(&handshake) {
                    Flight::NeedMore => over,
                    Flight::None => true,
                    Flight::Certificate(names) => {
                        out.push(Event::Certificate(names));
                        true
                    }
                },
            }
        });
        if named {
            // The client's word counts, and a certificate says nothing new.
            self.openings.close(direction.reverse());
        }
    }

    fn gap(&mut self, direction: Direction, _: u64, _: &mut Events) {
        // Whatever may be missing of a stream that is joined in the middle, it is nothing of an answer to this hello.
        if !(self.from_hello && self.openings.is_untouched(direction)) {
            self.openings.close(direction);
        }
    }

    fn is_done(&self) -> bool {
        self.openings.is_done()
    }

    fn memory(&self) -> usize {
        size_of_val(self) + self.openings.memory()
    }
}

/// The handshake messages that a stream of records begins with, which may span several; whether nothing more of them is
/// waited for.
fn handshake(stream: &[u8]) -> (Vec<u8>, bool) {
    let hello = stream.get(RECORD_HEADER).is_none_or(|kind| *kind == 1);
    let most = if hello { MAX_HELLO } else { MAX_FLIGHT };
    let mut handshake = Vec::new();
    let mut rest = &stream[..stream.len().min(most)];
    while let [kind, _, _, high, low, behind @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if *kind != 0x16 {
            return (handshake, true);
        }
        let fragment = behind.get(..length).unwrap_or(behind);
        handshake.extend_from_slice(fragment);
        rest = behind.get(length..).unwrap_or_default();
    }
    (handshake, stream.len() >= most)
}

#[cfg(test)]
mod tests {
    use super::{Answer, MAX_FLIGHT, Tls, hello};
    use crate::classify::carrier::certificate::testing::{
        alternatives, be24, common, flight, message,
    };
    use crate::classify::carrier::hello::Hello;
    use crate::classify::testing::seen;
    use crate::classify::{Detector, Events, Probe, ProbeInput, Start};
    use crate::model::Direction::{self, ToClient, ToServer};
    use crate::model::{Event, Transport};

    fn server_name(stream: &[u8]) -> Answer {
        hello::read(&super::handshake(stream).0, None)
    }

    fn named(name: &str) -> Answer {
        Answer::Hello(Hello {
            name: Some(name.to_owned()),
            ..Hello::default()
        })
    }

    /// A `ClientHello` with one SNI extension, in records of at most `cut` bytes.
    fn client_hello(name: &str, cut: usize) -> Vec<u8> {
        let len16 = |n: usize| (n as u16).to_be_bytes();
        let mut sni = vec![0];
        sni.extend(len16(name.len()));
        sni.extend(name.as_bytes());
        let mut extension = vec![0, 0];
        extension.extend(len16(sni.len() + 2));
        extension.extend(len16(sni.len()));
        extension.extend(&sni);
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([0, 0, 2, 0x13, 0x01, 1, 0]);
        body.extend(len16(extension.len()));
        body.extend(&extension);
        let mut message = vec![1, 0];
        message.extend(len16(body.len()));
        message.extend(&body);
        let record = |part: &[u8]| [&[0x16, 3, 1][..], &len16(part.len()), part].concat();
        message.chunks(cut).flat_map(record).collect()
    }

    #[test]
    fn reads_the_server_name_however_it_is_cut_into_records() {
        for cut in [1, 10, 4000] {
            let stream = client_hello("Messenger.Example.COM", cut);
            assert_eq!(server_name(&stream), named("messenger.example.com"));
            for end in 0..stream.len() {
                assert_eq!(
                    server_name(&stream[..end]),
                    Answer::NeedMore,
                    "first {end} bytes"
                );
            }
        }
        assert_eq!(
            server_name(&client_hello("bad name", 4000)),
            Answer::Hello(Hello::default())
        );
    }

    #[test]
    fn other_protocols_are_not_tls() {
        let probe = |bytes: &[u8], start| {
            Tls.probe(&ProbeInput {
                direction: Direction::ToServer,
                bytes,
                start,
                wire_len: bytes.len(),
                ended: false,
                server_port: 443,
                expected: None,
                signatures: None,
            })
        };
        assert!(matches!(
            probe(&client_hello("a.example", 4000), Start::Beginning),
            Probe::Certain(_)
        ));
        assert!(matches!(
            probe(&[0x17, 3, 3, 0, 1, 9, 0x17, 3, 3], Start::Joined),
            Probe::Certain(_)
        ));
        // A record header may come in pieces.
        for cut in 0..8 {
            let begun = probe(&[0x17, 3, 3, 0, 1, 9, 0x17, 3][..cut], Start::Joined);
            assert!(matches!(begun, Probe::NeedMore { .. }), "{cut}: {begun:?}");
        }
        for (bytes, start) in [
            (&b"GET / HTTP/1.1"[..], Start::Beginning),
            (&[0x17], Start::Beginning),
            (&[0x16, 9], Start::Joined),
            (&[0x16, 3, 1, 0, 0, 1], Start::Beginning),
            (&[0x16, 9, 1, 0, 9, 1], Start::Beginning),
            (&[0x17, 3, 3, 0, 1, 9, 0x17, 3, 3], Start::Beginning),
            (&[0x16, 3, 1, 0, 4, 11, 0, 0, 0], Start::Joined),
            (&[0x2a, 1, 0, 0, 0, 4], Start::Beginning),
        ] {
            assert_eq!(probe(bytes, start), Probe::No, "{bytes:?}");
        }
    }

    fn records(messages: &[u8], most: usize) -> Vec<u8> {
        let length = |part: &[u8]| (part.len() as u16).to_be_bytes();
        let record = |part: &[u8]| [&[0x16, 3, 1], &length(part)[..], part].concat();
        messages.chunks(most).flat_map(record).collect()
    }

    /// A hello without extensions.
    fn nameless() -> Vec<u8> {
        let body = [&[3, 1][..], &[7; 32], &[0, 0, 2, 0, 10, 1, 0]].concat();
        records(&[&[1][..], &be24(body.len()), &body].concat(), 4000)
    }

    /// The hosts that a stream tells of: those asked for, and those of certificates.
    fn hosts(from_start: bool, turns: &[(Direction, Vec<u8>)], cut: usize) -> Vec<String> {
        let told = seen(
            (Transport::Tcp, 443),
            from_start,
            turns,
            cut,
            Events::default(),
        );
        let names = told.into_iter().flat_map(|event| match event {
            Event::Host { name, .. } => vec![name],
            Event::Certificate(names) => names,
            _ => Vec::new(),
        });
        names.collect()
    }

    const CUTS: [usize; 6] = [1, 2, 7, 100, 1460, 1 << 20];
    const BOTH: [&str; 2] = ["*.chat.example.com", "talk.example.net"];

    #[test]
    fn where_the_hello_names_nobody_the_certificate_does_however_it_is_cut() {
        for most in [1, 9, 300, 16_384] {
            let flight = records(&flight(&[alternatives(), common()]), most);
            for cut in CUTS {
                let turns = [(ToServer, nameless()), (ToClient, flight.clone())];
                // Without a SYN, and where the hello came before the capture began or is nowhere in it, as well.
                for from_start in [true, false] {
                    assert_eq!(hosts(from_start, &turns, cut), BOTH, "{most}, {cut}");
                    assert_eq!(hosts(from_start, &turns[1..], cut), BOTH, "{most}, {cut}");
                }
            }
        }
        // The certificate may be anybody's where the capture begins with it, and is the client's behind the server's hello.
        let chain = records(&message(&[alternatives(), common()]), 16_384);
        let hello = records(&flight(&[])[..42], 16_384);
        for cut in CUTS {
            for from_start in [true, false] {
                let turns = [(ToClient, chain.clone())];
                assert_eq!(hosts(from_start, &turns, cut), [""; 0], "{cut}");
                let turns = [(ToClient, hello.clone()), (ToServer, chain.clone())];
                assert_eq!(hosts(from_start, &turns, cut), [""; 0], "{cut}");
            }
        }
    }

    #[test]
    fn a_hello_that_names_somebody_ends_it() {
        let named = client_hello("www.example.org", 4000);
        let flight = records(&flight(&[alternatives()]), 16_384);
        for cut in CUTS {
            let turns = [(ToServer, named.clone()), (ToClient, flight.clone())];
            assert_eq!(hosts(true, &turns, cut), ["www.example.org"], "{cut}");
            // An address names nobody.
            let turns = [
                (ToServer, client_hello("192.0.2.9", 4000)),
                turns[1].clone(),
            ];
            assert_eq!(hosts(true, &turns, cut).len(), 3, "{cut}");
        }
    }

    #[test]
    fn no_more_of_a_flight_is_kept_than_anybody_waits_for() {
        // Junk in front that is as long as a flight may be.
        let junk = MAX_FLIGHT - 4 - 5;
        let long = |more: usize| {
            let junk = vec![0; junk - more];
            let before = [&[23][..], &be24(junk.len()), &junk].concat();
            let hello = &flight(&[])[..42];
            records(
                &[hello, &before, &message(&[alternatives()])].concat(),
                1 << 14,
            )
        };
        for cut in CUTS {
            let turns = [(ToServer, nameless()), (ToClient, long(0))];
            assert_eq!(hosts(true, &turns, cut), [""; 0], "{cut}");
            let turns = [(ToServer, nameless()), (ToClient, long(1000))];
            assert_eq!(hosts(true, &turns, cut), BOTH, "{cut}");
        }
        // The other records of TLS are not part of it.
        let hello = records(&flight(&[])[..42], 16_384);
        let rest = records(&message(&[alternatives()]), 16_384);
        for between in [
            [0x14, 3, 1, 0, 1, 1],
            [0x17, 3, 3, 0, 1, 9],
            [0x15, 3, 1, 0, 1, 1],
        ] {
            let whole = [&hello[..], &between, &rest].concat();
            for cut in CUTS {
                let turns = [(ToServer, nameless()), (ToClient, whole.clone())];
                assert_eq!(hosts(true, &turns, cut), [""; 0], "{cut}");
            }
        }
    }
}
