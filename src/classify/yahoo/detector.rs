//! Recognises YMSG on any TCP port.

use super::body::{Body, push_digit};
use super::dissector::YmsgDissector;
use super::session::describe;
use super::ymsg::{HEADER, Header, MAGIC, SEPARATOR, Version, known, service};
use crate::classify::{Claim, Detector, Dissector, Probe, ProbeInput, Start};
use crate::model::{Evidence, Format, Service, Transport};
use memchr::memmem;

/// How much of a body is searched for the end of its first value.
const WINDOW: usize = 256;
/// When resynchronising, longer packets are passed over: they would be held too long.
const LONGEST_ANCHOR: usize = 4096;

/// YMSG, the protocol of Yahoo! Messenger.
#[derive(Debug)]
pub struct Ymsg;

/// What the beginning of a packet amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// No packet.
    No,
    /// Needs that many bytes.
    More(usize),
    /// A header, known in every field, without a body that could prove it.
    Header(Header),
    /// A header and the first pair of its body, or the header behind it.
    Proven(Header),
}

/// Looks at what may be the beginning of a packet. The answer for a long input is never taken back for a
/// longer one.
pub fn look(bytes: &[u8]) -> Look {
    if bytes.iter().zip(MAGIC).any(|(have, want)| have != want) {
        return Look::No;
    }
    // Text that happens to begin with the magic ends here.
    if let Some(&[high, low]) = bytes.get(10..12).and_then(|two| two.first_chunk())
        && !known(u16::from_be_bytes([high, low]))
    {
        return Look::No;
    }
    let Some(header) = Header::parse(bytes) else {
        return Look::More(HEADER);
    };
    let body = bytes.get(HEADER..).unwrap_or_default();
    if header.length == 0 {
        look_behind(header, body)
    } else {
        look_at_body(header, body)
    }
}

/// An empty body proves nothing, so the next header must.
fn look_behind(header: Header, behind: &[u8]) -> Look {
    if header.version == Version::Unknown {
        return Look::No;
    }
    // The greeting and the keep-alive are often all a side says for a while.
    if matches!(header.service, service::VERIFY | service::KEEP_ALIVE) {
        return Look::Header(header);
    }
    match next_header(behind) {
        None => Look::More(2 * HEADER),
        Some(true) => Look::Proven(header),
        Some(false) => Look::No,
    }
}

/// Whether a header begins here; `None` when that is still open.
fn next_header(bytes: &[u8]) -> Option<bool> {
    if bytes.iter().zip(MAGIC).any(|(have, want)| have != want) {
        return Some(false);
    }
    Header::parse(bytes).map(|header| known(header.service))
}

fn look_at_body(header: Header, body: &[u8]) -> Look {
    let length = usize::from(header.length);
    let whole = body.len() >= length;
    let body = body.get(..length.min(WINDOW)).unwrap_or(body);
    let more = Look::More(HEADER + body.len() + 1);
    let mut key = 0;
    let mut digits = 0;
    let mut rest = body;
    loop {
        match *rest {
            // A stray 0x01, as in mail notices, or digits.
            [1, ref tail @ ..] if digits == 0 => rest = tail,
            [byte, ref tail @ ..] if byte != SEPARATOR[0] => match push_digit(key, byte) {
                Some(value) => (key, digits, rest) = (value, digits + 1, tail),
                None => return Look::No,
            },
            [_, 0x80, ref tail @ ..] if digits > 0 => {
                rest = tail;
                break;
            }
            [] | [_] if !whole => return more,
            _ => return Look::No,
        }
    }
    if memmem::find(rest, &SEPARATOR).is_some() {
        // Whatever version, no text and no other protocol looks like this; yet only what is known is proof.
        return if header.version == Version::Unknown {
            Look::Header(header)
        } else {
            Look::Proven(header)
        };
    }
    if whole || body.len() >= WINDOW {
        Look::Header(header)
    } else {
        more
    }
}

