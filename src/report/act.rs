//! What was done about what was found: the record of it, and the words.

use super::SCHEMA;
use super::record::Ends;
use crate::model::{Action, Concerned, Confidence, Deed, Service};
use serde::Serialize;
use std::fmt::Write as _;

/// Something that was done, or was not.
#[derive(Debug, Serialize)]
#[allow(
    missing_docs,
    reason = "the fields of the action record, described in docs/schema"
)]
pub struct ActionRecord<'a> {
    pub schema: &'static str,
    pub event_type: &'static str,
    pub timestamp: String,
    pub action: &'static str,
    #[serde(flatten)]
    pub about: Option<AboutRecord<'a>>,
    pub until: Option<String>,
    pub reason: Option<&'a str>,
    pub dry_run: bool,
}

/// The connection that it is about.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "described in docs/schema")]
pub struct AboutRecord<'a> {
    pub flow_id: u64,
    #[serde(flatten)]
    pub ends: Ends,
    pub service: Option<&'a str>,
    pub app_proto: Option<&'static str>,
    pub confidence: Option<Confidence>,
    pub account: Option<&'a str>,
}

impl<'a> From<&'a Concerned> for AboutRecord<'a> {
    fn from(it: &'a Concerned) -> Self {
        Self {
            flow_id: it.flow_id,
            ends: Ends::of(&it.tuple),
            service: it.service.as_ref().map(Service::id),
            app_proto: it.app_proto,
            confidence: it.confidence,
            account: it.account.as_deref(),
        }
    }
}

impl<'a> From<&'a Action> for ActionRecord<'a> {
    fn from(action: &'a Action) -> Self {
        Self {
            schema: SCHEMA,
            event_type: "action",
            timestamp: action.timestamp.to_string(),
            action: action.deed.name(),
            about: action.about.as_ref().map(AboutRecord::from),
            until: action.until.map(|until| until.to_string()),
            reason: action.reason.as_deref(),
            dry_run: action.dry_run,
        }
    }
}

/// The system log's number: 3 is an error, 4 a warning, 5 a notice.
pub(super) const fn severity(action: &Action) -> u8 {
    match action.deed {
        Deed::Failed => 3,
        Deed::RateLimited => 4,
        Deed::Cut | Deed::Blocked | Deed::Spared | Deed::Removed => 5,
    }
}

/// In words, for a log; may hold what came from the wire.
pub(super) fn words(action: &Action) -> String {
    let mut text = match &action.about {
        None => "what was refused is not any more".to_owned(),
        Some(it) => {
            let (transport, client, server) =
                (it.tuple.transport.name(), it.tuple.client, it.tuple.server);
            let who = it.account.as_ref();
            let who = who.map_or_else(String::new, |account| format!(" ({account})"));
            let would = if action.dry_run { "would be " } else { "" };
            match action.deed {
                Deed::Blocked => format!("{would}refused to everybody: {transport} {server}"),
                Deed::Cut => format!("{would}cut: {transport} {client}{who} -> {server}"),
                _ => format!(
                    "{transport} {client}{who} -> {server}: {}",
                    action.deed.name()
                ),
            }
        }
    };
    if let Some(until) = action.until {
        // Writing to a String cannot fail.
        let _ = write!(text, ", until {until}");
    }
    if let Some(reason) = &action.reason {
        text.push_str(": ");
        text.push_str(reason);
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::{Endpoint, FiveTuple, Timestamp, Transport};
    use crate::report::{Eve, Journal, Ndjson, Redactor, Report, Syslog};
    use serde_json::Value;

    fn action(deed: Deed) -> Action {
        let end = |text: &str, port| Endpoint::new(text.parse().unwrap(), port);
        Action {
            timestamp: Timestamp::from_nanos(1_500_000_000),
            deed,
            about: Some(Concerned {
                flow_id: 7,
                tuple: FiveTuple {
                    transport: Transport::Tcp,
                    client: end("192.0.2.1", 50_000),
                    server: end("198.51.100.9", 5190),
                },
                service: Some(Service::OSCAR),
                app_proto: Some("oscar"),
                confidence: Some(Confidence::Confirmed),
                account: Some("alice".to_owned()),
            }),
            until: (deed == Deed::Blocked).then(|| Timestamp::from_nanos(61_500_000_000)),
            reason: (deed == Deed::Failed).then(|| "nft: no room for 198.51.100.9".to_owned()),
            dry_run: false,
        }
    }

    fn told(report: &mut dyn Report, action: &Action) -> String {
        let mut out = Vec::new();
        report.action(action, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_format_tells_it_in_its_own_words() {
        let blocked = action(Deed::Blocked);
        let record: Value = serde_json::from_str(&told(&mut Ndjson::live(&[]), &blocked)).unwrap();
        assert_eq!(record["event_type"], "action");
        assert_eq!(record["action"], "blocked");
        assert_eq!(record["dest_ip"], "198.51.100.9");
        assert_eq!(record["until"], "1970-01-01T00:01:01.500000Z");
        let line = told(&mut Syslog::new(&[], "gate", 1), &blocked);
        let head = "<29>1 1970-01-01T00:00:01.500000Z gate imwarden 1 action [imwarden@32473 action=\"blocked\"";
        assert!(line.starts_with(head), "{line}");
        assert!(
            line.ends_with(
                "] refused to everybody: TCP 198.51.100.9:5190, until 1970-01-01T00:01:01.500000Z\n"
            ),
            "{line}"
        );
        let failed = told(&mut Syslog::new(&[], "gate", 1), &action(Deed::Failed));
        assert!(failed.starts_with("<27>1 "), "{failed}");
        let entry = told(&mut Journal::new(&[]), &action(Deed::Cut));
        for field in [
            "MESSAGE=cut: TCP 192.0.2.1:50000 (alice) -> 198.51.100.9:5190\n",
            "IMWARDEN_ACTION=cut\n",
            "IMWARDEN_DEST_PORT=5190\n",
            "IMWARDEN_ACCOUNT=alice\n",
        ] {
            assert!(entry.contains(field), "{entry}");
        }
    }

    #[test]
    fn eve_has_what_was_dropped_and_nothing_that_was_not() {
        let mut eve = Eve::new(&[]);
        let drop: Value = serde_json::from_str(&told(&mut eve, &action(Deed::Cut))).unwrap();
        assert_eq!(drop["event_type"], "drop");
        assert_eq!(drop["flow_id"], 7);
        assert_eq!(drop["imwarden"]["action"], "cut");
        for deed in [Deed::Spared, Deed::RateLimited, Deed::Failed, Deed::Removed] {
            assert_eq!(told(&mut eve, &action(deed)), "");
        }
        let would = Action {
            dry_run: true,
            ..action(Deed::Cut)
        };
        assert_eq!(told(&mut eve, &would), "");
    }

    #[test]
    fn names_can_be_hidden() {
        let redactor = Redactor::new(b"key").unwrap();
        for deed in [Deed::Cut, Deed::Blocked, Deed::Failed] {
            let mut action = action(deed);
            redactor.action(&mut action);
            let record = told(&mut Ndjson::live(&[]), &action);
            for secret in ["alice", "192.0.2.1", "198.51.100.9"] {
                assert!(!record.contains(secret), "{record}");
            }
            assert!(record.contains("account-"), "{record}");
        }
    }
}
