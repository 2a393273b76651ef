//! TLS: the server name and the protocol that the client asks for, and nothing more.

use super::hello::{self, Answer};
use super::ja4::{Fingerprints, Over};
use crate::classify::opening::Openings;
use crate::classify::{Claim, Detector, Dissector, Events, Probe, ProbeInput, Start};
use crate::model::{Direction, Evidence, Format, Transport};

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

    fn dissector(&self, _: &Claim) -> Box<dyn Dissector> {
        Box::new(Hello {
            openings: Openings::new(MAX_HELLO),
        })
    }
}

/// Reads the first handshake message of each direction.
struct Hello {
    openings: Openings,
}

impl Dissector for Hello {
    fn feed(&mut self, direction: Direction, bytes: &[u8], out: &mut Events) {
        let mut named = false;
        let asked = out.fingerprints();
        let asked = asked.as_deref().map(|asked| (Over::Tcp, asked));
        self.openings.feed(direction, bytes, |stream| {
            match client_hello(stream, asked) {
                Answer::NeedMore => false,
                Answer::None => true,
                Answer::Hello(hello) => {
                    named = hello.tell("tls-sni", out);
                    true
                }
            }
        });
        if named {
            self.openings.close(direction.reverse());
        }
    }

    fn gap(&mut self, direction: Direction, _: u64, _: &mut Events) {
        self.openings.close(direction);
    }

    fn is_done(&self) -> bool {
        self.openings.is_done()
    }

    fn memory(&self) -> usize {
        size_of_val(self) + self.openings.memory()
    }
}

/// The `ClientHello` that a stream of records begins with; it may span several.
fn client_hello(stream: &[u8], asked: Option<(Over, &Fingerprints)>) -> Answer {
    let mut handshake = Vec::new();
    let mut rest = stream;
    while let [kind, _, _, high, low, behind @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if *kind != 0x16 {
            if handshake.is_empty() {
                return Answer::None;
            }
            break;
        }
        let fragment = behind.get(..length).unwrap_or(behind);
        handshake.extend_from_slice(fragment);
        rest = behind.get(length..).unwrap_or_default();
    }
    hello::read(&handshake, asked)
}

#[cfg(test)]
mod tests {
    use super::{Answer, Tls};
    use crate::classify::carrier::hello::Hello;
    use crate::classify::{Detector, Probe, ProbeInput, Start};
    use crate::model::Direction;

    fn server_name(stream: &[u8]) -> Answer {
        super::client_hello(stream, None)
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
            (&[0x2a, 1, 0, 0, 0, 4], Start::Beginning),
        ] {
            assert_eq!(probe(bytes, start), Probe::No, "{bytes:?}");
        }
    }
}
