//! AIM or ICQ, the last word: what the other OSCAR flows of the same host say.

use crate::model::{Finding, Service};
use std::collections::HashMap;
use std::net::IpAddr;

/// Names flows that are still "AIM or ICQ" after the flow that announced them, or after the host's other
/// OSCAR flows when those agree.
pub fn settle(findings: &mut [Finding]) {
    let by_flow: HashMap<u64, Service> = findings
        .iter()
        .filter(|finding| finding.is_detection())
        .filter_map(|finding| Some((finding.flow_id, named(finding)?)))
        .collect();
    let mut by_host: HashMap<IpAddr, Option<Service>> = HashMap::new();
    for finding in findings.iter().filter(|finding| finding.is_detection()) {
        if let Some(service) = named(finding) {
            by_host
                .entry(finding.tuple.client.ip)
                .and_modify(|known| *known = known.take().filter(|known| *known == service))
                .or_insert(Some(service));
        }
    }
    for finding in findings.iter_mut().filter(|finding| finding.is_detection()) {
        if finding.service != Some(Service::OSCAR) {
            continue;
        }
        let teacher = finding.learned_from.and_then(|flow| by_flow.get(&flow));
        let host = |ip: &IpAddr| by_host.get(ip).and_then(Option::as_ref);
        let settled = teacher
            .or_else(|| host(&finding.tuple.client.ip))
            .or_else(|| host(&finding.tuple.server.ip));
        if let Some(service) = settled {
            finding.service = Some(service.clone());
        }
    }
}

/// AIM or ICQ, when the flow itself says which.
fn named(finding: &Finding) -> Option<Service> {
    finding
        .service
        .clone()
        .filter(|service| *service == Service::AIM || *service == Service::ICQ)
}
