//! Fast answers: a port or a host name to the facts about it.

use super::{HostHit, HostMatch, HostUse, Messenger, NetworkRule, PortHint};
use crate::model::{Service, Transport};
use hashbrown::HashMap;
use std::net::IpAddr;

/// A DNS name is at most 253 characters (RFC 1035, 2.3.4, without the final dot).
const MAX_NAME: usize = 253;

/// Which messenger, and which of its facts.
type Place = (usize, usize);

#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    ports: HashMap<(Transport, u16), Vec<Place>, foldhash::fast::RandomState>,
    exact: HashMap<String, Place, foldhash::fast::RandomState>,
    suffix: HashMap<String, Place, foldhash::fast::RandomState>,
    alpn: HashMap<String, usize, foldhash::fast::RandomState>,
    ja4: HashMap<String, usize, foldhash::fast::RandomState>,
    /// By first address. No range is in another.
    networks: Vec<(IpAddr, Place)>,
}

impl Index {
    pub(super) fn new(messengers: &[Messenger]) -> Self {
        let mut index = Self::default();
        for (m, messenger) in messengers.iter().enumerate() {
            for (r, rule) in messenger
                .ports
                .iter()
                .enumerate()
                .filter(|(_, rule)| rule.hint)
            {
                for port in rule.ports.first()..=rule.ports.last() {
                    index
                        .ports
                        .entry((rule.transport, port))
                        .or_default()
                        .push((m, r));
                }
            }
            for (r, rule) in messenger.hosts.iter().enumerate() {
                let map = match rule.matching {
                    HostMatch::Exact => &mut index.exact,
                    HostMatch::Suffix => &mut index.suffix,
                };
                map.entry(rule.name.clone()).or_insert((m, r));
            }
            for rule in &messenger.alpns {
                index.alpn.insert(rule.protocol.clone(), m);
            }
            for ja4 in messenger.fingerprints.iter().flat_map(|rule| &rule.ja4) {
                index.ja4.insert(ja4.clone(), m);
            }
            let networks = messenger.networks.iter().enumerate();
            let networks = networks.map(|(r, rule)| (rule.net.network(), (m, r)));
            index.networks.extend(networks);
        }
        index.networks.sort_unstable();
        index
    }

    pub(super) fn port_hints<'a>(
        &'a self,
        messengers: &'a [Messenger],
        transport: Transport,
        port: u16,
    ) -> impl Iterator<Item = PortHint<'a>> {
        let places = self
            .ports
            .get(&(transport, port))
            .map_or(&[][..], Vec::as_slice);
        places.iter().filter_map(move |&(m, r)| {
            let messenger = messengers.get(m)?;
            Some(PortHint {
                service: &messenger.service,
                rule: messenger.ports.get(r)?,
            })
        })
    }

    /// The most specific fact on a name, whoever uses the host.
    fn most_specific<'a>(&self, messengers: &'a [Messenger], name: &str) -> Option<HostHit<'a>> {
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.is_empty() || name.len() > MAX_NAME {
            return None;
        }
        let mut buffer = [0_u8; MAX_NAME];
        let lower = buffer.get_mut(..name.len())?;
        lower.copy_from_slice(name.as_bytes());
        lower.make_ascii_lowercase();
        let name = std::str::from_utf8(lower).ok()?;
        let &(m, r) = self.exact.get(name).or_else(|| self.by_suffix(name))?;
        let messenger = messengers.get(m)?;
        Some(HostHit {
            service: &messenger.service,
            rule: messenger.hosts.get(r)?,
        })
    }

    /// Drops one label after the other from the left: the first that is known is the longest.
    fn by_suffix(&self, name: &str) -> Option<&Place> {
        let mut rest = name;
        loop {
            if let Some(place) = self.suffix.get(rest) {
                return Some(place);
            }
            rest = rest.get(memchr::memchr(b'.', rest.as_bytes())? + 1..)?;
        }
    }

    pub(super) fn alpn<'a>(
        &self,
        messengers: &'a [Messenger],
        protocol: &str,
    ) -> Option<&'a Service> {
        Some(&messengers.get(*self.alpn.get(protocol)?)?.service)
    }

    pub(super) fn fingerprint<'a>(
        &self,
        messengers: &'a [Messenger],
        ja4: &str,
    ) -> Option<&'a Service> {
        Some(&messengers.get(*self.ja4.get(ja4)?)?.service)
    }

    pub(super) fn network<'a>(
        &self,
        messengers: &'a [Messenger],
        ip: IpAddr,
    ) -> Option<(&'a Service, &'a NetworkRule)> {
        let behind = self.networks.partition_point(|(first, _)| *first <= ip);
        let (_, (m, r)) = self.networks.get(behind.checked_sub(1)?)?;
        let messenger = messengers.get(*m)?;
        let rule = messenger.networks.get(*r)?;
        rule.net.contains(&ip).then_some((&messenger.service, rule))
    }

    pub(super) fn host<'a>(
        &self,
        messengers: &'a [Messenger],
        name: &str,
        usage: HostUse,
    ) -> Option<HostHit<'a>> {
        self.most_specific(messengers, name)
            .filter(|hit| hit.rule.usage == usage)
    }
}
