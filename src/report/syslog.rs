//! Detections for a system log: a line each, as RFC 5424 has them.

use super::act::{severity, words};
use super::notice::{Notice, notices};
use super::{Report, clean};
use crate::model::{Action, Detection, Finding, Risk, Service, Summary, Timestamp};
use std::io::{self, Write};

/// Daemons.
const FACILITY: u8 = 3;
/// The number that is kept for documents (RFC 5612): we have none of our own.
const DATA: &str = "imwarden@32473";

/// Writes a message for each messenger that is seen, and for each risk that comes with it: each by one call of `write`.
#[derive(Debug)]
pub struct Syslog<'r> {
    risks: &'r [Risk],
    host: String,
    process: u32,
}

impl<'r> Syslog<'r> {
    /// In the name of this host and process; describes risks by these words.
    pub fn new(risks: &'r [Risk], host: &str, process: u32) -> Self {
        let printable = |c: &char| c.is_ascii_graphic();
        let host: String = host.chars().filter(printable).take(255).collect();
        Self {
            risks,
            host: if host.is_empty() {
                "-".to_owned()
            } else {
                host
            },
            process,
        }
    }

    fn message(&self, notice: &Notice<'_>) -> String {
        let finding = notice.finding;
        let tuple = &finding.tuple;
        let join = |names: &std::collections::BTreeSet<String>| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            names.join(",")
        };
        let fields = [
            (
                "service",
                finding.service.as_ref().map_or("-", Service::id).to_owned(),
            ),
            ("app_proto", finding.app_proto.unwrap_or("-").to_owned()),
            (
                "confidence",
                finding
                    .confidence
                    .map_or_else(String::new, |it| it.to_string()),
            ),
            ("accounts", join(&finding.accounts)),
            ("src", tuple.client.to_string()),
            ("dest", tuple.server.to_string()),
            ("proto", tuple.transport.name().to_owned()),
            ("flow_id", finding.flow_id.to_string()),
        ];
        self.line(
            notice.severity,
            finding.last_seen,
            notice.kind,
            &fields,
            &notice.text,
        )
    }

    fn line(
        &self,
        severity: u8,
        at: Timestamp,
        kind: &str,
        fields: &[(&str, String)],
        text: &str,
    ) -> String {
        let data: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
            .collect();
        format!(
            "<{}>1 {at} {} imwarden {} {kind} [{DATA} {}] {}\n",
            FACILITY * 8 + severity,
            self.host,
            self.process,
            data.join(" "),
            clean(text),
        )
    }
}

/// As a value of structured data: of what is printable, three characters have a meaning.
fn escaped(value: &str) -> String {
    let mut text = String::new();
    for c in clean(value).chars() {
        if matches!(c, '"' | '\\' | ']') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

impl Report for Syslog<'_> {
    fn detection(&mut self, detection: &Detection, out: &mut dyn Write) -> io::Result<()> {
        notices(self.risks, detection, &mut |notice| {
            out.write_all(self.message(notice).as_bytes())
        })
    }

    fn action(&mut self, action: &Action, out: &mut dyn Write) -> io::Result<()> {
        let mut fields = vec![("action", action.deed.name().to_owned())];
        if let Some(about) = &action.about {
            let service = about.service.as_ref().map_or("-", Service::id);
            fields.extend([
                ("service", service.to_owned()),
                ("accounts", about.account.clone().unwrap_or_default()),
                ("src", about.tuple.client.to_string()),
                ("dest", about.tuple.server.to_string()),
                ("proto", about.tuple.transport.name().to_owned()),
                ("flow_id", about.flow_id.to_string()),
            ]);
        }
        if let Some(until) = action.until {
            fields.push(("until", until.to_string()));
        }
        let text = words(action);
        let line = self.line(severity(action), action.timestamp, "action", &fields, &text);
        out.write_all(line.as_bytes())
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
    use super::escaped;

    #[test]
    fn a_name_does_not_end_its_field() {
        assert_eq!(escaped(r#"a"b\c]d"#), r#"a\"b\\c\]d"#);
        assert!(!escaped("a\nb\u{1b}[31m").contains(['\n', '\u{1b}']));
    }
}
