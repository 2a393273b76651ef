//! AIM or ICQ, the last word: what the other OSCAR flows of the same host say.

use super::expiring::Expiring;
use crate::model::{Finding, Service};
use std::net::IpAddr;

/// Remembers which flows and hosts are AIM and which are ICQ.
pub struct Settler {
    by_flow: Expiring<u64, Service>,
    /// `None` for a host that uses both.
    by_host: Expiring<IpAddr, Option<Service>>,
}

impl Settler {
    /// Remembers in these.
    pub const fn new(
        by_flow: Expiring<u64, Service>,
        by_host: Expiring<IpAddr, Option<Service>>,
    ) -> Self {
        Self { by_flow, by_host }
    }

    /// Whether the finding is "AIM or ICQ".
    pub fn is_open(finding: &Finding) -> bool {
        finding.is_detection() && finding.service == Some(Service::OSCAR)
    }

    /// Takes in what a flow says of itself.
    pub fn learn(&mut self, finding: &Finding) {
        let own = finding
            .service
            .clone()
            .filter(|service| *service == Service::AIM || *service == Service::ICQ)
            .filter(|_| finding.is_detection());
        let Some(service) = own else { return };
        let (host, now) = (finding.tuple.client.ip, finding.last_seen);
        let agreed = match self.by_host.get(&host, now) {
            Some(known) => known.clone().filter(|known| *known == service),
            None => Some(service.clone()),
        };
        self.by_host.insert(host, agreed, 0, now);
        self.by_flow.insert(finding.flow_id, service, 0, now);
    }

    /// Names a flow that is still "AIM or ICQ" after the flow that announced it, or after the host's other
    /// OSCAR flows when those agree.
    pub fn settle(&self, finding: &mut Finding) {
        if !Self::is_open(finding) {
            return;
        }
        let now = finding.last_seen;
        let teacher = finding
            .learned_from
            .and_then(|flow| self.by_flow.get(&flow, now));
        let host = |ip: &IpAddr| self.by_host.get(ip, now).and_then(Option::as_ref);
        let settled = teacher
            .or_else(|| host(&finding.tuple.client.ip))
            .or_else(|| host(&finding.tuple.server.ip));
        if let Some(service) = settled.cloned() {
            finding.service = Some(service);
        }
    }
}
