//! What a log is told of: each messenger that is seen, and each risk that comes with it.

use crate::model::{Detection, Finding, News, Risk, Severity};
use std::io;

/// Names that are said in words.
const MAX_NAMES: usize = 8;

/// One thing to tell a log.
pub struct Notice<'a> {
    /// The connection that it is about.
    pub finding: &'a Finding,
    /// The protocol's number: 2 is critical, 3 an error, 4 a warning, 5 a notice.
    pub severity: u8,
    /// `detection`, or the risk's id.
    pub kind: &'a str,
    /// In words; may hold what came from the wire.
    pub text: String,
    /// The risk, if it is one.
    pub risk: Option<&'a Risk>,
}

/// What of it is new is told by `tell`.
pub fn notices(
    risks: &[Risk],
    detection: &Detection,
    tell: &mut dyn FnMut(&Notice<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let finding = &detection.finding;
    let all: Vec<&'static str> = finding.risks.keys().copied().collect();
    let (told, new) = match &detection.news {
        News::New => (true, &all),
        News::More { identity, risks } => (*identity, risks),
        News::Interval => return Ok(()),
    };
    if told {
        let names = finding.accounts.iter().map(String::as_str);
        let names: Vec<&str> = names.take(MAX_NAMES).collect();
        let who = match (finding.accounts.len(), names.join(", ")) {
            (0, _) => String::new(),
            (all, names) if all > MAX_NAMES => format!(" as {names} and {} more", all - MAX_NAMES),
            (_, names) => format!(" as {names}"),
        };
        tell(&Notice {
            finding,
            severity: 5,
            kind: "detection",
            text: format!(
                "{} uses {}{who}",
                finding.tuple.client.ip,
                finding.verdict().unwrap_or_default()
            ),
            risk: None,
        })?;
    }
    for risk in risks.iter().filter(|it| new.contains(&it.id.as_str())) {
        tell(&Notice {
            finding,
            severity: severity(risk.severity),
            kind: &risk.id,
            text: risk.title.clone(),
            risk: Some(risk),
        })?;
    }
    Ok(())
}

const fn severity(severity: Severity) -> u8 {
    match severity {
        Severity::Critical => 2,
        Severity::High => 3,
        Severity::Medium => 4,
        Severity::Low | Severity::Info => 5,
    }
}
