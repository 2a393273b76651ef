//! The records that machines read: `docs` for every field are in README.md.

use super::people::{Session, Together, User};
use super::vendor::vendor;
use crate::model::{
    Confidence, Detail, Direction, Enforcement, Evidence, Finding, FiveTuple, Occurrence, Party,
    Risk, Service, Severity, Sighting, Summary, Transport,
};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Name and version of the record format.
pub const SCHEMA: &str = "imwarden/1";

/// Client and server.
#[derive(Clone, Copy, Debug, Serialize)]
#[allow(
    missing_docs,
    reason = "fields of several records, described in README.md"
)]
pub struct Ends {
    pub src_ip: IpAddr,
    pub src_port: u16,
    pub dest_ip: IpAddr,
    pub dest_port: u16,
    pub proto: &'static str,
}

impl Ends {
    /// Of this flow.
    pub const fn of(tuple: &FiveTuple) -> Self {
        Self {
            src_ip: tuple.client.ip,
            src_port: tuple.client.port,
            dest_ip: tuple.server.ip,
            dest_port: tuple.server.port,
            proto: tuple.transport.name(),
        }
    }
}

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
    #[serde(flatten)]
    pub ends: Ends,
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
            ends: Ends::of(tuple),
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
            evidence: &finding.evidence,
            risks: finding.risks.keys().copied().collect(),
            learned_from: finding.learned_from,
        }
    }
}

/// Corelight's flow hash, so that records join with those of Zeek and Suricata.
pub fn community_id(finding: &Finding) -> Option<String> {
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listening: Option<ListeningRecord>,
}

/// How listening on interfaces goes: part of a summary.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "described in docs/schema")]
pub struct ListeningRecord {
    pub drops_ring: u64,
    pub drops_kernel: Option<u64>,
    pub drops_interface: Option<u64>,
    pub lost_records: u64,
    pub lost_packets: u64,
    pub open_flows: u64,
    pub memory: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforced: Option<EnforcedRecord>,
}

/// What was done about what was found: part of a summary.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "described in docs/schema")]
pub struct EnforcedRecord {
    pub cut: u64,
    pub refused: u64,
    pub spared: u64,
    pub rate_limited: u64,
    pub failed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inline: Option<InlineRecord>,
}

/// What became of the first packets of connections.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "described in docs/schema")]
pub struct InlineRecord {
    pub asked: u64,
    pub held: u64,
    pub late: u64,
    pub given_up: u64,
    pub unheld: u64,
}

impl From<Enforcement> for EnforcedRecord {
    fn from(it: Enforcement) -> Self {
        Self {
            cut: it.cut,
            refused: it.refused,
            spared: it.spared,
            rate_limited: it.rate_limited,
            failed: it.failed,
            inline: it.inline.map(|it| InlineRecord {
                asked: it.asked,
                held: it.held,
                late: it.late,
                given_up: it.given_up,
                unheld: it.unheld,
            }),
        }
    }
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
            listening: summary.listening.map(|listening| ListeningRecord {
                drops_ring: listening.drops_ring,
                drops_kernel: listening.drops_kernel,
                drops_interface: listening.drops_interface,
                lost_records: listening.lost_records,
                lost_packets: listening.lost_packets,
                open_flows: listening.open_flows,
                memory: listening.memory,
                enforced: listening.enforced.map(EnforcedRecord::from),
            }),
        }
    }

    /// The totals until now.
    pub fn statistics(summary: &'a Summary) -> Self {
        Self {
            event_type: "statistics",
            ..Self::new(summary)
        }
    }
}

/// One thing that somebody did.
#[derive(Debug, Serialize)]
#[allow(
    missing_docs,
    reason = "the fields of the event record, described in docs/schema"
)]
pub struct EventRecord<'a> {
    pub schema: &'static str,
    pub event_type: &'static str,
    pub timestamp: String,
    pub flow_id: u64,
    #[serde(flatten)]
    pub ends: Ends,
    pub service: Option<&'a str>,
    pub app_proto: Option<&'static str>,
    pub packet: u64,
    pub offset: u64,
    pub direction: &'static str,
    pub event: &'static str,
    pub from: Option<&'a str>,
    pub to: Option<&'a str>,
    #[serde(flatten)]
    pub details: Details<'a>,
}

/// Further facts, each a field of its own.
#[derive(Debug)]
pub struct Details<'a>(&'a [(&'static str, Detail)]);

impl Serialize for Details<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, detail) in self.0 {
            match detail {
                Detail::Word(word) => map.serialize_entry(key, word)?,
                Detail::Text(text) => map.serialize_entry(key, text)?,
                Detail::Number(number) => map.serialize_entry(key, number)?,
            }
        }
        map.end()
    }
}

