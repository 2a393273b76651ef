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

    fn end(&mut self, out: &mut Events) {
        if let Some(inside) = &mut self.inside {
            inside.end(out);
        }
    }
}
