//! What connections open with, as rules: on any port, by the first bytes of a segment.
//!
//! Each segment is judged by itself and only the first dozen of a connection are looked at. Once one is recognised, the
//! connection is marked, and all of it that follows is refused.

use super::request::Selected;
use super::{Opening, Owner};
use crate::model::Service;
use crate::ruleset::{Feature, Pattern, Speaker};
use std::collections::BTreeMap;

/// So many packets of its speaker are looked at.
pub(super) const WINDOW: u32 = 12;

/// One opening, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Who says it.
    pub speaker: Speaker,
    /// What.
    pub opening: Opening,
    /// It also begins the body of HTTP requests.
    pub in_http: bool,
    /// Every fact that states it, at least one.
    pub owners: Vec<Owner>,
}

/// Openings that are counted together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureGroup {
    /// What the connections serve.
    pub feature: Feature,
    /// Whose they are.
    pub services: Vec<Service>,
    /// The openings, in order.
    pub signatures: Vec<Signature>,
}

/// The openings of what was asked for. An opening that several messengers share stands once, with all of them.
pub(super) fn groups(selected: &[Selected<'_>]) -> Vec<SignatureGroup> {
    let mut all: BTreeMap<(Speaker, Pattern), (Vec<Owner>, bool)> = BTreeMap::new();
    for it in selected {
        for rule in &it.messenger.signatures {
            if it.features.contains(&rule.feature) {
                let owner = Owner {
                    feature: rule.feature,
                    service: it.messenger.service.clone(),
                    source: rule.source,
                    id: rule.id.clone(),
                    note: rule.note.clone(),
                };
                let key = (rule.speaker, rule.pattern.clone());
                let (owners, in_http) = all.entry(key).or_default();
                owners.push(owner);
                *in_http |= rule.in_http;
            }
        }
    }
    let mut groups: BTreeMap<(Vec<Service>, Feature), Vec<Signature>> = BTreeMap::new();
    for ((speaker, pattern), (mut owners, in_http)) in all {
        owners.sort_unstable();
        let Some(feature) = owners.first().map(|owner| owner.feature) else {
            continue;
        };
        let mut services: Vec<Service> = owners.iter().map(|it| it.service.clone()).collect();
        services.dedup();
        groups
            .entry((services, feature))
            .or_default()
            .push(Signature {
                speaker,
                opening: Opening {
                    pieces: pattern.pieces(),
                },
                in_http,
                owners,
            });
    }
    groups
        .into_iter()
        .map(|((services, feature), signatures)| SignatureGroup {
            feature,
            services,
            signatures,
        })
        .collect()
}

/// A request that has a body.
pub(super) fn request() -> Opening {
    Opening::prefix(b"POST ")
}

impl Signature {
    /// What such a request has that carries it, if any does: its first bytes behind the empty line, and the others somewhere.
    pub(super) fn in_request(&self) -> Option<Vec<Vec<u8>>> {
        let ((0, first), rest) = self.opening.pieces.split_first().filter(|_| self.in_http)? else {
            return None;
        };
        let first = [b"\r\n\r\n", first.as_slice()].concat();
        let rest = rest.iter().map(|(_, bytes)| bytes.clone());
        Some(std::iter::once(first).chain(rest).collect())
    }

    /// Whether a segment is such a request.
    pub(super) fn is_in_request(&self, said: &[u8]) -> bool {
        request().is_in(said)
            && self.in_request().is_some_and(|all| {
                let mut all = all.iter();
                all.all(|bytes| memchr::memmem::find(said, bytes).is_some())
            })
    }
}

impl SignatureGroup {
    /// Whether any of it is carried by HTTP.
    pub fn is_in_http(&self) -> bool {
        self.signatures.iter().any(|it| it.in_http)
    }

    /// Every fact behind it, in order.
    pub fn owners(&self) -> Vec<&Owner> {
        let mut owners: Vec<_> = self.signatures.iter().flat_map(|it| &it.owners).collect();
        owners.sort_unstable();
        owners.dedup();
        owners
    }
}
