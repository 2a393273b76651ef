//! The records that machines read: `docs` for every field are in README.md.

use crate::model::{Confidence, Evidence, Finding, Summary, Transport};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Name and version of the record format.
pub const SCHEMA: &str = "imwarden/1";

/// One flow.
#[derive(Debug, Serialize)]
#[allow(
    missing_docs,
    reason = "the fields of the flow record, described in README.md"
)]
pub struct FlowRecord<'a> {
    pub schema: &'static str,
    pub event_type: &'static str,
    pub flow_id: u64,
    pub timestamp: String,
    pub end: String,
    pub src_ip: IpAddr,
    pub src_port: u16,
    pub dest_ip: IpAddr,
    pub dest_port: u16,
    pub proto: &'static str,
    pub community_id: Option<String>,
    pub service: Option<&'a str>,
    pub app_proto: Option<&'static str>,
    pub role: Option<&'static str>,
    pub confidence: Option<Confidence>,
    pub path: Vec<String>,
    pub accounts: &'a BTreeSet<String>,
    pub peers: &'a BTreeSet<String>,
    pub client: Option<&'a str>,
    pub features: &'a BTreeSet<String>,
    pub packets: u64,
    pub bytes: u64,
    pub units: BTreeMap<String, u64>,
    pub evidence: &'a [Evidence],
    pub risks: Vec<&'static str>,
    pub learned_from: Option<u64>,
}

impl<'a> From<&'a Finding> for FlowRecord<'a> {
    fn from(finding: &'a Finding) -> Self {
        let tuple = &finding.tuple;
        let layers = finding.path.iter().map(|layer| layer.to_string());
        let carriers = finding.carriers.iter().map(|carrier| (*carrier).to_owned());
        Self {
            schema: SCHEMA,
            event_type: "flow",
            flow_id: finding.flow_id,
            timestamp: finding.first_seen.to_string(),
            end: finding.last_seen.to_string(),
            src_ip: tuple.client.ip,
            src_port: tuple.client.port,
            dest_ip: tuple.server.ip,
            dest_port: tuple.server.port,
            proto: tuple.transport.name(),
            community_id: community_id(finding),
            service: finding.service.as_ref().map(crate::model::Service::id),
            app_proto: finding.app_proto,
            role: finding.role,
            confidence: finding.confidence,
            path: layers.chain(carriers).collect(),
            accounts: &finding.accounts,
            peers: &finding.peers,
            client: finding.client.as_deref(),
            features: &finding.features,
            packets: finding.counts.packets,
            bytes: finding.counts.bytes,
            units: finding
                .units
                .iter()
                .map(|(unit, count)| (unit.to_string(), *count))
                .collect(),
            evidence: &finding.evidence,
            risks: finding.risks.keys().copied().collect(),
            learned_from: finding.learned_from,
        }
    }
}

/// Corelight's flow hash, so that records join with those of Zeek and Suricata.
fn community_id(finding: &Finding) -> Option<String> {
    let tuple = &finding.tuple;
    let protocol = match tuple.transport {
        Transport::Tcp => 6,
        Transport::Udp => 17,
    };
    let (client, server) = (tuple.client, tuple.server);
    let ports = (Some(client.port), Some(server.port));
    community_id::calculate_community_id(0, client.ip, server.ip, ports.0, ports.1, protocol, false)
        .ok()
}

/// The last line.
#[derive(Debug, Serialize)]
#[allow(
    missing_docs,
    reason = "the fields of the summary record, described in README.md"
)]
pub struct SummaryRecord<'a> {
    pub schema: &'static str,
    pub event_type: &'static str,
    pub packets: u64,
    pub bytes: u64,
    pub flows: u64,
    pub detected: u64,
    pub possible: u64,
    pub given_up: u64,
    pub drops: u64,
    pub evictions: u64,
    pub overlaps: u64,
    pub ignored: &'a BTreeMap<&'static str, u64>,
    pub elapsed: f64,
}

impl<'a> SummaryRecord<'a> {
    /// The totals.
    pub fn new(summary: &'a Summary) -> Self {
        Self {
            schema: SCHEMA,
            event_type: "summary",
            packets: summary.packets,
            bytes: summary.bytes,
            flows: summary.flows,
            detected: summary.detected,
            possible: summary.possible,
            given_up: summary.given_up,
            drops: summary.drops,
            evictions: summary.evictions,
            overlaps: summary.overlaps,
            ignored: &summary.ignored,
            elapsed: summary.elapsed_seconds(),
        }
    }
}