/// Looks for a packet that is followed by another one, or ends together with the stream, or stands behind the
/// end of a body.
fn scan(input: &ProbeInput<'_>) -> Probe {
    let bytes = input.bytes;
    for at in memmem::find_iter(bytes, MAGIC) {
        let (before, candidate) = bytes.split_at(at);
        match anchor(candidate, before.ends_with(&SEPARATOR), input.ended) {
            Look::No => {}
            // The two bytes before may be the end of a body.
            Look::More(total) => {
                return Probe::NeedMore {
                    from: at.saturating_sub(2),
                    total: at + total,
                };
            }
            Look::Header(header) => return Probe::Likely(claim(input, header, at, "ymsg-packet")),
            Look::Proven(header) => return Probe::Certain(claim(input, header, at, "ymsg-chain")),
        }
    }
    let from = bytes
        .len()
        .saturating_sub(MAGIC.len() - 1 + SEPARATOR.len());
    Probe::NeedMore {
        from,
        total: (from + HEADER).max(bytes.len() + 1),
    }
}

fn anchor(candidate: &[u8], behind_body: bool, ended: bool) -> Look {
    let header = match look(candidate) {
        Look::Header(header) | Look::Proven(header) => header,
        other => return other,
    };
    if header.packet_len() > LONGEST_ANCHOR {
        return Look::No;
    }
    let Some((packet, behind)) = candidate.split_at_checked(header.packet_len()) else {
        return Look::More(header.packet_len());
    };
    let mut body = Body::new(header.length);
    body.feed(packet.get(HEADER..).unwrap_or_default());
    let fields = body.finish();
    if fields.malformed {
        return Look::No;
    }
    if behind_body && fields.pairs >= 2 {
        return Look::Header(header);
    }
    match next_header(behind) {
        Some(true) => Look::Proven(header),
        Some(false) => Look::No,
        None if ended && fields.pairs >= 2 => Look::Header(header),
        None => Look::More(header.packet_len() + HEADER),
    }
}

fn claim(input: &ProbeInput<'_>, header: Header, offset: usize, what: &'static str) -> Claim {
    // A session never begins with the peers' handshake.
    let peer =
        input.server_port == 5101 || (header.service == service::P2P_FILE_TRANSFER && offset == 0);
    let role = if peer { "peer" } else { "session" };
    let detail = format!(
        "YMSG {}, service 0x{:02x}, {} bytes",
        describe(header.version),
        header.service,
        header.length
    );
    Claim {
        format: Format::messenger(Service::YAHOO, "ymsg", role),
        offset,
        sender_is_client: if peer {
            None
        } else {
            header.sender_is_client()
        },
        evidence: Evidence::payload(what, detail),
    }
}

impl Detector for Ymsg {
    fn name(&self) -> &'static str {
        "ymsg"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn probe(&self, input: &ProbeInput<'_>) -> Probe {
        if input.start == Start::Later {
            return scan(input);
        }
        match look(input.bytes) {
            Look::More(total) => Probe::NeedMore { from: 0, total },
            Look::Header(header) => Probe::Likely(claim(input, header, 0, "ymsg-header")),
            Look::Proven(header) => Probe::Certain(claim(input, header, 0, "ymsg-packet")),
            Look::No if input.start == Start::Joined => scan(input),
            Look::No => Probe::No,
        }
    }

