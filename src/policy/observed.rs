//! What was seen in a capture, as rules: the endpoints that messengers were met at, and nothing else at those.
//!
//! An endpoint that carried nothing but messengers is closed as a whole, whoever connects to it. One that others use as well (a
//! proxy, a web server) is left to them: there only what the messenger's connection opens with is refused.

use super::named::Named;
use super::others::Others;
use crate::model::{Endpoint, Service, Transport};
use crate::ruleset::Feature;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A messenger's flow, as far as a rule is about it.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// The messenger.
    pub service: Service,
    /// What the connection is for.
    pub feature: Feature,
    /// TCP or UDP.
    pub transport: Transport,
    /// Who opened it.
    pub client: Endpoint,
    /// Who listened.
    pub server: Endpoint,
    /// Through a proxy: the server is not the messenger's.
    pub proxied: bool,
    /// The request that opens the tunnel or, without a proxy, the first bytes that the client said.
    pub opening: Option<Opening>,
    /// Where it was seen: `office.pcap, flow 17`.
    pub place: String,
}

/// What a wire format is used for, as policies have it.
pub fn feature_of(app_proto: &str) -> Feature {
    match app_proto {
        "oft" | "msnftp" => Feature::FileTransfer,
        "odc" | "icq-direct" | "msn-p2p" | "ars" | "irc-dcc" => Feature::PeerToPeer,
        "msn-webcam" | "yahoo-webcam" => Feature::Webcam,
        "oscar-http" | "msn-http" | "ymsg-http" => Feature::Http,
        _ => Feature::Session,
    }
}

/// Flows of a capture, for rules against some of them.
#[derive(Clone, Debug, Default)]
pub struct Sightings {
    /// The messengers'.
    pub flows: Vec<Sighting>,
    /// Places that they named for others.
    pub named: Vec<Named>,
    /// Flows of others.
    pub others: Others,
}

/// What a connection opens with: bytes at places of a segment's payload.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Opening {
    /// Place and bytes, in order.
    pub pieces: Vec<(u16, Vec<u8>)>,
}

/// More bytes are not compared: firewalls have limits, and this is enough to tell.
const LONGEST_PIECE: usize = 40;

impl Opening {
    /// A payload that begins so.
    pub fn prefix(bytes: &[u8]) -> Self {
        let bytes = bytes.get(..LONGEST_PIECE).unwrap_or(bytes);
        Self {
            pieces: vec![(0, bytes.to_vec())],
        }
    }

    /// A frame of OSCAR's first channel, with the version that follows it.
    pub fn flap() -> Self {
        Self {
            pieces: vec![(0, vec![0x2A, 0x01]), (6, vec![0, 0, 0, 1])],
        }
    }

    /// What to look for in a client's first payload to know such a connection again; `None` if nothing in it is telling.
    /// `proxied`: it is a request to a proxy.
    pub fn of(payload: &[u8], proxied: bool) -> Option<Self> {
        if proxied {
            return tunnel_request(payload).map(Self::prefix);
        }
        let known = |start: &[u8]| payload.starts_with(start);
        if known(&[0x2A, 0x01]) && payload.get(6..10) == Some(&[0, 0, 0, 1]) {
            return Some(Self::flap());
        }
        if known(b"YMSG") {
            return Some(Self::prefix(b"YMSG"));
        }
        if known(b"VER ") {
            // Up to the dialect's name: `VER 1 MSNP`.
            let at = memchr::memmem::find(payload.get(..16)?, b" MSNP")?;
            return payload.get(..at + 5).map(Self::prefix);
        }
        // A request that names its host first.
        let line = payload.split(|byte| *byte == b'\r').next()?;
        let absolute = [&b"POST http://"[..], b"GET http://"];
        let asks = absolute.iter().any(|start| line.starts_with(start));
        let slash = line.iter().enumerate().skip(12).find(|(_, b)| **b == b'/');
        slash
            .filter(|_| asks)
            .and_then(|(end, _)| line.get(..=end))
            .map(Self::prefix)
    }

    /// Whether a segment's payload has these bytes there.
    pub fn is_in(&self, payload: &[u8]) -> bool {
        self.pieces.iter().all(|(at, bytes)| {
            payload
                .get(usize::from(*at)..)
                .is_some_and(|rest| rest.starts_with(bytes))
        })
    }
}

