//! Datagrams that a SOCKS 5 proxy relays: a header, then what the application sent.

use super::opening;
use crate::classify::stream::{Context, Stream};
use crate::classify::{Claim, Detector, Dissector, Events, Probe, ProbeInput, registry};
use crate::model::{Direction, Event, Evidence, Format, Transport};

/// SOCKS 5 over UDP (RFC 1928, 7). Three bytes of zero and an address prove nothing: what is inside must.
pub struct Datagrams;

impl Detector for Datagrams {
    fn name(&self) -> &'static str {
        "socks-udp"
    }

    fn transport(&self) -> Transport {
        Transport::Udp
    }

    fn probe(&self, input: &ProbeInput<'_>) -> Probe {
        let Some((port, length)) = opening::datagram(input.bytes) else {
            return Probe::No;
        };
        let inside = ProbeInput {
            bytes: input.bytes.get(length..).unwrap_or_default(),
            wire_len: input.wire_len.saturating_sub(length),
            server_port: port,
            expected: None,
            ..*input
        };
        let detectors = registry::FAMILIES.iter().copied().flatten().copied();
        let mut others = detectors.filter(|detector| {
            detector.transport() == Transport::Udp && detector.name() != Self.name()
        });
        // DNS over this proxy is somebody else's question.
        let found = others.find_map(|detector| match detector.probe(&inside) {
            Probe::Certain(claim) if claim.format.service.is_some() => Some(claim),
            _ => None,
        });
        found.map_or(Probe::No, |claim| {
            Probe::Certain(Claim {
                format: Format::other("socks5"),
                offset: 0,
                sender_is_client: claim.sender_is_client,
                evidence: Evidence::payload("socks", "datagram relayed by socks5"),
            })
        })
    }

    fn dissector(&self, _: &Claim) -> Box<dyn Dissector> {
        Box::new(Relayed { inside: None })
    }
}

/// What the datagrams hold.
struct Relayed {
    inside: Option<Box<Stream>>,
}

impl Dissector for Relayed {
    fn feed(&mut self, direction: Direction, bytes: &[u8], out: &mut Events) {
        let Some((server_port, length)) = opening::datagram(bytes) else {
            return;
        };
        let payload = bytes.get(length..).unwrap_or_default();
        let context = Context {
            server_port,
            expected: None,
        };
        let inside = self.inside.get_or_insert_with(|| {
            out.push(Event::Carried("socks5"));
            Box::new(Stream::new(Transport::Udp, true))
        });
        out.deeper(|out| inside.datagram(direction, payload, payload.len(), context, out));
    }

    fn memory(&self) -> usize {
        let inside = self.inside.as_deref();
        size_of_val(self) + inside.map_or(0, |stream| size_of_val(stream) + stream.memory())
    }

    fn end(&mut self, out: &mut Events) {
        if let Some(inside) = &mut self.inside {
            inside.end(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::classify::Events;
    use crate::classify::stream::{Context, Stream};
    use crate::model::{Direction, Event, Transport};

    /// ICQ version 5, sign-on of UIN 123456, made after the published check code and key.
    const SIGN_ON: &str = "05000000000040e20100ef87645752b74746cdb4fef9c021c605c68ce649c2b44f46cdd12534c7c07774902c4646a\
        974ee47c3b04646cbb44046acb44046c8b44646a3b4444698b51646cbb44546b0b44646cbb4";

    fn told(header: &[u8], payload: &[u8]) -> Vec<Event> {
        let mut stream = Stream::new(Transport::Udp, true);
        let mut out = Events::default();
        let context = Context {
            server_port: 1080,
            expected: None,
        };
        let bytes = [header, payload].concat();
        stream.datagram(Direction::ToServer, &bytes, bytes.len(), context, &mut out);
        stream.end(&mut out);
        out.drain().collect()
    }

    #[test]
    fn what_the_datagram_holds_decides() {
        let sign_on: Vec<u8> = (0..SIGN_ON.len() / 2)
            .filter_map(|at| u8::from_str_radix(SIGN_ON.get(2 * at..2 * at + 2)?, 16).ok())
            .collect();
        let header = b"\0\0\0\x01\xc6\x33\x64\x09\x0f\xa0";
        let events = told(header, &sign_on);
        assert!(events.contains(&Event::Account("123456".to_owned())));
        assert!(events.contains(&Event::Carried("socks5")));
        for (header, payload) in [
            (
                &header[..],
                &b"anything else, long enough to be looked at"[..],
            ),
            (&b"\0\0\x01\x01\xc6\x33\x64\x09\x0f\xa0"[..], &sign_on),
            (&header[..7], &sign_on),
        ] {
            assert!(told(header, payload).is_empty());
        }
    }
}
