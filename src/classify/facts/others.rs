//! What other flows say of one.

use super::{Announced, Facts, add_name};
use crate::classify::carrier::http::Known;
use crate::classify::learned::Expectation;
use crate::model::{Evidence, EvidenceKind, Service, ServiceHint, feature};
use std::borrow::Cow;

impl Facts {
    /// DNS said that the server's address belongs to a messenger's host.
    pub fn resolved_host(&mut self, service: &Service, name: &str, from_flow: u64, packet: u64) {
        self.add_evidence(Evidence {
            kind: EvidenceKind::Host,
            what: "dns",
            detail: format!("{name}, as DNS resolved it").into(),
            packet,
            offset: 0,
        });
        self.hint(service.clone(), ServiceHint::Host);
        self.learned_from.get_or_insert(from_flow);
        self.resolved = Some(service.clone());
    }

    /// Another flow announced this one: its address, or what it would show.
    pub fn announced(&mut self, expectation: &Expectation, proven: bool, packet: u64) {
        let Expectation {
            format, from_flow, ..
        } = expectation;
        let role = format.role.unwrap_or("connection");
        let what = if proven { "token" } else { "announced" };
        let detail: Cow<'_, str> = if proven {
            "shows what an earlier flow had given out for it".into()
        } else {
            format!("an earlier flow announced this {} {role}", format.app_proto).into()
        };
        self.add_evidence(Evidence {
            kind: EvidenceKind::Learned,
            what,
            detail,
            packet,
            offset: 0,
        });
        if let Some(service) = format
            .service
            .clone()
            .filter(|service| *service != Service::OSCAR)
        {
            self.hint(service, ServiceHint::Teacher);
        }
        self.learned_from = Some(*from_flow);
        let proven = proven || self.announced.as_ref().is_some_and(|known| known.proven);
        self.announced = Some(Box::new(Announced {
            expectation: expectation.clone(),
            proven,
        }));
    }

    /// It is what another flow said it would be, and showed what that gave out for it, if it gave anything.
    pub(super) fn as_announced(&self) -> Option<&Announced> {
        let app_proto = self.app_proto();
        self.announced
            .as_deref()
            .filter(|known| Some(known.expectation.format.app_proto) == app_proto)
    }

    /// Who uses it, where only another flow says so.
    pub(super) fn inherit(&mut self) {
        let Some(known) = self
            .as_announced()
            .filter(|known| known.proven || known.expectation.token.is_none())
        else {
            return;
        };
        let Expectation { account, peer, .. } = known.expectation.clone();
        if self.accounts.is_empty() {
            self.accounts.extend(account);
        }
        if self.peers.is_empty() {
            self.peers.extend(peer);
        }
    }

    /// Whose the session is that this flow is a part of, as flows before it said. Asked when the flow is over, so that
    /// it does not matter how slowly they spoke.
    pub fn session_of(&mut self, known: &Known, this_flow: u64) {
        let earlier = known
            .accounts
            .iter()
            .filter(|(_, teacher)| **teacher < this_flow);
        for (name, _) in earlier {
            add_name(&mut self.accounts, name.clone());
        }
    }

    /// What other flows of its session say.
    pub fn part_of(&mut self, known: &Known, this_flow: u64, packet: u64) {
        for (service, hint) in &known.hints {
            self.hint(service.clone(), *hint);
        }
        if known.first_flow != this_flow {
            // Closer than an announcement, which is for anybody behind the client's address.
            self.learned_from = Some(known.first_flow);
            self.add_evidence(Evidence {
                kind: EvidenceKind::Learned,
                what: "session",
                detail: "the same session as an earlier flow".into(),
                packet,
                offset: 0,
            });
        }
        let by_content = self.recognised().is_some();
        if let Some((format, confidence)) = known.format.as_ref().filter(|_| !by_content) {
            self.format = Some(format.clone());
            self.confidence = Some(*confidence);
            self.features.insert(feature::HTTP.to_owned());
        }
    }
}
