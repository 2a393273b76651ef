//! EVE, the JSON of Suricata: flows as `flow`, risks as `alert`, so that what reads Suricata's log reads this one.

use super::json::write_line;
use super::record::{Ends, community_id};
use super::{FlowRecord, Report, RiskRecord};
use crate::model::{Action, Deed, Finding, Risk, Service, Severity, Summary, Timestamp, risk};
use serde::Serialize;
use serde_json::{Value, json};
use std::io::{self, Write};

/// Flows and alerts as they come.
#[derive(Debug)]
pub struct Eve<'r> {
    risks: &'r [Risk],
}

impl<'r> Eve<'r> {
    /// Describes risks by these words.
    pub const fn new(risks: &'r [Risk]) -> Self {
        Self { risks }
    }
}

/// First signature id: the range that nobody else publishes rules in.
const FIRST_SIGNATURE: usize = 9_300_001;

/// Suricata counts from 1, the worst, to 4.
const fn severity(severity: Severity) -> u8 {
    match severity {
        Severity::Critical | Severity::High => 1,
        Severity::Medium => 2,
        Severity::Low => 3,
        Severity::Info => 4,
    }
}

/// As Suricata writes it: `2026-01-02T03:04:05.000006+0000`.
fn time(time: Timestamp) -> String {
    let text = time.to_string();
    let text = text.trim_end_matches('Z');
    // Microseconds, whatever the capture had.
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{seconds}.{fraction:0<6.6}+0000")
}

/// What every record of a flow begins with.
#[derive(Serialize)]
struct Head<'a> {
    timestamp: String,
    flow_id: u64,
    event_type: &'static str,
    #[serde(flatten)]
    ends: Ends,
    community_id: Option<String>,
    app_proto: &'a str,
    #[serde(flatten)]
    rest: Value,
}

fn head<'a>(
    finding: &'a Finding,
    event_type: &'static str,
    at: Timestamp,
    rest: Value,
) -> Head<'a> {
    Head {
        timestamp: time(at),
        flow_id: finding.flow_id,
        event_type,
        ends: Ends::of(&finding.tuple),
        community_id: community_id(finding),
        app_proto: finding.app_proto.unwrap_or("unknown"),
        rest,
    }
}

fn flow(finding: &Finding) -> Value {
    let (all, there) = (finding.counts, finding.to_server);
    json!({
        "pkts_toserver": there.packets,
        "pkts_toclient": all.packets - there.packets,
        "bytes_toserver": there.bytes,
        "bytes_toclient": all.bytes - there.bytes,
        "start": time(finding.first_seen),
    })
}

impl Report for Eve<'_> {
    fn finding(&mut self, finding: Finding, out: &mut dyn Write) -> io::Result<()> {
        let record = FlowRecord::from(&finding);
        let im = json!({
            "service": record.service,
            "role": record.role,
            "confidence": record.confidence,
            "path": record.path,
            "accounts": record.accounts,
            "peers": record.peers,
            "client": record.client,
            "features": record.features,
            "risks": record.risks,
            "evidence": record.evidence,
            "learned_from": record.learned_from,
        });
        for found in RiskRecord::of(&finding, self.risks) {
            let number = risk::ALL.iter().position(|id| *id == found.risk);
            let exposure = finding.risks.get(found.risk);
            let alert = json!({
                "flow": flow(&finding),
                "alert": {
                    "action": "allowed",
                    "gid": 1,
                    "signature_id": FIRST_SIGNATURE + number.unwrap_or_default(),
                    "rev": 1,
                    "signature": format!("IMWARDEN {}: {}", found.service.unwrap_or("im"), found.title),
                    "category": found.risk,
                    "severity": severity(found.severity),
                },
                "imwarden": {
                    "service": found.service,
                    "accounts": found.accounts,
                    "peers": found.peers,
                    "count": found.count,
                    "evidence": found.evidence,
                    "advice": found.advice,
                },
            });
            let at = exposure.map_or(finding.first_seen, |exposure| exposure.first_seen);
            write_line(&head(&finding, "alert", at, alert), out)?;
        }
        let mut ended = flow(&finding);
        if let Some(ended) = ended.as_object_mut() {
            let seconds = finding.last_seen.nanos_since(finding.first_seen) / 1_000_000_000;
            ended.insert("end".to_owned(), time(finding.last_seen).into());
            ended.insert("age".to_owned(), seconds.into());
            ended.insert("alerted".to_owned(), (!finding.risks.is_empty()).into());
        }
        let rest = json!({ "flow": ended, "imwarden": im });
        write_line(&head(&finding, "flow", finding.last_seen, rest), out)
    }

    /// As Suricata has what it drops. What was left alone is not dropped, and it has no word for that.
    fn action(&mut self, action: &Action, out: &mut dyn Write) -> io::Result<()> {
        let dropped = matches!(action.deed, Deed::Cut | Deed::Blocked) && !action.dry_run;
        let Some(about) = action.about.as_ref().filter(|_| dropped) else {
            return Ok(());
        };
        let record = json!({
            "timestamp": time(action.timestamp),
            "flow_id": about.flow_id,
            "event_type": "drop",
            "src_ip": about.tuple.client.ip,
            "src_port": about.tuple.client.port,
            "dest_ip": about.tuple.server.ip,
            "dest_port": about.tuple.server.port,
            "proto": about.tuple.transport.name(),
            "app_proto": about.app_proto.unwrap_or("unknown"),
            "drop": { "reason": "rules" },
            "imwarden": {
                "action": action.deed.name(),
                "service": about.service.as_ref().map(Service::id),
                "account": about.account,
                "until": action.until.map(time),
                "reason": action.reason,
            },
        });
        write_line(&record, out)
    }

    fn finish(&mut self, summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
        let Some(last) = summary.last else {
            return Ok(());
        };
        let stats = json!({
            "timestamp": time(last),
            "event_type": "stats",
            "stats": {
                "decoder": { "pkts": summary.packets, "bytes": summary.bytes },
                "flow": { "total": summary.flows },
                "imwarden": {
                    "detected": summary.detected,
                    "possible": summary.possible,
                    "evictions": summary.evictions,
                    "drops": summary.drops,
                },
            },
        });
        write_line(&stats, out)
    }
}

#[cfg(test)]
mod tests {
    use super::time;
    use crate::model::Timestamp;

    #[test]
    fn times_are_suricatas() {
        let at = |nanos| time(Timestamp::from_nanos(nanos));
        assert_eq!(at(1_500_000_000), "1970-01-01T00:00:01.500000+0000");
        assert_eq!(at(1_000_000_007), "1970-01-01T00:00:01.000000+0000");
    }
}