/// `0:2a01,6:00000001`: places, and bytes in hex.
impl fmt::Display for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (at, bytes)) in self.pieces.iter().enumerate() {
            let joint = if number == 0 { "" } else { "," };
            write!(f, "{joint}{at}:")?;
            for byte in bytes {
                write!(f, "{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// The request to a proxy, as far as it names where to: `CONNECT host:port `, or SOCKS's address and port.
fn tunnel_request(payload: &[u8]) -> Option<&[u8]> {
    match payload {
        [4, 1, ..] => payload.get(..8),
        [5, 1, 0, 1, ..] => payload.get(..10),
        [5, 1, 0, 3, length, ..] => payload.get(..7 + usize::from(*length)),
        [5, 1, 0, 4, ..] => payload.get(..22),
        _ if payload.starts_with(b"CONNECT ") => {
            let end = payload.iter().skip(8).position(|byte| *byte == b' ')?;
            payload.get(..8 + end + 1)
        }
        _ => None,
    }
}

/// One endpoint to close, wholly or for what opens so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// TCP or UDP.
    pub transport: Transport,
    /// Where messengers were met.
    pub server: Endpoint,
    /// Only connections that open so; all of them, if `None`.
    pub opening: Option<Opening>,
    /// Where it was seen first, or named.
    pub place: String,
    /// In how many flows; in none, if another flow named it and nobody was seen to go there.
    pub flows: u64,
}

impl Seen {
    /// What a rule's comment says of it.
    pub fn words(&self) -> String {
        let words = match self.flows {
            0 => format!("named in {}", self.place),
            1 => format!("seen in 1 flow, {}", self.place),
            many => format!("seen in {many} flows, {}", self.place),
        };
        plain(&words)
    }
}

/// Names of files reach no rule: quotes and line ends in them would.
pub(super) fn plain(words: &str) -> String {
    words
        .chars()
        .map(|c| {
            let plain = c.is_ascii_alphanumeric() || " .,-_/".contains(c);
            if plain { c } else { '_' }
        })
        .take(90)
        .collect()
}

/// Endpoints that are counted together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenGroup {
    /// What they serve.
    pub feature: Feature,
    /// Whose they are.
    pub service: Service,
    /// The endpoints, in order.
    pub seen: Vec<Seen>,
}

/// A flow that was seen or a place that was named, for which there is no rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// Where it was seen.
    pub place: String,
    /// Its messenger.
    pub service: Service,
    /// Where it went, or would have gone: an address or a host name, and a port.
    pub server: String,
    /// Why not.
    pub reason: &'static str,
}