impl<'a> From<&'a Occurrence> for EventRecord<'a> {
    fn from(occurrence: &'a Occurrence) -> Self {
        let tuple = &occurrence.tuple;
        Self {
            schema: SCHEMA,
            event_type: "event",
            timestamp: occurrence.timestamp.to_string(),
            flow_id: occurrence.flow_id,
            ends: Ends::of(tuple),
            service: occurrence.service.as_ref().map(Service::id),
            app_proto: occurrence.app_proto,
            packet: occurrence.packet,
            offset: occurrence.offset,
            direction: match occurrence.direction {
                Direction::ToServer => "to_server",
                Direction::ToClient => "to_client",
            },
            event: occurrence.activity.what,
            from: occurrence.activity.from.as_ref().and_then(Party::name),
            to: occurrence.activity.to.as_ref().and_then(Party::name),
            details: Details(&occurrence.activity.details),
        }
    }
}

/// One risk of one flow.
#[derive(Debug, Serialize)]
#[allow(
    missing_docs,
    reason = "the fields of the risk record, described in docs/schema"
)]
pub struct RiskRecord<'a> {
    pub schema: &'static str,
    pub event_type: &'static str,
    pub timestamp: String,
    pub end: String,
    pub flow_id: u64,
    #[serde(flatten)]
    pub ends: Ends,
    pub service: Option<&'a str>,
    pub accounts: &'a BTreeSet<String>,
    pub peers: &'a BTreeSet<String>,
    pub risk: &'a str,
    pub severity: Severity,
    pub title: &'a str,
    pub about: &'a str,
    pub advice: &'a str,
    pub count: u64,
    pub evidence: &'a [Sighting],
}

impl<'a> RiskRecord<'a> {
    /// The risks of a finding, the worst first.
    pub fn of(finding: &'a Finding, risks: &'a [Risk]) -> Vec<Self> {
        let tuple = &finding.tuple;
        let mut records: Vec<Self> = finding
            .risks
            .iter()
            .filter_map(|(id, exposure)| {
                let risk = risks.iter().find(|risk| risk.id == *id)?;
                Some(Self {
                    schema: SCHEMA,
                    event_type: "risk",
                    timestamp: exposure.first_seen.to_string(),
                    end: exposure.last_seen.to_string(),
                    flow_id: finding.flow_id,
                    ends: Ends::of(tuple),
                    service: finding.service.as_ref().map(Service::id),
                    accounts: &finding.accounts,
                    peers: &finding.peers,
                    risk: &risk.id,
                    severity: risk.severity,
                    title: &risk.title,
                    about: &risk.about,
                    advice: &risk.advice,
                    count: exposure.count,
                    evidence: &exposure.sightings,
                })
            })
            .collect();
        records.sort_by_key(|record| std::cmp::Reverse(record.severity));
        records
    }
}

/// Flows of one sign-on, or what one account did from one host.
#[derive(Debug, Serialize)]
#[allow(
    missing_docs,
    reason = "the fields of session and user records, described in docs/schema"
)]
pub struct PeopleRecord<'a> {
    pub schema: &'static str,
    pub event_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<u64>,
    pub host: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor: Option<Option<&'static str>>,
    pub service: &'a str,
    pub confidence: Confidence,
    pub accounts: &'a BTreeSet<String>,
    pub clients: &'a BTreeSet<String>,
    pub features: &'a BTreeSet<String>,
    pub contacts: &'a BTreeSet<String>,
    pub first_seen: String,
    pub last_seen: String,
    pub packets: u64,
    pub bytes: u64,
    pub risks: &'a BTreeMap<&'static str, u64>,
    pub flows: &'a BTreeSet<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sessions: Option<&'a BTreeSet<u64>>,
}

impl<'a> PeopleRecord<'a> {
    fn new(
        event_type: &'static str,
        host: IpAddr,
        service: &'a Service,
        all: &'a Together,
    ) -> Self {
        Self {
            schema: SCHEMA,
            event_type,
            session_id: None,
            host,
            mac: None,
            vendor: None,
            service: service.id(),
            confidence: all.confidence,
            accounts: &all.accounts,
            clients: &all.clients,
            features: &all.features,
            contacts: &all.contacts,
            first_seen: all.first_seen.to_string(),
            last_seen: all.last_seen.to_string(),
            packets: all.counts.packets,
            bytes: all.counts.bytes,
            risks: &all.risks,
            flows: &all.flows,
            sessions: None,
        }
    }

    /// A session.
    pub fn session(session: &'a Session) -> Self {
        Self {
            session_id: Some(session.id),
            ..Self::new("session", session.host, &session.service, &session.all)
        }
    }

    /// A user.
    pub fn user(user: &'a User) -> Self {
        let card = user.all.card();
        Self {
            mac: Some(card.map(|card| card.to_string())),
            vendor: Some(card.and_then(vendor)),
            sessions: Some(&user.sessions),
            ..Self::new("user", user.host, &user.service, &user.all)
        }
    }
}
