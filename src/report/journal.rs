//! Detections for systemd's journal, in its own protocol: fields with names, so that `journalctl IMWARDEN_SERVICE=aim` finds them.
//!
//! <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>: `NAME=value` and a line's end; a value with line ends in it goes behind its name and
//! its length. A field may be there several times.

use super::act::{severity, words};
use super::notice::{Notice, notices};
use super::record::community_id;
use super::{Report, clean};
use crate::model::{Action, Confidence, Detection, Finding, FiveTuple, Risk, Service, Summary};
use std::io::{self, Write};

/// What kind of entry it is, for `journalctl MESSAGE_ID=...` (sd-id128(3)): a messenger was seen, a risk came with it, something was
/// done.
const SEEN: &str = "MESSAGE_ID=5ef71861896a42d09c06b12dbe1c8457\n";
const ACTED: &str = "MESSAGE_ID=0d3b60c1f4e94bb0a5f07b1c3e6a92d8\n";
const EXPOSED: &str = "MESSAGE_ID=fde114c94c334cc6891908a66fff32aa\n";

/// Writes an entry for each messenger that is seen, and for each risk that comes with it: each by one call of `write`.
#[derive(Debug)]
pub struct Journal<'r> {
    risks: &'r [Risk],
}

impl<'r> Journal<'r> {
    /// Describes risks by these words.
    pub const fn new(risks: &'r [Risk]) -> Self {
        Self { risks }
    }
}

/// Adds a field.
fn field(entry: &mut Vec<u8>, name: &str, value: &str) {
    entry.extend(name.as_bytes());
    if value.contains('\n') {
        entry.push(b'\n');
        entry.extend((value.len() as u64).to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend(value.as_bytes());
    entry.push(b'\n');
}

fn entry(notice: &Notice<'_>) -> Vec<u8> {
    let finding = notice.finding;
    let tuple = &finding.tuple;
    let kind = if notice.risk.is_some() { EXPOSED } else { SEEN };
    let mut entry = kind.as_bytes().to_vec();
    let mut add = |name: &str, value: &str| field(&mut entry, name, value);
    // What is shown as it is has to be safe for a terminal; the fields have names as they were.
    add("MESSAGE", &clean(&notice.text));
    add("PRIORITY", &notice.severity.to_string());
    add("SYSLOG_FACILITY", "3");
    add("SYSLOG_IDENTIFIER", "imwarden");
    add("IMWARDEN_EVENT", notice.kind);
    for (name, value) in [
        (
            "IMWARDEN_SERVICE",
            finding.service.as_ref().map(Service::id),
        ),
        ("IMWARDEN_APP_PROTO", finding.app_proto),
        ("IMWARDEN_ROLE", finding.role),
        (
            "IMWARDEN_CONFIDENCE",
            finding.confidence.map(Confidence::name),
        ),
        ("IMWARDEN_CLIENT", finding.client.as_deref()),
        ("IMWARDEN_COMMUNITY_ID", community_id(finding).as_deref()),
    ] {
        if let Some(value) = value {
            add(name, value);
        }
    }
    for (name, values) in [
        ("IMWARDEN_ACCOUNT", &finding.accounts),
        ("IMWARDEN_PEER", &finding.peers),
        ("IMWARDEN_FEATURE", &finding.features),
    ] {
        for value in values {
            add(name, value);
        }
    }
    ends(&mut add, tuple, finding.flow_id);
    add("IMWARDEN_TIME", &finding.last_seen.to_string());
    match notice.risk {
        Some(risk) => {
            add("IMWARDEN_RISK", &risk.id);
            add("IMWARDEN_SEVERITY", risk.severity.name());
            add("IMWARDEN_ABOUT", &risk.about);
            add("IMWARDEN_ADVICE", &risk.advice);
        }
        None => add("IMWARDEN_EVIDENCE", &evidence(finding)),
    }
    entry
}

fn deed(action: &Action) -> Vec<u8> {
    let mut entry = ACTED.as_bytes().to_vec();
    let mut add = |name: &str, value: &str| field(&mut entry, name, value);
    add("MESSAGE", &clean(&words(action)));
    add("PRIORITY", &severity(action).to_string());
    add("SYSLOG_FACILITY", "3");
    add("SYSLOG_IDENTIFIER", "imwarden");
    add("IMWARDEN_EVENT", "action");
    add("IMWARDEN_ACTION", action.deed.name());
    add("IMWARDEN_TIME", &action.timestamp.to_string());
    if let Some(until) = action.until {
        add("IMWARDEN_UNTIL", &until.to_string());
    }
    let Some(about) = &action.about else {
        return entry;
    };
    for (name, value) in [
        ("IMWARDEN_SERVICE", about.service.as_ref().map(Service::id)),
        ("IMWARDEN_ACCOUNT", about.account.as_deref()),
    ] {
        if let Some(value) = value {
            add(name, value);
        }
    }
    ends(&mut add, &about.tuple, about.flow_id);
    entry
}

/// Who talks to whom.
fn ends(add: &mut dyn FnMut(&str, &str), tuple: &FiveTuple, flow_id: u64) {
    for (name, value) in [
        ("IMWARDEN_SRC", tuple.client.ip.to_string()),
        ("IMWARDEN_SRC_PORT", tuple.client.port.to_string()),
        ("IMWARDEN_DEST", tuple.server.ip.to_string()),
        ("IMWARDEN_DEST_PORT", tuple.server.port.to_string()),
        ("IMWARDEN_PROTO", tuple.transport.name().to_owned()),
        ("IMWARDEN_FLOW_ID", flow_id.to_string()),
    ] {
        add(name, &value);
    }
}

/// A line for each reason.
fn evidence(finding: &Finding) -> String {
    let lines: Vec<String> = finding
        .evidence
        .iter()
        .map(|it| format!("{}: {} (packet {})", it.what, clean(&it.detail), it.packet))
        .collect();
    lines.join("\n")
}

impl Report for Journal<'_> {
    fn detection(&mut self, detection: &Detection, out: &mut dyn Write) -> io::Result<()> {
        notices(self.risks, detection, &mut |notice| {
            out.write_all(&entry(notice))
        })
    }

    fn action(&mut self, action: &Action, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&deed(action))
    }

    fn finding(&mut self, _: Finding, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, _: &Summary, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn a_value_with_line_ends_goes_behind_its_length() {
        let mut entry = Vec::new();
        field(&mut entry, "MESSAGE", "a = b");
        field(&mut entry, "NAME", "a\nPRIORITY=0");
        assert_eq!(
            entry,
            b"MESSAGE=a = b\nNAME\n\x0c\0\0\0\0\0\0\0a\nPRIORITY=0\n"
        );
    }
}
