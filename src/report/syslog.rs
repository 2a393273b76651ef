//! Detections for a system log: a line each, as RFC 5424 has them.

use super::{Report, clean};
use crate::model::{Detection, Finding, News, Occurrence, Risk, Service, Severity, Summary};
use std::io::{self, Write};

/// Daemons.
const FACILITY: u8 = 3;
/// The number that is kept for documents (RFC 5612): we have none of our own.
const DATA: &str = "imwarden@32473";

/// Writes a message for each messenger that is seen, and for each risk that comes with it.
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

    fn message(
        &self,
        finding: &Finding,
        severity: u8,
        kind: &str,
        text: &str,
        out: &mut dyn Write,
    ) -> io::Result<()> {
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
        let data: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
            .collect();
        writeln!(
            out,
            "<{}>1 {} {} imwarden {} {kind} [{DATA} {}] {}",
            FACILITY * 8 + severity,
            finding.last_seen,
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

/// Severities of the protocol: 2 is critical, 3 an error, 4 a warning, 5 a notice.
const fn severity(severity: Severity) -> u8 {
    match severity {
        Severity::Critical => 2,
        Severity::High => 3,
        Severity::Medium => 4,
        Severity::Low | Severity::Info => 5,
    }
}

impl Report for Syslog<'_> {
    fn occurrence(&mut self, _: &Occurrence, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    fn detection(&mut self, detection: &Detection, out: &mut dyn Write) -> io::Result<()> {
        let finding = &detection.finding;
        let all: Vec<&'static str> = finding.risks.keys().copied().collect();
        let (told, new) = match &detection.news {
            News::New => (true, &all),
            News::More { identity, risks } => (*identity, risks),
            News::Interval => return Ok(()),
        };
        if told {
            let names: Vec<&str> = finding.accounts.iter().map(String::as_str).collect();
            let who = if names.is_empty() {
                String::new()
            } else {
                format!(" as {}", names.join(", "))
            };
            let text = format!(
                "{} uses {}{who}",
                finding.tuple.client.ip,
                finding.verdict().unwrap_or_default()
            );
            self.message(finding, 5, "detection", &text, out)?;
        }
        for risk in self.risks.iter().filter(|it| new.contains(&it.id.as_str())) {
            let level = severity(risk.severity);
            self.message(finding, level, &risk.id, &risk.title, out)?;
        }
        Ok(())
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
