//! DNS answers over UDP: which address a host name has.

use crate::classify::{Claim, Detector, Dissector, Events, Probe, ProbeInput};
use crate::model::{Direction, Event, Evidence, Format, Transport};
use simple_dns::rdata::RData;
use simple_dns::{Name, Packet, ResourceRecord};
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
        let mut chain = Chain::of(&packet.answers, &question.qname);
        let addresses: Vec<IpAddr> = packet
            .answers
            .iter()
            .filter_map(|answer| chain.address(answer))
            .take(MAX_ADDRESSES)
            .collect();
        if !addresses.is_empty() {
            out.push(Event::Resolved {
                name: plain(&question.qname),
                addresses,
                aliases: chain.names.iter().skip(1).map(|name| plain(name)).collect(),
                lifetime: chain.lifetime,
            });
        }
    }
}

/// The names that lead from the one that was asked for to an address.
struct Chain<'a> {
    names: Vec<&'a Name<'a>>,
    /// How long all of it holds, in seconds: the least of what its records say.
    lifetime: u32,
}

impl<'a> Chain<'a> {
    /// Follows the CNAMEs of an answer, in whatever order they stand. One that leads back or too far is followed no further.
    fn of(answers: &'a [ResourceRecord<'a>], asked: &'a Name<'a>) -> Self {
        let mut chain = Self {
            names: vec![asked],
            lifetime: u32::MAX,
        };
        let is_alias = |answer: &&ResourceRecord<'_>| matches!(answer.rdata, RData::CNAME(_));
        let mut last = asked;
        // Most answers have none.
        while chain.names.len() <= MAX_ALIASES
            && let Some(answer) = answers
                .iter()
                .filter(is_alias)
                .find(|answer| is_same(&answer.name, last))
            && let RData::CNAME(target) = &answer.rdata
            && !chain.names.iter().any(|name| is_same(name, &target.0))
        {
            last = &target.0;
            chain.names.push(last);
            chain.lifetime = chain.lifetime.min(answer.ttl);
        }
        chain
    }

    /// The address that a record gives to a name of the chain. Records about other names are nobody's answer.
    fn address(&mut self, record: &ResourceRecord<'_>) -> Option<IpAddr> {
        let address = match &record.rdata {
            RData::A(a) => IpAddr::V4(Ipv4Addr::from(a.address)),
            RData::AAAA(aaaa) => IpAddr::V6(Ipv6Addr::from(aaaa.address)),
            _ => return None,
        };
        self.names
            .iter()
            .any(|name| is_same(name, &record.name))
            .then(|| {
                self.lifetime = self.lifetime.min(record.ttl);
                address
            })
    }
}

/// Names know no case (RFC 4343), and clients write them in any to tell forged answers.
fn is_same(one: &Name<'_>, other: &Name<'_>) -> bool {
    let (one, other) = (one.get_labels(), other.get_labels());
    let pairs = one.iter().zip(other);
    let mut pairs = pairs.map(|(a, b)| a.as_ref().eq_ignore_ascii_case(b.as_ref()));
    one.len() == other.len() && pairs.all(|same| same)
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
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Answers, Event, Events, plain};
    use crate::classify::Dissector;
    use crate::model::Direction;
    use simple_dns::rdata::{A, CNAME, RData};
    use simple_dns::{CLASS, Label, Name, Packet, QCLASS, QTYPE, Question, ResourceRecord, TYPE};

    /// What is told of an answer to `asked` with these records: an owner, a time to live, an address or another name.
    fn told(asked: &str, records: &[(&str, u32, &str)]) -> Option<(Vec<String>, usize, u32)> {
        let mut packet = Packet::new_reply(1);
        let name = |text| Name::new_unchecked(text);
        packet.questions.push(Question::new(
            name(asked),
            QTYPE::TYPE(TYPE::A),
            QCLASS::CLASS(CLASS::IN),
            false,
        ));
        for (owner, ttl, value) in records {
            let data = match value.parse::<std::net::Ipv4Addr>() {
                Ok(ip) => RData::A(A { address: ip.into() }),
                Err(_) => RData::CNAME(CNAME(name(value))),
            };
            let record = ResourceRecord::new(name(owner), CLASS::IN, *ttl, data);
            packet.answers.push(record);
        }
        let bytes = packet.build_bytes_vec().unwrap();
        let mut events = Events::default();
        Answers.feed(Direction::ToClient, &bytes, &mut events);
        let event = events.drain().next();
        event.map(|event| {
            let Event::Resolved {
                name,
                addresses,
                aliases,
                lifetime,
            } = event
            else {
                unreachable!("nothing else is told");
            };
            let names = std::iter::once(name).chain(aliases).collect();
            (names, addresses.len(), lifetime)
        })
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn the_least_of_the_chain_is_how_long_it_holds() {
        let one = told("a.example", &[("a.example", 300, "192.0.2.1")]);
        assert_eq!(one, Some((names(&["a.example"]), 1, 300)));
        let records = [
            ("a.example", 3600, "b.example"),
            ("B.Example", 30, "c.example"),
            ("c.example", 600, "192.0.2.1"),
            ("c.example", 600, "192.0.2.2"),
        ];
        let chain = names(&["a.example", "b.example", "c.example"]);
        let mut turned = records;
        turned.reverse();
        for records in [records, turned] {
            let told = told("A.example", &records);
            assert_eq!(told, Some((chain.clone(), 2, 30)));
        }
    }

    #[test]
    fn what_is_not_in_the_chain_is_not_told() {
        let records = [
            ("a.example", 60, "192.0.2.1"),
            ("victim.example", 60, "198.51.100.7"),
            ("other.example", 5, "third.example"),
        ];
        let told_of = told("a.example", &records);
        assert_eq!(told_of, Some((names(&["a.example"]), 1, 60)));
        let foreign = [("victim.example", 60, "198.51.100.7")];
        assert_eq!(told("a.example", &foreign), None);
    }

    #[test]
    fn a_chain_that_bites_its_tail_or_never_ends_is_left() {
        let round = [
            ("a.example", 60, "b.example"),
            ("b.example", 60, "a.example"),
            ("b.example", 60, "192.0.2.1"),
        ];
        let told_of = told("a.example", &round);
        assert_eq!(told_of, Some((names(&["a.example", "b.example"]), 1, 60)));
        let labels: Vec<String> = (0..40).map(|n| format!("n{n}.example")).collect();
        let mut long: Vec<_> = labels
            .windows(2)
            .map(|pair| (pair[0].as_str(), 60, pair[1].as_str()))
            .collect();
        long.push(("n39.example", 60, "192.0.2.1"));
        assert_eq!(told("n0.example", &long), None);
    }

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
