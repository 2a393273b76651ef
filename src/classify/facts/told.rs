//! What was told of a flow before its end.

use super::Facts;
use crate::model::{Confidence, Finding, News, Service, Timestamp};
use std::collections::BTreeSet;

/// What is worth telling of a flow that goes on, in short: when this changes there may be something new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    format: Option<(Option<Service>, &'static str, Option<&'static str>)>,
    service: Option<Service>,
    confidence: Option<Confidence>,
    hosts: [bool; 5],
    counts: [usize; 4],
}

/// What was told of a flow before its end.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// As it was when it was last looked at.
    pub outline: Option<Outline>,
    /// As what, if it was told of.
    identity: Option<(Option<Service>, Option<Confidence>, usize)>,
    risks: BTreeSet<&'static str>,
    /// Its last packet when that was.
    pub at: Timestamp,
}

impl Told {
    /// Whether it was told of as a messenger.
    pub const fn is_detected(&self) -> bool {
        self.identity.is_some()
    }

    /// Takes note of what is told now; what of it is new.
    pub fn tell(&mut self, finding: &Finding) -> News {
        self.at = finding.last_seen;
        let now = (
            finding.service.clone(),
            finding.confidence,
            finding.accounts.len(),
        );
        let risks = finding.risks.keys();
        let risks: Vec<_> = risks.filter(|risk| self.risks.insert(risk)).collect();
        match self.identity.replace(now.clone()) {
            None => News::New,
            Some(before) => News::More {
                identity: before != now,
                risks: risks.into_iter().copied().collect(),
            },
        }
    }
}

impl Facts {
    /// What was told of the flow, if it was looked at.
    pub fn told(&self) -> Option<&Told> {
        self.told.as_deref()
    }

    /// The same, to be written to.
    pub fn told_mut(&mut self) -> &mut Told {
        self.told.get_or_insert_default()
    }

    /// Whether it was told of as a messenger.
    pub fn is_told(&self) -> bool {
        self.told().is_some_and(Told::is_detected)
    }

    /// What is known, in short.
    pub fn outline(&self) -> Outline {
        let format = self.format.as_ref();
        Outline {
            format: format.map(|it| (it.service.clone(), it.app_proto, it.role)),
            service: self.service(),
            confidence: self.confidence,
            hosts: [
                self.host.is_some(),
                self.other_host,
                self.certified.is_some(),
                self.announced.is_some(),
                self.looks.is_some(),
            ],
            counts: [
                self.accounts.len(),
                self.features.len(),
                self.risks.len(),
                usize::from(self.client.is_some()),
            ],
        }
    }
}
