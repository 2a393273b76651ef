//! DNS answers over UDP: which address a host name has.

use crate::classify::{Claim, Detector, Dissector, Events, Probe, ProbeInput};
use crate::model::{Direction, Event, Evidence, Format, Transport};
use simple_dns::rdata::RData;
use simple_dns::{Name, Packet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses taken from one answer.
const MAX_ADDRESSES: usize = 32;
/// Names that one answer leads over.
const MAX_ALIASES: usize = 8;

/// The bit of the third byte that tells an answer from a question.
const RESPONSE: u8 = 0x80;

/// DNS over UDP. Its own port is asked for: an answer on any other is nobody's resolver, and what it says would
/// name other flows.
pub struct Dns;

impl Detector for Dns {
    fn name(&self) -> &'static str {
        "dns"
    }

    fn transport(&self) -> Transport {
        Transport::Udp
    }

    fn probe(&self, input: &ProbeInput<'_>) -> Probe {
        let header_fits = input.bytes.len() >= 12;
        if input.server_port != 53 || !header_fits || Packet::parse(input.bytes).is_err() {
            return Probe::No;
        }
        Probe::Certain(Claim {
            format: Format::other("dns"),
            offset: 0,
            sender_is_client: None,
            evidence: Evidence::payload("dns", "message on port 53"),
        })
    }

    fn dissector(&self, _: &Claim) -> Box<dyn Dissector> {
        Box::new(Answers)
    }
}

struct Answers;

impl Dissector for Answers {
    fn feed(&mut self, _: Direction, bytes: &[u8], out: &mut Events) {
        // A question says nothing: it need not be taken apart.
        if bytes.get(2).is_none_or(|flags| flags & RESPONSE == 0) {
            return;
        }
        let Ok(packet) = Packet::parse(bytes) else {
            return;
        };
        let Some(question) = packet.questions.first() else {
            return;
        };
        let addresses: Vec<IpAddr> = packet
            .answers
            .iter()
            .filter_map(|answer| match &answer.rdata {
                RData::A(a) => Some(IpAddr::V4(Ipv4Addr::from(a.address))),
                RData::AAAA(aaaa) => Some(IpAddr::V6(Ipv6Addr::from(aaaa.address))),
                _ => None,
            })
            .take(MAX_ADDRESSES)
            .collect();
        if !addresses.is_empty() {
            let aliases = packet
                .answers
                .iter()
                .filter_map(|answer| match &answer.rdata {
                    RData::CNAME(target) => Some(plain(&target.0)),
                    _ => None,
                });
            out.push(Event::Resolved {
                name: plain(&question.qname),
                addresses,
                aliases: aliases.take(MAX_ALIASES).collect(),
            });
        }
    }
}

fn plain(name: &Name<'_>) -> String {
    let length = name.as_bytes().map(|label| label.len() + 1).sum();
    let mut text = String::with_capacity(length);
    for label in name.as_bytes() {
        let is_plain = !label.iter().any(|byte| matches!(byte, b'.' | b'\\'));
        match str::from_utf8(label) {
            // As nearly all are: nothing to be escaped.
            Ok(label) if is_plain => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(label);
            }
            _ => return name.to_string().trim_end_matches('.').to_ascii_lowercase(),
        }
    }
    text.make_ascii_lowercase();
    text
}

#[cfg(test)]
mod tests {
    use super::plain;
    use simple_dns::{Label, Name};

    #[test]
    fn names_are_written_as_the_library_writes_them() {
        let names: [&[&[u8]]; 6] = [
            &[b"Login", b"OSCAR", b"aol", b"com"],
            &[],
            &[b"com"],
            &[b"My Printer. Floor 2", b"local"],
            &[b"a\\b", b"local"],
            &[b"\xff\xfe", "b\u{fc}ro".as_bytes(), b"example"],
        ];
        for labels in names {
            let labels: Vec<_> = labels.iter().map(|it| Label::new_unchecked(*it)).collect();
            let name = Name::new_with_labels(&labels);
            assert_eq!(plain(&name), name.to_string().to_ascii_lowercase());
        }
    }
}