/// Groups, and what is left without a rule.
pub(super) fn groups(
    sightings: &Sightings,
    named: Vec<(Service, Feature, Seen)>,
    wanted: impl Fn(&Service, Feature) -> bool,
) -> (Vec<SeenGroup>, Vec<Unseen>) {
    let mut places: BTreeMap<(Transport, Endpoint), Vec<&Sighting>> = BTreeMap::new();
    for flow in sightings
        .flows
        .iter()
        .filter(|flow| wanted(&flow.service, flow.feature))
    {
        places
            .entry((flow.transport, flow.server))
            .or_default()
            .push(flow);
    }
    let mut groups: BTreeMap<(Service, Feature), BTreeMap<_, Seen>> = BTreeMap::new();
    let mut unseen = Vec::new();
    for ((transport, server), flows) in places {
        let shared =
            sightings.others.are_at(transport, server) || flows.iter().any(|flow| flow.proxied);
        for flow in flows {
            let opening = match (&flow.opening, shared) {
                (_, false) => None,
                (Some(opening), true) => Some(opening.clone()),
                (None, true) => {
                    unseen.push(Unseen {
                        place: flow.place.clone(),
                        service: flow.service.clone(),
                        server: server.to_string(),
                        reason: if flow.proxied {
                            "it goes through a proxy that others use, and the capture does not show how it asks for its tunnel"
                        } else {
                            "others use the same address and port, and the capture does not show how it begins"
                        },
                    });
                    continue;
                }
            };
            let group = groups
                .entry((flow.service.clone(), flow.feature))
                .or_default();
            group
                .entry((transport, server, opening.clone()))
                .or_insert_with(|| Seen {
                    transport,
                    server,
                    opening,
                    place: flow.place.clone(),
                    flows: 0,
                })
                .flows += 1;
        }
    }
    for (service, feature, seen) in named {
        let key = (seen.transport, seen.server, seen.opening.clone());
        let group = groups.entry((service, feature)).or_default();
        group.entry(key).or_insert(seen);
    }
    // Two messengers at one endpoint: a firewall looks it up once, so the first one has it.
    let mut taken = BTreeSet::new();
    let groups = groups
        .into_iter()
        .map(|((service, feature), seen)| SeenGroup {
            feature,
            service,
            seen: seen
                .into_iter()
                .filter(|(key, _)| taken.insert(key.clone()))
                .map(|(_, seen)| seen)
                .collect(),
        })
        .filter(|group| !group.seen.is_empty())
        .collect();
    (groups, unseen)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::policy::{Other, OtherSource};

    fn flow(service: &Service, server: &str, opening: Option<Opening>, proxied: bool) -> Sighting {
        Sighting {
            service: service.clone(),
            feature: Feature::Session,
            transport: Transport::Tcp,
            client: Endpoint::new([10, 0, 0, 5].into(), 50_000),
            server: server
                .parse::<std::net::SocketAddr>()
                .map(|at| Endpoint::new(at.ip(), at.port()))
                .unwrap(),
            proxied,
            opening,
            place: "a \"b\"\n.pcap, flow 1".into(),
        }
    }

    #[test]
    fn an_endpoint_of_others_is_not_closed_as_a_whole() {
        let aim = flow(
            &Service::AIM,
            "192.0.2.9:5190",
            Some(Opening::flap()),
            false,
        );
        let by_web = flow(&Service::AIM, "192.0.2.80:80", Some(Opening::flap()), false);
        let tunnel = flow(
            &Service::MSN,
            "192.0.2.1:3128",
            Opening::of(b"CONNECT messenger.hotmail.com:1863 HTTP/1.1\r\n", true),
            true,
        );
        let blind = flow(&Service::YAHOO, "192.0.2.1:3128", None, true);
        let mut sightings = Sightings::default();
        let other = Other::new(Transport::Tcp, [10, 0, 0, 6].into(), by_web.server);
        sightings.others.add(other, OtherSource::Record);
        sightings.flows = vec![aim, by_web, tunnel, blind];
        let (groups, unseen) = groups(&sightings, Vec::new(), |_, _| true);
        let openings: Vec<bool> = groups
            .iter()
            .flat_map(|group| &group.seen)
            .map(|seen| seen.opening.is_some())
            .collect();
        assert_eq!(openings, [false, true, true]);
        assert_eq!(unseen.len(), 1);
        assert_eq!(unseen[0].service, Service::YAHOO);
    }

    #[test]
    fn openings_are_what_tells_the_connection_and_no_more() {
        let of = |payload: &[u8], proxied| Opening::of(payload, proxied).map(|it| it.pieces);
        let prefix = |bytes: &[u8]| Some(vec![(0, bytes.to_vec())]);
        assert_eq!(
            of(b"CONNECT 192.0.2.9:5190 HTTP/1.0\r\n", true),
            prefix(b"CONNECT 192.0.2.9:5190 ")
        );
        assert_eq!(of(b"\x05\x01\x00", true), None);
        assert_eq!(
            of(b"\x05\x01\x00\x01\xC0\x00\x02\x09\x14\x46", true),
            prefix(b"\x05\x01\x00\x01\xC0\x00\x02\x09\x14\x46")
        );
        assert_eq!(
            of(b"\x04\x01\x14\x46\xC0\x00\x02\x09alice\0", true),
            prefix(b"\x04\x01\x14\x46\xC0\x00\x02\x09")
        );
        assert_eq!(of(b"VER 12 MSNP8 CVR0\r\n", false), prefix(b"VER 12 MSNP"));
        assert_eq!(of(b"YMSG\0\x0C", false), prefix(b"YMSG"));
        assert_eq!(of(b"\x16\x03\x01", false), None);
        assert_eq!(of(b"GET / HTTP/1.1\r\n", false), None);
        let flap = Opening::of(b"\x2A\x01\0\x01\0\x04\0\0\0\x01", false).unwrap();
        assert!(flap.is_in(b"\x2A\x01\x77\x77\0\x04\0\0\0\x01\0"));
        assert!(!flap.is_in(b"\x2A\x02\x77\x77\0\x04\0\0\0\x01\0"));
        assert!(!flap.is_in(b"\x2A\x01"));
    }

    #[test]
    fn names_of_files_cannot_get_into_a_rule() {
        let sightings = Sightings {
            flows: vec![flow(&Service::AIM, "192.0.2.9:5190", None, false)],
            ..Sightings::default()
        };
        let (groups, _) = groups(&sightings, Vec::new(), |_, _| true);
        assert_eq!(
            groups[0].seen[0].words(),
            "seen in 1 flow, a _b__.pcap, flow 1"
        );
    }
}
