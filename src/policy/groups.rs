//! From facts to groups of ports: no port stands twice.

use super::{Group, Ports};
use crate::model::{Service, Transport};
use crate::ruleset::{Feature, PortRange};
use std::collections::{BTreeMap, BTreeSet};

/// Cuts overlapping facts at each other's borders, so that every port stands in one place with all its owners.
pub(super) fn disjoint(facts: &[Ports]) -> Vec<Ports> {
    let mut result = Vec::new();
    for transport in [Transport::Tcp, Transport::Udp] {
        let facts: Vec<_> = facts
            .iter()
            .filter(|fact| fact.transport == transport)
            .collect();
        let starts = facts.iter().map(|fact| u32::from(fact.range.first()));
        let ends = facts.iter().map(|fact| u32::from(fact.range.last()) + 1);
        let borders: BTreeSet<u32> = starts.chain(ends).collect();
        let pairs = borders.iter().zip(borders.iter().skip(1));
        for (&from, &to) in pairs {
            let bounds = (u16::try_from(from), u16::try_from(to.saturating_sub(1)));
            let (Ok(first), Ok(last)) = bounds else {
                continue;
            };
            let Some(range) = PortRange::new(first, last) else {
                continue;
            };
            let here = facts.iter().filter(|fact| fact.range.contains(first));
            let owners: BTreeSet<_> = here.flat_map(|fact| fact.owners.iter().cloned()).collect();
            if !owners.is_empty() {
                result.push(Ports {
                    transport,
                    range,
                    owners: owners.into_iter().collect(),
                });
            }
        }
    }
    result
}

/// One group for each feature and the messengers that share its ports.
pub(super) fn group(ports: Vec<Ports>) -> Vec<Group> {
    let mut groups: BTreeMap<(Vec<Service>, Feature), Vec<Ports>> = BTreeMap::new();
    for ports in ports {
        let Some(feature) = ports.owners.first().map(|owner| owner.feature) else {
            continue;
        };
        let sharing = ports.owners.iter().filter(|owner| owner.feature == feature);
        let mut services: Vec<_> = sharing.map(|owner| owner.service.clone()).collect();
        services.dedup();
        groups.entry((services, feature)).or_default().push(ports);
    }
    let group = |((services, feature), ports)| Group {
        feature,
        services,
        ports,
    };
    let mut groups: Vec<_> = groups.into_iter().map(group).collect();
    // A messenger's groups stand together, its session first.
    groups.sort_by(|a, b| {
        let key = |group: &Group| (group.services.first().cloned(), group.feature);
        key(a)
            .cmp(&key(b))
            .then_with(|| a.services.cmp(&b.services))
    });
    groups
}