    fn dissector(&self, _claim: &Claim) -> Box<dyn Dissector> {
        Box::new(YmsgDissector::default())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::classify::yahoo::testing::{ask, body, claim_of, events, hex, packet, verdict};
    use crate::model::{Direction, Event};

    fn begins(bytes: &[u8]) -> Probe {
        verdict(&Ymsg, bytes, Start::Beginning)
    }

    fn certain(probe: &Probe) -> &Claim {
        assert!(matches!(probe, Probe::Certain(_)), "{probe:?}");
        let Probe::Certain(claim) = probe else {
            unreachable!()
        };
        claim
    }

    // Shapes of a real YMSG12 sign-on, with other names.
    const AUTH_12: &str = "594d5347000c0000000a0057000000000000000031c080616c696365c080";
    // A server's packet of version 0x8000; its body lacks the last separator (key 8 dangles).
    const LOGON: &str =
        "594d5347800000000015000100000000cd877b7230c080616c696365c08031c080616c696365c08038";
    // A server's packet whose body ends in a NUL.
    const NEW_MAIL: &str = "594d5347000000000007000b00000001cd877b7239c08030c08000";
    // Specified, not captured: YMSG9 in little-endian order, YMSG16.
    const AUTH_9: &str = "594d534709000000000a0057000000000000000031c080616c696365c080";
    const AUTH_16: &str = "594d534700100000000a0057000000000000000031c080616c696365c080";
    const VERIFY_16: &str = "594d5347001000000000004c0000000000000000";
    const MESSAGE: &str = "594d534700100000001a0006000000001122334431c080616c696365c08035c080626f62c0803134c0806869c080";
    const PEER: &str = "594d5347001000000031004d000000011122334434c080626f62c08035c080616c696365c080323431c08030c0803439c08050454552544f50454552c0803133c08031c080";

    #[test]
    fn one_packet_with_a_pair_is_enough_from_either_side() {
        for (bytes, client) in [
            (hex(AUTH_12), Some(true)),
            (hex(AUTH_9), Some(true)),
            (hex(AUTH_16), Some(true)),
            (
                packet(0, 0x57, 1, &body("1=alice&94=y%a%(w-t|3&13=1")),
                Some(false),
            ),
            (
                packet(12, 0x57, 1, &body("1=alice&94=challenge")),
                Some(false),
            ),
            (
                packet(0x8000, 0x55, 0, &body("87=Friends:bob&89=alice")),
                Some(false),
            ),
            (packet(12, 0x54, 0, &body("0=alice&6=x&96=y&1=alice")), None),
            (hex(LOGON), Some(false)),
            (hex(NEW_MAIL), Some(false)),
            (hex(MESSAGE), None),
        ] {
            let probe = begins(&bytes);
            let claim = certain(&probe);
            assert_eq!((claim.offset, claim.sender_is_client), (0, client));
            assert_eq!(
                (claim.format.app_proto, claim.format.role),
                ("ymsg", Some("session"))
            );
        }
    }

    #[test]
    fn a_greeting_is_likely_and_the_dissector_proves_it() {
        assert!(matches!(begins(&hex(VERIFY_16)), Probe::Likely(_)));
        let turns = [
            (Direction::ToServer, hex(VERIFY_16)),
            (Direction::ToClient, packet(0, 0x4C, 1, b"")),
        ];
        let told = events(&Ymsg, &turns);
        assert!(told.iter().any(|event| {
            matches!(
                event,
                Event::Identified {
                    confidence: crate::model::Confidence::Confirmed,
                    ..
                }
            )
        }));
        // Alone it proves nothing.
        assert!(
            !events(&Ymsg, &turns[..1])
                .iter()
                .any(|event| matches!(event, Event::Identified { .. }))
        );
    }

    #[test]
    fn empty_bodies_need_the_next_header() {
        let logoff = packet(16, 0x02, 0, b"");
        assert_eq!(
            ask(&Ymsg, &logoff, Start::Beginning, 1),
            Probe::NeedMore { from: 0, total: 40 }
        );
        let mut two = logoff.clone();
        two.extend(packet(16, 0x57, 0, &body("1=alice")));
        certain(&begins(&two));
        let mut noise = logoff;
        noise.extend([b'x'; 20]);
        assert_eq!(begins(&noise), Probe::No);
    }

    #[test]
    fn long_first_values_are_likely_without_being_held() {
        let list = packet(
            0,
            0x55,
            0,
            &body(&format!("87=Friends:{}", "bob,".repeat(9000))),
        );
        assert!(matches!(begins(&list), Probe::Likely(_)));
        let tail = packet(0x20, 0x06, 0, &[b'1'; 300]);
        assert_eq!(begins(&tail), Probe::No);
    }

    #[test]
    fn peers() {
        let probe = begins(&hex(PEER));
        assert_eq!(certain(&probe).format.role, Some("peer"));
    }

    #[test]
    fn joined_in_the_middle_of_a_packet() {
        let mut stream =
            packet(0, 0x06, 0, &body("4=bob&5=alice&14=a rather long text"))[50..].to_vec();
        let offset = stream.len();
        stream.extend(packet(0, 0x06, 0, &body("4=bob&5=alice&14=hi")));
        stream.extend(packet(0, 0x02, 0, &body("7=bob")));
        for start in [Start::Joined, Start::Later] {
            // The body before ends in a separator: the packet behind it is one signature.
            let probe = verdict(&Ymsg, &stream, start);
            assert!(matches!(probe, Probe::Likely(_)), "{probe:?}");
            assert_eq!(claim_of(probe).offset, offset);
        }
        // Without that, two packets in a row are proof, and one that ends the stream is a signature.
        let noise = b"some bytes of a value that a server cut short\0".to_vec();
        let one: Vec<u8> = noise
            .iter()
            .copied()
            .chain(packet(0, 0x06, 0, &body("4=bob&5=alice")))
            .collect();
        let probe = verdict(&Ymsg, &one, Start::Later);
        assert!(
            matches!(&probe, Probe::Likely(claim) if claim.offset == noise.len()),
            "{probe:?}"
        );
        let two: Vec<u8> = one
            .iter()
            .copied()
            .chain(packet(0, 0x02, 0, &body("7=bob")))
            .collect();
        assert_eq!(
            certain(&verdict(&Ymsg, &two, Start::Joined)).offset,
            noise.len()
        );
    }

    #[test]
    fn joined_at_a_packet() {
        certain(&verdict(&Ymsg, &hex(MESSAGE), Start::Joined));
    }

    #[test]
    fn a_capture_file_in_flight_is_not_a_session() {
        // Packets within another format do not follow each other directly.
        let mut file = Vec::new();
        for _ in 0..5 {
            file.extend([7; 70]);
            file.extend(hex(MESSAGE));
        }
        file.extend([7; 70]);
        for start in [Start::Joined, Start::Later] {
            assert!(matches!(
                verdict(&Ymsg, &file, start),
                Probe::NeedMore { .. }
            ));
        }
    }

    #[test]
    fn text_and_other_protocols_are_not_ymsg() {
        let page = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nYMSG rocks, and here is why: C0 80.";
        for bytes in [
            &b"YMSG rocks, says Bob, and so does everything else."[..],
            b"YMSGYMSGYMSGYMSGYMSGYMSGYMSGYMSG",
            b"YMSG\0\x10\0\0\0\x0a\0\x57\0\0\0\0\0\0\0\0no key at",
            b"USER alice\r\n",
            b"VRFY x\r\n",
            b"220 mail.example.com ESMTP\r\n",
            b"VER 1 MSNP15 CVR0\r\n",
            b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x03\0\0\0",
            page,
        ] {
            assert_eq!(begins(bytes), Probe::No, "{bytes:?}");
            let joined = verdict(&Ymsg, bytes, Start::Joined);
            assert!(
                matches!(joined, Probe::No | Probe::NeedMore { .. }),
                "{joined:?}"
            );
        }
        // The magic alone, and the magic deep in a stream whose beginning is known.
        assert!(matches!(begins(b"YMSG"), Probe::NeedMore { from: 0, .. }));
        let later = [b"EHLO example.com\r\n".to_vec(), hex(MESSAGE)].concat();
        assert_eq!(begins(&later), Probe::No);
    }
}
